"""How the procedural scenes' things on and at the water look from above: ships, harbors, bridges, pools, ponds.

Each function draws one object in its own frame: length 1 along x. It does not know sizes on the image or layouts.
"""

from __future__ import annotations

import math

import numpy as np

from think2seg.datasets.scene_drawing import (
    WHITE,
    Brush,
    Random,
    mix,
    pick,
    rect,
    rounded,
    tint,
)


def ship(b: Brush, rng: Random) -> None:
    w = rng.uniform(0.1, 0.17)
    hull = np.array(
        [
            (-0.5, -w * 0.85),
            (0.24, -w),
            (0.4, -w * 0.6),
            (0.5, 0),
            (0.4, w * 0.6),
            (0.24, w),
            (-0.5, w * 0.85),
        ]
    )
    b.shadow(hull, 0.08, 0.7)
    side = tint(rng, pick(rng, [(120, 50, 44), (56, 62, 72), (230, 230, 226), (40, 70, 110), (150, 150, 150)]))
    b.fill(hull, side)
    deck = tint(rng, pick(rng, [(150, 70, 56), (168, 160, 146), (214, 212, 206), (96, 110, 100), (120, 124, 130)]))
    b.detail(hull * (0.95, 0.78), deck)
    kind = rng.random()
    if kind < 0.4:
        for x in np.arange(-0.2, 0.3, 0.085):
            for y in (-0.5, 0.0):
                box = tint(
                    rng,
                    pick(rng, [(170, 60, 50), (60, 90, 150), (190, 180, 170), (80, 120, 90), (200, 150, 60)]),
                )
                b.detail(rect(x, y * w * 1.4 + 0.005, x + 0.075, y * w * 1.4 + w * 0.66), box)
    elif kind < 0.7:
        for x in np.linspace(-0.18, 0.26, int(rng.integers(3, 6))):
            b.detail(rect(x - 0.035, -w * 0.5, x + 0.035, w * 0.5), mix(deck, (60, 60, 60), 0.4))
    house = rect(-0.42, -w * 0.6, -0.27, w * 0.6)
    if kind >= 0.7:
        house = rect(-0.3, -w * 0.5, 0.12, w * 0.5)
    b.shadow(house, 0.05, 0.7)
    b.detail(house, tint(rng, WHITE, 6))
    b.detail((house - house.mean(axis=0)) * 0.5 + house.mean(axis=0), (150, 156, 164))


def harbor(b: Brush, rng: Random) -> None:
    """A quay along y = -0.3 and fingers reaching towards +y."""
    deck = tint(rng, pick(rng, [(186, 182, 174), (160, 152, 140), (206, 204, 200), (140, 126, 108)]), 9)
    k = int(rng.integers(2, 6))
    depth, finger = rng.uniform(0.42, 0.62), rng.uniform(0.025, 0.05)
    quay = rect(-0.5, -0.34, 0.5, -0.34 + rng.uniform(0.06, 0.1))
    arms = [rect(x - finger, -0.3, x + finger, -0.3 + depth) for x in np.linspace(-0.5 + finger, 0.5 - finger, k + 1)]
    for part in [quay, *arms]:
        b.shadow(part, 0.025, 0.7)
    for part in [quay, *arms]:
        b.fill(part, deck)
    for part in arms:
        x = float(part[:, 0].mean())
        b.line([(x, -0.3), (x, -0.32 + depth)], 0.006, mix(deck, (60, 60, 60), 0.3))


