"""A prompter that looks closer: any prompter, asked about the whole picture and about tiles of it, as one.

Models see a picture at a fixed size, and what is a few pixels there is lost on them. A tile is asked the same question
at a larger scale; what the views say is merged into one answer in source-image pixels, written in our own dialect, so
that everything behind a prompter (reading, streaming, scoring) is as ever. The text is therefore ours; the views' own
words stand in its thought.

It fits questions about all objects of a kind. Of superlatives ("the largest") and counts a tile knows nothing, and each
tile is one more chance of a false alarm; what that costs stands in docs/evaluation.md. So tiles can be kept for where
the whole picture already shows so many objects. It does not know models or segmenters.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from think2seg.answer import MAX_INSTANCES, MAX_TEXT, ThoughtGrew, box_iou, render
from think2seg.dialect import find_dialect
from think2seg.errors import AnswerError, QueryError
from think2seg.prompter import BatchPrompter, Sampling, Writing
from think2seg.strategy import Strategy
from think2seg.types import Answer, Box, Completion, Point, Prompt, Query, Size

OVERLAP = 0.2
"""The share of a tile's side that it shares with its neighbour."""
SMALLEST = 32
"""Pixels of the source image: a tile is at least this wide and high, or the picture is not cut."""
LARGE = 0.4
"""From this share of a tile's longer side on, the view of the whole picture knows an object better than a tile."""
SAME = 0.5
"""IoU, or the share of the smaller box that lies in the larger, above which two views mean one object."""
_CUT = 0.015  # of a tile's side: a box that comes this near an inner edge of its tile is cut off there
_THINNEST = 0.01  # pixels; a thinner box is no object
_MOST = 4

_VERTICAL = {2: ("upper", "lower"), 3: ("upper", "middle", "lower")}
_SIDEWAYS = {2: ("left", "right"), 3: ("left", "centre", "right")}


@dataclass(frozen=True)
class View:
    """A part of the picture: its name, and its window (x1, y1, x2, y2) in whole source-image pixels."""

    name: str
    window: tuple[int, int, int, int]

    @property
    def size(self) -> Size:
        """(width, height) in source-image pixels."""
        return self.window[2] - self.window[0], self.window[3] - self.window[1]

    def cuts(self, box: Box, size: Size) -> bool:
        """Whether `box`, in source-image pixels, ends at an edge of the view that is no edge of the picture."""
        near = [_CUT * side for side in self.size]
        return any(
            abs(box[k] - self.window[k]) <= near[k % 2] and self.window[k] not in (0, size[k % 2]) for k in range(4)
        )


def views(size: Size, side: int) -> tuple[View, ...]:
    """The whole picture of `size`, (width, height), then `side` x `side` overlapping tiles row by row."""
    whole = View("the whole picture", (0, 0, *size))
    spans = [_spans(length, side) for length in size]
    if any(end - start < SMALLEST for span in spans for start, end in span):
        return (whole,)
    tiles = [
        View(_place(row, column, side), (x1, y1, x2, y2))
        for row, (y1, y2) in enumerate(spans[1])
        for column, (x1, x2) in enumerate(spans[0])
    ]
    return (whole, *tiles)


def _spans(length: int, parts: int) -> list[tuple[int, int]]:
    tile = min(length, round(length / (parts - (parts - 1) * OVERLAP)))
    return [(start, start + tile) for start in (round(k * (length - tile) / (parts - 1)) for k in range(parts))]


def _place(row: int, column: int, side: int) -> str:
    if side not in _VERTICAL:
        return f"row {row + 1}, column {column + 1}"
    return f"{_VERTICAL[side][row]} {_SIDEWAYS[side][column]}"


