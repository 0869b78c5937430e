"""A prompter that asks several times, and answers with what its other answers agree with most.

One greedy answer may be the odd one out. Of it and some drawn ones this keeps the one whose place has the highest mean
IoU with those of the others: minimum Bayes risk decoding (Kumar and Byrne, HLT-NAACL 2004) with the IoU, by which
masks are scored, as its utility. An answer's place is what its boxes cover, on a grid, so that no segmenter is asked.
The answer is one that the model wrote, word for word: its thought is about its own prompts, as ever.

It fits any prompter. What it gains and costs stands in docs/evaluation.md. It does not know models or segmenters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from think2seg.dialect import find_dialect
from think2seg.errors import AnswerError, QueryError
from think2seg.prompter import BatchPrompter, Sampling, Writing
from think2seg.strategy import Strategy
from think2seg.types import Answer, Completion, Query, Size

TEMPERATURE = 0.7
MOST = 64
GRID = 128
"""Cells along the longer side of the picture in which places are compared."""
_REACH = 0.02  # of the longer side: how far round a point an instance without a box is taken to lie
_LOOK = 0.02  # seconds between two looks at whether to stop


def check(samples: int) -> None:
    """Raises `QueryError` for a number of samples that is not offered; 0 is none."""
    if not 0 <= samples <= MOST:
        raise QueryError(f"An answer can be compared with 1 to {MOST} samples, or 0 for none; {samples} came.")


def agreed(prompter: BatchPrompter, samples: int) -> BatchPrompter:
    """`prompter`, asked `samples` times more; itself for 0. Raises `QueryError`."""
    check(samples)
    return prompter if samples == 0 else Agreed(prompter, samples)


def chosen(completions: Sequence[Completion], strategy: Strategy) -> int:
    """Which of the completions about one picture the others agree with most; of equals, the first.

    One that cannot be read is neither chosen nor asked, unless none can: then it is the first.
    """
    places = {k: place for k, one in enumerate(completions) if (place := _place(one, strategy)) is not None}
    if not places:
        return 0
    cells = np.stack(list(places.values())).reshape(len(places), -1).astype(np.float32)
    shared = cells @ cells.T
    areas = cells.sum(1)
    union = areas[:, None] + areas[None, :] - shared
    iou = np.where(union > 0, shared / np.maximum(union, 1), 1.0)  # two that say "nothing here" agree
    return list(places)[int(np.argmax(iou.mean(1)))]


def _place(completion: Completion, strategy: Strategy) -> NDArray[np.bool_] | None:
    """The cells that the answer's boxes cover, (rows, columns); None if it cannot be read."""
    try:
        answer = find_dialect(completion.dialect).parse(completion.text, completion.frame, strategy)
    except AnswerError:
        return None
    return covered(answer, completion.frame)


def covered(answer: Answer, frame: Size) -> NDArray[np.bool_]:
    """(rows, columns), the longer of them `GRID`: cells whose centre lies in one of the answer's boxes, of prompts
    without a box near one of their positive points; the thinnest box covers the cells that hold its centre."""
    scale = GRID / max(frame)
    columns, rows = (max(1, round(side * scale)) for side in frame)
    cells = np.zeros((rows, columns), np.bool_)
    reach = _REACH * max(frame)
    for prompt in answer.prompts:
        boxes = [(x - reach, y - reach, x + reach, y + reach) for x, y in prompt.positive]
        for box in boxes if prompt.box is None else [prompt.box]:
            (left, right), (top, bottom) = (
                _span(box[k] * scale, box[k + 2] * scale, length) for k, length in ((0, columns), (1, rows))
            )
            cells[top:bottom, left:right] = True
    return cells


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """The cells whose centres lie between the two, or the one that the middle is in."""
    first, last = round(low), round(high)
    if last <= first:
        first = int((low + high) / 2)
        last = first + 1
    first = min(max(first, 0), length - 1)
    return first, min(max(last, first + 1), length)


class Agreed:
    """A `BatchPrompter` made of another one. samples: how many answers are drawn beside the greedy one."""

    def __init__(self, prompter: BatchPrompter, samples: int) -> None:
        """Raises `QueryError` for a number of samples that is not offered."""
        check(samples)
        self._prompter = prompter
        self._samples = samples
        self.name = f"{prompter.name}, agreed of {samples + 1}"
        self.about = f"{prompter.about} Asked {samples} times more; what most agree with is the answer."

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        """The greedy completion as it is written, and after it the one that is agreed on, if that is another: the last
        answer in a text is the one that counts. Stopped before, the greedy one stands. A draw, asked for with
        `sampling`, is drawn once and compared with nothing."""
        writing = self._prompter.write(query, strategy, stop=stop, deadline=deadline, sampling=sampling)
        if sampling is not None:
            return writing
        pieces = self._pieces(writing, query, strategy, stop, deadline)
        return Writing(writing.frame, pieces, writing.dialect, writing.processors)

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        """The agreed completion of each query. The samples of a query are one batch, so that what is drawn does not
        depend on the other queries."""
        written = self._prompter.complete(queries, strategy, sampling=sampling)
        if sampling is not None:
            return written
        return [self._agreed(query, first, strategy) for query, first in zip(queries, written, strict=True)]

    def _agreed(self, query: Query, greedy: Completion, strategy: Strategy) -> Completion:
        drawn = self._prompter.complete([query] * self._samples, strategy, sampling=Sampling(TEMPERATURE, seed=0))
        every = [greedy, *drawn]
        return every[chosen(every, strategy)]

    def _pieces(
        self, writing: Writing, query: Query, strategy: Strategy, stop: threading.Event, deadline: float | None
    ) -> Generator[str, None, None]:
        text: list[str] = []
        with closing(writing.pieces) as pieces:
            for piece in pieces:
                text.append(piece)
                yield piece
        if _over(stop, deadline):
            return
        greedy = Completion("".join(text), writing.frame, writing.dialect)
        drawing = ThreadPoolExecutor(1, thread_name_prefix="think2seg-agreement")
        asked = drawing.submit(self._agreed, query, greedy, strategy)
        drawing.shutdown(wait=False)  # a batch cannot be stopped: whoever stops does not wait for it
        while not asked.done():
            time.sleep(_LOOK)
            if _over(stop, deadline):
                return
        if (found := asked.result()) is not greedy:
            yield "\n" + found.text


def _over(stop: threading.Event, deadline: float | None) -> bool:
    return stop.is_set() or (deadline is not None and time.monotonic() > deadline)
