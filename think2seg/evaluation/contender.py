"""What is evaluated: a pipeline with one or several ways to make masks of one answer, or masks that were saved.

A contender works in two steps, so that the second of one batch can run beside the first of the next. It knows samples,
pipelines and files of masks; neither batches on disk nor reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.samples import Sample, read_mask
from think2seg.errors import AnswerError, DatasetError, QueryError
from think2seg.evaluation.row import Row, row_of_error, row_of_mask, row_of_result
from think2seg.pipeline import Pipeline
from think2seg.prompter import BatchPrompter, Sampling
from think2seg.segmenter import Segmenter
from think2seg.strategy import DEFAULT_STRATEGY
from think2seg.types import Completion, Prompt, Query


@dataclass(frozen=True, eq=False)
class Loaded:
    """A sample with its pixels: image (H, W, 3) uint8 RGB, truth (H, W) bool."""

    sample: Sample
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]


class Contender(Protocol):
    """What answers questions. Its two steps are called from two threads, the second in the batches' order."""

    variants: Mapping[str, Mapping[str, Any]]
    """By name, what each variant's report says of it beside the run's settings; "" for the only one."""

    def begin(self, loaded: Sequence[Loaded], seed: int | None) -> Any:
        """The first step of a batch; what it gives is handed to the second. seed: None is greedy."""

    def end(self, loaded: Sequence[Loaded], begun: Any, seed: int | None) -> dict[str, list[Row]]:
        """The rows of a batch, by variant, one a sample in their order."""


Change = Callable[[Sample, Query, tuple[Prompt, ...]], tuple[Prompt, ...]]
"""Other prompts than the answer's, in source-image pixels."""


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to make masks of an answer.

    sent: the strategy by which prompts are cut, None for the one that was asked. segmenter: None for the pipeline's.
    negatives: whether negative points are sent. change: what happens to the prompts before they are cut.
    """

    name: str = ""
    segmenter: Segmenter | None = None
    sent: str | None = None
    negatives: bool | None = None
    change: Change | None = None

    def said(self) -> dict[str, Any]:
        """What a report says of it beside the run's settings."""
        found: dict[str, Any] = {"variant": self.name} if self.name else {}
        if self.segmenter is not None:
            found["variant_segmenter"] = self.segmenter.name
        if self.sent is not None:
            found["sent"] = self.sent
        if self.negatives is not None:
            found["negatives"] = self.negatives
        return found


class Answering:
    """A prompter, asked by one strategy, and the segmenter that fills in what it points at.

    negatives: whether negative points are sent. variants: the ways in which masks are made of each answer.
    temperature: of sampled answers.
    """

    def __init__(
        self,
        prompter: BatchPrompter,
        segmenter: Segmenter,
        *,
        strategy: str = DEFAULT_STRATEGY,
        negatives: bool = True,
        variants: Sequence[Variant] = (Variant(),),
        temperature: float = 1.0,
    ) -> None:
        self._prompter = prompter
        self._ways = [
            (v, Pipeline(prompter, v.segmenter or segmenter, strategy=strategy, negatives=negatives)) for v in variants
        ]
        self._pipeline = Pipeline(prompter, segmenter, strategy=strategy, negatives=negatives)
        self._temperature = temperature
        self.variants: Mapping[str, Mapping[str, Any]] = {v.name: v.said() for v in variants}

    def begin(self, loaded: Sequence[Loaded], seed: int | None) -> list[Completion]:
        queries = [Query(one.image, one.sample.question) for one in loaded]
        sampling = None
        if seed is not None:  # a batch is drawn alike whenever and by whichever process it is drawn
            drawn = np.random.SeedSequence([seed, *loaded[0].sample.id.encode()]).generate_state(1)
            sampling = Sampling(self._temperature, int(drawn[0]))
        return self._prompter.complete(queries, self._pipeline.strategy, sampling=sampling)

    def end(self, loaded: Sequence[Loaded], begun: list[Completion], seed: int | None) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {name: [] for name in self.variants}
        for one, completion in zip(loaded, begun, strict=True):
            query = Query(one.image, one.sample.question)
            try:
                answer = self._pipeline.read(query, completion)
            except AnswerError as error:
                for held in rows.values():
                    held.append(row_of_error(one.sample, one.truth, completion, error, seed))
                continue
            for variant, pipeline in self._ways:
                prompts = answer.prompts
                if variant.change is not None:
                    prompts = variant.change(one.sample, query, prompts)
                try:
                    result = pipeline.segment(
                        query, completion, replace(answer, prompts=prompts), sent=variant.sent,
                        negatives=variant.negatives,
                    )  # fmt: skip
                except QueryError as error:  # a baseline draws into boxes
                    if not pipeline.strategy.box or all(prompt.box is not None for prompt in prompts):
                        raise  # the strategy has none, and every answer would fail: nothing is scored then
                    why = AnswerError(f"An instance has no box. {error}", completion.text)
                    rows[variant.name].append(row_of_error(one.sample, one.truth, completion, why, seed))
                else:
                    rows[variant.name].append(row_of_result(one.sample, one.truth, result, seed))
        return rows


class SavedMasks:
    """Masks that another system wrote: `folder/<sample id>.png`, else `folder/<image id>.png`; > 0 is the answer."""

    variants: Mapping[str, Mapping[str, Any]] = {"": {}}

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        """Raises `DatasetError` if the folder or any sample's mask is missing: before anything is scored."""
        if not folder.is_dir():
            raise DatasetError(
                f"--masks {folder} is no folder. Give the folder that holds one PNG a question or image."
            )
        self._folder = folder
        missing = [sample for sample in samples if self._path(sample) is None]
        if missing:
            names = ", ".join(f"{sample.id}.png" for sample in missing[:5]) + (", …" if len(missing) > 5 else "")
            raise DatasetError(
                f"{folder} lacks the masks of {len(missing)} of {len(samples)} questions: {names}. Each must be there "
                f"as <sample id>.png or <image id>.png (here {missing[0].id}.png or {missing[0].image_id}.png); "
                "save an empty mask where the system found nothing."
            )

    def _path(self, sample: Sample) -> Path | None:
        for name in (sample.id, sample.image_id):
            path = self._folder / f"{name}.png"
            if path.is_file():
                return path
        return None

    def begin(self, loaded: Sequence[Loaded], seed: int | None) -> list[NDArray[np.bool_]]:
        del seed
        masks = []
        for one in loaded:
            path = self._path(one.sample)
            assert path is not None
            mask = read_mask(path)
            if mask.shape != one.truth.shape:
                raise DatasetError(
                    f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels, and the image of {one.sample.id!r} "
                    f"{one.truth.shape[1]} x {one.truth.shape[0]}. Save masks at the image's own size."
                )
            masks.append(mask)
        return masks

    def end(self, loaded: Sequence[Loaded], begun: list[NDArray[np.bool_]], seed: int | None) -> dict[str, list[Row]]:
        del seed
        return {"": [row_of_mask(one.sample, one.truth, mask) for one, mask in zip(loaded, begun, strict=True)]}
