"""Which box a segmenter rewards: the mean IoU of an object's mask by how large its box is, and how far off the prompt.

    python -m train.tolerance --segmenter nano [--limit 120]
    python -m train.tolerance --answers REPORT [REPORT ...]

The second asks how far off the boxes of an evaluation on scenes are, and how large those are that are off.

A policy that cannot place a box better than by a third of its side is right to draw a larger one, if the segmenter is:
then boxes grow in training though nothing is being cheated. The table says where that begins. Objects are those that
procedural validation scenes ask about, prompted with a tight box and two points inside, all moved together in a random
direction. It knows segmenters and scenes, and no prompter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from think2seg import datasets, segmenter
from think2seg.baselines import BASELINES
from think2seg.datasets.samples import Sample
from think2seg.errors import QueryError, Think2SegError
from think2seg.segmenter import Segmenter
from think2seg.strategy import find_strategy
from think2seg.types import Prompt, Size
from train.cold_start import asked_of, synthesised

AREAS = (0.7, 1.0, 1.5, 2.0, 3.0)
"""Of the box, as multiples of the tight one's."""
SHIFTS = (0.0, 0.15, 0.3, 0.5)
"""Of the prompt, in sides of the tight box."""
NEAR = (0.15, 0.3, 0.5)
"""Of a box in an answer: up to so many sides of the nearest true one from it, centre to centre."""
SMALLEST, MOST = 100, 2
"""Pixels of an object that counts; objects of a question."""


def changed(prompt: Prompt, area: float, shift: tuple[float, float], size: Size) -> Prompt:
    """`prompt` with its box `area` times as large, and all of it moved by `shift` sides of the box to the right and
    down, within a picture of `size` (width, height)."""
    assert prompt.box is not None
    x1, y1, x2, y2 = prompt.box
    wide, high, grown = x2 - x1, y2 - y1, area**0.5
    dx, dy = shift[0] * wide, shift[1] * high
    x, y = (x1 + x2) / 2 + dx, (y1 + y2) / 2 + dy
    box = (
        max(0.0, x - grown * wide / 2), max(0.0, y - grown * high / 2),
        min(float(size[0]), x + grown * wide / 2), min(float(size[1]), y + grown * high / 2),
    )  # fmt: skip
    points = tuple(
        (min(max(px + dx, 0), size[0] - 1.0), min(max(py + dy, 0), size[1] - 1.0)) for px, py in prompt.positive
    )
    return Prompt(box, points)


def tolerance(sam: Segmenter, samples: Sequence[Sample], seed: int = 0) -> dict[tuple[float, float], list[float]]:
    """The IoU of each object by (area, shift), in one order of the objects; `samples` are of procedural scenes."""
    rng = np.random.default_rng(seed)
    strategy = find_strategy("box+2")
    found: dict[tuple[float, float], list[float]] = {(area, shift): [] for shift in SHIFTS for area in AREAS}
    for sample in samples:
        about = asked_of(sample)
        if about is None:
            continue
        scene, question = about
        image, _truth = sample.load()
        masks = [scene.objects[i].mask for i in question.targets]
        for mask in [mask for mask in masks if np.count_nonzero(mask) >= SMALLEST][:MOST]:
            (prompt,) = synthesised([mask], strategy, rng)
            turn = rng.uniform(0, 2 * np.pi)
            size = (mask.shape[1], mask.shape[0])
            asked = [
                changed(prompt, area, (shift * float(np.cos(turn)), shift * float(np.sin(turn))), size)
                for area, shift in found
            ]
            for ious, one in zip(found.values(), sam.segment(image, asked), strict=True):
                union = np.count_nonzero(one.pixels | mask)
                ious.append(float(np.count_nonzero(one.pixels & mask) / union))
    return found


