"""Figures worked by hand: ten questions on six pictures of 10 x 10 pixels, and every figure of their report.

The segmenter fills the box, so that each answer's pixels can be counted by eye. `+` marks a point inside the truth.

| q  | image | truth          | answer                        | I  | U   | IoU       | readable        |
| -- | ----- | -------------- | ----------------------------- | -- | --- | --------- | --------------- |
| 01 | A     | 4 x 5 = 20     | that box, + +                 | 20 | 20  | 1         | yes             |
| 02 | A     | 4 x 5 = 20     | moved right by 2, + -         | 10 | 30  | 1/3       | yes             |
| 03 | B     | nothing        | nothing                       | 0  | 0   | 1         | yes             |
| 04 | B     | nothing        | 5 x 2, a false alarm          | 0  | 10  | 0         | yes             |
| 05 | B     | nothing        | unreadable                    | 0  | 0   | 0         | no              |
| 06 | C     | 10 x 10 = 100  | 10 x 6, + +                   | 60 | 100 | 0.6       | yes             |
| 07 | D     | 4 x 4 = 16     | nothing, a miss               | 0  | 16  | 0         | yes             |
| 08 | D     | 4 x 4 = 16     | unreadable                    | 0  | 16  | 0         | no              |
| 09 | E     | nothing        | nothing                       | 0  | 0   | 1         | yes             |
| 10 | F     | 2 x 5 = 10     | 2 x 4, + +, and 2 x 2 beside  | 8  | 14  | 8/14      | yes             |

Ours
- gIoU = (1 + 1/3 + 1 + 0.6 + 1 + 4/7) / 10 = 0.450476
- cIoU = (20 + 10 + 60 + 8) / (20 + 30 + 10 + 100 + 16 + 16 + 14) = 98 / 206 = 0.475728
- P@0.5 = {01, 03, 06, 09, 10} / 10, P@0.6 = {01, 03, 06, 09} / 10, from 0.7 on {01, 03, 09} / 10
- N-acc = {03, 09} of {03, 04, 05, 09} = 0.5; T-acc = {01, 02, 06, 10} of {01, 02, 06, 07, 08, 10} = 0.666667

The paper's, every question
- gIoU is the same; cIoU = 98 / 196 = 0.5 (the false alarm's 10 pixels are left out)
- Precision is over {01, 02, 03, 04, 06, 09, 10}: 5/7 = 0.714286, 4/7 = 0.571429, 3/7 = 0.428571

The paper's, one question an image in expectation (EarthReason): A and D count half, B a third each
- gIoU = ((1 + 1/3)/2 + 1/3 + 0.6 + 0 + 1 + 4/7) / 6 = 0.528571
- cIoU = (20/2 + 10/2 + 60 + 8) / (20/2 + 30/2 + 100 + 16/2 + 16/2 + 14) = 83 / 155 = 0.535484
- Precision is over weights 1/2 + 1/2 + 1/3 + 1/3 + 1 + 1 + 1 = 14/3:
  (1/2 + 1/3 + 1 + 1 + 1) / (14/3) = 0.821429, (1/2 + 1/3 + 1 + 1) / (14/3) = 0.607143,
  (1/2 + 1/3 + 1) / (14/3) = 0.392857

Geometry, over the six with a target
- points inside: 2 of 2, 1 of 2, 2 of 2, 2 of 4: 7 / 10
- box IoU: 1, 1/3, 0.6, and for 10 the mean of 8/10 and 0: (1 + 1/3 + 0.6 + 0.4) / 4 = 0.583333
- box area over truth area: 1, 1, 0.6, 12/10: mean 0.95, median 1
- mask IoU: (1 + 1/3 + 0.6 + 0 + 0 + 4/7) / 6 = 0.41746
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from evaluation_doubles import SCRIPT, TEN, Scripted

from think2seg.baselines import BASELINES
from think2seg.evaluation.contender import Answering, Loaded
from think2seg.evaluation.report import report
from think2seg.evaluation.row import Row, read_rows
from think2seg.evaluation.statistics import difference, intervals, mean_difference
from think2seg.metrics import Count

ROOT = Path(__file__).parent.parent


def rows(samples=TEN, script=SCRIPT) -> list[Row]:
    contender = Answering(Scripted(script), BASELINES["filled-box"])
    loaded = [Loaded(s, *s.load()) for s in samples]
    return contender.end(loaded, contender.begin(loaded, None), None)[""]


def test_our_protocol_to_the_last_digit() -> None:
    found = report(rows(), {"dataset": "manifest"}, {})
    assert (found["n"], found["images"], found["unreadable"], found["no_target"]) == (10, 6, 2, 4)
    assert (found["giou"], found["ciou"]) == (0.450476, 0.475728)
    assert found["precision"] == {"0.5": 0.5, "0.6": 0.4, "0.7": 0.3, "0.8": 0.3, "0.9": 0.3}
    assert (found["n_acc"], found["t_acc"]) == (0.5, 0.666667)


def test_the_papers_protocol_to_the_last_digit() -> None:
    found = report(rows(), {"dataset": "rrsis-d"}, {})["paper"]
    assert (found["giou"], found["ciou"], found["questions"]) == (0.450476, 0.5, "all")
    assert found["precision"] == {"0.5": 0.714286, "0.6": 0.571429, "0.7": 0.428571, "0.8": 0.428571, "0.9": 0.428571}


def test_the_papers_draw_of_one_question_an_image_in_expectation() -> None:
    found = report(rows(), {"dataset": "earthreason"}, {})["paper"]
    assert (found["giou"], found["ciou"]) == (0.528571, 0.535484)
    assert found["questions"] == "one an image, in expectation"
    assert found["precision"] == {"0.5": 0.821429, "0.6": 0.607143, "0.7": 0.392857, "0.8": 0.392857, "0.9": 0.392857}


def test_geometry_to_the_last_digit() -> None:
    found = report(rows(), {}, {})["geometry"]
    assert found == {
        "n": 6, "mask_iou": 0.41746, "positives": 10, "positives_inside": 0.7, "negatives": 0,
        "negatives_outside": None, "box_iou": 0.583333, "box_area": 0.95, "box_area_median": 1.0,
    }  # fmt: skip


def test_strata_hold_every_question_once() -> None:
    found = report(rows(), {}, {})["strata"]
    assert {name: value["n"] for name, value in found["level"].items()} == {"semantic": 4, "instance": 2, "absent": 4}
    assert {name: value["n"] for name, value in found["target size"].items()} == {"none": 4, "over 10 %": 6}
    assert found["level"]["instance"]["giou"] == 0.166667
    assert found["level"]["absent"]["n_acc"] == 0.5 and found["level"]["absent"]["t_acc"] is None


def test_a_row_is_the_same_after_a_line_of_json(tmp_path) -> None:
    held = rows()
    (tmp_path / "samples.jsonl").write_text("".join(row.line() + "\n" for row in held))
    assert list(read_rows(tmp_path / "samples.jsonl")) == held
    assert np.array_equal(held[1].prediction, np.pad(np.ones((5, 4), bool), ((0, 5), (2, 4))))
    assert not held[4].prediction.any() and held[4].why


def test_intervals_are_by_picture() -> None:
    """Six copies of one picture's questions are one picture: the interval is as wide as without the copies."""
    single = [Count(1, 1, 1), Count(0, 1, 1, instances=0)] * 10
    pictures = list(range(20))
    once = intervals(single, pictures)["giou"]
    six_times = intervals([c for c in single for _ in range(6)], [p for p in pictures for _ in range(6)])["giou"]
    wrongly = intervals([c for c in single for _ in range(6)], list(range(120)))["giou"]
    assert once == six_times
    assert wrongly[1] - wrongly[0] < 0.6 * (once[1] - once[0])


