"""Edits by hand without a browser: what is refused, what SAM is asked anew, what stays, and the training row."""

# ruff: noqa: F811 - fixtures that are imported

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studio_doubles import png
from test_studio import Page, page, upload  # noqa: F401 - fixtures

from think2seg import record
from think2seg.datasets import load
from think2seg.errors import DatasetError, QueryError
from think2seg.strategy import BY_HAND, STRATEGIES, find_strategy
from think2seg.studio import edits
from think2seg.types import Prompt

POINT = {"box": None, "positive": [[10, 20]], "negative": []}


def value(page: Page, drawn: dict[str, Any], revision: int = 1) -> dict[str, Any]:
    return {"story": page.sheet.story, "revision": revision, "drawn": drawn}


def edit(page: Page, drawn: Any, revision: int = 1, question: str = "", segmenter: str = "nano") -> None:
    held = value(page, drawn, revision)
    page.run(page.desk.edit(held, page.part("held").get("value"), page.sheet, question, segmenter))


def outcome(page: Page, question: str = "") -> None:
    page.take(page.desk.outcome(page.held, page.sheet, question))


def row(page: Page) -> Any:
    return json.loads(Path(page.part("row")["value"]).read_text(encoding="utf-8"))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_a_picture_that_nobody_asked_about_is_prompted_by_hand(page: Page, upload: Path) -> None:
    page.take(page.desk.show_picture(str(upload)))
    edit(page, {"1": POINT})
    result = page.held.result
    assert (result.prompter, result.strategy, result.completion.text) == ("by hand", "by hand", "")
    assert result.sent == result.answer.prompts == (Prompt(None, ((10, 20),)),)
    assert page.prompter.calls == 0 and "prompted by hand" in page.said
    scene = page.part("canvas")["scene"]
    assert scene["edit"] == 1 and scene["story"] == page.sheet.story and not scene["objects"][0]["said"]
    again = record.from_document(record.document(result, "field.png"), result.query.image)
    assert np.array_equal(again.mask, result.mask) and again.prompter == "by hand"
    # Another SAM later: what was drawn is still sent whole.
    many = {"box": None, "positive": [[10, 20]] * 3, "negative": [[50, 60]] * 5}
    edit(page, {"1": many}, 2)
    page.run(page.desk.refine(page.held, "tiny", "box+2", False, page.sheet, value(page, {"1": many}, 2)))
    assert len(page.segmenters["tiny"].asked[-1][0].negative) == 5 and page.held.result.segmenter == "tiny"


def test_by_hand_is_no_strategy_that_can_be_asked(page: Page, upload: Path) -> None:
    assert BY_HAND.name not in STRATEGIES and find_strategy("by hand") is BY_HAND
    with pytest.raises(QueryError, match="Nobody can be asked"):
        BY_HAND.user_turn("planes")


