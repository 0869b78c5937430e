"""Many at once: clients with a picture of a colour of their own, through the API of a studio in a process of its own.

    python bench/crowd.py [--clients 32] [--jobs 200] [--models doubles|nano] [--json]

Counts answers that were lost or crossed (somebody else's colour, or another answer than the same question gets alone),
how many ran at once and how many waited, and the server's resident memory as jobs go by. `doubles` writes the
picture's colour instead of thinking; `nano` runs the bundled models. Linux, since memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SIDE = 256
QUESTION = "the planes"


# --- the server's side: doubles that answer by the picture's colour ---------------------------------------------------


class ColourReader:
    """A prompter that writes the colour of the picture, a box that depends on it, and how many wrote at once."""

    name = about = "colours"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._now = self._most = 0
        self._lock = threading.Lock()

    def write(self, query: Any, _strategy: Any, *, stop: threading.Event, deadline: float | None) -> Any:
        from think2seg.prompter import Writing

        del deadline
        return Writing((SIDE, SIDE), self._pieces(query.image, stop))

    def _pieces(self, image: np.ndarray, stop: threading.Event) -> Iterator[str]:
        with self._lock:
            self._now += 1
            self._most = max(self._most, self._now)
        try:
            red, green, blue = (int(v) for v in image.reshape(-1, 3).mean(axis=0).round())
            yield f"<think> The colour is {red} {green} {blue}. Most at once: {self._most}. </think>\n<answer>```json"
            if stop.wait(self.seconds):
                return
            box, inside = box_of((red, green, blue)), [[2 + red // 2, 2], [2, 2 + green // 2]]
            yield json.dumps([{"bbox_2d": box, "positive_points": inside}]) + "```</answer>"
        finally:
            with self._lock:
                self._now -= 1


class BoxFiller:
    """A segmenter whose mask is the box, and empty where the picture is not of one colour."""

    name = about = "boxes"

    def encode(self, image: np.ndarray) -> None:
        del image

    def segment(self, image: np.ndarray, prompts: Sequence[Any]) -> list[Any]:
        from think2seg.types import Mask

        masks = []
        for i, prompt in enumerate(prompts):
            pixels = np.zeros(image.shape[:2], dtype=bool)
            x1, y1, x2, y2 = (int(v) for v in prompt.box)
            pixels[y1:y2, x1:x2] = True
            masks.append(Mask(pixels & (image == image[0, 0]).all(axis=2), 0.5, i))
        return masks


def box_of(colour: tuple[int, int, int]) -> list[int]:
    """A box inside of the picture that no other colour of the crowd has."""
    return [0, 0, 20 + colour[0] * 3 // 4, 20 + colour[1] * 3 // 4]


def serve_here(port: int, models: str, seconds: float) -> None:
    from think2seg.studio import build, serve

    if models == "doubles":
        writer, filler = ColourReader(seconds), BoxFiller()
        demo = build(lambda _name: writer, lambda _name, _zoom=1: filler, Path("nowhere"), "nano", "nano")
    else:
        demo = build(default_prompter="nano", default_segmenter="nano")
    serve(demo, host="127.0.0.1", port=port, mcp=False, quiet=True)


# --- the clients' side ------------------------------------------------------------------------------------------------


@dataclass
class Count:
    """What came of all jobs."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    refused: int = 0
    most_running: int = 0
    most_waiting: int = 0
    seconds: list[float] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)


