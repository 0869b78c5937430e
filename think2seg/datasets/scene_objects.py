"""How each category of the procedural scenes looks from above, and the table of all of them.

One function a category draws one object with a `Brush` in the object's own frame (length 1 along x); sports grounds
and watery things have files of their own. `THINGS` says how long each is against the image at zoom 1, its
footprint, and where it may stand. It does not know layouts or questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from think2seg.datasets.scene_drawing import (
    FREE,
    PAVED,
    TAKEN,
    WATER,
    Brush,
    Random,
    circle,
    ellipse,
    mix,
    pick,
    rect,
    rounded,
    tint,
)
from think2seg.datasets.scene_sports import (
    baseball_diamond,
    basketball_court,
    ground_track_field,
    soccer_field,
    tennis_court,
)
from think2seg.datasets.scene_waterside import bridge, harbor, pond, ship, swimming_pool


def airplane(b: Brush, rng: Random) -> None:
    body = tint(rng, pick(rng, [(232, 232, 230), (222, 222, 222), (205, 208, 212), (120, 124, 120)]), 9)
    sweep, span, root = rng.uniform(0.12, 0.26), rng.uniform(0.40, 0.5), rng.uniform(0.15, 0.21)
    fat, wing_x = rng.uniform(0.042, 0.06), rng.uniform(0.04, 0.12)
    hull = ellipse(0.0, 0.0, 0.5, fat)
    parts = [hull]
    for s in (-1.0, 1.0):
        parts.append(
            np.array(
                [
                    (wing_x + root / 2, 0),
                    (wing_x - sweep + 0.05, s * span),
                    (wing_x - sweep - 0.02, s * span),
                    (wing_x - root / 2, 0),
                ]
            )
        )
        parts.append(np.array([(-0.34, 0), (-0.45, s * 0.17), (-0.5, s * 0.17), (-0.46, 0)]))
        if rng.random() < 0.8:
            y, x = span * 0.36, wing_x + root / 2 - sweep * 0.36
            parts.append(ellipse(x, s * y, 0.05, 0.02))
    for part in parts:
        b.cast(part, 0.07, 0.62)
    for part in parts[1:]:
        b.fill(part, mix(body, (150, 154, 160), 0.3))
    b.fill(hull, body)
    b.detail(ellipse(0.0, fat * 0.25, 0.44, fat * 0.4), mix(body, (255, 255, 255), 0.5))
    if rng.random() < 0.6:
        stripe = tint(rng, pick(rng, [(40, 60, 140), (170, 40, 40), (30, 110, 90), (210, 140, 40)]))
        b.detail(rect(-0.5, -0.012, -0.36, 0.012), stripe)
    b.detail(rect(0.42, -fat * 0.4, 0.45, fat * 0.4), (60, 66, 76))


def storage_tank(b: Brush, rng: Random) -> None:
    wall = tint(rng, pick(rng, [(226, 224, 218), (206, 204, 196), (176, 170, 158), (160, 120, 96), (140, 150, 150)]))
    disc = circle(0.0, 0.0, 0.5)
    b.shadow(disc, rng.uniform(0.2, 0.5))
    b.fill(disc, mix(wall, (90, 90, 90), 0.35))
    b.detail(circle(0.0, 0.0, 0.47), mix(wall, (255, 255, 255), 0.3))
    if rng.random() < 0.35:  # floating roof: the rim's shadow falls on it
        b.detail(circle(0.0, 0.0, 0.43), mix(wall, (80, 84, 88), 0.55))
        dx, dy = b.canvas.sun
        back = np.array([dx, dy]) * 0.09
        c, s = math.cos(-b.angle), math.sin(-b.angle)
        moved = np.array((c * back[0] - s * back[1], s * back[0] + c * back[1]))
        b.detail(circle(0.0, 0.0, 0.36) + moved, mix(wall, (120, 124, 128), 0.3))
    else:
        b.detail(circle(0.0, 0.0, 0.44), wall)
        a = math.atan2(-b.canvas.sun[1], -b.canvas.sun[0]) - b.angle
        for width, t in ((0.6, 0.35), (0.25, 0.6)):
            rim = [(0.43 * math.cos(a + u), 0.43 * math.sin(a + u)) for u in np.linspace(-width, width, 9)]
            b.detail([(0.0, 0.0), *rim], mix(wall, (255, 255, 255), t))
        b.detail(circle(0.0, 0.0, 0.05, 12), mix(wall, (90, 90, 90), 0.4))
    if rng.random() < 0.5:
        b.line([(0.0, 0.0), (0.46, 0.0)], 0.03, mix(wall, (70, 70, 70), 0.5))


def vehicle(b: Brush, rng: Random) -> None:
    paint = tint(
        rng,
        pick(
            rng,
            [
                (228, 228, 226),
                (240, 240, 240),
                (60, 62, 66),
                (150, 154, 158),
                (170, 40, 36),
                (44, 70, 130),
                (96, 100, 104),
                (190, 180, 150),
                (30, 34, 40),
                (220, 180, 60),
            ],
        ),
        8,
    )
    w = 0.225
    body = rounded(1.0, 2 * w, 0.12)
    b.shadow(body, 0.22, 0.6)
    b.fill(body, paint)
    glass = (44, 50, 60) if sum(paint) > 250 else (90, 100, 112)
    b.detail([(0.22, -w * 0.8), (0.1, -w * 0.66), (0.1, w * 0.66), (0.22, w * 0.8)], glass)
    if rng.random() < 0.12:  # a van: no rear window to be seen
        b.detail(rect(-0.46, -w * 0.8, 0.06, w * 0.8), mix(paint, (255, 255, 255), 0.18))
        return
    b.detail([(-0.36, -w * 0.75), (-0.26, -w * 0.66), (-0.26, w * 0.66), (-0.36, w * 0.75)], glass)
    b.detail(rect(-0.24, -w * 0.62, 0.08, w * 0.62), mix(paint, (255, 255, 255), 0.18))


def building(b: Brush, rng: Random) -> None:
    roof = tint(
        rng,
        pick(
            rng,
            [
                (150, 84, 64),
                (168, 104, 80),
                (120, 118, 116),
                (186, 184, 178),
                (96, 92, 92),
                (206, 202, 194),
                (134, 110, 92),
                (110, 124, 140),
            ],
        ),
        10,
    )
    w = rng.uniform(0.26, 0.46)
    height = rng.uniform(0.1, 0.35)
    kind = rng.random()
    parts = [rect(-0.5, -w, 0.5, w)]
    if kind < 0.3:
        cut = rng.uniform(-0.15, 0.2)
        parts = [rect(-0.5, -w, cut, w), rect(cut - 0.02, -w, 0.5, rng.uniform(-0.1, 0.3) * w)]
    for part in parts:
        b.shadow(part, height)
    flat = rng.random() < 0.5
    for part in parts:
        b.fill(part, roof)
        (x1, y1), (x2, y2) = part.min(axis=0), part.max(axis=0)
        if flat:
            b.line(part, 0.015, mix(roof, (240, 240, 240), 0.5), closed=True)
            for _ in range(int(rng.integers(1, 5))):
                x, y = rng.uniform(x1 + 0.06, x2 - 0.1), rng.uniform(y1 + 0.06, max(y1 + 0.07, y2 - 0.1))
                u = rng.uniform(0.03, 0.07)
                b.detail(rect(x, y, min(x + u, x2), min(y + u, y2)), mix(roof, (225, 225, 225), 0.6))
        else:  # gabled: one side lit, one in shade
            mid = (y1 + y2) / 2
            b.detail(rect(x1, mid, x2, y2), mix(roof, (20, 20, 24), 0.28))
            b.line([(x1, mid), (x2, mid)], 0.012, mix(roof, (240, 230, 220), 0.4))


def solar_farm(b: Brush, rng: Random) -> None:
    w = rng.uniform(0.3, 0.46)
    floor = tint(rng, pick(rng, [(150, 144, 124), (126, 136, 96), (176, 164, 140)]), 8)
    cell = tint(rng, pick(rng, [(36, 48, 84), (44, 56, 96), (30, 36, 56), (50, 66, 110)]), 6)
    b.fill(rect(-0.5, -w, 0.5, w), floor)
    rows = int(rng.integers(6, 13))
    step = 2 * w / rows
    blocks = int(rng.integers(1, 4))
    for k in range(rows):
        y = -w + step * (k + 0.5)
        for j in range(blocks):
            x1, x2 = (
                -0.49 + j * 0.98 / blocks,
                -0.49 + (j + 1) * 0.98 / blocks - (0.02 if j < blocks - 1 else 0.0),
            )
            b.detail(rect(x1, y - step * 0.4, x2, y + step * 0.3), cell)
            b.line([(x1, y - step * 0.38), (x2, y - step * 0.38)], 0.004, mix(cell, (150, 170, 210), 0.5))


def helipad(b: Brush, rng: Random) -> None:
    pad = tint(rng, pick(rng, [(90, 92, 94), (150, 150, 146), (70, 110, 84), (150, 70, 60), (176, 174, 170)]), 8)
    ink = pick(rng, [(240, 240, 238), (240, 240, 238), (236, 200, 70)])
    outline = circle(0.0, 0.0, 0.5) if rng.random() < 0.55 else rect(-0.46, -0.46, 0.46, 0.46)
    b.fill(outline, pad)
    b.line(circle(0.0, 0.0, 0.36), 0.06, ink, closed=True)
    b.detail(rect(-0.17, -0.2, -0.1, 0.2), ink)
    b.detail(rect(0.1, -0.2, 0.17, 0.2), ink)
    b.detail(rect(-0.17, -0.035, 0.17, 0.035), ink)


def roundabout(b: Brush, rng: Random) -> None:
    tar = tint(rng, (104, 104, 108), 8)
    arms = int(rng.integers(3, 5))
    start = rng.uniform(0, 6.28)
    for k in range(arms):
        a = start + 2 * math.pi * k / arms
        d, n = np.array([math.cos(a), math.sin(a)]), np.array([-math.sin(a), math.cos(a)])
        arm = np.array([d * 0.3 + n * 0.14, d * 9 + n * 0.11, d * 9 - n * 0.11, d * 0.3 - n * 0.14])
        b.ground(arm, tar)
        b.canvas.mark(b.world(arm), PAVED)
        b.line([tuple(d * 0.6), tuple(d * 9)], 0.01, (220, 218, 210))
    b.canvas.mark(b.world(circle(0.0, 0.0, 0.52)), TAKEN)
    b.fill(circle(0.0, 0.0, 0.5), tar)
    inner = rng.uniform(0.2, 0.32)
    b.detail(circle(0.0, 0.0, inner + 0.03), (200, 198, 190))
    b.detail(circle(0.0, 0.0, inner), tint(rng, pick(rng, [(96, 126, 70), (110, 130, 80), (160, 140, 110)]), 8))
    b.detail(
        circle(0.0, 0.0, inner * 0.4),
        tint(rng, pick(rng, [(60, 90, 50), (170, 160, 150), (120, 140, 90)]), 8),
    )
    b.line(circle(0.0, 0.0, (inner + 0.53) / 2, 24), 0.008, (220, 218, 210), closed=True)


def greenhouse(b: Brush, rng: Random) -> None:
    glass = tint(rng, pick(rng, [(214, 222, 222), (196, 212, 206), (226, 226, 220), (184, 206, 210)]), 7)
    w = rng.uniform(0.28, 0.45)
    b.shadow(rect(-0.5, -w, 0.5, w), 0.06, 0.65)
    b.fill(rect(-0.5, -w, 0.5, w), glass)
    bays = int(rng.integers(4, 9))
    step = 2 * w / bays
    for k in range(bays):
        y = -w + k * step
        b.detail(rect(-0.5, y, 0.5, y + step * 0.45), mix(glass, (110, 140, 130), 0.3))
        b.line([(-0.5, y), (0.5, y)], 0.006, mix(glass, (70, 80, 80), 0.5))
    for x in np.linspace(-0.4, 0.4, 6):
        b.line([(x, -w), (x, w)], 0.004, mix(glass, (255, 255, 255), 0.5))


def wind_turbine(b: Brush, rng: Random) -> None:
    """Rotor seen obliquely on a mast that leans away from the sun's shadow."""
    hub = np.array([0.0, 0.0])
    phase = rng.uniform(0, 2.1)
    blades = []
    for k in range(3):
        a = phase + 2 * math.pi * k / 3
        d, n = np.array([math.cos(a), math.sin(a)]), np.array([-math.sin(a), math.cos(a)])
        blades.append(np.array([hub + n * 0.02, hub + d * 0.2 + n * 0.03, hub + d * 0.46, hub - n * 0.02]))
    mast = np.array([(-0.018, 0.0), (0.018, 0.0), (0.028, 0.42), (-0.028, 0.42)])
    b.ground(circle(0.0, 0.42, 0.09, 20), tint(rng, (176, 166, 146), 8))
    for part in blades:
        b.cast(part, 0.55, 0.68)
    b.shadow(circle(0.0, 0.42, 0.02, 8), 0.9, 0.68)
    for part in [mast, *blades, circle(0.0, 0.0, 0.035, 14)]:
        b.fill(part, tint(rng, (236, 236, 234), 3))


