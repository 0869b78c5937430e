"""The curves of training runs beside each other: `python -m train.curves RUN … --out curves.png`.

Each RUN is a run's folder, or a `metrics.jsonl`. It knows files of figures, and no trainer.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg import overlay
from think2seg.errors import DatasetError

PANELS = {
    "reward": "reward",
    "iou": "IoU where there is a target",
    "n_acc": "N-acc",
    "parsed": "share that can be read",
    "readable": "share with the right counts",
    "empty": "share empty where there is a target",
    "zero_spread": "share of groups without spread",
    "tokens": "tokens a completion",
    "instances": "instances an answer",
    "points_inside": "share of points in the truth",
    "box_iou": "box IoU",
    "box_area": "box area / true area",
}
"""The figures that `curves` draws, where a run has them."""
_SEED = re.compile(r"[-_]?s(?:eed)?[-_]?\d+$", re.IGNORECASE)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, or of a run's folder; none if there is no file. A line that a dying run left
    unfinished does not count."""
    path = path / "metrics.jsonl" if path.is_dir() else path
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def curves(paths: Sequence[Path], out: Path, *, smooth: int = 5) -> None:
    """Draw the figures of several runs into the PNG `out`: a line is the mean of a run's seeds, the band their range.
    A value is the mean of a seed's last `smooth` logging steps.

    paths: each a `metrics.jsonl` or the folder that holds one. Folders that differ only in an ending like `-seed-3` or
    `_s3`, and folders `seed-3` in one folder, are seeds of one run. Raises `DatasetError` for a run without figures.
    """
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for path in paths:
        lines = read_metrics(path)
        if not lines:
            raise DatasetError(f"{path} holds no figures of a run. Give the metrics.jsonl that `Watch` wrote.")
        folder = path.absolute() if path.is_dir() else path.absolute().parent
        runs.setdefault(_SEED.sub("", folder.name) or folder.parent.name, []).append(lines)
    if not runs:
        raise DatasetError("There is no run to draw. Give at least one metrics.jsonl.")
    out.write_bytes(_drawn(runs, smooth))


def _drawn(runs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], smooth: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in PANELS if any(name in line for seeds in runs.values() for run in seeds for line in run)]
    columns = min(3, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for i, (label, seeds) in enumerate(runs.items()):
            found = _together(seeds, name, smooth)
            if found is not None:
                steps, values = found
                colour = "#{:02x}{:02x}{:02x}".format(*overlay.PALETTE[(i + 4) % len(overlay.PALETTE)])
                panel.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
                panel.plot(steps, values.mean(axis=0), color=colour, label=f"{label} ({len(seeds)})")
        panel.set_title(PANELS[name], fontsize=10)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(4, len(runs)),
        fontsize=9,
        title=f"mean and range over seeds (how many), by step; each the mean of {smooth} logging steps",
        title_fontsize=9,
    )
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=120, metadata={"Software": None})
    return held.getvalue()


def _together(
    seeds: Sequence[Sequence[Mapping[str, Any]]], name: str, smooth: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(N,) steps that all seeds have reached and (seeds, N) values, straight between the steps that were logged."""
    series = [np.array([(line["step"], line[name]) for line in run if name in line], dtype=float) for run in seeds]
    series = [values for values in series if len(values)]
    for values in series:
        values[:, 1] = [values[max(0, i + 1 - smooth) : i + 1, 1].mean() for i in range(len(values))]
    if not series:
        return None
    first, last = max(values[0, 0] for values in series), min(values[-1, 0] for values in series)
    steps = np.unique(np.concatenate([values[:, 0] for values in series]))
    steps = steps[(steps >= first) & (steps <= last)]
    return steps, np.stack([np.interp(steps, values[:, 0], values[:, 1]) for values in series])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.curves", description=__doc__.split("\n")[0])
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run's folder; seeds of a run end in -seed-N"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the PNG")
    parser.add_argument("--smooth", type=int, default=5, metavar="N", help="logging steps to a mean (default: 5)")
    options = parser.parse_args(argv)
    try:
        curves(options.runs, options.out, smooth=max(1, options.smooth))
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
