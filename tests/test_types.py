"""The nouns: valid at birth, and prompts that move between frames."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from think2seg.errors import AnswerError
from think2seg.types import Answer, Completion, Mask, Prompt, Query, Result, Timing

PICTURE = np.zeros((4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6, 3), np.float32)]
)
def test_a_query_needs_an_rgb_picture(image) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Query(image, "x")


def test_a_query_needs_a_question_and_knows_its_size() -> None:
    with pytest.raises(ValueError, match="blank"):
        Query(PICTURE, " ")
    assert Query(PICTURE, "x").size == (6, 4)


@pytest.mark.parametrize("frame", [(0, 5), (5,), (5, 5, 5), (2.5, 3)])
def test_a_frame_is_two_whole_numbers(frame) -> None:
    with pytest.raises(ValueError, match="width, height"):
        Completion("", frame)


@pytest.mark.parametrize(
    ("box", "positive", "negative"),
    [
        (None, (), ()),
        (None, (), ((1, 1),)),
        ((5, 5, 5, 9), (), ()),
        ((9, 5, 5, 9), (), ()),
        ((0, 0, float("inf"), 9), (), ()),
        ((0, 0, 9), (), ()),
        (None, ((1,),), ()),
        (None, ((1, float("nan")),), ()),
    ],
)
def test_a_prompt_that_points_at_nothing_is_not_born(box, positive, negative) -> None:
    with pytest.raises(ValueError):
        Prompt(box, positive, negative)


def test_a_prompt_moves_between_frames_and_back() -> None:
    prompt = Prompt((10, 20, 30, 40), ((15, 25),), ((0, 40),))
    moved = prompt.moved((100, 50), (200, 200))
    assert moved == Prompt((20, 80, 60, 160), ((30, 100),), ((0, 160),))
    assert moved.moved((200, 200), (100, 50)) == prompt
    assert Prompt(None, ((1, 2),)).moved((10, 10), (20, 20)).box is None


def test_answers_that_differ_in_warnings_only_are_equal() -> None:
    assert Answer("a", (), ("mended",)) == Answer("a", ())
    assert Answer("a", ()).nothing_here and not Answer("a", (Prompt((0, 0, 1, 1)),)).nothing_here


def test_a_mask_is_bool_and_scored() -> None:
    pixels = np.eye(4, dtype=bool)
    assert Mask(pixels, 0.5, 0).area == 4
    assert Mask(pixels & False, 0.5, 0).window == (slice(0, 0), slice(0, 0))
    corner = np.zeros((5, 7), dtype=bool)
    corner[4, 2] = corner[1, 6] = True
    assert Mask(corner, 0.5, 0).window == (slice(1, 5), slice(2, 7))
    for bad in (
        lambda: Mask(pixels.astype(np.uint8), 0.5, 0),
        lambda: Mask(pixels, 1.5, 0),
        lambda: Mask(pixels, 0, -1),
    ):
        with pytest.raises(ValueError):
            bad()


def test_a_result_holds_together() -> None:
    prompt = Prompt((0, 0, 2, 2))
    story = {"prompter": "p", "segmenter": "s", "strategy": "box", "timing": Timing(None, None, 0.0)}
    query, completion = Query(PICTURE, "x"), Completion("", (6, 4))
    result = Result(query, completion, Answer("", ()), (), (), **story)
    assert result.mask.shape == (4, 6) and not result.mask.any()
    with pytest.raises(ValueError, match="one mask"):
        Result(query, completion, Answer("", (prompt,)), (), (), **story)
    with pytest.raises(ValueError, match="must be"):
        Result(query, completion, Answer("", (prompt,)), (Mask(np.eye(3, dtype=bool), 0, 0),), (prompt,), **story)


def test_an_answer_error_survives_a_trip_between_processes() -> None:
    error = pickle.loads(pickle.dumps(AnswerError("why", "text")))
    assert (error.why, error.text, str(error)) == ("why", "text", "why")
