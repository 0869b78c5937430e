"""Where things stand on the page, and which event calls which handler.

Canvas on the left, picture, question, status and reasoning on the right, results and settings below, examples last;
one column on a narrow screen. It knows gradio and the handlers; no model, no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from think2seg import models
from think2seg.pipeline import LONGEST_QUESTION
from think2seg.prompter import Prompter
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES
from think2seg.studio import canvas, door, edits, examples, lab, line, watch
from think2seg.studio.endpoints import Endpoints
from think2seg.studio.handlers import Desk, Parts
from think2seg.studio.takeaway import Takeaway
from think2seg.tiles import VIEWS
from think2seg.zoom import OpenSegmenter

TITLE = "Think2Seg"
SENTENCE = "Ask an aerial image a question: a vision-language model thinks aloud and points, SAM 2 fills in the pixels."
NANO = (
    "The bundled nano models show how all of this works on any machine. They know some twenty kinds of objects and "
    "plain questions about them; they are not for measurements or decisions."
)
PROGRAMS = (Path(__file__).parent / "programs.html").read_text(encoding="utf-8")
CLOSER = {1: "whole picture", 2: "2 x 2 tiles too", 3: "3 x 3 tiles too"}
"""What SAM sees, tiles a side and in words."""
_HOUR = 3600
_RASTERS = [".tif", ".tiff", ".geotiff", ".png", ".jpg", ".jpeg", ".webp", ".bmp"]

_LOOKS = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "block_title_background_fill": "none",
    "block_title_background_fill_dark": "none",
    "block_title_padding": "0",
    "block_title_text_color": "*body_text_color",
    "block_title_text_color_dark": "*body_text_color",
    "checkbox_label_background_fill_selected": "*primary_700",
    "checkbox_label_background_fill_selected_dark": "*primary_700",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover_dark": "*primary_500",
    "button_primary_text_color": "white",
}
HEAD = """
<script>
// Gradio gives its upload areas a name that is not the words on them; without it the words are the name.
new MutationObserver(() => {
  for (const area of document.querySelectorAll(".upload-container[aria-label]")) area.removeAttribute("aria-label");
}).observe(document.documentElement, { subtree: true, childList: true });
</script>
"""
STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8") + lab.STYLE


def _uploaded_path(payload: Any) -> str | None:
    """The uploaded file's path; gradio has checked by now that the file lies in its cache."""
    return None if payload is None else payload.path


def theme() -> Any:
    """Gradio's Soft theme with the system's own fonts, so that nothing is asked of other hosts."""
    soft = gr.themes.Soft(
        primary_hue=gr.themes.colors.blue,
        secondary_hue=gr.themes.colors.sky,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    for name, value in _LOOKS.items():  # set() would put back what Soft has changed
        setattr(soft, name, value)
    return soft


def page(
    open_prompter: Callable[[str], Prompter],
    open_segmenter: OpenSegmenter,
    found: dict[str, examples.Example],
    default_prompter: str,
    default_segmenter: str,
    house: door.House,
) -> Any:
    """The whole page as a `gr.Blocks`, its queue configured and watched."""
    prompters = list(dict.fromkeys([default_prompter, "auto", *(e.name for e in models.PROMPTERS)]))
    first, *others = (e.name for e in models.SEGMENTERS)
    sizes = [first, first + models.MIRRORED, *others]  # the mirror was measured with nano alone
    segmenters = list(dict.fromkeys([default_segmenter, "auto", *sizes]))
    with gr.Blocks(title=TITLE, delete_cache=(_HOUR, _HOUR), fill_width=True, analytics_enabled=False) as demo:
        gr.HTML(f"<h1>{TITLE}</h1><p>{SENTENCE}</p>", elem_id="head")
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=7, min_width=340):
                view = canvas.canvas({"objects": edits.MOST_OBJECTS, "points": edits.MOST_POINTS}, elem_id="canvas")
                row, row_words = _training_row()
            with gr.Column(scale=5, min_width=340):
                sources, picture, raster = _sources()
                question, segment, stop = _question()
                status = canvas.status("Bring a picture, ask in plain words.", elem_id="status")
                thought = canvas.thought(elem_id="thought")
                about = canvas.status("", elem_id="about")
        with gr.Row(elem_id="shelf"):
            with gr.Column(scale=7, min_width=340):
                results, table, document, files, taken = _results()
                strip = _strip(found)
            with gr.Column(scale=5, min_width=340):
                prompter, views, segmenter, zoom, strategy, negatives, models_line = _settings(
                    prompters, segmenters, default_prompter, default_segmenter
                )
        held, sheet = gr.State(None, time_to_live=_HOUR), gr.State(None, time_to_live=_HOUR)
        parts = Parts(
            canvas=view, picture=picture, raster=raster, sources=sources, question=question, segment=segment, stop=stop,
            status=status, thought=thought, results=results, table=table, document=document, files=files,
            prompter=prompter, views=views, segmenter=segmenter, zoom=zoom, models=models_line, about=about,
            held=held, sheet=sheet, row=row, row_words=row_words,
        )  # fmt: skip
        taken.wire(held, {"concurrency_id": line.EXPORT, "concurrency_limit": 2})
        model_line = line.Line()
        desk = Desk(parts, open_prompter, open_segmenter, prompters, segmenters, found, model_line)
        Endpoints(open_prompter, open_segmenter, prompters, segmenters, document, model_line).publish(house.let_in)
        _wire(demo, desk, parts, strategy, negatives, strip, house.let_in)
        comparing, polling = lab.lab(
            parts, strategy, negatives, open_prompter, open_segmenter, prompters, segmenters, model_line, house.let_in
        )
        gr.HTML(PROGRAMS, elem_id="programs")
    demo.queue(max_size=house.waiting, default_concurrency_limit=1, api_open=False)
    watch.watch_queue(demo, house, desk.refused)
    demo.desk, demo.lab, demo.poll, demo.taken = desk, comparing, polling, taken
    return demo


