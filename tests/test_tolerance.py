"""Which box a segmenter rewards: on one whose answer is known, and the command."""

from __future__ import annotations

import numpy as np
import pytest

from think2seg import datasets
from think2seg.baselines import BASELINES
from think2seg.types import Prompt
from train.tolerance import AREAS, SHIFTS, changed, main, markdown, tolerance


def test_a_prompt_is_moved_whole_and_its_box_grows_about_its_middle() -> None:
    prompt = Prompt((40.0, 40.0, 60.0, 80.0), ((50.0, 50.0), (50.0, 70.0)))
    assert changed(prompt, 1.0, (0, 0), (200, 200)) == prompt
    assert changed(prompt, 4.0, (0, 0), (200, 200)).box == (30, 20, 70, 100)
    assert changed(prompt, 1.0, (0.5, 0.25), (200, 200)) == Prompt((50, 50, 70, 90), ((60, 60), (60, 80)))
    corner = changed(prompt, 4.0, (-2.0, -2.0), (200, 200))
    assert corner.box == (0, 0, 30, 20) and corner.positive == ((10, 0), (10, 0))


def test_a_filled_box_is_best_where_it_is_tight_and_right() -> None:
    found = tolerance(BASELINES["filled-box"], datasets.load("scenes", None, "val", limit=12))
    means = {key: np.mean(ious) for key, ious in found.items()}
    assert len({len(ious) for ious in found.values()}) == 1 and len(found) == len(AREAS) * len(SHIFTS)
    assert len(found[1.0, 0.0]) > 5
    assert max(AREAS, key=lambda area: means[area, 0.0]) in (0.7, 1.0)  # a box around a slanted thing may be too large
    assert means[1.0, 0.0] > means[1.0, 0.15] > means[1.0, 0.3] > means[1.0, 0.5]
    assert means[2.0, 0.0] < means[1.0, 0.0]
    table = markdown("filled-box", found)
    assert f"{len(found[1.0, 0.0])} objects" in table and table.count("**") == 2 * len(SHIFTS)


def test_the_command(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--segmenter", "ellipse", "--limit", "3", "--out", str(tmp_path / "table.md")]) == 0
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text()
    assert main(["--segmenter", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
