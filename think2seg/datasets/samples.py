"""One question about one picture with its true mask: what every data set yields, for evaluation and for training.

Pixels are read when they are asked for, and a file that cannot be read is an error that names it, never another
sample. Pictures and masks are read here, one way for every set. It knows no set, no model and no score.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import DatasetError, ImageError

Image = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Truth = NDArray[np.bool_]
"""(H, W), True where the target is; all False where there is nothing to find."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Sample:
    """One question.

    id: unique in its set, the same in every run, and usable as a file name. image_id: shared by all the questions of
    one picture. strata: what the sample counts under in a report, such as {"level": "semantic", "class": "ship"}.
    read: gives the picture and the truth at the picture's own size; may be called again, and from any thread.
    """

    id: str
    image_id: str
    question: str
    read: Callable[[], tuple[Image, Truth]]
    strata: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> tuple[Image, Truth]:
        """The picture, (H, W, 3) uint8 RGB, and the true mask, (H, W) bool.

        Raises `DatasetError` if they differ in size or a file is missing or broken, naming it.
        """
        return of_one_size(*self.read(), f"The image of {self.id!r}", "as it was read")


def size_stratum(truth: Truth) -> str:
    """Which share of the picture the truth covers, in words: "none", "under 1 %", "1-10 %" or "over 10 %"."""
    share = float(truth.mean())
    if share == 0:
        return "none"
    return "under 1 %" if share < 0.01 else "1-10 %" if share < 0.1 else "over 10 %"


def spread(samples: Sequence[T], limit: int | None) -> tuple[T, ...]:
    """`limit` of the samples, spread evenly over them and in their order; all of them for None or a larger limit."""
    if limit is None or limit >= len(samples):
        return tuple(samples)
    return tuple(samples[i * len(samples) // limit] for i in range(limit))


def chosen(samples: Sequence[Sample], where: Mapping[str, Collection[str]]) -> tuple[Sample, ...]:
    """The samples that count under one of the given values of each stratum, in their order.

    `DatasetError` names a stratum or a value that no sample has, and those that there are.
    """
    for kind, values in where.items():
        known = sorted({sample.strata[kind] for sample in samples if kind in sample.strata})
        if not known:
            kinds = sorted({name for sample in samples for name in sample.strata})
            raise DatasetError(f"No sample has a stratum {kind!r}. There are: {', '.join(kinds) or 'none'}.")
        if strange := sorted(set(values) - set(known)):
            raise DatasetError(f"No sample's {kind} is {strange[0]!r}. There are: {', '.join(known)}.")
    found = tuple(s for s in samples if all(s.strata.get(kind) in values for kind, values in where.items()))
    if not found:
        asked = ", ".join(f"{kind} {' or '.join(values)}" for kind, values in where.items())
        raise DatasetError(f"No sample is all of: {asked}. Leave one of them out.")
    return found


def read_pair(image: Path, mask: Path) -> tuple[Image, Truth]:
    """A picture and its mask, each from its file, of one size."""
    return of_one_size(read_image(image), read_mask(mask), str(image), str(mask))


def of_one_size(image: Image, truth: Truth, picture: str, mask: str) -> tuple[Image, Truth]:
    """Both as they came; `DatasetError`, with their names, if their sizes differ."""
    if image.shape[:2] != truth.shape:
        raise DatasetError(
            f"{picture} is {image.shape[1]} x {image.shape[0]} pixels and its mask, {mask}, {truth.shape[1]} x "
            f"{truth.shape[0]}. They must be of one size; fetch the set again."
        )
    return image, truth


def read_image(path: Path) -> Image:
    """A picture, (H, W, 3) uint8 RGB, as the whole project reads pictures. The error's message holds the path."""
    from think2seg import images

    try:
        return images.load(path).pixels
    except ImageError as error:
        if str(path) in str(error):
            raise
        raise DatasetError(f"{path}: {error}") from error


def read_mask(path: Path) -> Truth:
    """A mask, (H, W) bool: True where the first band of a PNG, TIFF or BMP is above 0, at its own depth.

    Of a palette the index counts and never the colour. Sizes are checked before anything is decoded, by the limits
    for pictures.
    """
    from PIL import BmpImagePlugin, PngImagePlugin, TiffImagePlugin

    from think2seg.images import decoding  # strict about truncation, whatever others set in PIL
    from think2seg.rasters import Limits

    limits = Limits()
    try:
        if (size := path.stat().st_size) > limits.max_bytes:
            raise DatasetError(f"{path} has {size / 2**20:.1f} MiB, too much for a mask. Save it as a compressed PNG.")
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"The mask {path} cannot be read: {error.strerror}. Fetch the set again.") from error
    openers = {
        b"\x89PNG": PngImagePlugin.PngImageFile,
        b"BM": BmpImagePlugin.BmpImageFile,
        **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile),
    }
    opener = next((opener for magic, opener in openers.items() if data.startswith(magic)), None)
    if opener is None:
        raise DatasetError(f"The mask {path} is no PNG, TIFF or BMP (it begins with {data[:4]!r}). Save it as PNG.")
    try:
        with decoding(f"The mask {path}"):
            image = opener(io.BytesIO(data))
            limits.check(image.size, f"The mask {path}")
            tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
            if tags.get(322, 1) * tags.get(323, 1) > limits.max_pixels:
                raise DatasetError(f"The mask {path} has tiles larger than any mask. Save it anew as PNG.")
            if image.mode not in ("I", "F") and image.mode[:4] != "I;16" and any(";16" in str(t) for t in image.tile):
                raise DatasetError(f"The mask {path} has several bands of 16 bits. Save its first band alone, as PNG.")
            values = np.asarray(image)
    except ImageError as error:
        raise DatasetError(str(error)) from error
    return np.asarray((values if values.ndim == 2 else values[..., 0]) > 0)
