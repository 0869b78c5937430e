"""Rows about SAM: the reward of a group, the lab, a click."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.measure import Bar, Outcome, paired
from bench.stage import Stage, prompts, stock_predictor
from think2seg.answer import render
from think2seg.metrics import count
from think2seg.pipeline import Pipeline
from think2seg.prompter import ReplayPrompter
from think2seg.types import Answer, Prompt, Query
from train.rewards import Rewards

GROUP, INSTANCES = 16, 3


def reward_of_a_group(stage: Stage) -> list[Outcome]:
    """One picture, 16 completions of 3 instances: the trainer's own reward function, against encoding for each
    completion and decoding for each instance with the package's predictor, in the same process and precision."""
    sam, side = stage.sam(stage.size), 840
    stock = stock_predictor(sam)
    truth = np.zeros((side, side), dtype=bool)
    truth[200:500, 300:700] = True
    group = 2 if stage.quick else GROUP
    groups = [prompts(INSTANCES, side, seed) for seed in range(group)]
    texts = [render(Answer("There.", tuple(one))) for one in groups]
    mask = Image.fromarray(truth.astype(np.uint8) * 255)
    pictures = iter(stage.picture(seed) for seed in range(1, 100))
    found: dict[str, list[float]] = {}

    def ours() -> None:
        rewards, image = Rewards(sam), Image.fromarray(next(pictures))
        columns: dict[str, Any] = {
            "image": [image] * group, "mask": [mask] * group, "frame": [[side, side]] * group,
            "strategy": ["box+2"] * group, "sample_id": ["one"] * group, "question": ["?"] * group,
        }  # fmt: skip
        found["ours"] = rewards.mask_iou([""] * group, texts, **columns)

    def usual() -> None:
        image = next(pictures)
        found["usual"] = usual_on(image)

    def usual_on(image: np.ndarray) -> list[float]:
        ious = []
        with torch.inference_mode(), sam._precision():
            for set_ in groups:
                stock.set_image(image)
                union = np.zeros((side, side), dtype=bool)
                for prompt in set_:
                    masks, _scores, _low = stock.predict(
                        point_coords=np.array(prompt.positive), point_labels=np.ones(2), box=np.array(prompt.box),
                        multimask_output=False,
                    )  # fmt: skip
                    union |= masks[0] > 0
                ious.append(count(union, truth).iou)
        return ious

    same = stage.picture(0)
    kept, pictures = pictures, iter([same])
    ours()
    apart = max(abs(a - b) for a, b in zip(found["ours"], usual_on(same), strict=True))
    pictures = kept
    mine, theirs = paired(ours, usual, stage.runs, "cpu" if stage.device == "cpu" else "wall", stage.device)
    precision = "bfloat16" if sam.half else "float32"
    clock = "CPU s" if stage.device == "cpu" else "s"
    notes = (f"largest difference of an IoU: {apart:.1e}", f"SAM {sam.name}, {precision}, {side} x {side}")
    rate = group / float(np.median(mine))
    return [
        Outcome(
            f"reward of a group: {group} completions x {INSTANCES} instances, one picture",
            "encode per completion, decode per instance",
            Bar("at least", 14.0), tuple(mine), tuple(theirs), turned=True, unit=clock, notes=notes,
            figures={"rewards/s": rate, "IoU apart": apart},
        )
    ]  # fmt: skip


def lab(stage: Stage) -> list[Outcome]:
    """Five prompt sets of two instances on a new picture, against one set."""
    sam, side = stage.sam(stage.size), 840
    sets = [_cut(prompts(2, side), which) for which in range(5)]
    pictures = iter(stage.picture(seed) for seed in range(200, 400))

    def some(number: int) -> None:
        image = next(pictures)
        for one in sets[:number]:
            sam.segment(image, one)

    mine, theirs = paired(lambda: some(5), lambda: some(1), stage.runs, "wall", stage.device)
    return [
        Outcome(
            "the lab, SAM's side: five prompt sets of two instances, one picture", "one set", Bar("at most", 1.15),
            tuple(mine), tuple(theirs), notes=(f"SAM {sam.name}",), figures={"pictures/s": 1 / float(np.median(mine))},
        )
    ]  # fmt: skip


def _cut(found: list[Prompt], which: int) -> list[Prompt]:
    """The five strategies of one answer."""
    cuts = []
    for p in found:
        assert p.box is not None
        near = ((p.box[0] - 4.0, p.box[1] - 4.0), (p.box[2] + 4.0, p.box[3] + 4.0))
        cuts.append(
            (
                Prompt(p.box),
                Prompt(None, p.positive),
                Prompt(p.box, p.positive),
                Prompt(p.box, p.positive * 2),
                Prompt(p.box, p.positive, near),
            )[which]
        )
    return cuts


def click(stage: Stage) -> list[Outcome]:
    """A moved point on a picture that was asked about, against the same on a new picture."""
    outcomes = []
    for name in ("nano",) if stage.quick else ("nano", stage.size):
        sam, side = stage.sam(name), 840
        (prompt,) = prompts(1, side)
        text = render(Answer("There.", (prompt,)))
        pipeline = Pipeline(ReplayPrompter(text, (side, side)), sam)
        known = stage.picture(400)
        query = Query(known, "?")
        completion = pipeline.prompter.complete([query], pipeline.strategy)[0]  # type: ignore[attr-defined]
        result = pipeline.segment(query, completion, pipeline.read(query, completion))
        pictures = iter(stage.picture(seed) for seed in range(401, 600))
        step = iter(range(1, 10_000))

        def moved(prompt: Prompt = prompt, step: Any = step) -> Prompt:
            (x, y), other = prompt.positive
            return Prompt(prompt.box, ((x + next(step) * 0.01, y), other))

        def cached(pipeline: Pipeline = pipeline, result: Any = result, moved: Any = moved) -> None:
            pipeline.refine(result, prompts=(moved(),))

        def fresh(sam: Any = sam, pictures: Any = pictures, moved: Any = moved) -> None:
            sam.segment(next(pictures), [moved()])

        mine, theirs = paired(cached, fresh, 2 * stage.runs, "wall", stage.device)
        outcomes.append(
            Outcome(
                f"click to new mask, {name}", "encode and decode", Bar("at most", 0.15), tuple(mine), tuple(theirs),
                notes=(f"{1000 * float(np.median(mine)):.0f} ms a click",),
            )
        )  # fmt: skip
    return outcomes
