"""What happens when somebody does something on the page: show a picture, ask, stop, re-run SAM, replay an example.

Every handler checks its inputs itself, since an API client passes by the page. Long work runs in a thread of its own
and is told to stop when the handler's generator is closed: by Stop, by a cancelled API call, by a closed tab.

It knows the page's parts by name (`Parts`), gradio's events and the pipeline; nothing of where things stand.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from think2seg import models, overlay, record, weights
from think2seg.errors import ModelError, Think2SegError
from think2seg.images import Picture
from think2seg.pipeline import Pipeline
from think2seg.prompter import Prompter
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES, find_strategy
from think2seg.studio import edits, examples
from think2seg.studio.board import Board, Loaded, Opened, PageEvent, Stage
from think2seg.studio.canvas import EMPTY_PHASE, EMPTY_SCENE, keep
from think2seg.studio.edits import Sheet
from think2seg.studio.hand import Hand, Held
from think2seg.studio.intake import asked_words, described, uploaded
from think2seg.studio.jobs import Job, Sessions, Tell, Work
from think2seg.studio.line import Line, ordinal
from think2seg.tiles import check_views, viewed
from think2seg.types import Result
from think2seg.zoom import OpenSegmenter
from think2seg.zoom import check as check_zoom

_log = logging.getLogger(__name__)

REPLAY_S = 2.5
WAITING = {"name": "busy", "words": ""}

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components that handlers write to."""

    canvas: Any
    picture: Any
    raster: Any
    sources: Any
    question: Any
    segment: Any
    stop: Any
    status: Any
    thought: Any
    results: Any
    table: Any
    document: Any
    files: tuple[Any, Any, Any]
    prompter: Any
    views: Any
    segmenter: Any
    zoom: Any
    models: Any
    about: Any
    held: Any
    sheet: Any
    row: Any
    row_words: Any


