"""Procedural scenes: the same from the same seed, masks and boxes exact, every question answered as it says."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest

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
from think2seg.datasets.scenes import CATEGORIES, SMALLEST, Scene, scene

NWPU = {
    "airplane", "ship", "storage tank", "baseball diamond", "tennis court", "basketball court",
    "ground track field", "harbor", "bridge", "vehicle",
}  # fmt: skip


@lru_cache
def many() -> tuple[Scene, ...]:
    return tuple(scene(seed, 112) for seed in range(200))


def digest(s: Scene) -> str:
    h = hashlib.sha256(s.image.tobytes())
    for o in s.objects:
        h.update(repr((o.category, o.box)).encode() + o.mask.tobytes())
    h.update(repr(s.questions).encode())
    return h.hexdigest()


def wordings(unseen: bool) -> set[str]:
    """Every question that can be asked in the seen or the unseen wordings, the other category left open."""
    texts = set()
    for category, names in NAMES.items():
        texts.update(split(IMPLICIT[category], unseen))
        for pool in (EXPLICIT, EXPLICIT_ONE, COUNTING, *SPATIAL.values()):
            for template in split(pool, unseen):
                for one, plural in names:
                    for n in (one, plural):
                        texts.add(template.format(one=one, many=plural, n=n, other="*"))
    return texts


def opened(text: str) -> set[str]:
    """The text, and the text with each category's name at its end left open, as in "nearest the building"."""
    found = {text}
    for names in NAMES.values():
        name = names[0][0]
        for tail in ("", "?"):
            if text.endswith(name + tail):
                found.add(text[: len(text) - len(name + tail)] + "*" + tail)
    return found


def test_the_ten_of_nwpu_are_among_the_categories() -> None:
    assert set(CATEGORIES[:10]) == NWPU
    assert len(set(CATEGORIES)) == len(CATEGORIES) >= 20
    assert set(NAMES) == set(IMPLICIT) == set(REASONS) == set(CATEGORIES)


@pytest.mark.parametrize("seed", [0, 7, 1_000_003])
def test_a_seed_gives_one_scene_here_and_in_a_thread(seed: int) -> None:
    here = digest(scene(seed))
    with ThreadPoolExecutor(2) as pool:
        there = [digest(s) for s in pool.map(scene, [seed, seed])]
    assert there == [here, here]
    assert digest(scene(seed + 1)) != here


def test_the_phrasings_change_the_questions_alone() -> None:
    train, unseen = scene(3, phrasings="train"), scene(3, phrasings="unseen")
    assert np.array_equal(train.image, unseen.image)
    assert not {q.text for q in train.questions} & {q.text for q in unseen.questions}


def test_numpys_global_state_is_left_alone() -> None:
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    scene(11)
    assert np.array_equal(np.random.get_state()[1], before)


def test_masks_and_boxes_agree_and_objects_do_not_share_pixels() -> None:
    for s in many():
        assert s.image.shape == (112, 112, 3) and s.image.dtype == np.uint8
        assert s.objects
        total = np.zeros((112, 112), dtype=int)
        for o in s.objects:
            assert o.category in CATEGORIES
            assert o.mask.shape == (112, 112) and o.mask.dtype == np.bool_ and o.mask.sum() >= SMALLEST
            ys, xs = np.nonzero(o.mask)
            assert o.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert all(isinstance(v, float) for v in o.box)
            total += o.mask
        assert total.max() == 1


