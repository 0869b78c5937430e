"""A report as one page, `report.html`: what was run, its figures, distributions, strata, geometry, and cases to see.

The page asks nothing of any host, runs no script, and is the same for the same input; its prose is `page.html`. Text of
models and data sets goes through `gallery.text`. It knows reports, rows and samples, and makes no figure of its own.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.samples import Sample, spread
from think2seg.evaluation import gallery
from think2seg.evaluation.gallery import Cases, text
from think2seg.evaluation.report import Report
from think2seg.evaluation.row import Row
from think2seg.metrics import PRECISIONS

_HERE = Path(__file__).parent
_XS = tuple(enumerate(PRECISIONS))
_FIGURES = {
    "giou": ("gIoU", "mean of the questions’ IoU"),
    "ciou": ("cIoU", "sum of intersections over sum of unions"),
    **{f"precision {x}": (f"Precision@{x}", "" if i else "share of all with IoU at or above it") for i, x in _XS},
    "n_acc": ("N-acc", "of those without a target, answered with an empty mask"),
    "t_acc": ("T-acc", "of those with a target, answered with a mask"),
}
_WEIGHTS = {
    "all": "Every question counts alike.",
    "one an image, in expectation": "It draws one question an image by chance; here is the expectation of that draw: a "
    "question weighs 1 / (questions of its image).",
}
_SIZES = ("none", "under 1 %", "1-10 %", "over 10 %")
_DOTS = 600
_COLOURS = {"#010203": "--soft", "#010204": "--line", "#010205": "--mark", "#010206": "--warn"}
_SOFT, _LINE, _MARK, _WARN = _COLOURS
"""What matplotlib is told, and what the page calls it: plots are light or dark as the page is."""
_STYLE = {
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": _LINE, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": _SOFT, "axes.labelcolor": _SOFT, "xtick.color": _SOFT,
    "ytick.color": _SOFT,
}  # fmt: skip


def render(report: Report, rows: Sequence[Row], samples: Mapping[str, Sample], *, cases: Cases | None = None) -> str:
    """The page of a report, its rows and the samples by id, of which only those of the cases are read.

    cases: how many are shown; by default 12 of the lowest IoU, 12 of the highest and 8 without a target. Raises what
    `Sample.load` does, and `DatasetError` for a sample that is missing or not of its row's size.
    """
    weights = report["paper"]["questions"]
    worst, best, absent = (gallery.render(chosen, samples) for chosen in gallery.choose(rows, cases or Cases()))
    return Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=text(_title(report)),
        css=(_HERE / "page.css").read_text(encoding="utf-8"),
        head=_head(report, rows),
        figures=_figures(report),
        weights=_WEIGHTS.get(weights, f"Questions: {text(weights)}."),
        plots="".join(_plots(rows)),
        strata="".join(_stratum(*s) for s in sorted(report["strata"].items(), key=lambda s: (len(s[1]), s[0]))),
        geometry=_geometry(report["geometry"]),
        worst=worst,
        best=best,
        absent=absent,
        run=_pairs("Timing", report["timing"]) + _pairs("Settings", report["settings"]),
    )


def _number(value: float | None, places: int = 3) -> str:
    """A figure to so many places; "–" for one that is not there."""
    return "–" if value is None or math.isnan(value) else f"{value:.{places}f}"


def _span(interval: Sequence[float | None]) -> str:
    return "–" if interval[0] is None else f"{_number(interval[0])} – {_number(interval[1])}"


def _table(caption: str, head: Sequence[str], body: Sequence[tuple[str, Sequence[str]]], kind: str) -> str:
    """A table that scrolls in its own box. All its arguments are HTML; a row is its heading and its cells."""
    top = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in head)
    rows = "".join(f'<tr><th scope="row">{n}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>' for n, cells in body)
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{re.sub("<[^>]*>", "", caption)}">'
        f'<table class="{kind}"><caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _title(report: Report) -> str:
    settings = report["settings"]
    models = dict(report["models"] or {})
    if "variant_segmenter" in settings:
        models["segmenter"] = settings["variant_segmenter"]
    asked = ", ".join(str(settings[key]) for key in ("dataset", "split") if settings.get(key))
    answered = " + ".join(_model(model, role, short=True) for role, model in models.items())
    return " on ".join(filter(None, (answered, asked))) or "A set without a name"


def _model(model: Any, role: str, *, short: bool = False) -> str:
    """A model's name, with its source and revision unless `short`; several of them; or the folder of saved masks."""
    if role == "masks":
        return f"saved masks “{model}”"
    if not isinstance(model, dict):
        return str(model)
    if "name" not in model:
        return "; ".join(_model(one, role, short=short) for one in model.values())
    named = {"source": "{}", "revision": "revision {}", "dialect": "dialect {}"}
    more = [words.format(model[key]) for key, words in named.items() if model.get(key)]
    return str(model["name"]) if short or not more else f"{model['name']} ({', '.join(more)})"


