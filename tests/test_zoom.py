"""Zooming in: a segmenter that is shown tiles of the picture too gives masks of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from think2seg import segmenter as segmenters
from think2seg.errors import QueryError
from think2seg.segmenter import SURE
from think2seg.types import Mask, Prompt
from think2seg.zoom import Zoomed, tile_of, zoomed


class Bright:
    """Sure by `whole` of bright pixels in the whole picture and by `tile` in tiles, by as much of dark ones the other
    way; on the picture's own grid. Remembers what it was shown."""

    name, about = "bright", "Sees white."

    def __init__(self, whole: float = 1.0, tile: float = 1.0, size: tuple[int, int] = (300, 400)) -> None:
        self.whole, self.tile, self.size = whole, tile, size
        self.shown: list[tuple[int, int]] = []
        self.prompts: list[Prompt] = []
        self.encoded = 0

    def encode(self, image) -> None:
        self.encoded += 1

    def segment(self, image, prompts) -> list[Mask]:
        raise AssertionError("logits were wanted")

    def logits(self, image, prompts) -> list[tuple[np.ndarray, float]]:
        assert image.flags["C_CONTIGUOUS"]
        self.shown.append(image.shape[:2])
        self.prompts += prompts
        is_whole = image.shape[:2] == self.size
        sure = self.whole if is_whole else self.tile
        grid = np.where(image[..., 0] > 128, sure, -sure).astype(np.float32)
        return [(grid, 0.9 if is_whole else 0.5) for _ in prompts]


def picture(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((300, 400, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


A, B, C = (10, 20, 40, 50), (300, 200, 320, 280), (20, 60, 390, 290)
"""In the upper left, in the lower right, and larger than any tile."""


def test_masks_are_of_the_whole_picture_and_in_order() -> None:
    image, bright = picture(A, B), Bright()
    masks = Zoomed(bright, 2).segment(image, [Prompt(box) for box in (B, C, A)])
    assert [m.prompt for m in masks] == [0, 1, 2]
    assert all(np.array_equal(m.pixels, image[..., 0] > 128) for m in masks)
    assert [m.score for m in masks] == pytest.approx([0.7, 0.9, 0.7])
    assert sorted(bright.shown) == [(167, 222), (167, 222), (300, 400)]


def test_prompts_that_share_a_tile_share_its_encoding() -> None:
    bright = Bright()
    Zoomed(bright).segment(picture(A), [Prompt(A), Prompt(A, ((20, 30),)), Prompt(None, ((20, 30),))])
    assert len(bright.shown) == 2 and len(bright.prompts) == 2 + 3


@pytest.mark.parametrize(
    ("whole", "tile", "inside"),
    [(1.0, -0.5, True), (1.0, -2.0, False), (-1.0, 2.0, True), (100.0, -SURE - 1, False), (100.0, -SURE / 2, True)],
)
def test_a_mask_is_where_both_looks_together_are_sure(whole: float, tile: float, inside: bool) -> None:
    mask = Zoomed(Bright(whole, tile)).segment(picture(A), [Prompt(A)])[0].pixels
    x1, y1, x2, y2 = A
    assert mask[y1:y2, x1:x2].all() == inside and mask[y1:y2, x1:x2].any() == inside


def test_outside_of_the_tile_the_whole_picture_counts_alone() -> None:
    mask = Zoomed(Bright(1.0, -9.0)).segment(picture(A, B), [Prompt(A)])[0].pixels
    assert mask[200:280, 300:320].all() and not mask[20:50, 10:40].any()


@pytest.mark.parametrize(
    ("prompt", "want"),
    [
        (Prompt((10, 10, 40, 40)), "upper left"),
        (Prompt((300, 200, 390, 290)), "lower right"),
        (Prompt((185, 20, 205, 40)), "upper left"),  # in both upper tiles, and as deep in both
        (Prompt((195, 20, 210, 40)), "upper right"),  # nearer the left one's edge
        (Prompt((10, 10, 40, 40), ((395, 20),)), None),  # a point far away belongs to it
        (Prompt((10, 10, 40, 40), (), ((395, 290),)), "upper left"),  # a negative one does not
        (Prompt((10, 10, 218, 40)), None),  # at the tile's edge, if not over it
        (Prompt((20, 60, 390, 290)), None),
        (Prompt(None, ((5, 5),)), None),
        (Prompt((900.0, -50.0, 950.0, -20.0)), "upper right"),  # out of the picture
    ],
)
def test_the_tile_in_which_a_box_lies_deepest(prompt: Prompt, want: str | None) -> None:
    found = tile_of(prompt, (400, 300), 2)
    assert (found and found.name) == want


def test_a_picture_too_small_to_cut_is_seen_whole() -> None:
    assert tile_of(Prompt((5, 5, 9, 9)), (40, 300), 3) is None


def test_prompts_move_with_their_tile() -> None:
    bright = Bright()
    Zoomed(bright).segment(picture(), [Prompt((300, 200, 320, 210), ((310, 205),), ((325, 200), (10, 10)))])
    x, y = 400 - 222, 300 - 167
    moved = Prompt((300 - x, 200 - y, 320 - x, 210 - y), ((310 - x, 205 - y),), ((325 - x, 200 - y),))
    assert bright.prompts[0] == moved


def test_nothing_asked_is_nothing_made() -> None:
    bright = Bright()
    assert Zoomed(bright).segment(picture(A), []) == []
    Zoomed(bright).encode(picture(A))
    assert bright.encoded == 1


def test_tiles_are_kept_like_pictures() -> None:
    """The bundled SAM 2: whole and two tiles are encoded once, and asked again not at all."""
    sam = segmenters.load("nano", device="cpu")
    image = picture(A, B)
    image[0, 0] = np.random.default_rng(5).integers(0, 255, 3)  # another picture than any other test's
    closer, before = Zoomed(sam), sam.encodings
    first = closer.segment(image, [Prompt(A), Prompt(B)])
    assert sam.encodings - before == 3
    again = closer.segment(image, [Prompt(A), Prompt(B)])
    assert sam.encodings - before == 3
    for one, other, (x1, y1, x2, y2) in zip(first, again, (A, B), strict=True):
        assert np.array_equal(one.pixels, other.pixels) and one.pixels.shape == (300, 400)
        truth = np.zeros((300, 400), bool)
        truth[y1:y2, x1:x2] = True
        assert np.count_nonzero(one.pixels & truth) > 0.8 * np.count_nonzero(one.pixels | truth)


@pytest.mark.parametrize("side", [0, -2, 5, None, True, 2.0, "2"])
def test_other_numbers_of_tiles_are_refused(side) -> None:
    with pytest.raises(QueryError, match=f"2 to 4 tiles a side, 1 the whole picture alone; '{side}' came"):
        zoomed(Bright(), side)


def test_no_zoom_is_the_segmenter_itself() -> None:
    bright = Bright()
    assert zoomed(bright, 1) is bright
    with pytest.raises(QueryError, match="One tile a side is the whole picture, which bright sees"):
        Zoomed(bright, 1)
