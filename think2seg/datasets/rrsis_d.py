"""RRSIS-D: `images/rrsisd/JPEGImages/`, `rrsisd/refs(unc).p` and `rrsisd/instances.json`, in RefCOCO's form.

Every sentence is a sample, asked as the published checkpoints were: with a full stop at its end. The pickle is read
without running anything of it. It knows no other set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from think2seg.datasets.listing import AGAIN, asked, field, listed, need, numbered, read_json, within
from think2seg.datasets.plain_pickle import read_plain_pickle
from think2seg.datasets.samples import Image, Sample, Truth, of_one_size, read_image
from think2seg.datasets.segmentations import mask_of
from think2seg.errors import DatasetError, ImageError
from think2seg.rasters import Limits
from think2seg.types import Size

SPLITS = ("train", "val", "test")


def load(root: Path, split: str) -> tuple[Sample, ...]:
    """The samples of a split. Reads the index and no pixels; `DatasetError` for what is missing or broken."""
    refs_file, instances_file = root / "rrsisd" / "refs(unc).p", root / "rrsisd" / "instances.json"
    refs = read_plain_pickle(refs_file)
    if not isinstance(refs, list):
        raise DatasetError(f"{refs_file}: a list of references was expected; {refs!r:.60} came. {AGAIN}")
    instances = read_json(instances_file)
    pictures, annotations, categories = (
        _by_id(instances, name, instances_file) for name in ("images", "annotations", "categories")
    )
    paths: list[Path] = []

    def samples() -> Iterator[Sample]:
        for number, ref in enumerate(refs):
            where = f"{refs_file}, reference {number}"
            if field(ref, "split", str, where) != split:
                continue
            picture = _named(pictures, ref, "image_id", where, instances_file)
            annotation = _named(annotations, ref, "ann_id", where, instances_file)
            category = _named(categories, ref, "category_id", where, instances_file)
            here = f"{instances_file}, image {ref['image_id']!r}"
            path = within(root / "images" / "rrsisd" / "JPEGImages", picture.get("file_name"), here)
            size = field(picture, "width", int, here), field(picture, "height", int, here)
            try:
                Limits().check(size, here)
            except ImageError as error:
                raise DatasetError(str(error)) from error
            strata = {"class": field(category, "name", str, str(instances_file)), "level": "instance"}
            truth = f"{instances_file}, annotation {ref['ann_id']!r}"
            read = partial(_read, path, annotation.get("segmentation"), size, truth)
            paths.append(path)
            sentences = field(ref, "sentences", list, where)
            if not sentences:
                raise DatasetError(f"{where}: 'sentences' is empty. {AGAIN}")
            ref_id = _key(ref, "ref_id", where)
            for sentence, name in zip(sentences, numbered(str(ref_id), len(sentences)), strict=True):
                question = asked(field(sentence, "sent", str, where), where)
                yield Sample(name, path.stem, question if question.endswith(".") else f"{question}.", read, strata)

    found = listed(samples(), refs_file)
    need(paths, instances_file)
    return found


def _read(path: Path, segmentation: object, size: Size, where: str) -> tuple[Image, Truth]:
    image = read_image(path)
    try:
        truth = mask_of(segmentation, size)
    except ValueError as error:
        raise DatasetError(f"{where}: {error}. {AGAIN}") from error
    return of_one_size(image, truth, str(path), where)


def _key(record: object, name: str, where: str) -> int | str:
    value = field(record, name, object, where)
    if not isinstance(value, int | str):
        raise DatasetError(f"{where}: {name!r} must be a number or a text; {value!r:.80} came. {AGAIN}")
    return value


def _by_id(instances: object, name: str, file: Path) -> dict[int | str, dict[str, object]]:
    found: dict[int | str, dict[str, object]] = {}
    for record in field(instances, name, list, str(file)):
        key = _key(record, "id", f"{file}, {name}")
        if key in found:
            raise DatasetError(f"{file}: the id {key!r} comes twice among the {name}. {AGAIN}")
        found[key] = record
    return found


def _named(
    records: dict[int | str, dict[str, object]], ref: object, name: str, where: str, file: Path
) -> dict[str, object]:
    key = _key(ref, name, where)
    if key not in records:
        raise DatasetError(f"{where}: {name!r} is {key!r}, which {file} does not know. {AGAIN}")
    return records[key]
