"""The lab in a real browser: panels one after another, linked zoom, the slider, stopping, truth, files, votes."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

from test_browser import CHROMIUM, FLAGS, Site, Visit, in_time  # noqa: E402

from think2seg.strategy import STRATEGIES  # noqa: E402

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not Path(CHROMIUM).exists(), reason="the browser tests need /usr/bin/chromium or CHROMIUM=path"
)
ALL = list(STRATEGIES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        held = Site(folder)
        yield held
        held.demo.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Bench:
    """One tab, and the lab in it."""

    def __init__(self, site: Site, page: Any) -> None:
        self.visit, self.page, self.site = Visit(site, page), page, site

    def begin(self, question: str, path: Path | None = None) -> None:
        """Bring a picture and a question to the main desk, without asking it."""
        self.visit.upload(path or self.site.png)
        self.page.fill("#question textarea", question)

    def still(self, place: Any) -> dict[str, float]:
        """Where something lies in the window, once it is there and the page has done moving it."""
        place.scroll_into_view_if_needed()
        before = None
        while (box := place.bounding_box()) != before:
            before = box
            self.page.wait_for_timeout(150)
        return dict(box)

    def compare(self) -> None:
        """Compare, and wait until all of it is painted."""
        self.go("#lab-run", "#lab-bench")

    def go(self, run: str, bench: str) -> None:
        rev = self.page.get_attribute(f"{bench} .bench", "data-rev")
        self.page.click(run)
        self.page.wait_for_selector(f"{run}[disabled]")
        self.idle(run)
        self.visit.until(
            """([b, old]) => document.querySelector(b + ' .bench').dataset.rev !== old
            && !document.querySelector(b + ' .panel:is([data-kind=waiting], [data-kind=busy])')""",
            [bench, rev],
        )

    def idle(self, run: str = "#lab-run") -> None:
        self.page.wait_for_selector(f"{run}:not([disabled])", timeout=20_000)

    def says(self, words: str, where: str = "#lab-status") -> None:
        script = "([s, w]) => document.querySelector(s + ' .words').textContent.includes(w)"
        try:
            self.visit.until(script, [where, words])
        except playwright.TimeoutError as error:
            raise AssertionError(f"{words!r} never came; it says {self.page.text_content(where)!r}") from error

    def kinds(self, bench: str = "#lab-bench") -> dict[str, str]:
        return dict(
            self.page.evaluate(
                "([b]) => [...document.querySelectorAll(b + ' .panel')].map(p => [p.dataset.key, p.dataset.kind])",
                [bench],
            )
        )

    def panel(self, key: str, bench: str = "#lab-bench") -> Any:
        return self.page.locator(f'{bench} .panel[data-key="{key}"]')

    def shown(self, key: str) -> str:
        """What a panel's canvas holds."""
        return str(self.panel(key).locator(".pane canvas").evaluate("canvas => canvas.toDataURL()"))

    @property
    def look(self) -> list[float]:
        return [float(v) for v in self.page.get_attribute("#lab-bench .bench", "data-look").split()]


@pytest.fixture
def bench(site: Site, browser: Any) -> Iterator[Bench]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    held = Bench(site, context.new_page())
    yield held
    context.close()
    assert held.visit.hosts == {"127.0.0.1"}
    assert held.visit.dialogs == [] and held.visit.faults == []


def test_five_strategies_appear_one_after_another(site: Site, bench: Bench) -> None:
    bench.begin("planes")
    pictures: list[str] = []
    bench.page.on("request", lambda request: pictures.append(request.url) if "picture.jpg" in request.url else None)
    asked = len(site.prompter.asked)
    bench.page.click("#lab-run")
    seen: list[dict[str, str]] = []
    while not seen or set(seen[-1].values()) & {"waiting", "busy"}:
        seen.append(bench.kinds() or {"": "waiting"})
        time.sleep(0.1)
    assert any({"done", "waiting"} <= set(row.values()) or {"busy", "waiting"} <= set(row.values()) for row in seen)
    bench.idle()
    assert [name for name, _ in site.prompter.asked[asked:]] == ["box+4", "box+2+neg"]
    assert list(bench.kinds()) == [*(f"{s} · nano" for s in ALL), "disagreement"]
    assert set(bench.kinds().values()) == {"done", "map"}
    bench.says("5 of 5 panels done")
    assert "cut from the answer to “box + 4 points”" in bench.panel("box · nano").locator(".say").text_content()
    assert "asked again" in bench.panel("box+4 · nano").locator(".say").text_content()
    assert len(pictures) <= 1  # one picture for the canvas and six panels
    assert bench.page.locator("#lab-bench > * table").first.locator("tr").count() == 6
    bench.page.click("#lab-bench .pairs summary")
    assert bench.page.locator("#lab-bench .pairs td").first.text_content() == "1.000"


