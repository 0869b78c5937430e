"""The canvas as an editor, in a real browser: by mouse, touch and keys alone; no click is lost, no older mask shown."""

# ruff: noqa: F811 - fixtures that are imported

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_browser import Site, Visit, browser, in_time, pytestmark, site  # noqa: F401 - fixtures

from think2seg.types import Prompt

pytestmark = pytestmark  # skipped where there is no browser
SIZE = (800, 600)


class Canvas(Visit):
    """A visit that points at the picture, 800 x 600, in its own pixels."""

    def on_page(self, x: float, y: float) -> tuple[float, float]:
        self.page.locator(".view").scroll_into_view_if_needed()
        box = self.page.locator(".view").bounding_box()
        return box["x"] + box["width"] * x / SIZE[0], box["y"] + box["height"] * y / SIZE[1]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.on_page(x, y), **options)

    def drag(self, a: tuple[float, float], b: tuple[float, float]) -> None:
        self.page.mouse.move(*self.on_page(*a))
        self.page.mouse.down()
        for share in (0.3, 0.7, 1.0):
            self.page.mouse.move(*self.on_page(*(u + (v - u) * share for u, v in zip(a, b, strict=True))))
        self.page.mouse.up()

    def data(self, name: str) -> str:
        return str(self.page.get_attribute(".t2s", f"data-{name}"))

    def answered(self) -> None:
        """Wait until the masks on the canvas are those of what is drawn."""
        self.until("() => { const d = document.querySelector('.t2s').dataset; return d.edit === d.painted; }")

    def filled(self, x: float, y: float) -> bool:
        """Whether the grey picture is tinted there."""
        red, green, blue = self.colour(x / SIZE[0], y / SIZE[1])
        return max(abs(red - green), abs(green - blue), abs(red - blue)) > 20

    @property
    def told(self) -> str:
        return str(self.page.text_content(".told"))

    def last(self) -> Prompt:
        """What SAM was asked last: one prompt."""
        (prompt,) = self.site.segmenters["nano"].asked[-1]
        return prompt


@pytest.fixture
def canvas(site: Site, browser: Any) -> Iterator[Canvas]:
    yield from opened(site, browser, viewport={"width": 1440, "height": 1000})


def opened(site: Site, browser: Any, **options: Any) -> Iterator[Canvas]:
    context = browser.new_context(**options)
    held = Canvas(site, context.new_page())
    held.upload(site.png)
    yield held
    site._segmenter("nano").delay_s = 0.0
    context.close()
    assert held.hosts == {"127.0.0.1"} and held.faults == []


def close(points: Any, expected: Any) -> bool:
    return bool(points == pytest.approx(expected, abs=1.5))


def test_a_picture_is_prompted_by_hand_and_a_moved_point_moves_its_mask(canvas: Canvas) -> None:
    assert not canvas.filled(218, 160)
    canvas.page.mouse.move(*canvas.on_page(50, 50))
    assert in_time(
        lambda: "nano" in canvas.site.segmenters and canvas.site.segmenters["nano"].encoded > 0, 10.0
    )  # before the first click
    canvas.click(200, 150)
    assert canvas.data("points") == "1" and canvas.told.startswith("New object 1: point inside at 200, 1")
    canvas.answered()
    assert canvas.filled(218, 160) and close(canvas.last().positive[0], (200, 150))
    canvas.says("prompted by hand")
    canvas.drag((200, 150), (500, 400))
    canvas.answered()
    assert canvas.filled(518, 410) and not canvas.filled(218, 160)
    assert close(canvas.last().positive[0], (500, 400)) and canvas.data("points") == "1"
    canvas.lists("hand")
    canvas.page.get_by_role("tab", name="JSON").click()
    canvas.page.wait_for_selector("#document >> text=by hand")
    assert canvas.site.prompter.calls == 0


