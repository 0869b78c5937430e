"""A study's outcome as a Markdown table and a plot. It knows outcomes, and neither rows nor models."""

from __future__ import annotations

import io
from typing import Any


def markdown(found: dict[str, Any]) -> str:
    """The outcome as a Markdown table with its paired differences, and what they are against."""
    lines = [
        f"Study of {found['study']}: {found['about']}.",
        "",
        "| | n | gIoU | 95 % | cIoU | P@0.5 | N-acc | T-acc | unreadable | + inside | − outside | box IoU "
        "| box area | difference | 95 % | better / worse | p |",
        "| " + " | ".join(["---"] * 17) + " |",
    ]
    for entry in found["entries"]:
        geometry, d = entry["geometry"], entry.get("difference")
        cells = [
            entry["label"], entry["n"], _f(entry["giou"]), _span(entry["giou_interval"]), _f(entry["ciou"]),
            _f(entry["precision"]["0.5"]), _f(entry["n_acc"]), _f(entry["t_acc"]), entry["unreadable"],
            _f(geometry["positives_inside"]), _f(geometry["negatives_outside"]), _f(geometry["box_iou"]),
            _f(geometry["box_area_median"], 2),
        ]  # fmt: skip
        if d is None:
            cells += ["–", "–", "–", "–"]
        else:
            cells += [
                _f(d["giou"], sign=True),
                _span(d["interval"], sign=True),
                f"{d['better']} / {d['worse']}",
                _p(d["p"]),
            ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    paired = next((e["difference"] for e in found["entries"] if "difference" in e), None)
    lines += ["", f"Differences are of gIoU, against “{found['reference']}”"]
    if paired is not None:
        pairs = "pictures that have both" if paired["by"] == "picture" else "questions"
        lines[-1] += f", paired over {paired['n']} {pairs}"
    lines[-1] += (
        "; intervals are bootstrap 95 % by picture, p of the Wilcoxon signed-rank test on the pictures' means, not "
        "corrected for the number of comparisons. “+ inside”, “− outside”: shares of the points inside and outside the "
        "truth; box area: median, as a multiple of the truth's pixels."
    )
    return "\n".join(lines) + "\n"


def plot(found: dict[str, Any]) -> bytes:
    """The outcome as a PNG: gIoU with its interval, and beside it the paired difference with its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = found["entries"]
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(entries)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    heights = list(range(len(entries)))[::-1]
    for entry, y in zip(entries, heights, strict=True):
        low, high = entry["giou_interval"]
        left.plot([low, high], [y, y], color="#0072b2", linewidth=2)
        left.plot(entry["giou"], y, "o", color="#0072b2")
        left.annotate(
            f"{entry['giou']:.3f}", (entry["giou"], y), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
        d = entry.get("difference")
        if d is not None and d["giou"] is not None:
            colour = "#d55e00" if d["p"] < 0.05 else "#777777"
            right.plot(d["interval"], [y, y], color=colour, linewidth=2)
            right.plot(d["giou"], y, "s", color=colour)
    right.axvline(0, color="#333333", linewidth=0.8)
    left.set_yticks(heights, [entry["label"] for entry in entries])
    left.set_ylim(-0.6, len(entries) - 0.3)
    left.set_xlabel("gIoU, 95 % interval")
    right.set_xlabel("paired difference, 95 % interval (orange: p < 0.05)")
    for axes in (left, right):
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{found['about']}; differences from “{found['reference']}”", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def _f(value: float | None, places: int = 3, *, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''}.{places}f}"


def _span(interval: list[float] | None, *, sign: bool = False) -> str:
    return "–" if interval is None else f"{_f(interval[0], sign=sign)} … {_f(interval[1], sign=sign)}"


def _p(p: float | None) -> str:
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"
