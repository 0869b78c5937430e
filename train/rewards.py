"""The rewards of mask-only GRPO, as plain batched functions for TRL: completions and columns in, `list[float]` out.

| reward       | what it is, 0-1                                                            | weight |
| ------------ | -------------------------------------------------------------------------- | ------ |
| mask_iou     | the IoU of the final mask with the truth                                   | 2      |
| readable     | 1 for an answer that reads as prompts, each with the counts that were asked | 1      |
| think_answer | 1 for `<think>…</think><answer>…</answer>`, with white space alone around   | 1      |

The pipeline itself reads and segments, so that a reward is the evaluation's IoU to the bit. Where there is nothing to
find, mask_iou is 1 for an empty list and else 0; an unreadable text has neither mask_iou nor readable. Wrong counts
cost `readable` alone: the strategy cuts what it can, and mask_iou is that mask's.

What a completion earns hangs on it alone. SAM's logits change in their last bits with the number of prompts that are
decoded together, and with a prompt's place among them; so the prompts of one answer make a batch, in any company, and
answers that are alike are segmented once. A picture is encoded once for all its completions. No random number is drawn.

It knows the pipeline, and neither the trainer nor how a run goes (`watching.py`).
"""

from __future__ import annotations

import hashlib
import math
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.answer import MAX_TEXT
from think2seg.baselines import Shape
from think2seg.datasets.samples import spread
from think2seg.dialect import find_dialect
from think2seg.errors import AnswerError, QueryError
from think2seg.evaluation.geometry import PromptGeometry, geometry
from think2seg.metrics import Count, count
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.segmenter import Segmenter
from think2seg.types import Answer, Prompt, Query, Result
from train.reward_rows import COLUMNS, Row, column_of, row_of, text_of

WEIGHTS: Mapping[str, float] = MappingProxyType({"mask_iou": 2.0, "readable": 1.0, "think_answer": 1.0})
"""The paper's weights (arXiv 2512.19302), in the order of `Rewards.functions`."""
MASK_ONLY: Mapping[str, float] = MappingProxyType({"mask_iou": 2.0, "readable": 0.0, "think_answer": 0.0})
"""The paper's ablation: the mask alone counts. The other two are still computed, for the log."""
SHOWN_GROUPS = 4
"""Of so many groups of a batch the best and the worst completion are kept, to be looked at."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What a completion earned.

    total: the weighted sum. why: the reason why it cannot be read, else None. prompts: its answer, in pixels of the
    picture. count: the final mask against the truth. place: where its prompts lie; None without a target.
    """

    sample_id: str
    characters: int
    mask_iou: float
    readable: float
    think_answer: float
    total: float
    why: str | None
    prompts: tuple[Prompt, ...]
    count: Count
    place: PromptGeometry | None


@dataclass(eq=False)
class _Batch:
    """The last batch, held until every function was asked for it. given: its texts and columns, the objects themselves,
    so that no other object can take their place in memory."""

    given: dict[str, tuple[Any, ...]]
    scored: list[Scored]
    served: set[str] = field(default_factory=set)

    def is_of(self, given: dict[str, tuple[Any, ...]]) -> bool:
        if len(self.scored) != len(given["text"]):
            return False
        pairs = (pair for name in given for pair in zip(self.given[name], given[name], strict=True))
        return all(a is b or (type(a) in (str, list, tuple) and a == b) for a, b in pairs)


