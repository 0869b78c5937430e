"""What the page shows of one question, growing event by event: the thought, the prompts, the masks, one status line.

A live run, a replayed example and a re-run of SAM all tell their story here in the same events, so that the page looks
the same whoever tells it. It knows the pipeline's events and the canvas, and neither gradio's outputs nor threads.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.consistency import doubt
from think2seg.errors import AnswerError, GeoError, Think2SegError
from think2seg.images import Picture
from think2seg.strategy import BY_HAND, Strategy
from think2seg.studio.canvas import keep_labels, keep_picture, shown_size, small
from think2seg.studio.edits import Drawn, Said, Sheet
from think2seg.types import (
    Answer,
    Completion,
    Event,
    Finished,
    Mask,
    MaskReady,
    Prompt,
    PromptFound,
    Query,
    Result,
    Thinking,
)

_revisions = itertools.count(1)

NOTHING_HERE = "Nothing here: the model looked and found nothing that answers the question."
STOPPED = "The model was stopped; this is what it had said until then."
_BY = {"model": "model", "edited": "model, edited by hand", "added": "hand"}
OUR_FAULT = "Something went wrong inside the studio; the log has the details. Try again, or reload the page."


@dataclass(frozen=True)
class Stage:
    """Page event: what is being done now, in words."""

    words: str


@dataclass(frozen=True, eq=False)
class Loaded:
    """Page event: the picture that the question is about. sha256: of its file."""

    picture: Picture
    sha256: str = ""
    question: str = ""


@dataclass(frozen=True)
class Opened:
    """Page event: the models that will run, in their own words, and their names."""

    about: str
    prompter: str = ""
    segmenter: str = ""


PageEvent = Event | Stage | Loaded | Opened


@dataclass
class Board:
    """The state of one question on one page.

    canvas: the component whose cache holds the pictures. cut: what of a prompt is sent to SAM, for the time before the
    result says so. replayed: nothing runs, so the status says so. story: its number, new with every picture and
    question; an edit or another SAM goes on with the old one.
    """

    canvas: Any
    strategy: Strategy
    negatives: bool = True
    replayed: bool = False
    refined: bool = False
    stage: str = "starting"
    picture: Picture | None = None
    about: str = ""
    words: list[str] = field(default_factory=list)
    prompts: dict[int, Prompt] = field(default_factory=dict)
    masks: dict[int, Mask] = field(default_factory=dict)
    result: Result | None = None
    doubt: str | None = None
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)
    story: int = field(default_factory=_revisions.__next__)
    sheet: Sheet | None = None
    drawn: Drawn | None = None
    _question: str = ""
    _full: dict[int, Prompt] = field(default_factory=dict)
    _opened: Opened = field(default_factory=lambda: Opened(""))
    _small: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    _image: dict[str, Any] | None = None
    _labels: str | None = None
    _labels_stale: bool = False

    def take(self, event: PageEvent) -> None:
        """Let `event` change what is shown."""
        if isinstance(event, Stage):
            self.stage = event.words
        elif isinstance(event, Loaded):
            self.picture = event.picture
            self._question = event.question
            self._image = keep_picture(self.canvas, event.picture.pixels)
            self.sheet = Sheet(
                self.story, event.picture, self._image, event.sha256, None, self.strategy, self.negatives
            )
        elif isinstance(event, Opened):
            self.about, self._opened = event.about, event
        elif isinstance(event, Thinking):
            self.words.append(event.delta)
        elif isinstance(event, PromptFound):
            for index in [i for i in self.prompts if i >= event.index]:  # the prompter began anew
                self.prompts.pop(index)
                self._full.pop(index, None)
                self._forget_mask(index)
            self._full[event.index] = event.prompt
            self.prompts[event.index] = self.strategy.cut(event.prompt, negatives=self.negatives) or event.prompt
        elif isinstance(event, MaskReady):
            self._add_mask(event.mask.prompt, event.mask)
        elif isinstance(event, Finished):
            self.result, self.doubt = event.result, doubt(event.result)
            self.words = [event.result.answer.thought]
            self._fill(event.result, tuple(range(1, len(event.result.masks) + 1)))
            if self.sheet is not None:
                self.sheet = replace(self.sheet, said=Said.of(event.result))

    def draw(self, sheet: Sheet, drawn: Drawn) -> None:
        """Let an edit of the sheet be what is shown."""
        self.story, self.sheet, self.drawn = sheet.story, sheet, drawn
        self.picture, self._image, self.result = sheet.picture, dict(sheet.image), drawn.result
        self._fill(drawn.result, drawn.numbers)

    def _fill(self, result: Result, numbers: tuple[int, ...]) -> None:
        self.prompts = {number - 1: sent for number, sent in zip(numbers, result.sent, strict=True)}
        self.masks.clear()
        self._small.clear()
        self._labels_stale = True
        for number, mask in zip(numbers, result.masks, strict=True):
            self._add_mask(number - 1, mask)

    def fail(self, error: BaseException) -> None:
        """Let `error` end the question; what was shown so far stays."""
        self.error = error
        if isinstance(error, AnswerError) and not "".join(self.words).strip():
            self.words = [error.text]

    def _add_mask(self, index: int, mask: Mask) -> None:
        self.masks[index] = mask
        self._small[index] = small(mask.pixels, shown_size((mask.pixels.shape[1], mask.pixels.shape[0])))
        self._labels_stale = True

    def _forget_mask(self, index: int) -> None:
        self.masks.pop(index, None)
        if self._small.pop(index, None) is not None:
            self._labels_stale = True

    def editable(self) -> Sheet | None:
        """The sheet as far as the question came: what a person may go on with after Stop."""
        if self.sheet is None or self.result is not None or not self._full:
            return self.sheet
        height, width = self.sheet.picture.pixels.shape[:2]
        thought = "".join(self.words)
        indices = sorted(self._full)
        said = Said(
            query=Query(self.sheet.picture.pixels, self._question),
            completion=Completion(thought, (width, height)),
            answer=Answer(thought, tuple(self._full[i] for i in indices), (STOPPED,)),
            strategy=self.strategy.name,
            prompter=self._opened.prompter,
            segmenter=self._opened.segmenter,
            masks={self.prompts[i]: self.masks[i] for i in indices if i in self.masks},
            stopped=True,
        )
        return replace(self.sheet, said=said)

    # --- what the page's parts are told -------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self.result is None and self.error is None

    @property
    def thought(self) -> dict[str, Any]:
        """The thought component's props."""
        return {"words": "".join(self.words), "live": self.busy and not self.refined}

    @property
    def scene(self) -> dict[str, Any]:
        """The canvas's `scene`, coordinates in pixels of the source image; every call has a revision of its own."""
        if self._labels_stale and self.picture is not None:
            height, width = self.picture.pixels.shape[:2]
            self._labels = keep_labels(
                self.canvas, self._small, shown_size((width, height)), inline=self.drawn is not None
            )
            self._labels_stale = False
        return {
            "rev": next(_revisions),
            "story": self.story,
            "edit": 0 if self.drawn is None or self.sheet is None else self.sheet.edit.revision,
            "image": self._image,
            "labels": self._labels,
            "objects": [self._object(i) for i in sorted({*self.prompts, *self._said})],
            "summary": self.summary,
        }

    @property
    def _said(self) -> dict[int, Prompt]:
        """What the model's objects send, by index; after an edit not what is there."""
        if self.drawn is None or self.sheet is None:
            return self.prompts
        return {number - 1: prompt for number, prompt in self.sheet.shown.items()}

    def _object(self, index: int) -> dict[str, Any]:
        """One object: what the model said of it (`said` is False where a person added it), and its mask as it is."""
        mask, said = self.masks.get(index), self._said.get(index)
        prompt = said or self.prompts[index]
        told = "mask to come" if mask is None else f"{mask.area:,} px · score {mask.score:.2f}"
        return {
            "number": index + 1,
            "said": said is not None,
            "box": prompt.box,
            "positive": prompt.positive,
            "negative": prompt.negative,
            "masked": mask is not None,
            "tip": f"{index + 1} · {told}",
        }

    @property
    def edited(self) -> str:
        """What a person did, in words: "1 edited, 2 added by hand"; empty for nothing."""
        if self.drawn is None or self.sheet is None:
            return ""
        marks = self.drawn.marks
        crossed = sum(prompt is None for prompt in self.sheet.edit.drawn.values())
        counts = (
            (marks.count("edited"), "edited"),
            (marks.count("added"), "added by hand"),
            (crossed, "crossed out"),
            (len(self.sheet.edit.unfinished), "waiting for a point inside or a box"),
        )
        return ", ".join(f"{number} {words}" for number, words in counts if number)

    @property
    def phase(self) -> dict[str, str]:
        """The canvas's `phase`: a name, and words where the picture alone would not say it."""
        if isinstance(self.error, AnswerError):
            return {"name": "unreadable", "words": f"The answer cannot be read: {self.error.why}"}
        if self.error is not None:
            return {"name": "error", "words": self.trouble}
        if self.result is None:
            return {"name": "busy", "words": ""}
        if self.result.nothing_here and not self.edited:
            return {"name": "nothing", "words": NOTHING_HERE}
        return {"name": "done", "words": ""}

    @property
    def trouble(self) -> str:
        """The error as a sentence for the page."""
        if isinstance(self.error, AnswerError):
            return f"The answer cannot be read: {self.error.why} Its text stays below; try other words."
        return str(self.error) if isinstance(self.error, Think2SegError) else OUR_FAULT

    @property
    def summary(self) -> str:
        """One line on what there is: "2 objects, 3.1 % of the image"."""
        told = f" · {self.edited}" if self.edited else ""
        if self.result is not None and self.result.nothing_here:
            return f"No object{told}." if told else "Nothing here."
        if not self.prompts:
            return ""
        if not self._small:
            return f"{counted(len(self.prompts))}, masks to come"
        covered = np.zeros_like(next(iter(self._small.values())))
        for mask in self._small.values():
            covered |= mask
        words = f"{counted(len(self.prompts))}, {percent(float(covered.mean()))} of the image"
        waiting = len(self.prompts) - len(self.masks)
        return f"{words}, {waiting} of them without a mask yet" if waiting else words + told

    @property
    def line(self) -> dict[str, str]:
        """The status component's `said`."""
        if self.error is not None:
            return {"kind": "error", "words": self.trouble}
        if self.result is not None:
            words = self._ending(self.result)
            return {"kind": "done", "words": f"{words}. {self.doubt}" if self.doubt else words}
        seconds = f"{time.monotonic() - self.started:.1f} s"
        stage = self.stage
        waiting = len(self.prompts) - len(self.masks)
        if self.masks and not self.refined:
            stage = f"filling in masks: {len(self.masks)} of {len(self.prompts)}" if waiting else (
                f"pointing: {counted(len(self.prompts))}"
            )  # fmt: skip
        elif self.prompts and not self.refined:
            stage = f"pointing: {counted(len(self.prompts))}"
        elif self.words and not self.refined:
            stage = "thinking"
        return {"kind": "busy", "words": f"{'replaying: ' if self.replayed else ''}{stage} · {seconds}"}

    def _ending(self, result: Result) -> str:
        timing = result.timing
        if self.replayed:
            return (
                f"replayed, no model ran; recorded with {result.prompter} + SAM {result.segmenter} "
                f"in {timing.total_s:.1f} s"
            )
        if self.refined:
            by_hand = result.prompter == BY_HAND.name
            asked = "prompted by hand" if by_hand else "the model was not asked again"
            edited = f"; {self.edited}" if self.edited else ""
            return f"SAM only, {timing.total_s:.1f} s with SAM {result.segmenter}; {asked}{edited}"
        parts = [
            f"{what} {seconds:.1f} s"
            for what, seconds in (("first word", timing.first_token_s), ("first mask", timing.first_mask_s))
            if seconds is not None
        ]
        return f"done in {timing.total_s:.1f} s" + (f": {', '.join(parts)}" if parts else "")

    def table(self) -> dict[str, Any]:
        """The objects as a table, square metres only with a georeference: `{"headers", "data"}`."""
        numbers = range(1, len(self.masks) + 1) if self.drawn is None else self.drawn.numbers
        marks = ["model"] * len(self.masks) if self.drawn is None else self.drawn.marks
        headers = ["no.", "box", "points", "area, px", "area, m²", "score"]
        rows: list[list[Any]] = []
        if self.result is not None:
            for number, sent, mask in zip(numbers, self.result.sent, self.result.masks, strict=True):
                box = "none" if sent.box is None else " ".join(f"{v:.0f}" for v in sent.box)
                points = f"{len(sent.positive)} in" + (f", {len(sent.negative)} out" if sent.negative else "")
                metres = self._square_metres(sent, mask)
                area = "" if metres is None else f"{metres:,.1f}" if metres < 100 else f"{metres:,.0f}"
                rows.append([number, box, points, mask.area, area, f"{mask.score:.2f}"])
        if not any(row[4] for row in rows):
            headers, rows = headers[:4] + headers[5:], [row[:4] + row[5:] for row in rows]
        if self.edited:
            headers, rows = [*headers, "by"], [[*row, _BY[mark]] for row, mark in zip(rows, marks, strict=True)]
        return {"headers": headers, "data": rows}

    def _square_metres(self, sent: Prompt, mask: Mask) -> float | None:
        if self.picture is None or self.picture.georef is None:
            return None
        x1, y1, x2, y2 = sent.box or (*sent.positive[0], *sent.positive[0])
        try:
            each = self.picture.georef.pixel_area_m2(((x1 + x2) / 2, (y1 + y2) / 2))
        except GeoError:
            return None
        return None if each is None else each * mask.area


def counted(number: int) -> str:
    """ "1 object", "3 objects"."""
    return "1 object" if number == 1 else f"{number} objects"


def percent(share: float) -> str:
    """A share of 0-1 in percent, with a decimal below ten."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{share:.1%}".replace("%", " %") if share < 0.1 else f"{share:.0%}".replace("%", " %")
