"""Putting things into a procedural scene: ground and water, free places, rows, roads, car parks, trees.

Whatever is put down keeps off what stands there already. It does not know which things belong together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from think2seg.datasets.scene_drawing import (
    FREE,
    LAND,
    PAVED,
    TAKEN,
    WATER,
    Brush,
    Canvas,
    Colour,
    Points,
    Random,
    circle,
    cover,
    mix,
    noise,
    rect,
    tint,
    turned,
)
from think2seg.datasets.scene_objects import THINGS

SHORTEST = 0.026
"""The least length of an object against the image's side."""


def ground(size: int, layout: Random, texture: Random, covers: Sequence[str]) -> Canvas:
    """A canvas of one or two land covers."""
    wide = noise(texture, size, (3, 6, 13, 27))
    fine = noise(texture, size, (37, 75, 149, 211), 0.9)
    first = str(layout.choice(list(covers)))
    image = cover(layout, first, size, wide, fine)
    if layout.random() < 0.5:
        second = str(layout.choice(list(LAND)))
        other = cover(layout, second, size, wide, fine)
        patch = noise(texture, size, (3, 5, 9)) > layout.uniform(0.1, 0.7)
        np.copyto(image, other, where=patch[..., None])
    if layout.random() < 0.7:
        image = cv2.GaussianBlur(image, (0, 0), 0.7 * size / 336).astype(np.uint8, copy=False)
    big = cv2.resize(image, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    a, length = layout.uniform(0, 2 * math.pi), layout.uniform(0.6, 1.3)
    canvas = Canvas(size, layout, (length * math.cos(a), length * math.sin(a)), big)
    _clutter(canvas)
    return canvas


def _clutter(c: Canvas) -> None:
    """What no one asks about: patches of other tone, footpaths. Things may stand on it."""
    rng = c.rng
    for _ in range(int(rng.integers(0, 7))):
        k = int(rng.integers(4, 8))
        a = np.sort(rng.uniform(0, 2 * math.pi, k))
        r = rng.uniform(0.05, 0.4) * rng.uniform(0.7, 1.0, k)
        x, y = rng.uniform(0, 1, 2)
        c.shade(np.stack([x + r * np.cos(a), y + r * np.sin(a)], 1), float(rng.uniform(0.84, 1.14)))
    tone = tint(rng, (186, 170, 142) if rng.random() < 0.5 else (150, 148, 142))
    for _ in range(int(rng.integers(0, 4))):
        u = np.linspace(-1.5, 1.5, 50)
        v = rng.normal(0, 0.12) * np.sin(rng.uniform(1, 5) * u + rng.uniform(0, 6))
        x, y = rng.uniform(0, 1, 2)
        half = rng.uniform(0.002, 0.008)
        bank = np.concatenate([np.stack([u, v - half], 1), np.stack([u, v + half], 1)[::-1]])
        c.fill(turned(bank, float(x), float(y), float(rng.uniform(0, 6.3))), tone)


def flood(c: Canvas, texture: Random, shape: Points, kind: str) -> None:
    """Open water inside a polygon, with a shore around it."""
    size = c.size
    wide, fine = noise(texture, size, (4, 7, 15)), noise(texture, size, (61, 113, 197), 0.9)
    water = cover(c.rng, kind, size, wide, fine)
    large = cv2.resize(water, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)
    inside = np.zeros((2 * size, 2 * size), dtype=np.uint8)
    cv2.fillPoly(inside, [c._fixed(shape)], (255,), shift=4)
    shore: Colour = tint(c.rng, (186, 172, 138) if c.rng.random() < 0.5 else (140, 138, 130))
    cv2.polylines(
        c.image,
        [c._fixed(shape)],
        True,
        shore,
        max(2, int(c.rng.uniform(0.006, 0.03) * 2 * size)),
        cv2.LINE_8,
        4,
    )
    np.copyto(c.image, large.astype(np.uint8, copy=False), where=inside[..., None] > 0)
    c.mark(shape, WATER)
    c.watery = True


def put(
    c: Canvas,
    category: str,
    x: float,
    y: float,
    length: float,
    angle: float,
    *,
    on: int | None = FREE,
    style: int | None = None,
) -> bool:
    """Puts one object there if its footprint is free (`on` None: without asking); False if it is not.

    Objects of one `style` look the same."""
    thing = THINGS[category]
    w, h = thing.footprint
    outline = turned(rect(-w / 2, -h / 2, w / 2, h / 2), x, y, angle, length)
    if on is None:
        c.mark(outline, TAKEN)
    elif not c.claim(outline, on):
        return False
    tag = c.new(category)
    if tag == 0:
        return False
    thing.draw(Brush(c, x, y, length, angle, tag), c.rng if style is None else np.random.default_rng(style))
    return True


def size_of(c: Canvas, category: str, zoom: float) -> float:
    """A length for one object of the category, 0.026-0.95 of the image's side."""
    return float(np.clip(THINGS[category].length * zoom * c.rng.uniform(0.85, 1.2), SHORTEST, 0.95))


def scatter(
    c: Canvas,
    category: str,
    count: int,
    zoom: float,
    *,
    angle: float | None = None,
    on: int | None = None,
    within: tuple[float, float, float, float] = (0.03, 0.03, 0.97, 0.97),
    same: bool = False,
) -> int:
    """Up to `count` objects at free places; `same` gives all one size. Returns how many found one."""
    done = 0
    length = size_of(c, category, zoom)
    for _ in range(count * 8):
        if done >= count:
            break
        x, y = c.rng.uniform(within[0], within[2]), c.rng.uniform(within[1], within[3])
        a = c.rng.uniform(0, 2 * math.pi) if angle is None else angle + c.rng.choice([0.0, math.pi / 2, math.pi])
        size = length if same else size_of(c, category, zoom)
        done += put(c, category, x, y, size, a, on=THINGS[category].on if on is None else on)
    return done


def row(c: Canvas, category: str, columns: int, rows: int, zoom: float, gap: float, *, on: int = FREE) -> int:
    """A turned grid of equal objects somewhere free; returns how many found room."""
    length = size_of(c, category, zoom)
    w, h = THINGS[category].footprint
    a = c.rng.uniform(0, 2 * math.pi)
    step = (length * (w + gap), length * (h + gap))
    style = int(c.rng.integers(1 << 30)) if c.rng.random() < 0.6 else None
    done = 0
    for _ in range(8):
        cx, cy = c.rng.uniform(0.15, 0.85, 2)
        for i in range(columns):
            for j in range(rows):
                p = turned([((i - (columns - 1) / 2) * step[0], (j - (rows - 1) / 2) * step[1])], cx, cy, a)[0]
                if -0.02 < p[0] < 1.02 and -0.02 < p[1] < 1.02:
                    done += put(c, category, float(p[0]), float(p[1]), length, a, on=on, style=style)
        if done:
            break
    return done


def pave(c: Canvas, points: Points, colour: Colour) -> None:
    c.fill(points, colour)
    c.mark(points, PAVED)


def road(c: Canvas, p: tuple[float, float], q: tuple[float, float], width: float, cars: int, car: float) -> None:
    """A straight road with a dashed middle and `cars` vehicles of length `car` in their lanes."""
    length = math.dist(p, q)
    angle = math.atan2(q[1] - p[1], q[0] - p[0])
    mid = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
    tar = tint(c.rng, (112, 112, 114), 10)
    c.fill(
        turned(rect(-length / 2, -width * 0.62, length / 2, width * 0.62), *mid, angle),
        mix(tar, (190, 186, 176), 0.6),
    )
    pave(c, turned(rect(-length / 2, -width / 2, length / 2, width / 2), *mid, angle), tar)
    if width > 0.025:
        for x in np.arange(-length / 2, length / 2, 0.05):
            c.fill(turned(rect(x, -width * 0.02, x + 0.022, width * 0.02), *mid, angle), (214, 212, 204))
    for _ in range(cars):
        side = 1 if c.rng.random() < 0.5 else -1
        x, y = turned([(c.rng.uniform(-length / 2, length / 2), side * width / 4)], *mid, angle)[0]
        if 0 < x < 1 and 0 < y < 1:
            put(
                c,
                "vehicle",
                float(x),
                float(y),
                car * c.rng.uniform(0.9, 1.1),
                angle + (0 if side > 0 else math.pi),
                on=PAVED,
            )


def parking(c: Canvas, x: float, y: float, car: float, stalls: int, rows: int, fill: float) -> None:
    """A lot with marked stalls, a share `fill` of them holding a vehicle."""
    a = c.rng.uniform(0, math.pi)
    wide, deep = car * 0.66, car * 1.35
    outline = rect(
        -wide * stalls / 2 - car * 0.4, -deep * rows * 0.75, wide * stalls / 2 + car * 0.4, deep * rows * 0.75
    )
    if not c.claim(turned(outline, x, y, a)):
        return
    tar = tint(c.rng, (118, 118, 120), 14)
    pave(c, turned(outline, x, y, a), tar)
    for j in range(rows):
        v = (j - (rows - 1) / 2) * deep * 1.4
        for i in range(stalls + 1):
            u = (i - stalls / 2) * wide
            line = turned(rect(u - 0.001, v - deep / 2, u + 0.001, v + deep / 2), x, y, a)
            c.fill(line, mix(tar, (235, 235, 230), 0.6))
            if i < stalls and c.rng.random() < fill:
                px, py = turned([(u + wide / 2, v)], x, y, a)[0]
                if 0 < px < 1 and 0 < py < 1:
                    put(
                        c,
                        "vehicle",
                        float(px),
                        float(py),
                        car,
                        a + math.pi / 2 * c.rng.choice([-1, 1]),
                        on=None,
                    )


def trees(c: Canvas, count: int, radius: float) -> None:
    """Scenery: crowns and their shadows on free ground, some of them in groves."""
    green = tint(c.rng, (50, 74, 42), 10)
    grove, spread = c.rng.uniform(0, 1, 2), c.rng.uniform(0.03, 0.12)
    for _ in range(count):
        if c.rng.random() < 0.06:
            grove, spread = c.rng.uniform(0, 1, 2), c.rng.uniform(0.03, 0.12)
        x, y = grove + c.rng.normal(0, spread, 2) if c.rng.random() < 0.7 else c.rng.uniform(0, 1, 2)
        r = radius * c.rng.uniform(0.5, 1.4)
        shape = circle(float(x), float(y), r, 14)
        if not (c.zone[c.cells(shape)] == FREE).all():
            continue
        c.mark((shape - (x, y)) * 0.4 + (x, y), TAKEN)
        c.shade(shape + np.array(c.sun) * r * 0.8, 0.65)
        shape = shape + c.rng.normal(0, r * 0.1, shape.shape)
        c.fill(shape, mix(green, (20, 36, 20), c.rng.uniform(0, 0.5)))
        c.fill((shape - (x, y)) * 0.6 + (x, y) - np.array(c.sun) * r * 0.2, mix(green, (140, 160, 96), 0.2))
