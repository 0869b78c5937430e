"""RefSegRS: `images/<id>.tif`, `masks/<id>.tif` (first band above 0) and `output_phrase_{split}.txt`.

The phrase of the line is the question, as published. It knows no other set.
"""

from __future__ import annotations

from pathlib import Path

from think2seg.datasets.listing import within
from think2seg.datasets.phrases import Phrase, samples
from think2seg.datasets.samples import Sample

SPLITS = ("train", "val", "test")


def load(root: Path, split: str) -> tuple[Sample, ...]:
    """The samples of a split. Reads the list and no pixels; `DatasetError` for what is missing or broken."""

    def pair(phrase: Phrase) -> tuple[str, Path, Path]:
        file = f"{phrase.name}.tif"
        return phrase.name, within(root / "images", file, phrase.where), within(root / "masks", file, phrase.where)

    return samples(root / f"output_phrase_{split}.txt", pair)