def test_an_object_is_drawn_where_its_mask_is() -> None:
    """An object's colour differs from its surroundings right at the edge of its mask."""
    import cv2

    contrasts = []
    for s in many():
        for o in s.objects:
            if o.category in ("swimming pool", "ship", "airplane", "soccer field") and o.mask.sum() > 150:
                kernel = np.ones((3, 3), np.uint8)
                inside = cv2.erode(o.mask.astype(np.uint8), kernel) > 0
                ring = (cv2.dilate(o.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~o.mask
                if inside.any() and ring.any():
                    a, b = s.image[inside].mean(axis=0), s.image[ring].mean(axis=0)
                    contrasts.append(float(np.abs(a - b).max()))
    assert len(contrasts) > 20
    assert np.median(contrasts) > 12


def test_questions_answer_as_they_say() -> None:
    for s in many():
        present = {o.category for o in s.objects}
        assert len(s.questions) >= 6
        assert len({q.text for q in s.questions}) == len(s.questions)
        for q in s.questions:
            assert q.text and q.reasons and q.category in CATEGORIES and "{" not in q.text + q.reasons
            own = tuple(i for i, o in enumerate(s.objects) if o.category == q.category)
            if q.kind == "absent":
                assert q.targets == () and q.category not in present
                assert not s.truth(q).any()
            elif q.kind == "spatial":
                assert q.targets and set(q.targets) <= set(own)
            else:
                assert q.targets == own and own
            assert s.truth(q).sum() == sum(s.objects[i].mask.sum() for i in q.targets)


def test_spatial_targets_are_where_the_words_say() -> None:
    checked = Counter[str]()
    for s in many():
        for q in s.questions:
            if q.kind != "spatial":
                continue
            boxes = {i: o.box for i, o in enumerate(s.objects) if o.category == q.category}
            x = {i: (b[0] + b[2]) / 2 for i, b in boxes.items()}
            y = {i: (b[1] + b[3]) / 2 for i, b in boxes.items()}
            area = {i: int(s.objects[i].mask.sum()) for i in boxes}
            t = q.targets
            for word, values, best in (
                ("leftmost", x, min), ("rightmost", x, max), ("topmost", y, min), ("bottommost", y, max),
                ("largest", area, max), ("smallest", area, min),
            ):  # fmt: skip
                if f"only the {word} " in q.reasons:
                    assert t == (best(values, key=lambda i, v=values: v[i]),)
                    checked[word] += 1
            for word, values, sign in (("left", x, -1), ("right", x, 1), ("upper", y, -1), ("lower", y, 1)):
                if q.reasons.startswith("only ") and word in q.reasons:
                    assert all((values[i] - 56) * sign > 0 for i in t)
                    checked[word] += 1
            if q.reasons.startswith("only ") and "half" in q.reasons:
                values, sign = (x, -1) if "left" in q.reasons else (x, 1)
                if "upper" in q.reasons or "lower" in q.reasons:
                    values, sign = (y, -1) if "upper" in q.reasons else (y, 1)
                assert set(t) == {i for i in boxes if (values[i] - 56) * sign > 0}
    assert len(checked) == 10


def test_water_and_look_alikes_are_never_disputed() -> None:
    """No one asks for a pond, in function or in vain, beside open water; no one swims where there is a pond."""
    for s in many():
        present = {o.category for o in s.objects}
        for q in s.questions:
            wet = bool(present & {"ship", "harbor", "bridge"})
            if q.category == "pond" and wet:
                assert q.kind not in ("absent", "implicit")
            if q.text in IMPLICIT["swimming pool"]:
                assert "pond" not in present and not wet
            if q.kind == "absent" and q.category == "soccer field":
                assert "ground track field" not in present


def test_every_category_occurs_and_kinds_are_balanced() -> None:
    assert {o.category for s in many() for o in s.objects} == set(CATEGORIES)
    kinds = Counter(q.kind for s in many() for q in s.questions)
    assert set(kinds) == {"explicit", "implicit", "spatial", "counting", "absent"}
    assert 0.22 < kinds["absent"] / kinds.total() < 0.33
    asked_in_vain = {q.category for s in many() for q in s.questions if q.kind == "absent"}
    assert asked_in_vain == set(CATEGORIES)


def test_held_out_wordings_are_never_trained_on() -> None:
    seen, unseen = wordings(False), wordings(True)
    assert not seen & unseen
    for pool in (EXPLICIT, COUNTING, *IMPLICIT.values()):
        assert len(set(pool)) == len(pool) >= 15 and 0.15 <= len(split(pool, True)) / len(pool) <= 0.25
    for seed in range(12):
        for q in scene(seed, 64, phrasings="train").questions:
            assert not q.unseen and opened(q.text) & seen and not opened(q.text) & unseen
        for q in scene(seed, 64, phrasings="unseen").questions:
            assert q.unseen and opened(q.text) & unseen and not opened(q.text) & seen
        for q in scene(seed, 64).questions:
            assert opened(q.text) & (unseen if q.unseen else seen)


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_size_is_the_same_scene(seed: int) -> None:
    small, large = scene(seed, 128), scene(seed, 256)
    boxes = {tuple(round(v / 2) for v in o.box) for o in large.objects if o.mask.sum() >= 40 * SMALLEST}
    for box in boxes:
        assert any(max(abs(a - b) for a, b in zip(box, o.box, strict=True)) <= 2 for o in small.objects)


@pytest.mark.parametrize(
    ("seed", "size", "phrasings", "word"),
    [(-1, 128, "all", "seed"), (0, 32, "all", "size"), (0, 128, "some", "phrasings")],
    ids=["a seed below 0", "a tiny size", "unknown phrasings"],
)
def test_what_cannot_be_drawn_is_refused(seed: int, size: int, phrasings: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        scene(seed, size, phrasings=phrasings)  # type: ignore[arg-type]
