"""`output_phrase_{split}.txt`, the list of RefSegRS and RISBench: a picture's name, a blank and a phrase on each line.

White space within a phrase is made single. It knows where a phrase comes from, and neither set's folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from think2seg.datasets.listing import lines, listed, need, numbered
from think2seg.datasets.samples import Sample, read_pair
from think2seg.errors import DatasetError


class Phrase(NamedTuple):
    """name: of the picture, as it stands in the file. where: the file and line, for messages."""

    name: str
    text: str
    where: str


def read_phrases(path: Path) -> list[Phrase]:
    """The lines of the file, in their order; blank ones are skipped, any other that cannot be read is an error."""
    found = []
    for number, line in lines(path):
        where = f"{path}, line {number}"
        try:
            name, _, text = line.decode("utf-8").replace("\t", " ").partition(" ")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{where}: not UTF-8 ({error.reason}). Save the file as UTF-8.") from error
        if not text.strip():
            raise DatasetError(f"{where}: a name and a phrase were expected; {name!r} came alone. Mend the line.")
        found.append(Phrase(name, " ".join(text.split()), where))
    return found


def samples(path: Path, pair: Callable[[Phrase], tuple[str, Path, Path]]) -> tuple[Sample, ...]:
    """A sample for each phrase of the file; `pair` gives a phrase's picture id, picture and mask."""
    phrases = read_phrases(path)
    pairs = [pair(phrase) for phrase in phrases]
    need((file for _, *both in pairs for file in both), path)
    count = Counter(image_id for image_id, *_ in pairs)
    ids: dict[str, Iterator[str]] = {image_id: iter(numbered(image_id, n)) for image_id, n in count.items()}
    return listed(
        (
            Sample(next(ids[image_id]), image_id, phrase.text, partial(read_pair, image, mask))
            for phrase, (image_id, image, mask) in zip(phrases, pairs, strict=True)
        ),
        path,
    )
