"""Scores on masks of four pixels, so that every figure can be checked by eye."""

import math

import numpy as np
import pytest

from think2seg.metrics import Count, PaperScores, Scores, count, intersection_union, iou


def mask(bits: str) -> np.ndarray:
    return np.array([[bit == "1" for bit in bits]])


@pytest.mark.parametrize(
    ("word", "a", "b", "both", "either", "expected"),
    [
        ("the same", "1100", "1100", 2, 2, 1.0),
        ("apart", "1100", "0011", 0, 4, 0.0),
        ("half", "1110", "0111", 2, 4, 0.5),
        ("both empty", "0000", "0000", 0, 0, 1.0),
        ("one empty", "0000", "1000", 0, 1, 0.0),
        ("both full", "1111", "1111", 4, 4, 1.0),
    ],
)
def test_iou(word: str, a: str, b: str, both: int, either: int, expected: float) -> None:
    assert intersection_union(mask(a), mask(b)) == intersection_union(mask(b), mask(a)) == (both, either)
    assert iou(mask(a), mask(b)) == expected


def test_iou_refuses_other_shapes_and_numbers() -> None:
    with pytest.raises(ValueError, match="one shape"):
        iou(mask("11"), mask("111"))
    with pytest.raises(ValueError, match="bool"):
        iou(mask("11"), np.array([[255, 0]], dtype=np.uint8))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "pred", "truth", "score", "ciou_parts", "n_acc"),
    [
        ("target, mask", "1100", "0110", 1 / 3, (1, 3), None),
        ("target, empty", "0000", "0110", 0.0, (0, 2), None),
        ("target, unreadable", None, "0110", 0.0, (0, 2), None),
        ("no target, empty", "0000", "0000", 1.0, (0, 0), 1.0),
        ("no target, false alarm", "1110", "0000", 0.0, (0, 3), 0.0),
        ("no target, unreadable", None, "0000", 0.0, (0, 0), 0.0),
    ],
)
def test_every_row_of_the_table(
    word: str, pred: str | None, truth: str, score: float, ciou_parts: tuple[int, int], n_acc: float | None
) -> None:
    scores = Scores()
    assert scores.add(None if pred is None else mask(pred), mask(truth)) == score
    assert (scores.intersection, scores.union) == ciou_parts
    assert scores.giou == score
    assert scores.unreadable == (pred is None)
    assert math.isnan(scores.n_acc) if n_acc is None else scores.n_acc == n_acc


def test_a_small_set_worked_out_by_hand() -> None:
    scores = Scores()
    scores.add(mask("1110"), mask("0111"))  # 2 / 4
    scores.add(mask("1000"), mask("1000"))  # 1 / 1
    scores.add(None, mask("1111"))  # 0 / 4
    scores.add(mask("0000"), mask("0000"))  # credited: 1
    scores.add(mask("1100"), mask("0000"))  # false alarm: 0 / 2
    assert len(scores) == 5
    assert scores.ious == [0.5, 1.0, 0.0, 1.0, 0.0]
    assert scores.giou == pytest.approx(2.5 / 5)
    assert scores.ciou == pytest.approx(3 / 11)
    assert [scores.precision(x) for x in (0.0, 0.5, 0.51, 1.0)] == [1.0, 3 / 5, 2 / 5, 2 / 5]
    assert (scores.n_acc, scores.no_target, scores.unreadable) == (0.5, 2, 1)


def test_nothing_added_is_not_a_number() -> None:
    scores = Scores()
    assert all(math.isnan(v) for v in (scores.giou, scores.ciou, scores.precision(0.5), scores.n_acc))


def test_ciou_without_a_single_pixel_is_giou() -> None:
    scores = Scores()
    scores.add(mask("00"), mask("00"))
    assert scores.ciou == 1.0
    scores.add(None, mask("00"))
    assert scores.ciou == 0.5


def test_precision_refuses_a_percentage() -> None:
    with pytest.raises(ValueError, match="0-1"):
        Scores().precision(50)


@pytest.mark.parametrize(
    ("word", "pred", "truth", "t_acc"),
    [
        ("target, mask", "1100", "0110", 1.0),
        ("target, mask elsewhere", "1000", "0110", 1.0),
        ("target, empty", "0000", "0110", 0.0),
        ("target, unreadable", None, "0110", 0.0),
        ("no target, empty", "0000", "0000", None),
    ],
)
def test_t_acc_speaks_of_targets_only(word: str, pred: str | None, truth: str, t_acc: float | None) -> None:
    scores = Scores()
    scores.add(None if pred is None else mask(pred), mask(truth))
    assert math.isnan(scores.t_acc) if t_acc is None else scores.t_acc == t_acc


@pytest.mark.parametrize(
    ("word", "sample", "giou", "ciou", "in_precision"),
    [
        ("target, mask", Count(1, 3, 2), 1 / 3, 1 / 3, True),
        ("target, empty", Count(0, 2, 2, instances=0), 0.0, 0.0, False),
        ("target, unreadable", Count(0, 2, 2, readable=False, instances=0), 0.0, 0.0, False),
        ("target, instances whose masks are empty", Count(0, 2, 2, instances=2), 0.0, 0.0, True),
        ("no target, empty", Count(0, 0, 0, instances=0), 1.0, 0.0, True),
        ("no target, false alarm", Count(0, 3, 0), 0.0, 0.0, True),
        ("no target, instances whose masks are empty", Count(0, 0, 0), 0.0, 0.0, True),
        ("no target, unreadable", Count(0, 0, 0, readable=False, instances=0), 0.0, 0.0, False),
    ],
)
def test_every_row_of_the_papers_table(word: str, sample: Count, giou: float, ciou: float, in_precision: bool) -> None:
    """Each beside a right answer of one pixel, so that a denominator shows."""
    alone = PaperScores.of([sample])
    assert alone.giou == pytest.approx(giou) and alone.ciou == pytest.approx(ciou)
    beside = PaperScores.of([sample, Count(1, 1, 1)])
    right = giou >= 0.5
    assert beside.precision[0.5] == (1.0 if right or not in_precision else 0.5)
    false_alarm_is_free = PaperScores.of([Count(0, 3, 0), Count(1, 1, 1)]).ciou
    assert false_alarm_is_free == 1.0 and Scores([Count(0, 3, 0), Count(1, 1, 1)]).ciou == 0.25


def test_a_count_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="intersection <= truth"):
        Count(3, 2, 2)
    with pytest.raises(ValueError, match="one draw for each"):
        PaperScores.of([Count(1, 1, 1)], draws=[])


def test_the_predicted_pixels_follow_from_the_others() -> None:
    assert count(mask("1110"), mask("0111")).predicted == 3
    assert count(None, mask("0111")) == Count(0, 3, 3, readable=False, instances=0)
    assert count(mask("0000"), mask("0000"), instances=2) == Count(0, 0, 0, instances=2)