class Rewards:
    """All rewards of a run; they share one reading and one segmentation of each batch.

    segmenter: the frozen SAM 2, loaded (loading draws random numbers: under `torch.random.fork_rng`, please); or a
    baseline, with which an answer that leaves out a box counts as unreadable. dialect: how completions are spelt; a
    peer's are not held to counts. negatives: whether negative points are sent. weights: by name, in place of those of
    `WEIGHTS`; `QueryError` for what is none.

    The functions raise `DatasetError` for columns that are missing or wrong, `QueryError` for an unknown strategy,
    `ModelError` if SAM cannot go on, and nothing for any text.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        dialect: str = "think2seg",
        negatives: bool = True,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.weights = _weights(weights or {})
        self.shown: tuple[tuple[Row, Scored], ...] = ()
        """Of some groups of the last batch the best completion and, if any earned less, the worst."""
        self._dialect = find_dialect(dialect)
        # When a reward is asked for, the policy has written: the pipeline's own prompter never does.
        self._pipeline = Pipeline(ReplayPrompter("", (1, 1), name="policy"), segmenter, negatives=negatives)
        self._boxes_only = isinstance(segmenter, Shape)
        self._batch: _Batch | None = None
        self._lock = threading.Lock()

    def functions(self) -> tuple[list[Callable[..., list[float]]], list[float]]:
        """The reward functions and their weights, in one order: for `GRPOTrainer` and for `GRPOConfig`."""
        functions = [self.mask_iou, self.readable, self.think_answer]
        return functions, [self.weights[function.__name__] for function in functions]

    def mask_iou(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> list[float]:
        """The IoU of the union of the masks with the truth; without a target 1 for an empty list, else 0."""
        return [one.mask_iou for one in self._scored("mask_iou", prompts, completions, columns)]

    def readable(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> list[float]:
        """1 for an answer whose instances all have the counts that were asked for, and for an empty list; else 0."""
        return [one.readable for one in self._scored("readable", prompts, completions, columns)]

    def think_answer(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> list[float]:
        """1 for one thought and one answer in their tags, with white space alone around them; else 0."""
        return [one.think_answer for one in self._scored("think_answer", prompts, completions, columns)]

    def result(self, row: Row) -> Result | None:
        """What the pipeline makes of a completion, with its masks; None for an unreadable one. SAM runs again."""
        query, read = self._read(row)
        if isinstance(read, str):
            return None
        return self._pipeline.segment(query, row.completion, read, asked=row.strategy)

    def _scored(self, name: str, prompts: Any, completions: Any, columns: Mapping[str, Any]) -> list[Scored]:
        """The batch, scored when the first function asks; its figures are logged then."""
        given: dict[str, tuple[Any, ...]] = {"text": tuple(text_of(completion) for completion in completions)}
        given |= {column: column_of(columns, column, len(given["text"])) for column in COLUMNS}
        with self._lock:
            batch = self._batch
            if batch is None or name in batch.served or not batch.is_of(given):
                questions = columns.get("question") or [text_of(prompt) for prompt in prompts]
                batch = self._batch = _Batch(given, self._score(given, questions))
                _log(batch.scored, columns.get("log_metric"), columns.get("log_extra"))
            batch.served.add(name)
            if len(batch.served) == len(WEIGHTS):
                self._batch = None
            return batch.scored

    def _score(self, given: Mapping[str, Any], questions: Sequence[str]) -> list[Scored]:
        images: dict[Any, NDArray[np.uint8]] = {}
        by_image: dict[Any, list[int]] = {}
        rows: list[Row] = []
        for i, (text, *columns) in enumerate(zip(*given.values(), strict=True)):
            row = row_of(text, *columns, question=questions[i], dialect=self._dialect.name)
            content = row.image.shape, hashlib.blake2b(row.image.data, digest_size=16).digest()
            by_image.setdefault(content, []).append(i)
            rows.append(replace(row, image=images.setdefault(content, row.image)))
        scored: dict[int, Scored] = {}
        for indices in by_image.values():
            alike: dict[Any, tuple[NDArray[np.bool_], tuple[Prompt, ...]]] = {}
            scored |= {i: self._score_one(rows[i], alike) for i in indices}
        in_order = [scored[i] for i in range(len(rows))]
        self.shown = _chosen(rows, in_order)
        return in_order

    def _score_one(self, row: Row, alike: dict[Any, tuple[NDArray[np.bool_], tuple[Prompt, ...]]]) -> Scored:
        """alike: of this picture's answers so far, by strategy and prompts, the final mask and the prompts sent."""
        query, read = self._read(row)
        mask_iou = readable = 0.0
        sent: tuple[Prompt, ...] = ()
        if isinstance(read, str):
            pixels = count(None, row.truth)
        else:
            key = row.strategy.name, read.prompts
            if key not in alike:
                result = self._pipeline.segment(query, row.completion, read, asked=row.strategy)
                alike[key] = result.mask, result.sent
            mask, sent = alike[key]
            pixels = count(mask, row.truth, instances=len(sent))
            mask_iou = float(read.nothing_here) if pixels.absent else pixels.iou
            is_peer = bool(self._dialect.turn)  # and writes what it writes, as `Dialect.reader` has it
            readable = float(is_peer or row.strategy.counts_right(read))
        parts = {"mask_iou": mask_iou, "readable": readable, "think_answer": float(_in_tags(row.completion.text))}
        return Scored(
            row.sample_id,
            len(row.completion.text),
            **parts,
            total=math.fsum(self.weights[name] * parts[name] for name in WEIGHTS),
            why=read if isinstance(read, str) else None,
            prompts=() if isinstance(read, str) else read.prompts,
            count=pixels,
            place=geometry(sent, row.truth),
        )

    def _read(self, row: Row) -> tuple[Query, Answer | str]:
        """The query, and the answer in pixels of the picture, or the reason why it cannot be read."""
        query = Query(row.image, row.question if row.question.strip() else "–")
        try:
            read = self._pipeline.read(query, row.completion, strategy=row.strategy)
            if self._boxes_only and any(prompt.box is None for prompt in read.prompts):
                return query, "An instance has no box, and this segmenter draws into boxes."
            return query, read
        except AnswerError as error:
            return query, error.why
        except ValueError as error:  # a box thinner than any number in the picture's own pixels
            return query, f"The answer does not fit the picture. {error}"


