"""What the loaders share while they list a set: texts and JSON read in words, paths that stay inside the set, files
that must be there, ids fit for file names, and the last look at the list.

It reads no pixels and knows no set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from think2seg.datasets.samples import Sample
from think2seg.errors import DatasetError

T = TypeVar("T")

AGAIN = "Fetch the set again, or take it out of the set."


def listed(samples: Iterable[Sample], source: Path) -> tuple[Sample, ...]:
    """The samples in order of their pictures, and of each picture in the order they came.

    `DatasetError`, naming `source`, if there are none or an id comes twice.
    """
    found = tuple(sorted(samples, key=lambda sample: sample.image_id))
    if not found:
        raise DatasetError(f"{source} holds no sample. Check that the set was fetched whole.")
    seen: dict[str, Sample] = {}
    for sample in found:
        twin = seen.setdefault(sample.id, sample)
        if twin is not sample:
            raise DatasetError(
                f"{source}: the id {sample.id!r} comes twice, for {twin.question!r} of {twin.image_id!r} and "
                f"{sample.question!r} of {sample.image_id!r}. Give each sample an id of its own; characters unfit for "
                "a file name count as '_', and those beyond the 200th not at all."
            )
    return found


def fit(name: str) -> str:
    """`name` as an id that is safe as a file name: every character but ASCII letters, digits and ._- becomes _.

    At most 200 characters, and no dot in front. Two names may become one; `listed` refuses that.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:200]
    return "_" + cleaned[1:] if cleaned.startswith(".") else cleaned or "_"


def numbered(name: str, count: int) -> list[str]:
    """Ids for the `count` questions under one name: the name itself for one, else `<name>_<k>` from 0."""
    return [fit(name)] if count == 1 else [fit(f"{name}_{k}") for k in range(count)]


def asked(text: object, where: str) -> str:
    """`text` as a question without white space around it; `DatasetError` if it is blank or no text."""
    if not isinstance(text, str) or not text.strip():
        raise DatasetError(f"{where}: a question must be words; {text!r} came. {AGAIN}")
    return text.strip()


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}. Check the folder, or fetch the set again."
        ) from error


def read_json(path: Path) -> Any:
    return parsed(read_bytes(path), str(path))


def parsed(data: bytes, where: str) -> Any:
    """A JSON document in UTF-8; `where` names its file, and line."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: no JSON in UTF-8 ({error}). Fetch the set again, or mend it.") from error


def lines(path: Path) -> list[tuple[int, bytes]]:
    """The lines of a text that are not blank, with their numbers from 1; without a byte order mark."""
    numbers = enumerate(read_bytes(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    return [(number, line.strip()) for number, line in numbers if line.strip()]


def field(record: object, name: str, kind: type[T], where: str) -> T:
    """`record[name]`, which must be there and of that kind."""
    if not isinstance(record, dict):
        raise DatasetError(f"{where}: a record with {name!r} was expected; {record!r:.80} came. {AGAIN}")
    value = record.get(name)
    if not isinstance(value, kind):
        raise DatasetError(f"{where}: {name!r} must be of kind {kind.__name__}; {value!r:.80} came. {AGAIN}")
    return value


def within(folder: Path, name: object, where: str) -> Path:
    """`folder / name`; `DatasetError` if the name is no path, or leads out of the folder."""
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise DatasetError(f"{where}: the path of a file was expected; {name!r} came. {AGAIN}")
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise DatasetError(
            f"{where}: {name!r} leads out of {folder}. Only files inside the set are read; write it anew."
        )
    return folder / name


def by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, list[Path]]:
    """The files of a folder that have one of the suffixes (lower case, with the dot), by name without it."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"There is no folder {folder}: {error.strerror}. Is this the root of the set?") from error
    found: dict[str, list[Path]] = {}
    for path in paths:
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def need(paths: Iterable[Path], source: Path) -> None:
    """Every path must be a file; the first five that are not stand in the `DatasetError`."""
    gone = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if gone:
        raise missing([str(path) for path in gone], source)


def missing(gone: Sequence[str], source: Path) -> DatasetError:
    more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
    return DatasetError(
        f"{source}: {'a file is' if len(gone) == 1 else f'{len(gone)} files are'} missing: {', '.join(gone[:5])}{more}."
        " Fetch the set again, whole."
    )