def test_the_desks_answer_is_cut_and_sizes_of_sam_run_alone(site: Site, bench: Bench) -> None:
    bench.visit.upload(site.png)
    bench.visit.choose("strategy", "box + 2 points + 2 negative")
    bench.visit.ask("one")
    bench.visit.phase("done")
    bench.visit.settle()
    calls = site.prompter.calls
    bench.page.get_by_label("box + 4 points").uncheck()
    bench.page.locator("#lab-segmenters").get_by_label("tiny").check()
    bench.compare()
    bench.says("8 of 8 panels done")
    assert site.prompter.calls == calls and site.segmenters["tiny"].asked


def test_panels_zoom_and_move_together(site: Site, bench: Bench) -> None:
    bench.begin("one")
    bench.compare()
    first, second = f"{ALL[0]} · nano", f"{ALL[1]} · nano"
    before = bench.shown(first), bench.shown(second), bench.shown("disagreement")
    box = bench.still(bench.panel(first).locator(".pane"))
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4
    bench.page.mouse.move(x, y)
    bench.page.mouse.wheel(0, -700)
    bench.page.wait_for_selector("#lab-bench .panel .pane.zoomed")
    bench.visit.until("() => parseFloat(document.querySelector('#lab-bench .bench').dataset.look) > 1.5")
    after = bench.shown(first), bench.shown(second), bench.shown("disagreement")
    assert all(a != b for a, b in zip(before, after, strict=True))
    zoom, left, top = bench.look
    bench.page.mouse.down()
    bench.page.mouse.move(x - 60, y - 30, steps=4)
    bench.page.mouse.up()
    bench.visit.until("([l]) => document.querySelector('#lab-bench .bench').dataset.look.split(' ')[1] > l", [left])
    assert bench.look[0] == zoom and bench.look[2] > top and bench.shown(second) != after[1]
    bench.panel(second).locator(".pane").focus()  # the keyboard alone
    bench.page.keyboard.press("0")
    bench.visit.until("() => document.querySelector('#lab-bench .bench').dataset.look === '1.000 0.5000 0.5000'")
    assert (bench.shown(first), bench.shown("disagreement")) == (before[0], before[2])
    bench.page.keyboard.press("+")
    bench.visit.until("() => document.querySelector('#lab-bench .bench').dataset.look.startsWith('1.300')")
    bench.page.keyboard.press("ArrowRight")
    bench.visit.until("() => document.querySelector('#lab-bench .bench').dataset.look.split(' ')[1] > 0.5")


def test_any_two_panels_become_a_slider(site: Site, bench: Bench) -> None:
    bench.begin("one")
    bench.compare()
    page = bench.page
    assert not page.is_visible("#lab-bench .before-after")
    bench.panel("box · nano").locator(".pick input").check()
    bench.panel("points · nano").locator(".pick input").check()
    page.wait_for_selector("#lab-bench .before-after:not([hidden])")
    assert page.text_content("#lab-bench .name.left") == "box only · SAM nano"
    assert page.text_content("#lab-bench .name.right") == "points only · SAM nano"
    pane = page.locator("#lab-bench .before-after .pane")
    pane.scroll_into_view_if_needed()
    half = pane.screenshot()
    page.focus("#lab-bench .divider")  # the keyboard
    page.keyboard.press("Home")
    bench.visit.until("() => document.querySelector('#lab-bench .divider').value === '0'")
    time.sleep(0.1)
    all_points = pane.screenshot()
    page.keyboard.press("End")
    time.sleep(0.1)
    all_box = pane.screenshot()
    assert len({half, all_points, all_box}) == 3
    box = pane.bounding_box()  # the mouse
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40, steps=5)
    page.mouse.up()
    bench.visit.until("() => Math.abs(document.querySelector('#lab-bench .divider').value - 250) < 8")
    bench.panel("disagreement").locator(".pick input").check()  # a third takes the place of the first
    page.wait_for_function("document.querySelector('#lab-bench .name.right').textContent === 'where they disagree'")
    assert page.text_content("#lab-bench .name.left") == "points only · SAM nano"
    page.click("#lab-bench .shut")
    page.wait_for_selector("#lab-bench .before-after", state="hidden")
    assert page.locator("#lab-bench .pick input:checked").count() == 0


