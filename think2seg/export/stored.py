"""A result as its document with what lies beside it (where the image lies, which weights), and the way back.

`record` knows the document; here it gains `georef` and `revisions`, so that a stored result can be exported again
without its image. Documents are not trusted: sizes are checked before anything is made of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from think2seg import record
from think2seg.errors import GeoError, ImageError, RecordError
from think2seg.export.subject import Revisions, Subject, json_file
from think2seg.geo import Georef
from think2seg.images import Picture
from think2seg.rasters import Limits
from think2seg.types import Result

_MOST = 16 * 2**30
"""Pixels of all masks together, a byte each."""
_ROLES = ("prompter", "segmenter")


@dataclass(frozen=True, eq=False)
class Stored:
    """A result that was read back; `image` is what its document calls its image.

    has_pixels: False where the image was not at hand, so that the query's own is black.
    """

    result: Result
    image: str
    georef: Georef | None
    revisions: Revisions | None
    has_pixels: bool


def document(subject: Subject) -> dict[str, Any]:
    """The result's document, with `georef` (`crs` and the six numbers of `transform`, or None) and `revisions`."""
    georef = subject.georef
    place = None if georef is None else {"crs": georef.crs, "transform": list(georef.transform)}
    revisions = {role: subject.identity(role) for role in _ROLES}
    return record.document(subject.result, subject.image) | {"georef": place, "revisions": revisions}


def document_json(subject: Subject) -> bytes:
    """`document` as a file."""
    return json_file(document(subject), indent=1)


def opened(path: Path, picture: Picture | None = None) -> Stored:
    """The result that `result.json` at `path` holds.

    picture: its image, if that is at hand; where it lies then counts, and not what the document says. Raises
    `RecordError`, naming the file, if it cannot be read, is no such document, or is about an image of another size.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(
            f"{str(path)!r} cannot be read: {error.strerror}. Give the result.json that `segment --out` wrote."
        ) from error
    except (ValueError, RecursionError) as error:  # a NUL in the path, no UTF-8, no JSON
        raise RecordError(f"{str(path)!r} holds no JSON ({error}). Give the result.json of a result.") from error
    return from_document(held, picture, str(path))


def from_document(held: Any, picture: Picture | None, name: str) -> Stored:
    """`opened` for a document that was read already; `name` is what it is called in an error."""
    try:
        width, height = held["image"]["width"], held["image"]["height"]
        if not (type(width) is int and type(height) is int and width > 0 and height > 0):
            raise ValueError(f"its image is {width!r} x {height!r} pixels")
        Limits().check((width, height), "its image")
        if picture is not None and picture.pixels.shape[:2] != (height, width):
            rows, columns = picture.pixels.shape[:2]
            raise ValueError(f"its image is {width} x {height} pixels, and {picture.name} is {columns} x {rows}")
        if len(held["instances"]) * width * height > _MOST:
            raise ValueError(f"{len(held['instances'])} masks of {width} x {height} pixels are more than memory holds")
        for instance in held["instances"]:
            if instance["rle"]["size"] != [height, width]:
                raise ValueError(f"a mask is of {instance['rle']['size']!r:.60} pixels, not [{height}, {width}]")
        for text in (held["question"], held["thought"], held["text"], held["image"]["path"], held["strategy"],
                     held["prompter"], held["segmenter"], *held["warnings"]):  # fmt: skip
            if not isinstance(text, str):
                raise ValueError(f"{text!r:.60} stands where text was expected")
        blank = np.broadcast_to(np.zeros(3, dtype=np.uint8), (height, width, 3))  # takes no memory
        result = record.from_document(held, blank if picture is None else picture.pixels)
        for mask, instance in zip(result.masks, held["instances"], strict=True):
            if record.rle(mask.pixels)["counts"] != instance["rle"]["counts"]:
                raise ValueError(f"the run lengths of mask {mask.prompt + 1} do not fill the image")
        georef = _georef(held.get("georef")) if picture is None else picture.georef
        return Stored(result, held["image"]["path"], georef, _revisions(held.get("revisions")), picture is not None)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, ImageError, GeoError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise RecordError(
            f"{name!r} cannot be used as a stored result: {missing.removesuffix('.')}. Give the result.json that "
            "`segment --out` wrote, and the image that it is about."
        ) from error


def _georef(held: Any) -> Georef | None:
    if held is None:
        return None
    if not isinstance(held["crs"], str):
        raise ValueError(f"its reference system is {held['crs']!r:.60}, not text")
    return Georef(held["crs"], tuple(float(v) for v in held["transform"]))  # type: ignore[arg-type]


def _revisions(held: Any) -> Revisions | None:
    if held is None:
        return None
    found = {role: {key: held[role][key] for key in ("name", "source", "revision")} for role in _ROLES}
    for identity in found.values():
        if not all(value is None or isinstance(value, str) for value in identity.values()):
            raise ValueError(f"its revisions read {identity!r:.100}")
    return found
