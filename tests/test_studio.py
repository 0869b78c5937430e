"""The studio's handlers without a browser: what is told when, what is checked where, and nothing left running."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from studio_doubles import HOSTILE, TEXTS, Ellipses, Scripted, example, geotiff, png

from think2seg import metrics
from think2seg.errors import ModelError
from think2seg.segmenter import Segmenter
from think2seg.studio import build, canvas, examples, serve
from think2seg.studio.handlers import Desk
from think2seg.studio.jobs import HEARTBEAT_S, Job
from think2seg.types import Finished, MaskReady, PromptFound, Thinking
from think2seg.zoom import zoomed

ROOT = Path(__file__).parent.parent


class Page:
    """A page with doubles for models, and what its parts show after the handlers' updates."""

    def __init__(self, folder: Path) -> None:
        self.prompter = Scripted()
        self.segmenters: dict[str, Ellipses] = {}
        self.opened: list[str] = []
        self.demo = build(self._open_prompter, self._open_segmenter, folder / "examples")
        self.desk: Desk = self.demo.desk
        self.shown: dict[Any, dict[str, Any]] = {}

    def _open_prompter(self, name: str) -> Scripted:
        self.opened.append(name)
        return self.prompter

    def _open_segmenter(self, name: str, zoom: int = 1) -> Segmenter:
        self.opened.append(name)
        return zoomed(self.segmenters.setdefault(name, Ellipses(name)), zoom)

    def take(self, updates: dict[Any, Any]) -> None:
        for part, update in updates.items():
            is_update = isinstance(update, dict) and update.get("__type__") == "update"
            self.shown.setdefault(part, {}).update(update if is_update else {"value": update})

    def run(self, steps: Iterator[dict[Any, Any]]) -> None:
        for updates in steps:
            self.take(updates)

    def ask(self, path: Path | str | None, question: Any, **other: Any) -> None:
        self.run(self.steps(path, question, **other))

    def steps(self, path: Path | str | None, question: Any, **other: Any) -> Iterator[dict[Any, Any]]:
        options: dict[str, Any] = {"prompter": "nano", "segmenter": "nano", "strategy": "box+2", "negatives": True}
        return self.desk.ask(None if path is None else str(path), None, question, **{**options, **other})

    def part(self, name: str) -> dict[str, Any]:
        return self.shown.get(getattr(self.desk.parts, name), {})

    @property
    def said(self) -> str:
        return str(self.part("status")["said"]["words"])

    @property
    def held(self) -> Any:
        return self.part("held")["value"]

    @property
    def sheet(self) -> Any:
        return self.part("sheet").get("value")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    example(tmp_path / "examples")
    return Page(tmp_path)


@pytest.fixture
def upload(page: Page) -> Path:
    return png(Path(get_upload_folder()) / "field.png")


# --- a question -------------------------------------------------------------------------------------------------------


def test_building_the_page_opens_no_model(page: Page) -> None:
    assert page.opened == []


def test_gradio_takes_no_prop_of_ours_for_an_event(page: Page) -> None:
    # It takes every name that stands in quotes, comments included, in a component's JavaScript, and would then send
    # a function along with each update; the browser loses updates over it.
    p = page.desk.parts
    for part, names in ((p.canvas, "scene phase palette"), (p.status, "said"), (p.thought, "words live")):
        assert not [name for name in names.split() if hasattr(part, name)]


def test_the_thought_grows_and_masks_come_before_the_text_is_over(page: Page, upload: Path) -> None:
    lengths, masked, images_sent = [], [], set()
    for updates in page.steps(upload, "planes"):
        page.take(updates)
        lengths.append(len(page.part("thought").get("words", "")))
        scene = page.part("canvas").get("scene")
        if scene:
            masked.append(sum(o["masked"] for o in scene["objects"]))
            images_sent.add(scene["image"]["file"])
        assert page.desk.parts.picture not in updates
    assert lengths == sorted(lengths) and len(set(lengths)) >= 4
    assert {0, 1}.issubset(masked) and masked[-1] == 4 and masked == sorted(masked)
    assert len(images_sent) == 1
    assert page.part("thought")["words"] == page.held.result.answer.thought and not page.part("thought")["live"]
    assert page.said.startswith("done in ") and "first mask" in page.said
    assert page.part("canvas")["phase"]["name"] == "done"
    assert page.part("canvas")["scene"]["summary"].startswith("4 objects, ")
    assert page.part("about")["said"]["words"] == "Scripted text; no model runs.\nFills ellipses."
    assert page.part("segment")["interactive"] and not page.part("stop")["interactive"]