def _head(report: Report, rows: Sequence[Row]) -> str:
    settings, seeds, n = report["settings"], report["seeds"], report["n"]
    asked = f"{len({row.id for row in rows}):,} on {report['images']:,} images"
    if seeds:
        asked += f", {seeds['n']} sampled answers each: {n:,} in all"
    if report["no_target"]:
        asked += f"; {report['no_target']:,} of {n:,} without a target"
    facts = {"Questions": asked}
    facts |= {role.capitalize(): _model(model, role) for role, model in (report["models"] or {}).items()}
    facts |= {key.capitalize(): settings.get(key) for key in ("strategy", "variant", "sent", "commit")}
    items = [f"<dt>{text(key)}</dt><dd><bdi>{text(value)}</bdi></dd>" for key, value in facts.items() if value]
    return f'<dl class="facts">{"".join(items)}</dl>'


def _figures(report: Report) -> str:
    seeds, body = report["seeds"], []
    for name, (label, about) in _FIGURES.items():
        first, _, x = name.partition(" ")
        held: list[Any] = [part.get(first) for part in (report, report["intervals"], report["paper"])]
        value, span, theirs = [part[x] for part in held] if x else held
        over = [_deviation(seeds.get(name))] if seeds else []
        cells = [_number(value), _bar(value, span), _span(span), *over, _number(theirs)]
        body.append((f"{label} <small>{about}</small>", cells))
    over = [_deviation(seeds["unreadable"], 1)] if seeds else []
    failed = f"{report['unreadable']:,} of {report['n']:,}"
    body.append(("Unreadable <small>answers that could not be read</small>", [failed, "", "–", *over, "–"]))
    head = ["", "ours", "", "95 % interval", "paper’s protocol"]
    if seeds:
        head.insert(4, f"{seeds['n']} seeds, mean ± deviation")
    return _table("All questions", head, body, "main")


def _deviation(over: Mapping[str, Any] | None, places: int = 3) -> str:
    return "–" if over is None else f"{_number(over['mean'], places)} ± {_number(over['deviation'], places)}"


def _bar(value: float | None, interval: Sequence[float | None]) -> str:
    """A figure of 0-1 and its interval, drawn."""
    if value is None:
        return ""
    low, at, high = (10 + 100 * (value if v is None else v) for v in (interval[0], value, interval[1]))
    return (
        '<svg class="bar" viewBox="0 0 120 12" aria-hidden="true"><path class="all" d="M10 6H110"/>'
        f'<path class="span" d="M{low:.1f} 6H{high:.1f}"/><circle class="dot" cx="{at:.1f}" cy="6" r="4"/></svg>'
    )


def _stratum(kind: str, values: Mapping[str, Any]) -> str:
    body = []
    for value in sorted(values, key=lambda v: (_SIZES.index(v) if v in _SIZES else -1, v)):
        f = values[value]
        cells = [f"{f['n']:,}", _number(f["giou"]), _bar(f["giou"], f["giou_interval"]), _span(f["giou_interval"])]
        cells += [_number(v) for v in (f["ciou"], f["precision"]["0.5"], f["n_acc"], f["t_acc"])]
        body.append((f"<bdi>{text(value)}</bdi>", [*cells, f"{f['unreadable']:,}"]))
    head = ["", "n", "gIoU", "", "95 % interval", "cIoU", "P@0.5", "N-acc", "T-acc", "unreadable"]
    return _table(f"By <bdi>{text(kind)}</bdi>", head, body, "strata")


def _geometry(held: Mapping[str, Any]) -> str:
    if not held["n"]:
        return "<p>These answers have no prompts, or no question has a target: there is nothing to check.</p>"
    body = [
        ("Mask IoU", "mean over questions with a target", held["mask_iou"], f"{held['n']:,} answers"),
        ("Positive points inside the truth", "share", held["positives_inside"], f"{held['positives']:,} points"),
        ("Negative points outside the truth", "share", held["negatives_outside"], f"{held['negatives']:,} points"),
        ("IoU of boxes with the truth’s own", "mean over answers with boxes", held["box_iou"], ""),
        ("Area of boxes over the truth’s", "mean over answers with boxes", held["box_area"], ""),
        ("Area of boxes over the truth’s", "median", held["box_area_median"], ""),
    ]
    rows = [(f"{name} <small>{kind}</small>", [_number(value), of]) for name, kind, value, of in body]
    return _table("Prompts against the truth", ["", "", "of"], rows, "main")


def _pairs(caption: str, held: Any) -> str:
    """A table of keys and values; what lies deeper is named by its path."""
    body: list[tuple[str, list[str]]] = []

    def collect(value: Any, at: str) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                collect(item, f"{at} › {key}" if at else str(key))
        elif at:
            shown = {"None": "–", "nan": "–", "True": "yes", "False": "no"}.get(str(value), value)
            words = re.sub("_(s|ms)(_|$)", r", \1 ", at).replace("_", " ")  # prompter_s: prompter, s
            body.append((f"<bdi>{text(words)}</bdi>", [f"<bdi>{text(shown)}</bdi>"]))

    collect(held, "")
    return _table(caption, ["what", "value"], body, "words") if body else ""


