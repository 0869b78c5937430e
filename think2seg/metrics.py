"""How good masks are: IoU, gIoU, cIoU, Precision@X, N-acc and T-acc, by two sets of rules. It knows arrays and pixel
counts only: no files, models or data sets.

Every rule about empty masks, in one table. `I` and `U` are what a sample adds to cIoU's sums.

| truth     | answer                  | IoU   | I     | U            | N-acc        | T-acc        |
| --------- | ----------------------- | ----- | ----- | ------------ | ------------ | ------------ |
| a target  | a mask                  | I / U | a & b | a or b       | not counted  | right        |
| a target  | empty                   | 0     | 0     | truth's area | not counted  | wrong        |
| a target  | unreadable              | 0     | 0     | truth's area | not counted  | wrong        |
| no target | empty                   | 1     | 0     | 0            | right        | not counted  |
| no target | a mask (a false alarm)  | 0     | 0     | its area     | wrong        | not counted  |
| no target | unreadable              | 0     | 0     | 0            | wrong        | not counted  |

An unreadable answer scores as an empty mask, but saying nothing legible is not saying "nothing here": on an image
without a target it earns no credit. Every sample stays in every denominator.

The `paper` protocol, beside ours, is that of the authors' own evaluation script (arXiv 2512.19302), so that published
numbers can be compared. Where it differs:

| truth     | answer                  | ours                         | the paper's                              |
| --------- | ----------------------- | ---------------------------- | ---------------------------------------- |
| no target | a mask (a false alarm)  | its area enters cIoU's union | adds nothing to cIoU                     |
| no target | instances, masks empty  | IoU 1: the mask counts       | IoU 0: the list was not empty            |
| a target  | empty or unreadable     | counts in Precision@X        | left out of Precision@X's denominator    |
| no target | unreadable              | counts in Precision@X        | left out of Precision@X's denominator    |

Where the script draws one question an image by chance (EarthReason), `PaperScores` gives the expectation of that draw:
every question counts, with the weight 1 / (questions of its image). The script also compares at 840 x 840 pixels; here
masks are compared at the image's own size by both protocols.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""The X of the Precision@X that are reported."""


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


@dataclass(frozen=True)
class Count:
    """One sample in pixels: all that any score needs of it.

    intersection, union: of the answer's mask and the truth. truth: true pixels. readable: whether the answer could be
    read. instances: how many instances it pointed at; 0 is "nothing here".
    """

    intersection: int
    union: int
    truth: int
    readable: bool = True
    instances: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.intersection <= self.truth <= self.union:
            raise ValueError(f"A count needs 0 <= intersection <= truth <= union; it is {self}.")

    @property
    def predicted(self) -> int:
        """Pixels of the answer's mask."""
        return self.intersection + self.union - self.truth

    @property
    def absent(self) -> bool:
        """Whether there was nothing to find."""
        return self.truth == 0

    @property
    def rightly_empty(self) -> bool:
        return self.absent and self.readable and self.predicted == 0

    @property
    def iou(self) -> float:
        """IoU by our table, 0-1."""
        return self.intersection / self.union if self.union else float(self.rightly_empty)


def count(pred: Bools | None, truth: Bools, instances: int | None = None) -> Count:
    """The pixels of one sample; masks are (H, W) bool, `pred` None is an unreadable answer.

    instances: how many the answer pointed at; by default 1 for a mask with pixels, else 0.
    """
    both, either = intersection_union(np.zeros_like(truth) if pred is None else pred, truth)
    if instances is None:
        instances = 0 if pred is None else int(pred.any())
    return Count(both, either, int(np.count_nonzero(truth)), pred is not None, instances)


