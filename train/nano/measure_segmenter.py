"""Measures a segmenter with true prompts: mean IoU per object, by set, size and prompt.

    python -m train.nano.measure_segmenter --segmenter nano --nwpu DIR --aerial-real DIR --scenes --json OUT.json

Sets: NWPU's validation blocks, connected components of aerial-real's masks (never trained on, never selected on), and
procedural scenes from seed 0 on, by class too. Prompts: the truth's box and two points inside (the deepest pixel and
a random one), either alone, and the box with every edge off by up to 10 % of its side. Beside every number stand what
the same box gives without a model: filled, and an ellipse in it. It does not know training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from think2seg.segmenter import Segmenter, load
from think2seg.types import Prompt
from think2seg.zoom import zoomed
from train.nano import segmenter_data as data

MIN_PIXELS = 20
"""Smaller objects, in pixels of the source image, are left out."""
STRATA = (("under 1 %", 0.0, 0.01), ("1-3 %", 0.01, 0.03), ("over 3 %", 0.03, 1.01))
PROMPTS = ("box and points", "box off by 10 % and points", "box alone", "points alone")
ZOOM = 2
"""Tiles a side that `--zoom` shows besides the whole picture."""
ZOOMED = f"box and points, {ZOOM} x {ZOOM} tiles too"
COLUMNS = (*PROMPTS, ZOOMED, "the box, filled", "an ellipse in it")


@dataclass(frozen=True)
class Picture:
    """image (H, W, 3) uint8 RGB, masks (H, W) bool each, where it is from, and the masks' classes where known."""

    name: str
    image: NDArray[np.uint8]
    masks: list[NDArray[np.bool_]]
    classes: list[str] | None = None


@dataclass(frozen=True)
class Asked:
    """The prompts for the masks of one picture: boxes (N, 4) xyxy in pixel edges, points (N, 2, 2) xy."""

    boxes: NDArray[np.float32]
    loose: NDArray[np.float32]
    points: NDArray[np.float32]


def nwpu(folder: Path) -> Iterator[Picture]:
    for source in data.load_nwpu(folder, validation=True):
        size = (source.image.shape[1], source.image.shape[0])
        yield Picture(f"{source.number:03d}", source.image, [data.fill(parts, size) for parts in source.instances])


def aerial_real(folder: Path, from_nwpu: bool) -> Iterator[Picture]:
    """One picture an image: the 8-connected components of all its masks; a component that comes twice counts once.

    from_nwpu: the images that come from NWPU VHR-10 (others than those trained on, of the same kind), or the rest.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["level"] != "absent" and ("NWPU" in entry["source"]) == from_nwpu:
            entries.setdefault(entry["image"], []).append(entry)
    for name, group in entries.items():
        bgr = cv2.imread(str(folder / name), cv2.IMREAD_COLOR)
        masks: dict[bytes, NDArray[np.bool_]] = {}
        for entry in group:
            truth = cv2.imread(str(folder / entry["mask"]), cv2.IMREAD_GRAYSCALE)
            count, labels = cv2.connectedComponents((truth > 127).astype(np.uint8))
            for k in range(1, count):
                masks.setdefault(np.packbits(labels == k).tobytes(), labels == k)
        yield Picture(name, np.ascontiguousarray(bgr[..., ::-1]), list(masks.values()))


def scenes(count: int, size: int = 336) -> Iterator[Picture]:
    from think2seg.datasets.scenes import scene

    for seed in range(count):
        drawn = scene(seed, size)
        things = drawn.objects
        yield Picture(str(seed), drawn.image, [thing.mask for thing in things], [thing.category for thing in things])


def ask(rng: np.random.Generator, masks: list[NDArray[np.bool_]]) -> Asked:
    boxes, loose, points = [], [], []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        deepest = np.unravel_index(int(depth.argmax()), depth.shape)
        k = int(rng.integers(len(xs)))
        boxes.append(box)
        loose.append(box + rng.uniform(-0.1, 0.1, 4) * np.tile(box[2:] - box[:2], 2))
        points.append([[deepest[1] + 0.5, deepest[0] + 0.5], [xs[k] + 0.5, ys[k] + 0.5]])
    return Asked(np.stack(boxes), np.stack(loose).astype(np.float32), np.array(points, np.float32))


def prompts_of(boxes: NDArray[np.float32] | None, points: NDArray[np.float32] | None) -> list[Prompt]:
    """Boxes (N, 4), points inside (N, 2, 2), or both, as the pipeline's prompts."""
    count = len(boxes if boxes is not None else points if points is not None else ())
    corners = [None] * count if boxes is None else [tuple(box) for box in boxes.tolist()]
    inside = [()] * count if points is None else [tuple((x, y) for x, y in two) for two in points.tolist()]
    return [Prompt(box, two) for box, two in zip(corners, inside, strict=True)]  # type: ignore[arg-type]


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))


