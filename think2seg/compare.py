"""One picture, one question: strategies × segmenters, on one embedding a segmenter, as events and a comparison.

A strategy that can be cut from an answer that is already there costs the segmenter's time only; the others ask the
prompter again, one after another. Of several ways to get a strategy's prompts the first segmenter's is kept for all,
so that panels of one strategy differ by their segmenter alone. What fails costs its own panel.

It knows the pipeline and no door: no page, no terminal, no file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from think2seg import images
from think2seg.comparison import Comparison, Panel, Place, truth_mask
from think2seg.errors import AnswerError, ModelError, QueryError
from think2seg.pipeline import Pipeline, Source, checked_question
from think2seg.prompter import Prompter, Sampling, Writing
from think2seg.segmenter import Segmenter
from think2seg.strategy import Strategy, find_strategy
from think2seg.types import Event as PipelineEvent
from think2seg.types import Finished, Mask, Prompt, Query, Result, Thinking

__all__ = ["Began", "Compared", "Comparison", "Ended", "Panel", "Place", "Thought", "compare", "truth_mask"]

_NOTICE_S = 0.05


@dataclass(frozen=True)
class Began:
    """Event: a panel has begun. source: the strategy whose answer it is cut from, None if the prompter is asked."""

    place: Place
    source: str | None


@dataclass(frozen=True)
class Thought:
    """Event: the thought of a panel that is asked for grew by `delta`. Untrusted text."""

    place: Place
    delta: str


@dataclass(frozen=True, eq=False)
class Ended:
    """Event: a panel is done, has failed (`panel.error` says why), or was stopped."""

    panel: Panel


@dataclass(frozen=True, eq=False)
class Compared:
    """Event: the last one, with all panels in the order of the strategies that were named, and for each of the
    segmenters. answers: what the prompter wrote or was given, one result an asked strategy, for the next comparison."""

    comparison: Comparison
    answers: tuple[Result, ...]


Event = Began | Thought | Ended | Compared


def compare(
    prompter: Prompter,
    segmenters: Mapping[str, Callable[[], Segmenter]],
    image: Source,
    question: str,
    *,
    strategies: Sequence[str | Strategy],
    negatives: bool = True,
    answers: Sequence[Result] = (),
    ask_each: bool = False,
    truth: NDArray[np.bool_] | None = None,
    stop: threading.Event | None = None,
    deadline_s: float = 300.0,
) -> Iterator[Event]:
    """Events until `Compared`.

    segmenters: how to open each, by name; one is opened when its turn comes, so that few are in memory at once.
    answers: results of the same prompter to the same question about the same picture, which need not be asked for
    again. ask_each: ask for every strategy in its own words, and cut none from another's answer. truth: (H, W) bool.

    Setting `stop` ends it within a token: panels that are not done then are stopped, and `Compared` still comes.
    Raises `QueryError` (no strategy, one that is unknown or named twice, an answer about something else),
    `ImageError`; what a model raises is its panels' error and ends no other panel.
    """
    chosen = [find_strategy(name) for name in strategies]
    for what, names in (("strategy", [s.name for s in chosen]), ("segmenter", list(segmenters))):
        if not names:
            raise QueryError(f"A comparison needs at least one {what}; none was chosen. Choose one, or several.")
        if len(set(names)) < len(names):
            raise QueryError(f"A comparison takes every {what} once; it got {', '.join(names)}.")
    picture = image if isinstance(image, images.Picture) else images.load(image)
    query = Query(picture.pixels, checked_question(question))
    for answer in answers:
        same = answer.query.size == query.size and np.array_equal(answer.query.image, query.image)
        if not same or answer.query.question != query.question or answer.prompter != prompter.name:
            raise QueryError("A stored answer is of another prompter, picture or question; ask again without it.")
    if truth is not None and truth.shape != query.image.shape[:2]:
        raise QueryError(
            f"The truth mask has {truth.shape[1]} × {truth.shape[0]} pixels, the picture {query.size[0]} × "
            f"{query.size[1]}. Give a mask of the picture's own size."
        )
    run = _Run(prompter, picture, query, negatives, ask_each, stop or threading.Event(), deadline_s, list(answers))
    for name, opener in segmenters.items():
        yield from run.column(name, opener, chosen)
    places = [Place(strategy.name, name) for strategy in chosen for name in segmenters]
    panels = tuple(run.panels.get(place, Panel(place)) for place in places)
    yield Compared(Comparison(query, panels, run.encodings, truth), tuple(run.answers))


@dataclass
class _Run:
    """What one comparison has come to so far."""

    prompter: Prompter
    picture: images.Picture
    query: Query
    negatives: bool
    ask_each: bool
    stop: threading.Event
    deadline_s: float
    answers: list[Result]
    sources: dict[str, Result] = field(default_factory=dict)  # by the strategy that is cut from it, for all segmenters
    refused: dict[str, AnswerError | ModelError] = field(default_factory=dict)  # by the strategy that was asked for
    panels: dict[Place, Panel] = field(default_factory=dict)
    encodings: dict[str, float] = field(default_factory=dict)

    def column(self, name: str, opener: Callable[[], Segmenter], chosen: Sequence[Strategy]) -> Iterator[Event]:
        """All strategies through one segmenter: first those whose answers are there, then the rich before the poor that
        can be cut from them."""
        if self.stop.is_set():
            return
        try:
            segmenter = _Timed(opener())
            started = time.monotonic()
            segmenter.encode(self.query.image)
            self.encodings[name] = time.monotonic() - started
        except ModelError as error:
            for strategy in chosen:
                yield self._end(Panel(Place(strategy.name, name), error=error))
            return
        at_hand = [s for s in chosen if self._source(s) is not None]
        to_ask = sorted((s for s in chosen if s not in at_hand), key=lambda s: -_richness(s))
        for strategy in [*at_hand, *to_ask]:
            if self.stop.is_set():
                return
            place = Place(strategy.name, name)
            segmenter.taken()
            source = self._source(strategy)
            if source is not None:
                yield Began(place, source.strategy)
                yield self._end(self._cut(place, strategy, source, segmenter))
            elif strategy.name in self.refused:
                yield self._end(Panel(place, error=self.refused[strategy.name]))
            else:
                yield Began(place, None)
                yield from self._ask(place, strategy, segmenter)

    def _source(self, strategy: Strategy) -> Result | None:
        """The answer that `strategy` is cut from: its own, else the poorest that holds all it sends."""
        if strategy.name not in self.sources:
            fit = [
                answer
                for answer in self.answers
                if answer.strategy == strategy.name
                or (not self.ask_each and strategy.can_be_cut_from(find_strategy(answer.strategy)))
            ]
            if not fit:
                return None
            self.sources[strategy.name] = min(
                fit, key=lambda a: (a.strategy != strategy.name, _richness(find_strategy(a.strategy)))
            )
        return self.sources[strategy.name]

    def _cut(self, place: Place, strategy: Strategy, source: Result, segmenter: _Timed) -> Panel:
        try:
            line = Pipeline(self.prompter, segmenter, strategy=source.strategy, negatives=self.negatives)
            result = line.refine(source, strategy=strategy)
        except ModelError as error:
            return Panel(place, source=source.strategy, error=error)
        return Panel(place, result, source=source.strategy, segmenter_s=segmenter.taken())

    def _ask(self, place: Place, strategy: Strategy, segmenter: _Timed) -> Iterator[Event]:
        writer = _Noted(self.prompter)
        line = Pipeline(writer, segmenter, strategy=strategy, negatives=self.negatives, deadline_s=self.deadline_s)
        result: Result | None = None
        try:
            with stops_with(self.stop) as halt, closing(self._steps(line, halt)) as steps:
                for event in steps:
                    if self.stop.is_set():
                        break
                    if isinstance(event, Thinking):
                        yield Thought(place, event.delta)
                    elif isinstance(event, Finished):
                        result = event.result
        except (AnswerError, ModelError) as error:
            if not self.stop.is_set():  # what was cut off may well be unreadable, and says nothing of the model
                if isinstance(error, AnswerError) or segmenter.failed is not error:
                    self.refused[strategy.name] = error
                yield self._end(Panel(place, error=error))
                return
        if result is None or self.stop.is_set():
            yield self._end(Panel(place))
            return
        self.answers.append(result)
        self.sources[strategy.name] = result
        yield self._end(Panel(place, result, prompter_s=writer.seconds, segmenter_s=segmenter.taken()))

    def _steps(self, line: Pipeline, stop: threading.Event) -> Generator[PipelineEvent, None, None]:
        """`line.steps`, as a generator that can be closed."""
        yield from line.steps(self.picture, self.query.question, stop=stop)

    def _end(self, panel: Panel) -> Ended:
        self.panels[panel.place] = panel
        return Ended(panel)


def _richness(strategy: Strategy) -> int:
    return strategy.box + strategy.positives + strategy.negatives


@contextmanager
def stops_with(stop: threading.Event) -> Iterator[threading.Event]:
    """An event for one call of `Pipeline.steps`, which sets it at its end, that is also set when `stop` is."""
    own = threading.Event()

    def watch() -> None:
        while not own.is_set():
            if stop.wait(_NOTICE_S):
                own.set()

    watching = threading.Thread(target=watch, name="think2seg-stop", daemon=True)
    watching.start()
    try:
        yield own
    finally:
        own.set()


class _Timed:
    """A segmenter that adds up the seconds of its decoding and remembers what it raised."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.name, self.about = segmenter.name, segmenter.about
        self.failed: ModelError | None = None
        self._segmenter = segmenter
        self._seconds = 0.0

    def encode(self, image: NDArray[np.uint8]) -> None:
        self._segmenter.encode(image)

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        started = time.monotonic()
        try:
            return self._segmenter.segment(image, prompts)
        except ModelError as error:
            self.failed = error
            raise
        finally:
            self._seconds += time.monotonic() - started

    def taken(self) -> float:
        """Seconds since the last time."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class _Noted:
    """A prompter whose `seconds` say how long it took from being asked to its last word."""

    def __init__(self, prompter: Prompter) -> None:
        self.name, self.about = prompter.name, prompter.about
        self.seconds: float | None = None
        self._prompter = prompter

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        del sampling  # a comparison is of greedy answers
        started = time.monotonic()
        writing = self._prompter.write(query, strategy, stop=stop, deadline=deadline)
        return replace(writing, pieces=self._pieces(writing, started))

    def _pieces(self, writing: Writing, started: float) -> Generator[str, None, None]:
        with closing(writing.pieces) as pieces:
            yield from pieces
        self.seconds = time.monotonic() - started
