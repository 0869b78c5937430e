"""What happens in the lab when somebody compares, stops, or brings a truth mask.

As everywhere in the studio every input is checked here, and long work runs in a thread of its own. Stop sets an event
that the work reads; work that does not see it soon (a model that is being loaded) is left to end by itself.

It knows the lab's parts, gradio's events and `compare.py`; nothing of where things stand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from think2seg import compare as comparing
from think2seg import plate, record
from think2seg.errors import ModelError, QueryError, Think2SegError
from think2seg.images import Picture
from think2seg.prompter import Prompter, Writing
from think2seg.strategy import STRATEGIES
from think2seg.studio.board import Stage, percent
from think2seg.studio.canvas import keep
from think2seg.studio.hand import Held
from think2seg.studio.handlers import Updates
from think2seg.studio.intake import asked_words, uploaded, uploaded_path
from think2seg.studio.jobs import Job, Sessions
from think2seg.studio.lab_board import ComparisonBoard, Shown, trouble
from think2seg.studio.line import Gone, Line, ordinal
from think2seg.tiles import check_views, viewed
from think2seg.types import Result
from think2seg.zoom import OpenSegmenter, named
from think2seg.zoom import check as check_zoom

_log = logging.getLogger(__name__)
_GRACE_S = 0.5
"""How long work may take to end by itself, once it was told to stop."""

Kept = tuple[Result, ...]


@dataclass(frozen=True)
class LabParts:
    """The components that the lab's handlers write to."""

    run: Any
    stop: Any
    status: Any
    bench: Any
    plate: Any
    csv: Any
    answers: Any


