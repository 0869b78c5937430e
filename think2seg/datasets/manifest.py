"""Our own kind of set: `manifest.jsonl`, one JSON object a line, beside the pictures and masks that it names.

| field             | what it is                                                                              |
| ----------------- | --------------------------------------------------------------------------------------- |
| `image`           | the picture, a path inside the set                                                      |
| `mask`            | PNG, above 0 where the target is; may be absent where `level` is "absent"               |
| `query`           | the question in plain words                                                             |
| `reasoning_query` | optional: the same, implicit; a second sample, `<id>__implicit`                         |
| `id`              | optional: the mask's (or picture's) name, with the line's number where that comes twice |
| `image_id`        | optional: `image`                                                                       |
| `class`, `level`  | optional strata; a level is "semantic", "instance" or "absent"                          |

Other fields are left alone. A manifest is one split, the whole of it, called "test" or "all". It knows no other set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from think2seg.datasets.listing import asked, field, fit, lines, listed, need, parsed, within
from think2seg.datasets.samples import Image, Sample, Truth, read_image, read_pair
from think2seg.errors import DatasetError

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
            mask = None if level == "absent" and row.get("mask") is None else within(root, row.get("mask"), where)
            paths.extend(path for path in (image, mask) if path)
            if count[name] > 1 and row.get("id") is None:
                name = f"{name}_{number}"
            category = _text(row, "class", where)
            strata = {"level": level, "class": category and category.replace("_", " ")}
            told = {key: value for key, value in strata.items() if value}
            image_id = _text(row, "image_id", where) or image_name
            read = partial(_read, image, mask)
            yield Sample(fit(name), image_id, asked(row.get("query"), where), read, {"wording": "plain", **told})
            if row.get("reasoning_query") is not None:
                question = asked(row["reasoning_query"], where)
                yield Sample(fit(f"{name}__implicit"), image_id, question, read, {"wording": "implicit", **told})

    found = listed(samples(), file)
    need(paths, file)
    return found


def _read(image: Path, mask: Path | None) -> tuple[Image, Truth]:
    if mask is None:
        pixels = read_image(image)
        return pixels, np.zeros(pixels.shape[:2], dtype=np.bool_)
    return read_pair(image, mask)


def _text(row: object, name: str, where: str) -> str | None:
    """A field that may be left out, or be null, but is a text otherwise."""
    if isinstance(row, dict) and row.get(name) is None:
        return None
    return field(row, name, str, where)


def _stem(row: object, where: str) -> str:
    return PurePosixPath(_text(row, "mask", where) or field(row, "image", str, where)).stem
