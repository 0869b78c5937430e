"""The page's own components, each a `gr.HTML` with a fixed template: the canvas, the thought and the status line.

What the server writes reaches the browser as props and is put there with `textContent` or drawn on a canvas, never as
markup: thoughts, questions and file names are untrusted. The canvas is viewer and editor: `scene` and `phase` are the
server's alone, `value` is what a person drew and the browser's alone.

It knows gradio, files of gradio's cache and pixels; no model and no event of the pipeline.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import hash_bytes
from numpy.typing import NDArray
from PIL import Image

from think2seg import overlay, record
from think2seg.types import Mask, Size

SHOWN_SIDE = 2048
"""Pixels of the longest side that a browser is given; what is larger is shown smaller."""

EMPTY_SCENE: dict[str, Any] = {
    "rev": 0, "story": 0, "edit": 0, "image": None, "labels": None, "objects": [], "summary": "",
}  # fmt: skip
EMPTY_PHASE: dict[str, str] = {"name": "empty", "words": ""}

_HERE = Path(__file__).parent

_STATUS = """
<p class="line" role="status" data-kind="idle"><span class="dot" aria-hidden="true"></span>
<span class="words"></span></p>
"""
_STATUS_JS = """
const line = element.querySelector(".line"), words = element.querySelector(".words");
const served = Object.keys({ said: 0 })[0]; // unquoted: gradio takes a quoted name here for an event of ours
const show = () => { line.dataset.kind = props.said.kind; words.textContent = props.said.words; };
watch(served, show);
show();
"""
_THOUGHT = """
<div class="thought" role="log" aria-live="off" tabindex="0" aria-label="Reasoning" data-live="no"><p></p></div>
"""
_THOUGHT_JS = """
const box = element.querySelector(".thought"), text = box.querySelector("p");
const served = Object.keys({ words: 0, live: 0 }); // unquoted: gradio takes a quoted name here for an event of ours
const show = () => {
  const follows = box.scrollTop + box.clientHeight > box.scrollHeight - 40;
  text.textContent = props.words;
  box.dataset.live = props.live ? "yes" : "no";
  box.dataset.empty = props.words ? "no" : "yes";
  if (props.live && follows) box.scrollTop = box.scrollHeight;
};
watch(served, show);
show();
"""


_SCRIPTS = ("view", "masks", "edits", "painting", "editor", "pointer", "keys", "files", "scene")


def canvas(limits: dict[str, int], **layout: Any) -> Any:
    """The picture with its masks, boxes and points, to look at and to edit.

    Its value is a person's edit, `{"story", "revision", "drawn": {number: prompt or null}}`, which only the browser
    writes. Props: `scene` as `Board.scene` makes it, and `phase`, `{"name", "words"}`. limits: the most `objects` and
    `points` of an edit. Events: `edited`; `approached`, once for each picture or
    answer; `dropped`, `{"path": …}` of a file that was just uploaded.
    """
    return gr.HTML(
        value={},
        html_template=_read("canvas.html"),
        css_template=_read("canvas.css"),
        js_on_load="\n".join(_read(f"canvas_{name}.js") for name in _SCRIPTS),
        apply_default_css=False,
        palette=[list(colour) for colour in overlay.PALETTE],
        limits=limits,
        scene=EMPTY_SCENE,
        phase=EMPTY_PHASE,
        **layout,
    )


def status(words: str, **layout: Any) -> Any:
    """One line of text. Prop `said`: `{"kind": idle | busy | done | stopped | error, "words"}`."""
    return _text(_STATUS, "status.css", _STATUS_JS, said={"kind": "idle", "words": words}, **layout)


def thought(**layout: Any) -> Any:
    """The prompter's reasoning as plain text. Props: `words`, and `live` while more may come."""
    return _text(_THOUGHT, "thought.css", _THOUGHT_JS, words="", live=False, **layout)


def _text(html: str, css: str, js: str, **props: Any) -> Any:
    return gr.HTML(html_template=html, css_template=_read(css), js_on_load=js, apply_default_css=False, **props)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def keep(component: Any, data: bytes, name: str) -> str:
    """Write `data` into gradio's cache under a folder named by its content; the path. `component` owns the file, so
    that the cache's cleaning finds it. A file that is there already is replaced whole, never emptied and written again:
    another page may be reading it."""
    path = Path(component.GRADIO_CACHE).resolve() / hash_bytes(data) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    record.write_atomically(path, data)
    component.temp_files.add(str(path))
    return str(path)


def shown_size(size: Size) -> Size:
    """(width, height) that a picture of `size` is shown at."""
    scale = min(1.0, SHOWN_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def keep_picture(component: Any, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """The scene's `image` for (H, W, 3) uint8: a file to show, and the width and height of the source."""
    size = (pixels.shape[1], pixels.shape[0])
    shown = Image.fromarray(pixels)
    if shown_size(size) != size:
        shown = shown.resize(shown_size(size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=92, subsampling=0)
    return {"file": keep(component, buffer.getvalue(), "picture.jpg"), "width": size[0], "height": size[1]}


def small(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """`mask` (H, W) at the `size` (width, height) that it is shown at."""
    if mask.shape == (size[1], size[0]):
        return mask
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0


def keep_labels(component: Any, masks: dict[int, NDArray[np.bool_]], size: Size, *, inline: bool = False) -> str | None:
    """One PNG whose grey values are the numbers (index + 1) of the objects in `masks`, all of `size`; its file, or None
    for no mask. A browser reads at most 255 of them. inline: a data URL instead, which saves a round trip."""
    indices = sorted(i for i in masks if i < 255)
    if not indices:
        return None
    labels = overlay.label_map([Mask(masks[i], 0.0, i) for i in indices], size)
    numbers = np.array([0, *(i + 1 for i in indices)], dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(numbers[labels]).save(buffer, "PNG", compress_level=3)
    if inline:
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return keep(component, buffer.getvalue(), "masks.png")


def strip(items: list[dict[str, str]], **layout: Any) -> Any:
    """The examples as a row of cards. Event `chosen`: `{"name": …}` of a card that was pressed."""
    return gr.HTML(
        html_template=_read("examples.html"),
        css_template=_read("examples.css"),
        js_on_load=_read("examples.js"),
        apply_default_css=False,
        items=items,
        **layout,
    )
