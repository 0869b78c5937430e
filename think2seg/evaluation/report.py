"""Rows become a report: figures by our protocol and by the paper's, their intervals, strata, and what was run.

`report.json` (schema 1) is described in `docs/evaluation.md`. Figures are rounded to six places; one that nothing
speaks of is null. It knows rows and statistics: no models, no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from think2seg.evaluation.row import Row
from think2seg.evaluation.statistics import intervals
from think2seg.metrics import PRECISIONS, PaperScores, Scores

SCHEMA = 1
DRAWS_ONE_QUESTION = frozenset({"earthreason"})
"""Sets of which the authors' script asks one question an image, drawn by chance."""

Report = dict[str, Any]
"""A `report.json`."""


def report(rows: Sequence[Row], settings: dict[str, Any], timing: dict[str, Any]) -> Report:
    """The report of an evaluation. rows: all of them, at least one. settings: what `run.json` holds."""
    counts = [row.count for row in rows]
    images = [row.image_id for row in rows]
    draws: list[tuple[str, int | None]] | None = None
    if settings.get("dataset") in DRAWS_ONE_QUESTION:
        draws = [(row.image_id, row.seed) for row in rows]
    paper = PaperScores.of(counts, draws)
    found: Report = {"schema": SCHEMA, "n": len(rows), "images": len(set(images))}
    found |= figures(rows) | {"intervals": _intervals(rows)}
    found["paper"] = {
        "giou": _rounded(paper.giou),
        "ciou": _rounded(paper.ciou),
        "precision": {str(x): _rounded(value) for x, value in paper.precision.items()},
        "questions": "one an image, in expectation" if draws else "all",
    }
    found["strata"] = strata(rows)
    found["geometry"] = geometry_figures(rows)
    found["seeds"] = over_seeds(rows)
    found["timing"] = timing
    found["models"] = settings.get("models")
    found["commit"] = settings.get("commit")
    found["settings"] = settings
    return found


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of our protocol, rounded, for any choice of rows."""
    scores = Scores(row.count for row in rows)
    found: dict[str, Any] = _rounded(
        {
            "unreadable": scores.unreadable,
            "no_target": scores.no_target,
            "giou": scores.giou,
            "ciou": scores.ciou,
            "precision": {str(x): scores.precision(x) for x in PRECISIONS},
            "n_acc": scores.n_acc,
            "t_acc": scores.t_acc,
        }
    )
    return found


def strata(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """By stratum and value, both sorted: `n`, the figures, and gIoU's interval."""
    kinds = sorted({kind for row in rows for kind in row.strata})
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in kinds:
        values = sorted({row.strata[kind] for row in rows if kind in row.strata})
        found[kind] = {}
        for value in values:
            chosen = [row for row in rows if row.strata.get(kind) == value]
            spans = intervals([row.count for row in chosen], [row.image_id for row in chosen])
            found[kind][value] = {"n": len(chosen)} | figures(chosen)
            found[kind][value]["giou_interval"] = _rounded(list(spans["giou"]))
    return found


def geometry_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Prompt geometry over the questions with a target, beside their mean mask IoU.

    positives_inside, negatives_outside: shares of all points of the kind. box_iou, box_area: means over the answers
    that have boxes; box_area's is the median too, since one inflated box would hide the others.
    """
    held = [(row.geometry, row.iou) for row in rows if row.geometry is not None]
    positives, negatives = (sum(getattr(g, kind) for g, _ in held) for kind in ("positives", "negatives"))
    inside = sum(g.positives_inside for g, _ in held)
    outside = sum(g.negatives_outside for g, _ in held)
    box_ious = [g.box_iou for g, _ in held if g.box_iou is not None]
    box_areas = [g.box_area for g, _ in held if g.box_area is not None]
    found: dict[str, Any] = _rounded(
        {
            "n": len(held),
            "mask_iou": _mean([iou for _, iou in held]),
            "positives": positives,
            "positives_inside": inside / positives if positives else math.nan,
            "negatives": negatives,
            "negatives_outside": outside / negatives if negatives else math.nan,
            "box_iou": _mean(box_ious),
            "box_area": _mean(box_areas),
            "box_area_median": float(np.median(box_areas)) if box_areas else math.nan,
        }
    )
    return found


def _intervals(rows: Sequence[Row]) -> dict[str, Any]:
    flat = intervals([row.count for row in rows], [row.image_id for row in rows])
    nested: dict[str, Any] = {name: list(flat[name]) for name in ("giou", "ciou", "n_acc", "t_acc")}
    nested["precision"] = {str(x): list(flat[f"precision@{x}"]) for x in PRECISIONS}
    return {name: _rounded(spans) for name, spans in nested.items()}


def over_seeds(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Each figure over the seeds, and their mean and sample deviation; None for a greedy run."""
    seeds = sorted({row.seed for row in rows if row.seed is not None})
    if not seeds:
        return None
    each = [figures([row for row in rows if row.seed == seed]) for seed in seeds]
    found: dict[str, Any] = {"n": len(seeds), "seeds": seeds}
    for name in ("giou", "ciou", "n_acc", "t_acc", "unreadable"):
        values = [one[name] for one in each]
        known = [value for value in values if value is not None]
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
        found[name] = _rounded({"each": values, "mean": _mean(known), "deviation": deviation})
    return found


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _rounded(value: Any) -> Any:
    """`value` with its floats to six places, and nan as None, however deep they lie."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
