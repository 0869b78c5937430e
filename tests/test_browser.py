"""The studio in a real browser: it streams, paints, stops, keeps hostile text text, and asks nothing of other hosts."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_doubles import TEXTS, Ellipses, Scripted, example, geotiff, png

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

from think2seg.segmenter import Segmenter  # noqa: E402
from think2seg.studio import build, serve  # noqa: E402
from think2seg.zoom import zoomed  # noqa: E402

CHROMIUM = next((p for p in (os.environ.get("CHROMIUM"), "/usr/bin/chromium", shutil.which("chromium")) if p), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not Path(CHROMIUM).exists(), reason="the browser tests need /usr/bin/chromium or CHROMIUM=path"
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


class Site:
    """One running studio with doubles for models, and the browser that visits it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prompter = Scripted()
        self.segmenters: dict[str, Ellipses] = {}
        example(folder / "examples")
        self.demo = build(lambda name: self.prompter, self._segmenter, folder / "examples", "nano", "nano")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        serve(self.demo, host="127.0.0.1", port=self.port, prevent_thread_lock=True, quiet=True)
        self.png = png(folder / "field.png")

    def _segmenter(self, name: str, zoom: int = 1) -> Segmenter:
        return zoomed(self.segmenters.setdefault(name, Ellipses(name)), zoom)

    @property
    def running(self) -> int:
        return int(self.demo.desk.sessions.running)


