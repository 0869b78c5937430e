"""A result as PNG: the union of its masks, one number an instance, or the image with everything drawn on it.

The masks carry the attributes in a text chunk, `think2seg`, as JSON. OpenCV is loaded when something is drawn.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from think2seg.errors import RecordError
from think2seg.export.subject import Subject
from think2seg.types import Result


def numbered(result: Result) -> NDArray[Any]:
    """(H, W) uint8, or uint16 for more than 255 instances: 0 nothing, k instance k.

    Where instances overlap the smaller one wins, of equal ones the later: a small object on or beside a large one
    would else be gone. Raises `RecordError` for more than 65,535 instances.
    """
    from think2seg import overlay

    count = len(result.masks)
    if count > np.iinfo(np.uint16).max:
        raise RecordError(
            f"The result has {count} instances; one picture can number 65,535. Take COCO, GeoJSON or GeoPackage."
        )
    return overlay.label_map(result.masks, result.query.size, np.uint8 if count <= 255 else np.uint16)


def palette() -> list[tuple[int, int, int]]:
    """256 RGB colours: black for nothing, then the page's eight, over and over (its own black as gray)."""
    from think2seg import overlay

    colours = [colour if any(colour) else (128, 128, 128) for colour in overlay.PALETTE]
    return [(0, 0, 0), *(colours[i % len(colours)] for i in range(255))]


def mask_png(subject: Subject) -> bytes:
    """The union of the masks: 0 and 255, one channel."""
    return _png(Image.fromarray(subject.result.mask.astype(np.uint8) * 255), subject)


def indexed_png(subject: Subject) -> bytes:
    """`numbered` as a palette PNG, or as 16-bit gray for more than 255 instances."""
    picture = Image.fromarray(numbered(subject.result))
    if picture.mode == "L":
        picture.putpalette([value for colour in palette() for value in colour])
    return _png(picture, subject)


def overlay_png(subject: Subject) -> bytes:
    """The image with masks, boxes and points drawn on it, as the page shows it."""
    from think2seg import overlay

    return _png(Image.fromarray(overlay.draw(subject.result)), None)


def _png(picture: Image.Image, subject: Subject | None) -> bytes:
    buffer, words = io.BytesIO(), PngImagePlugin.PngInfo()
    if subject is not None:
        words.add_text("think2seg", subject.spoken)
    picture.save(buffer, "PNG", pnginfo=words)
    return buffer.getvalue()
