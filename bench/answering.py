"""Rows about a whole answer: prompter and SAM beside each other, the first mask, the pace, an evaluation."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.measure import Bar, Outcome, paired, resident_mib, timed
from bench.stage import Stage
from think2seg import datasets, machine
from think2seg.answer import render
from think2seg.datasets.samples import Sample
from think2seg.evaluation.contender import Answering
from think2seg.evaluation.processes import Processes
from think2seg.evaluation.run import evaluate
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter, TransformersPrompter
from think2seg.strategy import find_strategy
from think2seg.types import Answer, Finished, MaskReady, Prompt, Query

ASKED = find_strategy("box+2")


def _words(stage: Stage, query: Query) -> str:
    writing = stage.prompter.write(query, ASKED, stop=threading.Event(), deadline=None)
    return "".join(writing.pieces)


def together(stage: Stage) -> list[Outcome]:
    """A whole answer through the pipeline, against the longer of the prompter alone and SAM alone on what it wrote, on
    as many processors as each has in the pipeline."""
    sam = stage.sam("nano" if stage.quick else stage.size)
    pictures = {seed: stage.picture(seed) for seed in range(600, 600 + 3 * (stage.runs + 2))}
    seeds = iter(pictures)
    question = "all vehicles and buildings"
    pipeline = Pipeline(stage.prompter, sam)
    parts: dict[str, list[float]] = {"prompter": [], "SAM": []}

    def whole() -> None:
        pipeline(pictures[next(seeds)], question)

    def longer() -> None:
        image = pictures[next(seeds)]
        began = time.perf_counter()
        text = _words(stage, Query(image, question))
        written = time.perf_counter()
        machine.compute_on(machine.processors() - stage.prompter._processors)
        replay = ReplayPrompter(text, (336, 336))
        completion = replay.complete([Query(image, question)], ASKED)[0]
        found = pipeline.read(Query(image, question), completion).prompts
        ready = time.perf_counter()
        sam.encode(image)
        sam.segment(image, found)
        parts["prompter"].append(written - began)
        parts["SAM"].append(time.perf_counter() - ready)
        machine.compute_on(machine.processors())

    mine, _ = paired(whole, longer, stage.runs, "wall", stage.device)
    alone = [max(a, b) for a, b in zip(parts["prompter"][1:], parts["SAM"][1:], strict=True)]
    shares = {"prompter": stage.prompter._processors, "SAM": machine.processors() - stage.prompter._processors}
    notes = [
        f"{name} alone {float(np.median(values)):.2f} s"
        + (f" on {max(1, shares[name])} of {machine.processors()} threads" if stage.device == "cpu" else "")
        for name, values in parts.items()
    ]
    return [
        Outcome(
            "a whole answer, prompter and SAM together", "the longer of the two alone", Bar("at most", 1.1),
            tuple(mine), tuple(alone), notes=(f"{stage.prompter_name} and SAM {sam.name}", *notes),
        )
    ]  # fmt: skip


def first_mask(stage: Stage) -> list[Outcome]:
    """An answer of six instances, replayed at the prompter's own pace: when the first mask comes, against the last."""
    sam, side = stage.sam("nano"), 840
    rate = _characters_a_second(stage)
    six = tuple(
        Prompt((x, y, x + 90.0, y + 80.0), ((x + 30.0, y + 40.0), (x + 60.0, y + 40.0)))
        for x, y in ((20.0 + 130 * k, 40.0 + 110 * k) for k in range(6))
    )
    thought = (
        "The question asks for buildings, which are asked for by name. I see 6 buildings, from the upper left down."
    )
    text = render(Answer(thought, six))
    pipeline = Pipeline(ReplayPrompter(text, (side, side), seconds=len(text) / rate), sam)
    first, last = [], []
    for seed in range(700, 700 + stage.runs + 1):
        began, times = time.perf_counter(), []
        for event in pipeline.steps(stage.picture(seed), "the buildings"):
            if isinstance(event, MaskReady):
                times.append(time.perf_counter() - began)
            elif isinstance(event, Finished):
                assert len(event.result.masks) == 6
        first.append(times[0])
        last.append(times[-1])
    notes = (f"{len(text)} characters at {rate:.0f} a second, as {stage.prompter_name} writes them",)
    return [
        Outcome(
            "first mask shown, an answer of six instances", "last mask shown", Bar("at most", 0.5), tuple(first[1:]),
            tuple(last[1:]), notes=notes,
        )
    ]  # fmt: skip


def _characters_a_second(stage: Stage) -> float:
    query = Query(stage.picture(690), "all vehicles and buildings")
    _words(stage, query)
    began = time.perf_counter()
    text = _words(stage, query)
    return len(text) / (time.perf_counter() - began)


def pace(stage: Stage) -> list[Outcome]:
    """The prompter's tokens a second as the pipeline streams them, against the model's `generate` alone."""
    return [_pace(stage, stage.prompter, stage.prompter_name, Bar("at least", 0.95), 2 * stage.runs)]