class Stops:
    """The stopping events of what waits or runs, one a browser session; `request` is gradio's, or None."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}
        self._begun: set[str] = set()
        self._lock = threading.Lock()

    def expect(self, request: Any) -> threading.Event:
        """A new event for what is about to run in this session."""
        with self._lock:
            event = self._events[_name(request)] = threading.Event()
            return event

    def taken(self, request: Any) -> threading.Event:
        """The event of what runs now in this session, made if nothing expected it."""
        with self._lock:
            self._begun.add(_name(request))
            return self._events.setdefault(_name(request), threading.Event())

    def set(self, request: Any) -> Any:
        """Stop what waits or runs in this session; an update of its status line.

        What runs will say itself that it has stopped, and may do so before this update arrives: then it says nothing.
        """
        with self._lock:
            if _name(request) in self._events:
                self._events[_name(request)].set()
            begun = _name(request) in self._begun
        words = "it will not begin: it leaves the queue when its turn comes"
        return gr.skip() if begun else gr.update(said={"kind": "busy", "words": words})

    def forget(self, request: Any, event: threading.Event) -> None:
        with self._lock:
            if self._events.get(_name(request)) is event:
                del self._events[_name(request)]
                self._begun.discard(_name(request))


class Lab:
    """The handlers of the comparison, for all sessions of one page."""

    def __init__(
        self,
        parts: LabParts,
        open_prompter: Callable[[str], Prompter],
        open_segmenter: OpenSegmenter,
        prompters: Sequence[str],
        segmenters: Sequence[str],
        line: Line,
    ) -> None:
        self.parts = parts
        self._line = line
        self._open_prompter = open_prompter
        self._open_segmenter = open_segmenter
        self._prompters = prompters
        self._segmenters = segmenters
        self.stops = Stops()
        self.sessions = Sessions()

    def wait(self, request: gr.Request | None = None) -> Updates:
        """Compare was pressed: it may have to wait for others."""
        self.stops.expect(request)
        said = {"kind": "busy", "words": "waiting for the model"}
        return {self.parts.status: gr.update(said=said), **self._busy()}

    def stop(self, request: gr.Request | None = None) -> Updates:
        """Stop was pressed: the comparison sees it at its next heartbeat, or before it begins."""
        return {self.parts.status: self.stops.set(request)}

    def judge(self, truth: str | None, picture: str | None, raster: str | None) -> Updates:
        """A truth mask came or went: say what it holds, or why it cannot be used."""
        p = self.parts
        if not truth:
            return {p.status: gr.update(said={"kind": "idle", "words": ""})}
        try:
            path = uploaded_path(truth, "truth mask")
            if not (picture or raster):
                words = f"{path.name} will be compared with the picture once there is one."
                return {p.status: gr.update(said={"kind": "idle", "words": words})}
            pixels = uploaded(raster or picture).pixels
            mask = comparing.truth_mask(path, (pixels.shape[1], pixels.shape[0]))
            share = percent(float(mask.mean())) if mask.any() else "nothing: there is no target"
            words = f"The truth mask {path.name} marks {share}{' of the picture' if mask.any() else ''}."
            return {p.status: gr.update(said={"kind": "done", "words": words})}
        except Exception as error:  # noqa: BLE001 - a door
            note(error)
            return {p.status: gr.update(said={"kind": "error", "words": trouble(error)})}

    def compare(
        self,
        picture: str | None,
        raster: str | None,
        question: str,
        prompter: str,
        strategies: list[str],
        segmenters: list[str],
        negatives: bool,
        ask_each: bool,
        truth: str | None,
        held: Held | None,
        answers: Kept,
        views: str = "auto",
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """Compare strategies × sizes of SAM; yields what changed on the page, last of all the plate and the table."""
        p = self.parts
        stop = self.stops.taken(request)
        chosen, sizes = _names(strategies, STRATEGIES), _names(segmenters, self._segmenters)
        told_as = {named(name, zoom): name for name in sizes}
        board = ComparisonBoard(p.bench, chosen, list(told_as))

        def work(halt: threading.Event, tell: Callable[[Any], None]) -> None:
            for what, came, known in (
                ("strategy", strategies, STRATEGIES),
                ("size of SAM", segmenters, self._segmenters),
                ("prompter", [prompter], self._prompters),
            ):
                check(what, came, known)
            check_views(views)
            check_zoom(zoom)
            words = asked_words(question).strip()
            loaded = uploaded(raster or picture)
            height, width = loaded.pixels.shape[:2]
            right = comparing.truth_mask(uploaded_path(truth, "truth mask"), (width, height)) if truth else None
            tell(Shown(loaded, words))
            with self._line.turn(halt, lambda place: tell(Stage(f"waiting for the model: {ordinal(place)} in line"))):
                tell(Stage("loading the model"))
                writer = self.writer(prompter, views, held)
                stored = about_the_same([*answers, *said_by_the_model(held)], writer.name, loaded, words)
                for event in comparing.compare(
                    writer,
                    {told: partial(self._open_segmenter, name, zoom) for told, name in told_as.items()},
                    loaded,
                    words,
                    strategies=chosen,
                    negatives=bool(negatives),
                    answers=stored,
                    ask_each=bool(ask_each),
                    truth=right,
                    stop=halt,
                ):
                    tell(event)

        with self.sessions.running_for(request):
            yield {
                p.status: gr.update(said=board.line),
                p.plate: gr.update(interactive=False),
                p.csv: gr.update(interactive=False),
                **self._busy(),
            }
            try:
                for batch in followed(work, stop):
                    for event in batch:
                        board.take(event)
                    yield self._changes(board)
                if board.found is None:
                    board.stop()
                yield {**self._changes(board), **self._papers(board), **self._idle()}
            except Gone:  # it was stopped before its turn came
                board.stop()
                yield {**self._changes(board), **self._idle()}
            except Exception as error:  # noqa: BLE001 - a door: whatever it is, the page stays usable
                note(error)
                board.fail(error)
                yield {**self._changes(board), **self._idle()}
            finally:
                self.stops.forget(request, stop)

    def writer(self, name: str, views: str, held: Held | None) -> Prompter:
        """The prompter; if it cannot run here, one that says so when it is asked, for what needs no asking goes on."""
        try:
            return viewed(self._open_prompter(name), views)
        except ModelError as error:
            if not said_by_the_model(held):
                raise
            return _Missing(said_by_the_model(held)[0].prompter, error)

    def _changes(self, board: ComparisonBoard) -> Updates:
        """The status and the panel that is worked on always, the rest only when it must."""
        p = self.parts
        changes: dict[str, Any] = {"live": board.live}
        if board.stale and board.bench.begun:  # else what an earlier comparison came to stays
            board.stale = False
            changes["bench"] = board.bench.told
        return {p.status: gr.update(said=board.line), p.bench: gr.update(**changes)}

    def _papers(self, board: ComparisonBoard) -> Updates:
        """The plate and the table, if any panel came to something."""
        p, found = self.parts, board.found
        updates: Updates = {p.answers: board.answers} if board.answers else {}
        if found is None or all(panel.result is None for panel in found.panels):
            return updates
        for button, content, name in (
            (p.plate, record.png(plate.plate(found)), "comparison.png"),
            (p.csv, plate.table(found).encode(), "comparison.csv"),
        ):
            updates[button] = gr.update(value=keep(button, content, name), interactive=True)
        return updates

    def _busy(self) -> Updates:
        return {self.parts.run: gr.update(interactive=False), self.parts.stop: gr.update(interactive=True)}

    def _idle(self) -> Updates:
        return {self.parts.run: gr.update(interactive=True), self.parts.stop: gr.update(interactive=False)}


def followed(
    work: Callable[[threading.Event, Callable[[Any], None]], None], stop: threading.Event
) -> Iterator[list[Any]]:
    """What `work` tells, batch by batch, until it is over; once `stop` is set, for `_GRACE_S` at most."""
    if stop.is_set():
        return
    job, told_at = Job(work), None
    job.stop = stop  # so that the work sees it at once, and not at the next batch
    batches = job.batches()
    try:
        for batch in batches:
            yield batch
            if stop.is_set():
                told_at = told_at or time.monotonic()
                if time.monotonic() - told_at > _GRACE_S:
                    return
    finally:
        batches.close()  # type: ignore[attr-defined]


def said_by_the_model(held: Held | None) -> list[Result]:
    """The main desk's last answer as the model gave it, without what a person drew over it; none or one."""
    return [held.answer] if held is not None and held.answer is not None else []


