"""A segmenter that looks closer: one that gives logits, shown the whole picture and overlapping tiles of it.

A segmenter squashes the picture to its own input size, where an object of a few dozen pixels has no outline left. Here
a prompt whose box lies well inside a tile is decoded on that tile too, and the mean of both looks' logits is its mask.
It costs an encoding for each tile that is needed, kept like any picture's. Prompts without a box, which say nothing of
an object's size, see the whole picture alone. It does not know questions or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import QueryError
from think2seg.segmenter import SURE, LogitSegmenter, Segmenter, upscaled
from think2seg.types import Mask, Prompt, Size
from think2seg.views import View, views

MARGIN = 0.04
"""Of a tile's shorter side: so far from the tile's inner edges a box must stay to be decoded on it."""
_MOST = 4


class OpenSegmenter(Protocol):
    """Opens a segmenter by its name, shown so many tiles a side as well; 1 for the whole picture alone."""

    def __call__(self, name: str, zoom: int = 1, /) -> Segmenter: ...


def check(side: int) -> None:
    """Raises `QueryError` for tiles a side that are not offered; 1 is the whole picture alone."""
    if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= _MOST:
        raise QueryError(f"A zoom is 2 to {_MOST} tiles a side, 1 the whole picture alone; {str(side)[:40]!r} came.")


def named(name: str, side: int) -> str:
    """What the segmenter `name` is called where it sees `side` tiles a side."""
    return name if side == 1 else f"{name}, zoom {side}"


def zoomed(segmenter: LogitSegmenter, side: int) -> Segmenter:
    """`segmenter`, shown `side` x `side` tiles as well; itself for 1. Raises `QueryError`."""
    check(side)
    return segmenter if side == 1 else Zoomed(segmenter, side)


class Zoomed:
    """A `Segmenter` made of another one. side: tiles a side, which overlap by a fifth."""

    def __init__(self, segmenter: LogitSegmenter, side: int = 2) -> None:
        """Raises `QueryError` for a number of tiles that is not offered, and for one, which is the picture itself."""
        check(side)
        if side == 1:
            raise QueryError(f"One tile a side is the whole picture, which {segmenter.name} sees without a zoom.")
        self._segmenter = segmenter
        self._side = side
        self.name = named(segmenter.name, side)
        self.about = f"{segmenter.about} Boxes are seen in {side} x {side} tiles of the picture too."

    def encode(self, image: NDArray[np.uint8]) -> None:
        """The whole picture; which tiles will be needed is not known yet."""
        self._segmenter.encode(image)

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt, in their order, (H, W) bool; prompts are in pixels of `image`. Its score is the mean of
        both looks' scores."""
        height, width = image.shape[:2]
        together: dict[View, list[int]] = {}
        for index, prompt in enumerate(prompts):
            if (view := tile_of(prompt, (width, height), self._side)) is not None:
                together.setdefault(view, []).append(index)
        closer: dict[int, tuple[View, NDArray[np.float32], float]] = {}
        for view, indices in together.items():
            x1, y1, x2, y2 = view.window
            crop = np.ascontiguousarray(image[y1:y2, x1:x2])
            seen = self._segmenter.logits(crop, [_seen(prompts[i], view) for i in indices])
            closer |= {i: (view, *found) for i, found in zip(indices, seen, strict=True)}
        masks = []
        for index, (grid, score) in enumerate(self._segmenter.logits(image, prompts)):
            logits = upscaled(grid, (height, width))
            if index in closer:
                view, finer, second = closer[index]
                x1, y1, x2, y2 = view.window
                both = logits[y1:y2, x1:x2].clip(-SURE, SURE) + upscaled(finer, (y2 - y1, x2 - x1)).clip(-SURE, SURE)
                logits[y1:y2, x1:x2] = both
                score = (score + second) / 2
            masks.append(Mask(logits > 0, score, index))
        return masks


def tile_of(prompt: Prompt, size: Size, side: int) -> View | None:
    """The tile, of `side` x `side` of a picture of `size`, (width, height), in which a prompt's box and its positive
    points lie deepest; None if they lie well inside of none, or if there is no box."""
    if prompt.box is None:
        return None
    xs = [prompt.box[0], prompt.box[2], *(x for x, _ in prompt.positive)]
    ys = [prompt.box[1], prompt.box[3], *(y for _, y in prompt.positive)]
    extent = min(xs), min(ys), max(xs), max(ys)
    deepest, found = 0.0, None
    for view in views(size, side)[1:]:
        inward = (1, 1, -1, -1)
        inner = [k for k in range(4) if view.window[k] not in (0, size[k % 2])]
        depth = min((extent[k] - view.window[k]) * inward[k] for k in inner)
        if depth >= MARGIN * min(view.size) and depth > deepest:
            deepest, found = depth, view
    return found


def _seen(prompt: Prompt, view: View) -> Prompt:
    """In the view's own pixels; negative points outside of it have nothing to say there."""
    x1, y1, x2, y2 = view.window
    assert prompt.box is not None
    box = (prompt.box[0] - x1, prompt.box[1] - y1, prompt.box[2] - x1, prompt.box[3] - y1)
    outside = tuple((x - x1, y - y1) for x, y in prompt.negative if x1 <= x <= x2 and y1 <= y <= y2)
    return Prompt(box, tuple((x - x1, y - y1) for x, y in prompt.positive), outside)
