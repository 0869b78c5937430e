"""Right answers written from masks, for supervised training: prompts, a thought by template, and the text.

A true mask says what a good prompt is: a tight box, points deep inside, negative points just outside. Procedural scenes
offer their objects one by one and say what was asked, so that their thoughts are worded as the bundled prompter's own
(`train/nano/prompter_text.py`); of other sets only the mask is known, and its connected parts count as the instances.

It knows masks, strategies and wordings, and no tokenizer, trainer or file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from think2seg import answer
from think2seg.datasets.procedural import SIZE, SPLITS
from think2seg.datasets.samples import Sample, Truth
from think2seg.datasets.scene_phrases import NAMES
from think2seg.datasets.scenes import Phrasings, Scene, SceneQuestion, scene
from think2seg.strategy import Strategy
from think2seg.types import Answer, Box, Point, Prompt, Size

MOST = 10
"""Instances that an answer lists: the largest ones. The bundled prompter's own limit."""
SMALLEST = 12
"""Connected parts of fewer pixels are dropped as crumbs, unless there is nothing else."""
PLACES = (
    "at the upper left",
    "at the top",
    "at the upper right",
    "at the left",
    "near the centre",
    "at the right",
    "at the lower left",
    "at the bottom",
    "at the lower right",
)
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def synthesised(
    truth: Truth | Sequence[Truth], strategy: Strategy, rng: np.random.Generator, *, most: int = MOST
) -> tuple[Prompt, ...]:
    """A prompt for each instance, in whole pixels of the mask; none for a mask that is all False.

    truth: (H, W) bool, whose 8-connected parts are the instances, or one such mask for each instance. The `most`
    largest are kept, and listed from left to right, as the bundled prompter lists them.
    """
    masks = parts(truth) if isinstance(truth, np.ndarray) else [mask for mask in truth if mask.any()]
    everything = np.any(masks, axis=0) if masks else np.zeros((1, 1), dtype=np.bool_)
    largest = sorted(masks, key=lambda mask: -int(np.count_nonzero(mask)))[:most]
    boxed = [(_box(mask), mask) for mask in largest]
    boxed.sort(key=lambda pair: (pair[0][0] + pair[0][2], pair[0][1]))
    return tuple(_prompt(box, mask, everything, strategy, rng) for box, mask in boxed)


def parts(truth: Truth) -> list[Truth]:
    """The 8-connected parts of a mask, without its crumbs; if there are only crumbs, the largest of them."""
    number, labels, stats, _centres = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = [i for i in range(1, number) if areas[i - 1] >= SMALLEST] or (
        [1 + int(areas.argmax())] if number > 1 else []
    )
    return [labels == i for i in kept]


def _box(mask: Truth) -> Box:
    """The mask's pixel edges, in whole pixels from 0 to the last one, as the bundled prompter writes them."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    x1, y1 = min(int(columns[0]), width - 2), min(int(rows[0]), height - 2)
    x2, y2 = min(int(columns[-1]) + 1, width - 1), min(int(rows[-1]) + 1, height - 1)
    return float(x1), float(y1), float(max(x2, x1 + 1)), float(max(y2, y1 + 1))


def _prompt(box: Box, mask: Truth, everything: Truth, strategy: Strategy, rng: np.random.Generator) -> Prompt:
    positive = _inside(mask, strategy.positives) if strategy.positives else ()
    negative = _outside(box, mask, everything, strategy.negatives, rng) if strategy.negatives else ()
    return Prompt(box if strategy.box else None, positive, negative)


def _inside(mask: Truth, number: int) -> tuple[Point, ...]:
    """The deepest point, then each time the deepest one that is twice its depth away from those before, or nearest
    to that."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    ys, xs = np.nonzero(mask)
    worth = depth[ys, xs]
    points: list[Point] = []
    for _ in range(number):
        k = int(worth.argmax())
        points.append((float(xs[k]), float(ys[k])))
        worth = np.minimum(worth, np.hypot(xs - xs[k], ys - ys[k]) / 2)
    return tuple(points)


def _outside(box: Box, mask: Truth, everything: Truth, number: int, rng: np.random.Generator) -> tuple[Point, ...]:
    """Points just outside the border and in no other target: one at random, each next one far from those before.

    None where the targets leave no such pixel.
    """
    reach = max(4, round(0.3 * max(box[2] - box[0], box[3] - box[1])))
    x1, y1 = max(0, int(box[0]) - reach), max(0, int(box[1]) - reach)
    window = np.s_[y1 : int(box[3]) + reach + 1, x1 : int(box[2]) + reach + 1]
    away = cv2.distanceTransform(1 - mask[window].astype(np.uint8), cv2.DIST_L2, 5)
    ys, xs = np.nonzero((away >= 2) & (away <= reach) & ~everything[window])
    if not len(ys):
        return ()
    chosen = [int(rng.integers(len(ys)))]
    while len(chosen) < number:
        apart = np.min([np.hypot(xs - xs[k], ys - ys[k]) for k in chosen], axis=0)
        chosen.append(int(apart.argmax()))
    return tuple((float(xs[k] + x1), float(ys[k] + y1)) for k in chosen)


