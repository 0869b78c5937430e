"""Zooming in: a segmenter that is given a crop round each box gives masks of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from think2seg.errors import QueryError
from think2seg.types import Mask, Prompt
from think2seg.zoom import Zoomed, window, zoomed


class Bright:
    """The bright pixels inside the box, or all of them; remembers the sizes that it was shown."""

    name, about = "bright", "Sees white."

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []
        self.prompts: list[Prompt] = []

    def encode(self, image) -> None:
        raise AssertionError("which crops are needed is not known yet")

    def segment(self, image, prompts) -> list[Mask]:
        self.shown.append(image.shape[:2])
        self.prompts += prompts
        assert image.flags["C_CONTIGUOUS"]
        masks = []
        for i, prompt in enumerate(prompts):
            pixels = image[..., 0] > 128
            if prompt.box is not None:
                inside = np.zeros_like(pixels)
                x1, y1, x2, y2 = (round(v) for v in prompt.box)
                inside[max(y1, 0) : y2, max(x1, 0) : x2] = True
                pixels = pixels & inside
            masks.append(Mask(pixels, 0.25 * (i + 1), i))
        return masks


def picture(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((300, 400, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


A, B, C = (10, 20, 40, 50), (300, 200, 320, 280), (390, 290, 400, 300)


def test_masks_are_of_the_whole_picture_and_in_order() -> None:
    image, bright = picture(A, B, C), Bright()
    masks = Zoomed(bright, 2.0).segment(image, [Prompt(box) for box in (B, C, A)])
    assert [m.prompt for m in masks] == [0, 1, 2]
    for mask, (x1, y1, x2, y2) in zip(masks, (B, C, A), strict=True):
        want = np.zeros((300, 400), bool)
        want[y1:y2, x1:x2] = True
        assert np.array_equal(mask.pixels, want)
    assert len(bright.shown) == 3 and max(max(s) for s in bright.shown) <= 160


def test_prompts_that_share_a_window_share_an_encoding() -> None:
    bright = Bright()
    masks = Zoomed(bright).segment(picture(A), [Prompt(A), Prompt(A, ((20, 30),)), Prompt(None, ((20, 30),))])
    assert len(bright.shown) == 2 and [m.score for m in masks] == [0.25, 0.5, 0.25]


@pytest.mark.parametrize(
    ("prompt", "want"),
    [
        (Prompt((100, 100, 120, 110)), (90, 85, 130, 125)),
        (Prompt((0, 0, 20, 20)), (0, 0, 30, 30)),
        (Prompt((100, 100, 120, 120), ((150, 110),)), (75, 60, 175, 160)),  # a point outside its box is seen too
        (Prompt((10, 10, 390, 290)), (0, 0, 400, 300)),
        (Prompt(None, ((5, 5),)), (0, 0, 400, 300)),
        (Prompt((50.2, 60.4, 50.9, 60.9)), (48, 58, 53, 63)),  # smaller than a pixel
        (Prompt((399.5, 299.5, 400, 300)), (397, 297, 400, 300)),
    ],
)
def test_windows(prompt: Prompt, want: tuple[int, int, int, int]) -> None:
    assert window(prompt, (400, 300), 2.0) == want


def test_a_box_outside_the_picture_gets_a_window_inside_it() -> None:
    x1, y1, x2, y2 = window(Prompt((900.0, -50.0, 950.0, -20.0)), (400, 300), 2.0)
    assert 0 <= x1 < x2 <= 400 and 0 <= y1 < y2 <= 300


def test_prompts_move_with_their_window() -> None:
    bright = Bright()
    Zoomed(bright).segment(picture(), [Prompt((100, 100, 120, 110), ((110, 105),), ((125, 100), (10, 10)))])
    assert bright.prompts == [Prompt((10, 15, 30, 25), ((20, 20),), ((35, 15),))]


def test_nothing_asked_is_nothing_done() -> None:
    bright = Bright()
    assert Zoomed(bright).segment(picture(A), []) == [] and not bright.shown
    Zoomed(bright).encode(picture(A))


@pytest.mark.parametrize("factor", [1.0, 0.0, -2.0, 21.0, float("nan"), float("inf")])
def test_other_factors_are_refused(factor: float) -> None:
    with pytest.raises(QueryError, match="above 1"):
        zoomed(Bright(), factor)


def test_no_zoom_is_the_segmenter_itself() -> None:
    bright = Bright()
    assert zoomed(bright, None) is bright
