"""What happens when somebody edits the prompts by hand, or changes SAM's size, how close it looks, the strategy or
the negative points: SAM alone runs, on the prompts as they stand.

Masks go to the page first; the table and the files follow in an event of their own, so that the next click need not
wait for them. It knows the page's parts by name and edits; nothing of questions and examples.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from think2seg.errors import QueryError, Think2SegError
from think2seg.images import Picture
from think2seg.strategy import find_strategy
from think2seg.studio import edits
from think2seg.studio.board import Board, Stage
from think2seg.studio.canvas import keep
from think2seg.studio.edits import Drawn, Sheet
from think2seg.studio.jobs import Job, Sessions, Tell
from think2seg.types import Result
from think2seg.zoom import OpenSegmenter
from think2seg.zoom import check as check_zoom

Updates = dict[Any, Any]
PAUSE_S = 0.4
"""How long the table and the files wait, lest they be made for every click of a quick row of them."""
GONE = "The picture is no longer held here, after an hour without a word. Upload it again; nothing was changed."


@dataclass(frozen=True, eq=False)
class Held:
    """What a session keeps of its last result. drawn: where a person edited the prompts. answer: what the model said,
    untouched; None if it was not asked, or stopped.

    prompter_ran, segmenter_ran: whether they ran here, so that their weights can be told; a replayed one did not.
    """

    result: Result
    picture: Picture
    about: str
    drawn: Drawn | None = None
    prompter_ran: bool = False
    segmenter_ran: bool = False
    answer: Result | None = None


class Hand:
    """The handlers of edits, for all the sessions of one page.

    check: raises `ModelError` for a size of SAM that the page does not offer. outcome: the parts that show a result.
    """

    def __init__(
        self,
        parts: Any,
        open_segmenter: OpenSegmenter,
        check: Callable[[object], None],
        sessions: Sessions,
        note: Callable[[BaseException], None],
    ) -> None:
        self.parts = parts
        self._open_segmenter = open_segmenter
        self._check = check
        self._sessions = sessions
        self._note = note

    def edit(
        self,
        value: Any,
        held: Held | None,
        sheet: Sheet | None,
        question: Any,
        segmenter: str,
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """The prompts were edited on the canvas: `value` is the browser's own, whole."""
        p = self.parts
        story = edits.story_of(value)
        if sheet is None:
            yield {p.status: gr.update(said={"kind": "error", "words": GONE})}
        elif story != sheet.story or not self._free(request):
            yield {p.status: gr.skip()}  # about a picture or an answer that is no longer there
        else:
            yield from self._again(value, held, sheet, sheet, question, segmenter, zoom, request)

    def refine(
        self,
        value: Any,
        held: Held | None,
        sheet: Sheet | None,
        question: Any,
        segmenter: str,
        strategy: str,
        negatives: bool,
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """SAM's size, how close it looks, the strategy or the negative points changed. What was drawn is sent whole,
        as ever."""
        p = self.parts
        current = value if sheet is not None and edits.story_of(value) == sheet.story else None
        if sheet is None or (held is None and current is None) or not self._free(request):
            yield {p.status: gr.skip()}
            return
        try:
            wanted = find_strategy(str(strategy))
            if sheet.said is not None:
                asked = find_strategy(sheet.said.strategy)
                if not wanted.can_be_cut_from(asked):
                    raise QueryError(
                        f"“{wanted.label}” sends more than the stored answer to “{asked.label}” holds. "
                        "Press Segment to ask again."
                    )
        except Think2SegError as error:
            yield {p.status: gr.update(said={"kind": "error", "words": str(error)})}
            return
        cut = replace(sheet, strategy=wanted, negatives=bool(negatives))
        yield from self._again(current, held, sheet, cut, question, segmenter, zoom, request)

    def prepare(self, sheet: Sheet | None, segmenter: str, zoom: int = 1) -> None:
        """Somebody comes near the picture: SAM looks at it now, so that the first click need not wait. What goes wrong
        is for the click itself to tell."""
        try:
            self._check(segmenter)
            check_zoom(zoom)
            if sheet is not None:
                self._open_segmenter(segmenter, zoom).encode(sheet.picture.pixels)
        except Exception as error:  # noqa: BLE001 - a door
            self._note(error)

    def outcome(self, held: Held | None, sheet: Sheet | None, question: Any, files: Callable[..., Updates]) -> Updates:
        """What follows the masks: the table, the document, the files and the training row."""
        p = self.parts
        if held is None or sheet is None or self._superseded(sheet):
            return {p.status: gr.skip()}
        board = self._board(sheet)
        drawn = held.drawn or whole(held.result)
        board.draw(sheet, drawn)
        board.about = held.about
        shown = files(board, held.result, held.picture)
        shown.pop(p.held)  # it may be an older one by now
        # The masks once more: a browser that is very busy was seen to lose one of two quick updates.
        canvas = gr.update(scene=board.scene, phase=board.phase)
        return {**shown, p.canvas: canvas, p.status: gr.update(said=board.line), **self.row(held, sheet, question)}

    def row(self, held: Held | None, sheet: Sheet | None, question: Any) -> Updates:
        """The training row as a file, or the reason why there is none."""
        p = self.parts
        if held is None or sheet is None:
            return {p.row: gr.update(value=None, interactive=False), p.row_words: gr.update(said=_said("", "idle"))}
        try:
            words = question if isinstance(question, str) else ""
            line = edits.training_row(sheet, held.drawn or whole(held.result), words, held.about)
        except QueryError as error:
            told = gr.update(said=_said(str(error), "idle"))
            return {p.row: gr.update(value=None, interactive=False), p.row_words: told}
        file = keep(p.row, line.encode(), "training-row.jsonl")
        return {p.row: gr.update(value=file, interactive=True), p.row_words: gr.update(said=_said("", "idle"))}

    # --- inside ---------------------------------------------------------------------------------------------------

    def _free(self, request: gr.Request | None) -> bool:
        """Whether no question or replay runs for this session: they are not to be ended by an edit."""
        self._sessions.wait_until_idle(request)
        return not self._sessions.busy(request)

    @staticmethod
    def _superseded(sheet: Sheet) -> bool:
        """Whether a newer edit comes within `PAUSE_S`: then what follows it is enough."""
        time.sleep(PAUSE_S)
        return sheet.latest.revision > sheet.edit.revision

    def _board(self, sheet: Sheet) -> Board:
        return Board(self.parts.canvas, sheet.strategy, sheet.negatives, refined=True, story=sheet.story)

    def _again(
        self,
        value: Any,
        held: Held | None,
        before: Sheet,
        sheet: Sheet,
        question: Any,
        segmenter: str,
        zoom: int,
        request: gr.Request | None,
    ) -> Iterator[Updates]:
        """Fill in `sheet` with the browser's edit. before: what stays if that fails."""
        p = self.parts
        done: list[tuple[Sheet, Drawn, str]] = []

        def work(stop: threading.Event, tell: Tell) -> None:
            edit = edits.read(value, sheet.size)
            sheet.latest.revision = edit.revision
            self._check(segmenter)
            check_zoom(zoom)
            tell(Stage(f"SAM {segmenter} is filling in masks"))
            filler = self._open_segmenter(segmenter, zoom)
            known = edits.known_masks(filler.name, before.said, None if held is None else held.result)
            now = replace(sheet, edit=edit)
            drawn = edits.fill(now, filler, question if isinstance(question, str) else "", known)
            done.append((now, drawn, filler.about))

        board = self._board(sheet)
        slow = False
        with self._sessions.running_for(request) as replaced:
            try:
                for batch in Job(work).batches():
                    for event in batch:
                        board.take(event)
                    if replaced():
                        return
                    if not done:
                        slow = True
                        yield {p.status: gr.update(said=board.line), p.stop: gr.update(interactive=True)}
            except Exception as error:  # noqa: BLE001 - a door: whatever it is, the page stays usable
                self._note(error)
                board.fail(error)
                yield {p.status: gr.update(said=board.line), **self._over(slow)}
                return
            now, drawn, about = done[0]
            if held is not None and held.drawn is not None and _same_masks(drawn.result, held.result):
                # Gradio tells of one choice in a dropdown twice: the time of the first is the one to show
                drawn = replace(drawn, result=replace(drawn.result, timing=held.result.timing))
            board.draw(now, drawn)
            if held is not None:  # the prompter's line stays, SAM's is new
                about = "\n".join([*held.about.splitlines()[:-1], about])
            board.about = about
            yield {
                p.canvas: gr.update(scene=board.scene, phase=board.phase),
                p.status: gr.update(said=board.line),
                p.about: gr.update(said=_said(about, "idle")),
                p.held: Held(
                    drawn.result,
                    now.picture,
                    about,
                    drawn,
                    bool(held and held.prompter_ran),
                    True,
                    None if now.said is None else now.said.result,
                ),
                p.sheet: now,
                **{button: gr.update(interactive=False) for button in (*p.files, p.row)},
                **self._over(slow),
            }

    def _over(self, slow: bool) -> Updates:
        return {self.parts.stop: gr.update(interactive=False)} if slow else {}


def whole(result: Result) -> Drawn:
    """A result that nobody edited."""
    count = len(result.masks)
    return Drawn(result, tuple(range(1, count + 1)), ("model",) * count)


def _same_masks(one: Result, other: Result) -> bool:
    """Whether the same prompts went to the same SAM on the same picture."""
    same = one.query.image is other.query.image and one.segmenter == other.segmenter
    return same and one.sent == other.sent


def _said(words: str, kind: str) -> dict[str, str]:
    return {"kind": kind, "words": words}
