"""Intervals and paired tests: how much of a figure is chance. It knows counts and groups: no files, no models.

The unit of chance is the picture: questions about one picture are drawn together, so that asking one picture six times
does not look like six pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from think2seg.metrics import PRECISIONS, Count

RESAMPLES = 2000
SEED = 20251219
_ROWS_AT_ONCE = 200

Interval = tuple[float, float]
"""The 2.5th and the 97.5th percentile; (nan, nan) where nothing speaks of it."""

_COLUMNS = ("n", "iou", "intersection", "union", "absent", "absent_right", "present", "present_right")


def _sums(counts: Sequence[Count], groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """(groups, columns + precisions): what each group adds to every sum that a figure is made of."""
    index = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    table = np.zeros((len(index), len(_COLUMNS) + len(PRECISIONS)))
    for c, group in zip(counts, groups, strict=True):
        present = not c.absent
        table[index[group]] += [
            1, c.iou, c.intersection, c.union, c.absent, c.rightly_empty, present, present and c.predicted > 0,
            *(c.iou >= x for x in PRECISIONS),
        ]  # fmt: skip
    return table


def _figures(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Figures by name from (draws, columns) sums; nan where a denominator is 0."""
    column = {name: sums[:, i] for i, name in enumerate(_COLUMNS)}
    with np.errstate(invalid="ignore", divide="ignore"):
        giou = column["iou"] / column["n"]
        found = {
            "giou": giou,
            "ciou": np.where(column["union"] > 0, column["intersection"] / column["union"], giou),
            "n_acc": column["absent_right"] / column["absent"],
            "t_acc": column["present_right"] / column["present"],
        }
        for i, x in enumerate(PRECISIONS):
            found[f"precision@{x}"] = sums[:, len(_COLUMNS) + i] / column["n"]
    return found


def _draws(groups: int) -> Iterator[NDArray[np.float64]]:
    """How often each group is drawn in each resample, some resamples at a time; the same for every call."""
    rng = np.random.default_rng(SEED)
    for start in range(0, RESAMPLES, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, RESAMPLES - start)
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=rows).astype(np.float64)


def intervals(counts: Sequence[Count], groups: Sequence[Hashable]) -> dict[str, Interval]:
    """95 % bootstrap intervals (percentiles of 2,000 resamples) of gIoU, cIoU, N-acc, T-acc and each Precision@X.

    groups: of the samples that share a value (their picture) all are drawn, or none. Deterministic.
    """
    if not counts:
        return {}
    sums = _sums(counts, groups)
    drawn = [_figures(weights @ sums) for weights in _draws(len(sums))]
    return {name: _percentiles(np.concatenate([part[name] for part in drawn])) for name in drawn[0]}


def _percentiles(values: NDArray[np.float64]) -> Interval:
    values = values[~np.isnan(values)]
    if not len(values):
        return (math.nan, math.nan)
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """B minus A over the same questions.

    n, images: how many pairs, of how many pictures. giou_a, giou_b, giou and ciou_a, ciou_b, ciou: both, and the
    difference, each difference with its 95 % bootstrap interval by picture. better, worse: questions whose IoU rose or
    fell. p: of the Wilcoxon signed-rank test on the pictures' mean differences in IoU, two-sided; 1 if none differs.
    """

    n: int
    images: int
    giou_a: float
    giou_b: float
    giou: float
    giou_interval: Interval
    ciou_a: float
    ciou_b: float
    ciou: float
    ciou_interval: Interval
    better: int
    worse: int
    p: float


def difference(a: Sequence[Count], b: Sequence[Count], groups: Sequence[Hashable]) -> Difference:
    """a, b: the same questions in the same order, at least one. groups: the picture of each. Deterministic."""
    sums_a, sums_b = _sums(a, groups), _sums(b, groups)
    whole_a, whole_b = (_figures(sums.sum(axis=0, keepdims=True)) for sums in (sums_a, sums_b))
    drawn: dict[str, list[NDArray[np.float64]]] = {"giou": [], "ciou": []}
    for weights in _draws(len(sums_a)):
        first, second = _figures(weights @ sums_a), _figures(weights @ sums_b)
        for name, found in drawn.items():
            found.append(second[name] - first[name])
    column = _COLUMNS.index("iou")
    means = (sums_b[:, column] - sums_a[:, column]) / sums_a[:, 0]
    ious = [(x.iou, y.iou) for x, y in zip(a, b, strict=True)]
    at: Callable[[dict[str, NDArray[np.float64]], str], float] = lambda found, name: float(found[name][0])  # noqa: E731
    return Difference(
        n=len(a),
        images=len(sums_a),
        giou_a=at(whole_a, "giou"),
        giou_b=at(whole_b, "giou"),
        giou=at(whole_b, "giou") - at(whole_a, "giou"),
        giou_interval=_percentiles(np.concatenate(drawn["giou"])),
        ciou_a=at(whole_a, "ciou"),
        ciou_b=at(whole_b, "ciou"),
        ciou=at(whole_b, "ciou") - at(whole_a, "ciou"),
        ciou_interval=_percentiles(np.concatenate(drawn["ciou"])),
        better=sum(y > x for x, y in ious),
        worse=sum(y < x for x, y in ious),
        p=signed_rank_p(means),
    )


def signed_rank_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; zeros are left out, and 1 if nothing else is there."""
    from scipy.stats import wilcoxon

    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences, zero_method="wilcox").pvalue)


def mean_difference(differences: NDArray[np.float64]) -> tuple[float, Interval, float]:
    """Of paired differences, one a picture: their mean, its 95 % bootstrap interval, and the Wilcoxon p."""
    if not len(differences):
        return math.nan, (math.nan, math.nan), math.nan
    drawn = np.concatenate([weights @ differences / len(differences) for weights in _draws(len(differences))])
    return float(differences.mean()), _percentiles(drawn), signed_rank_p(differences)
