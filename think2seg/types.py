"""The nouns of Think2Seg: a query becomes a completion, an answer, masks and a result.

Frozen, validated at birth (`ValueError`), and numpy only. Coordinates are `(x, y)` with the origin at the
top-left corner of the top-left pixel, x to the right, y down; boxes are `(x1, y1, x2, y2)`; sizes are
`(width, height)`. A coordinate without a frame means nothing: prompts are in the frame of the object that holds
them. Nothing here knows models, files, pages or the Earth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""(x, y) in pixels of some frame."""
Box = tuple[float, float, float, float]
"""(x1, y1, x2, y2) in pixels of some frame, x1 < x2 and y1 < y2."""
Size = tuple[int, int]
"""(width, height) in pixels."""


def _size(value: Sequence[int], what: str) -> Size:
    if len(value) != 2 or any(int(v) != v or v < 1 for v in value):
        raise ValueError(f"{what} must be (width, height), both whole and at least 1; it is {tuple(value)!r}.")
    return int(value[0]), int(value[1])


def _point(value: Sequence[float], what: str) -> Point:
    if len(value) != 2 or not all(math.isfinite(v) for v in value):
        raise ValueError(f"{what} must be two finite numbers (x, y); it is {tuple(value)!r}.")
    return float(value[0]), float(value[1])


@dataclass(frozen=True, eq=False)
class Query:
    """A picture and a question.

    image: (H, W, 3) uint8 RGB, the source image at its own size. question: plain words, not blank.
    """

    image: NDArray[np.uint8]
    question: str

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"A query's image must be (H, W, 3) uint8; it is {self.image.shape} {self.image.dtype}.")
        if not self.question.strip():
            raise ValueError("A query's question must not be blank.")

    @property
    def size(self) -> Size:
        """(width, height) of the image in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True)
class Completion:
    """What a prompter wrote: its whole text, the (width, height) frame its coordinates refer to, and the name of the
    dialect that it is to be read in (`dialect.py`)."""

    text: str
    frame: Size
    dialect: str = "think2seg"

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _size(self.frame, "A completion's frame"))


@dataclass(frozen=True)
class Prompt:
    """What points at one instance: a box, positive points, negative points, all in pixels of one frame.

    At least a box or one positive point; a segmenter cannot start from negative points alone.
    """

    box: Box | None
    positive: tuple[Point, ...] = ()
    negative: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.box is not None:
            if len(self.box) != 4 or not all(math.isfinite(v) for v in self.box):
                raise ValueError(f"A prompt's box must be four finite numbers (x1, y1, x2, y2); it is {self.box!r}.")
            x1, y1, x2, y2 = (float(v) for v in self.box)
            if not (x1 < x2 and y1 < y2):
                raise ValueError(f"A prompt's box must have x1 < x2 and y1 < y2; it is {self.box!r}.")
            object.__setattr__(self, "box", (x1, y1, x2, y2))
        for name in ("positive", "negative"):
            points = tuple(_point(p, f"A prompt's {name} point") for p in getattr(self, name))
            object.__setattr__(self, name, points)
        if self.box is None and not self.positive:
            raise ValueError("A prompt needs a box or at least one positive point.")

    def moved(self, src: Size, dst: Size) -> Prompt:
        """The same prompt, taken from a frame of size `src` to one of size `dst`; x and y scale apart."""
        sx, sy = dst[0] / src[0], dst[1] / src[1]
        box = None if self.box is None else (self.box[0] * sx, self.box[1] * sy, self.box[2] * sx, self.box[3] * sy)
        return Prompt(
            box=box,
            positive=tuple((x * sx, y * sy) for x, y in self.positive),
            negative=tuple((x * sx, y * sy) for x, y in self.negative),
        )


@dataclass(frozen=True)
class Answer:
    """A readable answer: the thought and one prompt an instance. No prompts means "nothing here".

    An unreadable text is an `AnswerError`, never an empty answer. `warnings` say in plain sentences what was mended
    while reading; two answers that differ in warnings only are equal.
    """

    thought: str
    prompts: tuple[Prompt, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(self.prompts))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def nothing_here(self) -> bool:
        return not self.prompts


@dataclass(frozen=True, eq=False)
class Mask:
    """One instance's pixels: (H, W) bool at the source image's size, the segmenter's own quality score (its IoU
    estimate, 0-1), and `prompt`, the index of the answer's prompt that it came from."""

    pixels: NDArray[np.bool_]
    score: float
    prompt: int

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.bool_:
            raise ValueError(f"A mask's pixels must be (H, W) bool; they are {self.pixels.shape} {self.pixels.dtype}.")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"A mask's score must lie in 0-1; it is {self.score!r}.")
        if self.prompt < 0:
            raise ValueError(f"A mask's prompt is an index from 0; it is {self.prompt!r}.")

    @property
    def area(self) -> int:
        """Pixels that are set."""
        return int(np.count_nonzero(self.pixels))

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns that hold all pixels that are set, as few as can be; none of either if none is set."""
        rows, columns = (np.flatnonzero(self.pixels.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return slice(0, 0), slice(0, 0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True)
class Timing:
    """Seconds from the start of a job; None where the thing never came."""

    first_token_s: float | None
    first_mask_s: float | None
    total_s: float


@dataclass(frozen=True, eq=False)
class Result:
    """The whole story of one question: what was asked, written, read and segmented.

    `answer.prompts` are in pixels of the source image (the completion's own frame stays in `completion.frame`);
    `sent[i]` is what of `answer.prompts[i]` was sent to the segmenter; `masks[i]` belongs to `answer.prompts[i]`.
    """

    query: Query
    completion: Completion
    answer: Answer
    masks: tuple[Mask, ...]
    sent: tuple[Prompt, ...]
    prompter: str
    segmenter: str
    strategy: str
    timing: Timing

    def __post_init__(self) -> None:
        if not len(self.masks) == len(self.sent) == len(self.answer.prompts):
            raise ValueError(
                f"A result has one mask and one sent prompt for each prompt; it has {len(self.masks)} masks, "
                f"{len(self.sent)} sent and {len(self.answer.prompts)} prompts."
            )
        width, height = self.query.size
        for mask in self.masks:
            if mask.pixels.shape != (height, width):
                raise ValueError(f"A result's masks must be ({height}, {width}); one is {mask.pixels.shape}.")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The union of all masks, (H, W) bool at the source image's size; all False for "nothing here"."""
        width, height = self.query.size
        union = np.zeros((height, width), dtype=np.bool_)
        for mask in self.masks:
            union |= mask.pixels
        return union

    @property
    def nothing_here(self) -> bool:
        return self.answer.nothing_here


@dataclass(frozen=True)
class Thinking:
    """Event: the thought grew by `delta`. Untrusted text."""

    delta: str


@dataclass(frozen=True)
class PromptFound:
    """Event: the prompter closed instance `index`; the prompt is in pixels of the source image.

    `index` counts from 0; an index of 0 after others says that the prompter began a new answer, and what it
    wrote before no longer counts.
    """

    index: int
    prompt: Prompt


@dataclass(frozen=True, eq=False)
class MaskReady:
    """Event: the segmenter filled in instance `mask.prompt`."""

    mask: Mask


@dataclass(frozen=True, eq=False)
class Finished:
    """Event: the last one, with the whole result."""

    result: Result


Event = Thinking | PromptFound | MaskReady | Finished