def test_the_slider_on_a_narrow_touch_screen(site: Site, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True)
    bench = Bench(site, context.new_page())
    bench.begin("one")
    bench.compare()
    scroll, inner = bench.visit.wide()
    assert scroll <= inner == 390
    tops = [bench.panel(f"{s} · nano").bounding_box() for s in ALL]
    assert len({round(t["x"]) for t in tops}) == 1 and all(a["y"] < b["y"] for a, b in pairwise(tops))
    for key in ("box · nano", "points · nano"):
        bench.panel(key).locator(".pick input").tap()
    pane = bench.page.locator("#lab-bench .before-after .pane")
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    bench.page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    bench.visit.until("() => Math.abs(document.querySelector('#lab-bench .divider').value - 200) < 12")
    scroll, inner = bench.visit.wide()
    assert scroll <= inner
    context.close()


def test_stop_within_a_second_keeps_what_is_done(site: Site, bench: Bench) -> None:
    bench.begin("slow")
    bench.page.click("#lab-run")
    bench.page.wait_for_selector('#lab-bench .panel[data-kind="busy"]')
    words = "document.querySelector('#lab-bench .panel[data-kind=busy] .mind p').textContent.length"
    bench.visit.until(f"() => {words} > 5")
    bench.visit.until(f"([n]) => {words} > n", [bench.page.evaluate(words)])  # the thought streams
    assert site.demo.lab.sessions.running == 1
    bench.page.click("#lab-stop")
    assert in_time(lambda: site.demo.lab.sessions.running == 0 and site.prompter.ended.is_set(), 1.0)
    bench.says("stopped: 0 of 5 panels done")
    assert set(bench.kinds().values()) == {"stopped"}
    bench.idle()
    bench.page.fill("#question textarea", "one")
    bench.compare()
    bench.says("5 of 5 panels done")
    bench.visit.ask("planes")  # the model's slot is free for the main desk as well
    bench.visit.phase("done")


def test_one_panel_fails_and_the_others_go_on(site: Site, bench: Bench) -> None:
    bench.begin("moody")
    bench.compare()
    kinds = bench.kinds()
    assert kinds.pop("box+4 · nano") == "failed" and set(kinds.values()) == {"done", "map"}
    assert bench.panel("box+4 · nano").locator(".pick input").is_disabled()
    bench.says("4 of 5 panels done")


def test_a_truth_mask_is_checked_and_scored(site: Site, bench: Bench, tmp_path: Path) -> None:
    mask = np.zeros((600, 800), np.uint8)
    mask[80:160, 60:180] = 1
    Image.fromarray(mask).save(tmp_path / "right.png")
    Image.fromarray(mask[:300, :400]).save(tmp_path / "wrong.png")
    bench.begin("one")
    bench.page.set_input_files("#lab-truth input[type=file]", str(tmp_path / "wrong.png"))
    bench.says("The truth mask wrong.png has 400 × 300 pixels, the picture 800 × 600.")
    bench.page.click("#lab-run")
    bench.says("The truth mask wrong.png has 400 × 300 pixels, the picture 800 × 600.")
    bench.idle()
    assert bench.kinds() == {} or "done" not in bench.kinds().values()
    bench.page.locator("#lab-truth button[aria-label*=emove], #lab-truth button[aria-label=Clear]").first.click()
    bench.page.set_input_files("#lab-truth input[type=file]", str(tmp_path / "right.png"))
    bench.says("The truth mask right.png marks 2.0 % of the picture.")
    bench.compare()
    bench.says("5 of 5")
    headers = bench.page.locator("#lab-bench table").first.locator("tr").first.locator("th").all_text_contents()
    first = bench.page.locator("#lab-bench table").first.locator("tr").nth(1).locator("td").all_text_contents()
    assert headers[-1] == "IoU with the truth" and float(first[-1]) == pytest.approx(np.pi / 4, abs=0.01)  # an ellipse
    assert bench.kinds()["truth"] == "map"