def farm_field(b: Brush, rng: Random) -> None:
    crop = tint(
        rng,
        pick(
            rng,
            [(120, 146, 70), (84, 120, 56), (190, 170, 104), (150, 116, 84), (206, 190, 120), (100, 84, 66)],
        ),
        9,
    )
    other = mix(crop, pick(rng, [(60, 80, 40), (220, 210, 160), (110, 90, 66)]), 0.3)
    if rng.random() < 0.35:  # watered by a turning arm
        b.fill(circle(0.0, 0.0, 0.5, 60), crop)
        for r in np.linspace(0.08, 0.45, 7):
            b.line(circle(0.0, 0.0, r), 0.012, other, closed=True)
        if rng.random() < 0.5:
            a0, span = rng.uniform(0, 6.28), rng.uniform(0.5, 2.0)
            arc = [(0.49 * math.cos(u), 0.49 * math.sin(u)) for u in np.linspace(a0, a0 + span, 20)]
            b.detail([(0.0, 0.0), *arc], other)
        b.line([(0.0, 0.0), (0.48, 0.0)], 0.008, (200, 200, 196))
        return
    w, skew = rng.uniform(0.3, 0.46), rng.uniform(-0.06, 0.06)
    shape = np.array([(-0.5, -w), (0.5 - abs(skew), -w), (0.5, w), (-0.5 + abs(skew), w)])
    b.ground(shape * 1.03, mix(crop, (90, 100, 60), 0.6))
    b.fill(shape, crop)
    for y in np.linspace(-w * 0.94, w * 0.94, int(rng.integers(10, 20))):
        b.line([(-0.44, y), (0.44, y)], 0.014, other)