# --- thoughts and texts -----------------------------------------------------------------------------------------------


def asked_of(sample: Sample) -> tuple[Scene, SceneQuestion] | None:
    """The procedural scene that a sample is of, drawn again, and its question; None for a sample of another set."""
    seed = re.fullmatch(r"scene-(\d+)", sample.image_id)
    if seed is None or not {"kind", "phrasing"} <= sample.strata.keys():
        return None
    drawn = _drawn(int(seed[1]), "train" if int(seed[1]) in SPLITS["train"] else "all")
    return next(((drawn, question) for question in drawn.questions if question.text == sample.question), None)


@lru_cache(maxsize=4)
def _drawn(seed: int, phrasings: Phrasings) -> Scene:
    return scene(seed, SIZE, phrasings=phrasings)


def thought(prompts: Sequence[Prompt], total: int, frame: Size, about: SceneQuestion | None = None) -> str:
    """What leads to the prompts, in words. total: instances that there are, listed or not. about: what was asked."""
    if about is None:
        opening, one, many, verb = "The question asks for what is to be found in the image. I", "place", "places", "see"
        nothing = " see nothing of that kind, so there is nothing to mark."
    else:
        one, many = NAMES[about.category][0]
        only = about.kind == "spatial" or about.reasons.startswith(("only", "of the"))
        opening = f"The question asks for {many}, {'and' if only else 'since'} {about.reasons}. I"
        verb = "pick" if about.kind == "spatial" else "see"
        nothing = f" see no {many} here, so there is nothing to mark."
    if not total:
        return opening + nothing
    if total > len(prompts):
        return f"{opening} {verb} more than {len(prompts)} {many} and mark the {len(prompts)} largest."
    said = f"{opening} {verb} {total} {one if total == 1 else many}"
    if total > max(COUNTS):
        return said + ", spread over the image."
    places: dict[str, int] = {}
    for prompt in prompts:
        where = _place(prompt, frame)
        places[where] = places.get(where, 0) + 1
    return f"{said}: {', '.join(f'{COUNTS[number]} {where}' for where, number in places.items())}."


def _place(prompt: Prompt, frame: Size) -> str:
    x1, y1, x2, y2 = prompt.box or (*prompt.positive[0], *prompt.positive[0])
    column, row = (min(2, int(middle / 2 * 3 / side)) for middle, side in zip((x1 + x2, y1 + y2), frame, strict=True))
    return PLACES[row * 3 + column]


def written(said: Answer) -> str:
    """The wire format, its numbers without blanks between them, as the bundled prompter spells it."""
    text = answer.render(said)
    head, mark, tail = text.rpartition("<answer>")
    return head + mark + re.sub(r"(?<=[\d\]]), (?=[\d\[])", ",", tail)


def completion(sample: Sample, truth: Truth, frame: Size, strategy: Strategy) -> str:
    """The right answer to a sample, in the frame that it is asked in; the same at every call.

    truth: the sample's mask at the size that the prompter sees.
    """
    seen = (truth.shape[1], truth.shape[0])
    found = asked_of(sample)
    if found is None:
        masks = parts(truth)
    else:
        masks = [mask for i in found[1].targets if (mask := _resized(found[0].objects[i].mask, seen)).any()]
    rng = np.random.default_rng(list(sample.id.encode()))
    prompts = [_whole(prompt.moved(seen, frame), frame) for prompt in synthesised(masks, strategy, rng)]
    said = thought(prompts, len(masks), frame, found[1] if found else None)
    return written(Answer(said, tuple(prompts)))


def _resized(mask: Truth, size: Size) -> Truth:
    if (mask.shape[1], mask.shape[0]) == size:
        return mask
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)


def _whole(prompt: Prompt, frame: Size) -> Prompt:
    """In whole numbers, which the model writes; a box that would vanish keeps a pixel."""

    def snapped(point: Point) -> Point:
        return float(min(round(point[0]), frame[0] - 1)), float(min(round(point[1]), frame[1] - 1))

    box = prompt.box
    if box is not None:
        (x1, y1), (x2, y2) = snapped(box[:2]), snapped(box[2:])
        x1, y1 = min(x1, frame[0] - 2.0), min(y1, frame[1] - 2.0)
        box = x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)
    return Prompt(box, tuple(map(snapped, prompt.positive)), tuple(map(snapped, prompt.negative)))