def placed(report: Path) -> list[tuple[float, float]]:
    """Of each box in an evaluation's answers to questions with a target: its centre's distance from that of the
    nearest true box in that one's sides, and its area over that one's. Raises `DatasetError`, `QueryError`."""
    try:
        told = json.loads((report / "report.json").read_text(encoding="utf-8"))["settings"]
        lines = [json.loads(line) for line in (report / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, KeyError) as error:
        raise QueryError(f"{report} is no evaluation: {error}. Give the folder that `evaluate --out` wrote.") from error
    if told["dataset"] != "scenes":
        raise QueryError(f"{report} is an evaluation on {told['dataset']!r}; the true boxes of scenes alone are known.")
    asks, limit = told.get("questions") or "one", told.get("limit")
    drawn = datasets.load("scenes", None, told["split"], questions=asks, limit=limit)
    asked = {sample.id: sample for sample in drawn}
    strategy, rng = find_strategy("box"), np.random.default_rng(0)
    found = []
    for line in lines:
        about = asked_of(asked[line["id"]]) if line["prompts"] else None
        if about is None or not about[1].targets:
            continue
        scene, question = about
        true = [one.box for one in synthesised([scene.objects[i].mask for i in question.targets], strategy, rng)]
        middle, sides = np.array([_middle_and_sides(box) for box in true if box is not None]).transpose(1, 0, 2)
        scale = np.array(scene.image.shape[1::-1]) / np.array(line["frame"])
        for prompt in line["prompts"]:
            if prompt["box"] is None:
                continue
            at, size = _middle_and_sides(prompt["box"])
            away = np.hypot(*((middle - at * scale) / sides).T)
            nearest = int(away.argmin())
            found.append((float(away[nearest]), float(np.prod(size * scale) / np.prod(sides[nearest]))))
    return found


def _middle_and_sides(box: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array(box[:2], float), np.array(box[2:], float)
    return (low + high) / 2, np.maximum(high - low, 1.0)


def table_of_answers(found: dict[str, list[tuple[float, float]]]) -> str:
    """A row for each evaluation: how many boxes are how far off, and their median area over the true one's."""
    bounds = [(low, high) for low, high in zip((0.0, *NEAR), (*NEAR, np.inf), strict=True)]
    named = [f"up to {high:g} sides off" if np.isfinite(high) else f"more than {low:g}" for low, high in bounds]
    lines = ["| boxes | " + " | ".join(f"{name}, area" for name in named) + " |", "| --- " * (len(named) + 1) + "|"]
    for name, boxes in found.items():
        cells = []
        for low, high in bounds:
            areas = [area for away, area in boxes if low < away <= high or (away == low == 0)]
            share = len(areas) / len(boxes) if boxes else 0.0
            cells.append(f"{share:.0%}, {float(np.median(areas)):.2f}" if areas else "0 %, –")
        lines.append(f"| {name}, {len(boxes)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(name: str, found: dict[tuple[float, float], list[float]]) -> str:
    """A table of means: a row for each shift, a column for each area, the best of a row in bold."""
    objects = len(next(iter(found.values())))
    lines = [f"| {name}, {objects} objects: off by | " + " | ".join(f"area × {area:g}" for area in AREAS) + " |"]
    lines.append("| --- " * (len(AREAS) + 1) + "|")
    for shift in SHIFTS:
        means = [float(np.mean(found[area, shift])) if objects else 0.0 for area in AREAS]
        cells = [f"**{mean:.2f}**" if mean == max(means) else f"{mean:.2f}" for mean in means]
        lines.append(f"| {shift:g} sides | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.tolerance", description=__doc__.split("\n")[0])
    parser.add_argument("--segmenter", default="nano", metavar="NAME", help="default: nano")
    parser.add_argument("--limit", type=int, default=120, metavar="N", help="validation scenes (default: 120)")
    parser.add_argument("--device", metavar="cpu|cuda|cuda:N", help="default: a GPU if there is one")
    parser.add_argument("--answers", type=Path, nargs="+", metavar="REPORT", help="evaluations on scenes, by folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table here too")
    options = parser.parse_args(argv)
    try:
        if options.answers:
            return _told(table_of_answers({report.name: placed(report) for report in options.answers}), options.out)
        name = options.segmenter
        sam = BASELINES[name] if name in BASELINES else segmenter.load(name, device=options.device)
        samples = datasets.load("scenes", None, "val", limit=max(1, options.limit))
    except Think2SegError as error:
        print(error, file=sys.stderr)
        return 2
    return _told(markdown(name, tolerance(sam, samples)), options.out)


def _told(text: str, out: Path | None) -> int:
    print(text)
    if out:
        out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
