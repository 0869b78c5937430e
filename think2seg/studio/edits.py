"""What a person draws over what the model said: read from the browser, checked, and made into a result.

Objects have numbers: those of the model from 1 on, then those that a person adds. An edit says for some numbers what
was drawn instead, or that the object was crossed out; every other number is as the model said. All coordinates are
pixels of the source image. It knows prompts, results and the segmenter's protocol; no page, no component, no file.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg import record
from think2seg.errors import QueryError
from think2seg.images import Picture
from think2seg.pipeline import Pipeline
from think2seg.segmenter import Segmenter
from think2seg.strategy import BY_HAND, DEFAULT_STRATEGY, Strategy, find_strategy
from think2seg.types import Answer, Box, Completion, Mask, Point, Prompt, Query, Result, Size

MOST_OBJECTS = 100
"""Objects that may be drawn or crossed out on one picture."""
MOST_POINTS = 100
"""Points of one object."""
HIGHEST_NUMBER = 254
"""Masks travel to the browser as grey values of one picture."""
UNASKED = "(no question was asked)"
ROW_SCHEMA = "think2seg.edit/1"


@dataclass(frozen=True)
class Edit:
    """All that a person changed. revision: the browser's count of changes. drawn: number → prompt, or None for crossed
    out. unfinished: numbers that hold negative points alone, from which SAM cannot start."""

    revision: int = 0
    drawn: Mapping[int, Prompt | None] = field(default_factory=dict)
    unfinished: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Said:
    """What the model said about a picture, whole, or as far as it came when it was stopped.

    answer: full prompts in source-image pixels. masks: those that are known, by the prompt that was sent.
    """

    query: Query
    completion: Completion
    answer: Answer
    strategy: str
    prompter: str
    segmenter: str
    masks: Mapping[Prompt, Mask]
    stopped: bool = False
    result: Result | None = None

    @classmethod
    def of(cls, result: Result) -> Said:
        return cls(
            result.query, result.completion, result.answer, result.strategy, result.prompter, result.segmenter,
            dict(zip(result.sent, result.masks, strict=True)), result=result,
        )  # fmt: skip

    @classmethod
    def nothing(cls, picture: Picture, question: str) -> Said:
        """Nobody was asked: all that follows is drawn by hand."""
        height, width = picture.pixels.shape[:2]
        query = Query(picture.pixels, question.strip() or UNASKED)
        return cls(query, Completion("", (width, height)), Answer("", ()), BY_HAND.name, BY_HAND.name, "", {})


class Latest:
    """The newest revision that came for one story; the one thing here that changes."""

    def __init__(self) -> None:
        self.revision = 0


@dataclass(frozen=True, eq=False)
class Sheet:
    """What lies on the canvas and may be edited. story: which picture and question, as the browser knows it. image: the
    canvas's own description of the picture. sha256: of its file. strategy, negatives: what of the model's prompts is
    sent."""

    story: int
    picture: Picture
    image: Mapping[str, Any]
    sha256: str = ""
    said: Said | None = None
    strategy: Strategy = field(default_factory=lambda: find_strategy(DEFAULT_STRATEGY))
    negatives: bool = True
    edit: Edit = field(default_factory=Edit)
    latest: Latest = field(default_factory=Latest)

    @property
    def size(self) -> Size:
        return self.picture.pixels.shape[1], self.picture.pixels.shape[0]

    @property
    def shown(self) -> dict[int, Prompt]:
        """What the model's objects send, by number."""
        prompts = () if self.said is None else self.said.answer.prompts
        return {
            number: self.strategy.cut(prompt, negatives=self.negatives) or prompt
            for number, prompt in enumerate(prompts, start=1)
        }


@dataclass(frozen=True, eq=False)
class Drawn:
    """An edit that was filled in. numbers: of each of the result's prompts. marks: "model", "edited" or "added"."""

    result: Result
    numbers: tuple[int, ...]
    marks: tuple[str, ...]


# --- from the browser -------------------------------------------------------------------------------------------------


def story_of(value: object) -> int | None:
    """Which story the browser's value is about; None if it holds no edit."""
    story = value.get("story") if isinstance(value, dict) else None
    return story if isinstance(story, int) and not isinstance(story, bool) else None


