"""Segmenters without a model: the box filled, and the ellipse in it. What a number of any SAM has to be read beside.

They know boxes only: a prompt without one is a `QueryError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import QueryError
from think2seg.types import Box, Mask, Prompt

Grid = NDArray[np.float64]


class Shape:
    """A `Segmenter` that draws a shape into each prompt's box and looks at no pixel. Its score is always 0.5.

    inside: (x, y) grids of pixel centres and a box, to (H, W) bool.
    """

    def __init__(
        self,
        name: str,
        about: str,
        inside: Callable[[NDArray[np.float64], NDArray[np.float64], Box], NDArray[np.bool_]],
    ) -> None:
        self.name = name
        self.about = about
        self._inside = inside

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Nothing to prepare."""

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt, (H, W) bool. Raises `QueryError` for a prompt without a box."""
        rows, columns = np.indices(image.shape[:2]) + 0.5
        masks = []
        for index, prompt in enumerate(prompts):
            if prompt.box is None:
                raise QueryError(
                    f"The baseline {self.name!r} draws into boxes, and a prompt came without one. Choose a strategy "
                    "with a box, or a SAM 2."
                )
            masks.append(Mask(self._inside(columns, rows, prompt.box), 0.5, index))
        return masks


def _in_box(x: Grid, y: Grid, box: Box) -> NDArray[np.bool_]:
    return (box[0] <= x) & (x <= box[2]) & (box[1] <= y) & (y <= box[3])


def _in_ellipse(x: Grid, y: Grid, box: Box) -> NDArray[np.bool_]:
    across, down = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    return np.asarray(((x - box[0] - across) / across) ** 2 + ((y - box[1] - down) / down) ** 2 <= 1)


BASELINES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("filled-box", "No model: every pixel of the box.", _in_box),
        Shape("ellipse", "No model: the ellipse that touches the box's four sides.", _in_ellipse),
    )
}
"""By name; `evaluate` and `study` take these names beside those of the registry."""
