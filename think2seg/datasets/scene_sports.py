"""How the sports grounds of the procedural scenes look from above.

Each function draws one object in its own frame: length 1 along x. It does not know sizes on the image or layouts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.scene_drawing import (
    WHITE,
    Brush,
    Random,
    circle,
    mix,
    pick,
    rect,
    rounded,
    tint,
)


def baseball_diamond(b: Brush, rng: Random) -> None:
    dirt = tint(rng, pick(rng, [(178, 138, 100), (196, 164, 126), (164, 112, 80), (206, 184, 148)]), 9)
    turf = tint(rng, (96, 132, 66), 10)
    a = np.linspace(-math.pi / 4, math.pi / 4, 24)
    bulge = rng.uniform(0.0, 0.12)

    def fan(r: float, x: float = -0.5) -> NDArray[np.float64]:
        return np.array([(x, 0.0)] + [(x + r * math.cos(u), r * math.sin(u)) for u in a])

    if rng.random() < 0.7:  # the outfield, scenery: the diamond is the fan of dirt
        b.ground(fan(1.9, -0.56), mix(turf, (130, 150, 84), 0.2))
    ends = np.cos(2.0 * a)[:, None] * (0.0, 1.0) * np.sign(a)[:, None] * bulge
    b.fill(fan(1.0) + np.concatenate([np.zeros((1, 2)), ends]), dirt)
    b.fill(circle(-0.44, 0.0, 0.13, 24), dirt)
    if rng.random() < 0.8:
        h = 0.27
        b.detail([(-0.38, 0.0), (-0.38 + h, -h), (-0.38 + 2 * h, 0.0), (-0.38 + h, h)], turf)
    b.detail(circle(-0.09, 0.0, 0.05, 16), dirt)
    chalk = (236, 234, 226)
    for s in (-1, 1):
        b.line([(-0.46, 0.0), (-0.46 + 0.68, s * 0.68)], 0.008, chalk)


def tennis_court(b: Brush, rng: Random) -> None:
    outer = pick(rng, [(70, 110, 80), (150, 80, 64), (60, 96, 120), (110, 120, 110), (96, 130, 90)])
    inner = pick(rng, [(60, 100, 150), (80, 130, 96), (176, 104, 80), (72, 88, 140), (96, 140, 130)])
    outer, inner = tint(rng, outer, 8), tint(rng, inner, 8)
    b.fill(rect(-0.5, -0.27, 0.5, 0.27), outer)
    b.detail(rect(-0.37, -0.17, 0.37, 0.17), inner)
    w = 0.012
    b.line(rect(-0.37, -0.17, 0.37, 0.17), w, WHITE, closed=True)
    for s in (-1, 1):
        b.line([(-0.37, s * 0.128), (0.37, s * 0.128)], w, WHITE)
        b.line([(s * 0.2, -0.128), (s * 0.2, 0.128)], w, WHITE)
    b.line([(-0.2, 0.0), (0.2, 0.0)], w, WHITE)
    b.line([(0.0, -0.19), (0.0, 0.19)], 0.014, mix(inner, (30, 30, 30), 0.4))


def basketball_court(b: Brush, rng: Random) -> None:
    floor = tint(rng, pick(rng, [(176, 92, 70), (80, 124, 92), (190, 150, 100), (140, 140, 138), (84, 110, 150)]), 8)
    key = tint(rng, pick(rng, [(60, 90, 140), (150, 70, 60), (70, 110, 80), (170, 120, 80)]), 8)
    b.fill(rect(-0.5, -0.28, 0.5, 0.28), floor)
    w = 0.012
    b.line(rect(-0.46, -0.245, 0.46, 0.245), w, WHITE, closed=True)
    b.line([(0.0, -0.245), (0.0, 0.245)], w, WHITE)
    b.line(circle(0.0, 0.0, 0.075), w, WHITE, closed=True)
    a = np.linspace(-math.pi / 2, math.pi / 2, 20)
    for s in (-1.0, 1.0):
        b.detail(rect(min(s * 0.46, s * 0.27), -0.09, max(s * 0.46, s * 0.27), 0.09), key)
        b.line(rect(min(s * 0.46, s * 0.27), -0.09, max(s * 0.46, s * 0.27), 0.09), w, WHITE, closed=True)
        b.line([(s * (0.41 - 0.22 * math.cos(u)), 0.215 * math.sin(u)) for u in a], w, WHITE)


def ground_track_field(b: Brush, rng: Random) -> None:
    w = rng.uniform(0.46, 0.6)
    red = tint(rng, pick(rng, [(176, 84, 66), (160, 100, 80), (188, 96, 80), (150, 76, 70), (190, 140, 110)]), 9)
    turf = tint(rng, pick(rng, [(96, 134, 70), (80, 120, 62), (130, 140, 84), (150, 140, 100)]), 9)
    b.fill(rounded(1.0, w, w / 2), red)
    lane = rng.uniform(0.055, 0.085)
    for k in (1, 2, 3):
        i = lane * k / 4
        b.line(rounded(1 - 2 * i, w - 2 * i, w / 2 - i), 0.004, mix(red, WHITE, 0.5), closed=True)
    iw, ih = 1 - 2 * lane, w - 2 * lane
    b.detail(rounded(iw, ih, ih / 2), turf)
    if rng.random() < 0.6:
        for s in (-1.0, 1.0):  # the ends inside the bends are often paved
            x = s * (iw - ih) / 2
            end = [(x + s * ih / 2 * math.cos(u), ih / 2 * math.sin(u)) for u in np.linspace(-1.5, 1.5, 20)]
            b.detail(end, mix(red, turf, rng.uniform(0.0, 0.7)))
    for k in range(-3, 4):
        if k % 2 and rng.random() < 0.8:
            u = (iw - ih) / 7
            b.detail(rect(k * u - u / 2, -ih / 2, k * u + u / 2, ih / 2), mix(turf, (140, 170, 100), 0.22))


def soccer_field(b: Brush, rng: Random) -> None:
    turf = tint(rng, pick(rng, [(84, 130, 64), (100, 142, 74), (70, 116, 60)]), 9)
    h = 0.33
    b.fill(rect(-0.5, -h, 0.5, h), turf)
    bands = int(rng.integers(5, 10))
    for k in range(0, bands, 2):
        b.detail(
            rect(-0.47 + 0.94 * k / bands, -h, -0.47 + 0.94 * (k + 1) / bands, h),
            mix(turf, (150, 190, 110), 0.25),
        )
    w = 0.009
    b.line(rect(-0.46, -0.29, 0.46, 0.29), w, WHITE, closed=True)
    b.line([(0.0, -0.29), (0.0, 0.29)], w, WHITE)
    b.line(circle(0.0, 0.0, 0.09), w, WHITE, closed=True)
    for s in (-1.0, 1.0):
        for depth, half in ((0.15, 0.17), (0.05, 0.08)):
            x1, x2 = sorted((s * 0.46, s * (0.46 - depth)))
            b.line(rect(x1, -half, x2, half), w, WHITE, closed=True)
