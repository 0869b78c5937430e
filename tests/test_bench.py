"""The benchmark's arithmetic and its page. Nothing here is timed."""

from __future__ import annotations

import argparse

import pytest

from bench.__main__ import ROWS, main, markdown
from bench.measure import Bar, Outcome, paired


def test_a_ratio_is_of_neighbouring_runs_and_its_median_is_told() -> None:
    less = Outcome("ours", "theirs", Bar("at least", 3), (1.0, 2.0, 1.0), (4.0, 4.0, 5.0), turned=True)
    assert less.ratios == (4.0, 2.0, 5.0) and less.ratio == 4.0
    more = Outcome("ours", "theirs", Bar("at most", 0.5), (1.0, 2.0), (4.0, 4.0))
    assert more.ratios == (0.25, 0.5) and more.document()["held"] is True
    alone = Outcome("ours", "–", Bar("reported"), (3.0, 1.0, 2.0))
    assert alone.ratio == 2.0 and alone.document()["held"] is None and alone.document()["other"] is None


@pytest.mark.parametrize(
    ("bar", "ratio", "held"),
    [
        (Bar("at least", 3), 3.0, True),
        (Bar("at least", 3), 2.99, False),
        (Bar("at most", 1.1), 1.1, True),
        (Bar("at most", 1.1), 1.2, False),
        (Bar("reported"), 9.0, None),
    ],
)
def test_a_bar_is_held_or_not(bar: Bar, ratio: float, held: bool | None) -> None:
    assert bar.held(ratio) is held


def test_runs_are_in_turn_each_first_as_often_as_second_after_one_that_does_not_count() -> None:
    order: list[str] = []
    ours, theirs = paired(lambda: order.append("a"), lambda: order.append("b"), 4)
    assert order == ["a", "b"] + ["a", "b", "b", "a"] * 2
    assert len(ours) == len(theirs) == 4


def test_the_page_tells_a_bar_that_fell_and_a_row_that_did_not_run() -> None:
    fell = Outcome("whole answer", "the longer", Bar("at most", 1.1), (2.0,), (1.0,), notes=("one alone 1 s",))
    found = {
        "together": {
            "outcomes": [fell.document()], "memory": {"peak MiB": 1234.5}, "weights": {"small": "random weights"},
            "load": 0.1, "machine": "an abacus",
        },
        "pace": {"error": "no | beads"},
    }  # fmt: skip
    options = argparse.Namespace(quick=False, device="cpu", prompter="nano")
    page = markdown(found, options, 3.0)
    (row,) = [line for line in page.splitlines() if line.startswith("| `together`")]
    assert "| ≤ 1.1 | 2 (2–2, 1 runs) | **no** | 2 s | 1 s | 1,234 | 0.1 |" in row
    assert "did not run: no / beads" in page and "an abacus" in page and "one alone 1 s" in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_an_unknown_row_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", "rewards"])
    said = capsys.readouterr().err
    assert "'rewards'" in said and all(name in said for name in ROWS)
