"""Pictures to learn from: procedural scenes, rendered once into a cache, and crops of NWPU VHR-10.

Each comes as a `Picture`: pixels, what is in them, and questions with their answers. It knows no tokens and no model.
NWPU VHR-10 annotates ten classes only, so "nothing here" is asked there about those ten, about things no picture here
shows, and never about, say, buildings, which may stand there unlabelled.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from think2seg.datasets.scene_phrases import COUNTING, EXPLICIT, EXPLICIT_ONE, IMPLICIT, NAMES, REASONS, SPATIAL, split
from think2seg.datasets.scene_questions import SceneObject, relations
from think2seg.datasets.scenes import CATEGORIES, Phrasings, scene
from train.nano import prompter_phrases as phrases
from train.nano.prompter_model import CELL, FRAME
from train.nano.prompter_words import WORDS

SIDE = FRAME // CELL
NWPU_CLASSES = CATEGORIES[:10]
SAFE_TO_MISS = ("wind turbine", "helipad", "solar farm")
"""Categories outside NWPU's ten that its pictures do not show, as far as we looked."""
FIRST_TRAINING_SEED = 1_000_000
CHUNK = 250


@dataclass(frozen=True, eq=False)
class Thing:
    """One object in a FRAME x FRAME picture: box in pixel edges, points in whole pixels, the share of each cell."""

    category: str
    box: tuple[float, float, float, float]
    area: int
    positive: tuple[tuple[int, int], ...]
    negative: tuple[tuple[int, int], ...]
    cells: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None
    """Cut to the box; only where pictures are measured on."""


@dataclass(frozen=True)
class Asked:
    """A question and its answer: `targets` are indices of things; category None is outside all categories."""

    text: str
    kind: str
    category: str | None
    targets: tuple[int, ...]
    reasons: str
    relation: str = ""
    unseen: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """image: (FRAME, FRAME, 3) uint8 RGB."""

    image: NDArray[np.uint8]
    things: tuple[Thing, ...]
    asked: tuple[Asked, ...]


