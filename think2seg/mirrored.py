"""A segmenter that looks again in the mirror: one that gives logits, shown the picture mirrored as well.

An aerial picture has no up and no left, but a segmenter does not give quite the same mask both ways; its mistakes of a
fraction of a pixel differ, and the mean of the logits has fewer of them. It costs what one look costs as often as it
looks. It does not know questions or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from think2seg.segmenter import SURE, LogitSegmenter, upscaled
from think2seg.types import Mask, Prompt, Size

Pixel = TypeVar("Pixel", bound=np.generic)

WAYS = ((False, False), (True, False), (False, True), (True, True))
"""How the picture is shown: mirrored left to right, upside down."""


class Mirrored:
    """A `LogitSegmenter` made of another one, which sees the picture in all four `WAYS`."""

    def __init__(self, name: str, segmenter: LogitSegmenter) -> None:
        self._segmenter = segmenter
        self.name = name
        self.about = f"{segmenter.about} It sees the picture mirrored too, four ways in all."

    def encode(self, image: NDArray[np.uint8]) -> None:
        """All four ways."""
        for way in WAYS:
            self._segmenter.encode(_shown(image, way))

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt, in their order, (H, W) bool; prompts are in pixels of `image`."""
        found = self.logits(image, prompts)
        return [Mask(upscaled(grid, image.shape[:2]) > 0, score, i) for i, (grid, score) in enumerate(found)]

    def logits(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[tuple[NDArray[np.float32], float]]:
        """For each prompt the mean of its logits and of its scores over the four ways, on the model's own grid."""
        size = image.shape[1], image.shape[0]
        looks = [self._segmenter.logits(_shown(image, way), [_moved(p, size, way) for p in prompts]) for way in WAYS]
        means = []
        for found in zip(*looks, strict=True):
            grids = [_shown(grid, way).clip(-SURE, SURE) for (grid, _score), way in zip(found, WAYS, strict=True)]
            mean = np.asarray(np.mean(grids, axis=0), dtype=np.float32)
            means.append((mean, float(np.mean([score for _grid, score in found]))))
        return means


def _shown(field: NDArray[Pixel], way: tuple[bool, bool]) -> NDArray[Pixel]:
    """(H, W, ...) as it is seen that way; the same again brings it back."""
    sideways, upside_down = way
    return np.ascontiguousarray(field[:: -1 if upside_down else 1, :: -1 if sideways else 1])


def _moved(prompt: Prompt, size: Size, way: tuple[bool, bool]) -> Prompt:
    """The prompt where its things are in the picture of `size` as it is seen that way."""
    width, height = size
    sideways, upside_down = way

    def move(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        return width - x if sideways else x, height - y if upside_down else y

    box = prompt.box
    if box is not None:
        (x1, y1), (x2, y2) = move(box[:2]), move(box[2:])
        box = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    return Prompt(box, tuple(move(p) for p in prompt.positive), tuple(move(p) for p in prompt.negative))