def merged(found: Sequence[tuple[View, Sequence[Prompt]]], size: Size) -> tuple[Prompt, ...]:
    """One prompt an object, of what the views found; all in source-image pixels of a picture of `size`.

    Of two boxes that mean one object the better-seen stays: a large one as the whole picture shows it, a small one as a
    tile does, and one that a tile's edge cuts off only if nothing else shows it. Prompts without a box are one object
    where a positive point of both lies within a fiftieth of the picture's longer side.
    """
    ranked: list[tuple[int, int, Prompt]] = []
    for view, prompts in found:
        is_whole = view.size == size
        for prompt in prompts:
            rank = 1 if is_whole else 0
            if prompt.box is not None:
                if view.cuts(prompt.box, size):
                    rank = 2
                elif is_whole and max(_sides(prompt.box)) >= LARGE * max(_tile(found, size)):
                    rank = -1
            ranked.append((rank, len(ranked), prompt))
    kept: list[tuple[int, Prompt]] = []
    for _, order, prompt in sorted(ranked, key=lambda r: r[:2]):
        if not any(_same(prompt, other, size) for _, other in kept):
            kept.append((order, prompt))
    prompts = [prompt for _, prompt in sorted(kept, key=lambda k: k[0])]
    if len(prompts) > MAX_INSTANCES:
        large = sorted(prompts, key=lambda p: -(_area(p.box) if p.box else 0.0))[:MAX_INSTANCES]
        prompts = [p for p in prompts if p in large]
    return tuple(prompts)


def _tile(found: Sequence[tuple[View, Sequence[Prompt]]], size: Size) -> Size:
    return next((view.size for view, _ in found if view.size != size), size)


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _area(box: Box) -> float:
    return _sides(box)[0] * _sides(box)[1]


def _same(a: Prompt, b: Prompt, size: Size) -> bool:
    if a.box is not None and b.box is not None:
        shared = [min(a.box[k + 2], b.box[k + 2]) - max(a.box[k], b.box[k]) for k in (0, 1)]
        inside = max(shared[0], 0.0) * max(shared[1], 0.0) / max(min(_area(a.box), _area(b.box)), 1e-9)
        return box_iou(a.box, b.box) > SAME or inside > SAME
    reach = max(size) / 50
    return any(abs(p[0] - q[0]) <= reach and abs(p[1] - q[1]) <= reach for p in a.positive for q in b.positive)


def check(side: int, least: int = 0) -> None:
    """Raises `QueryError` for tiles a side that are not offered (1 is none), and for `least` where there are none."""
    if not 1 <= side <= _MOST:
        raise QueryError(f"Tiles are 2 to {_MOST} a side, or 1 for none; {side} came.")
    if side == 1 and least:
        raise QueryError(f"There are no tiles that could wait for {least} objects; ask for 2 to {_MOST} a side too.")
    if not 0 <= least <= MAX_INSTANCES:
        raise QueryError(f"Tiles can wait for 0 to {MAX_INSTANCES} objects in the whole picture; {least} came.")


def tiled(prompter: BatchPrompter, side: int, least: int = 0) -> BatchPrompter:
    """`prompter`, asked about `side` x `side` tiles as well (see `Tiled`); itself for 1. Raises `QueryError`."""
    check(side, least)
    return prompter if side == 1 else Tiled(prompter, side, least)