def thing(category: str, mask: NDArray[np.bool_], x0: int, y0: int, keep: bool = False) -> Thing | None:
    """The object whose mask, cut to its own box, is `mask` with its corner at (x0, y0); None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x0, y0 = x0 + int(columns[0]), y0 + int(rows[0])
    h, w = mask.shape
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    ys, xs = np.nonzero(mask)
    centre = np.array([xs.mean(), ys.mean()])
    offsets = np.stack((xs, ys), 1) - centre
    spread, axes = np.linalg.eigh(np.cov(offsets.T) + 1e-6 * np.eye(2)) if len(xs) > 1 else (np.ones(2), np.eye(2))
    inner = depth[ys, xs] >= 0.5 * depth.max()
    candidates = offsets[inner]
    points = []
    for axis, sign in ((1, -1), (1, 1), (0, -1), (0, 1)):
        direction = axes[:, axis] * (1 if axes[np.argmax(np.abs(axes[:, axis])), axis] > 0 else -1)
        wish = direction * sign * float(np.sqrt(max(spread[axis], 0.0))) * 0.9
        best = candidates[np.argmin(((candidates - wish) ** 2).sum(1))] + centre
        points.append((round(best[0]) + x0, round(best[1]) + y0))
    pad = max(4, round(0.12 * max(h, w)))
    outer = np.pad(mask.astype(np.uint8), pad)
    away = cv2.distanceTransform(1 - outer, cv2.DIST_L2, 3)
    oy, ox = np.nonzero((away >= 2.0) & (away <= max(3.5, 0.3 * max(h, w))))
    px, py = ox + x0 - pad, oy + y0 - pad
    ok = (px >= 0) & (py >= 0) & (px < FRAME) & (py < FRAME)
    px, py = px[ok], py[ok]
    negative = []
    if len(px):
        for cx, cy in ((x0, y0), (x0 + w, y0 + h)):
            k = int(np.argmin((px - cx) ** 2 + (py - cy) ** 2))
            negative.append((int(px[k]), int(py[k])))
    else:  # it fills the frame
        negative = [(0, 0), (FRAME - 1, FRAME - 1)]
    cells = np.zeros((SIDE, SIDE), np.float32)
    np.add.at(cells, ((ys + y0) // CELL, (xs + x0) // CELL), 1.0 / CELL**2)
    return Thing(
        category,
        (float(x0), float(y0), float(x0 + w), float(y0 + h)),
        int(mask.sum()),
        tuple(points),
        tuple(negative),
        np.ceil(cells * 255).clip(0, 255).astype(np.uint8).ravel(),
        mask if keep else None,
    )


def drawn(seed: int, phrasings: Phrasings = "train", keep: bool = False) -> Picture:
    """The scene of a seed; `keep` keeps its masks."""
    made = scene(seed, FRAME, phrasings=phrasings)
    things = []
    for o in made.objects:
        x1, y1, x2, y2 = (int(v) for v in o.box)
        one = thing(o.category, o.mask[y1:y2, x1:x2], x1, y1, keep)
        assert one is not None
        things.append(one)
    asked = tuple(Asked(q.text, q.kind, q.category, q.targets, q.reasons, "", q.unseen) for q in made.questions)
    return Picture(made.image, tuple(things), asked)


def render(folder: Path, chunk: int) -> None:
    """Draws one chunk of training scenes into the cache, unless it is there."""
    target = folder / f"{chunk:04d}.npy"
    if target.exists():
        return
    fresh = folder / f"{chunk:04d}.{os.getpid()}.tmp"
    pictures = [drawn(FIRST_TRAINING_SEED + chunk * CHUNK + i) for i in range(CHUNK)]
    with fresh.open("wb") as handle:
        pickle.dump([(p.things, p.asked) for p in pictures], handle)
    fresh.replace(folder / f"{chunk:04d}.pickle")
    with fresh.open("wb") as handle:
        np.save(handle, np.stack([p.image for p in pictures]))
    fresh.replace(target)


class Scenes:
    """Training scenes by number; from the cache where they are in it, else drawn (65 ms)."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._open: dict[int, tuple[NDArray[np.uint8], list[tuple[tuple[Thing, ...], tuple[Asked, ...]]]]] = {}

    def __getitem__(self, number: int) -> Picture:
        chunk, place = divmod(number, CHUNK)
        if chunk not in self._open:
            if self.folder is None or not (self.folder / f"{chunk:04d}.npy").exists():
                return drawn(FIRST_TRAINING_SEED + number)
            with (self.folder / f"{chunk:04d}.pickle").open("rb") as handle:
                rest = pickle.load(handle)
            self._open[chunk] = np.load(self.folder / f"{chunk:04d}.npy", mmap_mode="r"), rest
        images, rest = self._open[chunk]
        return Picture(np.array(images[place]), *rest[place])


@dataclass(frozen=True, eq=False)
class _Photo:
    image: NDArray[np.uint8]
    classes: tuple[str, ...]
    rings: tuple[NDArray[np.float64], ...]


