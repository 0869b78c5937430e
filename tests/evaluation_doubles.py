"""A prompter that answers from a script, and the ten questions whose report is worked out by hand in test_report.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from think2seg.answer import render
from think2seg.datasets.samples import Sample
from think2seg.prompter import Sampling, Writing
from think2seg.strategy import Strategy
from think2seg.types import Answer, Completion, Prompt, Query

UNREADABLE = "<think> Hm. </think> I would rather not."


def answer(*prompts: Prompt, thought: str = "So it is.") -> str:
    return render(Answer(thought, prompts))


class Scripted:
    """Writes what the script holds for a question, in the frame of the picture. seconds: what a batch takes."""

    name = "scripted"
    about = "A script."

    def __init__(self, script: Mapping[str, str] | Callable[[str, int | None], str], *, seconds: float = 0.0) -> None:
        self._script = script
        self._seconds = seconds
        self.batches: list[tuple[list[str], Sampling | None]] = []

    def write(self, query: Query, strategy: Strategy, *, stop: threading.Event, deadline: float | None) -> Writing:
        raise AssertionError("an evaluation asks in batches")

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        time.sleep(self._seconds)
        self.batches.append(([q.question for q in queries], sampling))
        return [Completion(self._text(q.question, sampling), q.size) for q in queries]

    def _text(self, question: str, sampling: Sampling | None) -> str:
        if isinstance(self._script, Mapping):
            return self._script[question]
        return self._script(question, None if sampling is None else sampling.seed)


def picture(truth: tuple[int, int, int, int] | None, size: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture and a truth that is one box (x1, y1, x2, y2), or nothing."""
    mask = np.zeros((size, size), dtype=bool)
    if truth is not None:
        x1, y1, x2, y2 = truth
        mask[y1:y2, x1:x2] = True
    return np.full((size, size, 3), 128, np.uint8), mask


def sample(id_: str, image_id: str, truth: tuple[int, int, int, int] | None, **strata: str) -> Sample:
    return Sample(id_, image_id, f"question {id_}?", lambda: picture(truth), strata)


A, C, D, F = (0, 0, 4, 5), (0, 0, 10, 10), (2, 2, 6, 6), (0, 0, 2, 5)

TEN: tuple[Sample, ...] = (
    sample("01", "A", A, level="semantic"),
    sample("02", "A", A, level="instance"),
    sample("03", "B", None, level="absent"),
    sample("04", "B", None, level="absent"),
    sample("05", "B", None, level="absent"),
    sample("06", "C", C, level="semantic"),
    sample("07", "D", D, level="semantic"),
    sample("08", "D", D, level="instance"),
    sample("09", "E", None, level="absent"),
    sample("10", "F", F, level="semantic"),
)

SCRIPT: dict[str, str] = {
    "question 01?": answer(Prompt((0, 0, 4, 5), ((1, 1), (2, 2)))),
    "question 02?": answer(Prompt((2, 0, 6, 5), ((3, 3), (5, 1)))),
    "question 03?": answer(),
    "question 04?": answer(Prompt((0, 0, 5, 2), ((1, 1), (2, 1)))),
    "question 05?": UNREADABLE,
    "question 06?": answer(Prompt((0, 0, 10, 6), ((5, 5), (5, 9.5)))),
    "question 07?": answer(),
    "question 08?": UNREADABLE,
    "question 09?": answer(),
    "question 10?": answer(Prompt((0, 0, 2, 4), ((1, 1), (1, 2))), Prompt((5, 5, 7, 7), ((6, 6), (6.5, 6.5)))),
}