def figures(scored: Sequence[Scored]) -> dict[str, float]:
    """What a batch says of the run; a figure of which nothing speaks is left out.

    iou: mean where there is a target. n_acc: share of empty lists where there is none. empty: the same where there is
    one. parsed: share that reads as an answer, whatever its counts. zero_spread, alike: shares of the groups (two or
    more consecutive completions of one sample) whose totals, and whose answers, are the same. points_inside: share of
    positive points in the truth. box_iou: mean by answer. box_area: median by answer, over the truth's area.
    """
    present = [one for one in scored if not one.count.absent]
    groups = [group for group in (list(found) for _, found in groupby(scored, key=_group)) if len(group) > 1]
    places = [one.place for one in present if one.place is not None]
    areas = [place.box_area for place in places if place.box_area is not None]
    positives = sum(place.positives for place in places)
    found = {
        "iou": _mean([one.mask_iou for one in present]),
        "n_acc": _mean([one.mask_iou for one in scored if one.count.absent]),
        "empty": _mean([one.why is None and not one.prompts for one in present]),
        "parsed": _mean([one.why is None for one in scored]),
        "instances": _mean([len(one.prompts) for one in scored if one.why is None]),
        "characters": _mean([one.characters for one in scored]),
        "zero_spread": _mean([len({one.total for one in group}) == 1 for group in groups]),
        "alike": _mean([len({(one.why is None, one.prompts) for one in group}) == 1 for group in groups]),
        "points_inside": sum(place.positives_inside for place in places) / positives if positives else None,
        "box_iou": _mean([place.box_iou for place in places if place.box_iou is not None]),
        "box_area": statistics.median(areas) if areas else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _log(scored: Sequence[Scored], metric: Callable[..., Any] | None, extra: Callable[..., Any] | None) -> None:
    if metric is not None:
        for name, value in figures(scored).items():
            metric(f"answers/{name}", value)
    if extra is not None:
        extra("sample_id", [one.sample_id for one in scored])
        extra("instances", [len(one.prompts) for one in scored])
        extra("why", [one.why or "" for one in scored])


def _chosen(rows: Sequence[Row], scored: Sequence[Scored]) -> tuple[tuple[Row, Scored], ...]:
    """The best and the worst of some groups, spread evenly over the batch."""
    groups = [list(found) for _, found in groupby(range(len(rows)), key=lambda i: _group(scored[i]))]
    chosen: list[int] = []
    for group in spread(groups, SHOWN_GROUPS):
        best, worst = max(group, key=lambda i: scored[i].total), min(group, key=lambda i: scored[i].total)
        chosen += [best] if scored[best].total == scored[worst].total else [best, worst]
    return tuple((rows[i], scored[i]) for i in chosen)


def _group(one: Scored) -> str:
    return one.sample_id


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _weights(given: Mapping[str, float]) -> dict[str, float]:
    unknown = [name for name in given if name not in WEIGHTS]
    if unknown:
        raise QueryError(f"There is no reward called {unknown[0]!r}. Known: {', '.join(WEIGHTS)}.")
    weights = {name: float(given.get(name, weight)) for name, weight in WEIGHTS.items()}
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or not any(weights.values()):
        raise QueryError(f"Reward weights must be numbers from 0, one of them above it; they are {weights}.")
    return weights


def _in_tags(text: str) -> bool:
    """Whether the text is a thought and an answer in their tags, each tag once, and white space."""
    text = text.strip()
    if len(text) > MAX_TEXT or any(text.count(tag) != 1 for tag in ("<think>", "</think>", "<answer>", "</answer>")):
        return False
    after = text.partition("</think>")[2].lstrip()
    return text.startswith("<think>") and after.startswith("<answer>") and after.endswith("</answer>")
