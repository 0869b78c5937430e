"""sheet.webp: twelve answers drawn by chance, the same for every model and order; hostile words as words."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import numpy as np
import pytest
from evaluation_doubles import SCRIPT, TEN, Scripted
from PIL import Image

from think2seg.baselines import BASELINES
from think2seg.errors import DatasetError
from think2seg.evaluation.contender import Answering, Loaded
from think2seg.evaluation.row import Row
from think2seg.evaluation.sheet import drawn, sheet
from think2seg.metrics import Count

BY_ID = {one.id: one for one in TEN}


def rows() -> list[Row]:
    contender = Answering(Scripted(SCRIPT), BASELINES["filled-box"])
    loaded = [Loaded(s, *s.load()) for s in TEN]
    return contender.end(loaded, contender.begin(loaded, None), None)[""]


def row(id_: str, image: str, seed: int | None = None, right: int = 0) -> Row:
    return Row(id_, image, "?", seed, {}, (10, 10), Count(right, 50, 50), text="…", thought="…")


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_chance_does_not_look_at_answers_or_order() -> None:
    asked = [row(f"q{i}", f"p{i}", right=i) for i in range(50)]
    mixed = random.Random(1).sample([replace(r, count=Count(0, 50, 50)) for r in asked], len(asked))
    found = [r.id for r in drawn(asked)]
    assert found == [r.id for r in drawn(mixed)] and len(set(found)) == 12
    assert found != [r.id for r in drawn(asked, seed=1)]
    assert found != sorted(found, key=lambda id_: int(id_[1:]))


def test_a_picture_comes_again_only_when_there_are_no_others() -> None:
    asked = [row(f"q{i}", f"p{i % 5}") for i in range(40)]
    assert sorted(r.image_id for r in drawn(asked, 5)) == ["p0", "p1", "p2", "p3", "p4"]
    assert len(drawn(asked, 7)) == 7


def test_of_several_answers_to_a_question_the_first_is_taken() -> None:
    asked = [row(f"q{i}", f"p{i}", seed) for i in range(3) for seed in range(4)]
    assert sorted((r.id, r.seed) for r in drawn(asked)) == [("q0", 0), ("q1", 0), ("q2", 0)]


def test_the_sheet_is_the_same_again_and_shows_every_panel() -> None:
    content = sheet(rows(), BY_ID)
    assert content == sheet(rows(), BY_ID)
    shown = pixels(content)
    high, wide = shown.shape[0] // 3, shown.shape[1] // 4
    for number in range(12):
        y, x = number // 4 * high, number % 4 * wide
        panel = shown[y + 20 : y + wide // 2, x + 20 : x + wide - 20]
        assert (panel.mean() < 254) == (number < 10), number  # ten pictures, and two empty places


def test_hostile_words_are_words() -> None:
    for words in ("$\\frac{", "$x$ \\", "<b>", "\u202e\x00\n\n", "", "long" * 400):
        (one,) = drawn(rows(), 1)
        assert pixels(sheet([replace(one, question=words)], BY_ID)).std() > 1


def test_a_sample_that_is_gone_is_named() -> None:
    with pytest.raises(DatasetError, match="lacks"):
        sheet(rows(), {})
