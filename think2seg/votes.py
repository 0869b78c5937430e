"""How sure an answer is: the same question asked N times by sampling, and what the samples have in common.

One greedy answer is what the page shows; N answers drawn at a temperature say how much of it is chance, as
self-consistency does for sampled reasoning (Wang et al., arXiv 2203.11171). Two figures come of it:

- the *vote map*: for each pixel the share of the samples whose mask holds it;
- the *confidence* of each instance of the greedy answer: the share of the samples that hold an instance of the same
  place, matched one to one at a mask IoU of at least .5, after the association of detections over stochastic passes
  (Miller et al., arXiv 1710.06677). Beside it stands the mean vote within the instance's mask.

An unreadable sample votes for no pixel and finds no instance, and stays in every denominator. These are frequencies of
one model's answers, not probabilities of being right: a model may be wrong every time.

It knows the pipeline and no door.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from think2seg import images
from think2seg.compare import stops_with
from think2seg.comparison import share_of
from think2seg.errors import AnswerError, QueryError
from think2seg.metrics import iou
from think2seg.pipeline import Pipeline, Source, checked_question
from think2seg.prompter import Prompter, Sampling, Writing
from think2seg.segmenter import Segmenter
from think2seg.strategy import DEFAULT_STRATEGY, Strategy, find_strategy
from think2seg.types import Event as PipelineEvent
from think2seg.types import Finished, Mask, Query, Result, Size, Thinking

MOST_SAMPLES = 64
HOTTEST = 2.0
SAME_PLACE = 0.5
"""The mask IoU from which on two instances are the same."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One answer: a result, or why it cannot be read. seed: of its draw, None for the greedy answer."""

    seed: int | None
    result: Result | None = None
    error: AnswerError | None = None

    @property
    def thought(self) -> str:
        """Untrusted text: the thought, or all that an unreadable sample wrote."""
        if self.result is not None:
            return self.result.answer.thought
        return "" if self.error is None else self.error.text


@dataclass(frozen=True)
class Confidence:
    """Of one instance: `found` of `samples` hold it, and the mean vote (0-1) within its mask, 0 for an empty mask."""

    found: int
    samples: int
    vote: float

    @property
    def share(self) -> float:
        """found / samples, 0-1."""
        return self.found / self.samples


@dataclass(frozen=True, eq=False)
class Votes:
    """The greedy answer and the samples that came to an end. wanted: how many were asked for; fewer if it was stopped.

    greedy.result is None where the greedy answer cannot be read: then there is a map, and no confidence.
    """

    size: Size
    greedy: Sample
    samples: tuple[Sample, ...]
    temperature: float
    wanted: int

    @property
    def stopped(self) -> bool:
        return len(self.samples) < self.wanted

    @property
    def unreadable(self) -> int:
        """Samples that cannot be read."""
        return sum(sample.result is None for sample in self.samples)

    @property
    def nothing_here(self) -> int:
        """Samples that say, readably, that there is nothing."""
        return sum(sample.result is not None and sample.result.nothing_here for sample in self.samples)

    @cached_property
    def share(self) -> NDArray[np.float32]:
        """The vote map, (H, W): the share of all samples, unreadable ones included, whose mask holds the pixel."""
        masks = [sample.result.mask for sample in self.samples if sample.result is not None]
        return share_of(masks, self.size, len(self.samples))

    @cached_property
    def confidences(self) -> tuple[Confidence, ...]:
        """Of each instance of the greedy answer, in its order; none without samples."""
        if self.greedy.result is None or not self.samples:
            return ()
        masks = self.greedy.result.masks
        found = [0] * len(masks)
        for sample in self.samples:
            for i in matched(masks, sample.result.masks) if sample.result is not None else ():
                found[i] += 1
        votes = [float(self.share[m.pixels].mean()) if m.pixels.any() else 0.0 for m in masks]
        return tuple(Confidence(n, len(self.samples), vote) for n, vote in zip(found, votes, strict=True))


def matched(masks: Sequence[Mask], others: Sequence[Mask]) -> dict[int, int]:
    """Which of `masks` is which of `others`, by index: one to one, at an IoU of `SAME_PLACE` or more, with the largest
    sum of IoUs."""
    from scipy.optimize import linear_sum_assignment

    frames, other_frames = [_frame(m.pixels) for m in masks], [_frame(m.pixels) for m in others]
    scores = np.zeros((len(masks), len(others)))
    for i, a in enumerate(frames):
        for j, b in enumerate(other_frames):
            if a is not None and b is not None and a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]:
                window = (slice(min(a[0], b[0]), max(a[1], b[1])), slice(min(a[2], b[2]), max(a[3], b[3])))
                scores[i, j] = iou(masks[i].pixels[window], others[j].pixels[window])
    scores[scores < SAME_PLACE] = 0.0
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if scores[i, j] > 0}