def baselines(box: NDArray[np.float32], shape: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u = (2 * x - box[0] - box[2]) / (box[2] - box[0])
    v = (2 * y - box[1] - box[3]) / (box[3] - box[1])
    return {"the box, filled": np.maximum(abs(u), abs(v)) <= 1, "an ellipse in it": u * u + v * v <= 1}


def measure(segmenter: Segmenter, pictures: Iterator[Picture], closer: Segmenter | None) -> list[dict[str, Any]]:
    """One row an object: its share of the image, the IoU of every column, the score of the first; its class."""
    rows: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures):
        large = [k for k, mask in enumerate(picture.masks) if np.count_nonzero(mask) >= MIN_PIXELS]
        for start in range(0, len(large), 16):
            chosen = large[start : start + 16]
            truth = [picture.masks[k] for k in chosen]
            asked = ask(np.random.default_rng([number, start]), truth)
            both = prompts_of(asked.boxes, asked.points)
            found = {
                "box and points": segmenter.segment(picture.image, both),
                "box off by 10 % and points": segmenter.segment(picture.image, prompts_of(asked.loose, asked.points)),
                "box alone": segmenter.segment(picture.image, prompts_of(asked.boxes, None)),
                "points alone": segmenter.segment(picture.image, prompts_of(None, asked.points)),
            }
            if closer is not None:
                found[ZOOMED] = closer.segment(picture.image, both)
            for k, mask in enumerate(truth):
                row: dict[str, Any] = {name: iou(got[k].pixels, mask) for name, got in found.items()}
                row |= {name: iou(got, mask) for name, got in baselines(asked.boxes[k], mask.shape).items()}
                row["share"] = float(mask.mean())
                row["score"] = found["box and points"][k].score
                row["class"] = picture.classes[chosen[k]] if picture.classes else None
                rows.append(row)
    return rows


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means of the columns over all objects and over the strata; the first column's by class; how well the score
    follows the IoU."""
    table: dict[str, Any] = {}
    for name, low, high in (("all", 0.0, 1.01), *STRATA):
        chosen = [row for row in rows if low <= row["share"] < high]
        if chosen:
            means = {c: round(float(np.mean([r[c] for r in chosen])), 3) for c in COLUMNS if c in chosen[0]}
            table[name] = {"objects": len(chosen), **means}
    classes = sorted({row["class"] for row in rows if row["class"]})
    by_class = {c: float(np.mean([row["box and points"] for row in rows if row["class"] == c])) for c in classes}
    table["by class"] = {c: round(value, 3) for c, value in sorted(by_class.items(), key=lambda item: item[1])}
    scores = np.array([row["score"] for row in rows])
    truth = np.array([row["box and points"] for row in rows])
    table["score"] = {
        "mean": round(float(scores.mean()), 3),
        "mean error": round(float(abs(scores - truth).mean()), 3),
        "correlation": round(float(np.corrcoef(scores, truth)[0, 1]), 3),
    }
    return table


def markdown(name: str, table: dict[str, Any]) -> str:
    columns = [c for c in COLUMNS if c in table["all"]]
    lines = [f"| {name} | objects | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for stratum, values in table.items():
        if stratum not in ("score", "by class"):
            cells = " | ".join(f"{values[c]:.2f}" for c in columns)
            lines.append(f"| {stratum} | {values['objects']} | {cells} |")
    score = table["score"]
    lines.append(
        f"\nScore of the first column: mean {score['mean']}, mean error {score['mean error']}, "
        f"correlation with the IoU {score['correlation']}.\n"
    )
    if table["by class"]:
        lines.append("By class: " + ", ".join(f"{c} {value:.2f}" for c, value in table["by class"].items()) + ".\n")
    return "\n".join(lines)


def speed(segmenter: Segmenter, threads: int) -> str:
    """Median milliseconds of encoding an 800 x 800 image and of eight boxes in one batch."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, (8, 2))
    prompts = prompts_of(np.concatenate([corners, corners + 200], 1).astype(np.float32), None)
    encode, decode = [], []
    for _ in range(7):
        image = rng.integers(0, 255, (800, 800, 3), np.uint8)
        start = time.perf_counter()
        segmenter.encode(image)
        encode.append(time.perf_counter() - start)
        start = time.perf_counter()
        segmenter.segment(image, prompts)
        decode.append(time.perf_counter() - start)
    return f"encode {np.median(encode) * 1e3:.0f} ms, 8 prompts {np.median(decode) * 1e3:.0f} ms, {threads} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmenter", default="nano", metavar="NAME", help="a name or a folder (default: nano)")
    parser.add_argument("--nwpu", type=Path, help="folder of NWPU VHR-10")
    parser.add_argument("--aerial-real", type=Path, help="folder with manifest.jsonl, images/ and masks/")
    parser.add_argument("--scenes", type=int, nargs="?", const=200, default=0, help="so many procedural scenes (200)")
    parser.add_argument("--zoom", action="store_true", help="also with the pipeline's --zoom")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the tables here too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    segmenter = load(args.segmenter)
    closer = zoomed(segmenter, ZOOM) if args.zoom else None
    sets: dict[str, Iterator[Picture]] = {}
    if args.aerial_real:
        sets["aerial-real, other sources"] = aerial_real(args.aerial_real, from_nwpu=False)
        sets["aerial-real, from NWPU"] = aerial_real(args.aerial_real, from_nwpu=True)
    if args.nwpu:
        sets["NWPU validation"] = nwpu(args.nwpu)
    if args.scenes:
        sets["procedural scenes"] = scenes(args.scenes)
    if not sets:
        parser.error("nothing to measure on; give --nwpu, --aerial-real or --scenes.")
    rows, tables = {}, {}
    for name, pictures in sets.items():
        rows[name] = measure(segmenter, pictures, closer)
        tables[name] = summarise(rows[name])
        print(markdown(name, tables[name]), flush=True)
    if args.aerial_real:
        both = [row for name in sets if name.startswith("aerial-real") for row in rows[name]]
        tables["aerial-real, both"] = summarise(both)
        print(markdown("aerial-real, both", tables["aerial-real, both"]), flush=True)
    print(speed(segmenter, args.threads))
    if args.json:
        args.json.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
