"""Two evaluations of the same questions, side by side: what changed, and how sure that is.

It reads what `evaluate` wrote, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from think2seg.errors import DatasetError
from think2seg.evaluation.report import over_seeds
from think2seg.evaluation.row import Row, read_rows
from think2seg.evaluation.statistics import Difference, difference


@dataclass(frozen=True)
class Paired:
    """Report B against report A. common: questions of both; only_a, only_b: questions of one, left out."""

    a: str
    b: str
    difference: Difference
    only_a: int
    only_b: int


def rows_of(folder: Path) -> tuple[Row, ...]:
    """The rows of an evaluation's folder, or of the folder of the `report.json` that was given."""
    if folder.is_file():
        folder = folder.parent
    path = folder / "samples.jsonl"
    if not path.is_file():
        raise DatasetError(
            f"{folder} holds no finished evaluation: there is no {path.name} in it. Give an --out folder."
        )
    return read_rows(path)


def runs_of(said: str) -> tuple[Row, ...]:
    """The rows of an evaluation's folder; or of several with commas between them, such as those of one training with
    three seeds, as sampled answers with the seeds 0, 1, 2. Raises `DatasetError` for several that were sampled."""
    folders = [said] if Path(said).exists() else [part.strip() for part in said.split(",") if part.strip()] or [said]
    held = [rows_of(Path(folder)) for folder in folders]
    if len(held) == 1:
        return held[0]
    if any(row.seed is not None for rows in held for row in rows):
        raise DatasetError(f"{said} brings sampled answers together. Only greedy evaluations can stand for seeds.")
    return tuple(replace(row, seed=seed) for seed, rows in enumerate(held) for row in rows)


def over_runs(said: str, rows: Sequence[Row]) -> str | None:
    """A line with the mean and deviation of the figures over the seeds of `rows`; None for a single greedy run."""
    found = over_seeds(rows)
    if found is None:
        return None
    figures = (("gIoU", "giou"), ("cIoU", "ciou"), ("N-acc", "n_acc"), ("T-acc", "t_acc"))
    parts = [
        f"{label} {found[name]['mean']:.3f} ± {found[name]['deviation']:.3f}"
        for label, name in figures
        if found[name]["mean"] is not None and found[name]["deviation"] is not None
    ]
    return f"{said}: {', '.join(parts)} over {found['n']} runs." if parts else None


def paired(a: Sequence[Row], b: Sequence[Row], name_a: str, name_b: str) -> Paired:
    """B minus A over the questions that both have. Sampled answers of one question pair by seed, or all against one
    greedy answer. Raises `DatasetError` if they share no question, or ask other words under one id."""
    held_a, held_b = _by_key(a, name_a), _by_key(b, name_b)
    if {row.seed for row in a} != {row.seed for row in b}:  # greedy against sampled: each draw against the one answer
        if {row.seed for row in a} == {None}:
            held_a = {key: held_a[key[0], None] for key in held_b if (key[0], None) in held_a}
        elif {row.seed for row in b} == {None}:
            held_b = {key: held_b[key[0], None] for key in held_a if (key[0], None) in held_b}
    common = [key for key in held_a if key in held_b]
    if not common:
        raise DatasetError(f"{name_a} and {name_b} share no question. Compare evaluations of one data set.")
    for key in common:
        first, second = held_a[key], held_b[key]
        if (first.question, first.size, first.count.truth) != (second.question, second.size, second.count.truth):
            raise DatasetError(
                f"{name_a} and {name_b} differ in what {key[0]!r} is: {first.question!r} with {first.count.truth} true "
                f"pixels, and {second.question!r} with {second.count.truth}. Compare evaluations of one data set."
            )
    found = difference(
        [held_a[key].count for key in common],
        [held_b[key].count for key in common],
        [held_a[key].image_id for key in common],
    )
    return Paired(name_a, name_b, found, len(held_a) - len(common), len(held_b) - len(common))


def _by_key(rows: Sequence[Row], name: str) -> dict[tuple[str, int | None], Row]:
    held: dict[tuple[str, int | None], Row] = {}
    for row in rows:
        if held.setdefault((row.id, row.seed), row) is not row:
            raise DatasetError(f"{name} holds the question {row.id!r} twice. Run its evaluation again.")
    return held


def table(pairs: Sequence[Paired]) -> str:
    """The pairs as a Markdown table, a row each."""
    lines = [
        "| B against A | questions | images | gIoU A | gIoU B | difference | 95 % | cIoU difference | 95 % "
        "| better / worse | p |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for pair in pairs:
        d = pair.difference
        lines.append(
            f"| {pair.b} against {pair.a} | {d.n} | {d.images} | {d.giou_a:.3f} | {d.giou_b:.3f} | {d.giou:+.3f} "
            f"| {_span(d.giou_interval)} | {d.ciou:+.3f} | {_span(d.ciou_interval)} | {d.better} / {d.worse} "
            f"| {_p(d.p)} |"
        )
    left_out = [
        f"{p.b} against {p.a}: {p.only_a} questions of A and {p.only_b} of B have no counterpart and are left out."
        for p in pairs
        if p.only_a or p.only_b
    ]
    return "\n".join(lines + (["", *left_out] if left_out else []))


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.3f} … {interval[1]:+.3f}"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
