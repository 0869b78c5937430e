"""What the nano segmenter learns from: crops with a few objects each (`segmenter_prompts.py` asks for them).

Three streams of `Crop`s, endless and drawn from one `numpy` generator:

- `RealCrops`: NWPU VHR-10 photographs and polygon masks, cut at any scale and angle;
- `SceneCrops`: procedural scenes of `think2seg.datasets.scenes`, rendered once into a cache folder;
- `CollageCrops`: NWPU photographs with random shapes of other photographs' texture laid on them: exact masks of
  arbitrary outlines on real texture, for classes nobody has named.

It does not know models or losses. Images of validation (`is_validation`) are never cut from here unless asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_PIXELS = 20
"""An object smaller than this after cropping, in pixels of the crop, is not asked for."""
_FIRST_TRAINING_SEED = 1_000_000
_FINER = 4  # polygons are filled on a grid this much finer, then averaged


@dataclass(frozen=True)
class Crop:
    """image (S, S, 3) uint8 RGB; masks: (S, S) bool each, none empty."""

    image: NDArray[np.uint8]
    masks: list[NDArray[np.bool_]]


@dataclass(frozen=True)
class RealImage:
    """An NWPU photograph, (H, W, 3) uint8 RGB, and its instances as lists of (N, 2) float32 xy polygons."""

    number: int
    image: NDArray[np.uint8]
    instances: list[list[NDArray[np.float32]]]


def is_validation(number: int) -> bool:
    """Whether NWPU's file of this number is held out: one block of ten files in eight, as neighbours overlap."""
    return (number // 10) % 8 == 4


def load_nwpu(folder: Path, validation: bool) -> list[RealImage]:
    """NWPU VHR-10 in COCO form (`annotations.json`, `images/`), one half of the split, in order of file number."""
    coco = json.loads((folder / "annotations.json").read_text())
    polygons: dict[int, list[list[NDArray[np.float32]]]] = {}
    for annotation in coco["annotations"]:
        rings = annotation["segmentation"]
        rings = json.loads(rings) if isinstance(rings, str) else rings
        parts = [np.asarray(ring, np.float32).reshape(-1, 2) for ring in rings if len(ring) >= 6]
        if parts:
            polygons.setdefault(annotation["image_id"], []).append(parts)
    images = []
    for entry in coco["images"]:
        number = int(Path(entry["file_name"]).stem)
        if is_validation(number) != validation or entry["id"] not in polygons:
            continue
        bgr = cv2.imread(str(folder / "images" / entry["file_name"]), cv2.IMREAD_COLOR)
        if bgr is None:
            raise FileNotFoundError(f"{folder / 'images' / entry['file_name']} cannot be read as an image.")
        images.append(RealImage(number, np.ascontiguousarray(bgr[..., ::-1]), polygons[entry["id"]]))
    return sorted(images, key=lambda image: image.number)


def fill(parts: list[NDArray[np.float32]], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """An instance's polygons, in pixels (edges, not centres), as a (H, W) mask: the pixels that are covered by half
    or more. Even-odd, so a ring inside a ring is a hole."""
    width, height = size_wh
    mask = np.zeros((height, width), np.bool_)
    points = np.concatenate(parts)
    x1, y1 = (max(int(v), 0) for v in np.floor(points.min(0)))
    x2, y2 = min(int(np.ceil(points[:, 0].max())), width), min(int(np.ceil(points[:, 1].max())), height)
    if x1 >= x2 or y1 >= y2:
        return mask
    fine = np.zeros(((y2 - y1) * _FINER, (x2 - x1) * _FINER), np.uint8)
    rings = [np.round(((part - (x1, y1)) * _FINER - 0.5) * 16).astype(np.int32) for part in parts]
    cv2.fillPoly(fine, rings, 255, shift=4)
    mask[y1:y2, x1:x2] = cv2.resize(fine, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA) >= 128
    return mask


def _affine(
    rng: np.random.Generator,
    centre: tuple[float, float],
    side: float,
    size: int,
    whole: tuple[int, int] | None,
    upright: bool = False,
) -> NDArray[np.float32]:
    """The (2, 3) matrix from image pixels to crop pixels: `side` pixels around `centre`, turned and mirrored; upright:
    by quarter turns alone and not stretched, as the tiles of a picture are seen."""
    if whole is not None:  # the whole picture, squashed to a square as the predictor does
        scale_x, scale_y, angle = size / whole[0], size / whole[1], 0.0
        centre = (whole[0] / 2, whole[1] / 2)
    elif upright:
        scale_x = scale_y = size / side
        angle = 0.0
    else:
        stretch = math.exp(rng.normal(0, 0.12))
        scale_x, scale_y = size / side * stretch, size / side / stretch
        angle = rng.uniform(0, 2 * math.pi) if rng.random() < 0.5 else 0.0
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos * scale_x, -sin * scale_y], [sin * scale_x, cos * scale_y]])
    turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), int(rng.integers(4)))
    flip = np.diag([-1 if rng.random() < 0.5 else 1, 1])
    matrix = turn @ flip @ matrix
    shift = np.array([size / 2, size / 2]) - matrix @ np.array(centre)
    return np.concatenate([matrix, shift[:, None]], axis=1).astype(np.float32)


