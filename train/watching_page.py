"""What is drawn of a GRPO run: a page of completions with their masks, and the curves of several runs.

A page stands alone: its pictures are in it, it runs no script, and asks nothing of any host. What the model wrote is
untrusted; it is shown escaped, as plain text. It knows scored completions and files of figures, and no trainer.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg import overlay
from think2seg.errors import DatasetError
from think2seg.types import Result
from train.reward_rows import Row
from train.rewards import Scored

LONGEST_SIDE = 512
"""Pixels of a picture on a page."""
LONGEST_TEXT = 6000
"""Characters of a completion on a page."""
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

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "article{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:1.5rem;border-top:1px solid #ccc;"
    "padding:1.5rem 0}img{width:100%}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f3;"
    "padding:.7rem;max-height:24rem;overflow:auto;font-size:13px}table{border-collapse:collapse}"
    "td{padding:0 1rem 0 0}.why{color:#a11}details{font-size:13px}"
)
_SEED = re.compile(r"[-_]?s(?:eed)?[-_]?\d+$", re.IGNORECASE)


def page(step: int, shown: Sequence[tuple[Row, Scored, Result | None]], weights: Mapping[str, float]) -> bytes:
    """The completions of a step as an HTML page in UTF-8; a result of None could not be read."""
    articles = "\n".join(_article(row, scored, result, weights) for row, scored, result in shown)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>Step {step}</title><style>{_STYLE}</style></head><body>\n<h1>Step {step}</h1>\n"
        "<p>The best completion and, where another earned less, the worst, of some questions of the last batch. "
        "Tinted: the masks, with the boxes and points that were sent. Black and white line: the truth.</p>\n"
        f"{articles}\n</body></html>\n"
    ).encode()


def _article(row: Row, scored: Scored, result: Result | None, weights: Mapping[str, float]) -> str:
    parts = "".join(
        f"<tr><td>{name}</td><td>{getattr(scored, name):.3f}</td><td>× {weight:g}</td></tr>"
        for name, weight in weights.items()
    )
    said = "nothing to find" if scored.count.absent else f"{scored.count.truth} true pixels"
    if scored.why is not None:
        found = f'<p class="why">Unreadable. {_plain(scored.why)}</p>'
    elif not scored.prompts:
        found = "<p>Nothing here.</p>"
    else:
        found = f"<p>Instances: {len(scored.prompts)}, in {scored.count.predicted} pixels.</p>"
    return (
        f'<article><div><img alt="The picture with masks and truth" src="{_picture(row, result)}">'
        f"<p>{_plain(row.sample_id)}: {said}; asked as {_plain(row.strategy.name)}</p></div>"
        f"<div><table>{parts}<tr><td><b>total</b></td><td><b>{scored.total:.3f}</b></td></tr></table>{found}"
        f"<pre>{_plain(row.completion.text)}</pre>"
        f"<details><summary>The question</summary><pre>{_plain(row.question)}</pre></details></div></article>"
    )


def _plain(text: str) -> str:
    """Untrusted text for HTML: escaped, cut, and without characters that hide or turn others."""
    cut = text[:LONGEST_TEXT] + (
        f" … ({len(text) - LONGEST_TEXT:,} more characters)" if len(text) > LONGEST_TEXT else ""
    )
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in cut))


def _picture(row: Row, result: Result | None) -> str:
    """The picture with what was found and what is true, as the URL of a JPEG."""
    canvas = row.image.copy() if result is None else overlay.draw(result)
    _outline(canvas, row.truth)
    image = Image.fromarray(canvas)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def _outline(canvas: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
    """Draw the truth's edge on (H, W, 3) `canvas`, black within white, which shows on any ground and on any tint."""
    edges, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    width = max(1, round(max(truth.shape) / 500))
    cv2.drawContours(canvas, edges, -1, (255, 255, 255), 3 * width)
    cv2.drawContours(canvas, edges, -1, (0, 0, 0), width)


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