def _sources() -> tuple[Any, Any, Any]:
    with gr.Tabs(selected="picture", elem_id="sources") as sources:
        with gr.Tab("Image", id="picture"):
            picture = gr.Image(
                type="filepath", image_mode=None, sources=["upload", "clipboard"], show_label=False, height=150,
                buttons=[], elem_id="image", label="Image", placeholder="Drop an image file here to upload",
            )  # fmt: skip  # the placeholder is what a screen reader is told in any case
            # Gradio would open the file first, and refuse a broken one in words of its own. A subclass would do as
            # well, but gradio writes a .pyi file beside the source of every subclass of its components.
            picture.preprocess = _uploaded_path
        with gr.Tab("GeoTIFF or other raster", id="raster"):
            raster = gr.File(
                type="filepath", file_types=_RASTERS, show_label=False, height=150, elem_id="raster", label="Raster"
            )
    return sources, picture, raster


def _question() -> tuple[Any, Any, Any]:
    question = gr.Textbox(
        label="Question", placeholder="Which planes are parked here?", lines=1, max_lines=4, elem_id="question",
        max_length=LONGEST_QUESTION,
    )  # fmt: skip
    with gr.Row(elem_id="buttons"):
        segment = gr.Button("Segment", variant="primary", scale=3, min_width=120, elem_id="segment")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, interactive=False, elem_id="stop")
    return question, segment, stop


def _training_row() -> tuple[Any, Any]:
    with gr.Row(elem_id="training"):
        row = gr.DownloadButton(
            "Download as training row", size="sm", interactive=False, min_width=200, scale=0, elem_id="training-row"
        )
        words = canvas.status("", elem_id="training-words")
    return row, words


def _results() -> tuple[Any, Any, Any, tuple[Any, Any, Any], Takeaway]:
    with gr.Column(visible=False, elem_id="results") as results:
        with gr.Tabs():
            with gr.Tab("Objects"):
                table = gr.Dataframe(
                    interactive=False, show_label=False, max_height=280, elem_id="objects", label="Objects", buttons=[],
                )  # fmt: skip
            with gr.Tab("JSON"):
                document = gr.Code(
                    language="json", show_label=False, interactive=False, max_lines=16, wrap_lines=True,
                    elem_id="document", label="JSON", lines=8,
                )  # fmt: skip
            with gr.Tab("Export"):
                taken = Takeaway()
        with gr.Row(elem_id="files"):
            files = tuple(
                gr.DownloadButton(name, size="sm", interactive=False, min_width=100, elem_id=f"file-{Path(name).stem}")
                for name in ("result.json", "mask.png", "overlay.png")
            )
    return results, table, document, (files[0], files[1], files[2]), taken


def _strip(found: dict[str, examples.Example]) -> Any:
    items = [{"name": e.name, "question": e.question, "thumbnail": e.thumbnail} for e in found.values()]
    return canvas.strip(items, elem_id="examples", visible=bool(items))


