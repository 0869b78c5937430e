"""What happens when somebody asks how sure the answer is: samples are drawn, and vote.

It knows its parts, gradio's events and `votes.py`; nothing of where things stand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from think2seg import votes as voting
from think2seg.errors import QueryError
from think2seg.prompter import Prompter
from think2seg.strategy import find_strategy
from think2seg.studio.board import Stage
from think2seg.studio.hand import Held
from think2seg.studio.handlers import Updates
from think2seg.studio.intake import asked_words, uploaded
from think2seg.studio.jobs import Sessions
from think2seg.studio.lab_board import Shown
from think2seg.studio.lab_handlers import Stops, about_the_same, check, followed, note, said_by_the_model
from think2seg.studio.line import Gone, Line, ordinal
from think2seg.studio.votes_board import VotesBoard
from think2seg.tiles import check_views, viewed
from think2seg.zoom import OpenSegmenter
from think2seg.zoom import check as check_zoom

MOST = 16
"""Samples that the page draws at most: each takes as long as a question."""


@dataclass(frozen=True)
class VotesParts:
    """The components that these handlers write to."""

    run: Any
    stop: Any
    status: Any
    bench: Any


class Poll:
    """The handlers of the samples, for all sessions of one page."""

    def __init__(
        self,
        parts: VotesParts,
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
        """The button was pressed: it may have to wait for others."""
        self.stops.expect(request)
        return {self.parts.status: gr.update(said={"kind": "busy", "words": "waiting for the model"}), **self._busy()}

    def stop(self, request: gr.Request | None = None) -> Updates:
        """Stop was pressed: the samples that are there still vote."""
        return {self.parts.status: self.stops.set(request)}

    def ask(
        self,
        picture: str | None,
        raster: str | None,
        question: str,
        prompter: str,
        segmenter: str,
        strategy: str,
        negatives: bool,
        number: float,
        temperature: float,
        seed: float,
        held: Held | None,
        views: str = "auto",
        zoom: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[Updates]:
        """Draw samples; yields what changed on the page until they have voted."""
        p = self.parts
        stop = self.stops.taken(request)
        count = int(number) if _is_whole(number) and 1 <= number <= MOST else 0
        board = VotesBoard(p.bench, count)

        def work(halt: threading.Event, tell: Callable[[Any], None]) -> None:
            check("prompter", [prompter], self._prompters)
            check("size of SAM", [segmenter], self._segmenters)
            check_views(views)
            check_zoom(zoom)
            asked = find_strategy(str(strategy))
            words = asked_words(question).strip()
            if not count:
                raise QueryError(f"The number of samples must be whole and lie in 1-{MOST}; it is {str(number)[:20]}.")
            if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not _is_whole(seed):
                raise QueryError("The temperature and the seed must be numbers, the seed a whole one.")
            loaded = uploaded(raster or picture)
            tell(Shown(loaded, words))
            with self._line.turn(halt, lambda place: tell(Stage(f"waiting for the model: {ordinal(place)} in line"))):
                tell(Stage("loading the model"))
                writer = viewed(self._open_prompter(prompter), views)
                filler = self._open_segmenter(segmenter, zoom)
                stored = about_the_same(said_by_the_model(held), writer.name, loaded, words)
                greedy = next((r for r in stored if (r.strategy, r.segmenter) == (asked.name, filler.name)), None)
                for event in voting.votes(
                    writer,
                    filler,
                    loaded,
                    words,
                    number=count,
                    temperature=float(temperature),
                    seed=int(seed),
                    strategy=asked,
                    negatives=bool(negatives),
                    greedy=greedy,
                    stop=halt,
                ):
                    tell(event)

        with self.sessions.running_for(request):
            yield {p.status: gr.update(said=board.line), **self._busy()}
            try:
                for batch in followed(work, stop):
                    for event in batch:
                        board.take(event)
                    yield self._changes(board)
                if not board.over:
                    board.stop()
                yield {**self._changes(board), **self._idle()}
            except Gone:  # it was stopped before its turn came
                board.stop()
                yield {**self._changes(board), **self._idle()}
            except Exception as error:  # noqa: BLE001 - a door: whatever it is, the page stays usable
                note(error)
                board.fail(error)
                yield {**self._changes(board), **self._idle()}
            finally:
                self.stops.forget(request, stop)

    def _changes(self, board: VotesBoard) -> Updates:
        p = self.parts
        changes: dict[str, Any] = {"live": board.live}
        if board.stale and board.bench.begun:
            board.stale = False
            changes["bench"] = board.bench.told
        return {p.status: gr.update(said=board.line), p.bench: gr.update(**changes)}

    def _busy(self) -> Updates:
        return {self.parts.run: gr.update(interactive=False), self.parts.stop: gr.update(interactive=True)}

    def _idle(self) -> Updates:
        return {self.parts.run: gr.update(interactive=True), self.parts.stop: gr.update(interactive=False)}


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
