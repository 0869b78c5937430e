"""Questions about a procedural scene, and their answers.

Explicit, implicit, spatial and counting questions about what is there, and absent ones about what is not. A question
is asked only where its answer is clear: by a margin where places or sizes are compared, and never where another
category, or open water, could answer it too. It does not know how a scene is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.scene_phrases import (
    COUNTING,
    EXPLICIT,
    EXPLICIT_ONE,
    IMPLICIT,
    NAMES,
    REASONS,
    SPATIAL,
    split,
)

Kind = Literal["explicit", "implicit", "spatial", "counting", "absent"]

WATER = "open water"

RIVALS: dict[str, frozenset[str]] = {
    # an implicit question for the key could be answered by these too, where they are in the scene
    "pond": frozenset({"swimming pool", WATER}),
    "swimming pool": frozenset({"pond", WATER}),
    "building": frozenset({"greenhouse"}),
    "farm field": frozenset({"greenhouse"}),
    "soccer field": frozenset({"ground track field"}),
}
DOUBTS: dict[str, frozenset[str]] = {
    # "there is no <key>" could be disputed where these are in the scene
    "pond": frozenset({WATER}),
    "building": frozenset({"greenhouse"}),
    "soccer field": frozenset({"ground track field"}),
}
ALIKE: tuple[frozenset[str], ...] = (
    frozenset({"storage tank", "pond", "farm field", "helipad", "roundabout"}),
    frozenset({"tennis court", "basketball court", "soccer field"}),
    frozenset({"baseball diamond", "ground track field", "soccer field"}),
    frozenset({"pond", "swimming pool"}),
    frozenset({"building", "greenhouse", "solar farm", "vehicle"}),
    frozenset({"ship", "harbor", "bridge"}),
    frozenset({"airplane", "wind turbine", "helipad"}),
    frozenset({"solar farm", "farm field", "greenhouse"}),
)


@dataclass(frozen=True, eq=False)
class SceneObject:
    """mask: (H, W) bool, visible pixels only. box: (x1, y1, x2, y2), the mask's pixel edges, x2 and y2 exclusive."""

    category: str
    mask: NDArray[np.bool_]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class SceneQuestion:
    """text: the question. category: what it asks for. targets: indices into the scene's objects, none for "absent".
    reasons: one clause, why this category answers it. unseen: the wording is held out of training."""

    text: str
    kind: Kind
    category: str
    targets: tuple[int, ...]
    reasons: str
    unseen: bool


@dataclass(frozen=True)
class _Asker:
    rng: np.random.Generator
    unseen: bool

    def choose(self, pool: Sequence[str]) -> str:
        part = split(pool, self.unseen)
        return part[int(self.rng.integers(len(part)))]

    def name(self, category: str) -> tuple[str, str]:
        names = NAMES[category]
        return names[0 if self.rng.random() < 0.6 else int(self.rng.integers(len(names)))]

    def worded(self, template: str, category: str, other: str = "", several: bool = False) -> str:
        one, many = self.name(category)
        return template.format(one=one, many=many, n=many if several else one, other=other)

    def explicit(self, category: str, targets: tuple[int, ...], alone: bool) -> SceneQuestion:
        pool = EXPLICIT_ONE if alone and self.rng.random() < 0.5 else EXPLICIT
        text = self.worded(self.choose(pool), category)
        return self._question(text, "explicit", category, targets, f"{NAMES[category][0][1]} are asked for by name")

    def implicit(self, category: str, targets: tuple[int, ...]) -> SceneQuestion:
        return self._question(self.choose(IMPLICIT[category]), "implicit", category, targets, REASONS[category])

    def counting(self, category: str, targets: tuple[int, ...]) -> SceneQuestion:
        text = self.worded(self.choose(COUNTING), category)
        return self._question(text, "counting", category, targets, f"{NAMES[category][0][1]} are to be counted")

    def spatial(self, category: str, relation: str, targets: tuple[int, ...], other: str = "") -> SceneQuestion:
        text = self.worded(self.choose(SPATIAL[relation]), category, other, several=len(targets) > 1)
        where = f"nearest the {other}" if relation == "nearest" else relation
        many = NAMES[category][0][1]
        if relation.startswith("in the"):
            return self._question(text, "spatial", category, targets, f"only {many} {where} are wanted")
        return self._question(
            text,
            "spatial",
            category,
            targets,
            f"of the {many}, only the one {where} is wanted"
            if relation == "nearest"
            else f"of the {many}, only the {'most ' * (relation == 'central')}{where} is wanted",
        )

    def _question(self, text: str, kind: Kind, category: str, targets: tuple[int, ...], reasons: str) -> SceneQuestion:
        return SceneQuestion(text, kind, category, targets, reasons, self.unseen)


