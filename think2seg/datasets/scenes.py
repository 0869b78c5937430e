"""Procedural aerial scenes: an image drawn from a seed, its objects' exact masks, and questions with known answers.

For training and testing without data of anyone's. A scene depends on its seed, its size and the choice of phrasings
alone; the layout is the same at every size. How things look is in `scene_drawing` and `scene_objects`, where they
stand in `scene_layouts`, what is asked in `scene_questions`. It does not know models, thoughts or answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.scene_drawing import Canvas, finish
from think2seg.datasets.scene_layouts import LAYOUTS, WEIGHTS
from think2seg.datasets.scene_objects import THINGS
from think2seg.datasets.scene_questions import Kind, SceneObject, SceneQuestion, ask

__all__ = ["CATEGORIES", "Kind", "Phrasings", "Scene", "SceneObject", "SceneQuestion", "scene"]

Phrasings = Literal["train", "unseen", "all"]

CATEGORIES: tuple[str, ...] = tuple(THINGS)
"""The categories' names: singular, lower case. The first ten are those of NWPU VHR-10."""

SMALLEST = 12
"""An object with fewer visible pixels than this is not annotated, and its category is not asked for."""


@dataclass(frozen=True, eq=False)
class Scene:
    """image: (H, W, 3) uint8 RGB. objects: what is annotated. questions: at least six, with their answers."""

    seed: int
    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    questions: tuple[SceneQuestion, ...]

    def truth(self, question: SceneQuestion) -> NDArray[np.bool_]:
        """(H, W) bool: the union of the question's targets; all False where nothing is to be found."""
        union = np.zeros(self.image.shape[:2], dtype=np.bool_)
        for index in question.targets:
            union |= self.objects[index].mask
        return union


def _objects(canvas: Canvas) -> tuple[SceneObject, ...]:
    """The canvas's objects with their visible pixels: those of which it has most of the 2 x 2 drawn."""
    found = []
    ys, xs = np.nonzero(canvas.label)
    tags = canvas.label[ys, xs]
    order = np.argsort(tags, kind="stable")
    ys, xs, tags = ys[order], xs[order], tags[order]
    starts = np.searchsorted(tags, np.arange(1, len(canvas.categories) + 2))
    for k, category in enumerate(canvas.categories):
        y, x = ys[starts[k] : starts[k + 1]], xs[starts[k] : starts[k + 1]]
        if len(y) < 2 * SMALLEST:
            continue
        r1, r2, c1, c2 = y.min() // 2, y.max() // 2 + 1, x.min() // 2, x.max() // 2 + 1
        part = (canvas.label[2 * r1 : 2 * r2, 2 * c1 : 2 * c2] == k + 1).astype(np.uint8)
        corner = part[0::2, 0::2]  # decides a tie, so that no two objects get the same pixel
        votes = corner + part[1::2, 0::2] + part[0::2, 1::2] + part[1::2, 1::2]
        inside = votes + corner >= 3
        if int(inside.sum()) < SMALLEST:
            continue
        mask = np.zeros((canvas.size, canvas.size), dtype=np.bool_)
        mask[r1:r2, c1:c2] = inside
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = (
            float(c1 + columns[0]),
            float(r1 + rows[0]),
            float(c1 + columns[-1] + 1),
            float(r1 + rows[-1] + 1),
        )
        found.append(SceneObject(category, mask, box))
    return tuple(found)


def scene(seed: int, size: int = 336, *, phrasings: Phrasings = "all") -> Scene:
    """Draws the scene of a seed: a `size` x `size` image, its objects and its questions.

    size: pixels a side, at least 64. phrasings: "train" asks in the wordings for training, "unseen" in those held
    out of it, "all" in both. Deterministic, and safe in threads: it has its own random generators. `ValueError`
    for a size or a seed that cannot be used.
    """
    if seed < 0:
        raise ValueError(f"A scene's seed must be 0 or more; it is {seed}.")
    if size < 64:
        raise ValueError(f"A scene's size must be at least 64 pixels; it is {size}.")
    if phrasings not in ("train", "unseen", "all"):
        raise ValueError(f'phrasings must be "train", "unseen" or "all"; it is {phrasings!r}.')
    for attempt in range(20):
        layout, texture, camera, words = (np.random.default_rng([seed, attempt, k]) for k in range(4))
        draw = LAYOUTS[int(layout.choice(len(LAYOUTS), p=WEIGHTS))]
        canvas = draw(size, layout, texture)
        objects = _objects(canvas)
        if objects:
            break
    else:
        raise RuntimeError(f"The scene of seed {seed} came out empty twenty times; draw another seed.")
    image = finish(camera, canvas.image, size)
    present = frozenset(canvas.categories)
    questions = ask(words, objects, present, frozenset(canvas.doubtful), canvas.watery, size, phrasings)
    return Scene(seed, image, objects, questions)
