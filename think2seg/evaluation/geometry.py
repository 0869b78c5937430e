"""Where an answer's prompts lie with respect to the truth: the check against reward hacking.

A mask can be right for the wrong reasons: a segmenter may forgive a box that is much too large, or points beside the
target. So a mask's IoU is read beside the share of positive points inside the truth, of negative ones outside it, and
the overlap of boxes with the truth's own. It knows prompts and arrays: no model, no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from think2seg.types import Box, Point, Prompt


@dataclass(frozen=True)
class PromptGeometry:
    """One answer's prompts against a truth with a target.

    positives, negatives: how many points of each kind. positives_inside: positive points on a true pixel.
    negatives_outside: negative points on none. boxes: how many boxes. box_iou: mean over the boxes of the IoU with the
    best of the truth's boxes (the tight box of each connected piece, and of the whole truth), 0-1; None without boxes.
    box_area: pixels in any of the boxes, as a multiple of the true pixels; None without boxes.
    """

    positives: int = 0
    positives_inside: int = 0
    negatives: int = 0
    negatives_outside: int = 0
    boxes: int = 0
    box_iou: float | None = None
    box_area: float | None = None


def geometry(prompts: Sequence[Prompt], truth: NDArray[np.bool_]) -> PromptGeometry | None:
    """prompts: in pixels of `truth`, (H, W) bool. None where nothing is true: N-acc speaks of those."""
    if not truth.any():
        return None
    positives = [p for prompt in prompts for p in prompt.positive]
    negatives = [p for prompt in prompts for p in prompt.negative]
    boxes = [prompt.box for prompt in prompts if prompt.box is not None]
    return PromptGeometry(
        positives=len(positives),
        positives_inside=sum(_on(truth, p) for p in positives),
        negatives=len(negatives),
        negatives_outside=sum(not _on(truth, p) for p in negatives),
        boxes=len(boxes),
        box_iou=float(_box_ious(boxes, true_boxes(truth)).max(axis=1).mean()) if boxes else None,
        box_area=_covered(boxes, truth.shape) / int(np.count_nonzero(truth)) if boxes else None,
    )


def true_boxes(truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 4) tight boxes xyxy of the truth's 8-connected pieces and, last, of the whole; pixel edges, x2, y2 exclusive.

    `truth` must have a pixel that is set.
    """
    import cv2

    _number, _labels, stats, _centres = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    x, y, w, h = (stats[1:, i].astype(np.float64) for i in range(4))
    pieces = np.stack([x, y, x + w, y + h], axis=1)
    whole = np.concatenate([pieces[:, :2].min(axis=0), pieces[:, 2:].max(axis=0)])
    return np.concatenate([pieces, whole[None]])


def _on(truth: NDArray[np.bool_], point: Point) -> bool:
    """Whether the pixel under `point` is set; a point on the far edge belongs to the last pixel."""
    height, width = truth.shape
    column, row = min(max(int(point[0]), 0), width - 1), min(max(int(point[1]), 0), height - 1)
    return bool(truth[row, column])


def _box_ious(boxes: Sequence[Box], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(boxes), len(others)) IoU."""
    a, b = np.array(boxes, dtype=np.float64)[:, None], others[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=2)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=2) for box in (a, b)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))


def _covered(boxes: Sequence[Box], shape: tuple[int, ...]) -> int:
    """Pixels whose centre lies in any of the boxes."""
    covered = np.zeros(shape, dtype=np.bool_)
    for x1, y1, x2, y2 in boxes:
        columns, rows = (np.clip(np.ceil(np.array(v) - 0.5), 0, None).astype(int) for v in ((x1, x2), (y1, y2)))
        covered[rows[0] : rows[1], columns[0] : columns[1]] = True
    return int(np.count_nonzero(covered))
