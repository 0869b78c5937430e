"""A result as a picture: the image with its masks, boxes and points drawn on it; and masks as one index map.

Pixels only: it knows no pages, files or models. Instance `i` (from 0) is numbered `i + 1` and has the colour
`PALETTE[i % 8]`. Shape tells points apart as well as colour does: positive ones are discs with a plus, negative ones
squares with a minus.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from think2seg.types import Box, Mask, Point, Prompt, Result, Size

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (0, 0, 0),
)
"""Okabe and Ito's eight RGB colours, which people with any colour vision can tell apart."""

_WHITE: Colour = (255, 255, 255)
_DARK: Colour = (20, 20, 20)
_RED: Colour = (200, 30, 30)
_ROWS = 256
"""How many rows are tinted at once."""


def draw(
    result: Result, *, opacity: float = 0.45, labels: bool = True, numbers: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """The result's image with masks tinted, outlines, and the boxes and points that were sent to the segmenter.

    Returns a new (H, W, 3) uint8 RGB array; "nothing here" gives the image as it was. `opacity` is the tint's, 0-1
    (else `ValueError`); outlines stay. `labels` writes each instance's number. Where masks overlap the smaller lies
    on top. Boxes are cut at the image's edge; points and boxes that lie outside it are not drawn. numbers: of the
    instances, from 1, where they are not 1, 2, 3 …; colours follow them.
    """
    marks = list(range(len(result.masks))) if numbers is None else [number - 1 for number in numbers]
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"An overlay's opacity must lie in 0-1; it is {opacity!r}.")
    canvas = result.query.image.copy()
    line, rim = _widths(canvas)
    _tint_all(canvas, result, opacity, marks)
    for i in _large_first(result.masks):
        at = result.masks[i].window
        held = np.ascontiguousarray(result.masks[i].pixels[at], dtype=np.uint8)
        if not held.size:
            continue
        corner = (at[1].start, at[0].start)
        outlines, _ = cv2.findContours(held, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=corner)
        cv2.drawContours(canvas, outlines, -1, _WHITE, rim)
        cv2.drawContours(canvas, outlines, -1, PALETTE[marks[i] % len(PALETTE)], line)
    for i, prompt in enumerate(result.sent):
        draw_box(canvas, prompt, marks[i])
    for i, prompt in enumerate(result.sent):
        if labels:
            _number(canvas, marks[i], _anchor(result, i), line)
        draw_points(canvas, prompt, marks[i])
    return canvas


def draw_box(canvas: NDArray[np.uint8], prompt: Prompt, i: int) -> None:
    """Draw instance `i`'s box, if it has one, on `canvas`, (H, W, 3) uint8 RGB; the prompt is in its pixels."""
    height, width = canvas.shape[:2]
    line, rim = _widths(canvas)
    if prompt.box is not None and _meets(prompt.box, (width, height)):
        corner = _pixel(prompt.box[:2], (width, height)), _pixel(prompt.box[2:], (width, height), end=True)
        cv2.rectangle(canvas, *corner, _WHITE, rim)
        cv2.rectangle(canvas, *corner, PALETTE[i % len(PALETTE)], line)


def draw_points(canvas: NDArray[np.uint8], prompt: Prompt, i: int) -> None:
    """Draw instance `i`'s points on `canvas`, (H, W, 3) uint8 RGB; the prompt is in its pixels."""
    height, width = canvas.shape[:2]
    line, _rim = _widths(canvas)
    for points, positive in ((prompt.positive, True), (prompt.negative, False)):
        for x, y in points:
            if 0 <= x < width and 0 <= y < height:
                _point(canvas, (int(x), int(y)), PALETTE[i % len(PALETTE)] if positive else _RED, positive, line)


def tint(
    canvas: NDArray[np.uint8], image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: Colour, opacity: float
) -> None:
    """Replace `mask` in `canvas` by the image's own pixels mixed with the colour; tints never pile up."""
    mixed = image[mask] * (1.0 - opacity) + np.array(colour) * opacity
    canvas[mask] = np.rint(mixed).astype(np.uint8)


def _tint_all(canvas: NDArray[np.uint8], result: Result, opacity: float, marks: Sequence[int]) -> None:
    """What `tint` does for all masks, the smaller over the larger: each pixel is mixed once, however many cover it.
    `marks[i]` is the place of instance `i`'s colour in the palette, counted on from its end."""
    labels = label_map(result.masks, result.query.size, np.uint32)
    colours = np.array([(0, 0, 0), *(PALETTE[mark % len(PALETTE)] for mark in marks)]) * opacity
    for top in range(0, len(labels), _ROWS):
        rows = slice(top, top + _ROWS)
        covered = labels[rows] > 0
        mixed = canvas[rows][covered] * (1.0 - opacity) + colours[labels[rows][covered]]
        canvas[rows][covered] = np.rint(mixed).astype(np.uint8)