def read(value: object, size: Size) -> Edit:
    """The edit in the browser's value, on a picture of `size`. Nothing there is an edit without changes.

    Raises `QueryError`, naming the object, what came, and that nothing on the page was lost.
    """
    if not isinstance(value, dict) or not value:
        return Edit()
    revision, held = value.get("revision"), value.get("drawn")
    if not isinstance(revision, int) or isinstance(revision, bool) or not 0 <= revision < 2**53:
        raise _refused(f"A revision must be a whole number; {revision!r:.40} came.")
    if not isinstance(held, dict):
        raise _refused(f"An edit must name its objects by number; {type(held).__name__} came.")
    if len(held) > MOST_OBJECTS:
        raise _refused(f"{len(held)} objects were edited; at most {MOST_OBJECTS} can be. Delete some, or undo.")
    drawn: dict[int, Prompt | None] = {}
    unfinished: list[int] = []
    for name, prompt in held.items():
        number = int(name) if isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 4 else 0
        if not 1 <= number <= HIGHEST_NUMBER:
            raise _refused(f"An object's number is 1 to {HIGHEST_NUMBER}; {name!r:.40} came.")
        if prompt is None:
            drawn[number] = None
            continue
        if not isinstance(prompt, dict):
            raise _refused(f"Object {number} must hold a box and points; {prompt!r:.40} came.")
        box = _box(prompt.get("box"), size, number)
        positive = _points(prompt.get("positive"), size, number)
        negative = _points(prompt.get("negative"), size, number)
        if len(positive) + len(negative) > MOST_POINTS:
            raise _crowded(number, len(positive) + len(negative))
        if box is None and not positive:
            unfinished.append(number)
        else:
            drawn[number] = Prompt(box, positive, negative)
    return Edit(revision, drawn, tuple(sorted(unfinished)))


def _refused(why: str) -> QueryError:
    return QueryError(f"This edit cannot be sent to SAM. {why} What is on the canvas stays.")


def _crowded(number: int, count: int) -> QueryError:
    return _refused(f"Object {number} has {count} points; at most {MOST_POINTS} are sent. Delete some, or undo.")


