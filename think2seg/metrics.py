"""How good masks are: IoU, gIoU, cIoU, Precision@X, N-acc. It knows arrays only: no files, models or data sets.

Every rule about empty masks, in one table. `I` and `U` are what a sample adds to cIoU's sums.

| truth     | answer                  | IoU   | I     | U            | N-acc        |
| --------- | ----------------------- | ----- | ----- | ------------ | ------------ |
| a target  | a mask                  | I / U | a & b | a or b       | not counted  |
| a target  | empty                   | 0     | 0     | truth's area | not counted  |
| a target  | unreadable              | 0     | 0     | truth's area | not counted  |
| no target | empty                   | 1     | 0     | 0            | right        |
| no target | a mask (a false alarm)  | 0     | 0     | its area     | wrong        |
| no target | unreadable              | 0     | 0     | 0            | wrong        |

An unreadable answer scores as an empty mask, but saying nothing legible is not saying "nothing here": on an image
without a target it earns no credit. Every sample stays in every denominator. This is our protocol; the paper's own
script leaves false alarms out of cIoU and failed outputs out of Precision@X, which reads higher.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


def intersection_union(a: Bools, b: Bools) -> tuple[int, int]:
    """Pixels in both and pixels in either of two bool masks of one shape; else `ValueError`."""
    for mask in (a, b):
        if mask.dtype != np.bool_:
            raise ValueError(f"Masks to compare must be bool; one is {mask.dtype}. Write `mask > 0`.")
    if a.shape != b.shape:
        raise ValueError(f"Masks to compare must have one shape; they are {a.shape} and {b.shape}.")
    both = int(np.count_nonzero(a & b))
    return both, int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - both


def iou(a: Bools, b: Bools) -> float:
    """Intersection over union of two bool masks of one shape, 0-1; two empty masks agree: 1."""
    both, either = intersection_union(a, b)
    return both / either if either else 1.0


class Scores:
    """Adds up samples by the table above. Every score is `nan` while nothing was added that it speaks of."""

    def __init__(self) -> None:
        self.ious: list[float] = []
        """IoU of each sample, in the order they came."""
        self.intersection = 0
        self.union = 0
        self.unreadable = 0
        """Samples whose answer could not be read."""
        self.no_target = 0
        """Samples whose truth is empty."""
        self._no_target_right = 0

    def __len__(self) -> int:
        return len(self.ious)

    def add(self, pred: Bools | None, truth: Bools) -> float:
        """Count one sample and return its IoU. `pred` None is an unreadable answer; both are (H, W) bool."""
        both, either = intersection_union(np.zeros_like(truth) if pred is None else pred, truth)
        absent = not truth.any()
        right = absent and pred is not None and either == 0
        score = both / either if either else float(right)
        self.ious.append(score)
        self.intersection += both
        self.union += either
        self.unreadable += pred is None
        self.no_target += absent
        self._no_target_right += right
        return score

    @property
    def giou(self) -> float:
        """Mean of the samples' IoU."""
        return math.fsum(self.ious) / len(self.ious) if self.ious else math.nan

    @property
    def ciou(self) -> float:
        """Sum of intersections over sum of unions; where no pixel was true or marked at all, gIoU stands in."""
        return self.intersection / self.union if self.union else self.giou

    def precision(self, x: float) -> float:
        """Share of all samples with IoU >= x."""
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"Precision@X needs X in 0-1; it is {x!r}.")
        return sum(score >= x for score in self.ious) / len(self.ious) if self.ious else math.nan

    @property
    def n_acc(self) -> float:
        """Share of the samples without a target that were answered, readably, with an empty mask."""
        return self._no_target_right / self.no_target if self.no_target else math.nan
