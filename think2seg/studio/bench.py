"""The bench: panels of one picture that zoom together, a before/after slider, tables. A component, and what it is told.

As on the canvas, all words reach the browser as props and become text there. It knows gradio, files of gradio's cache
and pixels; no model and no event.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg import heat, overlay
from think2seg.studio.canvas import keep, keep_labels, keep_picture, small
from think2seg.types import Prompt, Result, Size

LAYER_SIDE = 1024
"""Pixels of the longest side of a panel's masks and maps in the browser: there may be thirty of them."""

_HERE = Path(__file__).parent
_revisions = itertools.count(1)

EMPTY: dict[str, Any] = {
    "rev": 0, "image": None, "about": "", "panels": [], "table": None, "pairs": None, "legend": None,
    "columns": 0,
}  # fmt: skip
QUIET: dict[str, str] = {"key": "", "words": "", "thought": ""}


def bench(**layout: Any) -> Any:
    """The component. Props: `bench` as `Bench.told` makes it, and `live`, `{"key", "words", "thought"}` of the panel
    that is being worked on, so that streaming does not send the rest again."""
    steps = np.arange(256, dtype=np.uint8)
    alpha = np.rint(heat.strength(steps) * 255).astype(int)
    return gr.HTML(
        html_template=(_HERE / "bench.html").read_text(encoding="utf-8"),
        css_template=(_HERE / "bench.css").read_text(encoding="utf-8"),
        js_on_load=(_HERE / "bench.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        palette=[list(colour) for colour in overlay.PALETTE],
        ramp=[[*map(int, colour), int(a)] for colour, a in zip(heat.colours(), alpha, strict=True)],
        bench=EMPTY,
        live=QUIET,
        **layout,
    )


@dataclass
class Pane:
    """One panel as the page shows it. kind: waiting, busy, done, failed, stopped or map. unfolded: its thought lies
    open."""

    key: str
    title: str
    kind: str = "waiting"
    words: str = "waiting"
    thought: str = ""
    unfolded: bool = False
    labels: str | None = None
    heat: str | None = None
    objects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Bench:
    """What the component shows. component: owns the pictures in the cache. legend: what the map's ends mean.
    columns: panels in a row on a wide screen, 0 for as many as fit."""

    component: Any
    about: str = ""
    panes: dict[str, Pane] = field(default_factory=dict)
    table: dict[str, Any] | None = None
    pairs: dict[str, Any] | None = None
    legend: tuple[str, str] | None = None
    columns: int = 0
    _image: dict[str, Any] | None = None

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """The picture of all panels, (H, W, 3) uint8."""
        self._image = keep_picture(self.component, pixels)

    @property
    def begun(self) -> bool:
        """Whether there is a picture yet."""
        return self._image is not None

    @property
    def size(self) -> Size:
        """(width, height) of the picture; 1 × 1 before there is one."""
        return (1, 1) if self._image is None else (self._image["width"], self._image["height"])

    def add(self, key: str, title: str, **rest: Any) -> None:
        """Another panel, last in the row; one that is there already stays as it is."""
        self.panes.setdefault(key, Pane(key, title, **rest))

    def paint(self, key: str, result: Result) -> None:
        """Give a panel the masks and prompts of `result`."""
        pane = self.panes[key]
        size = layer_size(result.query.size)
        pane.labels = keep_labels(self.component, {i: small(m.pixels, size) for i, m in enumerate(result.masks)}, size)
        pane.objects = [_object(i, prompt) for i, prompt in enumerate(result.sent)]

    def warm(self, key: str, share: NDArray[np.float32]) -> None:
        """Give a panel a map, (H, W) in 0-1."""
        size = layer_size((share.shape[1], share.shape[0]))
        steps = Image.fromarray(heat.grey(share))
        buffer = io.BytesIO()
        (steps if steps.size == size else steps.resize(size, Image.Resampling.BOX)).save(buffer, "PNG")
        self.panes[key].heat = keep(self.component, buffer.getvalue(), "map.png")

    def stop(self) -> None:
        """Panels that are not done will not be."""
        for pane in self.panes.values():
            if pane.kind in ("waiting", "busy"):
                pane.kind, pane.words = "stopped", "stopped"

    @property
    def told(self) -> dict[str, Any]:
        """The component's `bench`; every call has a revision of its own."""
        return {
            "rev": next(_revisions),
            "image": self._image,
            "about": self.about,
            "panels": [pane.told for pane in self.panes.values()],
            "table": self.table,
            "pairs": self.pairs,
            "legend": self.legend,
            "columns": self.columns,
        }


def layer_size(size: Size) -> Size:
    """(width, height) of the masks that a browser is given of a picture of `size`."""
    scale = min(1.0, LAYER_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _object(index: int, prompt: Prompt) -> dict[str, Any]:
    return {"number": index + 1, "box": prompt.box, "positive": prompt.positive, "negative": prompt.negative}


def figures(headers: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> dict[str, Any]:
    """A table for the component; None is an empty cell."""
    return {"title": title, "headers": list(headers), "rows": [list(row) for row in rows]}
