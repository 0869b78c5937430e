"""The paper's questions as experiments in which one thing varies: segmenters, strategies, negative points, levels.

Each study is one or several evaluations that share their answers wherever they can: all segmenters fill in the same
prompts, a poorer strategy is cut from the answers to a richer one. What comes out is a table with paired statistics
(`study.md`, `study.json`) and a plot (`study.png`). It knows evaluations; it loads no models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from think2seg.datasets.samples import Sample
from think2seg.errors import QueryError
from think2seg.evaluation.comparison import paired
from think2seg.evaluation.contender import Variant
from think2seg.evaluation.report import figures, geometry_figures
from think2seg.evaluation.row import Row
from think2seg.evaluation.statistics import intervals, mean_difference
from think2seg.segmenter import Segmenter
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES
from think2seg.types import Prompt, Query

STUDIES: dict[str, str] = {
    "segmenters": "the same prompts, filled in by different segmenters",
    "strategies": "five prompt strategies, asked of the prompter and sent to the segmenter",
    "negatives": "negative points sent, left out, and moved at random",
    "levels": "questions for all of a class (semantic) against questions for one object (instance)",
}

PERTURBATION = 0.25
"""How far a perturbed negative point is moved, as a share of its box's diagonal."""


@dataclass(frozen=True)
class Asked:
    """One evaluation of a study: the strategy that the prompter is asked by, and the ways to fill in its answers."""

    folder: str
    strategy: str
    variants: tuple[Variant, ...]


def plan(study: str, segmenters: Mapping[str, Callable[[], Segmenter]], strategy: str = DEFAULT_STRATEGY,
         asks: Sequence[str] = tuple(STRATEGIES)) -> tuple[Asked, ...]:  # fmt: skip
    """The evaluations of a study. segmenters: by name, for the study that varies them. asks: the strategies that the
    prompter's dialect can be asked by. Raises `QueryError` for a study that cannot be made of them."""
    if study == "segmenters":
        if len(segmenters) < 2:
            raise QueryError(
                f"A study of segmenters needs two or more; {', '.join(segmenters) or 'none'} came. Name them with "
                "--segmenters, such as nano,small,filled-box,ellipse."
            )
        return (Asked("", strategy, tuple(Variant(name, opened()) for name, opened in segmenters.items())),)
    if study == "strategies":
        return tuple(
            Asked(
                f"asked {asked}",
                asked,
                tuple(
                    Variant(f"sent {sent}", sent=sent)
                    for sent in STRATEGIES
                    if STRATEGIES[sent].can_be_cut_from(STRATEGIES[asked])
                ),
            )
            for asked in asks
        )
    if study == "negatives":
        asked = "box+2+neg"
        if asked not in asks:
            raise QueryError("This prompter's dialect knows no negative points, so they cannot be studied.")
        return (
            Asked(
                "",
                asked,
                (
                    Variant("without", negatives=False),
                    Variant("with", negatives=True),
                    Variant("perturbed", negatives=True, change=perturbed),
                ),
            ),
        )
    if study == "levels":
        return (Asked("", strategy, (Variant("all"),)),)
    raise QueryError(f"There is no study called {study!r}. Known: {', '.join(STUDIES)}.")


def perturbed(sample: Sample, query: Query, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Each negative point moved by a quarter of its box's diagonal (without a box: of the picture's) in a direction
    drawn from the sample's id, and kept within the picture."""
    rng = np.random.default_rng([77, *sample.id.encode()])
    width, height = query.size
    moved = []
    for prompt in prompts:
        x1, y1, x2, y2 = prompt.box or (0.0, 0.0, float(width), float(height))
        reach = PERTURBATION * float(np.hypot(x2 - x1, y2 - y1))
        angles = rng.uniform(0, 2 * np.pi, len(prompt.negative))
        negative = tuple(
            (min(max(x + reach * float(np.cos(a)), 0.0), width - 1.0),
             min(max(y + reach * float(np.sin(a)), 0.0), height - 1.0))
            for (x, y), a in zip(prompt.negative, angles, strict=True)
        )  # fmt: skip
        moved.append(Prompt(prompt.box, prompt.positive, negative))
    return tuple(moved)


def outcome(study: str, rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What a study found: `entries`, a label's figures and its difference from the reference's, paired by question; for
    levels, paired by picture. The reference is the published strategy, asked and sent, else the first label.

    rows: by label, in the order of the table; for levels under the one label "all".
    """
    if study == "levels":
        everything = next(iter(rows.values()))
        rows = {
            level: [row for row in everything if row.strata.get("level") == level]
            for level in ("semantic", "instance", "absent")
        }
        rows = {level: held for level, held in rows.items() if held}
        if not {"semantic", "instance"} <= set(rows):
            raise QueryError(
                f"A study of levels needs semantic and instance questions; this set has {', '.join(rows) or 'neither'}."
            )
    published = f"asked {DEFAULT_STRATEGY}, sent {DEFAULT_STRATEGY}"
    reference = published if published in rows else next(iter(rows))
    entries = []
    for label, held in rows.items():
        spans = intervals([row.count for row in held], [row.image_id for row in held])
        entry: dict[str, Any] = {"label": label, "n": len(held)} | figures(held)
        entry["giou_interval"] = [round(v, 6) for v in spans["giou"]]
        entry["geometry"] = geometry_figures(held)
        if label != reference:
            entry["difference"] = (
                _levels(rows[reference], held) if study == "levels" else _questions(rows[reference], held)
            )
        entries.append(entry)
    return {"schema": 1, "study": study, "about": STUDIES[study], "reference": reference, "entries": entries}


def _questions(reference: Sequence[Row], held: Sequence[Row]) -> dict[str, Any]:
    d = paired(reference, held, "the reference", "this").difference
    return {
        "by": "question", "n": d.n, "giou": round(d.giou, 6), "interval": [round(v, 6) for v in d.giou_interval],
        "ciou": round(d.ciou, 6), "better": d.better, "worse": d.worse, "p": d.p,
    }  # fmt: skip


def _levels(reference: Sequence[Row], held: Sequence[Row]) -> dict[str, Any]:
    means = [_by_image(reference), _by_image(held)]
    both = sorted(set(means[0]) & set(means[1]))
    differences = np.array([means[1][image] - means[0][image] for image in both])
    mean, interval, p = mean_difference(differences)
    found = {
        "by": "picture",
        "n": len(both),
        "better": int((differences > 0).sum()),
        "worse": int((differences < 0).sum()),
    }
    if not len(both):
        return found | {"giou": None, "interval": None, "p": None}
    return found | {"giou": round(mean, 6), "interval": [round(v, 6) for v in interval], "p": p}


def _by_image(rows: Sequence[Row]) -> dict[str, float]:
    held: dict[str, list[float]] = {}
    for row in rows:
        held.setdefault(row.image_id, []).append(row.iou)
    return {image: sum(ious) / len(ious) for image, ious in held.items()}