def test_twenty_clicks_as_fast_as_can_be_are_all_kept(canvas: Canvas) -> None:
    canvas.site._segmenter("nano").delay_s = 0.05
    places = [(60 + 170 * (i % 4), 80 + 90 * (i // 4)) for i in range(20)]
    for place in places:
        canvas.click(*place)
    assert canvas.data("points") == "20" and canvas.data("edit") == "20"
    canvas.answered()
    assert close([v for p in canvas.last().positive for v in p], [v for p in places for v in p])
    assert len(canvas.site.segmenters["nano"].asked) < 25  # the last one counts, and not each of them
    for _ in range(20):
        canvas.page.keyboard.press("Control+z")
    assert canvas.data("points") == "0"
    canvas.answered()
    assert canvas.data("masks") == "0" and not canvas.filled(78, 90)


def test_boxes_undo_redo_and_delete(canvas: Canvas) -> None:
    canvas.page.click("[data-tool=box]")
    canvas.drag((100, 100), (300, 250))
    canvas.answered()
    assert close(canvas.last().box, (100, 100, 300, 250)) and canvas.filled(200, 175)
    canvas.drag((300, 250), (400, 350))  # its corner
    canvas.answered()
    assert close(canvas.last().box, (100, 100, 400, 350))
    canvas.drag((250, 100), (250, 150))  # its upper edge
    canvas.answered()
    assert close(canvas.last().box, (100, 150, 400, 350))
    canvas.page.click(".tools .undo")
    canvas.page.keyboard.press("Control+z")
    canvas.answered()
    assert canvas.filled(250, 175) and not canvas.filled(330, 290)
    canvas.page.keyboard.press("Control+Shift+z")
    canvas.page.keyboard.press("Control+y")
    canvas.answered()
    assert canvas.filled(330, 290) and canvas.told.startswith("Done again")
    assert canvas.page.is_disabled(".tools .redo")
    canvas.page.click("[data-tool=positive]")
    canvas.click(250, 250)
    canvas.answered()
    assert len(canvas.last().positive) == 1 and canvas.data("objects") == "1"
    canvas.page.keyboard.press("Delete")  # the point that was just drawn
    assert canvas.data("points") == "0" and canvas.data("objects") == "1"
    canvas.page.click(".tools .delete")  # the object
    canvas.answered()
    assert canvas.data("objects") == "0" and canvas.data("masks") == "0" and not canvas.filled(250, 250)
    canvas.page.click(".tools .undo")
    canvas.answered()
    assert canvas.data("objects") == "1" and canvas.filled(330, 290)


def test_points_outside_by_right_click_shift_click_and_tool(canvas: Canvas) -> None:
    canvas.page.click("[data-tool=box]")
    canvas.drag((200, 100), (600, 500))
    canvas.page.click("[data-tool=positive]")
    canvas.click(250, 300, button="right")
    canvas.page.keyboard.down("Shift")
    canvas.click(400, 200)
    canvas.page.keyboard.up("Shift")
    canvas.page.click("[data-tool=negative]")
    canvas.click(550, 300)
    canvas.answered()
    assert close([v for p in canvas.last().negative for v in p], [250, 300, 400, 200, 550, 300])
    assert canvas.filled(400, 400) and not canvas.filled(265, 310) and canvas.told.endswith("3 outside.")
    # Where there is nothing to be outside of, the click is refused and says so.
    canvas.page.click(".tools .fresh")
    canvas.click(720, 560)
    assert "needs an object" in canvas.told and canvas.data("points") == "3"


def test_an_object_with_points_outside_alone_waits_and_is_not_lost(canvas: Canvas) -> None:
    canvas.click(300, 300)
    canvas.page.keyboard.down("Shift")
    canvas.click(400, 200)
    canvas.page.keyboard.up("Shift")
    canvas.click(300, 300)  # chooses the point
    canvas.page.keyboard.press("Delete")
    canvas.answered()
    assert canvas.data("points") == "1" and "waiting for a point inside" in canvas.page.text_content(".summary")
    assert "needs a point inside or a box" in canvas.page.text_content(".target")
    canvas.click(310, 310)
    canvas.answered()
    assert canvas.data("points") == "2" and canvas.filled(328, 318)


def test_the_keyboard_alone(canvas: Canvas) -> None:
    page = canvas.page
    page.focus(".stage")
    page.keyboard.press("Enter")  # shows the crosshair
    assert "crosshair" in canvas.told and canvas.data("points") == "0"
    page.keyboard.press("Enter")
    canvas.answered()
    (x, y), step = canvas.last().positive[0], 12 * SIZE[0] / page.locator(".view").bounding_box()["width"]
    assert close((x, y), (400, 300))
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+Enter")
    canvas.answered()
    assert close(canvas.last().negative[0], (x + 5 * step, y - step))
    page.keyboard.press("Escape")  # lets go
    page.keyboard.press("Tab")
    assert canvas.told.startswith("Object 1, at 400, 300") and canvas.data("selected") == "1"
    page.keyboard.press("Tab")
    assert "point inside" in canvas.told
    page.keyboard.press("Enter")  # picks it up
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    canvas.answered()
    assert close(canvas.last().positive[0], (x, y + 3 * step)) and "moved" in canvas.told
    page.keyboard.press("n")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    canvas.answered()
    box = canvas.last().box
    assert box is not None and close((box[2] - box[0], box[3] - box[1]), (8 * step, 8 * step))
    assert canvas.data("objects") == "2"
    page.keyboard.press("Delete")
    page.keyboard.press("Control+z")
    page.keyboard.press("+")
    page.wait_for_selector(".stage.zoomed")
    page.keyboard.press("0")
    page.wait_for_selector(".stage:not(.zoomed)")
    canvas.answered()
    assert canvas.data("objects") == "2"
    for _ in range(20):  # out of the canvas at its end: no trap
        page.keyboard.press("Tab")
        if not page.evaluate("document.activeElement.classList.contains('stage')"):
            break
    else:
        raise AssertionError("Tab never left the canvas")


def test_zoomed_clicks_land_on_the_right_pixel_and_a_drag_moves_the_picture(canvas: Canvas) -> None:
    x, y = map(round, canvas.on_page(300, 200))
    canvas.page.mouse.move(x, y)
    canvas.page.mouse.wheel(0, -800)
    canvas.page.wait_for_selector(".stage.zoomed")
    zoom = 2.718281828 ** (800 * 0.0015)
    canvas.page.mouse.click(x, y)
    canvas.answered()
    first = canvas.last().positive[0]
    assert first == pytest.approx((300, 200), abs=1.0)
    canvas.page.mouse.move(x + 150, y + 100)
    canvas.page.mouse.down()
    canvas.page.mouse.move(x + 120, y + 80, steps=4)
    canvas.page.mouse.move(x + 90, y + 40, steps=4)
    canvas.page.mouse.up()
    assert canvas.data("points") == "1"  # a drag is no click
    canvas.page.mouse.click(x + 100, y + 100)
    canvas.answered()
    pixel = SIZE[0] / canvas.page.locator(".view").bounding_box()["width"] / zoom
    expected = (first[0] + 160 * pixel, first[1] + 160 * pixel)
    assert canvas.last().positive[1] == pytest.approx(expected, abs=0.2)


def test_a_slow_sam_never_shows_an_older_mask_over_newer_points(canvas: Canvas) -> None:
    canvas.click(200, 150)
    canvas.answered()
    canvas.site._segmenter("nano").delay_s = 0.7
    canvas.drag((200, 150), (400, 300))
    assert canvas.data("stale") == "1" and not canvas.filled(218, 160)  # at once, before any answer
    canvas.drag((400, 300), (600, 450))
    seen = []
    for _ in range(200):
        painted, stale = canvas.data("painted"), canvas.data("stale")
        seen.append(painted)
        assert not canvas.filled(218, 160) and not canvas.filled(418, 310), seen
        if painted == "3":
            assert stale == "" and canvas.filled(618, 460)
            break
        canvas.page.wait_for_timeout(15)
    assert "2" in seen and seen[-1] == "3"  # the answer to the older edit came, and was not shown


def test_what_the_model_said_stays_and_comes_back(canvas: Canvas) -> None:
    canvas.ask("planes")
    canvas.phase("done")
    canvas.settle()
    calls = canvas.site.prompter.calls
    canvas.drag((180, 160), (260, 230))  # the first box's lower right corner... is not selected yet: its edge
    canvas.answered()
    assert canvas.page.is_visible(".edited-key") and canvas.page.is_visible(".ghost-key")
    assert canvas.page.text_content(".summary").endswith("1 edited")
    canvas.lists("model, edited by hand")
    canvas.click(241, 183)  # the second object's number
    if canvas.data("selected") != "2":
        canvas.click(240, 170)
    canvas.page.click(".tools .delete")
    canvas.answered()
    assert "1 crossed out" in canvas.page.text_content(".summary") and canvas.data("objects") == "3"
    assert not canvas.filled(300, 220)
    canvas.page.click(".tools .clear")
    canvas.answered()
    assert canvas.data("objects") == "0" and canvas.data("masks") == "0"
    canvas.page.click(".tools .original")
    canvas.answered()
    assert canvas.data("objects") == "4" and canvas.filled(300, 220) and not canvas.page.is_visible(".edited-key")
    assert "edited" not in canvas.page.text_content(".summary")
    assert canvas.site.prompter.calls == calls


def test_one_object_is_put_back_and_another_sam_keeps_the_edits(canvas: Canvas) -> None:
    canvas.ask("planes")
    canvas.phase("done")
    canvas.settle()
    canvas.drag((100, 110), (140, 100))  # a point of object 1
    canvas.page.click(".tools .fresh")
    canvas.click(700, 100)
    canvas.answered()
    assert canvas.page.text_content(".summary").endswith("1 edited, 1 added by hand")
    canvas.choose("segmenter", "tiny")
    canvas.says("with SAM tiny")
    assert close(canvas.site.segmenters["tiny"].asked[-1][0].positive[0], (140, 100))
    assert close(canvas.site.segmenters["tiny"].asked[-1][4].positive[0], (700, 100))
    canvas.choose("strategy", "box only")
    canvas.until("() => document.querySelector('#objects')?.textContent.includes('0 in')")
    assert canvas.data("objects") == "5"
    canvas.click(140, 100)
    canvas.page.click(".tools .restore")
    canvas.answered()
    assert canvas.page.text_content(".summary").endswith("% of the image · 1 added by hand")


def test_a_replayed_example_and_a_stopped_answer_can_be_edited(canvas: Canvas) -> None:
    canvas.page.click(".card[data-name=apron]")
    canvas.until("() => document.querySelector('.t2s').dataset.phase === 'busy'")
    canvas.until("() => Number(document.querySelector('.t2s').dataset.masks) >= 1")
    canvas.click(700, 100)  # too early: told, and not drawn
    assert "still at work" in canvas.told and canvas.data("edit") == "0"
    canvas.phase("done")
    canvas.settle()
    canvas.click(700, 100)
    canvas.answered()
    assert canvas.data("objects") == "5" and canvas.filled(718, 110)
    canvas.page.fill("#question textarea", "planes")
    canvas.page.click("#segment")
    canvas.phase("busy")
    canvas.until("() => Number(document.querySelector('.t2s').dataset.masks) === 2")
    canvas.page.click("#stop")
    canvas.phase("stopped")
    canvas.click(700, 100)
    canvas.answered()
    found = int(canvas.data("objects")) - 1  # two had masks; how many more were written by then is chance
    assert 2 <= found <= 4 and canvas.filled(718, 110) and canvas.filled(120, 145)
    assert canvas.data("stale") == ""
    canvas.lists("hand")


def test_two_tabs_never_see_each_others_edits(site: Site, browser: Any, canvas: Canvas) -> None:
    other = opened(site, browser, viewport={"width": 1440, "height": 1000})
    second = next(other)
    canvas.click(200, 150)
    second.click(500, 400)
    second.page.keyboard.press("Escape")
    second.click(600, 100)
    canvas.answered()
    second.answered()
    assert canvas.data("objects") == "1" and second.data("objects") == "2"
    assert canvas.filled(218, 160) and not canvas.filled(518, 410)
    assert second.filled(518, 410) and not second.filled(218, 160)
    with pytest.raises(StopIteration):
        next(other)


def test_the_training_row_is_downloaded(canvas: Canvas, tmp_path: Path) -> None:
    canvas.click(200, 150)
    canvas.answered()
    canvas.page.wait_for_selector("#training >> text=needs the question")
    canvas.page.fill("#question textarea", "the tank")
    canvas.page.keyboard.press("Tab")
    canvas.page.wait_for_selector("#training-row:not([disabled])")
    canvas.until("() => !document.querySelector('#training').textContent.includes('needs')")
    with canvas.page.expect_download() as started:
        canvas.page.click("#training-row")
    row = json.loads(Path(started.value.path()).read_text(encoding="utf-8"))
    assert row["query"] == "the tank" and row["model"] is None and row["image"] == "field.png"
    assert close(row["edited"]["prompts"][0]["positive"][0], (200, 150))


@pytest.fixture
def phone(site: Site, browser: Any) -> Iterator[Canvas]:
    yield from opened(
        site, browser, viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True, is_mobile=True
    )


def test_a_phone_taps_presses_long_and_pinches(phone: Canvas) -> None:
    page = phone.page
    page.locator(".stage").scroll_into_view_if_needed()
    scroll, inner = phone.wide()
    assert scroll <= inner == 390
    for box in (b.bounding_box() for b in page.locator(".tools button:visible, .zoom button").all()):
        assert box["width"] >= 43.5 and box["height"] >= 43.5
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    page.touchscreen.tap(*phone.on_page(200, 150))
    phone.until("() => document.querySelector('.t2s').dataset.points === '1'")
    send("touchStart", phone.on_page(500, 400))
    phone.until("() => document.querySelector('.t2s').dataset.points === '2'")
    send("touchEnd")
    phone.answered()
    assert len(phone.last().positive) == 1 and phone.last().negative[0] == pytest.approx((500, 400), abs=4)
    x, y = phone.on_page(400, 300)
    send("touchStart", (x - 30, y), (x + 30, y))
    for gap in (40, 60, 80):
        send("touchMove", (x - gap, y), (x + gap, y))
    send("touchEnd")
    page.wait_for_selector(".stage.zoomed")
    assert phone.data("points") == "2"
    page.click(".zoom .fit")
    # A finger on a point drags it; the page does not scroll under it.
    (ax, ay), (bx, by) = phone.on_page(200, 150), phone.on_page(300, 250)
    send("touchStart", (ax, ay))
    for share in (0.3, 0.6, 1.0):
        send("touchMove", (ax + (bx - ax) * share, ay + (by - ay) * share))
    send("touchEnd")
    phone.answered()
    assert phone.last().positive[0] == pytest.approx((300, 250), abs=4)
    scroll, inner = phone.wide()
    assert scroll <= inner