def _frame(pixels: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """First and past-the-last row and column of a mask; None if it is empty."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


# --- asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asking:
    """Event: the greedy answer (None) or sample `number` (from 0) has begun."""

    number: int | None


@dataclass(frozen=True)
class Thought:
    """Event: the thought of what is being asked grew by `delta`. Untrusted text."""

    number: int | None
    delta: str


@dataclass(frozen=True, eq=False)
class Answered:
    """Event: the greedy answer (None) or sample `number` is there, or cannot be read."""

    number: int | None
    sample: Sample


@dataclass(frozen=True, eq=False)
class Voted:
    """Event: the last one. None if it was stopped before the greedy answer and one sample were there."""

    votes: Votes | None


Event = Asking | Thought | Answered | Voted


def votes(
    prompter: Prompter,
    segmenter: Segmenter,
    image: Source,
    question: str,
    *,
    number: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
    strategy: str | Strategy = DEFAULT_STRATEGY,
    negatives: bool = True,
    greedy: Result | None = None,
    stop: threading.Event | None = None,
    deadline_s: float = 300.0,
) -> Iterator[Event]:
    """Events until `Voted`: the greedy answer, then `number` samples with the seeds `seed`, `seed` + 1, …

    greedy: the answer to the same question that is there already, through this segmenter. deadline_s: for each answer.
    Setting `stop` ends it within a token; what is done until then still votes. Raises `QueryError` (a number or a
    temperature that makes no sense), `ImageError`, `ModelError`; an unreadable sample is counted and raises nothing.
    """
    if not 1 <= number <= MOST_SAMPLES:
        raise QueryError(f"The number of samples must lie in 1-{MOST_SAMPLES}; it is {number}.")
    if not 0 < temperature <= HOTTEST:
        raise QueryError(f"The temperature must lie above 0 and at most at {HOTTEST:g}; it is {temperature:g}.")
    if not 0 <= seed < 2**32:
        raise QueryError(f"The seed must lie in 0-{2**32 - 1}; it is {seed}.")
    asked, halt = find_strategy(strategy), stop or threading.Event()
    picture = image if isinstance(image, images.Picture) else images.load(image)
    query = Query(picture.pixels, checked_question(question))
    if greedy is not None and (greedy.query.question != query.question or greedy.query.size != query.size):
        raise QueryError("The greedy answer is about another picture or question; ask again without it.")
    first: Sample | None = None
    found: list[Sample] = []
    for index in (None, *range(number)):
        if halt.is_set():
            break
        if index is None and greedy is not None:
            first = Sample(None, greedy)
            yield Answered(None, first)
            continue
        yield Asking(index)
        drawn = None if index is None else Sampling(temperature, (seed + index) % 2**32)
        line = Pipeline(_Drawn(prompter, drawn), segmenter, strategy=asked, negatives=negatives, deadline_s=deadline_s)
        sample = yield from _sample(line, picture, query, index, drawn, halt)
        if sample is None:
            break
        yield Answered(index, sample)
        if index is None:
            first = sample
        else:
            found.append(sample)
    yield Voted(Votes(query.size, first, tuple(found), temperature, number) if first and found else None)


def _sample(
    line: Pipeline,
    picture: images.Picture,
    query: Query,
    index: int | None,
    drawn: Sampling | None,
    halt: threading.Event,
) -> Generator[Event, None, Sample | None]:
    """One answer; None if it was stopped before it was over, for half an answer is no vote."""
    seed = None if drawn is None else drawn.seed
    sample: Sample | None = None
    try:
        with stops_with(halt) as own, closing(_steps(line, picture, query.question, own)) as steps:
            for event in steps:
                if halt.is_set():
                    break
                if isinstance(event, Thinking):
                    yield Thought(index, event.delta)
                elif isinstance(event, Finished):
                    sample = Sample(seed, event.result)
    except AnswerError as error:
        sample = Sample(seed, error=error)
    return None if halt.is_set() else sample


def _steps(
    line: Pipeline, picture: images.Picture, question: str, stop: threading.Event
) -> Generator[PipelineEvent, None, None]:
    yield from line.steps(picture, question, stop=stop)


class _Drawn:
    """A prompter that samples, as if it were one that does not."""

    def __init__(self, prompter: Prompter, sampling: Sampling | None) -> None:
        self.name, self.about = prompter.name, prompter.about
        self._prompter = prompter
        self._sampling = sampling

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        drawn = self._sampling or sampling
        if drawn is None:
            return self._prompter.write(query, strategy, stop=stop, deadline=deadline)
        return self._prompter.write(query, strategy, stop=stop, deadline=deadline, sampling=drawn)