def test_what_the_prompter_looks_at_is_its_own_choice_unless_somebody_chooses(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    assert page.prompter.calls == 1 and page.held.result.prompter == "scripted"
    page.ask(upload, "planes", views="tiles")
    assert page.prompter.calls == 1 + 5 and page.held.result.prompter == "scripted, 2 x 2 tiles from 2 on"
    assert "four tiles" not in page.said and "2 x 2 tiles" in page.part("about")["said"]["words"]
    page.prompter.tiled = True
    page.ask(upload, "planes", views="auto")
    assert page.prompter.calls == 6 + 5
    page.ask(upload, "planes", views="whole")
    assert page.prompter.calls == 11 + 1
    page.ask(upload, "planes", views="mosaic")
    assert "no views called 'mosaic'" in page.said and page.prompter.calls == 12


def test_masks_in_the_scene_are_numbers_in_a_png(page: Page, upload: Path) -> None:
    from PIL import Image

    page.ask(upload, "planes")
    result = page.held.result
    labels = np.asarray(Image.open(page.part("canvas")["scene"]["labels"]))
    assert labels.shape == (600, 800)
    for i, mask in enumerate(result.masks):
        assert np.array_equal(labels == i + 1, mask.pixels)


def test_a_large_picture_is_shown_smaller_and_told_at_its_own_size(page: Page) -> None:
    from PIL import Image

    page.ask(png(Path(get_upload_folder()) / "large.png", 3000, 2250), "one")
    scene = page.part("canvas")["scene"]
    assert (scene["image"]["width"], scene["image"]["height"]) == (3000, 2250)
    assert Image.open(scene["image"]["file"]).size == Image.open(scene["labels"]).size == (2048, 1536)
    assert page.held.result.masks[0].pixels.shape == (2250, 3000)
    assert scene["objects"][0]["box"] == pytest.approx((225, 300, 675, 600))


def test_the_outcome_is_a_table_a_document_and_three_files(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    table = page.part("table")
    assert table["value"]["headers"] == ["no.", "box", "points", "area, px", "score"]
    assert [row[0] for row in table["value"]["data"]] == [1, 2, 3, 4]
    document = json.loads(page.part("document")["value"])
    assert document["image"]["path"] == "field.png" and len(document["instances"]) == 4
    files = [Path(page.shown[button]["value"]) for button in page.desk.parts.files]
    assert [f.name for f in files] == ["result.json", "mask.png", "overlay.png"]
    assert json.loads(files[0].read_text()) == document
    assert all(f in map(Path, button.temp_files) for f, button in zip(files, page.desk.parts.files, strict=True))


def test_areas_on_the_ground_come_with_a_georeference(page: Page) -> None:
    page.ask(geotiff(Path(get_upload_folder()) / "field.tif"), "one")
    table = page.part("table")["value"]
    pixels, metres = table["data"][0][3:5]
    assert table["headers"][4] == "area, m²"
    assert float(metres.replace(",", "")) == pytest.approx(pixels * 4, rel=2e-3)


def test_nothing_here_is_an_answer_and_unreadable_is_not(page: Page, upload: Path) -> None:
    page.ask(upload, "nothing")
    assert page.part("canvas")["phase"]["name"] == "nothing" and "Nothing here" in page.part("canvas")["phase"]["words"]
    assert page.part("status")["said"]["kind"] == "done" and page.held is not None
    page.ask(upload, "unreadable")
    assert page.part("canvas")["phase"]["name"] == "unreadable"
    assert page.part("status")["said"]["kind"] == "error" and "cannot be read" in page.said
    assert page.part("thought")["words"].strip() == "A roof is here, I am sure."
    assert page.held is None and page.part("segment")["interactive"]


def test_our_own_faults_are_logged_and_not_shown(page: Page, upload: Path, caplog: pytest.LogCaptureFixture) -> None:
    page.ask(upload, "bug")
    assert "secret" not in json.dumps(page.part("status")) + json.dumps(page.part("canvas"))
    assert "log has the details" in page.said and "a secret of the server" in caplog.text
    page.ask(upload, "one")
    assert page.said.startswith("done in")


@pytest.mark.parametrize(
    ("question", "options", "words"),
    [
        ("", {}, "question is empty"),
        ("  \n ", {}, "question is empty"),
        (None, {}, "question is empty"),
        (["planes"], {}, "question is empty"),
        ("x" * 2001, {}, "2001 characters"),
        ("planes", {"strategy": "everything"}, "no prompt strategy called 'everything'"),
        ("planes", {"strategy": ["box"]}, "no prompt strategy"),
        ("planes", {"prompter": "/etc"}, "no prompter called '/etc'"),
        ("planes", {"segmenter": "../assets"}, "no size of SAM called '../assets'"),
        ("planes", {"segmenter": None}, "no size of SAM"),
    ],
)
def test_inputs_are_checked_in_the_handler(
    page: Page, upload: Path, question: Any, options: dict[str, Any], words: str
) -> None:
    page.ask(upload, question, **options)
    assert words in page.said and page.part("status")["said"]["kind"] == "error"
    assert page.opened == [] and page.part("segment")["interactive"]


def test_no_picture_and_files_of_the_server_are_refused(page: Page, tmp_path: Path) -> None:
    page.ask(None, "planes")
    assert "no picture yet" in page.said
    elsewhere = png(tmp_path / "private.png")
    link = Path(get_upload_folder()) / "link.png"
    link.symlink_to(elsewhere)
    for path in (elsewhere, Path(get_upload_folder()) / ".." / "private.png", link, "/etc/passwd"):
        page.ask(path, "planes")
        assert "was not uploaded here" in page.said
        page.take(page.desk.show_picture(str(path)))
        assert "was not uploaded here" in page.said and page.part("canvas")["scene"]["image"] is None
    assert page.opened == []


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_the_status_ticks_while_the_model_is_silent_and_closing_stops_it(page: Page, upload: Path) -> None:
    steps = page.steps(upload, "silent")
    gaps, last = [], time.monotonic()
    for updates in steps:
        page.take(updates)
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        if len(gaps) > 5:
            break
    assert max(gaps[1:]) < 2 * HEARTBEAT_S + 0.5 and page.said.startswith("looking at the picture")
    assert page.desk.sessions.running == 1
    steps.close()  # type: ignore[attr-defined]
    assert page.prompter.ended.wait(1.0) and page.desk.sessions.running == 0


def test_closing_a_stream_ends_the_model_and_the_slot_serves_the_next(page: Page, upload: Path) -> None:
    steps = page.steps(upload, "slow")
    for updates in steps:
        page.take(updates)
        if len(page.part("thought").get("words", "")) > 10:
            break
    steps.close()  # type: ignore[attr-defined]
    assert page.prompter.ended.wait(1.0)
    page.take(page.desk.stopped())
    assert page.said == "stopped; what was found stays" and not page.part("thought")["live"]
    page.ask(upload, "one")
    assert page.said.startswith("done in")


def test_another_picture_ends_the_question_about_the_last_one(page: Page, upload: Path) -> None:
    steps = page.steps(upload, "slow")
    for updates in steps:
        page.take(updates)
        if len(page.part("thought").get("words", "")) > 10:
            break
    page.take(page.desk.show_picture(str(png(upload.parent / "other.png", 500, 400))))
    late = list(steps)
    assert late == [] and page.prompter.ended.wait(1.0) and page.desk.sessions.running == 0
    assert page.part("canvas")["scene"]["image"]["width"] == 500 and page.said.startswith("other.png")
    assert page.part("segment")["interactive"]


def test_a_job_hands_over_errors_of_its_work() -> None:
    def work(stop: threading.Event, tell: Any) -> None:
        tell(Thinking("a"))
        raise ModelError("no weights")

    told: list[Any] = []
    with pytest.raises(ModelError, match="no weights"):
        for batch in Job(work).batches():
            told += batch
    assert told == [Thinking("a")]


# --- SAM alone --------------------------------------------------------------------------------------------------------


def test_another_sam_runs_without_asking_again(page: Page, upload: Path) -> None:
    page.ask(upload, "planes", strategy="box+2+neg")
    held, words = page.held, page.part("thought")["words"]
    steps = list(page.desk.refine(held, "tiny", "box", True, page.sheet))
    scenes = [u[page.desk.parts.canvas].get("scene") for u in steps if page.desk.parts.canvas in u]
    assert all(len(scene["objects"]) == 4 for scene in scenes if scene)  # nothing painted is lost meanwhile
    page.run(iter(steps))
    assert page.prompter.calls == 1
    assert page.held.result.segmenter == "tiny" and page.said.startswith("SAM only, ")
    assert page.segmenters["tiny"].asked and all(not p.positive for p in page.segmenters["tiny"].asked[-1])
    assert page.part("thought")["words"] == words
    # Negatives off and on again, from what was first answered.
    page.run(page.desk.refine(page.held, "tiny", "box+2+neg", False, page.sheet))
    without = page.held.result
    page.run(page.desk.refine(page.held, "tiny", "box+2+neg", True, page.sheet))
    assert all(not p.negative for p in without.sent) and all(p.negative for p in page.held.result.sent)
    assert without.mask.sum() > page.held.result.mask.sum()
    assert page.prompter.calls == 1


def test_a_closer_look_runs_sam_alone_and_is_told(page: Page, upload: Path) -> None:
    page.ask(upload, "planes")
    whole = page.held.result
    page.run(page.desk.refine(page.held, "nano", "box+2", True, page.sheet, None, "planes", 2))
    closer = page.held.result
    assert page.prompter.calls == 1 and closer.segmenter == "nano, zoom 2" and "2 x 2 tiles" in page.held.about
    *tiles, all_of_it = page.segmenters["nano"].asked[-3:]
    assert len(all_of_it) == 4 and 1 <= sum(map(len, tiles)) <= 4
    assert all(metrics.iou(a.pixels, b.pixels) > 0.95 for a, b in zip(whole.masks, closer.masks, strict=True))
    asked = len(page.segmenters["nano"].asked)
    page.run(page.desk.refine(page.held, "nano", "box+2", True, page.sheet, None, "planes", 2))
    assert len(page.segmenters["nano"].asked) == asked  # the same masks are known
    assert page.held.result.timing == closer.timing  # a dropdown tells of one choice twice
    page.ask(upload, "planes", zoom=3)
    assert page.held.result.segmenter == "nano, zoom 3"
    held = page.held
    page.run(page.desk.refine(held, "nano", "box+2", True, page.sheet, None, "planes", 9))
    assert "2 to 4 tiles a side" in page.said and "'9' came" in page.said and page.held is held


def test_a_strategy_that_needs_more_says_so_and_keeps_the_result(page: Page, upload: Path) -> None:
    page.ask(upload, "planes", strategy="box")
    held = page.held
    page.run(page.desk.refine(held, "nano", "box+4", True, page.sheet))
    assert "Press Segment to ask again" in page.said and page.held is held
    assert page.part("canvas")["phase"]["name"] == "done" and page.part("segment")["interactive"]
    page.run(page.desk.refine(held, "no-such", "box", True, page.sheet))
    assert "no size of SAM called 'no-such'" in page.said and page.held is held


def test_switching_before_any_question_does_nothing(page: Page) -> None:
    page.run(page.desk.refine(None, "tiny", "box", True, page.sheet))
    assert page.opened == []


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_shown_with_what_was_done_to_it(page: Page) -> None:
    page.take(page.desk.show_raster(str(geotiff(Path(get_upload_folder()) / "field.tif"))))
    assert page.part("canvas")["scene"]["image"]["width"] == 400
    assert "field.tif: 400 × 300 pixels, georeferenced (EPSG:32632)" in page.said
    assert "5 bands" in page.said and "16-bit" in page.said


def test_a_broken_picture_is_told_in_our_words(page: Page) -> None:
    broken = Path(get_upload_folder()) / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense" * 20)
    page.take(page.desk.show_picture(str(broken)))
    assert "broken.png cannot be decoded" in page.said and page.part("canvas")["phase"]["name"] == "error"


# --- examples ---------------------------------------------------------------------------------------------------------


def test_a_replay_tells_the_recorded_result_as_a_run_would(page: Page, tmp_path: Path) -> None:
    found = examples.find(tmp_path / "examples")
    assert list(found) == ["apron"] and found["apron"].thumbnail.startswith("data:image/webp")
    _picture, result = found["apron"].result()
    events = list(examples.replay(result, 0.2, threading.Event()))
    assert "".join(e.delta for e in events if isinstance(e, Thinking)) == result.answer.thought
    kinds = [type(e) for e in events if not isinstance(e, Thinking)]
    assert kinds == [PromptFound, MaskReady] * 4 + [Finished]
    masks = [e.mask for e in events if isinstance(e, MaskReady)]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(masks, result.masks, strict=True))


def test_masks_find_their_prompts_though_a_duplicate_was_dropped(tmp_path: Path) -> None:
    import studio_doubles

    first, second = studio_doubles.instance(0), studio_doubles.instance(1)
    inner = {**first, "bbox_2d": [v + d for v, d in zip(first["bbox_2d"], (3, 3, -3, -3), strict=True)]}
    text = f"<think> Twice. </think><answer>```json{json.dumps([inner, first, second])}```</answer>"
    TEXTS["twice"] = text
    try:
        place = example(tmp_path, "twice", "twice")
    finally:
        del TEXTS["twice"]
    _picture, result = examples.find(tmp_path)[place.name].result()
    assert len(result.masks) == 2
    events = list(examples.replay(result, 0.0, threading.Event()))
    assert [e.mask.prompt for e in events if isinstance(e, MaskReady)] == [1, 2]


def test_a_replay_stops_when_told(page: Page, tmp_path: Path) -> None:
    _picture, result = examples.find(tmp_path / "examples")["apron"].result()
    stop = threading.Event()
    stop.set()
    assert list(examples.replay(result, 5.0, stop)) == []


def test_a_broken_example_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    example(tmp_path, "good")
    shutil.copytree(tmp_path / "good", tmp_path / "bad")
    held = json.loads((tmp_path / "bad" / "result.json").read_text())
    (tmp_path / "bad" / "result.json").write_text(json.dumps({**held, "image": {"width": 3, "height": 3}}))
    assert list(examples.find(tmp_path)) == ["good"] and "bad" in caplog.text
    assert examples.find(tmp_path / "missing") == {}


# --- over HTTP, as an API client would --------------------------------------------------------------------------------


@pytest.fixture
def address(page: Page) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve(page.demo, host="127.0.0.1", port=port, prevent_thread_lock=True, quiet=True)
    yield f"http://127.0.0.1:{port}/gradio_api"
    page.demo.close()


def called(address: str, page: Page, name: str, data: list[Any], event_data: Any = None) -> str:
    """All that the server streams back for one call of a handler, past every check of the page."""
    index = next(i for i, f in page.demo.fns.items() if getattr(f.fn, "__name__", "") == name)
    body = {"data": data, "fn_index": index, "session_hash": f"s{time.monotonic_ns()}", "event_data": event_data}
    joined = httpx.post(f"{address}/queue/join", json=body, timeout=20)
    if joined.status_code != 200:
        return joined.text
    lines: list[str] = []
    with httpx.stream("GET", f"{address}/queue/data?session_hash={body['session_hash']}", timeout=30) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if '"process_completed"' in line:
                break
    return "\n".join(lines)


def test_an_api_client_cannot_read_files_of_the_server(page: Page, address: str, tmp_path: Path) -> None:
    private = png(tmp_path / "private.png")
    meta = {"_type": "gradio.FileData"}
    passwords = {"path": "/etc/passwd", "meta": meta}
    for payload in ({"path": str(private), "meta": meta}, {"path": str(private)}, passwords):
        for data in ([payload, None], [None, payload]):
            answer = called(address, page, "ask", [*data, "one", "nano", "nano", "box+2", True, "auto", 1])
            assert '"rev"' not in answer and "picture.jpg" not in answer and "root:" not in answer
        answer = called(address, page, "show_dropped", [], {"path": payload["path"]})
        assert '"rev"' not in answer and "picture.jpg" not in answer
    assert page.opened == []
    assert httpx.get(f"{address}/file={private}").status_code in (403, 404)


def test_an_api_client_is_checked_and_served_like_the_page(page: Page, address: str, tmp_path: Path) -> None:
    sent = httpx.post(f"{address}/upload", files={"files": ("field.png", png(tmp_path / "f.png").read_bytes())})
    payload = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
    rest = ["nano", "nano", "box+2", True, "auto", 1]
    assert "done in" in called(address, page, "ask", [payload, None, "one", *rest])
    assert "characters; at most" in called(address, page, "ask", [payload, None, "x" * 5000, *rest])
    called(address, page, "ask", [payload, None, "one", "nano", "nano", "no such", True, "auto", 1])
    assert page.prompter.calls == 1
    assert httpx.post(f"{address}/run/segment", json={"data": []}).status_code >= 400  # the queue is not passed by


def test_hostile_text_is_nowhere_but_in_props_and_the_document(page: Page, upload: Path) -> None:
    page.ask(upload, "hostile")
    told = json.dumps([page.part("status"), page.part("canvas"), page.part("about"), page.part("table")])
    assert "evil" not in told and "<script>" in page.part("thought")["words"]
    assert HOSTILE.split("<think>")[0].strip() in page.part("thought")["words"]


def test_app_tells_its_options() -> None:
    told = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and all(o in told.stdout for o in ("--prompter", "--segmenter", "--host", "--port"))


def test_a_file_that_is_read_is_not_emptied_by_its_next_keeper(tmp_path: Path) -> None:
    component = SimpleNamespace(GRADIO_CACHE=str(tmp_path), temp_files=set())
    data = bytes(2**20)
    path = Path(canvas.keep(component, data, "picture.jpg"))
    sizes: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            sizes.add(path.stat().st_size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _again in range(300):
        assert canvas.keep(component, data, "picture.jpg") == str(path)
    over.set()
    watcher.join()
    assert sizes == {len(data)} and component.temp_files == {str(path)}
    assert [p.name for p in path.parent.iterdir()] == ["picture.jpg"]  # nothing unfinished is left
