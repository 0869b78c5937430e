"""RISBench: `img_rgb/<file>`, `mask/<file>` (above 0; another extension will do) and `output_phrase_{split}.txt`.

The phrase of the line is the question, as published. It knows no other set.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from think2seg.datasets.listing import by_stem, within
from think2seg.datasets.phrases import Phrase, samples
from think2seg.datasets.samples import Sample
from think2seg.errors import DatasetError

SPLITS = ("train", "val", "test")


def load(root: Path, split: str) -> tuple[Sample, ...]:
    """The samples of a split. Reads the list and no pixels; `DatasetError` for what is missing or broken."""
    masks = by_stem(root / "mask", (".png", ".tif", ".tiff", ".bmp"))

    def pair(phrase: Phrase) -> tuple[str, Path, Path]:
        image, mask = (within(root / folder, phrase.name, phrase.where) for folder in ("img_rgb", "mask"))
        stem = PurePosixPath(phrase.name).stem
        if not mask.is_file():
            others = masks.get(stem, [mask])
            if len(others) > 1:
                names = ", ".join(other.name for other in others)
                raise DatasetError(f"{phrase.where}: {mask} could be any of {names}. Leave one of them.")
            mask = others[0]
        return stem, image, mask

    return samples(root / f"output_phrase_{split}.txt", pair)
