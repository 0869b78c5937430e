"""Views of a picture: the whole of it and overlapping tiles, and what they show of the same objects, once an object.

It knows windows and prompts; nobody who is asked about a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from think2seg.answer import MAX_INSTANCES, box_iou
from think2seg.types import Box, Point, Prompt, Size

OVERLAP = 0.2
"""The share of a tile's side that it shares with its neighbour."""
SMALLEST = 32
"""Pixels of the source image: a tile is at least this wide and high, or the picture is not cut."""
LARGE = 0.4
"""From this share of a tile's longer side on, the view of the whole picture knows an object better than a tile."""
SAME = 0.5
"""IoU, or the share of the smaller box that lies in the larger, above which two views mean one object."""
_CUT = 0.015  # of a tile's side: a box that comes this near an inner edge of its tile is cut off there
THINNEST = 0.01
"""Pixels of the source image: a thinner box is no object."""

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


def placed(prompts: Sequence[Prompt], view: View) -> list[Prompt]:
    """Prompts in `view`'s own pixels, moved to the source image's; boxes too thin to be anything are left out."""
    return [_shifted(p, view.window) for p in prompts if p.box is None or min(_sides(p.box)) > THINNEST]


def _shifted(prompt: Prompt, window: tuple[int, int, int, int]) -> Prompt:
    dx, dy = window[:2]

    def shifted(points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple((x + dx, y + dy) for x, y in points)

    box = prompt.box and (prompt.box[0] + dx, prompt.box[1] + dy, prompt.box[2] + dx, prompt.box[3] + dy)
    return Prompt(box, shifted(prompt.positive), shifted(prompt.negative))