def _warp(image: NDArray[np.uint8], matrix: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Cut a crop; pixels as centres at +0.5, averaged first when it shrinks by much."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale < 0.6:
        shrink = max(scale * 1.2, 0.05)
        height, width = image.shape[:2]
        small = (max(round(width * shrink), 8), max(round(height * shrink), 8))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / small[0], height / small[1], 1.0]).astype(np.float32)
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return cv2.warpAffine(image, centred, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def jitter(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour, contrast, grey, channel order, blur, noise: none of them moves a boundary."""
    out = image.astype(np.float32)
    if rng.random() < 0.15:
        out = np.repeat(out.mean(axis=2, keepdims=True), 3, axis=2)
    elif rng.random() < 0.15:
        out = out[..., rng.permutation(3)]
    if rng.random() < 0.8:
        grey = out.mean(axis=2, keepdims=True)
        out = grey + (out - grey) * rng.uniform(0.4, 1.6)
        mean = out.mean()
        out = (out - mean) * rng.uniform(0.6, 1.5) + mean + rng.uniform(-35, 35)
        out = out * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.05:
        out = 255 - out
    if rng.random() < 0.25:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.25:
        out = out + rng.normal(0, rng.uniform(2, 12), out.shape).astype(np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)


def _side(rng: np.random.Generator, extent: float, size: int, longest: float) -> float:
    """How many image pixels a crop spans so that an object of `extent` takes 2-80 % of it, most often 5-40 %."""
    share = math.exp(rng.uniform(math.log(0.03), math.log(0.8)))
    return float(np.clip(extent / share, 24, longest * 1.1))


class RealCrops:
    """Crops of NWPU photographs around a random instance, `per_crop` instances at most."""

    def __init__(self, images: list[RealImage], per_crop: int) -> None:
        self.images, self.per_crop = images, per_crop

    def __call__(self, rng: np.random.Generator, size: int) -> Crop:
        while True:
            source = self.images[int(rng.integers(len(self.images)))]
            height, width = source.image.shape[:2]
            anchor = source.instances[int(rng.integers(len(source.instances)))]
            points = np.concatenate(anchor)
            low, high = points.min(0), points.max(0)
            extent = float(max(high - low))
            whole = (width, height) if rng.random() < 0.3 else None
            side = _side(rng, extent, size, max(width, height))
            centre = (low + high) / 2 + rng.uniform(-0.5, 0.5, 2) * max(side - extent, 0.3 * extent)
            matrix = _affine(rng, (float(centre[0]), float(centre[1])), side, size, whole)
            frame = [(0, 0), (width, 0), (width, height), (0, height)]
            inside = fill([np.array(frame, np.float32) @ matrix[:, :2].T + matrix[:, 2]], (size, size))
            masks = []
            for k in rng.permutation(len(source.instances)):
                parts = [part @ matrix[:, :2].T + matrix[:, 2] for part in source.instances[int(k)]]
                mask = fill(parts, (size, size)) & inside
                if np.count_nonzero(mask) >= MIN_PIXELS:
                    masks.append(mask)
                if len(masks) == self.per_crop:
                    break
            if masks:
                return Crop(jitter(rng, _warp(source.image, matrix, size)), masks)


class SceneCrops:
    """Procedural scenes, four in ten whole, else parts of .3 to .8 of a side, two of three as a tile of `--zoom` shows
    them; half keep their colours. `images` (N, S, S, 3) uint8, `labels` (N, S, S) uint8, 0 where no object is."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], per_crop: int) -> None:
        self.images, self.labels, self.per_crop = images, labels, per_crop

    def __call__(self, rng: np.random.Generator, size: int) -> Crop:
        while True:
            index = int(rng.integers(len(self.images)))
            image, labels = self.images[index], self.labels[index]
            side = float(len(labels))
            whole = (len(labels), len(labels)) if rng.random() < 0.4 else None
            span = side if whole else side * math.exp(rng.uniform(math.log(0.3), math.log(0.8)))
            centre = side / 2 + rng.uniform(-0.5, 0.5, 2) * (side - span)
            upright = rng.random() < 2 / 3
            matrix = _affine(rng, (float(centre[0]), float(centre[1])), float(span), size, whole, upright)
            masks = []
            for label in rng.permutation(np.unique(labels)):
                if label == 0:
                    continue
                soft = _warp((labels == label).astype(np.uint8) * 255, matrix, size)
                if np.count_nonzero(soft > 127) >= MIN_PIXELS:
                    masks.append(soft > 127)
                if len(masks) == self.per_crop:
                    break
            if masks:
                seen = _warp(image, matrix, size)
                return Crop(jitter(rng, seen) if rng.random() < 0.5 else seen, masks)


def _outline(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """A random shape somewhere in a (size, size) field: polygon, blob, rectangle, L, ring, strip or ellipse."""
    radius = size * math.exp(rng.uniform(math.log(0.02), math.log(0.35)))
    centre = rng.uniform(0.05, 0.95, 2) * size
    angle = rng.uniform(0, 2 * math.pi)
    kind = int(rng.integers(6))
    hole: NDArray[np.float64] | None = None
    aspect = math.exp(rng.uniform(-1.0, 0.0))
    if kind == 0:  # star-shaped blob or polygon
        count = int(rng.integers(4, 14))
        turns = np.sort(rng.uniform(0, 2 * math.pi, count))
        radii = rng.uniform(0.5, 1.0, count)
        shape = np.stack([np.cos(turns) * radii, np.sin(turns) * radii * aspect], 1)
    elif kind == 1:  # rectangle or strip
        aspect = math.exp(rng.uniform(-2.3, 0.0))
        shape = np.array([[-1, -aspect], [1, -aspect], [1, aspect], [-1, aspect]])
    elif kind == 2:  # L, T or U of rectangles
        notch, depth = rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 0.5)
        shape = np.array([[-1, -1], [1, -1], [1, depth], [notch, depth], [notch, 1], [-1, 1]]) * [1, aspect]
    elif kind == 3:  # smooth blob
        turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        radii = 1 + sum(rng.uniform(0, 0.35) / k * np.cos(k * turns + rng.uniform(0, 2 * math.pi)) for k in range(1, 6))
        shape = np.stack([np.cos(turns) * radii, np.sin(turns) * radii * aspect], 1) * 0.7
    else:  # ellipse, sometimes a ring
        turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        shape = np.stack([np.cos(turns), np.sin(turns) * aspect], 1)
        hole = shape * rng.uniform(0.3, 0.7) if rng.random() < 0.25 else None
    spin = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    rings = [shape] if hole is None else [shape, hole]
    return fill([(ring * radius @ spin.T + centre).astype(np.float32) for ring in rings], (size, size))


class CollageCrops:
    """A crop of one photograph with two to six shapes of other photographs' texture on it, some with a shadow."""

    def __init__(self, images: list[RealImage], per_crop: int) -> None:
        self.images, self.per_crop = images, per_crop

    def _texture(self, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        image = self.images[int(rng.integers(len(self.images)))].image
        height, width = image.shape[:2]
        side = float(rng.uniform(0.1, 1.0) * min(width, height))
        x, y = rng.uniform(side / 2, width - side / 2), rng.uniform(side / 2, height - side / 2)
        return _warp(image, _affine(rng, (float(x), float(y)), side, size, None), size)

    def __call__(self, rng: np.random.Generator, size: int) -> Crop:
        canvas = self._texture(rng, size).astype(np.float32)
        masks: list[NDArray[np.bool_]] = []
        for _ in range(int(rng.integers(2, 7))):
            mask = _outline(rng, size)
            if np.count_nonzero(mask) < MIN_PIXELS:
                continue
            patch = self._texture(rng, size).astype(np.float32)
            if rng.random() < 0.6:  # smoother and of another tone, as roofs, fields and courts are
                mean = patch[mask].mean(axis=0)
                patch = mean + (patch - mean) * rng.uniform(0.1, 0.8) + rng.uniform(-50, 50, 3)
            if rng.random() < 0.35:
                reach = rng.integers(-5, 6, 2) * max(size // 128, 1)
                shadow = np.roll(mask, tuple(int(r) for r in reach), axis=(0, 1))
                canvas[shadow] *= rng.uniform(0.3, 0.8)
            alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.4, 1.3)))[..., None]
            canvas = canvas * (1 - alpha) + np.clip(patch, 0, 255) * alpha
            masks = [below & ~mask for below in masks] + [mask]
        masks = [mask for mask in masks if np.count_nonzero(mask) >= MIN_PIXELS]
        if not masks:
            return self(rng, size)
        chosen = rng.permutation(len(masks))[: self.per_crop]
        return Crop(jitter(rng, np.clip(canvas, 0, 255).astype(np.uint8)), [masks[int(k)] for k in chosen])


def load_scenes(cache: Path, count: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` training scenes of `size` pixels as images and label maps, rendered into `cache` on the first call.

    A scene's objects beyond the 255th are left out of its label map.
    """
    images_file, labels_file = cache / f"scenes-{count}-{size}-images.npy", cache / f"scenes-{count}-{size}-labels.npy"
    if not labels_file.exists():
        from think2seg.datasets.scenes import scene

        cache.mkdir(parents=True, exist_ok=True)
        images = np.zeros((count, size, size, 3), np.uint8)
        labels = np.zeros((count, size, size), np.uint8)
        for i in range(count):
            drawn = scene(_FIRST_TRAINING_SEED + 500_000 + i, size)
            images[i] = drawn.image
            for k, thing in enumerate(drawn.objects[:255], start=1):
                labels[i][thing.mask] = k
        np.save(images_file, images)
        part = labels_file.with_suffix(".part.npy")
        np.save(part, labels)
        part.replace(labels_file)
    return np.load(images_file, mmap_mode="r"), np.load(labels_file, mmap_mode="r")


Stream = Callable[[np.random.Generator, int], Crop]
