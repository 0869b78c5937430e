"""The lab's handlers without a browser: comparing, truth masks, stopping, samples that vote, and what is refused."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image
from studio_doubles import HOSTILE, Ellipses, Scripted, example, png

from think2seg.errors import ModelError
from think2seg.segmenter import Segmenter
from think2seg.strategy import STRATEGIES
from think2seg.studio import build
from think2seg.studio.bench import Bench, layer_size
from think2seg.studio.lab_handlers import Stops, followed
from think2seg.zoom import zoomed

ALL = list(STRATEGIES)


class Page:
    """A page with doubles for models, and what the lab's parts show after the handlers' updates."""

    def __init__(self, folder: Path) -> None:
        self.prompter = Scripted()
        self.segmenters: dict[str, Ellipses] = {}
        self.missing: set[str] = set()
        self.demo = build(self._open_prompter, self._open_segmenter, folder / "examples", "nano", "nano")
        self.lab, self.poll, self.desk = self.demo.lab, self.demo.poll, self.demo.desk
        self.shown: dict[Any, dict[str, Any]] = {}
        self.answers: tuple[Any, ...] = ()

    def _open_prompter(self, name: str) -> Scripted:
        if name in self.missing:
            raise ModelError(f"the weights of {name} are not here")
        return self.prompter

    def _open_segmenter(self, name: str, zoom: int = 1) -> Segmenter:
        if name in self.missing:
            raise ModelError(f"the weights of {name} are not here")
        return zoomed(self.segmenters.setdefault(name, Ellipses(name)), zoom)

    def take(self, updates: dict[Any, Any]) -> None:
        for part, update in updates.items():
            is_update = isinstance(update, dict) and update.get("__type__") == "update"
            self.shown.setdefault(part, {}).update(update if is_update else {"value": update})
        self.answers = self.shown.get(self.lab.parts.answers, {}).get("value", self.answers)

    def ask(self, path: Path, question: str, strategy: str = "box+2") -> Any:
        """The main desk's answer, as the session holds it."""
        for updates in self.desk.ask(str(path), None, question, "nano", "nano", strategy, True):
            self.take(updates)
        return self.shown[self.desk.parts.held]["value"]

    def steps(self, path: Path | None, question: Any, **other: Any) -> Iterator[dict[Any, Any]]:
        options: dict[str, Any] = {
            "prompter": "nano", "strategies": ALL, "segmenters": ["nano"], "negatives": True, "ask_each": False,
            "truth": None, "held": None, "answers": self.answers,
        }  # fmt: skip
        return self.lab.compare(None if path is None else str(path), None, question, **{**options, **other})

    def compare(self, path: Path | None, question: Any, **other: Any) -> None:
        for updates in self.steps(path, question, **other):
            self.take(updates)

    def sampled(self, path: Path, question: Any, **other: Any) -> Iterator[dict[Any, Any]]:
        options: dict[str, Any] = {
            "prompter": "nano", "segmenter": "nano", "strategy": "box+2", "negatives": True, "number": 4,
            "temperature": 1.0, "seed": 0, "held": None,
        }  # fmt: skip
        return self.poll.ask(str(path), None, question, **{**options, **other})

    def draw(self, path: Path, question: Any, **other: Any) -> None:
        for updates in self.sampled(path, question, **other):
            self.take(updates)

    def said(self, room: Any = None) -> dict[str, str]:
        return self.shown[(room or self.lab).parts.status]["said"]

    def bench(self, room: Any = None) -> dict[str, Any]:
        return self.shown.get((room or self.lab).parts.bench, {}).get("bench", {"panels": [], "table": None})

    def panels(self, room: Any = None) -> dict[str, dict[str, Any]]:
        return {panel["key"]: panel for panel in self.bench(room)["panels"]}

    def file(self, part: str) -> Path:
        return Path(self.shown[getattr(self.lab.parts, part)]["value"])


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    example(tmp_path / "examples")
    return Page(tmp_path)


@pytest.fixture
def upload(page: Page) -> Path:
    return png(Path(get_upload_folder()) / "field.png")