def about_the_same(results: Sequence[Result], prompter: str, picture: Picture, question: str) -> Kept:
    """Those of `results` that are this prompter's to this question about this picture, one an asked strategy."""
    fit: dict[str, Result] = {}
    for result in results:
        query = result.query
        if (result.prompter, query.question) == (prompter, question) and np.array_equal(query.image, picture.pixels):
            fit[result.strategy] = result
    return tuple(fit.values())


def check(what: str, came: object, known: Sequence[str] | dict[str, Any]) -> None:
    """Only names of the page, each once: the registry would take folders of the server as well."""
    if not isinstance(came, list | tuple) or not came:
        raise QueryError(f"No {what} is chosen. Choose one, or several.")
    for name in came:
        if name not in list(known):
            raise QueryError(f"There is no {what} called {str(name)[:60]!r} here. Known: {', '.join(known)}.")
    if len(set(came)) < len(came):
        raise QueryError(f"Every {what} is compared once; one came twice.")


def note(error: BaseException) -> None:
    """What is our own fault goes to the log."""
    if not isinstance(error, Think2SegError):
        _log.error("A handler of the lab failed", exc_info=error)


def _names(came: object, known: Sequence[str] | dict[str, Any]) -> list[str]:
    """Those of `came` that are known, for the panels to begin with; what is wrong with the rest is told later."""
    return [name for name in came if name in list(known)] if isinstance(came, list | tuple) else []


def _name(request: Any) -> str:
    return str(getattr(request, "session_hash", None) or "")


class _Missing:
    """A prompter that cannot run here, under the name of the one whose stored answers are there."""

    about = ""

    def __init__(self, name: str, error: ModelError) -> None:
        self.name = name
        self._error = error

    def write(self, *_arguments: Any, **_options: Any) -> Writing:
        raise self._error