class Photos:
    """NWPU VHR-10 as crops: `split` "train" or "val" (blocks of ten files, every eighth block is validation)."""

    def __init__(self, folder: Path, part: str) -> None:
        with (folder / "annotations.json").open() as handle:
            table = json.load(handle)
        names = {c["id"]: c["name"].replace("_", " ") for c in table["categories"]}
        if unknown := set(names.values()) - set(NWPU_CLASSES):
            raise ValueError(
                f"{folder / 'annotations.json'} has classes that are not NWPU VHR-10's: {sorted(unknown)}."
            )
        by_image: dict[int, list[dict]] = {}
        for a in table["annotations"]:
            by_image.setdefault(a["image_id"], []).append(a)
        self.keep = part == "val"
        self.photos: list[_Photo] = []
        self.names: list[str] = []
        for entry in sorted(table["images"], key=lambda e: e["file_name"]):
            held = int(Path(entry["file_name"]).stem) // 10 % 8 == 4
            if held != (part == "val"):
                continue
            bgr = cv2.imread(str(folder / "images" / entry["file_name"]), cv2.IMREAD_COLOR)
            if bgr is None:
                raise ValueError(f"{folder / 'images' / entry['file_name']} cannot be read as an image.")
            own = by_image.get(entry["id"], [])
            rings = tuple(np.array(a["segmentation"][0], float).reshape(-1, 2) for a in own)
            self.photos.append(
                _Photo(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), tuple(names[a["category_id"]] for a in own), rings)
            )
            self.names.append(entry["file_name"])
        self.by_class = {c: [i for i, p in enumerate(self.photos) if c in p.classes] for c in NWPU_CLASSES}

    def crop(self, rng: np.random.Generator, only: _Photo | None = None) -> Picture:
        """A random picture: a third whole, the rest crops round an object; turned, mirrored, recoloured.

        With `only`: a crop of that photo, upright and in its own colours.
        """
        options = [c for c in NWPU_CLASSES if self.by_class[c]]
        if only is not None:
            photo, category = only, only.classes[int(rng.integers(len(only.classes)))]
        elif rng.random() < 0.75:  # every class as often, not every file
            category = options[int(rng.integers(len(options)))]
            photo = self.photos[self.by_class[category][int(rng.integers(len(self.by_class[category])))]]
        else:
            photo = self.photos[int(rng.integers(len(self.photos)))]
            category = ""
        height, width = photo.image.shape[:2]
        if only is None and (rng.random() < 0.33 or not photo.rings):
            keep = rng.uniform(0.85, 1.0, 2) if rng.random() < 0.5 else np.ones(2)
            w, h = keep * (width, height)
            x, y = rng.uniform(0, 1, 2) * (width - w, height - h)
        else:
            mine = [r for r, c in zip(photo.rings, photo.classes, strict=True) if c == category] or list(photo.rings)
            ring = mine[int(rng.integers(len(mine)))]
            low, high = ring.min(0), ring.max(0)
            size = float((high - low).max())
            # the object's longest side as a share of the crop, evenly in its logarithm
            side = size / float(np.exp(rng.uniform(np.log(0.10), np.log(0.75))))
            side = float(np.clip(side, 100.0, 1.1 * max(width, height)))
            stretch = float(np.exp(rng.uniform(-0.25, 0.25)))
            w, h = min(side * stretch, width), min(side / stretch, height)
            centre = (low + high) / 2 + rng.uniform(-0.5, 0.5, 2) * np.maximum(0, (w, h) - (high - low))
            x, y = np.clip(centre - (w / 2, h / 2), 0, (width - w, height - h))
        turn = int(rng.integers(8)) if only is None else 0
        return self.cut(photo, (float(x), float(y), float(w), float(h)), turn, rng, colour=only is None)

    def whole(self, index: int) -> Picture:
        """A photo squashed to the frame as it is, without questions."""
        photo = self.photos[index]
        return self.cut(photo, (0.0, 0.0, photo.image.shape[1], photo.image.shape[0]), 0, None, colour=False)

    def cut(
        self,
        photo: _Photo,
        window: tuple[float, float, float, float],
        turn: int,
        rng: np.random.Generator | None,
        colour: bool,
    ) -> Picture:
        """The window (x, y, w, h) of a photo as a picture; `turn` 0-7: quarter turns, then mirrored. Objects cut to
        under 40 % are not annotated, and their class is not asked for."""
        x, y = round(window[0]), round(window[1])
        w, h = max(8, round(window[2])), max(8, round(window[3]))
        part = photo.image[y : y + h, x : x + w]
        h, w = part.shape[:2]
        way = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4)[int(rng.integers(3)) if rng is not None else 0]
        if w < FRAME and h < FRAME:
            way = cv2.INTER_CUBIC
        image = cv2.resize(part, (FRAME, FRAME), interpolation=way)
        image = np.rot90(image, turn % 4)
        if turn >= 4:
            image = image[:, ::-1]
        things: list[Thing] = []
        doubtful: set[str] = set()
        for category, ring in zip(photo.classes, photo.rings, strict=True):
            moved = (ring - (x, y)) * (FRAME / w, FRAME / h)
            for _ in range(turn % 4):  # counter-clockwise, as np.rot90
                moved = np.stack((moved[:, 1], FRAME - moved[:, 0]), 1)
            if turn >= 4:
                moved = np.stack((FRAME - moved[:, 0], moved[:, 1]), 1)
            low, high = np.floor(moved.min(0)).astype(int), np.ceil(moved.max(0)).astype(int)
            a, b = np.maximum(low, 0), np.minimum(high, FRAME)
            if (b <= a).any():
                continue
            mask = np.zeros((b - a)[::-1], np.uint8)
            cv2.fillPoly(mask, [np.round((moved - a - 0.5) * 16).astype(np.int32)], 1, shift=4)
            area = abs(float(cv2.contourArea(moved.astype(np.float32))))
            visible = mask.sum() / max(area, 1.0)
            if visible < 0.4 or mask.sum() < 12:
                if visible > 0.02:
                    doubtful.add(category)
                continue
            one = thing(category, mask.astype(bool), int(a[0]), int(a[1]), self.keep)
            if one is not None:
                things.append(one)
        if colour and rng is not None:
            image = recoloured(image, rng)
        asked = self.ask(rng, things, doubtful) if rng is not None else ()
        return Picture(np.ascontiguousarray(image), tuple(things), asked)

    def ask(self, rng: np.random.Generator, things: list[Thing], doubtful: set[str]) -> tuple[Asked, ...]:
        """About nine questions, plain ones for validation; a quarter of them about NWPU classes that are not there."""
        present = sorted({t.category for t in things})
        missing = [c for c in NWPU_CLASSES if c not in present and c not in doubtful] + list(
            SAFE_TO_MISS[: rng.random() < 0.3]
        )
        objects = [SceneObject(t.category, np.ones((1, t.area), bool), t.box) for t in things]
        found: dict[str, Asked] = {}
        kinds = [
            "explicit",
            "explicit",
            "explicit",
            "implicit",
            "implicit",
            "implicit",
            "spatial",
            "counting",
            "absent",
            "absent",
            "absent",
        ]
        for kind in kinds:
            if (kind != "absent" and not present) or (kind == "absent" and not missing):
                continue
            if kind == "absent":
                category = missing[int(rng.integers(len(missing)))]
                form = ("explicit", "explicit", "implicit", "implicit", "counting", "spatial")[int(rng.integers(6))]
                relation = str(rng.choice([r for r in SPATIAL if r != "nearest"])) if form == "spatial" else ""
                one = question(rng, form, category, (), relation, bool(rng.random() < 0.5), self.keep)
                one = Asked(one.text, "absent", category, (), one.reasons)
            else:
                category = present[int(rng.integers(len(present)))]
                targets = tuple(i for i, t in enumerate(things) if t.category == category)
                relation = ""
                if kind == "spatial":
                    if category in doubtful or not (
                        clear := [r for r in relations(objects, category, FRAME) if not r[2]]
                    ):
                        continue
                    relation, targets, _ = clear[int(rng.integers(len(clear)))]
                if kind == "counting" and category in doubtful:
                    continue
                one = question(rng, kind, category, targets, relation, len(targets) > 1, self.keep)
            found.setdefault(one.text, one)
        questions = list(found.values())
        return tuple(questions[k] for k in rng.permutation(len(questions)))