@dataclass(frozen=True)
class Thing:
    """draw: how; length: against the image's side at zoom 1; footprint: (w, h) in lengths; on: its zone."""

    draw: Callable[[Brush, Random], None]
    length: float
    footprint: tuple[float, float]
    on: int = FREE


THINGS: dict[str, Thing] = {
    "airplane": Thing(airplane, 0.15, (1.05, 1.0)),
    "ship": Thing(ship, 0.13, (1.05, 0.36), WATER),
    "storage tank": Thing(storage_tank, 0.09, (1.1, 1.1)),
    "baseball diamond": Thing(baseball_diamond, 0.2, (1.2, 1.5)),
    "tennis court": Thing(tennis_court, 0.13, (1.04, 0.6)),
    "basketball court": Thing(basketball_court, 0.12, (1.04, 0.62)),
    "ground track field": Thing(ground_track_field, 0.42, (1.03, 0.62)),
    "harbor": Thing(harbor, 0.3, (1.02, 0.72), WATER),
    "bridge": Thing(bridge, 0.4, (1.0, 0.16), WATER),
    "vehicle": Thing(vehicle, 0.045, (1.1, 0.6)),
    "building": Thing(building, 0.12, (1.05, 0.97)),
    "swimming pool": Thing(swimming_pool, 0.07, (1.2, 0.95)),
    "pond": Thing(pond, 0.16, (1.12, 1.12)),
    "solar farm": Thing(solar_farm, 0.24, (1.04, 0.96)),
    "helipad": Thing(helipad, 0.09, (1.05, 1.05)),
    "roundabout": Thing(roundabout, 0.2, (1.05, 1.05)),
    "soccer field": Thing(soccer_field, 0.3, (1.03, 0.7)),
    "greenhouse": Thing(greenhouse, 0.15, (1.04, 0.94)),
    "wind turbine": Thing(wind_turbine, 0.2, (1.0, 1.0)),
    "farm field": Thing(farm_field, 0.28, (1.05, 1.02)),
}
