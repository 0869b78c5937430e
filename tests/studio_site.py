"""A running studio with doubles for models, for tests that come in over HTTP."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from studio_doubles import Ellipses, Scripted, example, png

from think2seg.segmenter import Segmenter
from think2seg.studio import build, serve
from think2seg.zoom import zoomed


class Site:
    """The address of a running page, its doubles, and ways to talk to it as a program would."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.prompter: Any = options.pop("prompter", None) or Scripted()
        self.segmenters: dict[str, Ellipses] = {}
        self.opened: list[str] = []
        house = options.pop("house", None)
        if not (folder / "examples").exists():
            example(folder / "examples")
        self.demo = build(self._prompter, self._segmenter, folder / "examples", "nano", "nano", house)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        serve(self.demo, host="127.0.0.1", port=self.port, prevent_thread_lock=True, quiet=True, **options)
        self.line = self.demo.desk._line
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/gradio_api"
        self.png = png(folder / "field.png")

    def _prompter(self, name: str) -> Any:
        self.opened.append(name)
        return self.prompter

    def _segmenter(self, name: str, zoom: int = 1) -> Segmenter:
        self.opened.append(name)
        return zoomed(self.segmenters.setdefault(name, Ellipses(name)), zoom)

    def uploaded(self, path: Path | None = None) -> dict[str, Any]:
        """A file's handle, as gradio's clients send it."""
        place = path or self.png
        sent = httpx.post(f"{self.api}/upload", files={"files": (place.name, place.read_bytes())}, timeout=30)
        assert sent.status_code == 200, sent.text
        return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}, "orig_name": place.name}

    def call(self, name: str, **arguments: Any) -> httpx.Response:
        """Ask for a job by plain HTTP."""
        return httpx.post(f"{self.api}/call/v2/{name}", json=arguments, timeout=30)

    def answers(self, name: str, **arguments: Any) -> list[tuple[str, Any]]:
        """All that a job streams back: (event, data), from `/call/v2/name`, as curl would see it."""
        import json

        joined = self.call(name, **arguments)
        if joined.status_code != 200:
            return [(str(joined.status_code), joined.text)]
        told, event = [], ""
        address = f"{self.api}/call/v2/{name}/{joined.json()['event_id']}"
        with httpx.stream("GET", address, timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event != "heartbeat":
                    told.append((event, json.loads(line[6:])))
        return told

    def last(self, name: str, **arguments: Any) -> Any:
        """What a job comes to: its value, or the error as it was told."""
        event, data = self.answers(name, **arguments)[-1]
        return data[0] if event == "complete" else data


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Site]:
    """A site in `folder`, with gradio's files there too; ends at the end."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")
    (folder / "cache").mkdir(exist_ok=True)
    site = Site(folder, **options)
    try:
        yield site
    finally:
        site.demo.close()
        if before is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = before