class Scores:
    """Adds up samples by our table. Every score is `nan` while nothing was added that it speaks of."""

    def __init__(self, counts: Iterable[Count] = ()) -> None:
        self.counts: list[Count] = []
        """The samples, in the order they came."""
        for each in counts:
            self.include(each)

    def __len__(self) -> int:
        return len(self.counts)

    def include(self, sample: Count) -> float:
        """Count one sample and return its IoU."""
        self.counts.append(sample)
        return sample.iou

    def add(self, pred: Bools | None, truth: Bools) -> float:
        """Count one sample and return its IoU. `pred` None is an unreadable answer; both are (H, W) bool."""
        return self.include(count(pred, truth))

    @property
    def ious(self) -> list[float]:
        """IoU of each sample, in the order they came."""
        return [c.iou for c in self.counts]

    @property
    def intersection(self) -> int:
        return sum(c.intersection for c in self.counts)

    @property
    def union(self) -> int:
        return sum(c.union for c in self.counts)

    @property
    def unreadable(self) -> int:
        """Samples whose answer could not be read."""
        return sum(not c.readable for c in self.counts)

    @property
    def no_target(self) -> int:
        """Samples whose truth is empty."""
        return sum(c.absent for c in self.counts)

    @property
    def giou(self) -> float:
        """Mean of the samples' IoU."""
        return math.fsum(self.ious) / len(self) if self.counts else math.nan

    @property
    def ciou(self) -> float:
        """Sum of intersections over sum of unions; where no pixel was true or marked at all, gIoU stands in."""
        return self.intersection / self.union if self.union else self.giou

    def precision(self, x: float) -> float:
        """Share of all samples with IoU >= x."""
        if not 0.0 <= x <= 1.0:
            raise ValueError(f"Precision@X needs X in 0-1; it is {x!r}.")
        return sum(score >= x for score in self.ious) / len(self) if self.counts else math.nan

    @property
    def n_acc(self) -> float:
        """Share of the samples without a target that were answered, readably, with an empty mask."""
        absent = [c for c in self.counts if c.absent]
        return sum(c.rightly_empty for c in absent) / len(absent) if absent else math.nan

    @property
    def t_acc(self) -> float:
        """Share of the samples with a target that were answered with a mask that has pixels."""
        present = [c for c in self.counts if not c.absent]
        return sum(c.predicted > 0 for c in present) / len(present) if present else math.nan


@dataclass(frozen=True)
class PaperScores:
    """Scores by the paper's protocol (the second table above); `nan` where nothing speaks of them."""

    giou: float
    ciou: float
    precision: dict[float, float]
    """By X of `PRECISIONS`: the share of the answers with a mask (or rightly without one), failed ones left out."""

    @staticmethod
    def of(counts: Sequence[Count], draws: Sequence[Hashable] | None = None) -> PaperScores:
        """draws: of the samples that share a value one would have been drawn by chance; None if each counts whole."""
        groups = list(range(len(counts))) if draws is None else list(draws)
        if len(groups) != len(counts):
            raise ValueError(f"There must be one draw for each sample; there are {len(groups)} for {len(counts)}.")
        size = Counter(groups)
        weights = [1 / size[group] for group in groups]
        ious = [_paper_iou(c) for c in counts]
        union = math.fsum(w * (0 if c.absent else c.union) for w, c in zip(weights, counts, strict=True))
        inter = math.fsum(w * c.intersection for w, c in zip(weights, counts, strict=True))
        giou = math.fsum(w * v for w, v in zip(weights, ious, strict=True)) / len(size) if counts else math.nan
        masked = [i for i, c in enumerate(counts) if c.readable and (c.absent or c.instances > 0)]
        whole = math.fsum(weights[i] for i in masked)
        return PaperScores(
            giou=giou,
            ciou=inter / union if union else (0.0 if counts else math.nan),
            precision={
                x: math.fsum(weights[i] for i in masked if ious[i] >= x) / whole if whole else math.nan
                for x in PRECISIONS
            },
        )


def _paper_iou(sample: Count) -> float:
    if sample.absent:
        return float(sample.readable and sample.instances == 0)
    return sample.intersection / sample.union