_HELD = {
    text.strip(" ?.!").lower()
    for pools in ((EXPLICIT, EXPLICIT_ONE, COUNTING), tuple(SPATIAL.values()), tuple(IMPLICIT.values()))
    for pool in pools
    for text in split(pool, True)
}


def question(
    rng: np.random.Generator,
    kind: str,
    category: str,
    targets: tuple[int, ...],
    relation: str,
    several: bool,
    plainly: bool = False,
) -> Asked:
    """A question about a category, in the scenes' wordings for training or in this folder's own; never in a
    wording that the scenes hold out. plainly: as it is written, neither put together from parts nor careless, as
    it is measured with."""
    own = category in WORDS and rng.random() < (0.55 if plainly else 0.65)
    if kind == "spatial":
        own = own and not plainly and relation in phrases.SPATIAL
        pool = phrases.SPATIAL[relation] if own else split(SPATIAL[relation], False)
    elif kind == "implicit":
        pool = WORDS[category].implicit if own else split(IMPLICIT[category], False)
    elif kind == "explicit":
        given = EXPLICIT_ONE if len(targets) == 1 and rng.random() < 0.5 else EXPLICIT
        pool = phrases.EXPLICIT if own else split(given, False)
    else:
        pool = phrases.COUNTING if own else split(COUNTING, False)
    pool = tuple(p for p in pool if not _held(p))
    form = pool[int(rng.integers(len(pool)))]
    freely = own and not plainly
    if freely and kind in ("explicit", "counting") and rng.random() < 0.5:
        form = phrases.composed(rng, kind == "counting")
    elif freely and kind == "implicit" and rng.random() < 0.4:
        form = phrases.loosened(rng, form)
    if _held(form):
        form = pool[int(rng.integers(len(pool)))]
    names = NAMES[category] if not own else WORDS[category].names
    one, many = names[0 if rng.random() < 0.5 else int(rng.integers(len(names)))]
    text = form.format(one=one, many=many, n=many if several else one, s=one, p=many)
    roll = rng.random()
    if roll < 0.2:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.15:
        text = text.rstrip(".?")
    plural = NAMES[category][0][1]
    reasons = {"explicit": f"{plural} are asked for by name", "counting": f"{plural} are to be counted"}.get(
        kind, REASONS[category]
    )
    if kind == "spatial":
        reasons = _wanted(plural, relation)
    return Asked(text, kind, category, targets, reasons, relation)


