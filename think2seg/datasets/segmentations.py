"""COCO segmentations become masks: polygons, run lengths as numbers, run lengths as text, or several of these.

Files are not trusted: sizes and runs must agree before a pixel is set (pycocotools leaves the pixels that too few runs
leave out as they were in memory), and polygons must stay near their picture. It knows no set and no files.
"""

from __future__ import annotations

import math

import numpy as np

from think2seg.datasets.samples import Truth
from think2seg.types import Size


def mask_of(segmentation: object, size: Size) -> Truth:
    """(H, W) bool, the union of the segmentation's parts; `ValueError` in words if it cannot be read.

    size: (width, height) of the picture that it belongs to.
    """
    parts = [segmentation] if isinstance(segmentation, dict) else segmentation
    if not isinstance(parts, list) or not parts:
        raise ValueError(f"polygons or run lengths were expected; {segmentation!r:.60} came")
    if all(isinstance(part, dict) for part in parts):
        union = np.zeros((size[1], size[0]), dtype=np.bool_)
        for part in parts:
            union |= _from_runs(part, size)
        return union
    return _from_polygons(parts, size)


def _from_runs(part: dict[object, object], size: Size) -> Truth:
    """Run lengths lie column by column and begin with the background."""
    width, height = size
    if part.get("size") != [height, width]:
        raise ValueError(
            f"run lengths for [height, width] = [{height}, {width}] were expected; {part.get('size')!r:.60} came"
        )
    counts = part.get("counts")
    if isinstance(counts, str):
        counts = counts.encode("utf-8")
    runs = _unpacked(counts) if isinstance(counts, bytes) else counts
    if not isinstance(runs, list) or not all(type(run) is int and 0 <= run <= width * height for run in runs):
        raise ValueError("run lengths must be whole numbers, none longer than the picture")
    if sum(runs) != width * height:
        raise ValueError(
            f"run lengths for {width} x {height} = {width * height} pixels were expected; {sum(runs)} came"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def _unpacked(text: bytes) -> list[int]:
    """COCO's compressed text: five bits a character, low ones first; the fourth run and later: less that two before."""
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or shift > 35:
            raise ValueError(f"run lengths in COCO's text were expected; the byte {byte} came")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths in COCO's text break off")
    return runs


def _from_polygons(rings: list[object], size: Size) -> Truth:
    from pycocotools import mask as coco

    width, height = size
    reach = 2 * max(size)
    for ring in rings:
        if not isinstance(ring, list) or len(ring) < 6 or len(ring) % 2:
            raise ValueError(f"a polygon of three points or more (x, y, x, y, …) was expected; {ring!r:.60} came")
        for value in ring:
            if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > reach:
                raise ValueError(f"a polygon on a picture of {width} x {height} cannot reach {value!r:.60}")
    return np.asarray(coco.decode(coco.merge(coco.frPyObjects(rings, height, width))) > 0)
