"""The drawing board of the procedural scenes: ground, brush, finish.

A `Canvas` is drawn at twice the scene's size and halved at the end, image and labels alike, so the masks are
exact to the drawn pixel. Positions are in the unit frame: (0, 0) the image's top-left corner, (1, 1) its
bottom-right one, so a layout is the same at every size. It does not know categories or questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""RGB, 0-255."""
Points = Sequence[tuple[float, float]] | NDArray[np.float64]
"""(k, 2) positions, x and y."""
Random = np.random.Generator

GRID = 128
"""Cells a side of the map that keeps objects apart."""
WHITE: Colour = (232, 232, 228)
FREE, WATER, PAVED, TAKEN = 0, 1, 2, 3

_SHIFT = 4  # fractional bits of cv2's fixed-point coordinates

_COVERS: dict[str, tuple[Colour, Colour, float]] = {
    # name: a tone, another tone, strength of the fine grain
    "grass": ((80, 106, 60), (116, 132, 80), 0.11),
    "lawn": ((58, 92, 48), (76, 106, 58), 0.07),
    "meadow": ((126, 136, 84), (160, 156, 104), 0.10),
    "forest": ((38, 62, 36), (70, 92, 54), 0.34),
    "soil": ((148, 120, 90), (176, 150, 116), 0.09),
    "sand": ((196, 180, 144), (216, 202, 168), 0.06),
    "gravel": ((150, 146, 138), (176, 172, 162), 0.10),
    "concrete": ((168, 168, 164), (188, 186, 180), 0.05),
    "asphalt": ((92, 92, 96), (116, 116, 118), 0.06),
    "sea": ((24, 50, 72), (40, 76, 96), 0.06),
    "deep": ((14, 28, 34), (26, 44, 48), 0.08),
    "river": ((70, 88, 82), (92, 106, 92), 0.05),
}
LAND = ("grass", "lawn", "meadow", "forest", "soil", "sand", "gravel", "concrete")


def tint(rng: Random, colour: Colour, amount: float = 14.0) -> Colour:
    """The colour with its brightness and each channel moved a little."""
    moved = np.asarray(colour) + rng.normal(0.0, amount) + rng.normal(0.0, amount / 3.0, 3)
    r, g, b = (int(v) for v in np.clip(moved, 0, 255))
    return r, g, b


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """`a` at t = 0, `b` at t = 1."""
    r, g, c = (round(u + (v - u) * t) for u, v in zip(a, b, strict=True))
    return max(0, min(255, r)), max(0, min(255, g)), max(0, min(255, c))


def pick(rng: Random, items: Sequence[Colour]) -> Colour:
    return items[int(rng.integers(len(items)))]


def noise(rng: Random, size: int, grids: Sequence[int], decay: float = 0.65) -> NDArray[np.float32]:
    """(size, size) multi-octave value noise, about -1 to 1; the grids, not the size, fix the random numbers."""
    total = np.zeros((size, size), dtype=np.float32)
    weight, norm = 1.0, 0.0
    for cells in grids:
        grid = rng.random((cells, cells), dtype=np.float32) * 2.0 - 1.0
        total += weight * cv2.resize(grid, (size, size), interpolation=cv2.INTER_LINEAR)
        norm += weight * weight
        weight *= decay
    return total / np.float32(math.sqrt(norm) * 0.75)