def relations(
    objects: Sequence[SceneObject], category: str, size: int, doubtful: frozenset[str] = frozenset()
) -> list[tuple[str, tuple[int, ...], str]]:
    """(relation, targets, other category) for every clear spatial relation among the category's objects; none is
    measured from a `doubtful` category."""
    own = [i for i, o in enumerate(objects) if o.category == category]
    found: list[tuple[str, tuple[int, ...], str]] = []
    boxes = np.array([objects[i].box for i in own])
    centres = (boxes[:, :2] + boxes[:, 2:]) / (2.0 * size)
    if len(own) > 1:
        area = np.array([float(objects[i].mask.sum()) for i in own])

        def first(keys: tuple[NDArray[np.float64], ...], margin: float, relation: str) -> None:
            """Adds the relation if one object is least by the margin under every key."""
            best = int(np.argmin(keys[0]))
            if all(np.delete(key, best).min() - key[best] > margin for key in keys):
                found.append((relation, (own[best],), ""))

        edges = boxes / size
        first((centres[:, 0], edges[:, 0]), 0.035, "leftmost")
        first((-centres[:, 0], -edges[:, 2]), 0.035, "rightmost")
        first((centres[:, 1], edges[:, 1]), 0.035, "topmost")
        first((-centres[:, 1], -edges[:, 3]), 0.035, "bottommost")
        first((-np.log(area),), math.log(1.35), "largest")
        first((np.log(area),), math.log(1.35), "smallest")
        first((np.hypot(*(centres - 0.5).T),), 0.08, "central")
        for kind in sorted({o.category for o in objects} - {category} - doubtful):
            others = [o for o in objects if o.category == kind]
            if len(others) == 1:
                first((_gaps(objects, own, others[0]) / size,), 0.06, "nearest")
                if found and found[-1][0] == "nearest" and not found[-1][2]:
                    found[-1] = ("nearest", found[-1][1], NAMES[kind][0][0])
    sides = centres - 0.5
    clear = np.abs(sides) > 0.06
    for axis, low, high in (
        (0, "in the left half", "in the right half"),
        (1, "in the upper half", "in the lower half"),
    ):
        if clear[:, axis].all():
            for sign, relation in ((-1, low), (1, high)):
                hits = tuple(own[k] for k in np.flatnonzero(np.sign(sides[:, axis]) == sign))
                if hits and (len(hits) < len(own) or len(own) == 1):
                    found.append((relation, hits, ""))
    if clear.all():
        for up, vertical in ((-1, "upper"), (1, "lower")):
            for left, horizontal in ((-1, "left"), (1, "right")):
                inside = (np.sign(sides[:, 0]) == left) & (np.sign(sides[:, 1]) == up)
                hits = tuple(own[k] for k in np.flatnonzero(inside))
                if hits and (len(hits) < len(own) or len(own) == 1):
                    found.append((f"in the {vertical} {horizontal}", hits, ""))
    return found


def _gaps(objects: Sequence[SceneObject], own: Sequence[int], other: SceneObject) -> NDArray[np.float64]:
    """Pixels between each object's box and the other's."""
    b = np.array([objects[i].box for i in own])
    x1, y1, x2, y2 = other.box
    dx = np.maximum(0.0, np.maximum(b[:, 0] - x2, x1 - b[:, 2]))
    dy = np.maximum(0.0, np.maximum(b[:, 1] - y2, y1 - b[:, 3]))
    return np.asarray(np.hypot(dx, dy), dtype=np.float64)


def ask(
    rng: np.random.Generator,
    objects: Sequence[SceneObject],
    drawn: frozenset[str],
    doubtful: frozenset[str],
    watery: bool,
    size: int,
    phrasings: str,
) -> tuple[SceneQuestion, ...]:
    """Eight questions or so, about a quarter of them absent.

    objects: what is annotated. drawn: every category that was drawn, annotated or not. doubtful: what
    is not to be asked for. watery: open water shows.
    size: pixels a side. phrasings: "train", "unseen" or "all".
    """
    present = sorted({o.category for o in objects} - doubtful)
    there = drawn | ({WATER} if watery else frozenset())
    missing = [c for c in NAMES if c not in drawn | doubtful and not DOUBTS.get(c, frozenset()) & there]
    alike = [c for c in missing if any(c in group and group & drawn for group in ALIKE)]
    targets = {c: tuple(i for i, o in enumerate(objects) if o.category == c) for c in present}
    found: dict[str, SceneQuestion] = {}

    def asker() -> _Asker:
        return _Asker(rng, phrasings == "unseen" or (phrasings == "all" and bool(rng.random() < 0.2)))

    def choice(items: Sequence[str]) -> str:
        return items[int(rng.integers(len(items)))]

    def add(kind: str) -> None:
        who, category = asker(), choice(present)
        if kind == "explicit":
            question = who.explicit(category, targets[category], len(targets[category]) == 1)
        elif kind == "counting":
            question = who.counting(category, targets[category])
        elif kind == "implicit":
            if RIVALS.get(category, frozenset()) & there:
                return
            question = who.implicit(category, targets[category])
        elif kind == "spatial":
            clear = relations(objects, category, size, doubtful)
            if not clear:
                return
            relation, hits, other = clear[int(rng.integers(len(clear)))]
            question = who.spatial(category, relation, hits, other)
        else:
            category = choice(alike if alike and rng.random() < 0.5 else missing)
            form = rng.random()
            if form < 0.4:
                question = who.explicit(category, (), bool(rng.random() < 0.3))
            elif form < 0.7:
                if RIVALS.get(category, frozenset()) & there:
                    return
                question = who.implicit(category, ())
            elif form < 0.85:
                relation = choice([r for r in SPATIAL if r != "nearest"])
                question = who.spatial(category, relation, ())
            else:
                question = who.counting(category, ())
            question = SceneQuestion(question.text, "absent", category, (), question.reasons, question.unseen)
        found.setdefault(question.text, question)

    plan = [
        "explicit",
        "explicit",
        "implicit",
        "implicit",
        "spatial",
        "spatial",
        "counting",
        "absent",
        "absent",
    ]
    if rng.random() < 0.5:
        plan.append("absent")
    for kind in plan:
        before = len(found)
        for _ in range(4):
            add(kind)
            if len(found) > before:
                break
    while len(found) < 6:
        add(choice(("explicit", "implicit", "counting")))
    questions = list(found.values())
    return tuple(questions[k] for k in rng.permutation(len(questions)))
