"""What a comparison is: panels of one picture and one question, how far they agree, and where they do not.

Arrays and results only: it runs no model, draws nothing and reads no file but a truth mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.samples import read_mask
from think2seg.errors import DatasetError, ImageError, Think2SegError
from think2seg.metrics import iou
from think2seg.types import Query, Result, Size


@dataclass(frozen=True)
class Place:
    """Where a panel stands: the strategy that is sent and the segmenter that it is sent to, both by name."""

    strategy: str
    segmenter: str

    def __str__(self) -> str:
        return f"{self.strategy} · {self.segmenter}"


@dataclass(frozen=True, eq=False)
class Panel:
    """One strategy through one segmenter: a result, or why there is none.

    source: the strategy that the prompter was asked for, where the prompts were cut from an answer that was there
    before; None where it was asked for this panel. prompter_s, segmenter_s: seconds of each, the picture's encoding
    apart; None where it did not work. While the prompter still writes the segmenter already decodes, so that on one
    processor each slows the other down. error: why there is no result; both None if the comparison was stopped before.
    """

    place: Place
    result: Result | None = None
    source: str | None = None
    prompter_s: float | None = None
    segmenter_s: float | None = None
    error: Think2SegError | None = None

    @property
    def status(self) -> str:
        """`done`, `failed` or `stopped`."""
        return "done" if self.result is not None else "failed" if self.error is not None else "stopped"

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """The union of the result's masks, (H, W) bool."""
        return None if self.result is None else self.result.mask

    @property
    def area(self) -> int | None:
        """Pixels of the mask."""
        return None if self.mask is None else int(np.count_nonzero(self.mask))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Panels of one query. encodings: seconds that each segmenter took to encode the picture, once, by name.

    truth: (H, W) bool at the picture's size, what is right, if that is known. Raises `ValueError` for other shapes.
    """

    query: Query
    panels: tuple[Panel, ...]
    encodings: dict[str, float]
    truth: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.truth is not None and (self.truth.shape != self.query.image.shape[:2] or self.truth.dtype != np.bool_):
            raise ValueError(
                f"A truth must be {self.query.image.shape[:2]} bool; it is {self.truth.shape} {self.truth.dtype}."
            )

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before every panel had its turn."""
        return any(panel.status == "stopped" for panel in self.panels)

    @cached_property
    def agreement(self) -> NDArray[np.float64]:
        """(N, N) IoU of each two panels' masks, 0-1; two empty masks agree (1); nan where a panel has no result."""
        number = len(self.panels)
        found = np.full((number, number), math.nan)
        for i, one in enumerate(self.panels):
            for j, other in enumerate(self.panels[: i + 1]):
                if one.mask is not None and other.mask is not None:
                    found[i, j] = found[j, i] = 1.0 if i == j else iou(one.mask, other.mask)
        return found

    def mean_agreement(self, index: int) -> float | None:
        """Mean IoU of panel `index` with every other panel that has a result; None if there is none to compare."""
        others = np.delete(self.agreement[index], index)
        others = others[~np.isnan(others)]
        return float(others.mean()) if len(others) else None

    def truth_iou(self, index: int) -> float | None:
        """IoU of panel `index` with the truth, by the table in `metrics.py`; None without a truth or a result."""
        mask = self.panels[index].mask
        return None if self.truth is None or mask is None else iou(mask, self.truth)

    @cached_property
    def disagreement(self) -> NDArray[np.float32]:
        """(H, W), 0 where all panels with a result say the same, 1 where they are evenly split: 2 min(p, 1 - p), with p
        the share of them whose mask holds the pixel."""
        return disagreement([p.mask for p in self.panels if p.mask is not None], self.query.size)


def share_of(masks: Sequence[NDArray[np.bool_]], size: Size, number: int | None = None) -> NDArray[np.float32]:
    """(H, W): the share of `number` (by default all) masks that hold the pixel; `size` is (width, height)."""
    votes = np.zeros((size[1], size[0]), dtype=np.float32)
    for mask in masks:
        votes += mask
    total = len(masks) if number is None else number
    return votes / np.float32(total) if total else votes


def disagreement(masks: Sequence[NDArray[np.bool_]], size: Size) -> NDArray[np.float32]:
    """(H, W), 0 where the masks agree and 1 where they are evenly split; zeros for fewer than two masks."""
    if len(masks) < 2:
        return np.zeros((size[1], size[0]), dtype=np.float32)
    share = share_of(masks, size)
    return np.asarray(2 * np.minimum(share, 1 - share), dtype=np.float32)


def truth_mask(path: str | Path, size: Size) -> NDArray[np.bool_]:
    """The mask in a PNG, TIFF or BMP, (H, W) bool: above 0 is the target. Raises `ImageError`, also if it is not of the
    picture's `size`, (width, height)."""
    path = Path(path)
    try:
        mask = read_mask(path)
    except DatasetError as error:
        raise ImageError(str(error).replace(str(path), path.name)) from error
    if mask.shape != (size[1], size[0]):
        raise ImageError(
            f"The truth mask {path.name} has {mask.shape[1]} × {mask.shape[0]} pixels, the picture {size[0]} × "
            f"{size[1]}. Save the mask at the picture's own size."
        )
    return mask