def published(stage: Stage) -> list[Outcome]:
    """The same for the published 3B configuration in bfloat16; on a CPU it is cut to two layers a tower."""
    said = "the 3B configuration, bfloat16" + (", two layers a tower" if stage.device == "cpu" else "")
    return [_pace(stage, stage.published, said, Bar("reported"), stage.runs)]


def _pace(stage: Stage, prompter: TransformersPrompter, said: str, bar: Bar, runs: int) -> Outcome:
    query = Query(stage.picture(800), "all vehicles and buildings")
    inputs = prompter._inputs([query], ASKED)
    settings = prompter._settings(None)
    counts: dict[str, int] = {}
    firsts: list[float] = []

    def alone() -> None:
        with torch.inference_mode():
            written = prompter.model.generate(**inputs, **settings)
        counts["tokens"] = int(written.shape[1] - inputs["input_ids"].shape[1])

    def streamed() -> None:
        began = time.perf_counter()
        writing = prompter._pieces(inputs, threading.Event(), None, None)
        next(writing)
        firsts.append(time.perf_counter() - began)
        for _ in writing:
            pass

    def timed_on(threads: int) -> float:
        machine.compute_on(threads)
        found = statistics.median(timed(alone, "wall", stage.device) for _ in range(stage.runs))
        machine.compute_on(machine.processors())
        return found

    mine, theirs = paired(streamed, alone, runs, "wall", stage.device)
    tokens, seconds = counts["tokens"], float(np.median(mine))
    notes = [f"first word after {1000 * float(np.median(firsts)):.0f} ms, {tokens} tokens in {seconds:.2f} s"]
    if stage.device == "cpu" and prompter._processors < machine.processors():
        notes.append(
            f"streamed, it takes {prompter._processors} of {machine.processors()} threads, the others are SAM's; "
            f"against `generate` on as many: {timed_on(prompter._processors) / seconds:.2f}"
        )
    return Outcome(
        f"{said}: tokens a second, streamed", "`generate` alone, on all threads", bar, tuple(mine), tuple(theirs),
        turned=True, notes=tuple(notes), figures={"tokens/s": tokens / seconds},
    )  # fmt: skip


def evaluation(stage: Stage) -> list[Outcome]:
    """Seconds a question of `evaluate`, against asking and segmenting one question after the other: with a question a
    picture, and with all questions of each, as most sets have several."""
    number = 2 if stage.quick else 24
    alone = _evaluation(stage, datasets.load("scenes", None, "val", limit=number), "one question a picture")
    if stage.quick:
        return [alone]
    return [
        alone,
        _evaluation(
            stage,
            datasets.load("scenes", None, "val", questions="all", limit=number // 6)[:number],
            "all questions of a picture",
        ),
    ]


def _evaluation(stage: Stage, samples: Sequence[Sample], said: str) -> Outcome:
    sam, prompter = stage.sam("nano"), stage.prompter
    pipeline = Pipeline(prompter, sam)
    for one in samples:
        one.load()

    def batched() -> None:
        sam._kept.clear()
        with tempfile.TemporaryDirectory() as out:
            contender = Answering(prompter, sam)
            settings: dict[str, Any] = {"dataset": "scenes", "commit": "none", "models": None}
            evaluate(samples, contender, settings, Path(out), batch_size=16, seeds=1, processes=Processes())

    def one_by_one() -> None:
        from think2seg.errors import AnswerError

        sam._kept.clear()
        for one in samples:
            image, truth = one.load()
            query = Query(image, one.question)
            (completion,) = prompter.complete([query], ASKED)
            try:
                mask = pipeline.segment(query, completion, pipeline.read(query, completion)).mask
            except AnswerError:
                mask = np.zeros_like(truth)
            np.logical_and(mask, truth).sum()

    mine, theirs = paired(batched, one_by_one, stage.runs, "wall", stage.device)
    rate = len(samples) / float(np.median(mine))
    pictures = len({one.image_id for one in samples})
    return Outcome(
        f"evaluation, {stage.prompter_name} + nano, {said}", "one after the other, batch 1",
        Bar("at least", 3.0), tuple(mine), tuple(theirs), turned=True,
        notes=(f"{len(samples)} questions about {pictures} pictures", "the report included"),
        figures={"questions/s": rate},
    )  # fmt: skip


def memory(stage: Stage) -> list[Outcome]:
    """What the process holds after so many answers, each about a new picture, against a quarter of them."""
    jobs = 8 if stage.quick else 200
    sam = stage.sam("nano")
    sam._keep_bytes = 2**25  # some eight pictures, so that what is kept is kept from the beginning
    pipeline = Pipeline(stage.prompter, sam)
    held: list[float] = []
    for number in range(jobs):
        pipeline(stage.picture(2000 + number), "all vehicles and buildings")
        if number + 1 in (jobs // 4, jobs):
            held.append(resident_mib())
    return [
        Outcome(f"memory held after {jobs} answers", f"after {jobs // 4}", Bar("at most", 1.05), (held[1],), (held[0],),
                unit="MiB", notes=("each about a new picture; embeddings are kept up to 32 MiB here",))
    ]  # fmt: skip
