"""Doubles for the studio's tests: a prompter that writes what the question names, a segmenter that fills ellipses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from think2seg import images, record
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter, Sampling, Writing
from think2seg.strategy import Strategy
from think2seg.types import Mask, Prompt, Query

FRAME = (400, 300)
HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.invalid/x.png onerror=alert(2)>${alert(3)}{{value}}`${alert(4)}` "
    "![a](http://evil.invalid/y.png) [b](javascript:alert(5)) </textarea></div><b id=injected>bold</b> <think>again "
    "<iframe src=http://evil.invalid></iframe> \x1b[31mred\x1b[0m & &lt;i&gt;"
)


def instance(i: int) -> dict[str, Any]:
    """The i-th of four objects that do not touch, as the model would write it."""
    x, y = 30 + 90 * i, 40 + 60 * i
    return {
        "bbox_2d": [x, y, x + 60, y + 40],
        "positive_points": [[x + 20, y + 15], [x + 40, y + 25]],
        "negative_points": [[x - 10, y - 10], [x + 65, y + 45]],
    }


def written(count: int, thought: str = "I look along the apron and count the bright wings beside the terminal.") -> str:
    """An answer with `count` objects in the wire format."""
    return f"<think> {thought} </think>\n<answer>```json{json.dumps([instance(i) for i in range(count)])}```</answer>"


TEXTS = {
    "planes": written(4),
    "one": written(1),
    "nothing": written(0, "There is only water here."),
    "unreadable": '<think> A roof is here, I am sure. </think>\n<answer>```json[{"bbox_2d": [1, 2]}]```</answer>',
    "hostile": written(1, HOSTILE),
    "slow": written(4, "word " * 400),
    "thoughtful": written(4, "I look at one thing after another. " * 30),
}
SECONDS = {"planes": 1.6, "slow": 60.0, "thoughtful": 1.6, "chance": 0.3}


class Scripted:
    """A prompter that writes `TEXTS[question]`; `silent` waits without a word until it is told to stop, `moody` cannot
    be read where box+4 is asked, and `chance` gives 0, 1 or 2 objects by the seed of a sample, or cannot be read."""

    name = "scripted"
    about = "Scripted text; no model runs."

    def __init__(self) -> None:
        self.calls = 0
        self.asked: list[tuple[str, int | None]] = []
        self.ended = threading.Event()
        self.texts: dict[str, str] = {}  # answers to more questions

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        self.calls += 1
        self.asked.append((strategy.name, None if sampling is None else sampling.seed))
        self.ended.clear()
        if query.question == "bug":
            raise RuntimeError("a secret of the server")
        if query.question == "silent":
            return Writing(FRAME, self._silence(stop))
        seconds = SECONDS.get(query.question, 0.0)
        texts = {**TEXTS, **self.texts}
        text = texts.get(query.question, TEXTS["one"])
        if query.question == "moody" and strategy.name == "box+4":
            text = TEXTS["unreadable"]
        if query.question == "chance" and sampling is not None:
            text = (
                TEXTS["unreadable"] if sampling.seed % 4 == 3 else written(sampling.seed % 4, f"Draw {sampling.seed}.")
            )
        writing = ReplayPrompter(text, FRAME, seconds=seconds).write(query, strategy, stop=stop, deadline=deadline)
        return Writing(writing.frame, self._noted(writing.pieces))

    def _noted(self, pieces: Iterator[str]) -> Iterator[str]:
        try:
            yield from pieces
        finally:
            self.ended.set()

    def _silence(self, stop: threading.Event) -> Iterator[str]:
        stop.wait(60)
        self.ended.set()
        yield from ()


class Ellipses:
    """A segmenter that fills each box with an ellipse, or a disc around the first point; negatives cut a disc out."""

    about = "Fills ellipses."

    def __init__(self, name: str = "nano") -> None:
        self.name = name
        self.delay_s = 0.0
        self.encoded = 0
        self.asked: list[tuple[Prompt, ...]] = []

    def encode(self, image: np.ndarray) -> None:
        self.encoded += 1

    def segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Mask]:
        time.sleep(self.delay_s)
        self.asked.append(tuple(prompts))
        rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
        masks = []
        for i, prompt in enumerate(prompts):
            x, y = prompt.positive[0] if prompt.positive else (0.0, 0.0)
            x1, y1, x2, y2 = prompt.box or (x - 30, y - 30, x + 30, y + 30)
            inside = ((columns - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((rows - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25
            for nx, ny in prompt.negative:
                inside &= (columns - nx) ** 2 + (rows - ny) ** 2 > 45**2
            masks.append(Mask(inside, 0.9, i))
        return masks

    def logits(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[tuple[np.ndarray, float]]:
        found = self.segment(image, prompts)
        return [(np.where(mask.pixels, 10, -10).astype(np.float32), mask.score) for mask in found]


def picture(width: int = 800, height: int = 600) -> np.ndarray:
    """(H, W, 3) uint8: a quiet gradient of greys."""
    rows, columns = np.mgrid[:height, :width]
    grey = (90 + 60 * columns / width + 30 * rows / height).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def png(path: Path, width: int = 800, height: int = 600) -> Path:
    Image.fromarray(picture(width, height)).save(path)
    return path


def geotiff(path: Path) -> Path:
    """Five bands of 16 bits, 2 m a pixel, in UTM 32 north."""
    import rasterio
    from rasterio.transform import from_origin

    values = np.random.default_rng(3).integers(200, 9000, (5, 300, 400)).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", width=400, height=300, count=5, dtype="uint16", crs="EPSG:32632",
        transform=from_origin(500_000, 5_400_000, 2, 2),
    ) as file:  # fmt: skip
        file.write(values)
    return path


def example(folder: Path, name: str = "apron", question: str = "planes", strategy: str = "box+2+neg") -> Path:
    """An example's folder: a picture and the result that a scripted run gave."""
    place = folder / name
    place.mkdir(parents=True)
    png(place / "image.png")
    loaded = images.load(place / "image.png")
    result = Pipeline(ReplayPrompter(TEXTS[question], FRAME), Ellipses(), strategy=strategy)(loaded, question)
    (place / "result.json").write_text(json.dumps(record.document(result, "image.png")), encoding="utf-8")
    return place
