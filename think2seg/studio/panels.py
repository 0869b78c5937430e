"""Strategies and sizes of SAM side by side on one picture and question, as plain JSON: what `/compare` answers.

An answer is cut wherever it can be; only what no answer holds is asked again. It knows the pipeline and the document of
a result, and no page.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from think2seg import record
from think2seg.images import Picture
from think2seg.pipeline import Pipeline
from think2seg.prompter import Prompter
from think2seg.segmenter import Segmenter
from think2seg.strategy import Strategy
from think2seg.studio.jobs import Tell
from think2seg.types import Finished, Result

MOST_PANELS = 12
"""Of one comparison, strategies times segmenters."""

Document = dict[str, Any]


class _OneOf(threading.Event):
    """A stop for one question of several: the pipeline sets it when that one ends, and the job's own counts as well."""

    def __init__(self, job: threading.Event) -> None:
        super().__init__()
        self._job = job

    def is_set(self) -> bool:
        return super().is_set() or self._job.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (end is None or time.monotonic() < end):
            self._job.wait(0.05 if end is None else max(0.0, min(0.05, end - time.monotonic())))
        return self.is_set()


def side_by_side(
    writer: Prompter,
    fillers: list[Segmenter],
    wanted: list[Strategy],
    picture: Picture,
    words: str,
    negatives: bool,
    stop: threading.Event,
    tell: Tell,
) -> Iterator[Document]:
    """A panel for each strategy and segmenter; the strategies that hold most are asked first."""
    answers: list[tuple[Strategy, Result]] = []
    for strategy in sorted(wanted, key=lambda s: (s.box + s.positives + s.negatives, s.negatives), reverse=True):
        held = next((result for asked, result in answers if strategy.can_be_cut_from(asked)), None)
        for filler in fillers:
            if stop.is_set():
                return
            started, again = time.monotonic(), held is None
            pipeline = Pipeline(writer, filler, strategy=strategy, negatives=negatives)
            if held is None:
                for event in pipeline.steps(picture, words, stop=_OneOf(stop)):
                    if isinstance(event, Finished):
                        result = held = event.result
                    else:
                        tell(event)
                if stop.is_set():
                    return
                answers.append((strategy, result))
            else:
                result = pipeline.refine(held, strategy=strategy)
            yield {
                "strategy": strategy.name,
                "segmenter": result.segmenter,
                "asked_again": again,
                "area_px": int(result.mask.sum()),
                "seconds": round(time.monotonic() - started, 3),
                "document": plain_document(result, picture),
            }


def plain_document(result: Result, picture: Picture) -> Document:
    """The document of `record.py`, but for the picture's name: clients take an object with a `path` for a file."""
    held = record.document(result, picture.name)
    return held | {"image": {"name": picture.name, "width": held["image"]["width"], "height": held["image"]["height"]}}
