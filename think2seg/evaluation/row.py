"""What is kept of one question: a line of `samples.jsonl`, from which every figure of a report can be made again.

All coordinates are pixels of the source image. It knows no data set and no statistics.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg import record
from think2seg.datasets.samples import Sample, size_stratum
from think2seg.errors import AnswerError, DatasetError
from think2seg.evaluation.geometry import PromptGeometry, geometry
from think2seg.metrics import Count, count
from think2seg.types import Completion, Prompt, Result


@dataclass(frozen=True)
class Row:
    """One question, answered and scored.

    seed: of a sampled answer, None for a greedy one or a saved mask. size: (width, height) in pixels. count: the
    pixels, `iou` by our table of empty masks. text, thought, frame: what the prompter wrote; None for saved masks.
    prompts: what was sent to the segmenter, and `scores` its own estimate for each. why: the reason why the answer
    cannot be read, else None. geometry: None where nothing is true. mask: COCO run lengths of the answer's union,
    None if it has no pixel.
    """

    id: str
    image_id: str
    question: str
    seed: int | None
    strata: dict[str, str]
    size: tuple[int, int]
    count: Count
    text: str | None = None
    thought: str | None = None
    frame: tuple[int, int] | None = None
    prompts: tuple[Prompt, ...] = ()
    scores: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    why: str | None = None
    geometry: PromptGeometry | None = None
    mask: dict[str, Any] | None = None

    @property
    def iou(self) -> float:
        return self.count.iou

    @property
    def prediction(self) -> NDArray[np.bool_]:
        """The answer's union, (H, W) bool; all False for an empty or unreadable one."""
        if self.mask is None:
            return np.zeros((self.size[1], self.size[0]), dtype=np.bool_)
        return record.from_rle(self.mask)

    def line(self) -> str:
        """The row as one line of JSON; `from_line(row.line())` is the row again, but for coordinates' rounding."""
        held: dict[str, Any] = {"iou": round(self.iou, 6)} | asdict(self)
        held["count"] |= {"predicted": self.count.predicted}
        held["prompts"] = [record.prompt_document(prompt) for prompt in self.prompts]
        order = ("id", "image_id", "seed", "question", "iou", "why", "strata", "size", "count", "text", "thought")
        return json.dumps({key: held.pop(key) for key in order} | held, ensure_ascii=False)

    @staticmethod
    def from_line(line: str) -> Row:
        """Raises `ValueError`, `KeyError` or `TypeError` for a line that is none."""
        held = json.loads(line)
        held.pop("iou")
        pixels = held.pop("count")
        pixels.pop("predicted")
        place = held.pop("geometry")
        return Row(
            **held
            | {
                "count": Count(**pixels),
                "size": tuple(held["size"]),
                "frame": None if held["frame"] is None else tuple(held["frame"]),
                "prompts": tuple(map(record.prompt_from_document, held["prompts"])),
                "scores": tuple(held["scores"]),
                "warnings": tuple(held["warnings"]),
                "geometry": None if place is None else PromptGeometry(**place),
            }
        )


def row_of_mask(sample: Sample, truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Row:
    """The row of a mask that came without prompts, (H, W) bool like the truth."""
    return Row(
        id=sample.id,
        image_id=sample.image_id,
        question=sample.question,
        seed=None,
        strata=dict(sample.strata) | {"target size": size_stratum(truth)},
        size=(truth.shape[1], truth.shape[0]),
        count=count(mask, truth),
        mask=record.rle(mask) if mask.any() else None,
    )


def row_of_result(sample: Sample, truth: NDArray[np.bool_], result: Result, seed: int | None) -> Row:
    """The row of an answered question."""
    found = geometry(result.sent, truth)
    return replace(
        row_of_mask(sample, truth, result.mask),
        seed=seed,
        count=count(result.mask, truth, instances=len(result.masks)),
        text=result.completion.text,
        thought=result.answer.thought,
        frame=result.completion.frame,
        prompts=result.sent,
        scores=tuple(round(mask.score, 4) for mask in result.masks),
        warnings=result.answer.warnings,
        geometry=found,
    )


def row_of_error(
    sample: Sample, truth: NDArray[np.bool_], completion: Completion, error: AnswerError, seed: int | None
) -> Row:
    """The row of an answer that cannot be read."""
    return replace(
        row_of_mask(sample, truth, np.zeros_like(truth)),
        seed=seed,
        count=count(None, truth),
        text=completion.text,
        frame=completion.frame,
        why=error.why,
        geometry=geometry((), truth),
    )


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a `samples.jsonl`. Raises `DatasetError`, naming the file and the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}. Run the evaluation that writes it again.") from error
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            rows.append(Row.from_line(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{path}, line {number}, is no row of an evaluation: {type(error).__name__} {error}. "
                "Run the evaluation that writes it again."
            ) from error
    return tuple(rows)


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Each row as a line with its end."""
    for row in rows:
        yield row.line() + "\n"
