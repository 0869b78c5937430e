"""Comparisons: what is asked and what is cut, agreement and the disagreement map, what failure and stopping cost."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from test_pipeline import Boxes

from think2seg import __main__ as command_line
from think2seg import pipeline, plate
from think2seg import prompter as prompters
from think2seg import segmenter as segmenters
from think2seg.compare import Began, Compared, Comparison, Ended, Panel, Place, Thought, compare, truth_mask
from think2seg.comparison import disagreement, share_of
from think2seg.errors import ImageError, ModelError, QueryError
from think2seg.heat import colours, grey, heat
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.strategy import STRATEGIES, Strategy
from think2seg.types import Mask, Prompt, Query

IMAGE = np.full((40, 60, 3), 90, dtype=np.uint8)
FRAME = (60, 40)
ALL = tuple(STRATEGIES)


def written(strategy: Strategy, right: int = 30) -> str:
    """One object with all that the strategy asks for; the box ends at `right`."""
    parts = []
    if strategy.box:
        parts.append(f'"bbox_2d": [10, 10, {right}, 30]')
    points = [[12, 12], [14, 14], [16, 16], [18, 18]]
    if strategy.positives:
        parts.append(f'"positive_points": {points[: strategy.positives]}')
    if strategy.negatives:
        parts.append('"negative_points": [[5, 5], [35, 35]]')
    return f"<think> One roof. </think>\n<answer>```json[{{{', '.join(parts)}}}]```</answer>"


class Asked:
    """A prompter that writes what each strategy asks for, and remembers for which it was asked."""

    name = "asked"
    about = "a script"

    def __init__(self, texts: dict[str, str | Exception] | None = None, seconds: float = 0.0) -> None:
        self.texts = texts or {}
        self.seconds = seconds
        self.asked: list[str] = []
        self.live = 0

    def write(self, query, strategy, *, stop, deadline):
        self.asked.append(strategy.name)
        text = self.texts.get(strategy.name, written(strategy))
        if self.seconds:
            text = "<think> " + "word " * 400 + str(text)
        if isinstance(text, Exception):
            raise text
        writing = ReplayPrompter(text, FRAME, seconds=self.seconds).write(query, strategy, stop=stop, deadline=deadline)
        return prompters.Writing(FRAME, self._noted(writing.pieces))

    def _noted(self, pieces):
        self.live += 1
        try:
            yield from pieces
        finally:
            self.live -= 1


class Broken(Boxes):
    def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
        raise ModelError("no memory for masks")


def missing() -> Boxes:
    raise ModelError("weights are not here")


def run(prompter=None, sizes=None, image=IMAGE, **options):
    """All events of a comparison, and what it came to."""
    sizes = sizes or {"nano": Boxes()}
    openers = {name: (lambda held=held: held) if not callable(held) else held for name, held in sizes.items()}
    events = list(compare(prompter or Asked(), openers, image, "roofs", **{"strategies": ALL, **options}))
    assert isinstance(events[-1], Compared) and not any(isinstance(e, Compared) for e in events[:-1])
    return events, events[-1].comparison


# --- what is asked, and what is cut -----------------------------------------------------------------------------------


def test_the_rich_are_asked_and_the_poor_are_cut_from_them() -> None:
    prompter, sam = Asked(), Boxes()
    events, found = run(prompter, {"nano": sam})
    assert prompter.asked == ["box+4", "box+2+neg"]
    assert [p.place.strategy for p in found.panels] == list(ALL)  # in the order they were named, whatever ran first
    cut = {p.place.strategy: p.source for p in found.panels}
    assert cut == {"box": "box+4", "points": "box+4", "box+2": "box+4", "box+4": None, "box+2+neg": None}
    assert sam.encoded == 1 + len(prompter.asked)  # the double counts calls; the real one keeps the embedding
    assert all(p.status == "done" and p.segmenter_s is not None for p in found.panels)
    assert [p.place.strategy for p in found.panels if p.prompter_s is not None] == ["box+4", "box+2+neg"]
    for panel in found.panels:
        strategy, (sent,) = STRATEGIES[panel.place.strategy], panel.result.sent
        shape = (sent.box is not None, len(sent.positive), len(sent.negative))
        assert shape == (strategy.box, strategy.positives, strategy.negatives)
    thoughts = {e.place.strategy for e in events if isinstance(e, Thought)}
    assert thoughts == {"box+4", "box+2+neg"}
    began = [(e.place.strategy, e.source) for e in events if isinstance(e, Began)]
    ended = [e.panel.place.strategy for e in events if isinstance(e, Ended)]
    assert [name for name, _ in began] == ended and len(ended) == 5


def test_a_stored_answer_spares_asking() -> None:
    prompter = Asked()
    stored = Pipeline(prompter, Boxes(), strategy="box+2+neg")(IMAGE, "roofs")
    prompter.asked.clear()
    _events, found = run(prompter, answers=[stored], strategies=["box", "points", "box+2", "box+2+neg"])
    assert prompter.asked == [] and {p.source for p in found.panels} == {"box+2+neg"}
    events, _found = run(prompter, answers=[stored])
    assert prompter.asked == ["box+4"]
    assert [r.strategy for r in events[-1].answers] == ["box+2+neg", "box+4"]
    prompter.asked.clear()
    run(prompter, answers=events[-1].answers)
    assert prompter.asked == []


def test_every_size_of_sam_cuts_from_the_same_answer() -> None:
    prompter, sizes = Asked({"box+2+neg": written(STRATEGIES["box+2+neg"], 50)}), {"nano": Boxes(), "tiny": Boxes()}
    _events, found = run(prompter, sizes)
    assert prompter.asked == ["box+4", "box+2+neg"]
    assert [str(p.place) for p in found.panels[:2]] == ["box · nano", "box · tiny"]
    by_place = {(p.place.strategy, p.place.segmenter): p for p in found.panels}
    for name in ALL:
        first, second = by_place[name, "nano"], by_place[name, "tiny"]
        assert first.result.sent == second.result.sent and second.prompter_s is None
    assert set(found.encodings) == {"nano", "tiny"}


def test_ask_each_asks_in_every_strategys_own_words() -> None:
    prompter = Asked()
    stored = Pipeline(prompter, Boxes(), strategy="box+2")(IMAGE, "roofs")
    prompter.asked.clear()
    _events, found = run(prompter, answers=[stored], ask_each=True)
    assert sorted(prompter.asked) == sorted(set(ALL) - {"box+2"})
    assert [p.source for p in found.panels if p.source] == ["box+2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategies": []}, "at least one strategy"),
        ({"strategies": ["box", "box"]}, "every strategy once"),
        ({"strategies": ["lasso"]}, "no prompt strategy called 'lasso'"),
        ({"question": "  "}, "question is empty"),
        ({"segmenters": {}}, "at least one segmenter"),
        ({"truth": np.zeros((40, 61), bool)}, "61 × 40 pixels, the picture 60 × 40"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, words: str) -> None:
    given = {"segmenters": {"nano": Boxes}, "image": IMAGE, "question": "roofs", "strategies": ALL, **options}
    prompter = Asked()
    with pytest.raises(QueryError, match=words.replace("(", r"\(")):
        list(compare(prompter, given.pop("segmenters"), given.pop("image"), given.pop("question"), **given))
    assert prompter.asked == []


@pytest.mark.parametrize("change", ["picture", "question", "prompter"])
def test_an_answer_about_something_else_is_refused(change: str) -> None:
    other = Asked()
    other.name = "another" if change == "prompter" else "asked"
    picture = IMAGE + 1 if change == "picture" else IMAGE
    stored = Pipeline(other, Boxes())(picture, "roads" if change == "question" else "roofs")
    with pytest.raises(QueryError, match="another prompter, picture or question"):
        run(answers=[stored])


# --- failing and stopping ---------------------------------------------------------------------------------------------


def test_one_panels_failure_ends_no_other() -> None:
    prompter = Asked({"box+4": "<think> Hm. </think> I would rather not."})
    _events, found = run(prompter, {"nano": Boxes(), "tiny": Boxes()})
    status = {(p.place.strategy, p.place.segmenter): p.status for p in found.panels}
    assert [k for k, v in status.items() if v != "done"] == [("box+4", "nano"), ("box+4", "tiny")]
    assert prompter.asked == ["box+4", "box+2+neg"]  # the unreadable one is not asked for a second time
    assert all(p.error is not None for p in found.panels if p.status == "failed")
    assert {p.source for p in found.panels if p.place.strategy in ("box", "points", "box+2")} == {"box+2+neg"}


def test_a_size_of_sam_that_is_not_there_costs_its_column() -> None:
    prompter = Asked()
    _events, found = run(prompter, {"large": missing, "broken": Broken(), "nano": Boxes()}, strategies=["box", "box+2"])
    status = {(p.place.strategy, p.place.segmenter): p.status for p in found.panels}
    assert [v for (_s, size), v in status.items() if size == "nano"] == ["done", "done"]
    assert {v for (_s, size), v in status.items() if size != "nano"} == {"failed"}
    assert {str(p.error) for p in found.panels if p.error} == {"weights are not here", "no memory for masks"}
    assert list(found.encodings) == ["broken", "nano"]


def test_a_prompter_that_cannot_run_costs_what_must_be_asked_only() -> None:
    prompter = Asked()
    stored = Pipeline(prompter, Boxes(), strategy="box+2")(IMAGE, "roofs")
    prompter.texts = {"box+4": ModelError("no memory"), "box+2+neg": ModelError("no memory")}
    _events, found = run(prompter, answers=[stored])
    assert [p.status for p in found.panels] == ["done", "done", "done", "failed", "failed"]


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        run(Asked({"box+4": RuntimeError("a bug")}))


def test_stop_ends_the_prompter_and_leaves_what_is_done() -> None:
    prompter, stop = Asked(seconds=60.0), threading.Event()
    stored = Pipeline(Asked(), Boxes(), strategy="box+2")(IMAGE, "roofs")
    events, told = compare(prompter, {"nano": Boxes}, IMAGE, "roofs", strategies=ALL, answers=[stored], stop=stop), []
    for event in events:
        told.append(event)
        if isinstance(event, Thought):
            stopped = time.monotonic()
            stop.set()
    assert time.monotonic() - stopped < 5 and prompter.live == 0
    found = told[-1].comparison
    assert [p.status for p in found.panels] == ["done", "done", "done", "stopped", "stopped"]
    assert found.stopped and found.panels[3].error is None and len(told[-1].answers) == 1


def test_closing_the_events_ends_the_prompter() -> None:
    prompter, before = Asked(seconds=60.0), threading.active_count()
    events = compare(prompter, {"nano": Boxes}, IMAGE, "roofs", strategies=["box"])
    assert any(isinstance(event, Thought) for event in events)  # as far as the first word
    events.close()
    end = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert prompter.live == 0 and threading.active_count() <= before


# --- agreement --------------------------------------------------------------------------------------------------------


def panels(*boxes: tuple[int, int, int, int] | None) -> tuple[Panel, ...]:
    """A panel a box, on a picture of 10 × 10; None is one that failed."""
    made = []
    for i, box in enumerate(boxes):
        place = Place("box", f"s{i}")
        if box is None:
            made.append(Panel(place, error=ModelError("no memory")))
            continue
        text = f'<think> . </think><answer>```json[{{"bbox_2d": {list(box)}}}]```</answer>'
        line = Pipeline(ReplayPrompter(text, (10, 10)), Boxes(), strategy="box")
        made.append(Panel(place, line(np.zeros((10, 10, 3), np.uint8), "x"), segmenter_s=0.1))
    return tuple(made)


QUERY = Query(np.zeros((10, 10, 3), np.uint8), "x")


def test_agreement_is_the_iou_of_each_two() -> None:
    found = Comparison(QUERY, panels((0, 0, 4, 5), (0, 0, 8, 5), None, (2, 0, 4, 5)), {})
    expected = [[1, 0.5, np.nan, 0.5], [0.5, 1, np.nan, 0.25], [np.nan] * 4, [0.5, 0.25, np.nan, 1]]
    np.testing.assert_allclose(found.agreement, expected)
    assert found.mean_agreement(0) == pytest.approx(0.5) and found.mean_agreement(1) == pytest.approx(0.375)
    assert found.mean_agreement(2) is None
    assert Comparison(QUERY, panels((0, 0, 4, 5)), {}).mean_agreement(0) is None


def test_the_disagreement_map_is_0_where_all_agree_and_1_where_they_are_split() -> None:
    found = Comparison(QUERY, panels((0, 0, 4, 10), (0, 0, 8, 10), None), {}).disagreement
    assert found.shape == (10, 10) and found.dtype == np.float32
    assert (found[:, :4] == 0).all() and (found[:, 4:8] == 1).all() and (found[:, 8:] == 0).all()
    three = Comparison(QUERY, panels((0, 0, 4, 10), (0, 0, 4, 10), (0, 0, 8, 10)), {}).disagreement
    np.testing.assert_allclose(three[:, 4:8], 2 / 3, rtol=1e-6)
    assert not disagreement([np.ones((2, 3), bool)], (3, 2)).any()


def test_a_share_may_count_those_without_a_mask() -> None:
    mask = np.array([[True, False]])
    np.testing.assert_allclose(share_of([mask, mask], (2, 1), 4), [[0.5, 0]])
    assert not share_of([], (2, 1)).any()


def test_truth_is_scored_and_must_fit(tmp_path) -> None:
    truth = np.zeros((10, 10), bool)
    truth[0:5, 0:8] = True
    found = Comparison(QUERY, panels((0, 0, 4, 5), None), {}, truth)
    assert found.truth_iou(0) == pytest.approx(0.5) and found.truth_iou(1) is None
    with pytest.raises(ValueError, match="truth"):
        Comparison(QUERY, panels((0, 0, 4, 5)), {}, truth[:5])
    Image.fromarray(truth.astype(np.uint8)).save(tmp_path / "t.png")  # 0 and 1, nearly black: above 0 counts
    assert np.array_equal(truth_mask(tmp_path / "t.png", (10, 10)), truth)
    with pytest.raises(ImageError, match=r"t.png has 10 × 10 pixels, the picture 20 × 10"):
        truth_mask(tmp_path / "t.png", (20, 10))
    (tmp_path / "t.gif").write_bytes(b"GIF89a")
    with pytest.raises(ImageError) as caught:
        truth_mask(tmp_path / "t.gif", (10, 10))
    assert str(tmp_path) not in str(caught.value) and "t.gif" in str(caught.value)


# --- the plate and the table ------------------------------------------------------------------------------------------


def test_colours_grow_lighter_and_nothing_is_covered_at_0() -> None:
    light = colours().astype(int) @ [299, 587, 114]
    assert (np.diff(light) > -500).all() and light[-1] > 3 * light[0]
    share = np.array([[0, 0.001, 0.5, 1]], np.float32)
    assert grey(share).tolist() == [[0, 1, 128, 255]]
    shown = heat(np.full((1, 4, 3), 100, np.uint8), share)
    assert shown[0, 0].tolist() == [75, 75, 75] and len({tuple(p) for p in shown[0].tolist()}) == 4


def test_the_plate_holds_every_panel_and_the_map() -> None:
    _events, found = run(
        sizes={"nano": Boxes(), "tiny": Boxes(), "large": missing}, image=np.full((400, 600, 3), 90, np.uint8)
    )
    shown = plate.plate(found)
    assert shown.dtype == np.uint8 and shown.shape[1] == 3 * (440 + 16) + 16  # one column a size of SAM
    tinted = (shown.max(axis=2).astype(int) - shown.min(axis=2) > 60).any(axis=0)
    assert tinted[:450].any() and tinted[470:900].any()
    assert plate.caption(found, 2)[1] == "failed: weights are not here"
    name, told = plate.caption(found, 0)
    assert name == "box only · SAM nano" and told.startswith("1 object, 40,000 px, SAM 0.")


def test_the_table_reads_back() -> None:
    truth = np.zeros((40, 60), bool)
    truth[10:30, 10:30] = True
    _events, found = run(sizes={"nano": Boxes(), "=HYPERLINK(1)": missing}, truth=truth)
    rows = list(csv.DictReader(io.StringIO(plate.table(found))))
    assert len(rows) == 10 and [r["strategy"] for r in rows[::2]] == list(ALL)
    first, second = rows[0], rows[1]
    assert (first["area_px"], first["truth_iou"], first["cut_from"], first["objects"]) == ("400", "1.0", "box+4", "1")
    assert float(first["iou: points nano"]) == pytest.approx(found.agreement[0, 2], abs=1e-4)
    assert float(first["mean_agreement"]) == pytest.approx(found.mean_agreement(0), abs=1e-4)
    assert second["status"] == "failed" and second["why"] == "weights are not here" and second["area_px"] == ""
    assert second["segmenter"] == "'=HYPERLINK(1)"  # no formula to a spreadsheet


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(prompters, "load", lambda name, **_options: Asked())
    monkeypatch.setattr(segmenters, "load", lambda name, **_options: missing() if name == "large" else Boxes())
    Image.fromarray(IMAGE).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def test_the_command_writes_a_plate_and_a_table(picture: str, tmp_path, capsys) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "truth.png")
    out = tmp_path / "new" / "out"
    code = command_line.main(
        ["compare", picture, "roofs", "--strategies", "box, points", "--segmenters", "nano,large", "--truth",
         str(tmp_path / "truth.png"), "--out", str(out)]
    )  # fmt: skip
    printed, said = capsys.readouterr()
    assert code == 0 and sorted(p.name for p in out.iterdir()) == ["comparison.csv", "plate.png"]
    rows = list(csv.DictReader(io.StringIO((out / "comparison.csv").read_text())))
    assert [(r["strategy"], r["segmenter"], r["status"]) for r in rows] == [
        ("box", "nano", "done"), ("box", "large", "failed"), ("points", "nano", "done"), ("points", "large", "failed"),
    ]  # fmt: skip
    assert rows[0]["truth_iou"] == "1.0" and Image.open(out / "plate.png").size[0] > 300
    assert "box only · SAM nano: 1 object, 400 px" in printed and "One roof." in said and "One roof" not in printed
    assert "box · large: failed. weights are not here" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--strategies", "box,lasso"], 2, "no prompt strategy called 'lasso'"),
        (["--strategies", "box,box"], 2, "each once"),
        (["--strategies", " , "], 2, "one name or several"),
        (["--segmenters", "huge"], 3, "no segmenter called 'huge'"),
        (["--segmenters", "large"], 3, "weights are not here"),
        (["--truth", "gone.png"], 2, "gone.png"),
    ],
)
def test_bad_input_says_what_came(picture: str, tmp_path, capsys, arguments, code: int, words: str) -> None:
    assert command_line.main(["compare", picture, "roofs", "--out", str(tmp_path / "o"), *arguments]) == code
    out, err = capsys.readouterr()
    assert words in err and out == "" and "Traceback" not in err


def test_the_real_pair_agrees_with_its_pipeline() -> None:
    """The bundled models: a cut panel is what `refine` gives, an asked one what `steps` gives."""
    from think2seg.datasets.scenes import scene

    made = scene(7, 336)
    question = next(q.text for q in made.questions if q.kind == "explicit")
    line = pipeline.load("nano", "nano")
    first = line(made.image, question)
    events = list(compare(line.prompter, {"nano": lambda: line.segmenter}, made.image, question,
                          strategies=["box", "box+2"], answers=[first]))  # fmt: skip
    found = events[-1].comparison
    assert [p.source for p in found.panels] == ["box+2", "box+2"]
    assert np.array_equal(found.panels[1].mask, first.mask)
    assert np.array_equal(found.panels[0].mask, line.refine(first, strategy="box").mask)


@pytest.mark.parametrize("shape", [(3000, 160, 3), (32, 40, 3), (160, 3000, 3)])
def test_a_plate_of_any_picture_is_of_a_size_to_look_at(shape: tuple[int, int, int]) -> None:
    _events, found = run(image=np.full(shape, 90, np.uint8), strategies=["box", "points"])
    shown = plate.plate(found)
    assert shown.shape[0] < 1200 and 500 < shown.shape[1] < 1500