def _plots(rows: Sequence[Row]) -> list[str]:
    """The distributions that these rows have, each a `<figure>`."""
    found = []
    if present := [row for row in rows if not row.count.absent]:
        ious = np.array([row.iou for row in present])
        zero = f"Median {np.median(ious):.3f}; {np.count_nonzero(ious == 0):,} of {len(ious):,} are exactly 0."
        found.append(_histogram("IoU of questions with a target", zero, ious, np.linspace(0, 1, 21), "IoU"))
        shares = [100 * row.count.truth / (row.size[0] * row.size[1]) for row in present]
        found.append(_size_plot(np.array(shares), ious))
    if lengths := [len(row.text) for row in rows if row.text is not None]:
        found.append(_instance_plot(rows))
        last = min(max(lengths), 3 * int(np.percentile(lengths, 95))) + 1
        beyond = sum(length > last for length in lengths)
        about = f"Median {np.median(lengths):,.0f}, longest {max(lengths):,} characters."
        about += f" The last bar holds {beyond:,} longer ones too." if beyond else ""
        cut = np.minimum(lengths, last)
        found.append(_histogram("Length of completions", about, cut, np.linspace(0, last, 25), "characters"))
    return found


def _histogram(title: str, caption: str, values: NDArray[Any], bins: NDArray[np.float64], label: str) -> str:
    def draw(axes: Any) -> None:
        axes.hist(values, bins=bins, color=_MARK, rwidth=0.86)
        axes.set(xlabel=label, ylabel="answers", xlim=(bins[0], bins[-1]))

    return _plot(title, caption, draw)


def _size_plot(shares: NDArray[np.float64], ious: NDArray[np.float64]) -> str:
    """IoU against the target's size; shares in percent. Of many answers some are drawn, the medians are of all."""
    shown = np.array(spread(range(len(shares)), _DOTS))
    edges = 10 ** np.arange(min(np.floor(np.log10(shares.min())), 1.0), 2.1, 0.5)

    def draw(axes: Any) -> None:
        axes.plot(shares[shown], ious[shown], "o", color=_MARK, markersize=3.4, alpha=0.5, markeredgewidth=0)
        for low, high in pairwise(edges):
            held = (shares >= low) & ((shares < high) | (high == edges[-1]))
            if held.any():
                axes.plot([low, high], [np.median(ious[held])] * 2, color=_WARN, linewidth=2.4, solid_capstyle="butt")
        axes.set(xscale="log", xlim=(edges[0], edges[-1]), xlabel="target’s share of the picture", ylabel="IoU")
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g} %")

    some = f" {_DOTS:,} of {len(ious):,} are drawn, spread evenly." if len(ious) > _DOTS else ""
    return _plot("IoU against target size", f"A dot an answer; a bar the median of half a decade.{some}", draw)


def _instance_plot(rows: Sequence[Row]) -> str:
    readable = [row.count.instances for row in rows if row.count.readable]
    failed, most = len(rows) - len(readable), min(max(readable, default=0), 10)
    names = [*map(str, range(most)), f"{most}+" if max(readable, default=0) > most else str(most)]

    def draw(axes: Any) -> None:
        axes.bar(names, [sum(min(n, most) == k for n in readable) for k in range(most + 1)], color=_MARK, width=0.8)
        if failed:
            axes.bar([" "], [failed], width=0.8, fill=False, hatch="////", edgecolor=_WARN)
        axes.set(xlabel="instances", ylabel="answers")

    about = f"Mean {np.mean(readable):.2f}; 0 is “nothing here”." if readable else ""
    about += f" Hatched: {failed:,} unreadable." if failed else ""
    return _plot("Instances answered", about, draw)


def _plot(title: str, caption: str, draw: Callable[[Any], None]) -> str:
    """A small plot as SVG in a `<figure>`, in the page's colours, with no id or style that another could share."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    buffer = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # nobody's matplotlibrc
        matplotlib.rcParams.update({"svg.hashsalt": title, "svg.fonttype": "none"} | _STYLE)
        figure = Figure(figsize=(3.4, 2.4), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        draw(axes)
        if axes.get_ylabel() == "answers":
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue().replace("xlink:href", "href")
    svg = re.sub(r"^.*?<svg|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    head, svg = svg.split(">", 1)
    (box,) = re.findall(r'viewBox="([^"]*)"', head)
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\1{title.replace(' ', '-')}-", svg)
    svg = re.sub("|".join(_COLOURS), lambda told: f"var({_COLOURS[told[0]]})", svg)
    return (
        f'<figure><h3>{title}</h3><svg viewBox="{box}" role="img" aria-label="{title}. {caption}">{svg}'
        f"<figcaption>{caption}</figcaption></figure>"
    )