def _number(value: object, limit: int, number: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(f"Coordinates of object {number} must be finite numbers; {value!r:.40} came.")
    if not 0 <= value <= limit:
        raise _refused(f"Object {number} reaches to {value:.6g}, outside of the picture (0 to {limit}).")
    return float(value)


def _point(value: object, size: Size, number: int) -> Point:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _refused(f"A point of object {number} must be [x, y]; {value!r:.40} came.")
    return _number(value[0], size[0], number), _number(value[1], size[1], number)


def _points(value: object, size: Size, number: int) -> tuple[Point, ...]:
    if not isinstance(value, list | tuple):
        raise _refused(f"The points of object {number} must be a list; {value!r:.40} came.")
    if len(value) > MOST_POINTS:
        raise _refused(
            f"Object {number} has {len(value)} points; at most {MOST_POINTS} are sent. Delete some, or undo."
        )
    return tuple(_point(v, size, number) for v in value)


def _box(value: object, size: Size, number: int) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise _refused(f"The box of object {number} must be [x1, y1, x2, y2]; {value!r:.40} came.")
    x1, y1 = _point(value[:2], size, number)
    x2, y2 = _point(value[2:], size, number)
    if not (x1 < x2 and y1 < y2):
        raise _refused(f"The box of object {number} has no area: {[x1, y1, x2, y2]}. Draw it larger.")
    return x1, y1, x2, y2


# --- to pixels --------------------------------------------------------------------------------------------------------


def fill(sheet: Sheet, segmenter: Segmenter, question: str, known: Mapping[Prompt, Mask]) -> Drawn:
    """The sheet's edit as a result: SAM alone works, and only on prompts that `known` has no mask of.

    question: what stands on the page, for a picture that nothing was asked about. known: masks of this segmenter on
    this picture. Raises `QueryError`, `ModelError`.
    """
    started = time.monotonic()
    said = sheet.said or Said.nothing(sheet.picture, question)
    full = dict(enumerate(said.answer.prompts, start=1))
    if any(number > HIGHEST_NUMBER for number in full):
        raise _refused(f"The model named {len(full)} objects; at most {HIGHEST_NUMBER} can be edited.")
    marks = dict.fromkeys(full, "model")
    for number, prompt in sheet.edit.drawn.items():
        if prompt is None:
            full.pop(number, None)
        else:
            marks[number] = "edited" if number <= len(said.answer.prompts) else "added"
            full[number] = prompt
    for number in sheet.edit.unfinished:
        full.pop(number, None)
    numbers = tuple(sorted(full))
    answer = replace(said.answer, prompts=tuple(full[n] for n in numbers))
    result = Pipeline(Unasked(said.prompter), _Knowing(segmenter, known)).segment(
        said.query,
        said.completion,
        answer,
        asked=said.strategy,
        sent=BY_HAND if said.strategy == BY_HAND.name else sheet.strategy,
        negatives=sheet.negatives,
        whole={i for i, n in enumerate(numbers) if sheet.edit.drawn.get(n) is not None},
    )
    first = None if said.result is None else said.result.timing.first_token_s
    timing = replace(result.timing, first_token_s=first, total_s=time.monotonic() - started)
    return Drawn(replace(result, timing=timing), numbers, tuple(marks[n] for n in numbers))


def known_masks(segmenter: str, said: Said | None, last: Result | None) -> dict[Prompt, Mask]:
    """The masks that `segmenter` made already, in what the model said and in the last edit of it."""
    known: dict[Prompt, Mask] = {}
    if said is not None and said.segmenter == segmenter:
        known.update(said.masks)
    if last is not None and last.segmenter == segmenter and (said is None or last.query.image is said.query.image):
        known.update(zip(last.sent, last.masks, strict=True))
    return known


class _Knowing:
    """A segmenter that need not be asked for masks that are known."""

    def __init__(self, segmenter: Segmenter, known: Mapping[Prompt, Mask]) -> None:
        self.name, self.about = segmenter.name, segmenter.about
        self._segmenter, self._known = segmenter, dict(known)

    def encode(self, image: NDArray[np.uint8]) -> None:
        self._segmenter.encode(image)

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        missing = [p for p in dict.fromkeys(prompts) if p not in self._known]
        if missing:
            self._known.update(zip(missing, self._segmenter.segment(image, missing), strict=True))
        return [replace(self._known[p], prompt=i) for i, p in enumerate(prompts)]


class Unasked:
    """The prompter of a pipeline that only runs SAM: it has a name and is never asked."""

    about = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, *_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("running SAM alone never asks the prompter")


# --- to a training row ------------------------------------------------------------------------------------------------


def sha256(path: str | Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def training_row(sheet: Sheet, drawn: Drawn, question: str, about: str) -> str:
    """One line of a `manifest.jsonl` that `think2seg.datasets.manifest` reads, and with it the trainer: the picture by
    name and hash, the question, and each object's mask as run lengths; beside them what the model wrote and what a
    person made of it.

    Prompts stand in pixels of the source image, and once more in the frame that the model's text is in. about: the
    models in their own words. Raises `QueryError` where there is no question, or an object waits for a point.
    """
    result, said = drawn.result, sheet.said
    asked = question.strip() if said is None else said.query.question
    if not asked:
        raise QueryError("A training row needs the question that the masks answer. Type it above, then download.")
    if sheet.edit.unfinished:
        waiting = ", ".join(map(str, sheet.edit.unfinished))
        raise QueryError(f"Object {waiting} has no mask yet: give it a point inside or a box, or delete it.")
    width, height = sheet.size
    frame = result.completion.frame
    row: dict[str, Any] = {
        "schema": ROW_SCHEMA,
        "image": sheet.picture.name,
        "image_sha256": sheet.sha256,
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(sheet.picture.pixels).data).hexdigest(),
        "width": width,
        "height": height,
        "query": asked,
        **({"mask": [record.rle(mask.pixels) for mask in result.masks]} if result.masks else {"level": "absent"}),
        "frame": list(frame),
        "model": None
        if said is None
        else {
            "prompter": said.prompter,
            "segmenter": said.segmenter,
            "strategy": said.strategy,
            "dialect": said.completion.dialect,
            "text": said.completion.text,
            "thought": said.answer.thought,
            "stopped": said.stopped,
            "prompts": [_both(prompt, sheet.size, frame) for prompt in said.answer.prompts],
        },
        "edited": {
            "segmenter": result.segmenter,
            "about": about,
            "prompts": [
                {"number": number, "by": mark, "score": round(mask.score, 4), **_both(prompt, sheet.size, frame)}
                for number, mark, prompt, mask in zip(
                    drawn.numbers, drawn.marks, result.sent, result.masks, strict=True
                )
            ],
            "crossed_out": sorted(n for n, prompt in sheet.edit.drawn.items() if prompt is None),
        },
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _both(prompt: Prompt, size: Size, frame: Size) -> dict[str, Any]:
    """The prompt in pixels of the picture, and in the model's frame."""
    return {**record.prompt_document(prompt), "in_frame": record.prompt_document(prompt.moved(size, frame))}