def _settings(
    prompters: list[str], segmenters: list[str], default_prompter: str, default_segmenter: str
) -> tuple[Any, Any, Any, Any, Any, Any, Any]:
    with gr.Accordion("Settings", open=True, elem_id="settings"):
        with gr.Row():
            prompter = gr.Dropdown(
                prompters, value=default_prompter, label="Prompter", filterable=False, min_width=190,
                info="asked at the next question", elem_id="prompter",
            )  # fmt: skip
            views = gr.Dropdown(
                [(words, name) for name, words in VIEWS.items()], value="auto", label="Views", filterable=False,
                min_width=190, info="what it looks at then", elem_id="views",
            )  # fmt: skip
        with gr.Row():
            segmenter = gr.Dropdown(
                segmenters, value=default_segmenter, label="SAM size", filterable=False, min_width=190,
                info="re-runs SAM only", elem_id="segmenter",
            )  # fmt: skip
            zoom = gr.Dropdown(
                [(words, side) for side, words in CLOSER.items()], value=1, label="Closer look", filterable=False,
                min_width=190, info="re-runs SAM only; for small things", elem_id="zoom",
            )  # fmt: skip
        strategy = gr.Dropdown(
            [(s.label, s.name) for s in STRATEGIES.values()], value=DEFAULT_STRATEGY, label="Prompt strategy",
            filterable=False, info="what is asked, and sent to SAM", elem_id="strategy",
        )  # fmt: skip
        negatives = gr.Checkbox(True, label="Send negative points, if the strategy has any", elem_id="negatives")
        line = canvas.status("", elem_id="models")
        gr.HTML(f"<p>{NANO}</p>", elem_id="nano")
    return prompter, views, segmenter, zoom, strategy, negatives, line


def _wire(demo: Any, desk: Desk, p: Parts, strategy: Any, negatives: Any, strip: Any, let_in: int) -> None:
    """Events to handlers. The model and SAM have queues of their own, so that neither waits for the other.

    What is short passes by the queue. let_in: questions at once, one of which has the model.
    """
    quiet: dict[str, Any] = {"show_progress": "hidden"}
    private: dict[str, Any] = {**quiet, "api_visibility": "private"}
    short: dict[str, Any] = {**private, "queue": False}
    row = [p.row, p.row_words]
    shown = [p.canvas, p.status, p.thought, p.about, p.results, p.held, p.sheet, p.segment, p.stop, *row]
    run = [*shown, p.table, p.document, *p.files]

    gr.on([p.picture.upload, p.picture.clear], desk.show_picture, p.picture, [*shown, p.raster], **short)
    gr.on([p.raster.upload, p.raster.clear], desk.show_raster, p.raster, [*shown, p.picture], **short)
    p.canvas.dropped(desk.show_dropped, None, [*shown, p.picture, p.raster, p.sources], **short)

    waiting = gr.on([p.segment.click, p.question.submit], desk.wait, None,
                    [p.status, p.canvas, p.segment, p.stop], **short)  # fmt: skip
    asking = waiting.then(
        desk.ask, [p.picture, p.raster, p.question, p.prompter, p.segmenter, strategy, negatives, p.views, p.zoom], run,
        concurrency_id=line.THINK, concurrency_limit=let_in, **private,
    )  # fmt: skip
    asking.failure(desk.not_taken, None, [p.status, p.segment, p.stop], **short)
    again = gr.on(
        [p.segmenter.input, p.zoom.input, strategy.input, negatives.input],
        desk.refine, [p.held, p.segmenter, strategy, negatives, p.sheet, p.canvas, p.question, p.zoom], run,
        concurrency_id=line.SEGMENT, concurrency_limit=1, trigger_mode="always_last", **private,
    )  # fmt: skip
    editing = p.canvas.edited(
        desk.edit, [p.canvas, p.held, p.sheet, p.question, p.segmenter, p.zoom], run,
        concurrency_id=line.SEGMENT, concurrency_limit=1, trigger_mode="always_last", **private,
    )  # fmt: skip
    p.canvas.approached(
        desk.hand.prepare,
        [p.sheet, p.segmenter, p.zoom],
        None,
        concurrency_id="segment",
        concurrency_limit=1,
        **private,
    )
    for changed in (again, editing):
        changed.then(
            desk.outcome, [p.held, p.sheet, p.question], run,
            concurrency_id="outcome", concurrency_limit=8, trigger_mode="always_last", **private,
        )  # fmt: skip
    p.question.blur(desk.hand.row, [p.held, p.sheet, p.question], row, **short)
    choosing = strip.chosen(
        desk.choose, None, [*run, p.picture, p.raster, p.sources, p.question],
        concurrency_id=line.REPLAY, concurrency_limit=8, **private,
    )  # fmt: skip
    p.stop.click(None, None, None, cancels=[asking, again, editing, choosing], **short).then(
        desk.stopped, None, [p.status, p.canvas, p.thought, p.segment, p.stop], **short
    )
    gr.on(
        [demo.load, p.prompter.input, p.segmenter.input], desk.tell_models, [p.prompter, p.segmenter], p.models, **short
    )
