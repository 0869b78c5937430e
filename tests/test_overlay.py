"""Pictures of results, on gray ground, looked at pixel by pixel."""

import numpy as np
import pytest

from think2seg.overlay import PALETTE, draw, label_map
from think2seg.types import Answer, Completion, Mask, Prompt, Query, Result, Timing

GRAY = 100


def result(prompts: list[Prompt], masks: list[np.ndarray], size: tuple[int, int] = (120, 90)) -> Result:
    image = np.full((size[1], size[0], 3), GRAY, dtype=np.uint8)
    return Result(
        query=Query(image, "where?"),
        completion=Completion("…", (840, 840)),
        answer=Answer("", tuple(prompts)),
        masks=tuple(Mask(pixels, 0.9, i) for i, pixels in enumerate(masks)),
        sent=tuple(prompts),
        prompter="p",
        segmenter="s",
        strategy="box",
        timing=Timing(None, None, 0.0),
    )


def block(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = (120, 90)) -> np.ndarray:
    mask = np.zeros((size[1], size[0]), dtype=np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask


def tinted(colour: tuple[int, int, int], opacity: float) -> list[int]:
    return [round(GRAY * (1 - opacity) + c * opacity) for c in colour]


def test_nothing_here_is_the_image_unchanged() -> None:
    empty = result([], [])
    picture = draw(empty)
    assert np.array_equal(picture, empty.query.image)
    assert not np.shares_memory(picture, empty.query.image)


def test_masks_are_tinted_and_the_ground_stays() -> None:
    one = result([Prompt((20, 20, 80, 70))], [block(30, 30, 70, 60)])
    picture = draw(one, opacity=0.5, labels=False)
    assert picture[45, 50].tolist() == tinted(PALETTE[0], 0.5)
    assert picture[85, 110].tolist() == [GRAY] * 3
    assert (one.query.image == GRAY).all(), "the source image must not be drawn on"
    assert draw(one, opacity=0.0, labels=False)[45, 50].tolist() == [GRAY] * 3
    assert draw(one, opacity=1.0, labels=False)[45, 50].tolist() == list(PALETTE[0])


def test_colours_follow_numbers_where_an_instance_was_crossed_out() -> None:
    two = result([Prompt((2, 2, 50, 80)), Prompt((60, 2, 110, 80))], [block(5, 5, 45, 75), block(65, 5, 105, 75)])
    picture = draw(two, opacity=1.0, labels=False, numbers=(1, 4))
    assert picture[45, 25].tolist() == list(PALETTE[0]) and picture[45, 85].tolist() == list(PALETTE[3])


def test_outlines_and_boxes_are_coloured_between_white() -> None:
    picture = draw(result([Prompt((20, 20, 80, 70))], [block(30, 30, 70, 60)]), opacity=0.0, labels=False)
    across = picture[45]
    for column in (20, 79, 30, 69):  # the box's first and last column, the mask's first and last
        assert across[column].tolist() == list(PALETTE[0])
        assert across[column - 1].tolist() == across[column + 1].tolist() == [255] * 3


def test_a_small_mask_lies_on_a_large_one_whatever_the_order() -> None:
    small, large = block(50, 40, 70, 60), block(20, 10, 100, 80)
    prompts = [Prompt((50, 40, 70, 60)), Prompt((20, 10, 100, 80))]
    picture = draw(result(prompts, [small, large]), labels=False)
    assert picture[50, 60].tolist() == tinted(PALETTE[0], 0.45)
    assert picture[20, 35].tolist() == tinted(PALETTE[1], 0.45)


def test_points_differ_in_shape_and_not_in_colour_alone() -> None:
    at = (60.0, 45.0)
    far = Prompt((2, 2, 8, 8))
    marks = {}
    for kind in ("positive", "negative"):
        prompt = Prompt((2, 2, 8, 8), **{kind: (at,)})
        with_point = draw(result([prompt], [block(0, 0, 0, 0)]), labels=False)
        without = draw(result([far], [block(0, 0, 0, 0)]), labels=False)
        marks[kind] = (with_point != without).any(axis=2)
        assert marks[kind][45, 60]
    disc, square = marks["positive"], marks["negative"]
    top, left = (int(v.min()) for v in np.nonzero(square))
    assert square[top, left] and not disc[top, left], "a square has a corner where a disc has none"
    signs = {}
    for kind, ground in (("positive", PALETTE[4]), ("negative", (200, 30, 30))):
        prompts = [far] * 4 + [Prompt((2, 2, 8, 8), **{kind: (at,)})]
        picture = draw(result(prompts, [block(0, 0, 0, 0)] * 5), labels=False)
        assert picture[45, 60].tolist() == picture[45, 58].tolist() == [255] * 3, "both signs have a bar across"
        signs[kind] = picture[43, 60].tolist() == [255] * 3
        assert picture[43, 58].tolist() == list(ground)
    assert signs == {"positive": True, "negative": False}, "only the plus has an upright bar"


def test_numbers_can_be_left_out() -> None:
    one = result([Prompt((20, 20, 80, 70))], [block(30, 30, 70, 60)])
    differ = (draw(one, labels=True) != draw(one, labels=False)).any(axis=2)
    rows, columns = np.nonzero(differ)
    assert differ.any() and rows.min() >= 19 and columns.min() >= 19 and rows.max() < 45 and columns.max() < 45
    two = draw(result([one.sent[0]] * 2, [one.masks[0].pixels] * 2))
    assert (two != draw(one)).any()


def test_lines_grow_with_the_image() -> None:
    def outline(size: int) -> int:
        box = Prompt((size * 0.25, size * 0.25, size * 0.75, size * 0.75))
        picture = draw(result([box], [block(0, 0, 0, 0, (size, size))], (size, size)), labels=False)
        return int((picture[size // 2, : size // 2] != GRAY).any(axis=1).sum())

    assert outline(200) == 3
    assert outline(2000) == 7


@pytest.mark.parametrize(
    ("word", "prompt"),
    [
        ("a box beyond every side", Prompt((-1e12, -5, 1e12, 1e12))),
        ("a box outside", Prompt((500, 500, 600, 600))),
        ("a box left of the image", Prompt((-50, 10, -10, 20))),
        ("points outside", Prompt((5, 5, 20, 20), ((1e9, 3), (-0.5, 3)), ((120, 90), (3, -1e9)))),
        ("points on the last pixel", Prompt(None, ((119.9, 89.9),))),
        ("a box thinner than a pixel", Prompt((5.2, 5.2, 5.3, 5.3))),
        ("a number past the corner", Prompt((119, 89, 120, 90))),
    ],
)
def test_prompts_anywhere_do_not_crash(word: str, prompt: Prompt) -> None:
    picture = draw(result([prompt], [block(0, 0, 0, 0)]))
    assert picture.shape == (90, 120, 3) and picture.dtype == np.uint8


def test_what_lies_outside_is_not_drawn() -> None:
    outside = result([Prompt((500, 500, 600, 600), ((300, 300),))], [block(0, 0, 0, 0)])
    assert np.array_equal(draw(outside, labels=False), outside.query.image)


def test_a_tiny_image_and_more_instances_than_colours() -> None:
    size = (8, 8)
    prompts = [Prompt((0, 0, 8, 8), ((4, 4),))] * 300
    picture = draw(result(prompts, [block(0, 0, 8, 8, size)] * 300, size))
    assert picture.shape == (8, 8, 3)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_outside_its_range(opacity: float) -> None:
    with pytest.raises(ValueError, match="0-1"):
        draw(result([], []), opacity=opacity)


def test_palette_is_eight_different_colours() -> None:
    assert len(set(PALETTE)) == 8


def test_label_map_has_one_number_an_instance_and_the_small_on_top() -> None:
    size = (4, 2)
    masks = [Mask(block(1, 0, 2, 1, size), 1.0, 0), Mask(block(0, 0, 3, 2, size), 1.0, 1)]
    assert label_map(masks, size).tolist() == [[2, 1, 2, 0], [2, 2, 2, 0]]
    assert label_map([], size).tolist() == [[0] * 4] * 2
    assert label_map(masks, size).dtype == np.uint8


def test_label_map_refuses_what_does_not_fit() -> None:
    mask = Mask(block(0, 0, 1, 1, (4, 2)), 1.0, 0)
    assert label_map([mask] * 255, (4, 2)).max() == 255
    with pytest.raises(ValueError, match="255 masks; 256 came"):
        label_map([mask] * 256, (4, 2))
    deep = label_map([mask] * 256, (4, 2), np.uint16)
    assert deep.dtype == np.uint16 and deep.max() == 256
    with pytest.raises(ValueError, match=r"\(4, 4\) cannot hold"):
        label_map([mask], (4, 4))