def reworded(one: Asked, rng: np.random.Generator) -> Asked:
    """Two times of three a scene's question in other words, as photographs are asked about; "nearest the ..." stays
    as the scene has it. The answer is the same."""
    if one.category not in WORDS or rng.random() < 1 / 3:
        return one
    plural = NAMES[one.category][0][1]
    relation = next((r for r in phrases.SPATIAL if one.reasons == _wanted(plural, r)), "")
    forms = ("explicit", "implicit", "counting")
    form = "spatial" if relation else one.kind if one.kind in forms else forms[int(rng.integers(len(forms)))]
    if one.kind == "spatial" and not relation:
        return one
    return replace(question(rng, form, one.category, one.targets, relation, len(one.targets) > 1), kind=one.kind)


def _wanted(plural: str, relation: str) -> str:
    """Why a place or a superlative picks what it picks, as the scenes say it."""
    if relation.startswith("in the"):
        return f"only {plural} {relation} are wanted"
    return f"of the {plural}, only the {'most ' * (relation == 'central')}{relation} is wanted"


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "x"


_HELD_BLANK = {text.format_map(_Blank()) for text in _HELD}


def _held(form: str) -> bool:
    """Whether the scenes hold this form out of the training."""
    return form.format_map(_Blank()).strip(" ?.!").lower() in _HELD_BLANK


def recoloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light, contrast, tint, saturation; now and then infrared-like, grey, blurred or noisy."""
    tint = np.diag(rng.uniform(0.9, 1.1, 3)) * rng.uniform(0.75, 1.3)
    grey = np.full((3, 3), 1 / 3)
    roll, blur = rng.random(), rng.random()
    keep = 0.0 if 0.05 <= roll < 0.10 else rng.uniform(0.4, 1.4)
    mix = (grey + (np.eye(3) - grey) * keep) @ tint
    if roll < 0.05:
        mix = mix[[1, 0, 2]]
    shift = 128 + rng.uniform(-25, 25) - mix @ np.full(3, 128.0)
    image = cv2.transform(np.ascontiguousarray(image), np.column_stack((mix, shift)))
    if blur < 0.08:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.2))
    elif blur < 0.14:
        noise = rng.integers(-12, 13, (FRAME // 2, FRAME, 3), dtype=np.int16)
        image = (image + np.concatenate((noise, noise[::-1]))).clip(0, 255).astype(np.uint8)
    return image
