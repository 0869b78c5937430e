"""Our own kind of set: `manifest.jsonl`, one JSON object a line, beside the pictures and masks that it names.

| field             | what it is                                                                              |
| ----------------- | --------------------------------------------------------------------------------------- |
| `image`           | the picture, a path inside the set                                                      |
| `mask`            | PNG, above 0 where the target is; may be absent where `level` is "absent"               |
|                   | or COCO's run lengths, `{"size": [h, w], "counts": …}`, or a list of them: their union  |
| `query`           | the question in plain words                                                             |
| `reasoning_query` | optional: the same, implicit; a second sample, `<id>__implicit`                         |
| `id`              | optional: the mask's (or picture's) name, with the line's number where that comes twice |
| `image_id`        | optional: `image`                                                                       |
| `class`, `level`  | optional strata; a level is "semantic", "instance" or "absent"                          |
| `image_sha256`    | optional: of the picture's file, checked when it is read                                |

Other fields are left alone. A manifest is one split, the whole of it, called "test" or "all". It knows no other set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from think2seg.datasets.listing import asked, field, fit, lines, listed, need, parsed, read_bytes, within
from think2seg.datasets.samples import Image, Sample, Truth, read_image, read_pair
from think2seg.datasets.segmentations import mask_of
from think2seg.errors import DatasetError

Runs = dict[str, Any] | list[Any]
"""A COCO segmentation as JSON has it."""
SPLITS = ("test", "all")
LEVELS = ("semantic", "instance", "absent")


def load(root: Path, split: str) -> tuple[Sample, ...]:
    """The samples of the manifest. Reads no pixels; `DatasetError` for what is missing or broken."""
    file = root / "manifest.jsonl"
    rows = [(number, parsed(line, f"{file}, line {number}")) for number, line in lines(file)]
    names = [_text(row, "id", f"{file}, line {n}") or _stem(row, f"{file}, line {n}") for n, row in rows]
    count = Counter(names)
    paths: list[Path] = []

    def samples() -> Iterator[Sample]:
        for (number, row), name in zip(rows, names, strict=True):
            where = f"{file}, line {number}"
            image_name = field(row, "image", str, where)
            image = within(root, image_name, where)
            level = _text(row, "level", where)
            if level not in (None, *LEVELS):
                raise DatasetError(
                    f"{where}: 'level' must be one of {', '.join(LEVELS)}; {level!r} came. Mend the line."
                )
            mask: Path | Runs | None
            held = row.get("mask")
            if level == "absent" and held is None:
                mask = None
            else:
                mask = held if isinstance(held, dict | list) else within(root, held, where)
            paths.extend(path for path in (image, mask) if isinstance(path, Path))
            if count[name] > 1 and row.get("id") is None:
                name = f"{name}_{number}"
            category = _text(row, "class", where)
            strata = {"level": level, "class": category and category.replace("_", " ")}
            told = {key: value for key, value in strata.items() if value}
            image_id = _text(row, "image_id", where) or image_name
            read = partial(_read, image, mask, _text(row, "image_sha256", where), where)
            yield Sample(fit(name), image_id, asked(row.get("query"), where), read, {"wording": "plain", **told})
            if row.get("reasoning_query") is not None:
                question = asked(row["reasoning_query"], where)
                yield Sample(fit(f"{name}__implicit"), image_id, question, read, {"wording": "implicit", **told})

    found = listed(samples(), file)
    need(paths, file)
    return found


def _read(image: Path, mask: Path | Runs | None, sha256: str | None, where: str) -> tuple[Image, Truth]:
    if sha256 is not None and hashlib.sha256(read_bytes(image)).hexdigest() != sha256.lower():
        raise DatasetError(
            f"{where}: {image} is not the picture that the mask was made on: its SHA-256 differs from 'image_sha256'. "
            "Put the picture itself there, or take the line out."
        )
    if isinstance(mask, Path):
        return read_pair(image, mask)
    pixels = read_image(image)
    if mask is None:
        return pixels, np.zeros(pixels.shape[:2], dtype=np.bool_)
    try:
        return pixels, mask_of(mask, (pixels.shape[1], pixels.shape[0]))
    except ValueError as error:
        raise DatasetError(f"{where}: 'mask' cannot be read: {error}. Mend the line, or take it out.") from error


def _text(row: object, name: str, where: str) -> str | None:
    """A field that may be left out, or be null, but is a text otherwise."""
    if isinstance(row, dict) and row.get(name) is None:
        return None
    return field(row, name, str, where)


def _stem(row: object, where: str) -> str:
    mask = row.get("mask") if isinstance(row, dict) else None
    named = None if isinstance(mask, dict | list) else _text(row, "mask", where)
    return PurePosixPath(named or field(row, "image", str, where)).stem
