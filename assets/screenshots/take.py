"""Takes the README's screenshots, `make screenshots`: the bundled models and pictures, in a real Chromium."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
PATIENCE_MS = 120_000


@contextmanager
def studio() -> Iterator[str]:
    """The app in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--prompter", "nano", "--segmenter", "nano"]
    app = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        app.terminate()
        app.wait(30)


class Tab:
    """A page with an example's picture and question."""

    def __init__(self, browser: Any, address: str, wide: int, high: int, example: str) -> None:
        self.page = browser.new_page(viewport={"width": wide, "height": high}, device_scale_factor=1.25)
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.goto(address)
        self.page.wait_for_selector("#canvas .t2s")
        self.page.set_input_files("#image input[type=file]", str(ROOT / "assets/examples" / example / "image.webp"))
        self.page.wait_for_function("() => Number(document.querySelector('.t2s').dataset.rev) > 0")

    def ask(self, question: str) -> None:
        self.page.fill("#question textarea", question)
        self.page.click("#segment")
        self.page.wait_for_selector('.t2s[data-phase="done"]')
        self.page.wait_for_selector("#segment:not([disabled])")
        time.sleep(1.5)  # the table and the files

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A share (x, y) of the stage, in pixels of the page."""
        box = self.page.locator(".stage").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def painted(self) -> None:
        self.page.wait_for_function(
            "() => { const d = document.querySelector('.t2s').dataset; return d.edit === d.painted && d.stale === ''; }"
        )
        time.sleep(1.5)

    def shot(self, name: str, selector: str = "", **how: Any) -> None:
        target = self.page.locator(selector) if selector else self.page
        taken = Image.open(io.BytesIO(target.screenshot(**how)))
        taken.save(HERE / f"{name}.webp", quality=85, method=6)
        print(HERE / f"{name}.webp")


def main() -> None:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with studio() as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        desk = Tab(browser, address, 1280, 860, "01-diamonds")
        desk.ask("Where would a pitcher throw to a batter?")
        desk.shot("studio")

        # A point outside on the first object, and an object of one's own.
        page = desk.page
        page.mouse.click(*desk.at(0.26, 0.72), button="right")
        desk.painted()
        page.keyboard.press("Escape")
        page.click('[data-tool="box"]')
        page.mouse.move(*desk.at(0.44, 0.84))
        page.mouse.down()
        page.mouse.move(*desk.at(0.58, 0.985), steps=8)
        page.mouse.up()
        desk.painted()
        desk.shot("editing", "#canvas")

        page.click("#lab-run")
        page.wait_for_selector("#lab-stop:not([disabled])")
        page.wait_for_selector("#lab-run:not([disabled])")
        time.sleep(2)
        desk.shot("lab", "#lab")

        page.locator("#lab").get_by_role("tab", name="How sure?").click()
        page.click("#votes-run")
        page.wait_for_selector("#votes-stop:not([disabled])")
        page.wait_for_selector("#votes-run:not([disabled])")
        time.sleep(2)
        desk.shot("votes", "#lab")

        phone = Tab(browser, address, 390, 1560, "01-diamonds")  # canvas, question and thought in one picture
        phone.ask("Where would a pitcher throw to a batter?")
        phone.shot("studio-narrow")
        browser.close()


if __name__ == "__main__":
    main()