def test_the_plate_and_the_table_are_taken_home(site: Site, bench: Bench, tmp_path: Path) -> None:
    bench.begin("one")
    assert bench.page.is_disabled("#lab-plate") and bench.page.is_disabled("#lab-csv")
    bench.compare()
    for button, name in (("#lab-plate", "comparison.png"), ("#lab-csv", "comparison.csv")):
        with bench.page.expect_download() as download:
            bench.page.click(button)
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    plate = Image.open(tmp_path / "comparison.png")
    plate.load()
    assert plate.size[0] == 3 * (440 + 16) + 16
    with (tmp_path / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["strategy"] for r in rows] == ALL and {r["status"] for r in rows} == {"done"}
    shown = bench.page.locator("#lab-bench table").first.locator("tr").nth(1).locator("td").all_text_contents()
    assert shown[5].replace(",", "") == rows[0]["area_px"]


def test_hostile_text_stays_text(site: Site, bench: Bench) -> None:
    bench.begin("hostile")
    bench.compare()
    thought = bench.panel("box+4 · nano").locator(".mind p").text_content()
    assert "<script>alert(1)</script><img src=http://evil.invalid/x.png" in thought
    assert bench.page.evaluate("document.querySelectorAll('#lab .mind p *').length") == 0
    assert bench.page.locator("#lab [src*=evil], #lab [href*=evil], #lab #injected, #lab iframe").count() == 0


def test_samples_vote_on_the_page(site: Site, bench: Bench) -> None:
    bench.begin("chance")
    bench.page.get_by_role("tab", name="How sure?").click()
    bench.page.wait_for_selector("#votes-run")
    bench.page.fill("#votes-number input[type=number]", "4")
    bench.go("#votes-run", "#votes-bench")
    bench.says("4 of 4 samples", "#votes-status")
    bench.says("3 readable, 1 unreadable, 1 say “nothing here”", "#votes-status")
    kinds = bench.kinds("#votes-bench")
    assert kinds == {"greedy": "done", "votes": "map", "sample-1": "done", "sample-2": "done", "sample-3": "done",
                     "sample-4": "failed"}  # fmt: skip
    row = bench.page.locator("#votes-bench table").first.locator("tr").nth(1)
    assert row.locator("td").all_text_contents() == ["2 of 4", "50 %", "50 %"]
    assert bench.panel("sample-3", "#votes-bench").locator(".mind p").is_visible()  # thoughts side by side
    assert bench.page.is_visible("#votes-bench .key") and "every sample" in bench.page.text_content("#votes-bench .key")
    at = "(c => [...c.getContext('2d').getImageData(c.width * X, c.height * Y, 1, 1).data])(document.querySelector(S))"
    script = at.replace("S)", "'#votes-bench .panel[data-key=votes] canvas')")
    inside = bench.page.evaluate(script.replace("X", "0.15").replace("Y", "0.2"))
    outside = bench.page.evaluate(script.replace("X", "0.9").replace("Y", "0.1"))
    assert max(inside[:3]) - min(inside[:3]) > 40 and max(outside[:3]) - min(outside[:3]) <= 2


def test_stopping_the_samples_frees_the_model(site: Site, bench: Bench) -> None:
    bench.begin("slow")
    bench.page.get_by_role("tab", name="How sure?").click()
    bench.page.click("#votes-run")
    bench.page.wait_for_selector('#votes-bench .panel[data-kind="busy"]')
    bench.page.click("#votes-stop")
    assert in_time(lambda: site.demo.poll.sessions.running == 0 and site.prompter.ended.is_set(), 1.0)
    bench.says("too few for a vote", "#votes-status")


def test_another_tab_sees_nothing_of_it(site: Site, browser: Any, bench: Bench) -> None:
    bench.begin("one")
    bench.compare()
    context = browser.new_context()
    other = Bench(site, context.new_page())
    assert other.kinds() == {} and other.page.is_disabled("#lab-csv")
    other.page.click("#lab-run")
    other.says("question is empty")
    context.close()
    assert len(bench.kinds()) == 6
