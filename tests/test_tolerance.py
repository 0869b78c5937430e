"""Which box a segmenter rewards: on one whose answer is known, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from think2seg import datasets
from think2seg.baselines import BASELINES
from think2seg.strategy import find_strategy
from think2seg.types import Prompt
from train.cold_start import asked_of, synthesised
from train.tolerance import AREAS, SHIFTS, changed, main, markdown, placed, tolerance


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


def evaluated(folder: Path, off: float, area: float) -> Path:
    """An evaluation whose boxes are the true ones, moved by `off` of their width and `area` times as large."""
    rng = np.random.default_rng(0)
    lines = []
    for sample in datasets.load("scenes", None, "val", limit=4):
        scene, question = asked_of(sample)
        true = synthesised([scene.objects[i].mask for i in question.targets], find_strategy("box"), rng)
        size = (10**6, 10**6)  # so that no box is cut
        boxes = [changed(one, area, (off, 0), size).box for one in true]
        half = [{"box": [v / 2 for v in box]} for box in boxes]  # in a frame of half the size
        frame = [side / 2 for side in scene.image.shape[1::-1]]
        lines.append(json.dumps({"id": sample.id, "prompts": half, "frame": frame}))
    folder.mkdir()
    (folder / "samples.jsonl").write_text("\n".join(lines))
    (folder / "report.json").write_text(json.dumps({"settings": {"dataset": "scenes", "split": "val", "limit": 4}}))
    return folder


def test_boxes_of_an_evaluation_are_as_far_off_and_as_large_as_they_are(tmp_path) -> None:
    right = placed(evaluated(tmp_path / "right", 0.0, 1.0))
    assert len(right) > 3 and np.allclose(right, (0, 1), atol=1e-9)
    aside = placed(evaluated(tmp_path / "aside", 0.2, 1.5))
    assert len(aside) == len(right) and np.median(aside, axis=0) == pytest.approx((0.2, 1.5), abs=0.02)


def test_the_command_for_answers(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--answers", str(evaluated(tmp_path / "mine", 0.2, 1.5))]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| mine, ")]
    assert row.split(" | ")[2] != "0 %, –"
    assert main(["--answers", str(tmp_path)]) == 2
    assert "is no evaluation" in capsys.readouterr().err
    (tmp_path / "mine" / "report.json").write_text(json.dumps({"settings": {"dataset": "rrsis-d"}}))
    assert main(["--answers", str(tmp_path / "mine")]) == 2
    assert "scenes alone" in capsys.readouterr().err