class Desk:
    """The handlers of one page, for all its sessions."""

    def __init__(
        self,
        parts: Parts,
        open_prompter: Callable[[str], Prompter],
        open_segmenter: OpenSegmenter,
        prompters: list[str],
        segmenters: list[str],
        examples_by_name: dict[str, examples.Example],
        line: Line,
    ) -> None:
        self.parts = parts
        self._line = line
        self._open_prompter = open_prompter
        self._open_segmenter = open_segmenter
        self._prompters = prompters
        self._segmenters = segmenters
        self._examples = examples_by_name
        self.sessions = Sessions()
        self.hand = Hand(
            parts,
            open_segmenter,
            lambda name: self._check(name, self._segmenters, "size of SAM"),
            self.sessions,
            self._note,
        )
        self.refused: dict[str, str] = {}  # what the door told a session that it did not let in

    # --- a picture ------------------------------------------------------------------------------------------------

    def show_picture(self, path: str | None, request: gr.Request | None = None) -> Updates:
        """A file came into the image tab, or left it."""
        shown = self._show(path, request)
        return {self.parts.raster: None, **shown} if path else shown

    def show_raster(self, path: str | None, request: gr.Request | None = None) -> Updates:
        """A file came into the raster tab, or left it."""
        shown = self._show(path, request)
        return {self.parts.picture: None, **shown} if path else shown

    def show_dropped(self, event: gr.EventData, request: gr.Request | None = None) -> Updates:
        """A file was dropped on the canvas or pasted: it goes into the tab that can show it."""
        path = str((getattr(event, "_data", None) or {}).get("path", ""))
        shown = self._show(path, request)
        if shown[self.parts.canvas]["phase"]["name"] == "error":
            return shown
        p = self.parts
        is_raster = Path(path).suffix.lower() in (".tif", ".tiff", ".geotiff")
        return {
            p.picture: None if is_raster else path,
            p.raster: path if is_raster else None,
            p.sources: gr.update(selected="raster" if is_raster else "picture"),
            **shown,
        }

    def _show(self, path: str | None, request: gr.Request | None) -> Updates:
        """Another picture, or none: what was asked about the last one is over."""
        self.sessions.replace(request)
        p = self.parts
        cleared: Updates = {
            p.held: None,
            p.sheet: None,
            **self.hand.row(None, None, ""),
            p.results: gr.update(visible=False),
            p.thought: gr.update(words="", live=False),
            p.about: gr.update(said={"kind": "idle", "words": ""}),
            **self._idle(),
        }
        if not path:
            said = {"kind": "idle", "words": "Bring a picture, ask in plain words."}
            empty = gr.update(scene=EMPTY_SCENE, phase=EMPTY_PHASE)
            return {**cleared, p.canvas: empty, p.status: gr.update(said=said)}
        board = Board(p.canvas, find_strategy(DEFAULT_STRATEGY))
        try:
            picture = uploaded(path)
            board.take(Loaded(picture, edits.sha256(path)))
        except Exception as error:  # noqa: BLE001 - a door
            self._note(error)
            board.fail(error)
            scene = gr.update(scene=EMPTY_SCENE, phase=board.phase)
            return {**cleared, p.canvas: scene, p.status: gr.update(said=board.line)}
        ready = {"name": "ready", "words": ""}
        said = {"kind": "idle", "words": described(picture)}
        canvas = gr.update(scene=board.scene, phase=ready)
        return {**cleared, p.sheet: board.sheet, p.canvas: canvas, p.status: gr.update(said=said)}

    # --- a question -----------------------------------------------------------------------------------------------

    def wait(self) -> Updates:
        """The question was sent: it may have to wait for others."""
        p = self.parts
        said = {"kind": "busy", "words": "waiting for the model"}
        return {p.status: gr.update(said=said), p.canvas: gr.update(phase=WAITING), **self._busy()}

    def ask(
        self,
        picture: str | None,
        raster: str | None,
        question: str,
        prompter: str,
        segmenter: str,
        strategy: str,
        negatives: bool,
        views: str = "auto",
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """Ask about the picture; yields what changed on the page until the result is there."""

        def work(stop: threading.Event, tell: Tell) -> None:
            asked = find_strategy(str(strategy))
            words = asked_words(question)
            self._check(prompter, self._prompters, "prompter")
            self._check(segmenter, self._segmenters, "size of SAM")
            check_views(views)
            check_zoom(zoom)
            tell(Stage("looking at the picture"))
            path = raster or picture
            loaded = uploaded(path)
            tell(Loaded(loaded, edits.sha256(str(path)), words))
            with self._line.turn(stop, lambda place: tell(Stage(f"waiting for the model: {ordinal(place)} in line"))):
                tell(Stage("loading the model"))
                writer = viewed(self._open_prompter(prompter), views)
                filler = self._open_segmenter(segmenter, zoom)
                tell(Opened(f"{writer.about}\n{filler.about}", writer.name, filler.name))
                tell(Stage("looking at the picture"))
                pipeline = Pipeline(writer, filler, strategy=asked, negatives=bool(negatives))
                for event in pipeline.steps(loaded, words, stop=stop):
                    tell(event)

        known = str(strategy) if str(strategy) in STRATEGIES else DEFAULT_STRATEGY
        yield from self._follow(Board(self.parts.canvas, find_strategy(known), bool(negatives)), work, request)

    def not_taken(self, request: gr.Request) -> Updates:
        """The question ended otherwise than by itself: it was stopped, which is told elsewhere, or not let in."""
        words = self.refused.pop(str(request.session_hash), None)
        if words is None:
            return {self.parts.status: gr.skip()}
        return {self.parts.status: gr.update(said={"kind": "error", "words": words}), **self._idle()}

    def stopped(self, request: gr.Request | None = None) -> Updates:
        """Stop was pressed, and gradio closes this session's generator: wait for that, so that no late word of it
        comes after this one."""
        self.sessions.wait_until_idle(request)
        p = self.parts
        words = "stopped; what was found stays"
        return {
            p.status: gr.update(said={"kind": "stopped", "words": words}),
            p.canvas: gr.update(phase={"name": "stopped", "words": ""}),
            p.thought: gr.update(live=False),
            **self._idle(),
        }

    # --- SAM alone ------------------------------------------------------------------------------------------------

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
        """The prompts were edited by hand."""
        yield from self.hand.edit(value, held, sheet, question, segmenter, zoom, request)

    def refine(
        self,
        held: Held | None,
        segmenter: str,
        strategy: str,
        negatives: bool,
        sheet: Sheet | None = None,
        value: Any = None,
        question: Any = "",
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """SAM's size, how close it looks, the strategy or the negative points changed: SAM runs again on the stored
        answer and edits."""
        yield from self.hand.refine(value, held, sheet, question, segmenter, strategy, negatives, zoom, request)

    def outcome(self, held: Held | None, sheet: Sheet | None, question: Any) -> Updates:
        """The masks of an edit are on the page: now the table and the files."""
        return self.hand.outcome(held, sheet, question, self._outcome)

    # --- examples -------------------------------------------------------------------------------------------------

    def choose(self, event: gr.EventData, request: gr.Request | None = None) -> Iterator[Updates]:
        """An example was chosen: its picture and question come, and its answer is replayed."""
        name = (getattr(event, "_data", None) or {}).get("name")
        p = self.parts
        example = self._examples.get(name) if isinstance(name, str) else None
        if example is None:
            yield {p.status: gr.update(said={"kind": "error", "words": "There is no such example."}), **self._idle()}
            return
        path = keep(p.picture, example.picture.read_bytes(), example.picture.name)
        yield {
            p.picture: path,
            p.raster: None,
            p.sources: gr.update(selected="picture"),
            p.question: example.question,
            **self.wait(),
        }

        def work(stop: threading.Event, tell: Tell) -> None:
            picture, result = example.result()
            tell(Loaded(picture, edits.sha256(example.picture), example.question))
            tell(Opened("", result.prompter, result.segmenter))
            for read in examples.replay(result, REPLAY_S, stop):
                tell(read)

        asked = find_strategy(str(example.document["strategy"]))
        # The picture goes with every update: gradio sends differences, and its page applies them to the value in place.
        for updates in self._follow(Board(p.canvas, asked, replayed=True), work, request):
            yield {**updates, p.picture: path}

    # --- models ---------------------------------------------------------------------------------------------------

    def tell_models(self, prompter: str, segmenter: str) -> Updates:
        """What the chosen models are and whether they run here, without loading them."""
        lines: list[str] = []
        for name, known, find, choose in (
            (prompter, self._prompters, models.find_prompter, weights.choose_prompter),
            (segmenter, self._segmenters, models.find_segmenter, weights.choose_segmenter),
        ):
            try:
                self._check(name, known, "model")
                if name == "auto":
                    reason = choose()[1]
                    lines.append(reason[:1].upper() + reason[1:])
                else:
                    found = find(name)
                    can = weights.availability(found)
                    lines.append(f"{found.about} {'Runs here' if can.runs else 'Cannot run here'}: {can.why}.")
            except Think2SegError as error:
                lines.append(str(error))
        return {self.parts.models: gr.update(said={"kind": "idle", "words": "\n".join(lines)})}

    # --- inside ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _check(name: object, known: list[str], what: str) -> None:
        """Only names of the page: the registry would take folders of the server as well."""
        if name not in known:
            raise ModelError(f"There is no {what} called {str(name)[:60]!r} here. Known: {', '.join(known)}.")

    def _follow(self, board: Board, work: Work, request: gr.Request | None) -> Iterator[Updates]:
        """Run `work` and yield what changes on the page."""
        self.sessions.replace(request)
        with self.sessions.running_for(request) as replaced:
            for updates in self._story(board, work):
                if replaced():
                    return
                yield updates

    def _story(self, board: Board, work: Work) -> Iterator[Updates]:
        p = self.parts
        yield {
            p.held: None,
            **self.hand.row(None, None, ""),
            p.status: gr.update(said=board.line),
            p.thought: gr.update(**board.thought),
            p.about: gr.update(said={"kind": "idle", "words": ""}),
            p.canvas: gr.update(phase=board.phase),
            **self._busy(),
            p.results: gr.update(visible=False),
        }
        try:
            for batch in Job(work).batches():
                yield self._changes(board, batch)
            if board.result is not None and board.picture is not None:
                # What the page shows once more: a browser that is very busy was seen to lose one of two quick updates.
                shown = {
                    p.status: gr.update(said=board.line),
                    p.thought: gr.update(**board.thought),
                    p.about: gr.update(said={"kind": "idle", "words": board.about}),
                }
                canvas = gr.update(scene=board.scene, phase=board.phase)
                yield {**self._outcome(board, board.result, board.picture), **shown, p.canvas: canvas, **self._idle()}
        except Exception as error:  # noqa: BLE001 - a door: whatever it is, the page stays usable
            self._note(error)
            board.fail(error)
            yield {
                p.status: gr.update(said=board.line),
                p.thought: gr.update(**board.thought),
                p.canvas: gr.update(phase=board.phase),
                **self._idle(),
            }

    def _changes(self, board: Board, batch: list[PageEvent]) -> Updates:
        """What `batch` changes: the status ticks always, the rest only when it must."""
        p = self.parts
        words, looks = len(board.words), (board.picture, dict(board.prompts), dict(board.masks))
        about = board.about
        for event in batch:
            board.take(event)
        changes: Updates = {p.status: gr.update(said=board.line)}
        if len(board.words) != words or board.result is not None:
            changes[p.thought] = gr.update(**board.thought)
        if looks != (board.picture, board.prompts, board.masks) or board.result is not None:
            phase = board.phase
            changes[p.canvas] = gr.update(scene=board.scene, phase=phase)
            changes[p.sheet] = board.editable()
        if board.about != about:
            changes[p.about] = gr.update(said={"kind": "idle", "words": board.about})
        return changes

    def _outcome(self, board: Board, result: Result, picture: Picture) -> Updates:
        """The table, the document and the files of a finished question."""
        p = self.parts
        held = record.document(result, picture.name)
        text = record.text(held)
        numbers = None if board.drawn is None else board.drawn.numbers
        drawing = overlay.draw(result, numbers=numbers)
        contents = (text.encode(), record.mask_png(result), record.png(drawing))
        names = ("result.json", "mask.png", "overlay.png")
        files = {
            button: gr.update(value=keep(button, content, name), interactive=True)
            for button, content, name in zip(p.files, contents, names, strict=True)
        }
        made = Held(result, picture, board.about, board.drawn, not board.replayed, not board.replayed, result)
        return {
            p.held: made,
            **self.hand.row(made, board.sheet, result.query.question),
            p.table: board.table(),
            p.document: text,
            p.results: gr.update(visible=True),
            **files,
        }

    def _busy(self) -> Updates:
        return {self.parts.segment: gr.update(interactive=False), self.parts.stop: gr.update(interactive=True)}

    def _idle(self) -> Updates:
        return {self.parts.segment: gr.update(interactive=True), self.parts.stop: gr.update(interactive=False)}

    @staticmethod
    def _note(error: BaseException) -> None:
        if not isinstance(error, Think2SegError):
            _log.error("A handler of the studio failed", exc_info=error)