def label_map(masks: Sequence[Mask], size: Size, dtype: Any = np.uint8) -> NDArray[Any]:
    """(H, W) of `dtype` for an image of `size` (width, height): 0 background, i + 1 where `masks[i]` lies.

    Where masks overlap the smaller lies on top. Raises `ValueError` for more masks than `dtype` has numbers, or
    another size.
    """
    most = np.iinfo(dtype).max
    if len(masks) > most:
        raise ValueError(f"A label map of {np.dtype(dtype).name} holds at most {most} masks; {len(masks)} came.")
    labels = np.zeros((size[1], size[0]), dtype=dtype)
    for i in _large_first(masks):
        if masks[i].pixels.shape != labels.shape:
            raise ValueError(f"A label map of {labels.shape} cannot hold a mask of {masks[i].pixels.shape}.")
        at = masks[i].window
        labels[at][masks[i].pixels[at]] = i + 1
    return labels


def _large_first(masks: Sequence[Mask]) -> list[int]:
    """Indices from the largest mask to the smallest; of equal ones the later lies on top."""
    return sorted(range(len(masks)), key=lambda i: -masks[i].area)


def _widths(canvas: NDArray[np.uint8]) -> tuple[int, int]:
    """How wide lines are on a picture of this size, and the white rim beneath them."""
    height, width = canvas.shape[:2]
    line = max(1, 2 * round(math.hypot(width, height) / 1400))
    return line, 2 * (line // 2) + 2  # OpenCV draws even widths one pixel wider: the rim shows one pixel on each side


def _meets(box: Box, size: Size) -> bool:
    return box[0] < size[0] and box[1] < size[1] and box[2] > 0 and box[3] > 0


def _pixel(point: Sequence[float], size: Size, *, end: bool = False) -> tuple[int, int]:
    """The pixel (column, row) under an image point, kept within the image; with `end`, the last one before it."""
    found = [math.ceil(v) - 1 if end else math.floor(v) for v in point]
    return min(max(found[0], 0), size[0] - 1), min(max(found[1], 0), size[1] - 1)


def _anchor(result: Result, i: int) -> tuple[int, int]:
    """Where instance `i`'s number goes: the top-left of its box, else of its mask, else its first point."""
    prompt, size = result.sent[i], result.query.size
    if prompt.box is not None:
        return _pixel(prompt.box[:2], size)
    rows, columns = result.masks[i].window
    if rows.stop:
        return int(columns.start), int(rows.start)
    return _pixel(prompt.positive[0], size)


def _number(canvas: NDArray[np.uint8], i: int, corner: Point, line: int) -> None:
    """The number of instance `i` on a plate of its colour, below and right of `corner` and within the image."""
    text, colour = str(i + 1), PALETTE[i % len(PALETTE)]
    scale = 0.4 + 0.15 * line
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
    pad = 2 + line
    x = max(0, min(int(corner[0]), canvas.shape[1] - w - 2 * pad))
    y = max(0, min(int(corner[1]), canvas.shape[0] - h - 2 * pad))
    cv2.rectangle(canvas, (x, y), (x + w + 2 * pad - 1, y + h + 2 * pad - 1), colour, cv2.FILLED)
    ink = _DARK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128 else _WHITE
    cv2.putText(canvas, text, (x + pad, y + h + pad - 1), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, line, cv2.LINE_AA)


def _point(canvas: NDArray[np.uint8], at: tuple[int, int], colour: Colour, positive: bool, line: int) -> None:
    """A disc with "+" or a square with "−", white at the rim, so that it shows on any ground."""
    x, y = at
    r = 4 + 2 * line
    if positive:
        cv2.circle(canvas, at, r + 1, _WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(canvas, at, r, colour, cv2.FILLED, cv2.LINE_AA)
    else:
        cv2.rectangle(canvas, (x - r - 1, y - r - 1), (x + r + 1, y + r + 1), _WHITE, cv2.FILLED)
        cv2.rectangle(canvas, (x - r, y - r), (x + r, y + r), colour, cv2.FILLED)
    ink = _DARK if positive and sum(colour) > 380 else _WHITE
    arm = r - 2 - line // 2
    cv2.line(canvas, (x - arm, y), (x + arm, y), ink, line)
    if positive:
        cv2.line(canvas, (x, y - arm), (x, y + arm), ink, line)