class Tiled:
    """A `BatchPrompter` made of another one. side: tiles a side; the whole picture is asked about first. least: tiles
    are asked about only where the whole picture shows so many objects, or where what it says cannot be read."""

    def __init__(self, prompter: BatchPrompter, side: int, least: int = 0) -> None:
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
        return Writing(query.size, self._pieces(query, strategy, stop, deadline, sampling))

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        cut = [views(query.size, self._side) for query in queries]
        whole = self._prompter.complete(
            [_seen(q, its[0]) for q, its in zip(queries, cut, strict=True)], strategy, sampling=sampling
        )
        written = [[(its[0], first)] for its, first in zip(cut, whole, strict=True)]
        closer = [(k, view) for k, its in enumerate(cut) if self._closer(strategy, whole[k]) for view in its[1:]]
        for start in range(0, len(closer), len(queries)):  # as many at once as without tiles
            part = closer[start : start + len(queries)]
            found = self._prompter.complete([_seen(queries[k], v) for k, v in part], strategy, sampling=sampling)
            for (k, view), completion in zip(part, found, strict=True):
                written[k].append((view, completion))
        return [_together(query, strategy, its) for query, its in zip(queries, written, strict=True)]

    def _closer(self, strategy: Strategy, whole: Completion) -> bool:
        """Whether tiles are asked about after what the whole picture said."""
        if not self._least:
            return True
        try:
            answer = find_dialect(whole.dialect).parse(whole.text, whole.frame, strategy)
        except AnswerError:
            return True
        return len(answer.prompts) >= self._least

    def _pieces(
        self,
        query: Query,
        strategy: Strategy,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None,
    ) -> Generator[str, None, None]:
        """The thought grows view by view; the answer follows when all have been asked."""
        yield "<think> "
        written: list[tuple[View, Completion]] = []
        told = 0
        for view in views(query.size, self._side):
            if written and (stop.is_set() or (deadline is not None and time.monotonic() > deadline)):
                break
            seen = _seen(query, view)
            writing = self._prompter.write(seen, strategy, stop=stop, deadline=deadline, sampling=sampling)
            reader = find_dialect(writing.dialect).reader(writing.frame, strategy)
            text: list[str] = []
            yield f"{'; ' if written else ''}{view.name}: "
            with closing(writing.pieces) as pieces:
                for piece in pieces:
                    text.append(piece)
                    for event in reader.feed(piece):
                        if isinstance(event, ThoughtGrew) and told < MAX_TEXT // 4:
                            told += len(event.delta)
                            yield _harmless(event.delta)
            written.append((view, Completion("".join(text), writing.frame, writing.dialect)))
            if len(written) == 1 and not self._closer(strategy, written[0][1]):
                break
        _, answer = _read(query, strategy, written)
        yield render(answer).removeprefix("<think> ")


def _seen(query: Query, view: View) -> Query:
    x1, y1, x2, y2 = view.window
    return Query(query.image[y1:y2, x1:x2], query.question)


def _read(query: Query, strategy: Strategy, written: Sequence[tuple[View, Completion]]) -> tuple[list[str], Answer]:
    """What each view thought, and the answer of all. Raises `AnswerError` if no view's text can be read."""
    thoughts: list[str] = []
    found: list[tuple[View, Sequence[Prompt]]] = []
    failed: AnswerError | None = None
    for view, completion in written:
        try:
            answer = find_dialect(completion.dialect).parse(completion.text, completion.frame, strategy)
        except AnswerError as error:
            failed = failed or error
            thoughts.append(f"{view.name}: its answer cannot be read, {error.why}")
            continue
        thoughts.append(f"{view.name}: {answer.thought}")
        placed = (_placed(p.moved(completion.frame, view.size), view) for p in answer.prompts)
        found.append((view, [p for p in placed if p.box is None or min(_sides(p.box)) > _THINNEST]))
    if not found and failed is not None:
        raise failed
    return thoughts, Answer("", merged(found, query.size))


def _placed(prompt: Prompt, view: View) -> Prompt:
    """From the view's pixels to the source image's."""
    dx, dy = view.window[:2]

    def shifted(points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple((x + dx, y + dy) for x, y in points)

    box = prompt.box and (prompt.box[0] + dx, prompt.box[1] + dy, prompt.box[2] + dx, prompt.box[3] + dy)
    return Prompt(box, shifted(prompt.positive), shifted(prompt.negative))


def _together(query: Query, strategy: Strategy, written: Sequence[tuple[View, Completion]]) -> Completion:
    """The views' completions as one; the first as it is if none can be read."""
    try:
        thoughts, answer = _read(query, strategy, written)
    except AnswerError:
        return written[0][1]
    thought = _harmless("; ".join(thoughts))[: MAX_TEXT // 4].strip()
    return Completion(render(Answer(thought, answer.prompts)), query.size)


def _harmless(text: str) -> str:
    """`text` without what would end our thought or begin our answer."""
    return re.sub(r"<(/?)(think|answer)", r"(\1\2", text, flags=re.IGNORECASE)