def test_an_edit_asks_sam_for_what_changed_only(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    before = page.held.result
    moved = {"box": [100, 100, 300, 200], "positive": [], "negative": [[120, 120]]}
    edit(page, {"2": moved, "3": None, "7": POINT})
    assert page.segmenters["nano"].asked[-1] == (
        Prompt((100, 100, 300, 200), (), ((120, 120),)),
        Prompt(None, ((10, 20),)),
    )
    drawn = page.held.drawn
    assert drawn.numbers == (1, 2, 4, 7) and drawn.marks == ("model", "edited", "model", "added")
    assert np.array_equal(page.held.result.masks[2].pixels, before.masks[3].pixels)
    assert page.part("canvas")["scene"]["summary"].endswith("1 edited, 1 added by hand, 1 crossed out")
    assert page.prompter.calls == 1 and page.held.result.answer.thought == before.answer.thought
    outcome(page)
    table = page.part("table")["value"]
    assert [r[0] for r in table["data"]] == [1, 2, 4, 7] and table["data"][1][-1] == "model, edited by hand"
    calls = len(page.segmenters["nano"].asked)
    edit(page, {}, 2)  # back to what the model said: all of it is known
    assert len(page.segmenters["nano"].asked) == calls and page.held.result.sent == before.sent
    assert np.array_equal(page.held.result.mask, before.mask)


def test_what_was_drawn_is_sent_whole_whatever_the_strategy(page: Page, upload: Path) -> None:
    page.ask(upload, "planes", strategy="box+2+neg")
    drawn = {"1": {"box": None, "positive": [[50, 60]] * 3, "negative": [[9, 9]] * 4}}
    edit(page, drawn)
    page.run(page.desk.refine(page.held, "tiny", "box", False, page.sheet, value(page, drawn)))
    first, second = page.segmenters["tiny"].asked[-1][:2]
    assert len(first.positive) == 3 and len(first.negative) == 4
    assert second.box and not second.positive and not second.negative
    assert page.part("canvas")["scene"]["edit"] == 1 and page.held.drawn.marks[0] == "edited"


def test_points_outside_alone_wait_and_lose_nothing(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    edit(page, {"1": {"box": None, "positive": [], "negative": [[5, 5]]}})
    assert page.held.drawn.numbers == (2, 3, 4) and page.sheet.edit.unfinished == (1,)
    assert "1 waiting for a point inside or a box" in page.part("canvas")["scene"]["summary"]


def test_an_edit_of_another_picture_or_while_a_question_runs_changes_nothing(
    page: Page,
    upload: Path,
) -> None:
    page.ask(upload, "planes")
    old, held = value(page, {"1": None}), page.held
    page.ask(upload, "one")
    held = page.held
    page.run(page.desk.edit(old, held, page.sheet, "", "nano"))
    assert page.held is held and page.said.startswith("done in")
    steps = page.steps(upload, "slow")
    for updates in steps:
        page.take(updates)
        if page.part("canvas").get("scene", {}).get("story") != held and page.sheet.said is None:
            break
    story = page.sheet.story
    page.run(page.desk.edit({"story": story, "revision": 1, "drawn": {"1": POINT}}, None, page.sheet, "", "nano"))
    assert page.desk.sessions.running == 1 and page.segmenters["nano"].asked[-1] != (Prompt(None, ((10, 20),)),)
    steps.close()  # type: ignore[attr-defined]
    page.run(page.desk.edit({}, None, None, "", "nano"))
    assert "Upload it again" in page.said


def test_after_stop_what_was_found_can_be_edited(page: Page, upload: Path) -> None:
    steps = page.steps(upload, "planes")
    for updates in steps:
        page.take(updates)
        scene = page.part("canvas").get("scene")
        if scene and sum(o["masked"] for o in scene["objects"]) == 2:
            break
    steps.close()  # type: ignore[attr-defined]
    page.take(page.desk.stopped())
    found = len(page.sheet.said.answer.prompts)
    assert found in (2, 3) and page.sheet.said.stopped and page.sheet.said.prompter == "scripted"
    edit(page, {str(found + 1): POINT}, question="something else")
    assert len(page.held.result.masks) == found + 1 and page.held.result.query.question == "planes"
    outcome(page)
    assert row(page)["model"]["stopped"] and row(page)["query"] == "planes"


def test_sam_looks_at_a_picture_that_somebody_comes_near_to(page: Page, upload: Path) -> None:
    page.take(page.desk.show_picture(str(upload)))
    page.desk.hand.prepare(page.sheet, "nano")
    assert page.segmenters["nano"].encoded == 1 and page.segmenters["nano"].asked == []
    page.desk.hand.prepare(page.sheet, "/etc")
    page.desk.hand.prepare(None, "nano")
    assert list(page.segmenters) == ["nano"] and page.segmenters["nano"].encoded == 1


# --- what comes from a browser ----------------------------------------------------------------------------------------

HOSTILE = [
    ([], "must name its objects by number"),
    ("drawn", "must name its objects by number"),
    ({"0": POINT}, "number is 1 to 254"),
    ({"255": POINT}, "number is 1 to 254"),
    ({"-1": POINT}, "number is 1 to 254"),
    ({"1e9": POINT}, "number is 1 to 254"),
    ({"__proto__": POINT}, "number is 1 to 254"),
    ({"٣": POINT}, "number is 1 to 254"),
    ({"1": "box"}, "must hold a box and points"),
    ({"1": {**POINT, "positive": None}}, "must be a list"),
    ({"1": {**POINT, "positive": {"x": 1}}}, "must be a list"),
    ({"1": {**POINT, "positive": [[1, 2, 3]]}}, r"must be \[x, y\]"),
    ({"1": {**POINT, "positive": [["1", 2]]}}, "finite numbers"),
    ({"1": {**POINT, "positive": [[True, 2]]}}, "finite numbers"),
    ({"1": {**POINT, "positive": [[float("nan"), 2]]}}, "finite numbers"),
    ({"1": {**POINT, "positive": [[float("inf"), 2]]}}, "finite numbers"),
    ({"1": {**POINT, "positive": [[1e300, 2]]}}, "outside of the picture"),
    ({"1": {**POINT, "negative": [[-0.01, 2]]}}, "outside of the picture"),
    ({"1": {**POINT, "negative": [[2, 600.5]]}}, "outside of the picture"),
    ({"1": {**POINT, "positive": [[1, 2]] * 101}}, "101 points; at most 100"),
    ({"1": {**POINT, "positive": [[1, 2]] * 60, "negative": [[1, 2]] * 60}}, "120 points; at most 100"),
    ({"1": {**POINT, "box": [1, 2, 3]}}, r"must be \[x1, y1, x2, y2\]"),
    ({"1": {**POINT, "box": [10, 10, 10, 30]}}, "has no area"),
    ({"1": {**POINT, "box": [30, 10, 10, 30]}}, "has no area"),
    ({"1": {**POINT, "box": [0, 0, 801, 30]}}, "outside of the picture"),
    ({str(n): None for n in range(1, 102)}, "101 objects were edited; at most 100"),
]


@pytest.mark.parametrize(("drawn", "words"), HOSTILE, ids=lambda v: str(v)[:40])
def test_hostile_edits_are_refused_in_words(drawn: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words) as refused:
        edits.read({"story": 1, "revision": 1, "drawn": drawn}, (800, 600))
    assert "What is on the canvas stays" in str(refused.value)


@pytest.mark.parametrize("revision", [None, -1, 1.5, "1", True, 2**60])
def test_a_revision_is_a_whole_number(revision: Any) -> None:
    with pytest.raises(QueryError, match="revision"):
        edits.read({"story": 1, "revision": revision, "drawn": {}}, (800, 600))


@pytest.mark.parametrize("held", [None, "", [], 3, {"story": "1"}, {"story": True}])
def test_a_value_about_no_story_is_no_edit(held: Any) -> None:
    assert edits.story_of(held) is None


def test_a_refused_edit_loses_nothing(page: Page, upload: Path, caplog: pytest.LogCaptureFixture) -> None:
    page.ask(upload, "planes")
    held, sheet, scene = page.held, page.sheet, page.part("canvas")["scene"]
    edit(page, {"1": {**POINT, "positive": [[9e9, 1]]}})
    assert page.part("status")["said"]["kind"] == "error" and "outside of the picture" in page.said
    edit(page, {"1": POINT}, segmenter="/etc")
    assert "no size of SAM called '/etc'" in page.said
    assert page.held is held and page.sheet is sheet and page.part("canvas")["scene"] is scene
    assert not caplog.records
    edit(page, {"1": POINT}, 2)
    assert page.held.result.sent[0] == Prompt(None, ((10, 20),))


# --- the training row -------------------------------------------------------------------------------------------------


def test_a_training_row_is_read_back_by_the_manifest(page: Page, upload: Path, tmp_path: Path) -> None:
    page.ask(upload, "planes")
    edit(page, {"1": {"box": [100, 100, 300, 200], "positive": [[200, 150]], "negative": [[110, 190]]}, "2": None})
    outcome(page)
    held = row(page)
    assert held["image_sha256"] == hashlib.sha256(upload.read_bytes()).hexdigest()
    assert held["pixels_sha256"] == hashlib.sha256(page.held.result.query.image.tobytes()).hexdigest()
    assert (held["width"], held["height"], held["frame"], held["query"]) == (800, 600, [400, 300], "planes")
    assert held["model"]["prompter"] == "scripted" and held["model"]["text"] == page.held.result.completion.text
    assert len(held["model"]["prompts"]) == 4 and held["edited"]["crossed_out"] == [2]
    first = held["edited"]["prompts"][0]
    assert (first["number"], first["by"], first["box"]) == (1, "edited", [100, 100, 300, 200])
    assert first["in_frame"] == {"box": [50, 50, 150, 100], "positive": [[100, 75]], "negative": [[55, 95]]}
    root = tmp_path / "set"
    root.mkdir()
    (root / "manifest.jsonl").write_text(Path(page.part("row")["value"]).read_text(encoding="utf-8"))
    (root / "field.png").write_bytes(upload.read_bytes())
    (sample,) = load("manifest", root, "all")
    pixels, truth = sample.load()
    assert sample.question == "planes" and np.array_equal(pixels, page.held.result.query.image)
    assert np.array_equal(truth, page.held.result.mask)
    png(root / "field.png", 801, 600)
    with pytest.raises(DatasetError, match="SHA-256"):
        sample.load()


def test_a_training_row_of_nothing_has_no_target(page: Page, upload: Path, tmp_path: Path) -> None:
    page.ask(upload, "nothing")
    assert row(page)["level"] == "absent" and "mask" not in row(page)
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row(page)))
    (tmp_path / "field.png").write_bytes(upload.read_bytes())
    (sample,) = load("manifest", tmp_path, "all")
    assert not sample.load()[1].any() and sample.strata["level"] == "absent"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"size": [3, 3], "counts": [9]}, "run lengths for"),
        ([], "were expected"),
        ([{"size": [600, 800], "counts": [1, 2]}], "480000 pixels were expected"),
    ],
)
def test_broken_run_lengths_in_a_manifest_are_named(tmp_path: Path, mask: Any, words: str) -> None:
    png(tmp_path / "a.png")
    line = {"image": "a.png", "mask": mask, "query": "planes"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line))
    (sample,) = load("manifest", tmp_path, "all")
    with pytest.raises(DatasetError, match=f"line 1: 'mask' cannot be read: .*{words}"):
        sample.load()


def test_a_row_by_hand_waits_for_its_question(page: Page, upload: Path) -> None:
    page.take(page.desk.show_picture(str(upload)))
    edit(page, {"1": POINT})
    outcome(page)
    assert "needs the question" in page.part("row_words")["said"]["words"] and not page.part("row")["interactive"]
    page.take(page.desk.hand.row(page.held, page.sheet, " the tank "))
    assert row(page)["query"] == "the tank" and row(page)["model"] is None and page.part("row")["interactive"]
    edit(page, {"1": {"box": None, "positive": [], "negative": [[3, 3]]}}, 2)
    page.take(page.desk.hand.row(page.held, page.sheet, "the tank"))
    assert "Object 1 has no mask yet" in page.part("row_words")["said"]["words"]


def test_the_table_waits_for_the_last_of_a_row_of_clicks(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    edit(page, {"1": POINT}, 1)
    held, sheet = page.held, page.sheet
    edit(page, {"1": None}, 2)
    assert page.desk.parts.table not in page.desk.outcome(held, sheet, "")
    assert page.desk.parts.table in page.desk.outcome(page.held, page.sheet, "")