def cover(rng: Random, name: str, size: int, wide: NDArray[np.float32], fine: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB of a land cover, toned by `wide` and grained by `fine` noise."""
    a, b, grain = _COVERS[name]
    low, high = np.asarray(tint(rng, a), np.float32), np.asarray(tint(rng, b), np.float32)
    t = np.linspace(0.0, 1.0, 256, dtype=np.float32)[:, None]
    tones = np.clip(low + (high - low) * t, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    index = cv2.convertScaleAbs(cv2.max(wide, -1.0), alpha=127.5, beta=127.5)
    lit = cv2.addWeighted(fine, grain, fine, 0.0, 1.0)
    plain = cv2.LUT(cv2.merge((index, index, index)), tones)
    return np.asarray(cv2.multiply(plain, cv2.merge((lit, lit, lit)), dtype=cv2.CV_8U), dtype=np.uint8)


def circle(x: float, y: float, r: float, k: int = 40) -> NDArray[np.float64]:
    """(k, 2) corners of a disc."""
    a = np.linspace(0.0, 2.0 * math.pi, k, endpoint=False)
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1)


def ellipse(x: float, y: float, a: float, b: float) -> NDArray[np.float64]:
    """(40, 2) corners of an ellipse of half axes a along x and b along y."""
    return circle(0.0, 0.0, 1.0) * (a, b) + (x, y)


def rect(x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float64]:
    """(4, 2) corners of an upright rectangle."""
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], dtype=np.float64)


def rounded(w: float, h: float, r: float) -> NDArray[np.float64]:
    """Corners of a centred w x h rectangle with corners of radius r; r = h / 2 makes a stadium."""
    corners = []
    for sx, sy, start in ((1, 1, 0.0), (-1, 1, 90.0), (-1, -1, 180.0), (1, -1, 270.0)):
        a = np.radians(start + np.linspace(0.0, 90.0, 12))
        corners.append(np.stack([sx * (w / 2 - r) + r * np.cos(a), sy * (h / 2 - r) + r * np.sin(a)], axis=1))
    return np.concatenate(corners)


def turned(points: Points, x: float, y: float, angle: float, scale: float = 1.0) -> NDArray[np.float64]:
    """The points scaled, turned by `angle` (radians) and moved to (x, y)."""
    p = np.asarray(points, dtype=np.float64) * scale
    c, s = math.cos(angle), math.sin(angle)
    return np.stack([x + c * p[:, 0] - s * p[:, 1], y + s * p[:, 0] + c * p[:, 1]], axis=1)


@dataclass
class Canvas:
    """A scene while it is drawn.

    image: (2 size, 2 size, 3) uint8 RGB. label: (2 size, 2 size) uint8, 0 scenery, i + 1 the object i.
    zone: (GRID, GRID) uint8, what stands where. sun: the offset of a shadow cast by a thing of height 1.
    """

    size: int
    rng: Random
    sun: tuple[float, float]
    image: NDArray[np.uint8]
    label: NDArray[np.uint8] = field(init=False)
    zone: NDArray[np.uint8] = field(init=False)
    categories: list[str] = field(default_factory=list)
    watery: bool = False
    """Open water is in the picture: a sea, a river."""
    doubtful: set[str] = field(default_factory=set)
    """Categories that something drawn resembles without being annotated: not to be asked for."""

    def __post_init__(self) -> None:
        n = 2 * self.size
        self.label = np.zeros((n, n), dtype=np.uint8)
        self.zone = np.zeros((GRID, GRID), dtype=np.uint8)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        p = np.asarray(points, dtype=np.float64) * (2 * self.size) - 0.5
        return np.round(np.clip(p, -20000, 20000) * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: Points, colour: Colour, tag: int | None = 0) -> None:
        """Paints a polygon and writes its label; tag None leaves the labels alone (detail on an object)."""
        fixed = [self._fixed(points)]
        cv2.fillPoly(self.image, fixed, colour, shift=_SHIFT)
        if tag is not None:
            cv2.fillPoly(self.label, fixed, (tag,), shift=_SHIFT)

    def shade(self, points: Points, factor: float) -> None:
        """Multiplies the brightness inside a polygon."""
        p = np.asarray(points, dtype=np.float64) * (2 * self.size) - 0.5
        n = 2 * self.size
        x1, y1 = np.clip(np.floor(p.min(axis=0)).astype(int) - 1, 0, n)
        x2, y2 = np.clip(np.ceil(p.max(axis=0)).astype(int) + 2, 0, n)
        if x1 >= x2 or y1 >= y2:
            return
        inside = np.zeros((y2 - y1, x2 - x1), dtype=np.uint8)
        fixed = np.round((p - (x1, y1)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(inside, [fixed], (255,), shift=_SHIFT)
        part = self.image[y1:y2, x1:x2]
        darker = cv2.convertScaleAbs(part, alpha=factor)
        np.copyto(part, darker.astype(np.uint8, copy=False), where=inside[..., None] > 0)

    def new(self, category: str) -> int:
        """The tag of a new object; 0 when the canvas holds as many as a label can count."""
        if len(self.categories) >= 254:
            return 0
        self.categories.append(category)
        return len(self.categories)

    def cells(self, points: Points) -> NDArray[np.bool_]:
        inside = np.zeros((GRID, GRID), dtype=np.uint8)
        fixed = np.round((np.asarray(points, dtype=np.float64) * GRID - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(inside, [fixed], (1,), shift=_SHIFT)
        return inside.astype(np.bool_)

    def claim(self, points: Points, on: int = FREE) -> bool:
        """Takes the cells under a polygon if every one of them is of zone `on`; False leaves them."""
        cells = self.cells(points)
        if not cells.any() or (self.zone[cells] != on).any():
            return False
        self.zone[cells] = TAKEN
        return True

    def mark(self, points: Points, zone: int) -> None:
        self.zone[self.cells(points)] = zone


@dataclass(frozen=True)
class Brush:
    """Draws in a thing's own frame: its middle the origin, its length 1, x along it, at any angle and size."""

    canvas: Canvas
    x: float
    y: float
    scale: float
    angle: float
    tag: int | None

    def world(self, points: Points) -> NDArray[np.float64]:
        return turned(points, self.x, self.y, self.angle, self.scale)

    def fill(self, points: Points, colour: Colour) -> None:
        """A part of the thing: image and label."""
        self.canvas.fill(self.world(points), colour, self.tag)

    def detail(self, points: Points, colour: Colour) -> None:
        """Paint only, on a part already filled."""
        self.canvas.fill(self.world(points), colour, None)

    def ground(self, points: Points, colour: Colour) -> None:
        """Scenery that belongs to the thing but is not part of it."""
        self.canvas.fill(self.world(points), colour, 0)

    def line(self, points: Points, width: float, colour: Colour, closed: bool = False) -> None:
        """A painted line, `width` in lengths of the thing and at least half a final pixel."""
        c = self.canvas
        thick = max(1, round(width * self.scale * 2 * c.size))
        cv2.polylines(c.image, [c._fixed(self.world(points))], closed, colour, thick, cv2.LINE_AA, _SHIFT)

    def shadow(self, points: Points, height: float, factor: float = 0.55) -> None:
        """The shadow that the points cast from `height` lengths of the thing: the hull of both outlines."""
        p = self.world(points)
        dx, dy = self.canvas.sun
        both = np.concatenate([p, p + np.array([dx, dy]) * height * self.scale])
        hull = cv2.convexHull(both.astype(np.float32))[:, 0].astype(np.float64)
        self.canvas.shade(hull, factor)

    def cast(self, points: Points, height: float, factor: float = 0.6) -> None:
        """The shadow of a thing aloft: its outline, moved."""
        dx, dy = self.canvas.sun
        self.canvas.shade(self.world(points) + np.array([dx, dy]) * height * self.scale, factor)


def finish(rng: Random, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The drawn image halved and photographed: relief, illumination, haze, colour, blur, grain, compression."""
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    relief = noise(rng, size, (5, 11, 47, 96, 190), 0.8)
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    slope = rng.normal(0.0, 0.05, 2).astype(np.float32)
    light = np.float32(rng.uniform(0.015, 0.05)) * relief + (1.0 + slope[0] * ramp[None, :] + slope[1] * ramp[:, None])
    gain = rng.uniform(0.62, 1.16) * (1.0 + rng.normal(0.0, 0.035, 3))
    vivid = rng.uniform(0.6, 1.2)
    haze = rng.uniform(0.08, 0.3) if rng.random() < 0.3 else 0.0
    tone = np.full((3, 3), (1.0 - vivid) / 3.0) + np.eye(3) * vivid
    tone = np.concatenate([tone * (1.0 - haze), np.full((3, 1), 205.0 * haze)], axis=1) * gain[:, None]
    small = cv2.multiply(cv2.transform(small, tone), cv2.merge((light, light, light)))
    blur = rng.uniform(0.0, 0.9) * size / 336.0
    if blur > 0.3:
        small = cv2.GaussianBlur(small, (0, 0), blur)
    grain = rng.standard_normal((size, size), dtype=np.float32) * np.float32(rng.uniform(0.5, 5.0))
    out = cv2.add(small, cv2.merge((grain, grain, grain)), dtype=cv2.CV_8U)
    quality = int(rng.integers(55, 98))
    done, coded = cv2.imencode(".jpg", cv2.cvtColor(out, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not compress a scene as JPEG; is its JPEG codec built in?")
    return np.asarray(cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)
