"""The layouts of the procedural scenes: an airport, a port, a river, a park, a suburb, works, countryside.

A layout paints the ground, lays roads and puts objects on a `Canvas`; whatever looks like one of the categories is
put there as an object. It does not know questions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.scene_drawing import (
    FREE,
    LAND,
    TAKEN,
    WATER,
    Brush,
    Canvas,
    Random,
    circle,
    mix,
    rect,
    tint,
    turned,
)
from think2seg.datasets.scene_objects import THINGS
from think2seg.datasets.scene_placing import (
    SHORTEST,
    flood,
    ground,
    parking,
    put,
    road,
    row,
    scatter,
    size_of,
    trees,
)
from think2seg.datasets.scene_waterside import jetty


def _spot(c: Canvas) -> tuple[float, float]:
    return float(c.rng.uniform(0.15, 0.85)), float(c.rng.uniform(0.15, 0.85))


def _coin(c: Canvas, p: float) -> bool:
    return bool(c.rng.random() < p)


def _count(c: Canvas, low: int, high: int) -> int:
    return int(c.rng.integers(low, high + 1))


def _zoom(c: Canvas, low: float = 0.5, high: float = 1.9) -> float:
    return float(np.exp(c.rng.uniform(math.log(low), math.log(high))))


def airport(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("grass", "meadow", "concrete", "soil"))
    z, a = _zoom(c, 0.45, 2.2), layout.uniform(0, 2 * math.pi)
    apron = tint(layout, (172, 170, 164) if _coin(c, 0.6) else (120, 120, 122), 12)
    h = layout.uniform(0.2, 0.5)
    x, y = _spot(c)
    slab = turned(rect(-1.5, -h, 1.5, h), x, y, a)
    if _coin(c, 0.4):  # a taxiway across
        c.fill(
            turned(rect(-1.5, -0.09, 1.5, 0.09), *_spot(c), a + layout.uniform(0.5, 2.6)),
            mix(apron, (110, 110, 112), 0.4),
        )
    c.fill(slab, apron)
    for u in np.arange(-1.5, 1.5, 0.09):
        c.fill(turned(rect(u, -h, u + 0.0015, h), x, y, a), mix(apron, (60, 60, 60), 0.25))
    if _coin(c, 0.6):
        c.fill(turned(rect(-1.5, -0.004, 1.5, 0.004), x, y, a), (214, 178, 70))
    length = size_of(c, "airplane", z)
    if _coin(c, 0.6):  # parked side by side
        lean = a + math.pi / 2 * layout.choice([-1, 1]) + layout.normal(0, 0.1)
        v = layout.uniform(-h * 0.6, h * 0.6)
        for k in range(_count(c, 2, 9)):
            px, py = turned([((k - 4) * length * 1.15, v)], x, y, a)[0]
            if 0.02 < px < 0.98 and 0.02 < py < 0.98 and _coin(c, 0.85):
                put(c, "airplane", float(px), float(py), length, lean)
    scatter(c, "airplane", _count(c, 1, 4), z)
    if _coin(c, 0.5):
        scatter(c, "building", _count(c, 1, 2), z * 1.6, angle=a)
    if _coin(c, 0.4):
        scatter(c, "vehicle", _count(c, 1, 5), z)
    if _coin(c, 0.25):
        scatter(c, "helipad", _count(c, 1, 2), z)
    if _coin(c, 0.25):
        row(c, "storage tank", _count(c, 1, 3), _count(c, 1, 2), z, 0.2)
    return c


def port(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("concrete", "gravel", "soil", "sand", "grass", "meadow"))
    z, a = _zoom(c, 0.5, 2.0), layout.uniform(0, 2 * math.pi)
    cx, cy = layout.uniform(0.3, 0.7, 2)
    open_sea = _coin(c, 0.15)
    if open_sea:  # the coast far outside
        cx, cy = 0.5 - 2.0 * math.cos(a), 0.5 - 2.0 * math.sin(a)
    straight = _coin(c, 0.65)
    v = np.linspace(-1.6, 1.6, 60)
    wave = sum(layout.normal(0, 0.05 / k) * np.sin(k * 3 * v + layout.uniform(0, 6)) for k in (1, 2, 3))
    u = np.zeros_like(v) if straight else wave
    shape = np.concatenate([np.stack([u, v], 1), [(4.0, 1.6), (4.0, -1.6)]])
    flood(c, texture, turned(shape, cx, cy, a), str(layout.choice(["sea", "sea", "deep", "river"])))
    if straight and _coin(c, 0.4):
        _jetties(c, cx, cy, a, z)
    elif straight and _coin(c, 0.85):
        length = size_of(c, "harbor", z)
        for k in range(_count(c, 1, 3)):
            px, py = turned([(0.3 * length + 0.004, (k - 0.5) * length * 1.1 + layout.uniform(-0.1, 0.1))], cx, cy, a)[
                0
            ]
            spot = turned(rect(-0.55, -0.3, 0.55, 0.5), float(px), float(py), a - math.pi / 2, length)
            if 0.05 < px < 0.95 and 0.05 < py < 0.95 and not (c.zone[c.cells(spot)] == TAKEN).any():
                c.mark(spot, TAKEN)
                tag = c.new("harbor")
                from_quay = Brush(c, float(px), float(py), length, a - math.pi / 2, tag)
                THINGS["harbor"].draw(from_quay, layout)
                # ships at berth between the fingers
                for _ in range(_count(c, 0, 4)):
                    bx, by = from_quay.world([(layout.choice([-0.36, -0.12, 0.12, 0.36]), layout.uniform(0.12, 0.22))])[
                        0
                    ]
                    if 0.02 < bx < 0.98 and 0.02 < by < 0.98:
                        berth = circle(float(bx), float(by), 0.06 * length)
                        if (c.label[_clip(c, berth)] == 0).all():
                            put(
                                c,
                                "ship",
                                float(bx),
                                float(by),
                                max(SHORTEST, 0.22 * length),
                                a + layout.choice([0, math.pi]),
                                on=None,
                            )
    for _ in range(_count(c, 3, 14) if open_sea else _count(c, 1, 8)):
        sx, sy = layout.uniform(0.04, 0.96, 2)
        length, lean = size_of(c, "ship", z), layout.uniform(0, 2 * math.pi)
        body = turned(rect(-0.52, -0.2, 0.52, 0.2), float(sx), float(sy), lean, length)
        if (c.zone[c.cells(body)] == WATER).all():
            if _coin(c, 0.4):
                for reach, half, factor in ((1.2, 0.16, 1.12), (0.9, 0.1, 1.15), (0.6, 0.05, 1.3)):
                    wake = turned(
                        [(-0.45, 0.02), (-0.5 - reach, half), (-0.5 - reach, -half), (-0.45, -0.02)],
                        float(sx),
                        float(sy),
                        lean,
                        length,
                    )
                    if (c.zone[c.cells(wake)] == WATER).all():
                        c.shade(wake, factor)
            put(c, "ship", float(sx), float(sy), length, lean, on=WATER)
    if _coin(c, 0.5):
        row(c, "storage tank", _count(c, 2, 4), _count(c, 1, 3), z, 0.25)
    if _coin(c, 0.5):
        scatter(c, "building", _count(c, 1, 3), z * 1.2, angle=a)
    if _coin(c, 0.5):
        scatter(c, "vehicle", _count(c, 1, 6), z)
    if _coin(c, 0.15):
        scatter(c, "helipad", 1, z)
    return c


def _jetties(c: Canvas, x: float, y: float, a: float, zoom: float) -> None:
    """Jetties side by side, out from a straight coast through (x, y) with the water towards `a`."""
    length = float(np.clip(0.3 * zoom * c.rng.uniform(0.6, 1.2), 0.08, 0.6))
    gap, lean = length * c.rng.uniform(0.5, 0.9), a + c.rng.normal(0, 0.1)
    few = int(c.rng.integers(1, 9))
    for k in range(few):
        px, py = turned([(0.52 * length, (k - (few - 1) / 2) * gap)], x, y, a)[0]
        if 0.0 < px < 1.0 and 0.0 < py < 1.0:
            c.mark(turned(rect(-0.45, -0.25, 0.55, 0.25), float(px), float(py), lean, length), TAKEN)
            jetty(Brush(c, float(px), float(py), length, lean, c.new("harbor")), c.rng)


def _clip(c: Canvas, points: NDArray[np.float64]) -> tuple[slice, slice]:
    n = 2 * c.size
    x1, y1 = np.clip((points.min(axis=0) * n).astype(int), 0, n - 1)
    x2, y2 = np.clip((points.max(axis=0) * n).astype(int) + 1, 1, n)
    return slice(int(y1), int(y2)), slice(int(x1), int(x2))


def river(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("grass", "forest", "meadow", "soil", "concrete"))
    z, a = _zoom(c, 0.5, 1.6), layout.uniform(0, 2 * math.pi)
    cx, cy = layout.uniform(0.35, 0.65, 2)
    half = float(np.clip(0.13 * z, 0.06, 0.24))
    u = np.linspace(-1.3, 1.3, 60)
    bend = layout.normal(0, 0.06) * np.sin(layout.uniform(1, 4) * u)
    ragged = [half * (1 + 0.12 * np.sin(layout.uniform(4, 9) * u + layout.uniform(0, 6))) for _ in range(2)]
    shape = np.concatenate([np.stack([u, bend + ragged[0]], 1), np.stack([u, bend - ragged[1]], 1)[::-1]])
    flood(c, texture, turned(shape, cx, cy, a), str(layout.choice(["river", "river", "deep", "sea"])))
    length = 2 * half * layout.uniform(1.45, 1.7)
    spans = [layout.uniform(-0.3, 0.3)]
    if _coin(c, 0.3):
        spans.append(spans[0] + layout.choice([-1, 1]) * layout.uniform(0.3, 0.45))
    for s in spans:
        skew = a + math.pi / 2 + layout.normal(0, 0.08)
        bx, by = turned([(s, float(np.interp(s, u, bend)))], cx, cy, a)[0]
        if not (0.05 < bx < 0.95 and 0.05 < by < 0.95) or not _coin(c, 0.92):
            continue
        d = np.array([math.cos(skew), math.sin(skew)])
        mid = np.array([bx, by])
        for side in (-1, 1):
            p, q = mid + d * side * length * 0.47, mid + d * side * 1.8
            cars = _count(c, 0, 3)
            road(
                c,
                (float(p[0]), float(p[1])),
                (float(q[0]), float(q[1])),
                length * 0.12,
                cars,
                max(SHORTEST, length * 0.07),
            )
        put(c, "bridge", float(bx), float(by), length, skew, on=None)
        for _ in range(_count(c, 0, 2)):
            p = (
                mid
                + d * layout.uniform(-0.4, 0.4) * length
                + np.array([-d[1], d[0]]) * layout.choice([-1, 1]) * length * 0.025
            )
            if 0 < p[0] < 1 and 0 < p[1] < 1:
                put(c, "vehicle", float(p[0]), float(p[1]), max(SHORTEST, length * 0.065), skew, on=None)
    scatter(c, "ship", _count(c, 0, 4), min(1.0, half / 0.13), angle=a, on=WATER)
    if _coin(c, 0.5):
        scatter(c, "building", _count(c, 1, 5), z)
    if _coin(c, 0.3):
        scatter(
            c,
            str(layout.choice(["farm field", "soccer field", "tennis court", "storage tank", "solar farm"])),
            _count(c, 1, 2),
            z,
        )
    trees(c, _count(c, 0, 40), 0.02 * z)
    return c


def sports(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("grass", "lawn", "lawn", "meadow", "concrete", "soil"))
    z, a = _zoom(c, 0.5, 1.9), layout.uniform(0, 2 * math.pi)
    kinds = ["ground track field", "soccer field", "baseball diamond", "tennis court", "basketball court"]
    layout.shuffle(kinds)
    for kind in kinds[: _count(c, 1, 4)]:
        if kind in ("tennis court", "basketball court"):
            if not row(c, kind, _count(c, 1, 3), _count(c, 1, 4), z, layout.uniform(0.02, 0.15)):
                scatter(c, kind, 2, z, angle=a)
        elif kind == "baseball diamond":
            scatter(c, kind, _count(c, 1, 4), z)
        else:
            scatter(c, kind, _count(c, 1, 2), z, angle=a)
    if _coin(c, 0.4):
        parking(c, *_spot(c), max(SHORTEST, 0.04 * z), _count(c, 3, 9), _count(c, 1, 2), 0.7)
    if _coin(c, 0.35):
        scatter(c, "building", _count(c, 1, 2), z * 1.2, angle=a)
    if _coin(c, 0.3):
        scatter(c, "swimming pool", _count(c, 1, 2), z * 1.5)
    if _coin(c, 0.2):
        scatter(c, "pond", 1, z)
    trees(c, _count(c, 0, 50), 0.02 * z)
    return c


def suburb(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("grass", "lawn", "meadow", "soil", "gravel", "sand"))
    z, a = _zoom(c, 0.5, 1.7), layout.uniform(0, math.pi)
    width = 0.06 * z
    car = max(SHORTEST, 0.4 * width * 1.6)
    if _coin(c, 0.3):
        x, y = _spot(c)
        put(c, "roundabout", x, y, size_of(c, "roundabout", z), a)
        centre = (x, y)
    else:
        centre = (float(layout.uniform(0.2, 0.8)), float(layout.uniform(0.2, 0.8)))
        d = np.array([math.cos(a), math.sin(a)]) * 1.6
        for s in (0.0, 0.5, -0.5) if z < 0.9 else (0.0,):
            n = np.array([-math.sin(a), math.cos(a)]) * s
            p = (centre[0] + float(n[0] - d[0]), centre[1] + float(n[1] - d[1]))
            q = (centre[0] + float(n[0] + d[0]), centre[1] + float(n[1] + d[1]))
            road(c, p, q, width, _count(c, 0, 4), car)
        if _coin(c, 0.4):
            p = (centre[0] + float(d[1]), centre[1] - float(d[0]))
            q = (centre[0] - float(d[1]), centre[1] + float(d[0]))
            road(c, p, q, width, _count(c, 0, 3), car)
    scatter(c, "building", _count(c, 2, 9), z, angle=a)
    if _coin(c, 0.55):
        scatter(c, "swimming pool", _count(c, 1, 5), z)
    if _coin(c, 0.35):
        parking(c, *_spot(c), car, _count(c, 3, 8), _count(c, 1, 2), 0.65)
    for kind, chance in (
        ("tennis court", 0.2),
        ("basketball court", 0.2),
        ("pond", 0.12),
        ("helipad", 0.1),
        ("soccer field", 0.1),
    ):
        if _coin(c, chance):
            scatter(c, kind, _count(c, 1, 2), z)
    trees(c, _count(c, 0, 60), 0.022 * z)
    return c


def works(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("concrete", "gravel", "soil", "meadow", "asphalt"))
    z, a = _zoom(c, 0.5, 2.2), layout.uniform(0, math.pi)
    if _coin(c, 0.75):
        row(c, "storage tank", _count(c, 1, 5), _count(c, 1, 3), z, layout.uniform(0.08, 0.5))
        if _coin(c, 0.4):
            scatter(c, "storage tank", _count(c, 1, 4), z * layout.uniform(0.5, 0.9), same=True)
    if _coin(c, 0.6):
        scatter(c, "building", _count(c, 1, 4), z * 1.5, angle=a)
    if _coin(c, 0.5):
        parking(
            c,
            *_spot(c),
            max(SHORTEST, 0.045 * z),
            _count(c, 3, 10),
            _count(c, 1, 3),
            layout.uniform(0.4, 0.95),
        )
    for kind, p in (("solar farm", 0.3), ("pond", 0.25), ("helipad", 0.2), ("greenhouse", 0.12)):
        if _coin(c, p):
            scatter(c, kind, _count(c, 1, 2), z, angle=a)
    if _coin(c, 0.3):
        scatter(c, "vehicle", _count(c, 1, 5), z)
    return c


def countryside(size: int, layout: Random, texture: Random) -> Canvas:
    c = ground(size, layout, texture, ("meadow", "grass", "soil", "forest", "sand"))
    z, a = _zoom(c, 0.5, 1.7), layout.uniform(0, math.pi)
    if _coin(c, 0.3):
        x, y = _spot(c)
        d = np.array([math.cos(a), math.sin(a)]) * 1.6
        road(
            c,
            (x - float(d[0]), y - float(d[1])),
            (x + float(d[0]), y + float(d[1])),
            0.04 * z,
            _count(c, 0, 4),
            max(SHORTEST, 0.03 * z),
        )
    kinds = [
        ("farm field", 0.6, 4),
        ("wind turbine", 0.45, 5),
        ("pond", 0.35, 3),
        ("greenhouse", 0.4, 5),
        ("solar farm", 0.35, 3),
        ("building", 0.3, 3),
        ("storage tank", 0.12, 3),
    ]
    for k in layout.permutation(len(kinds)):
        kind, p, most = kinds[int(k)]
        if _coin(c, p):
            scatter(
                c,
                kind,
                _count(c, 1, most),
                z,
                angle=a
                if kind in ("farm field", "greenhouse", "solar farm")
                else (layout.normal(0, 0.3) if kind == "wind turbine" else None),
            )
    trees(c, _count(c, 0, 50), 0.02 * z)
    return c


def medley(size: int, layout: Random, texture: Random) -> Canvas:
    """Land things at random: what the layouts never put together."""
    c = ground(size, layout, texture, (*LAND, "asphalt"))
    z = _zoom(c, 0.5, 2.4)
    kinds = [k for k, t in THINGS.items() if t.on == FREE]
    chosen = [kinds[int(k)] for k in layout.choice(len(kinds), _count(c, 1, 5), replace=False)]
    for kind in sorted(chosen, key=lambda kind: kind != "roundabout"):  # its roads first
        scatter(c, kind, 1 if kind == "roundabout" else _count(c, 1, 4), z)
    trees(c, _count(c, 0, 20), 0.02 * z)
    return c


def close_up(size: int, layout: Random, texture: Random) -> Canvas:
    """One to three large objects."""
    c = ground(size, layout, texture, (*LAND, "asphalt"))
    kinds = [k for k, t in THINGS.items() if t.on == FREE]
    chosen = [kinds[int(k)] for k in layout.choice(len(kinds), _count(c, 1, 2), replace=False)]
    for kind in sorted(chosen, key=lambda kind: kind != "roundabout"):
        scatter(
            c,
            kind,
            1 if kind == "roundabout" else _count(c, 1, 2),
            layout.uniform(0.3, 0.7) / THINGS[kind].length,
            within=(0.2, 0.2, 0.8, 0.8),
        )
    trees(c, _count(c, 0, 12), 0.06)
    return c


def crowd(size: int, layout: Random, texture: Random) -> Canvas:
    """Many small objects of one category, and a few others."""
    c = ground(size, layout, texture, ("concrete", "asphalt", "gravel", "soil", "meadow"))
    z = _zoom(c, 0.4, 0.8)
    kind = str(layout.choice(["vehicle", "airplane", "storage tank", "building", "vehicle", "greenhouse"]))
    if kind == "vehicle":
        for _ in range(_count(c, 1, 3)):
            parking(
                c,
                *_spot(c),
                max(SHORTEST, 0.06 * z),
                _count(c, 6, 16),
                _count(c, 1, 3),
                layout.uniform(0.4, 0.9),
            )
    else:
        row(c, kind, _count(c, 3, 6), _count(c, 2, 4), z, layout.uniform(0.1, 0.4))
    for _ in range(_count(c, 0, 2)):
        other = str(layout.choice([k for k, t in THINGS.items() if t.on == FREE and k != "roundabout"]))
        scatter(c, other, _count(c, 1, 2), z * 1.3)
    return c


LAYOUTS = (airport, port, river, sports, suburb, works, countryside, medley, close_up, crowd)
WEIGHTS = (0.11, 0.16, 0.1, 0.14, 0.09, 0.09, 0.11, 0.08, 0.08, 0.04)
