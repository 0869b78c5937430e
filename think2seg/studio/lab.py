"""Where the lab stands on the page, and which event calls which of its handlers: comparing, and asking how sure it is.

It begins from the question and the picture of the main desk. It knows gradio and the handlers; no model, no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from think2seg.prompter import Prompter
from think2seg.strategy import STRATEGIES
from think2seg.studio import bench, canvas
from think2seg.studio.handlers import Parts
from think2seg.studio.lab_handlers import Lab, LabParts
from think2seg.studio.line import THINK, Line
from think2seg.studio.votes_handlers import MOST, Poll, VotesParts
from think2seg.votes import HOTTEST
from think2seg.zoom import OpenSegmenter

STYLE = (Path(__file__).parent / "lab.css").read_text(encoding="utf-8")
SENTENCE = "The same question and picture as above, looked at from several sides."
VOTES = (
    "The model is asked again and again, and each time its words are drawn by chance at this temperature. What all "
    "samples share is no accident of wording; the confidence of an object is the share of the samples that find it. "
    "It says how steady the answer is, not whether it is right."
)
_HOUR = 3600
_MASKS = [".png", ".tif", ".tiff", ".bmp"]
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_SHORT: dict[str, Any] = {**_QUIET, "queue": False}


def lab(
    parts: Parts,
    strategy: Any,
    negatives: Any,
    open_prompter: Callable[[str], Prompter],
    open_segmenter: OpenSegmenter,
    prompters: list[str],
    segmenters: list[str],
    model_line: Line,
    let_in: int,
) -> tuple[Lab, Poll]:
    """The lab's section, to be called where it stands in a `gr.Blocks`. parts, strategy, negatives: the main desk's.

    model_line: where everybody waits for the model; let_in: how many questions gradio lets stand there.
    """
    models = (open_prompter, open_segmenter, prompters, segmenters, model_line)
    with gr.Column(elem_id="lab"):
        gr.HTML(f"<h2>The lab</h2><p>{SENTENCE}</p>", elem_id="lab-head")
        with gr.Tabs():
            with gr.Tab("Compare", id="compare"):
                comparing = _compare(parts, negatives, *models, let_in)
            with gr.Tab("How sure?", id="votes"):
                polling = _votes(parts, strategy, negatives, *models, let_in)
    return comparing, polling


def _compare(
    parts: Parts,
    negatives: Any,
    open_prompter: Callable[[str], Prompter],
    open_segmenter: OpenSegmenter,
    prompters: list[str],
    segmenters: list[str],
    model_line: Line,
    let_in: int,
) -> Lab:
    with gr.Row(elem_id="lab-choices"):
        with gr.Column(scale=5, min_width=300):
            strategies = gr.CheckboxGroup(
                [(s.label, s.name) for s in STRATEGIES.values()], value=list(STRATEGIES), label="Prompt strategies",
                elem_id="lab-strategies",
            )  # fmt: skip
            sizes = gr.CheckboxGroup(segmenters, value=segmenters[:1], label="SAM sizes", elem_id="lab-segmenters")
            ask_each = gr.Checkbox(
                False, label="Ask for each strategy in its own words", elem_id="lab-ask-each",
                info="slower; else a strategy is cut from an answer that holds all it sends",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=240):
            truth = gr.File(
                type="filepath", file_types=_MASKS, height=120,
                label="Truth mask (optional)", elem_id="lab-truth",
            )  # fmt: skip
    with gr.Row(elem_id="lab-buttons"):
        run = gr.Button("Compare", variant="primary", scale=2, min_width=120, elem_id="lab-run")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, interactive=False, elem_id="lab-stop")
        plate = gr.DownloadButton("Plate (PNG)", interactive=False, scale=1, min_width=120, elem_id="lab-plate")
        csv = gr.DownloadButton("Table (CSV)", interactive=False, scale=1, min_width=120, elem_id="lab-csv")
    status = canvas.status("", elem_id="lab-status")
    view = bench.bench(elem_id="lab-bench")
    answers = gr.State((), time_to_live=_HOUR)
    desk = Lab(
        LabParts(run=run, stop=stop, status=status, bench=view, plate=plate, csv=csv, answers=answers),
        open_prompter, open_segmenter, prompters, segmenters, model_line,
    )  # fmt: skip
    run.click(desk.wait, None, [status, run, stop], **_SHORT).then(
        desk.compare,
        [parts.picture, parts.raster, parts.question, parts.prompter, strategies, sizes, negatives, ask_each, truth,
         parts.held, answers, parts.views, parts.zoom],
        [status, view, run, stop, plate, csv, answers],
        concurrency_id=THINK, concurrency_limit=let_in, **_QUIET,
    )  # fmt: skip
    stop.click(desk.stop, None, [status], **_SHORT)
    gr.on([truth.upload, truth.clear], desk.judge, [truth, parts.picture, parts.raster], [status], **_SHORT)
    return desk


def _votes(
    parts: Parts,
    strategy: Any,
    negatives: Any,
    open_prompter: Callable[[str], Prompter],
    open_segmenter: OpenSegmenter,
    prompters: list[str],
    segmenters: list[str],
    model_line: Line,
    let_in: int,
) -> Poll:
    gr.HTML(f"<p>{VOTES}</p>", elem_id="votes-head")
    with gr.Row(elem_id="votes-choices"):
        number = gr.Slider(2, MOST, value=8, step=1, label="Samples", min_width=200, elem_id="votes-number")
        temperature = gr.Slider(
            0.1, HOTTEST, value=1.0, step=0.1, label="Temperature", min_width=200, elem_id="votes-temperature"
        )
        seed = gr.Number(
            0, label="Seed of the first sample", precision=0, minimum=0, min_width=140, elem_id="votes-seed"
        )
    with gr.Row(elem_id="votes-buttons"):
        run = gr.Button("How sure?", variant="primary", scale=3, min_width=120, elem_id="votes-run")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, interactive=False, elem_id="votes-stop")
    status = canvas.status("", elem_id="votes-status")
    view = bench.bench(elem_id="votes-bench")
    desk = Poll(
        VotesParts(run=run, stop=stop, status=status, bench=view),
        open_prompter, open_segmenter, prompters, segmenters, model_line,
    )  # fmt: skip
    run.click(desk.wait, None, [status, run, stop], **_SHORT).then(
        desk.ask,
        [parts.picture, parts.raster, parts.question, parts.prompter, parts.segmenter, strategy, negatives, number,
         temperature, seed, parts.held, parts.views, parts.zoom],
        [status, view, run, stop],
        concurrency_id=THINK, concurrency_limit=let_in, **_QUIET,
    )  # fmt: skip
    stop.click(desk.stop, None, [status], **_SHORT)
    return desk
