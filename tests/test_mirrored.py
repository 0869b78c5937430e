"""A segmenter that sees the picture mirrored as well: what it is shown, what it makes of it, and its name."""

from __future__ import annotations

import numpy as np
import pytest

from think2seg import models, segmenter, weights
from think2seg.errors import ModelError
from think2seg.mirrored import WAYS, Mirrored
from think2seg.segmenter import SURE
from think2seg.types import Prompt
from think2seg.zoom import zoomed

HEIGHT, WIDTH = 60, 100
PROMPTS = [
    Prompt((10.0, 6.0, 30.0, 18.0), ((20.0, 12.0), (12.0, 8.0)), ((50.0, 40.0),)),
    Prompt(None, ((11.0, 7.0),)),
]


class Bright:
    """Marks what is bright, as surely as it is bright; and a little of the left edge of whatever it is shown."""

    name, about = "bright", "What is bright."

    def __init__(self, edge: float = 0.0) -> None:
        self.edge = edge
        self.shown: list[np.ndarray] = []
        self.prompts: list[Prompt] = []

    def encode(self, image) -> None:
        assert image.flags["C_CONTIGUOUS"]
        self.shown.append(image)

    def segment(self, image, prompts):
        raise AssertionError("logits were wanted")

    def logits(self, image, prompts):
        self.encode(image)
        self.prompts += prompts
        grid = image[::2, ::2, 0].astype(np.float32) - 128
        grid[:, :5] += self.edge
        return [(grid.copy(), 0.2 * len(self.shown)) for _ in prompts]


def picture() -> np.ndarray:
    """Dark, with one bright rectangle at (10, 6) to (30, 18)."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    image[6:18, 10:30] = 140
    return image


def test_prompts_lie_on_the_same_thing_whichever_way_it_is_shown() -> None:
    inner = Bright()
    Mirrored("bright+mirrored", inner).segment(picture(), PROMPTS)
    assert len(inner.shown) == len(WAYS) == len({image.tobytes() for image in inner.shown})
    for way, image in enumerate(inner.shown):
        boxed, alone = inner.prompts[2 * way : 2 * way + 2]
        x1, y1, x2, y2 = (int(v) for v in boxed.box)
        assert (image[y1:y2, x1:x2] == 140).all() and (x2 - x1) * (y2 - y1) == (image[..., 0] == 140).sum()
        assert [image[int(y), int(x), 0] for x, y in (*boxed.positive, *alone.positive)] == [140] * 3
        assert [image[int(y), int(x), 0] for x, y in boxed.negative] == [120] and alone.box is None


def test_what_is_seen_alike_every_way_stays_as_it_was() -> None:
    inner = Bright()
    (plain, _score), _other = inner.logits(picture(), PROMPTS)
    found = Mirrored("m", Bright()).logits(picture(), PROMPTS)
    assert all(np.array_equal(grid, plain.clip(-SURE, SURE)) and grid.dtype == np.float32 for grid, _score in found)
    assert [score for _grid, score in found] == [pytest.approx(0.5)] * 2  # the mean of .2, .4, .6 and .8


def test_a_mistake_that_is_made_one_way_is_outvoted() -> None:
    """The left edge of what is shown is marked by mistake; of four ways two show it on the left."""
    (alone, *_), (mirrored, *_) = (
        seg.logits(picture(), PROMPTS) for seg in (Bright(12.0), Mirrored("m", Bright(12.0)))
    )
    assert (alone[0][:, :5] > 0).all()
    assert (mirrored[0][20:, :5] < 0).all() and (mirrored[0][20:, -5:] < 0).all()
    (mask, _) = Mirrored("m", Bright(12.0)).segment(picture(), PROMPTS)
    assert mask.pixels.shape == (HEIGHT, WIDTH) and mask.pixels[8:16, 12:28].all()
    assert not mask.pixels[24:].any() and mask.prompt == 0


def test_no_prompts_no_masks() -> None:
    assert Mirrored("m", Bright()).segment(picture(), []) == []


def test_the_name_opens_it_on_the_same_weights() -> None:
    nano, both = segmenter.load("nano"), segmenter.load("nano+mirrored")
    assert both.name == "nano+mirrored" and both.about.startswith(nano.about.rstrip("."))
    image = np.random.default_rng(8).integers(0, 255, (90, 120, 3), np.uint8)
    before = nano.encodings
    nano.encode(image)
    both.encode(image)
    assert nano.encodings == before + 4
    prompts = [Prompt((20.0, 20.0, 70.0, 70.0)), Prompt(None, ((50.0, 40.0),))]
    masks = both.segment(image, prompts)
    assert nano.encodings == before + 4 and [mask.prompt for mask in masks] == [0, 1]
    assert zoomed(both, 2).name == "nano+mirrored, zoom 2"


def test_a_mirrored_picture_gets_the_mirrored_mask() -> None:
    """What a single look does not promise."""
    both = segmenter.load("nano+mirrored")
    image = np.random.default_rng(9).integers(0, 90, (96, 128, 3), np.uint8)
    image[30:60, 40:90] += 120
    (mask,) = both.segment(image, [Prompt((40.0, 30.0, 90.0, 60.0))])
    flipped = np.ascontiguousarray(image[:, ::-1])
    (other,) = both.segment(flipped, [Prompt((38.0, 30.0, 88.0, 60.0))])
    assert mask.area > 1000 and np.mean(mask.pixels[:, ::-1] != other.pixels) < 1e-3
    assert mask.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize("name", ["nano+mirrored", "NANO+Mirrored"])
def test_the_registry_knows_the_name(name: str) -> None:
    entry, plain = models.find_segmenter(name), models.find_segmenter("nano")
    assert entry.name == "nano+mirrored" and entry.mirrored and not plain.mirrored
    assert entry.about.startswith(plain.about) and "four times its time" in entry.about
    assert weights.identity(entry) == weights.identity(plain) | {"name": "nano+mirrored"}
    assert weights.identities("nano", "nano+mirrored, zoom 2")["segmenter"]["source"] == "bundled"


def test_a_folder_can_be_mirrored_too_and_a_folder_of_that_name_is_itself(tmp_path) -> None:
    for folder in ("mine", "mine+mirrored"):
        (tmp_path / folder).mkdir()
        for file in ("config.json", "model.safetensors"):
            (tmp_path / folder / file).write_text("{}")
        if folder == "mine":
            entry = models.find_segmenter(str(tmp_path / "mine+mirrored"))
            assert entry.mirrored and entry.source == str((tmp_path / "mine").resolve())
    assert not models.find_segmenter(str(tmp_path / "mine+mirrored")).mirrored


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nano+mirrored+mirrored", "twice"),
        ("medium+mirrored", "'medium'.*nano.*each with .mirrored"),
        ("auto+mirrored", "'auto' chooses by itself; name the segmenter"),
    ],
)
def test_a_name_that_is_none_is_told(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        models.find_segmenter(name)
