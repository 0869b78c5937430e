"""Rows about the page, in a real browser: what streaming costs, and how long a click takes until its mask is painted.

The studio runs in this process, the browser beside it on the same machine, and both rows count what the person sees.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.measure import Bar, Outcome
from bench.stage import Stage
from think2seg.pipeline import Pipeline
from think2seg.prompter import Writing

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
_CLOCK = """
() => {
  window.clicked = 0; window.painted = [];
  const figure = document.querySelector(".t2s"), stage = document.querySelector("#canvas .stage");
  const begin = () => { clicked = performance.now(); painted = []; };
  const paint = () => { const edit = figure.dataset.painted; requestAnimationFrame(() => note(edit)); };
  const note = (edit) => painted.push([edit, performance.now()]);
  stage.addEventListener("pointerup", begin, true);
  new MutationObserver(paint).observe(figure, { attributes: true, attributeFilter: ["data-painted"] });
}
"""
_MASKED = """
() => {
  const edit = document.querySelector(".t2s").dataset.edit, found = painted.find(([of]) => of === edit);
  return found && found[1] - clicked;
}
"""


@dataclass
class Traffic:
    """Bytes that the page got, by address, and in how many pieces."""

    addresses: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[str, int]] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda e: self.addresses.update({e["requestId"]: e["request"]["url"]}))
        session.on("Network.dataReceived", lambda e: self.pieces.append((e["requestId"], e["dataLength"])))

    def of(self, part: str) -> list[int]:
        """Bytes of each piece from addresses with `part` in them."""
        return [size for request, size in self.pieces if part in self.addresses.get(request, "")]


@contextmanager
def _site(stage: Stage, sams: tuple[str, ...], prompter: Any = None) -> Iterator[tuple[str, str]]:
    """A studio with a prompter, the stage's by default, and segmenters: its address, and a picture to bring."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "cache")
        from think2seg.studio import build, serve

        held = {name: stage.sam(name) for name in sams}
        demo = build(
            lambda _name: prompter or stage.prompter,
            lambda name, _zoom=1: held[name],
            Path(folder) / "none",
            stage.prompter_name,
            sams[0],
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        serve(demo, host="127.0.0.1", port=port, prevent_thread_lock=True, quiet=True)
        picture = Path(folder) / "scene.png"
        Image.fromarray(stage.picture(900)).save(picture)
        try:
            yield f"http://127.0.0.1:{port}", str(picture)
        finally:
            demo.close()


@contextmanager
def _tab(address: str, picture: str) -> Iterator[tuple[Any, Traffic]]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        traffic = Traffic()
        traffic.watch(page)
        page.goto(address)
        page.wait_for_selector("#canvas .t2s")
        page.set_input_files("#image input[type=file]", picture)
        page.wait_for_function("() => Number(document.querySelector('.t2s').dataset.rev) > 0")
        yield page, traffic
        browser.close()


class Clocked:
    """A prompter that notes how long each of its answers took to write, from the asking to the last word."""

    def __init__(self, prompter: Any) -> None:
        self._prompter, self.seconds = prompter, []
        self.name, self.about = prompter.name, prompter.about

    def write(self, *given: Any, **named: Any) -> Writing:
        began = time.perf_counter()
        writing = self._prompter.write(*given, **named)
        return replace(writing, pieces=self._noted(writing.pieces, began))

    def _noted(self, pieces: Generator[str, None, None], began: float) -> Generator[str, None, None]:
        with closing(pieces):
            yield from pieces
        self.seconds.append(time.perf_counter() - began)


class Scheduled:
    """What became of the time in which a model wrote: by answer the seconds on a processor, waiting for one, and asleep
    (for the interpreter's lock, above all). Of Linux's own books; elsewhere nothing is noted."""

    def __init__(self, model: Any) -> None:
        self.answers: list[tuple[float, float, float]] = []
        self._model, self._generate = model, model.generate
        if Path("/proc/thread-self/schedstat").exists():
            model.generate = self._noted

    def _noted(self, *given: Any, **named: Any) -> Any:
        began, (ran, waited) = time.perf_counter(), self._read()
        try:
            return self._generate(*given, **named)
        finally:
            seconds, (ran_by_now, waited_by_now) = time.perf_counter() - began, self._read()
            run, wait = ran_by_now - ran, waited_by_now - waited
            self.answers.append((run, wait, max(seconds - run - wait, 0.0)))

    def _read(self) -> tuple[float, float]:
        run, wait, _slices = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
        return int(run) / 1e9, int(wait) / 1e9

    def told(self, said: str, which: slice) -> str:
        run, wait, asleep = np.median(np.array(self.answers[which]), axis=0)
        return f"{said}: {run:.2f} s on a processor, {wait:.2f} waiting for one, {asleep:.2f} asleep"

    def close(self) -> None:
        self._model.generate = self._generate


def streaming(stage: Stage) -> list[Outcome]:
    """The writing of an answer on the page, against the same in the same pipeline without one."""
    question = "all vehicles and buildings"
    on_page, alone, sizes, images = [], [], [], 0
    clocked = Clocked(stage.prompter)
    with (
        closing(Scheduled(stage.prompter.model)) as scheduled,
        _site(stage, ("nano",), clocked) as (address, picture),
        _tab(address, picture) as (page, traffic),
    ):
        pipeline = Pipeline(clocked, stage.sam("nano"))
        image = np.asarray(Image.open(picture).convert("RGB"))
        page.fill("#question textarea", question)
        for number in range(stage.runs + 1):
            traffic.pieces.clear()
            page.click("#segment")
            page.wait_for_selector("#stop:not([disabled])")
            page.wait_for_selector("#segment:not([disabled])", timeout=120_000)
            words = page.text_content("#status .words") or ""
            if "done in" not in words:
                raise RuntimeError(f"the page did not finish: {words!r}")
            page.wait_for_timeout(1000)  # what follows the answer is not its writing
            pipeline(image, question)
            if number:
                on_page.append(clocked.seconds[-2])
                alone.append(clocked.seconds[-1])
                sizes += traffic.of("/queue/data")
                images += len(
                    [1 for request, _ in traffic.pieces if "picture.jpg" in traffic.addresses.get(request, "")]
                )
    note = (
        f"{len(sizes) / stage.runs:.0f} pieces an answer, {np.median(sizes):.0f} bytes each (median; the largest, the "
        f"result, {max(sizes):,}); the picture was sent again {images} times"
    )
    notes = [note]
    if scheduled.answers:
        notes += [scheduled.told("the model's thread on the page", slice(2, None, 2))]
        notes += [scheduled.told("without it", slice(3, None, 2))]
    return [
        Outcome("streaming to the page", "the same generation without a page", Bar("at most", 1.05), tuple(on_page),
                tuple(alone), notes=tuple(notes), figures={"bytes an update": float(np.median(sizes))})
    ]  # fmt: skip


def painted(stage: Stage) -> list[Outcome]:
    """A click that adds a point, until its mask is painted; SAM's embedding there, and not."""
    sams = ("nano",) if stage.quick else ("nano", "tiny", "small")
    outcomes = []
    with _site(stage, sams) as (address, picture):
        for name in sams:
            with _tab(address, picture) as (page, _traffic):
                page.evaluate(_CLOCK)
                if name != sams[0]:
                    page.click("#segmenter input")
                    page.get_by_role("option", name=name, exact=True).click()
                stage.sam(name)._kept.clear()
                stage_of = page.locator("#canvas .stage")
                stage_of.scroll_into_view_if_needed()
                page.wait_for_timeout(500)
                box = stage_of.bounding_box()
                waits = []
                for number in range(2 * stage.runs + 1):  # the first on a picture that SAM has not seen
                    x, y = box["x"] + box["width"] * (0.15 + 0.06 * number), box["y"] + box["height"] * 0.5
                    page.mouse.click(x, y)
                    waits.append(page.wait_for_function(_MASKED, timeout=120_000).json_value() / 1000)
                    page.wait_for_timeout(1000)  # the table and the files follow
                note = f"the first one, which encodes the picture too: {1000 * waits[0]:.0f} ms"
                outcomes.append(
                    Outcome(f"click to painted mask, SAM {name}", "–", Bar("reported"), tuple(waits[1:]), notes=(note,))
                )
    return outcomes