def test_intervals_cover_what_they_should() -> None:
    """Of 200 sets drawn with a mean of 0.3, about 95 % of the intervals hold 0.3."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        hits = rng.random(60) < 0.3
        low, high = intervals([Count(int(h), 1, 1) for h in hits], list(range(60)))["giou"]
        held += low <= 0.3 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_paired_difference_by_hand() -> None:
    a = [Count(5, 10, 10), Count(5, 10, 10), Count(0, 0, 0, instances=0)]
    b = [Count(10, 10, 10), Count(4, 10, 10), Count(0, 5, 0)]
    found = difference(a, b, ["x", "y", "z"])
    assert (found.n, found.images, found.better, found.worse) == (3, 3, 1, 2)
    assert found.giou_a == pytest.approx(2 / 3) and found.giou_b == pytest.approx(1.4 / 3)
    assert found.giou == pytest.approx(-0.2)
    assert (found.ciou_a, found.ciou_b) == (0.5, 14 / 25)
    assert found.giou_interval[0] < found.giou < found.giou_interval[1]


def test_the_signed_rank_test_tells_chance_from_change() -> None:
    rng = np.random.default_rng(2)
    assert mean_difference(rng.normal(0.1, 0.1, 40))[2] < 0.001
    assert mean_difference(rng.normal(0.0, 0.1, 40))[2] > 0.05
    assert mean_difference(np.zeros(10))[2] == 1.0


def test_nothing_is_not_a_number_in_json() -> None:
    found = report(rows(TEN[2:3]), {}, {})
    text = json.dumps(found, allow_nan=False)
    assert found["t_acc"] is None and found["intervals"]["t_acc"] == [None, None]
    assert "NaN" not in text


def test_the_documented_schema_is_the_reports() -> None:
    described = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    section = described.split("## `report.json`")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z_]+)`", section, flags=re.MULTILINE))
    assert named == set(report(rows(), {}, {}))
    section = described.split("## `samples.jsonl`")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z_]+)`", section, flags=re.MULTILINE))
    assert named == set(json.loads(rows()[0].line()))
