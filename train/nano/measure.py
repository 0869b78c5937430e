"""How good a pair of models is: gIoU, cIoU and N-acc on fresh procedural scenes and on a manifest of real images.

    python -m train.nano.measure scenes --count 500
    python -m train.nano.measure manifest --root DIR

Every question goes through the very pipeline that the studio runs; an unreadable answer counts as an empty mask, and
as wrong on an image without a target. One question a scene, drawn by the scene's seed; every question of a manifest,
once in plain words (`query`) and once implicit (`reasoning_query`). A small first version of an evaluator: it has no
intervals and no resume.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import think2seg
from think2seg import images
from think2seg.datasets.scenes import scene
from think2seg.errors import AnswerError
from think2seg.metrics import Scores, iou
from think2seg.pipeline import Pipeline


@dataclass(frozen=True)
class Sample:
    """One question about one picture: (H, W, 3) uint8, (H, W) bool, and the strata that it counts in."""

    name: str
    image: NDArray[np.uint8]
    question: str
    truth: NDArray[np.bool_]
    strata: tuple[str, ...]


def size_stratum(truth: NDArray[np.bool_]) -> str:
    """Which share of the picture the truth covers."""
    share = truth.mean()
    if share == 0:
        return "size: no target"
    return "size: " + ("under 1 %" if share < 0.01 else "1-10 %" if share < 0.1 else "over 10 %")


def scene_samples(first: int, count: int, size: int) -> Iterator[Sample]:
    """One question of each of the scenes `first` … `first + count - 1`."""
    for seed in range(first, first + count):
        made = scene(seed, size)
        chosen = made.questions[np.random.default_rng([seed, 77]).integers(len(made.questions))]
        truth = made.truth(chosen)
        strata = (f"kind: {chosen.kind}", f"phrasing: {'unseen' if chosen.unseen else 'seen'}", size_stratum(truth))
        yield Sample(f"scene {seed}", made.image, chosen.text, truth, strata)


def manifest_samples(root: Path) -> Iterator[Sample]:
    """Every question of `root/manifest.jsonl`, in both wordings. A file that cannot be read is an error."""
    for line in (root / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        image = images.load(root / row["image"]).pixels
        truth = np.asarray(Image.open(root / row["mask"]).convert("L")) > 0
        nwpu = {"airplane", "ship", "storage tank", "baseball diamond", "tennis court", "basketball court"}
        nwpu |= {"ground track field", "harbor", "bridge", "vehicle"}
        for wording in ("query", "reasoning_query"):
            if not row.get(wording):
                continue
            words = "plain" if wording == "query" else "implicit"
            strata = [f"{words}, level: {row['level']}", f"{words}, {size_stratum(truth)}"]
            if row["class"].replace("_", " ").lower() in nwpu:
                strata.append(f"{words}, bundled classes, level: {row['level']}")
            yield Sample(row["id"], image, row[wording], truth, (words, *strata))


def measure(pipeline: Pipeline, samples: Iterator[Sample], out: Path | None) -> dict[str, Scores]:
    """Scores of all samples and of each stratum; with `out`, one line of JSON a sample."""
    scores: dict[str, Scores] = defaultdict(Scores)
    lines = out.open("w", encoding="utf-8") if out else None
    started = time.monotonic()
    for number, sample in enumerate(samples, start=1):
        seconds = time.monotonic()
        text = why = ""
        predicted: NDArray[np.bool_] | None = None
        try:
            result = pipeline(sample.image, sample.question)
            predicted, text = result.mask, result.completion.text
        except AnswerError as error:
            text, why = error.text, error.why
        seconds = time.monotonic() - seconds
        for stratum in ("all", *sample.strata):
            scores[stratum].add(predicted, sample.truth)
        if lines:
            row = {"id": sample.name, "question": sample.question, "text": text, "unreadable": why or None}
            row |= {"iou": None if predicted is None else round(iou(predicted, sample.truth), 4)}
            lines.write(json.dumps(row | {"seconds": round(seconds, 3)}, ensure_ascii=False) + "\n")
        if number % 50 == 0:
            rate = number / (time.monotonic() - started)
            print(
                f"{number} questions, {rate:.2f} a second, gIoU {scores['all'].giou:.3f}", file=sys.stderr, flush=True
            )
    if lines:
        lines.close()
    return scores


def table(scores: dict[str, Scores]) -> str:
    """The scores as a Markdown table, a row a stratum."""
    rows = ["| questions | n | gIoU | cIoU | P@0.5 | N-acc | unreadable |", "|---|---|---|---|---|---|---|"]
    for name in sorted(scores, key=lambda s: (s != "all", s)):
        s = scores[name]
        n_acc = "–" if np.isnan(s.n_acc) else f"{s.n_acc:.3f}"
        rows.append(
            f"| {name} | {len(s)} | {s.giou:.3f} | {s.ciou:.3f} | {s.precision(0.5):.3f} | {n_acc} | {s.unreadable} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.nano.measure", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("scenes", "manifest"))
    parser.add_argument("--root", type=Path, help="the manifest's folder")
    parser.add_argument("--first", type=int, default=0, help="the first scene's seed (below 10,000: never trained on)")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--size", type=int, default=336, help="of the scenes, in pixels")
    parser.add_argument("--prompter", default="nano")
    parser.add_argument("--segmenter", default="nano")
    parser.add_argument("--strategy", default="box+2")
    parser.add_argument("--out", type=Path, help="a file for one line of JSON a question")
    options = parser.parse_args()
    if options.what == "manifest" and options.root is None:
        parser.error("manifest needs --root DIR, the folder that holds manifest.jsonl")
    pipeline = think2seg.load(options.prompter, options.segmenter, strategy=options.strategy)
    samples = (
        scene_samples(options.first, options.count, options.size)
        if options.what == "scenes"
        else manifest_samples(options.root)
    )
    print(table(measure(pipeline, samples, options.out)))


if __name__ == "__main__":
    main()
