"""What the trainer hands a reward, made into rows: texts out of conversations, columns, pictures and masks as arrays.

It knows the data set's columns, and no reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg.errors import DatasetError
from think2seg.strategy import Strategy, find_strategy
from think2seg.types import Completion

COLUMNS = ("image", "mask", "frame", "strategy", "sample_id")
"""What the data set must have: a PIL picture and a PIL mask (one band, above 0 is true) of one size, the (width,
height) that the text's coordinates refer to, the strategy asked, by name, and a name that a group shares."""


@dataclass(frozen=True, eq=False)
class Row:
    """A completion and what it is measured against: image (H, W, 3) uint8 RGB, truth (H, W) bool."""

    sample_id: str
    question: str
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    completion: Completion
    strategy: Strategy


def text_of(said: Any) -> str:
    """The text of a completion or a prompt: a string, or the last turn of a conversation."""
    if isinstance(said, list | tuple):
        said = said[-1] if said else ""
    if isinstance(said, Mapping):
        said = said.get("content")
    if isinstance(said, list):
        said = "".join(part["text"] for part in said if isinstance(part, Mapping) and part.get("type") == "text")
    return said if isinstance(said, str) else ""


def column_of(columns: Mapping[str, Any], name: str, rows: int) -> tuple[Any, ...]:
    """The values of a column, one for each completion. Raises `DatasetError` if there are not so many."""
    if columns.get(name) is None:
        raise DatasetError(f"The data set has no column `{name}`, which the rewards need: {', '.join(COLUMNS)}.")
    values = tuple(columns[name])
    if len(values) != rows:
        raise DatasetError(f"The column `{name}` has {len(values)} rows for {rows} completions; each needs its own.")
    return values


def row_of(
    text: str, image: Any, mask: Any, frame: Any, strategy: str, sample_id: Any, *, question: str, dialect: str
) -> Row:
    """A completion beside its picture and truth. Raises `DatasetError`, naming the sample, for what is none."""
    if not isinstance(image, Image.Image) or not isinstance(mask, Image.Image) or image.size != mask.size:
        said = [f"{v.size[0]} x {v.size[1]}" if isinstance(v, Image.Image) else type(v).__name__ for v in (image, mask)]
        raise DatasetError(
            f"Sample {sample_id!r}: the rewards need a PIL picture and a PIL mask of one size; {said[0]} and {said[1]} "
            "came. Make the data set again."
        )
    truth = np.asarray(mask) > 0
    if truth.ndim != 2:
        raise DatasetError(f"Sample {sample_id!r}: a mask must have one band; its mode is {mask.mode!r}. Save “L”.")
    try:
        completion = Completion(text, tuple(frame), dialect)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"Sample {sample_id!r}: its `frame`, {frame!r}, is no (width, height). {error}") from error
    pixels = np.array(image.convert("RGB"))  # a copy of its own: torch wants to be able to write
    return Row(str(sample_id), str(question), pixels, truth, completion, find_strategy(strategy))
