"""Rows about a group: eight answers to a question, written and learned from, whose prompt is read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from bench.measure import Bar, Outcome, paired
from bench.stage import Stage
from think2seg.prompter import Sampling
from think2seg.strategy import find_strategy
from think2seg.types import Query

QUESTIONS, ANSWERS, TOKENS = ("the buildings", "where could a helicopter land?"), 8, 60
"""Of a step: so many answers to each of these questions; tokens of an answer, as many as nano writes on average."""


@contextmanager
def _stock(model: Any) -> Iterator[None]:
    """Each row reads the whole of its prompt; the vision tower sees a picture once all the same."""
    tower = model.model.language_model
    shared = tower.forward
    tower.forward = shared.__wrapped__
    try:
        yield
    finally:
        tower.forward = shared


def group(stage: Stage) -> list[Outcome]:
    """The shared beginning against the stock forward: a batch's forward and backward, and eight samples of a vote."""
    prompter, asked = stage.prompter, find_strategy("box+2")
    model = prompter.model
    asking, answers, tokens = (QUESTIONS[:1], 2, 20) if stage.quick else (QUESTIONS, ANSWERS, TOKENS)
    queries = [Query(stage.picture(1000 + k), words) for k, words in enumerate(asking) for _ in range(answers)]
    given = dict(prompter._inputs(queries, asked))
    generator = torch.Generator().manual_seed(0)
    written = torch.randint(40, 3000, (len(queries), tokens), generator=generator).to(model.device)
    for name, more in (("input_ids", written), ("attention_mask", torch.ones_like(written))):
        given[name] = torch.cat([given[name], more.to(given[name].dtype)], dim=1)
    if "mm_token_type_ids" in given:
        given["mm_token_type_ids"] = torch.nn.functional.pad(given["mm_token_type_ids"], (0, tokens))
    found: dict[str, torch.Tensor] = {}

    def learn(name: str) -> None:
        logits = model(**given, use_cache=False, logits_to_keep=tokens + 1).logits[:, :-1].float()
        scores = logits.log_softmax(-1).gather(2, written[..., None])
        scores.mean().backward()
        found[name] = scores.detach()

    def stock_learn() -> None:
        with _stock(model):
            learn("stock")

    model.requires_grad_(True)
    try:
        mine, theirs = paired(lambda: learn("shared"), stock_learn, stage.runs, "wall", stage.device)
    finally:
        model.requires_grad_(False).zero_grad(set_to_none=True)
    apart = float((found["shared"] - found["stock"]).abs().max())
    asked_once = [queries[0]] * answers

    def write() -> list[str]:
        return [one.text for one in prompter.complete(asked_once, asked, sampling=Sampling(0.7, seed=1))]

    def stock_write() -> list[str]:
        with _stock(model):
            return write()

    same = float(np.mean([a == b for a, b in zip(write(), stock_write(), strict=True)]))
    my_writing, their_writing = paired(write, stock_write, stage.runs, "wall", stage.device)
    batch = f"{len(asking)} x {answers} answers of {tokens} tokens"
    return [
        Outcome(
            f"learning from {batch}, {stage.prompter_name}: forward and backward",
            "each with its whole prompt", Bar("reported"), tuple(mine), tuple(theirs), turned=True,
            notes=(f"largest difference of a log-probability: {apart:.1e}",),
        ),
        Outcome(
            f"a vote of {answers} samples, {stage.prompter_name}: all words", "each with its whole prompt",
            Bar("reported"), tuple(my_writing), tuple(their_writing), turned=True,
            notes=(f"{same:.0%} of the samples are the same to the letter",),
        ),
    ]  # fmt: skip