@pytest.fixture(scope="module")
def doorstep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    """One page and a picture for all inputs that are refused at the door."""
    folder = tmp_path_factory.mktemp("doorstep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield Page(folder), png(Path(get_upload_folder()) / "field.png")


def truth(width: int = 800, height: int = 600) -> Path:
    """A mask of the left half."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    path = Path(get_upload_folder()) / "truth.png"
    Image.fromarray(mask).save(path)
    return path


# --- comparing --------------------------------------------------------------------------------------------------------


def test_five_strategies_become_five_panels_and_a_map(page: Page, upload: Path) -> None:
    kinds: list[list[str]] = []
    pictures, thoughts = set(), []
    for updates in page.steps(upload, "thoughtful"):
        page.take(updates)
        bench = page.bench()
        if bench["panels"]:
            kinds.append([panel["kind"] for panel in bench["panels"]])
            pictures.add(bench["image"] and bench["image"]["file"])
        live = page.shown.get(page.lab.parts.bench, {}).get("live", {})
        if live.get("key") == "box+4 · nano":
            thoughts.append(live["thought"])
    assert len(pictures - {None}) == 1  # one picture for all panels
    assert kinds[0].count("waiting") >= 4 and kinds[-1] == ["done"] * 5 + ["map"]
    assert any("busy" in row for row in kinds) and any({"done", "waiting"} <= set(row) for row in kinds)
    assert len(set(thoughts)) >= 3 and thoughts == sorted(thoughts, key=len)  # it streams
    assert [name for name, _seed in page.prompter.asked] == ["box+4", "box+2+neg"]
    panels = page.panels()
    assert "asked again" in panels["box+4 · nano"]["words"]
    assert "cut from the answer to “box + 4 points”" in panels["box · nano"]["words"]
    assert "asked" not in panels["box · nano"]["words"] and "model" not in panels["box · nano"]["words"]
    assert panels["points · nano"]["objects"][0]["box"] is None and len(panels["box · nano"]["objects"]) == 4
    labels = np.asarray(Image.open(panels["box · nano"]["labels"]))
    assert sorted(np.unique(labels)) == [0, 1, 2, 3, 4]
    heat = np.asarray(Image.open(panels["disagreement"]["heat"]))
    assert heat.shape == (600, 800) and 0 < (heat > 0).mean() < 0.5
    assert page.said() == {"kind": "done", "words": page.said()["words"]} and "5 of 5" in page.said()["words"]
    assert page.shown[page.lab.parts.run]["interactive"] and not page.shown[page.lab.parts.stop]["interactive"]


def test_the_plate_and_the_table_can_be_opened_again(page: Page, upload: Path) -> None:
    page.compare(upload, "one", segmenters=["nano", "tiny"], truth=str(truth()))
    rows = list(csv.DictReader(io.StringIO(page.file("csv").read_text())))
    assert [(r["strategy"], r["segmenter"]) for r in rows] == [(s, n) for s in ALL for n in ("nano", "tiny")]
    shown = page.bench()["table"]
    assert shown["headers"][-1] == "IoU with the truth"
    assert [row[-1] for row in shown["rows"]] == [f"{float(r['truth_iou']):.3f}" for r in rows]
    assert [row[6].replace(",", "") for row in shown["rows"]] == [r["area_px"] for r in rows]
    pairs = page.bench()["pairs"]
    assert len(pairs["rows"]) == 10 and len(pairs["headers"]) == 11 and pairs["rows"][3][4] == "1.000"
    plate = Image.open(page.file("plate"))
    assert plate.format == "PNG" and plate.size[0] > 800 and plate.size[1] > 2000
    assert page.panels()["truth"]["kind"] == "map"


def test_what_a_person_drew_is_not_taken_for_the_models_answer(page: Page, upload: Path) -> None:
    held = page.ask(upload, "roofs", "box+2")
    answered = held.answer.answer.prompts
    drawn = replace(held.result, answer=replace(held.result.answer, prompts=()), masks=(), sent=())
    page.compare(upload, "roofs", held=replace(held, result=drawn), strategies=["box"])
    (result,) = page.answers
    assert page.prompter.calls == 1 and result.answer.prompts == answered
    alone = replace(held, result=drawn, answer=None)  # prompted by hand, and never asked
    page.answers = ()
    page.compare(upload, "roofs", held=alone, strategies=["box"])
    assert page.prompter.calls == 2


def test_the_desks_answer_and_the_last_comparisons_are_not_asked_for_again(page: Page, upload: Path) -> None:
    held = page.ask(upload, "roofs", "box+2+neg")
    page.prompter.asked.clear()
    page.compare(upload, "roofs", held=held)
    assert page.prompter.asked == [("box+4", None)]
    assert "from the answer that was there" in page.panels()["box+2+neg · nano"]["words"]
    page.compare(upload, "  roofs ", held=held, segmenters=["tiny"])
    assert page.prompter.asked == [("box+4", None)] and "5 of 5" in page.said()["words"]
    # Another question, another picture: neither answer counts.
    page.compare(upload, "one", held=held, strategies=["box"])
    assert page.prompter.asked[1:] == [("box", None)]
    other = png(upload.parent / "other.png", 500, 400)
    page.compare(other, "one", strategies=["box"])
    assert len(page.prompter.asked) == 3


def test_an_answer_of_other_views_is_another_answer(page: Page, upload: Path) -> None:
    for updates in page.desk.ask(str(upload), None, "planes", "nano", "nano", "box+2", True, "tiles"):
        page.take(updates)
    held = page.shown[page.desk.parts.held]["value"]
    assert page.prompter.calls == 5
    page.compare(upload, "planes", held=held, strategies=["box+2"], views="tiles")
    assert page.prompter.calls == 5 and "5 of 5" not in page.said()["words"]
    page.compare(upload, "planes", held=held, strategies=["box+2"], views="whole")
    assert page.prompter.calls == 6
    page.compare(upload, "planes", strategies=["box+2"], views="mosaic")
    assert page.said() == {"kind": "error", "words": "There are no views called 'mosaic'. Known: auto, whole, tiles."}
    page.draw(upload, "planes", held=held, number=2, views="tiles")
    assert page.prompter.calls == 6 + 2 * 5


def test_panels_and_samples_look_as_close_as_the_desk_does(page: Page, upload: Path) -> None:
    page.compare(upload, "planes", strategies=["box+2"], zoom=2)
    assert list(page.panels()) == ["box+2 · nano, zoom 2"]
    assert next(csv.DictReader(io.StringIO(page.file("csv").read_text())))["segmenter"] == "nano, zoom 2"
    assert len(page.segmenters["nano"].asked) > 4  # one an object, and besides where it lies in a tile
    before = len(page.segmenters["nano"].asked)
    page.draw(upload, "planes", number=2, zoom=2)
    assert len(page.segmenters["nano"].asked) > before + 2 * 4
    page.compare(upload, "planes", strategies=["box+2"], zoom=0)
    assert page.said()["kind"] == "error" and "1 the whole picture alone; '0' came" in page.said()["words"]


def test_ask_each_asks_for_all(page: Page, upload: Path) -> None:
    page.compare(upload, "one", ask_each=True)
    assert sorted(name for name, _ in page.prompter.asked) == sorted(ALL)


def test_one_panels_failure_does_not_end_the_others(page: Page, upload: Path) -> None:
    page.missing = {"tiny"}
    page.compare(upload, "moody", segmenters=["tiny", "nano"])
    panels = page.panels()
    assert {k for k, v in panels.items() if v["kind"] == "failed"} == {"box+4 · nano"} | {f"{s} · tiny" for s in ALL}
    assert panels["box · tiny"]["words"] == "the weights of tiny are not here"
    assert panels["box · nano"]["kind"] == "done" and "4 of 10 panels done" in page.said()["words"]
    assert len(list(csv.DictReader(io.StringIO(page.file("csv").read_text())))) == 10


def test_a_prompter_that_is_not_there_costs_only_what_must_be_asked(page: Page, upload: Path) -> None:
    held = page.ask(upload, "one", "box+2")
    page.missing = {"Think2Seg-RS-3B"}
    page.compare(upload, "one", held=held, prompter="Think2Seg-RS-3B")
    kinds = {k: v["kind"] for k, v in page.panels().items()}
    assert [kinds[f"{s} · nano"] for s in ALL] == ["done", "done", "done", "failed", "failed"]
    page.compare(upload, "one", prompter="Think2Seg-RS-3B", answers=())
    assert page.said() == {"kind": "error", "words": "the weights of Think2Seg-RS-3B are not here"}


def test_our_own_faults_are_logged_and_not_shown(page: Page, upload: Path, caplog: pytest.LogCaptureFixture) -> None:
    page.compare(upload, "bug")
    assert page.said()["kind"] == "error" and "log has the details" in page.said()["words"]
    assert "a secret of the server" in caplog.text and "secret" not in str(page.shown)
    assert page.shown[page.lab.parts.run]["interactive"]


def test_what_the_model_wrote_stays_text(page: Page, upload: Path) -> None:
    page.compare(upload, "hostile", strategies=["box"])
    panel = page.panels()["box · nano"]
    assert HOSTILE.split("<think>")[0].strip() in panel["thought"] and "evil" not in panel["words"]


@pytest.mark.parametrize(
    ("question", "options", "words"),
    [
        ("", {}, "question is empty"),
        (["planes"], {}, "question is empty"),
        ("planes", {"strategies": []}, "No strategy is chosen"),
        ("planes", {"strategies": "box"}, "No strategy is chosen"),
        ("planes", {"strategies": ["box", "lasso"]}, "no strategy called 'lasso'"),
        ("planes", {"strategies": ["box", "box"]}, "came twice"),
        ("planes", {"strategies": [["box"]]}, "no strategy called"),
        ("planes", {"segmenters": []}, "No size of SAM is chosen"),
        ("planes", {"segmenters": ["../assets"]}, "no size of SAM called '../assets'"),
        ("planes", {"prompter": "/etc"}, "no prompter called '/etc'"),
        ("planes", {"truth": "/etc/passwd"}, "was not uploaded here"),
    ],
)
def test_inputs_are_checked_in_the_handler(
    doorstep: tuple[Page, Path], question: Any, options: dict[str, Any], words: str
) -> None:
    page, upload = doorstep
    page.compare(upload, question, **options)
    assert words in page.said()["words"] and page.said()["kind"] == "error"
    assert page.prompter.calls == 0 and page.shown[page.lab.parts.run]["interactive"]


def test_without_a_picture_it_says_so(page: Page) -> None:
    page.compare(None, "planes")
    assert "no picture yet" in page.said()["words"]


# --- a truth mask -----------------------------------------------------------------------------------------------------


def test_a_truth_mask_of_another_size_is_refused_and_loses_nothing(page: Page, upload: Path) -> None:
    page.compare(upload, "one", strategies=["box"])
    before = page.bench()
    page.take(page.lab.judge(str(truth(400, 300)), str(upload), None))
    words = (
        "The truth mask truth.png has 400 × 300 pixels, the picture 800 × 600. Save the mask at the picture's own size."
    )
    assert page.said() == {"kind": "error", "words": words} and page.bench() is before
    calls = page.prompter.calls
    page.compare(upload, "one", strategies=["box"], truth=str(truth(400, 300)))
    assert page.said()["words"] == words and page.prompter.calls == calls and page.bench() is before
    page.take(page.lab.judge(str(truth()), str(upload), None))
    assert page.said() == {"kind": "done", "words": "The truth mask truth.png marks 50 % of the picture."}


def test_what_is_no_mask_is_told_without_the_servers_paths(page: Page, upload: Path, tmp_path: Path) -> None:
    words = Path(get_upload_folder()) / "words.png"
    words.write_text("hello")
    for path, said in ((words, "words.png"), (tmp_path / "private.png", "was not uploaded here")):
        page.take(page.lab.judge(str(path), str(upload), None))
        assert said in page.said()["words"] and str(tmp_path) not in page.said()["words"]
    empty = Path(get_upload_folder()) / "empty.png"
    Image.fromarray(np.zeros((600, 800), np.uint8)).save(empty)
    page.take(page.lab.judge(str(empty), str(upload), None))
    assert "nothing: there is no target" in page.said()["words"]
    page.take(page.lab.judge(str(empty), None, None))
    assert "once there is one" in page.said()["words"]
    page.take(page.lab.judge(None, str(upload), None))
    assert page.said()["words"] == ""


# --- stopping ---------------------------------------------------------------------------------------------------------


def until(page: Page, steps: Iterator[dict[Any, Any]], condition: Any) -> None:
    for updates in steps:
        page.take(updates)
        if condition():
            return
    raise AssertionError("it was over before that")


@pytest.mark.parametrize("question", ["slow", "silent"])
def test_stop_leaves_what_is_done_and_frees_the_model(page: Page, upload: Path, question: str) -> None:
    held = page.ask(upload, "one", "box+2")
    held.result.query.__dict__["question"] = question  # as if it had been asked about that
    request = SimpleNamespace(session_hash="s1")
    page.take(page.lab.wait(request))
    steps = page.steps(upload, question, held=held, request=request)
    until(page, steps, lambda: page.panels().get("box+4 · nano", {}).get("kind") == "busy")
    assert page.lab.sessions.running == 1
    other = SimpleNamespace(session_hash="s2")
    page.lab.stop(other)
    began = time.monotonic()
    page.take(page.lab.stop(request))
    for updates in steps:
        page.take(updates)
    assert time.monotonic() - began < 5 and page.prompter.ended.wait(1.0) and page.lab.sessions.running == 0
    kinds = [page.panels()[f"{s} · nano"]["kind"] for s in ALL]
    assert kinds == ["done", "done", "done", "stopped", "stopped"]
    assert page.said()["kind"] == "stopped" and "3 of 5 panels done; what is done stays" in page.said()["words"]
    assert page.shown[page.lab.parts.run]["interactive"]
    assert [r["status"] for r in csv.DictReader(io.StringIO(page.file("csv").read_text()))].count("stopped") == 2
    page.compare(upload, "one", strategies=["box"], request=request)  # the last stop does not outlive its comparison
    assert "1 of 1 panels done" in page.said()["words"]


def test_stopped_while_it_waits_it_never_begins(page: Page, upload: Path) -> None:
    request = SimpleNamespace(session_hash="s1")
    page.take(page.lab.wait(request))
    page.take(page.lab.stop(request))
    assert "leaves the queue when its turn comes" in page.said()["words"]
    page.compare(upload, "planes", request=request)
    assert page.prompter.calls == 0 and page.said()["kind"] == "stopped"


def test_a_closed_tab_ends_the_model(page: Page, upload: Path) -> None:
    steps = page.steps(upload, "slow")
    until(page, steps, lambda: page.panels().get("box+4 · nano", {}).get("kind") == "busy")
    steps.close()  # type: ignore[attr-defined]
    assert page.prompter.ended.wait(2.0) and page.lab.sessions.running == 0


def test_work_that_does_not_listen_is_left_behind() -> None:
    stop, released = threading.Event(), threading.Event()

    def work(_halt: threading.Event, tell: Any) -> None:
        tell("a")
        released.wait(20)

    told: list[Any] = []
    for batch in followed(work, stop):
        told += batch
        stop.set()
        began = time.monotonic()
        break
    for _batch in followed(work, stop):  # a stop that is set already
        raise AssertionError("it must not begin")
    stop.clear()
    steps = followed(work, stop)
    next(steps)
    stop.set()
    began = time.monotonic()
    list(steps)
    assert time.monotonic() - began < 1.5 and told == ["a"]
    released.set()


def test_stops_belong_to_their_session() -> None:
    stops, one, two = Stops(), SimpleNamespace(session_hash="a"), SimpleNamespace(session_hash="b")
    first, second = stops.expect(one), stops.taken(two)
    stops.set(one)
    assert first.is_set() and not second.is_set() and stops.taken(one) is first
    stops.forget(one, second)
    assert stops.taken(one) is first
    stops.forget(one, first)
    assert stops.taken(one) is not first


# --- how sure ---------------------------------------------------------------------------------------------------------


def test_samples_stream_and_vote(page: Page, upload: Path) -> None:
    heats = set()
    for updates in page.sampled(upload, "chance"):
        page.take(updates)
        heats.add(page.panels(page.poll).get("votes", {}).get("heat"))
    assert page.prompter.asked == [("box+2", None), ("box+2", 0), ("box+2", 1), ("box+2", 2), ("box+2", 3)]
    panels = page.panels(page.poll)
    kinds = [panels[k]["kind"] for k in ("greedy", "votes", "sample-1", "sample-2", "sample-3", "sample-4")]
    assert kinds == ["done", "map", "done", "done", "done", "failed"]
    assert [panels[f"sample-{i}"]["thought"].strip()[:6] for i in (1, 2, 3)] == ["Draw 0", "Draw 1", "Draw 2"]
    assert panels["sample-1"]["words"] == "nothing here" and "cannot be read" in panels["sample-4"]["words"]
    assert page.said(page.poll)["words"].endswith("3 readable, 1 unreadable, 1 say “nothing here”")
    assert page.bench(page.poll)["table"]["rows"] == [["object 1", "2 of 4", "50 %", "50 %"]]
    heat = np.asarray(Image.open(panels["votes"]["heat"]))
    assert sorted(np.unique(heat)) == [0, 64, 128]
    assert page.bench(page.poll)["legend"] == ("no sample", "every sample")
    assert len(heats - {None}) >= 2  # the map grows with the samples


def test_the_desks_answer_is_the_greedy_one(page: Page, upload: Path) -> None:
    held = page.ask(upload, "chance")
    page.prompter.asked.clear()
    page.draw(upload, "chance", held=held, number=2, seed=5)
    assert page.prompter.asked == [("box+2", 5), ("box+2", 6)]
    page.draw(upload, "chance", held=held, number=2, strategy="box")
    assert ("box", None) in page.prompter.asked  # it was not asked for that


def test_nothing_here_has_a_confidence_too(page: Page, upload: Path) -> None:
    page.draw(upload, "nothing", number=2)
    assert page.bench(page.poll)["table"]["rows"] == [["nothing here", "2 of 2", "100 %", None]]


def test_stopping_samples_keeps_the_votes(page: Page, upload: Path) -> None:
    request = SimpleNamespace(session_hash="s1")
    held = page.ask(upload, "one")
    held.result.query.__dict__["question"] = "slow"
    steps = page.sampled(upload, "slow", held=held, request=request)
    until(page, steps, lambda: page.panels(page.poll).get("sample-1", {}).get("kind") == "busy")
    began = time.monotonic()
    page.take(page.poll.stop(request))
    for updates in steps:
        page.take(updates)
    assert time.monotonic() - began < 5 and page.prompter.ended.wait(1.0) and page.poll.sessions.running == 0
    assert page.said(page.poll) == {"kind": "stopped", "words": "stopped after 0 of 4 samples: too few for a vote"}
    assert page.panels(page.poll)["greedy"]["kind"] == "done" and page.panels(page.poll)["votes"]["kind"] == "stopped"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"number": 0}, "number of samples"),
        ({"number": 17}, "number of samples"),
        ({"number": 2.5}, "number of samples"),
        ({"number": "x"}, "number of samples"),
        ({"number": float("nan")}, "number of samples"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"segmenter": "no-such"}, "no size of SAM"),
        ({"strategy": "lasso"}, "lasso"),
    ],
)
def test_samples_that_make_no_sense_are_refused(
    doorstep: tuple[Page, Path], options: dict[str, Any], words: str
) -> None:
    page, upload = doorstep
    page.draw(upload, "chance", **options)
    assert words in page.said(page.poll)["words"] and page.said(page.poll)["kind"] == "error"
    assert page.prompter.calls == 0 and page.shown[page.poll.parts.run]["interactive"]


# --- what the page is told --------------------------------------------------------------------------------------------


def test_gradio_takes_no_prop_of_ours_for_an_event(page: Page) -> None:
    for part in (page.lab.parts.bench, page.poll.parts.bench):
        assert not [name for name in ("bench", "live", "palette", "ramp") if hasattr(part, name)]


def test_layers_are_no_larger_than_a_browser_needs(page: Page) -> None:
    assert layer_size((800, 600)) == (800, 600) and layer_size((4096, 1024)) == (1024, 256)
    bench = Bench(page.lab.parts.bench)
    assert bench.size == (1, 1)
    bench.show(np.zeros((600, 2000, 3), np.uint8))
    bench.add("a", "A")
    bench.warm("a", np.full((600, 2000), 0.5, np.float32))
    assert bench.size == (2000, 600) and Image.open(bench.panes["a"].heat).size == (1024, 307)


def test_a_thought_that_its_answer_contradicts_is_pointed_out(page: Page, upload: Path) -> None:
    from studio_doubles import TEXTS, written

    TEXTS["liar"] = written(1, "I see 3 planes.")
    try:
        page.ask(upload, "liar")
        said = page.shown[page.desk.parts.status]["said"]
        assert said["kind"] == "done"
        assert said["words"].endswith("The thought says “I see 3 planes”, and the answer holds 1 object.")
        page.compare(upload, "liar", strategies=["box"])
        assert "The thought says “I see 3 planes”" in page.panels()["box · nano"]["words"]
    finally:
        del TEXTS["liar"]
