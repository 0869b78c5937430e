"""A segmenter that looks closer: any segmenter, given a crop round each box instead of the whole picture.

A segmenter squashes the picture to its own input size, where an object of a few dozen pixels has no outline left. Here
each prompt's surroundings are encoded by themselves. It costs an encoding a prompt, which a small model can afford. It
does not know questions or models; prompts without a box, which say nothing of an object's size, see the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import QueryError
from think2seg.segmenter import Segmenter
from think2seg.types import Mask, Prompt, Size

LEAST = 2
"""Pixels by which a crop exceeds its box on every side, at the least; where the picture ends, it ends."""
WORTH = 0.7
"""A crop that is more than this share of the picture, in both directions, is left out: the whole picture serves."""

Window = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in whole pixels of the source image."""


def check(factor: float | None) -> None:
    """Raises `QueryError` for a crop that leaves nothing round the box, or is no crop; None is no zoom."""
    if factor is not None and not (math.isfinite(factor) and 1 < factor <= 20):
        raise QueryError(f"A zoom is the crop's side in sides of the box, above 1 and up to 20; {factor:g} came.")


def zoomed(segmenter: Segmenter, factor: float | None) -> Segmenter:
    """`segmenter`, seeing a crop round each box; itself for None. Raises `QueryError`."""
    check(factor)
    return segmenter if factor is None else Zoomed(segmenter, factor)


class Zoomed:
    """A `Segmenter` made of another one. factor: the crop's side, in longer sides of the box, above 1."""

    def __init__(self, segmenter: Segmenter, factor: float = 2.0) -> None:
        """Raises `QueryError` for a factor that leaves nothing round the box."""
        check(factor)
        self._segmenter = segmenter
        self._factor = factor
        self.name = f"{segmenter.name}, zoom {factor:g}"
        self.about = f"{segmenter.about} Each box is seen in a crop of {factor:g} times its longer side."

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Nothing: which crops will be needed is not known yet."""

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt, in their order, (H, W) bool; prompts are in pixels of `image`."""
        height, width = image.shape[:2]
        together: dict[Window, list[int]] = {}
        for index, prompt in enumerate(prompts):
            together.setdefault(window(prompt, (width, height), self._factor), []).append(index)
        masks: dict[int, Mask] = {}
        for (x1, y1, x2, y2), indices in together.items():
            crop = np.ascontiguousarray(image[y1:y2, x1:x2])
            moved = [_seen(prompts[i], (x1, y1, x2, y2)) for i in indices]
            for i, mask in zip(indices, self._segmenter.segment(crop, moved), strict=True):
                pixels = np.zeros((height, width), dtype=np.bool_)
                pixels[y1:y2, x1:x2] = mask.pixels
                masks[i] = Mask(pixels, mask.score, i)
        return [masks[i] for i in range(len(prompts))]


def window(prompt: Prompt, size: Size, factor: float) -> Window:
    """The square round a prompt's box, and its positive points, that is encoded for it, cut to the picture."""
    whole = (0, 0, *size)
    if prompt.box is None:
        return whole
    xs = [prompt.box[0], prompt.box[2], *(x for x, _ in prompt.positive)]
    ys = [prompt.box[1], prompt.box[3], *(y for _, y in prompt.positive)]
    reach = max(max(xs) - min(xs), max(ys) - min(ys)) / 2
    reach = max(reach * factor, reach + LEAST)
    found = [0, 0, 0, 0]
    for k, values in enumerate((xs, ys)):
        middle = (min(values) + max(values)) / 2
        found[k] = min(max(0, math.floor(middle - reach)), size[k] - 1)
        found[k + 2] = max(min(size[k], math.ceil(middle + reach)), found[k] + 1)
    if all(found[k + 2] - found[k] > WORTH * size[k] for k in (0, 1)):
        return whole
    return found[0], found[1], found[2], found[3]


def _seen(prompt: Prompt, seen: Window) -> Prompt:
    """In the window's own pixels; negative points outside of it have nothing to say there."""
    x1, y1, x2, y2 = seen
    box = prompt.box and (prompt.box[0] - x1, prompt.box[1] - y1, prompt.box[2] - x1, prompt.box[3] - y1)
    outside = tuple((x - x1, y - y1) for x, y in prompt.negative if x1 <= x <= x2 and y1 <= y <= y2)
    return Prompt(box, tuple((x - x1, y - y1) for x, y in prompt.positive), outside)
