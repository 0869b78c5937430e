"""The prompts that the nano segmenter is trained with: `draw_shape` for a batch, then `ask` for each of its masks.

They imitate a prompter: boxes that are a little off, points anywhere inside, negative points just outside. It does not
know images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

EXACT = 0.3
"""Of the boxes, so many are exact unless said otherwise."""


@dataclass(frozen=True)
class Shape:
    """What the prompts of one batch hold: a box or not, and how many points of each kind. One shape a batch, as the
    segmenter decodes prompts of one shape together and padding would change the masks."""

    box: bool
    positive: int
    negative: int


def draw_shape(rng: np.random.Generator) -> Shape:
    """Box and 1-4 points (60 %), a box alone (22 %) or points alone (18 %), some with one or two negative points."""
    kind = rng.random()
    if kind < 0.22:
        return Shape(True, 0, 0)
    box = kind < 0.82
    negative = int(rng.integers(1, 3)) if rng.random() < (0.3 if box else 0.5) else 0
    return Shape(box, int(rng.integers(1, 5)), negative)


@dataclass(frozen=True)
class Asked:
    """A prompt for one mask: `points` (N, 2) xy, `labels` (N,) as SAM labels them, box corners (2, 3) first."""

    points: NDArray[np.float32]
    labels: NDArray[np.float32]


def _interior(rng: np.random.Generator, mask: NDArray[np.bool_], count: int) -> NDArray[np.float32]:
    """`count` pixel centres of the mask; half of the time well inside rather than anywhere."""
    ys, xs = np.nonzero(mask)
    weights = None
    if rng.random() < 0.5:
        depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1][ys, xs]
        weights = depth.astype(np.float64) ** 2
        weights /= weights.sum()
    chosen = rng.choice(len(xs), size=count, p=weights)
    return np.stack([xs[chosen], ys[chosen]], 1).astype(np.float32) + 0.5


def ask(rng: np.random.Generator, mask: NDArray[np.bool_], shape: Shape, exact: float = EXACT) -> Asked:
    """A prompt for the mask as a prompter might write it. Of the boxes the share `exact` is so. Of seven others three
    have edges off by up to 15 % of their sides and one by up to 30 %; three stand beside their object, and the points
    inside with them, as an answer does that is mistaken about the place. Negative points lie just outside."""
    points = np.zeros((0, 2), np.float32)
    moved = np.zeros(2, np.float32)
    if shape.box:
        ys, xs = np.nonzero(mask)
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        sides = box[2:] - box[:2]
        roll = rng.random() * (1 - EXACT) / (1 - exact) if exact < 1 else 1.0  # 0-3 beside, 3-6, 6-7, from 7 on exact
        if roll < 0.3:
            # about a hundredth of the frame, by which the bundled prompter is off, but never off the object
            spread = 0.03 * sides + 0.009 * max(mask.shape)
            moved = np.clip(rng.normal(0, spread), -0.4 * sides, 0.4 * sides).astype(np.float32)
        if roll < 0.7:
            most = rng.uniform(0, 0.3 if roll > 0.6 else 0.15)
            box = box + (rng.uniform(-1, 1, 4) * most * np.tile(sides, 2)).astype(np.float32)
        points = box.reshape(2, 2) + moved
    if shape.positive:
        points = np.concatenate([points, _interior(rng, mask, shape.positive) + moved])
    if shape.negative:
        reach = max(3, int(0.3 * math.sqrt(np.count_nonzero(mask)))) | 1
        near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)).astype(np.bool_) & ~mask
        outside = np.zeros((shape.negative, 2), np.float32)  # a corner, where the mask leaves nothing else
        points = np.concatenate([points, _interior(rng, near, shape.negative) if near.any() else outside])
    labels = [2, 3] * shape.box + [1] * shape.positive + [0] * shape.negative
    return Asked(points.astype(np.float32), np.array(labels, np.float32))
