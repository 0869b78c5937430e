"""Training rows from the evaluator's own sets: `think2seg.datasets.load` in, rows for the stock trainers out.

| column              | what it is                                                                                   |
| ------------------- | -------------------------------------------------------------------------------------------- |
| prompt              | the dialect's turns, each with plain text: the trainer puts the picture before the first user |
| completion          | for supervised training only: the right answer's text, in the assistant's turn                |
| image, mask         | PIL, RGB and L (0 or 255), of one size: what the prompter's processor is given                |
| frame               | [width, height] that the text's coordinates refer to, asked of the processor itself          |
| strategy, sample_id | names; question: the words alone                                                             |

Rows are made when they are read, and the last few are kept: a data set of any size takes no memory. Which row comes
when is decided here and nowhere else, for the whole run at once: the trainers' own shuffling cannot be resumed exactly
beyond its first epoch. It knows no trainer, model weights or reward.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image

from think2seg.datasets import Sample, load
from think2seg.datasets.samples import Image as Pixels
from think2seg.datasets.samples import Truth
from think2seg.dialect import find_dialect
from think2seg.errors import QueryError
from think2seg.models import PrompterEntry
from think2seg.strategy import Strategy, find_strategy
from think2seg.types import Size
from train.cold_start import completion, synthesised
from train.settings import Settings

__all__ = ["absent", "order", "prompt_rows", "rows_of", "synthesised", "turns"]

KEPT = 64
"""Rows that stay in memory: those of a generation batch, which the trainers ask for again and again."""
BLOCK = 20
"""Rows within which questions with and without a target are mixed anew, so that every batch has its share."""


def prompt_rows(
    samples: Sequence[Sample],
    entry: PrompterEntry,
    strategy: Strategy,
    processor: Any,
    *,
    rows: Sequence[int] | None = None,
    answered: bool = False,
) -> Dataset:
    """A data set of one row for each of `rows`, which are indices of samples (None: each sample once, in order).

    answered: with the column `completion`. Raises `QueryError` for a dialect whose turns the trainers cannot build;
    whatever a sample raises when it is read, it raises when its row is.
    """
    turns("?", entry, strategy)
    listed = list(range(len(samples)) if rows is None else rows)
    made = _Rows(samples, entry, strategy, processor, answered)
    return Dataset.from_dict({"sample": listed}).with_transform(made)


def turns(question: str, entry: PrompterEntry, strategy: Strategy) -> list[dict[str, str]]:
    """The conversation as `TransformersPrompter` asks it, with plain strings, and the picture left out.

    Raises `QueryError` where the picture does not come first in the user's turn: the trainers put it there.
    """
    plain = []
    for message in find_dialect(entry.dialect).messages(question, strategy):
        kinds = [part["type"] for part in message["content"]]
        if kinds != (["image", "text"] if message["role"] == "user" else ["text"]):
            raise QueryError(
                f"The dialect {entry.dialect!r} has its picture in the middle of the user's turn, and the trainer puts "
                "it in front: the model would not be asked as in the evaluation. Train in another dialect."
            )
        plain.append({"role": message["role"], "content": message["content"][-1]["text"]})
    return plain


def rows_of(
    settings: Settings,
    entry: PrompterEntry,
    processor: Any,
    *,
    seed: int,
    epochs: float,
    rows: int | None,
    answered: bool = False,
) -> Dataset:
    """The rows of a whole run as its settings have it; `order` says what epochs and rows are."""
    root = None if settings.data_root is None else Path(settings.data_root).expanduser()
    samples = load(settings.dataset, root, settings.split, questions=settings.questions, limit=settings.limit)
    share = settings.no_target_share
    missing = [False] * len(samples) if share is None else absent(samples)
    listed = order(missing, share=share, seed=seed, epochs=epochs, rows=rows)
    strategy = find_strategy(settings.strategy)
    return prompt_rows(samples, entry, strategy, processor, rows=listed, answered=answered)


class _Rows:
    """Makes rows from their numbers, a batch at a time, as `datasets` asks for them."""

    def __init__(
        self, samples: Sequence[Sample], entry: PrompterEntry, strategy: Strategy, processor: Any, answered: bool
    ) -> None:
        self._samples = samples
        self._entry = entry
        self._strategy = strategy
        self._processor = processor
        self._answered = answered
        self._frames: dict[Size, Size] = {}
        self._kept: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        made = [self._row(index) for index in batch["sample"]]
        return {name: [row[name] for row in made] for name in made[0]}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Rows:
        return self  # `datasets` copies what it holds at every turn; the samples need not be copied with it

    def _row(self, index: int) -> dict[str, Any]:
        if index not in self._kept:
            self._kept[index] = self._made(self._samples[index])
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(index)
        return self._kept[index]

    def _made(self, sample: Sample) -> dict[str, Any]:
        image, mask = pictures(*sample.load(), self._entry.resize)
        frame = self._frame(image.size)
        row = {
            "prompt": turns(sample.question, self._entry, self._strategy),
            "image": image,
            "mask": mask,
            "frame": list(frame),
            "strategy": self._strategy.name,
            "sample_id": sample.id,
            "question": sample.question,
        }
        if self._answered:
            text = completion(sample, np.asarray(mask) > 0, frame, self._strategy)
            row["completion"] = [{"role": "assistant", "content": text}]
        return row

    def _frame(self, size: Size) -> Size:
        """What the processor resizes a picture of `size` to, or thousandths where the model writes them."""
        if self._entry.coordinates == "thousandths":
            return 1000, 1000
        if size not in self._frames:
            looks = self._processor.image_processor
            grid = looks(images=[Image.new("RGB", size)], return_tensors="pt")["image_grid_thw"][0].tolist()
            self._frames[size] = int(grid[2] * looks.patch_size), int(grid[1] * looks.patch_size)
        return self._frames[size]


def pictures(image: Pixels, truth: Truth, resize: Size | None) -> tuple[Image.Image, Image.Image]:
    """The picture and its mask as PIL, at the size that the prompter gives its processor (LANCZOS and NEAREST)."""
    picture, mask = Image.fromarray(image), Image.fromarray(truth.astype(np.uint8) * 255)
    if resize is not None:
        picture = picture.resize(resize, Image.Resampling.LANCZOS)
        mask = mask.resize(resize, Image.Resampling.NEAREST)
    return picture, mask


# --- which row comes when ---------------------------------------------------------------------------------------------


def absent(samples: Sequence[Sample], say: Callable[[str], Any] = print) -> list[bool]:
    """Of each sample whether there is nothing to find: as its level says, else from its mask, which is read once."""
    known: dict[Any, bool] = {}
    unknown = {sample.read for sample in samples if "level" not in sample.strata}
    if unknown:
        say(f"Looking for pictures without a target: reading {len(unknown)} of them once.")
    found = []
    for sample in samples:
        if "level" in sample.strata:
            found.append(sample.strata["level"] == "absent")
            continue
        if sample.read not in known:
            known[sample.read] = not sample.load()[1].any()
        found.append(known[sample.read])
    return found


def order(
    missing: Sequence[bool], *, share: float | None, seed: int, epochs: float = 1.0, rows: int | None = None
) -> list[int]:
    """The indices of the samples for a whole run, mixed by `seed`.

    missing: of each sample whether it has no target. share: of such rows in the run, 0 to less than 1; None for the
    set's own. Each pass over the questions with a target, and each over those without, is shuffled anew. rows: so many;
    None for so many that each question with a target comes `epochs` times. Raises `QueryError`.
    """
    pools = [np.flatnonzero(~np.array(missing, bool)), np.flatnonzero(np.array(missing, bool))]
    share = len(pools[1]) / len(missing) if share is None else share
    if not 0 <= share < 1:
        raise QueryError(f"The share of questions without a target must be from 0 to less than 1; it is {share}.")
    for pool, wanted, name in ((pools[0], 1 - share, "with"), (pools[1], share, "without")):
        if wanted and not len(pool):
            raise QueryError(
                f"The set has no question {name} a target, and {wanted:.0%} of the rows should be such. Set "
                "no_target_share to 0, or add some to the set."
            )
    count = round(epochs * len(pools[0]) / (1 - share)) if rows is None else rows
    without = np.floor(np.arange(count + 1) * share + 1e-9).astype(int)
    kinds = np.diff(without)  # 1 where the row has no target, evenly spread
    mixing = np.random.default_rng([seed, 2])
    for start in range(0, count, BLOCK):
        kinds[start : start + BLOCK] = mixing.permutation(kinds[start : start + BLOCK])
    streams = [_passes(pool, int((kinds == kind).sum()), [seed, kind]) for kind, pool in enumerate(pools)]
    return [int(next(streams[kind])) for kind in kinds]


def _passes(pool: np.ndarray, number: int, seed: list[int]) -> Any:
    rounds = -(-number // len(pool)) if len(pool) else 0
    return iter(np.concatenate([np.random.default_rng([*seed, k]).permutation(pool) for k in range(rounds)] or [pool]))