class Visit:
    """One tab on the page, with what it asked of which host and what went wrong in it."""

    def __init__(self, site: Site, page: Any) -> None:
        self.site, self.page = site, page
        self.hosts: set[str] = set()
        self.dialogs: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda request: self._note_host(request.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(f"http://127.0.0.1:{site.port}")
        page.wait_for_selector("#canvas .t2s")

    def _note_host(self, url: str) -> None:
        found = re.match(r"(?:https?|wss?)://([^/:]+)", url)
        if found:
            self.hosts.add(found[1])

    def upload(self, path: Path, tab: str = "image") -> None:
        rev = self.rev
        if tab == "raster":
            self.page.get_by_role("tab", name="GeoTIFF").click()
        self.page.set_input_files(f"#{tab} input[type=file]", str(path))
        self.until("([old]) => Number(document.querySelector('.t2s').dataset.rev) > old", [rev])

    def settle(self) -> None:
        """Wait until the last question, replay or re-run is over."""
        self.page.wait_for_selector("#segment:not([disabled])")

    def ask(self, question: str) -> None:
        self.settle()
        self.page.fill("#question textarea", question)
        self.page.keyboard.press("Enter")

    def phase(self, name: str) -> None:
        """Wait for a phase, and until what came with it is painted. After "done" the page hears once more of the same,
        and a tip that is open then is closed."""
        try:
            self.page.wait_for_selector(f'.t2s[data-phase="{name}"]:not([aria-busy="true"])', timeout=20_000)
        except playwright.TimeoutError as error:
            status = self.page.text_content("#status .words")
            raise AssertionError(f"{name!r} never came; the status says {status!r}") from error
        if name == "done":
            self.settle()
            self.page.wait_for_selector('.t2s:not([aria-busy="true"])')

    def choose(self, dropdown: str, option: str) -> None:
        self.settle()
        self.page.click(f"#{dropdown} input")
        self.page.get_by_role("option", name=option, exact=True).click()

    def until(self, script: str, argument: Any = None, timeout: float = 20_000) -> None:
        self.page.wait_for_function(script, arg=argument, timeout=timeout)

    def says(self, words: str) -> None:
        self.until("([w]) => document.querySelector('#status .words').textContent.includes(w)", [words])

    def lists(self, words: str) -> None:
        self.until("([w]) => document.querySelector('#objects')?.textContent.includes(w)", [words])

    @property
    def rev(self) -> int:
        return int(self.page.get_attribute(".t2s", "data-rev"))

    @property
    def thought(self) -> str:
        return str(self.page.text_content("#thought p"))

    def colour(self, x: float, y: float) -> list[int]:
        """What the canvas shows at a share (x, y) of the picture's width and height, RGB."""
        return list(
            self.page.evaluate(
                """([x, y]) => { const c = document.querySelector('.t2s canvas'), ink = c.getContext('2d');
                return [...ink.getImageData(Math.round(x * c.width), Math.round(y * c.height), 1, 1).data].slice(0, 3);
                }""",
                [x, y],
            )
        )

    def wide(self) -> tuple[int, int]:
        width, inner = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        return int(width), int(inner)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("studio")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")
    held = Site(folder)
    yield held
    held.demo.close()
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(site: Site, browser: Any) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    held = Visit(site, context.new_page())
    yield held
    context.close()
    assert held.hosts == {"127.0.0.1"}
    assert held.dialogs == [] and held.faults == []


def in_time(condition: Any, seconds: float) -> bool:
    """Whether `condition()` comes true within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        threading.Event().wait(0.02)
    return bool(condition())


def test_a_question_streams_and_masks_are_painted(site: Site, visit: Visit) -> None:
    visit.page.wait_for_selector(".hint >> text=Drop an aerial image here")
    visit.upload(site.png)
    plain = visit.colour(60 / 400, 60 / 300)
    visit.ask("planes")
    visit.until("() => document.querySelector('#thought p').textContent.length > 5")
    early = visit.thought
    visit.until("([n]) => document.querySelector('#thought p').textContent.length > n", [len(early)])
    assert visit.thought.startswith(early)
    visit.until("() => Number(document.querySelector('.t2s').dataset.masks) >= 1")
    assert visit.page.get_attribute(".t2s", "data-phase") == "busy"  # a mask before the text was over
    visit.phase("done")
    assert visit.page.get_attribute(".t2s", "data-masks") == "4"
    for i in range(4):
        x, y = (60 + 90 * i) / 400, (70 + 60 * i) / 300  # inside the ellipse, off the points
        red, green, blue = visit.colour(x, y)
        assert max(abs(red - green), abs(green - blue), abs(red - blue)) > 20, i
    red, green, blue = visit.colour(0.95, 0.05)
    assert red == green == blue  # the picture itself is grey
    assert plain[0] == plain[1] == plain[2]
    assert visit.page.text_content(".t2s .summary").startswith("4 objects, ")
    visit.lists("60 80 180 160")
    visit.says("first mask")


def test_opacity_is_the_browsers_own_affair(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("one")
    visit.phase("done")
    at = (60 / 400, 70 / 300)
    strong = visit.colour(*at)
    asked: list[str] = []
    visit.settle()
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.page.evaluate(
        """() => { const s = document.querySelector('.opacity input'); s.value = 0;
        s.dispatchEvent(new Event('input')); }"""
    )
    faint = visit.colour(*at)
    assert strong != faint and faint[0] == faint[1] == faint[2] and asked == []


def test_zoom_hover_and_all_of_it(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("one")
    visit.phase("done")
    box = visit.page.locator(".t2s .stage").bounding_box()
    x, y = box["x"] + box["width"] * 60 / 400, box["y"] + box["height"] * 60 / 300
    visit.page.mouse.move(x, y)
    visit.page.wait_for_selector(".tip:not([hidden]) >> text=score 0.90")
    visit.page.mouse.wheel(0, -600)
    visit.page.wait_for_selector(".stage.zoomed")
    visit.page.click(".zoom .fit")
    visit.page.wait_for_selector(".stage:not(.zoomed)")


def test_stop_takes_effect_within_a_second_and_frees_the_place(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("slow")
    visit.until("() => document.querySelector('#thought p').textContent.length > 20")
    assert site.running == 1
    visit.page.click("#stop")
    assert in_time(lambda: site.running == 0 and site.prompter.ended.is_set(), 1.0)
    visit.says("stopped; what was found stays")
    visit.phase("stopped")
    assert len(visit.thought) > 20
    visit.ask("one")
    visit.phase("done")
    visit.says("done in")


def test_stop_while_the_model_is_silent_keeps_ticking_until_then(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("silent")
    visit.says("looking at the picture")
    first = visit.page.text_content("#status .words")
    visit.until("([w]) => document.querySelector('#status .words').textContent !== w", [first], timeout=2000)
    visit.page.click("#stop")
    assert in_time(lambda: site.running == 0 and site.prompter.ended.is_set(), 1.0)
    visit.says("stopped")


def test_a_closed_tab_frees_the_place(site: Site, browser: Any, visit: Visit) -> None:
    other = browser.new_context()
    leaving = Visit(site, other.new_page())
    leaving.upload(site.png)
    leaving.ask("slow")
    leaving.until("() => document.querySelector('#thought p').textContent.length > 5")
    other.close()
    assert in_time(lambda: site.running == 0 and site.prompter.ended.is_set(), 5.0)
    visit.upload(site.png)
    visit.ask("one")
    visit.phase("done")


def test_another_picture_ends_the_question_about_the_last_one(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("slow")
    visit.until("() => document.querySelector('#thought p').textContent.length > 5")
    visit.upload(png(site.folder / "other.png", 500, 400), "raster")
    visit.says("other.png: 500 × 400 pixels")
    assert in_time(lambda: site.running == 0 and site.prompter.ended.is_set(), 1.0)
    visit.ask("one")
    visit.phase("done")
    visit.lists("38 53 112 107")


def test_hostile_text_stays_text(site: Site, visit: Visit) -> None:
    evil = site.folder / "<img src=x onerror=alert(9)>.png"
    shutil.copy(site.png, evil)
    visit.upload(evil)
    visit.ask("hostile")
    visit.phase("done")
    assert "<script>alert(1)</script><img src=http://evil.invalid/x.png" in visit.thought
    assert "![a](http://evil.invalid/y.png)" in visit.thought and "${alert(3)}{{value}}" in visit.thought
    visit.page.get_by_role("tab", name="JSON").click()
    visit.page.wait_for_selector("#document >> text=evil.invalid")
    assert visit.page.evaluate("document.querySelectorAll('#thought p *').length") == 0
    foreign = "script[src*=evil], img[src*=evil], iframe[src*=evil], a[href*=evil], #injected, img[onerror]"
    assert visit.page.locator(foreign).count() == 0


def test_nothing_here_and_unreadable_are_told_apart(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("nothing")
    visit.phase("nothing")
    visit.page.wait_for_selector(".notice.nothing >> text=Nothing here")
    visit.says("done in")
    visit.ask("unreadable")
    visit.phase("unreadable")
    visit.page.wait_for_selector(".notice.unreadable >> text=cannot be read")
    assert visit.thought.strip() == "A roof is here, I am sure."


def test_a_fault_of_ours_leaves_the_page_usable(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("bug")
    visit.phase("error")
    visit.says("the log has the details")
    assert "secret" not in visit.page.content()
    visit.ask("")
    visit.says("The question is empty")
    visit.ask("one")
    visit.phase("done")


def test_files_of_other_kinds(site: Site, visit: Visit) -> None:
    broken = site.folder / "broken.png"
    broken.write_bytes(site.png.read_bytes()[:200])
    visit.page.set_input_files("#image input[type=file]", str(broken))
    visit.says("broken.png cannot be decoded")
    visit.phase("error")
    visit.upload(geotiff(site.folder / "field.tif"), "raster")
    visit.says("5 bands")
    visit.ask("one")
    visit.phase("done")
    visit.lists("area, m²")


def test_a_dropped_picture_is_taken(site: Site, visit: Visit) -> None:
    data = visit.page.evaluate_handle(
        """async ([bytes]) => { const t = new DataTransfer();
        t.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'})); return t; }""",
        [list(site.png.read_bytes())],
    )
    visit.page.dispatch_event(".t2s .stage", "drop", {"dataTransfer": data})
    visit.says("dropped.png: 800 × 600 pixels")
    visit.page.wait_for_selector("#image img")
    visit.ask("one")
    visit.phase("done")


def test_another_sam_is_not_another_question(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.choose("strategy", "box + 2 points + 2 negative")
    visit.ask("planes")
    visit.phase("done")
    visit.settle()
    calls, rev = site.prompter.calls, visit.rev
    visit.choose("segmenter", "tiny")
    visit.says("with SAM tiny; the model was not asked again")
    visit.until("([old]) => Number(document.querySelector('.t2s').dataset.rev) > old", [rev])
    assert site.segmenters["tiny"].asked and site.prompter.calls == calls
    visit.settle()
    with_negatives = visit.page.text_content(".t2s .summary")
    visit.page.click("#negatives input")
    visit.until("([w]) => document.querySelector('.t2s .summary').textContent !== w", [with_negatives])
    assert all(not p.negative for p in site.segmenters["tiny"].asked[-1])
    visit.settle()
    visit.choose("strategy", "box + 4 points")
    visit.says("Press Segment to ask again")
    assert site.prompter.calls == calls and visit.page.get_attribute(".t2s", "data-masks") == "4"


def test_a_closer_look_is_not_another_question(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    visit.ask("planes")
    visit.phase("done")
    calls, rev = site.prompter.calls, visit.rev
    visit.choose("zoom", "2 x 2 tiles too")
    visit.says("with SAM nano, zoom 2; the model was not asked again")
    visit.until("([old]) => Number(document.querySelector('.t2s').dataset.rev) > old", [rev])
    assert site.prompter.calls == calls and visit.page.get_attribute(".t2s", "data-masks") == "4"
    assert "2 x 2 tiles of the picture too" in visit.page.text_content("#about")


def test_an_example_is_replayed_and_goes_on_live(site: Site, visit: Visit) -> None:
    calls = site.prompter.calls
    visit.page.click(".card[data-name=apron]")
    visit.says("replaying")
    visit.until("() => Number(document.querySelector('.t2s').dataset.masks) >= 1")
    assert visit.page.get_attribute(".t2s", "data-phase") == "busy"
    visit.phase("done")
    visit.says("replayed, no model ran")
    assert visit.page.input_value("#question textarea") == "planes" and visit.thought in TEXTS["planes"]
    visit.settle()
    visit.choose("segmenter", "tiny")
    visit.says("SAM only")
    assert site.prompter.calls == calls
    visit.settle()
    visit.page.click("#segment")
    visit.says("first word")
    assert site.prompter.calls == calls + 1


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_no_width_scrolls_sideways(site: Site, browser: Any, width: int, height: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=2)
    visit = Visit(site, context.new_page())
    scroll, inner = visit.wide()
    assert scroll <= inner == width
    visit.upload(site.png)
    visit.ask("planes")
    visit.phase("done")
    visit.page.wait_for_selector("#objects")
    scroll, inner = visit.wide()
    assert scroll <= inner
    canvas = visit.page.evaluate("(c => [c.width, c.clientWidth])(document.querySelector('.t2s canvas'))")
    assert canvas[0] == pytest.approx(2 * canvas[1], abs=2)  # sharp on a dense screen
    assert visit.page.locator(".t2s .stage").bounding_box()["height"] <= 0.7 * height + 1
    context.close()
