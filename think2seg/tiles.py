"""A prompter that looks closer: any prompter, asked about the whole picture and about tiles of it, as one.

Models see a picture at a fixed size, and what is a few pixels there is lost on them. A tile is asked the same question
at a larger scale; what the views say is merged into one answer in source-image pixels, written in our own dialect, so
that everything behind a prompter (reading, streaming, scoring) is as ever. The text is therefore ours; the views' own
words stand in its thought.

It fits questions about all objects of a kind. Of superlatives ("the largest") and counts a tile knows nothing, and each
tile is one more chance of a false alarm; what that costs stands in docs/evaluation.md. So tiles can be kept for where
the whole picture already shows so many objects, and a prompter says itself (`tiled`, true or false; none is false)
whether it is best asked so. It does not know models or segmenters.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import overload

from think2seg.answer import MAX_INSTANCES, MAX_TEXT, ThoughtGrew, render
from think2seg.dialect import find_dialect
from think2seg.errors import AnswerError, QueryError
from think2seg.prompter import BatchPrompter, Prompter, Sampling, Writing
from think2seg.strategy import Strategy
from think2seg.types import Answer, Completion, Prompt, Query
from think2seg.views import View, merged, placed, views

SETTLED = (2, 2)
"""Tiles a side, and from how many objects on, where nobody gives numbers: what was chosen on validation photographs."""
VIEWS = {
    "auto": "auto",
    "whole": "whole picture",
    "tiles": "tiles too, if several",
}
"""What a prompter can be asked about, by name, and in words: what it is best asked about; the whole picture alone; four
tiles of it as well, where the whole picture shows two objects or more."""
_MOST = 4
_SENTENCE = re.compile(r"(?<=[.!?])\s+")  # where one ends and the next begins


def check(side: int | None, least: int = 0) -> None:
    """Raises `QueryError` for tiles a side that are not offered (1 is none, None the prompter's own), and for `least`
    where no number of tiles is given."""
    if side is not None and not 1 <= side <= _MOST:
        raise QueryError(f"Tiles are 2 to {_MOST} a side, or 1 for none; {side} came.")
    if side in (None, 1) and least:
        raise QueryError(f"There are no tiles that could wait for {least} objects; ask for 2 to {_MOST} a side too.")
    if not 0 <= least <= MAX_INSTANCES:
        raise QueryError(f"Tiles can wait for 0 to {MAX_INSTANCES} objects in the whole picture; {least} came.")


def settled(prompter: Prompter, side: int | None, least: int = 0) -> tuple[int, int]:
    """Tiles a side, and from how many objects on: as given, or where `side` is None as `prompter` is best asked.

    Raises `QueryError`.
    """
    check(side, least)
    if side is not None:
        return side, least
    return SETTLED if getattr(prompter, "tiled", False) else (1, 0)


@overload
def tiled(prompter: BatchPrompter, side: int | None, least: int = 0) -> BatchPrompter: ...
@overload
def tiled(prompter: Prompter, side: int | None, least: int = 0) -> Prompter: ...
def tiled(prompter: Prompter, side: int | None, least: int = 0) -> Prompter:
    """`prompter`, asked about `side` x `side` tiles as well; itself for 1, as it is best asked for None. It writes
    batches where `prompter` does. Raises `QueryError`."""
    side, least = settled(prompter, side, least)
    if side == 1:
        return prompter
    return BatchTiled(prompter, side, least) if hasattr(prompter, "complete") else Tiled(prompter, side, least)


def check_views(views: str) -> None:
    """Raises `QueryError` for what is no key of `VIEWS`."""
    if not isinstance(views, str) or views not in VIEWS:
        raise QueryError(f"There are no views called {str(views)[:60]!r}. Known: {', '.join(VIEWS)}.")


def viewed(prompter: Prompter, views: str) -> Prompter:
    """`prompter`, asked about what a key of `VIEWS` says. Raises `QueryError` for any other word."""
    check_views(views)
    if views == "tiles":
        return tiled(prompter, *SETTLED)
    return tiled(prompter, None if views == "auto" else 1)


class Tiled:
    """A `Prompter` made of another one. side: tiles a side; the whole picture is asked about first. least: tiles
    are asked about only where the whole picture shows so many objects, or where what it says cannot be read."""

    def __init__(self, prompter: Prompter, side: int, least: int = 0) -> None:
        """Raises `QueryError` for a number of tiles that is not offered."""
        check(side, least)
        self._prompter = prompter
        self._side = side
        self._least = least
        where = f", where it shows {least} objects or more," if least else ""
        self.name = f"{prompter.name}, {side} x {side} tiles" + (f" from {least} on" if least else "")
        self.about = f"{prompter.about} Asked about the whole picture and{where} {side} x {side} tiles of it."

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        """The whole picture's thought and answer come first; then the tiles' thoughts, and an answer in its place."""
        its = views(query.size, self._side)
        first = self._prompter.write(_seen(query, its[0]), strategy, stop=stop, deadline=deadline, sampling=sampling)
        pieces = self._pieces(query, strategy, stop, deadline, sampling, its, first)
        return Writing(query.size, pieces, processors=first.processors)

    def _closer(self, shown: int | None) -> bool:
        """Whether tiles are asked about where the whole picture shows so many objects, None if that cannot be read."""
        return not self._least or shown is None or shown >= self._least

    def _pieces(
        self,
        query: Query,
        strategy: Strategy,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None,
        its: Sequence[View],
        writing: Writing,
    ) -> Generator[str, None, None]:
        yield "<think>"
        told = _Told(query, strategy)
        yield from told.follow(its[0], writing)
        if told.shown is not None:  # an answer already, which stands if the tiles say no other
            yield _answered(told.prompts())
            if not self._closer(told.shown):
                return
        tiles = self._tiles(query, strategy, stop, deadline, sampling, its[1:], writing.processors)
        for view, closer in tiles:
            yield "\n<think>" if told.views == 1 and told.shown is not None else "\n"
            yield from told.follow(view, closer)
        if told.views > 1 or told.shown is None:
            prompts = told.prompts()
            yield told.sum(prompts) + _answered(prompts)

    def _tiles(
        self,
        query: Query,
        strategy: Strategy,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None,
        tiles: Sequence[View],
        processors: int,
    ) -> Iterator[tuple[View, Writing]]:
        """Each tile with what is written about it, one after another until it is told to stop. processors: how many of
        this machine's the writing keeps busy."""
        for view in tiles:
            if _over(stop, deadline):
                return
            seen = _seen(query, view)
            yield view, self._prompter.write(seen, strategy, stop=stop, deadline=deadline, sampling=sampling)


class BatchTiled(Tiled):
    """A `BatchPrompter` made of another one, in every other way as `Tiled`, but that on this machine's processors the
    tiles are written about as one batch, in half the time: its words come at once, and it ends no earlier."""

    _prompter: BatchPrompter

    def _tiles(
        self,
        query: Query,
        strategy: Strategy,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None,
        tiles: Sequence[View],
        processors: int,
    ) -> Iterator[tuple[View, Writing]]:
        if not processors:
            yield from super()._tiles(query, strategy, stop, deadline, sampling, tiles, processors)
        elif tiles and not _over(stop, deadline):
            seen = [_seen(query, view) for view in tiles]
            written = self._prompter.complete(seen, strategy, sampling=sampling)
            yield from zip(tiles, map(_whole, written), strict=True)

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        cut = [views(query.size, self._side) for query in queries]
        told = [_Told(query, strategy) for query in queries]
        thoughts: list[list[str]] = [[] for _ in queries]

        def ask(asked: list[tuple[int, View]]) -> None:
            for start in range(0, len(asked), len(queries)):  # tiles as many at once as pictures
                part = asked[start : start + len(queries)]
                seen = [_seen(queries[k], view) for k, view in part]
                written = self._prompter.complete(seen, strategy, sampling=sampling)
                for (k, view), completion in zip(part, written, strict=True):
                    thoughts[k].append(told[k].take(view, completion))

        ask([(k, its[0]) for k, its in enumerate(cut)])
        ask([(k, view) for k, its in enumerate(cut) if self._closer(told[k].shown) for view in its[1:]])
        return [its.together("\n".join(thought)) for its, thought in zip(told, thoughts, strict=True)]


def _answered(prompts: tuple[Prompt, ...]) -> str:
    """The end of a thought, and the answer."""
    return render(Answer("", prompts)).removeprefix("<think> ")


def _whole(completion: Completion) -> Writing:
    """What is written already, as one piece."""
    return Writing(completion.frame, (piece for piece in (completion.text,)), completion.dialect)


def _over(stop: threading.Event, deadline: float | None) -> bool:
    return stop.is_set() or (deadline is not None and time.monotonic() > deadline)


def _seen(query: Query, view: View) -> Query:
    x1, y1, x2, y2 = view.window
    return Query(query.image[y1:y2, x1:x2], query.question)


class _Told:
    """What the views of one picture have told so far: thoughts for a reader, prompts for the answer.

    The first view's thought comes as it grows, in its own words; a tile's on a line of its own, sentence by sentence,
    without those that the first view had as well.
    """

    def __init__(self, query: Query, strategy: Strategy) -> None:
        self._query, self._strategy = query, strategy
        self._left = MAX_TEXT // 4  # characters of thoughts
        self._said: frozenset[str] = frozenset()
        self._found: list[tuple[View, Sequence[Prompt]]] = []
        self._first: Completion | None = None
        self._failed: AnswerError | None = None
        self.views = 0
        self.shown: int | None = None
        """Objects that the first view shows; None where that cannot be read."""

    def follow(self, view: View, writing: Writing) -> Iterator[str]:
        """Take what is written about the next view to its end; what of it is told, piece by piece."""
        first = not self.views
        self.views += 1
        reader = find_dialect(writing.dialect).reader(writing.frame, self._strategy)
        text: list[str] = []
        thought = ""  # of a tile: what is not yet a sentence
        if not first:
            yield self._cut(f"{view.name.capitalize()}:")
        new = 0
        with closing(writing.pieces) as pieces:
            for piece in pieces:
                text.append(piece)
                for event in reader.feed(piece):
                    if not isinstance(event, ThoughtGrew):
                        continue
                    thought += event.delta
                    if first:
                        yield self._cut(event.delta)
                    else:
                        *sentences, thought = _SENTENCE.split(thought)
                        fresh = [s for s in sentences if s.strip() not in self._said]
                        new += len(fresh)
                        yield self._cut("".join(f" {s}" for s in fresh))
        if first:
            self._said = frozenset(s.strip() for s in _SENTENCE.split(thought))
        elif thought.strip() not in self._said:
            yield self._cut(f" {thought.strip()}")
        elif not new:
            yield self._cut(" the same.")
        written = Completion("".join(text), writing.frame, writing.dialect)
        self._first = self._first or written
        yield self._cut(self._read(view, written, first))

    def take(self, view: View, completion: Completion) -> str:
        """The same for what is written already."""
        return "".join(self.follow(view, _whole(completion)))

    def prompts(self) -> tuple[Prompt, ...]:
        """All views' prompts, one an object. Raises `AnswerError` if no view's text can be read."""
        if not self._found and self._failed is not None:
            raise self._failed
        return merged(self._found, self._query.size)

    def sum(self, prompts: Sequence[Prompt]) -> str:
        """The last line of the thoughts, if there is more than one view."""
        count = "nothing" if not prompts else f"a total of {len(prompts)} object{'s' * (len(prompts) > 1)}"
        return f"\nTogether: {count}." if self.views > 1 else ""

    def together(self, thought: str) -> Completion:
        """The views' completions as one, with this thought; the first as it is if none can be read."""
        assert self._first is not None
        try:
            prompts = self.prompts()
        except AnswerError:
            return self._first
        return Completion(render(Answer((thought + self.sum(prompts)).strip(), prompts)), self._query.size)

    def _read(self, view: View, written: Completion, first: bool) -> str:
        """Keep the view's prompts; what is told if there are none to read."""
        try:
            answer = find_dialect(written.dialect).parse(written.text, written.frame, self._strategy)
        except AnswerError as error:
            self._failed = self._failed or error
            return f" Its answer cannot be read. {error.why}"
        if first:
            self.shown = len(answer.prompts)
        self._found.append((view, placed([p.moved(written.frame, view.size) for p in answer.prompts], view)))
        return ""

    def _cut(self, words: str) -> str:
        """`words` without what would end our thought or begin our answer, and no more than there is room for."""
        kept = re.sub(r"<(/?)(think|answer)", r"(\1\2", words, flags=re.IGNORECASE)[: self._left]
        self._left -= len(kept)
        return kept