def colours(number: int) -> list[tuple[int, int, int]]:
    """`number` colours, at most 100, all different, and so are their boxes."""
    return [(16 + 24 * (i % 10), 16 + 24 * (i // 10), 37 * i % 256) for i in range(min(number, 100))]


def name_of(colour: tuple[int, int, int]) -> str:
    return "-".join(map(str, colour)) + ".png"


def picture(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(buffer, "PNG")
    return buffer.getvalue()


class Crowd:
    """The clients of one server."""

    def __init__(self, url: str, index: int, pid: int, models: str) -> None:
        self.url, self.index, self.pid, self.models = url, index, pid, models
        self.count = Count()
        self.alone: dict[tuple[int, int, int], Any] = {}
        self._numbers = iter(range(10**9))

    async def job(self, web: httpx.AsyncClient, colour: tuple[int, int, int]) -> None:
        """One client: upload, join, follow the stream, check; again where the line was full."""
        session, started = f"client-{next(self._numbers)}-{os.getpid()}", time.monotonic()
        try:
            files = {"files": (name_of(colour), picture(colour))}
            path = (await web.post(f"{self.url}/upload", files=files)).raise_for_status().json()[0]
            file = {"path": path, "meta": {"_type": "gradio.FileData"}}
            data = [file, QUESTION, "nano", "nano", "box+2", True, "auto", 1]
            body = {"data": data, "fn_index": self.index, "session_hash": session}
            while (joined := await web.post(f"{self.url}/queue/join", json=body)).status_code == 503:
                self.count.refused += 1
                await asyncio.sleep(0.3)
            joined.raise_for_status()
            document = await self._followed(web, session)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            self.count.lost.append(f"{colour}: {type(error).__name__} {error}")
            return
        self.count.answered += 1
        self.count.seconds.append(time.monotonic() - started)
        self._check(colour, document)

    async def _followed(self, web: httpx.AsyncClient, session: str) -> dict[str, Any]:
        async with web.stream("GET", f"{self.url}/queue/data", params={"session_hash": session}) as stream:
            async for line in stream.aiter_lines():
                told = json.loads(line[6:]) if line.startswith("data: ") else {}
                place = re.search(r"(\d+)(?:st|nd|rd|th) in line", line)
                if place:
                    self.count.most_waiting = max(self.count.most_waiting, int(place[1]))
                if told.get("msg") == "process_completed":
                    if not told["success"]:
                        raise ValueError(f"an error: {told['output']}")
                    return dict(told["output"]["data"][0])
        raise ValueError("the stream ended without an answer")

    def _check(self, colour: tuple[int, int, int], document: dict[str, Any]) -> None:
        if document["image"]["name"] != name_of(colour):
            self.count.crossed.append(f"{colour}: an answer about {document['image']['name']}")
        elif self.models == "nano":
            said = (document["thought"], document["instances"])
            if self.alone.setdefault(colour, said) != said:
                self.count.crossed.append(f"{colour}: another answer than alone")
        else:
            thought, _, at_once = document["thought"].partition("Most at once: ")
            self.count.most_running = max(self.count.most_running, int(at_once.rstrip(". ")))
            box = box_of(colour)
            (found,) = document["instances"]
            right = f" {colour[0]} {colour[1]} {colour[2]}." in thought and found["box"] == box
            if not right or found["area_px"] != box[2] * box[3]:
                self.count.crossed.append(f"{colour}: {document['thought']} {found['box']} {found['area_px']}")

    def note_memory(self) -> None:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        self.count.memory.append((self.count.answered, kilobytes / 1024))

    async def come(self, clients: int, jobs: int) -> None:
        """Waves of `clients` until `jobs` are done; with real models each colour is asked alone first."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=600, limits=limits) as web:
            if self.models == "nano":
                for colour in colours(clients):
                    await self.job(web, colour)
            self.note_memory()
            done = 0
            while done < jobs:
                wave = colours(clients)[: min(clients, jobs - done)]
                await asyncio.gather(*(self.job(web, colour) for colour in wave))
                done += len(wave)
                self.note_memory()


def run(clients: int, jobs: int, models: str = "doubles", seconds: float = 0.05) -> Count:
    """Start a server, let the crowd come, stop the server. seconds: what a double takes to write."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as cache:
        here = [sys.executable, __file__, "--serve", str(port), "--models", models, "--seconds", str(seconds)]
        server = subprocess.Popen(here, cwd=ROOT, env={**os.environ, "GRADIO_TEMP_DIR": cache})
        try:
            index = _ready(port, server)
            crowd = Crowd(f"http://127.0.0.1:{port}/gradio_api", index, server.pid, models)
            asyncio.run(crowd.come(clients, jobs))
            return crowd.count
        finally:
            server.terminate()
            server.wait(30)


def _ready(port: int, server: subprocess.Popen[bytes]) -> int:
    """The number of the endpoint `segment`, once the server answers."""
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("The server ended before it answered; its words are above.")
        try:
            config = httpx.get(f"http://127.0.0.1:{port}/config", timeout=5).json()
            return next(int(d["id"]) for d in config["dependencies"] if d["api_name"] == "segment")
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit("The server did not answer within a minute.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Many clients at once, each with its own colour.")
    parser.add_argument("--clients", type=int, default=32, help="at once")
    parser.add_argument("--jobs", type=int, default=200, help="in all")
    parser.add_argument("--models", choices=["doubles", "nano"], default="doubles")
    parser.add_argument("--seconds", type=float, default=0.05, help="what a double takes to write")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_here(options.serve, options.models, options.seconds)
        return
    started = time.monotonic()
    count = run(options.clients, options.jobs, options.models, options.seconds)
    spread = sorted(count.seconds)
    told = {
        "clients": options.clients,
        "answered": count.answered,
        "lost": len(count.lost),
        "crossed": len(count.crossed),
        "refused_and_asked_again": count.refused,
        "most_running": count.most_running,
        "most_waiting": count.most_waiting,
        "seconds_median": round(spread[len(spread) // 2], 2) if spread else None,
        "seconds_longest": round(spread[-1], 2) if spread else None,
        "seconds_in_all": round(time.monotonic() - started, 1),
        "memory_mib_after_jobs": [(n, round(mib, 1)) for n, mib in count.memory],
    }
    if options.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            print(f"{name.replace('_', ' '):>24}: {value}")
        for reason, times in Counter(count.lost + count.crossed).items():
            print(f"{times} × {reason}")
    sys.exit(bool(count.lost or count.crossed))


if __name__ == "__main__":
    main()