def jetty(b: Brush, rng: Random) -> None:
    """A harbor's other look: one long walkway with small craft moored along both sides, all of it the harbor."""
    w, n = rng.uniform(0.13, 0.22), int(rng.integers(8, 18))
    b.canvas.doubtful.add("ship")
    b.fill(
        [(-0.5, -w), (0.44, -w), (0.5, -w * 0.5), (0.5, w * 0.5), (0.44, w), (-0.5, w)],
        tint(rng, (44, 58, 62), 6),
    )
    step = 0.96 / n
    for k in range(n):
        for s in (-1.0, 1.0):
            if rng.random() < 0.88:
                x, reach, half = (
                    -0.47 + step * (k + 0.5),
                    w * rng.uniform(0.7, 0.97),
                    step * rng.uniform(0.28, 0.42),
                )
                craft = np.array(
                    [
                        (x - half, s * 0.03),
                        (x - half, s * reach * 0.7),
                        (x, s * reach),
                        (x + half, s * reach * 0.7),
                        (x + half, s * 0.03),
                    ]
                )
                paint = tint(rng, pick(rng, [(232, 232, 230), (214, 214, 210), (236, 232, 222), (120, 130, 150)]), 10)
                b.detail(craft, paint)
                b.detail(
                    rect(x - half * 0.5, s * reach * 0.25, x + half * 0.5, s * reach * 0.5),
                    mix(paint, (90, 100, 110), 0.4),
                )
    b.detail(rect(-0.5, -0.016, 0.48, 0.016), tint(rng, (188, 178, 160), 8))


def bridge(b: Brush, rng: Random) -> None:
    """A deck along x; its width is a seventh of its length."""
    w = 0.07
    deck = tint(rng, pick(rng, [(150, 148, 146), (126, 126, 128), (184, 180, 172), (110, 108, 106)]), 9)
    body = rect(-0.5, -w, 0.5, w)
    b.cast(body, 0.06, 0.6)
    b.fill(body, deck)
    rail = mix(deck, (245, 245, 245), 0.6)
    for s in (-1, 1):
        b.line([(-0.5, s * w * 0.92), (0.5, s * w * 0.92)], 0.012, rail)
    b.detail(rect(-0.5, -w * 0.7, 0.5, w * 0.7), mix(deck, (70, 70, 74), 0.5))
    for x in np.arange(-0.48, 0.5, 0.06):
        b.line([(x, 0.0), (x + 0.03, 0.0)], 0.008, WHITE)


def swimming_pool(b: Brush, rng: Random) -> None:
    water = tint(rng, pick(rng, [(70, 176, 206), (90, 196, 214), (52, 150, 196), (110, 200, 200)]), 8)
    w = rng.uniform(0.38, 0.62)
    shape = rounded(1.0, w, rng.uniform(0.02, w / 2))
    if rng.random() < 0.35:
        shape = shape + np.stack([np.zeros(len(shape)), 0.22 * np.cos(3.2 * shape[:, 0])], axis=1)
    rim = tint(rng, (214, 206, 192), 9)
    b.ground(shape * (1.18, 1.3), rim)
    b.fill(shape, water)
    b.detail(shape * 0.82 + 0.015, mix(water, (40, 120, 180), 0.25))
    if rng.random() < 0.3:
        for y in np.linspace(-w / 3, w / 3, 4):
            b.line([(-0.44, y), (0.44, y)], 0.008, (220, 230, 236))


def pond(b: Brush, rng: Random) -> None:
    a = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    r = np.full(60, 0.42)
    wobble = rng.choice([0.02, 0.07, 0.1])
    for k in (2, 3, 4, 5):
        r += wobble / math.sqrt(k) * rng.normal() * np.cos(k * a + rng.uniform(0, 6.28))
    r = np.clip(r, 0.2, 0.5)
    shape = np.stack([r * np.cos(a), r * np.sin(a) * rng.uniform(0.65, 1.0)], axis=1)
    water = tint(rng, pick(rng, [(52, 74, 76), (44, 66, 60), (70, 92, 96), (64, 84, 62), (36, 56, 74)]), 7)
    b.ground(shape * 1.1, tint(rng, pick(rng, [(118, 122, 84), (150, 138, 106), (86, 104, 62)]), 8))
    b.fill(shape, mix(water, (110, 118, 96), 0.2))
    b.detail(shape * 0.92, water)
    b.detail(shape * 0.6 + 0.02, mix(water, (30, 48, 58), 0.3))
