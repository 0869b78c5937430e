"""Recorded questions and answers that the page replays at once, without a model.

An example is a folder with `image.webp`, `.png` or `.jpg` and the `result.json` that the command line writes. A replay
feeds the recorded text through the very reader that a live run uses, so prompts appear where their JSON closes.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from think2seg import images, record
from think2seg.answer import PromptClosed, ThoughtGrew, without_duplicates
from think2seg.dialect import find_dialect
from think2seg.errors import Think2SegError
from think2seg.strategy import find_strategy
from think2seg.types import Event, Finished, MaskReady, PromptFound, Result, Thinking

_log = logging.getLogger(__name__)
_PICTURES = ("image.webp", "image.png", "image.jpg")
_PIECE = 6
_THUMBNAIL = (192, 128)


@dataclass(frozen=True)
class Example:
    """One folder: its name, its picture's path, the recorded document, and a small picture as a data URL."""

    name: str
    picture: Path
    document: dict[str, Any]
    thumbnail: str

    @property
    def question(self) -> str:
        return str(self.document["question"])

    def result(self) -> tuple[images.Picture, Result]:
        """The picture and the recorded result. Raises `ImageError`, `ValueError`, `KeyError`."""
        picture = images.load(self.picture)
        return picture, record.from_document(self.document, picture.pixels)


def find(folder: Path) -> dict[str, Example]:
    """The examples in `folder` by name, sorted; one that is broken is left out with a line in the log."""
    found: dict[str, Example] = {}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        picture = next((place / name for name in _PICTURES if (place / name).is_file()), None)
        if picture is None or not (place / "result.json").is_file():
            continue
        try:
            document = json.loads((place / "result.json").read_text(encoding="utf-8"))
            example = Example(place.name, picture, document, _thumbnail(picture))
            example.result()
        except (Think2SegError, ValueError, KeyError, TypeError) as error:
            _log.warning("The example %s cannot be used and is left out: %s", place, error)
            continue
        found[place.name] = example
    return found


def _thumbnail(picture: Path) -> str:
    """A data URL of a few kilobytes: it stays when the cache is cleaned."""
    small = Image.fromarray(images.load(picture).pixels)
    small.thumbnail((_THUMBNAIL[0] * 2, _THUMBNAIL[0] * 2))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def replay(result: Result, seconds: float, stop: threading.Event) -> Iterator[Event]:
    """The events of a run that would write `result`'s text in `seconds`, ending with `Finished(result)`.

    A mask follows its prompt at once. Ends early, without `Finished`, when `stop` is set.
    """
    reader = find_dialect(result.completion.dialect).reader(result.completion.frame, find_strategy(result.strategy))
    text = result.completion.text
    masks = _masks_by_written_index(result)
    pieces = [text[i : i + _PIECE] for i in range(0, len(text), _PIECE)]
    for piece in pieces:
        if stop.wait(seconds / len(pieces)):
            return
        for read in reader.feed(piece):
            if isinstance(read, ThoughtGrew):
                yield Thinking(read.delta)
            elif isinstance(read, PromptClosed):
                yield PromptFound(read.index, read.prompt.moved(result.completion.frame, result.query.size))
                if read.index in masks:
                    yield MaskReady(replace(result.masks[masks[read.index]], prompt=read.index))
    yield Finished(result)


def _masks_by_written_index(result: Result) -> dict[int, int]:
    """Which of the result's masks belongs to which object as it was written, duplicates having been dropped."""
    reader = find_dialect(result.completion.dialect).reader(result.completion.frame, find_strategy(result.strategy))
    reader.feed(result.completion.text)
    written = reader.close().prompts
    kept = list(without_duplicates(written))
    if len(kept) != len(result.masks):
        return {}
    indices: dict[int, int] = {}
    for i, prompt in enumerate(written):
        if len(indices) < len(kept) and prompt == kept[len(indices)]:
            indices[i] = len(indices)
    return indices
