"""A comparison as a picture to show, the plate, and as a table to reckon with, a CSV. compare's back room.

It runs no model and writes no file. The question is a person's own words: it is drawn, and never interpreted.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from think2seg import overlay
from think2seg.comparison import Comparison, Panel
from think2seg.heat import colours, heat
from think2seg.strategy import find_strategy
from think2seg.types import Query, Result, Size

_SIDE = 440
"""Pixels that a panel on the plate is wide at most."""
_CAPTION = 240
_GAP, _LINE = 16, 20
_INK, _FAINT, _PAPER, _BLANK = (17, 24, 39), (75, 85, 99), (255, 255, 255), (232, 237, 243)
_MOST_ACROSS = 6

Picture = NDArray[np.uint8]


def caption(comparison: Comparison, index: int) -> tuple[str, str]:
    """Two lines on a panel: what it is, and what came of it."""
    panel = comparison.panels[index]
    name = f"{find_strategy(panel.place.strategy).label} · SAM {panel.place.segmenter}"
    if panel.result is None:
        return name, "stopped" if panel.error is None else f"failed: {panel.error}"
    seconds = f"SAM {panel.segmenter_s or 0:.2f} s"
    if panel.prompter_s is not None:
        seconds = f"model {panel.prompter_s:.1f} s, {seconds}"
    objects = "nothing here" if panel.result.nothing_here else f"{len(panel.result.masks)} objects"
    objects = "1 object" if objects == "1 objects" else objects
    truth = comparison.truth_iou(index)
    parts = [objects, f"{panel.area or 0:,} px", seconds, *([] if truth is None else [f"IoU {truth:.3f}"])]
    return name, ", ".join(parts)


def plate(comparison: Comparison) -> Picture:
    """The panels, the disagreement map and the truth if there is one, each with its caption, as one (H, W, 3) uint8."""
    segmenters = len({panel.place.segmenter for panel in comparison.panels})
    width, height = comparison.query.size
    scale = min(1.0, _SIDE / width, 2 * _SIDE / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cell = max(_CAPTION, size[0])
    ground = _resized(comparison.query.image, size)
    pictures = [_shown(comparison, panel, size) for panel in comparison.panels]
    captions = [caption(comparison, i) for i in range(len(comparison.panels))]
    split = Image.fromarray(comparison.disagreement).resize(size, Image.Resampling.BOX)
    pictures.append(heat(ground, np.asarray(split, dtype=np.float32)))
    captions.append(("disagreement", "bright where the panels are evenly split"))
    if comparison.truth is not None:
        truth = _resized(comparison.truth.astype(np.uint8) * 255, size) >= 128
        pictures.append(ground.copy())
        overlay.tint(pictures[-1], ground, truth, overlay.PALETTE[2], 0.55)
        captions.append(("truth", f"{int(comparison.truth.sum()):,} px"))
    across = min(segmenters, _MOST_ACROSS) if segmenters > 1 else min(len(pictures), 3)
    rows = -(-len(pictures) // across)
    question = _wrapped(comparison.query.question, across * (cell + _GAP) - _GAP, _font(20), most=3)
    head = _GAP + 28 * len(question) + _GAP
    texts = [_wrapped(name, cell, _font(15), 1) + _wrapped(told, cell, _font(13), 2) for name, told in captions]
    foot = 4 + _LINE * max(map(len, texts)) + _GAP
    whole = (across * (cell + _GAP) + _GAP, head + rows * (size[1] + foot) + 2 * _LINE + _GAP)
    paper = Image.new("RGB", whole, _PAPER)
    ink = ImageDraw.Draw(paper)
    for number, line in enumerate(question):
        ink.text((_GAP, _GAP + 28 * number), line, _INK, _font(20))
    for number, (picture, lines) in enumerate(zip(pictures, texts, strict=True)):
        x, y = _GAP + (number % across) * (cell + _GAP), head + (number // across) * (size[1] + foot)
        paper.paste(Image.fromarray(picture), (x, y))
        for i, line in enumerate(lines):
            font, colour = (_font(15), _INK) if i == 0 else (_font(13), _FAINT)
            ink.text((x, y + size[1] + 4 + _LINE * i), line, colour, font)
    _legend(paper, ink, (_GAP, whole[1] - _LINE - _GAP))
    return np.asarray(paper)


def _shown(comparison: Comparison, panel: Panel, size: Size) -> Picture:
    """A panel at the `size` that it has on the plate, drawn at twice that at most: large pictures cost no more."""
    if panel.result is None:
        return np.full((size[1], size[0], 3), _BLANK, dtype=np.uint8)
    result, was = panel.result, comparison.query.size
    if was[0] > 2 * size[0]:
        result = _shrunk(result, (2 * size[0], 2 * size[1]))
    drawn = Image.fromarray(overlay.draw(result))
    return np.asarray(drawn.resize(size, Image.Resampling.LANCZOS))


def _shrunk(result: Result, size: Size) -> Result:
    """`result` on its picture at another size, to be drawn."""
    was = result.query.size
    return replace(
        result,
        query=Query(_resized(result.query.image, size), result.query.question),
        answer=replace(result.answer, prompts=tuple(p.moved(was, size) for p in result.answer.prompts)),
        sent=tuple(p.moved(was, size) for p in result.sent),
        masks=tuple(replace(m, pixels=_resized(m.pixels.astype(np.uint8) * 255, size) >= 128) for m in result.masks),
    )


def _resized(pixels: Picture, size: Size) -> Picture:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def _legend(paper: Image.Image, ink: ImageDraw.ImageDraw, at: tuple[int, int]) -> None:
    """What the colours of the disagreement map mean."""
    ramp = np.repeat(colours()[None, ::2], 12, axis=0)
    ink.text(at, "agree", _FAINT, _font(13))
    paper.paste(Image.fromarray(ramp), (at[0] + 46, at[1] + 3))
    ink.text((at[0] + 46 + ramp.shape[1] + 8, at[1]), "evenly split", _FAINT, _font(13))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which knows most alphabets, as it comes with matplotlib."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont, most: int) -> list[str]:
    """`text` in at most `most` lines of `width` pixels; what does not fit ends in an ellipsis."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    lines: list[str] = []
    while words and len(lines) < most:
        line = words.pop(0)
        while words and font.getlength(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        cut = line
        while len(cut) > 1 and font.getlength(cut) > width:
            cut = cut[:-1]
        if cut != line:
            words.insert(0, line[len(cut) :])
        lines.append(cut)
    if words:
        last = lines[-1]
        while len(last) > 1 and font.getlength(last + "…") > width:
            last = last[:-1]
        lines[-1] = last + "…"
    return lines


COLUMNS = (
    "strategy", "segmenter", "prompter", "status", "cut_from", "objects", "area_px", "area_share", "prompter_s",
    "segmenter_s", "encoding_s", "mean_agreement", "truth_iou", "why",
)  # fmt: skip
"""Of the CSV; one `iou: STRATEGY SEGMENTER` for each panel follows. Empty means that there is none."""


def table(comparison: Comparison) -> str:
    """The comparison as CSV (RFC 4180), one row a panel."""
    names = [f"{p.place.strategy} {p.place.segmenter}" for p in comparison.panels]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *(f"iou: {name}" for name in names)])
    pixels = comparison.query.image.shape[0] * comparison.query.image.shape[1]
    for index, panel in enumerate(comparison.panels):
        result = panel.result
        row: list[Any] = [
            panel.place.strategy,
            _harmless(panel.place.segmenter),
            None if result is None else _harmless(result.prompter),
            panel.status,
            panel.source,
            None if result is None else len(result.masks),
            panel.area,
            _short(None if panel.area is None else panel.area / pixels, 6),
            _short(panel.prompter_s, 3),
            _short(panel.segmenter_s, 3),
            _short(comparison.encodings.get(panel.place.segmenter), 3),
            _short(comparison.mean_agreement(index), 4),
            _short(comparison.truth_iou(index), 4),
            None if panel.error is None else _harmless(str(panel.error)),
        ]
        writer.writerow([*row, *(_short(v, 4) for v in comparison.agreement[index])])
    return out.getvalue()


def _short(value: float | None, digits: int) -> float | None:
    return None if value is None or value != value else round(float(value), digits)


def _harmless(text: str) -> str:
    """`text` on one line, and no formula to a spreadsheet."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
