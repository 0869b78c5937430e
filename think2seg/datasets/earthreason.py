"""EarthReason: `{split}/images/<id>.*`, `{split}/labels/<id>.png` (above 0) and `{split}/QAs/<id>.json`.

Every question of the JSON's `questions` is a sample; the answers are left alone. It knows no other set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from think2seg.datasets.listing import AGAIN, asked, by_stem, field, fit, listed, missing, read_json
from think2seg.datasets.samples import Sample, read_pair
from think2seg.errors import DatasetError

SPLITS = ("train", "val", "test")
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


def load(root: Path, split: str) -> tuple[Sample, ...]:
    """The samples of a split. Reads the questions and no pixels.

    `DatasetError` for what is broken, and where a picture, its label and its questions are not all there.
    """
    folder = root / split
    images, labels, texts = parts = (
        _files(folder / "images", PICTURES),
        _files(folder / "labels", (".png",)),
        _files(folder / "QAs", (".json",)),
    )
    stems = sorted(set[str]().union(*parts))
    patterns = ("images/{}.*", "labels/{}.png", "QAs/{}.json")
    gone = [
        str(folder / p.format(stem))
        for stem in stems
        for p, part in zip(patterns, parts, strict=True)
        if stem not in part
    ]
    if gone:
        raise missing(gone, folder)

    def samples() -> Iterator[Sample]:
        for stem in stems:
            where = str(texts[stem])
            record = read_json(texts[stem])
            questions = field(record, "questions", list, where)
            if not questions:
                raise DatasetError(f"{where}: 'questions' is empty. {AGAIN}")
            names = [name for name in (record.get("class"), record.get("category")) if isinstance(name, str)]
            strata = {"class": names[0].replace("_", " ")} if names else {}
            read = partial(read_pair, images[stem], labels[stem])
            for k, question in enumerate(questions):
                yield Sample(fit(f"{stem}_{k}"), stem, asked(question, where), read, strata)

    return listed(samples(), folder)


def _files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    found = by_stem(folder, suffixes)
    for stem, paths in found.items():
        if len(paths) > 1:
            raise DatasetError(
                f"{folder}: {stem!r} is there {len(paths)} times, as {', '.join(p.name for p in paths)}. Leave one."
            )
    return {stem: paths[0] for stem, paths in found.items()}
