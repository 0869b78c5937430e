"""What the rows are measured on: models, pictures and prompts, the same for every row.

Weights that are here are used; else the published architecture with random ones, since the arithmetic is the same. It
does not know what is measured.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from think2seg import models, prompter, segmenter, weights
from think2seg.datasets.scenes import Scene, scene
from think2seg.segmenter import Sam2Segmenter
from think2seg.types import Prompt

ROW_SEED = 7


@dataclass
class Stage:
    """device: cpu, cuda or cuda:N. quick: one run of each, the smallest models, to see that all of it works. prompter:
    whose words are timed, by name or folder."""

    device: str = "cpu"
    quick: bool = False
    prompter_name: str = "nano"
    said: dict[str, str] = field(default_factory=dict)
    """By model, where its weights come from; for the page."""

    @property
    def runs(self) -> int:
        return 1 if self.quick else 5

    @property
    def size(self) -> str:
        """The size of SAM that the rows about SAM take."""
        return "tiny" if self.quick else "small"

    @cached_property
    def prompter(self) -> prompter.TransformersPrompter:
        self.said[self.prompter_name] = "its own weights"
        return prompter.load(self.prompter_name, device=self.device)

    @cached_property
    def published(self) -> prompter.TransformersPrompter:
        """The published 3B configuration with random weights, which writes 64 tokens (quick: 16 about a smaller
        picture); on a CPU two layers a tower."""
        from tests import checkpoints

        small = self.device == "cpu"
        config = checkpoints.published_3b(2 if small else 36)
        if not small:
            config["vision_config"] |= {"depth": 32, "fullatt_block_indexes": [7, 15, 23, 31]}
        self.said["the 3B configuration"] = "random weights"
        with tempfile.TemporaryDirectory() as folder:
            place = checkpoints.write(Path(folder) / "published", config)
            side, tokens = (420, 16) if self.quick else (840, 64)
            told = {"coordinates": "frame", "resize": [side, side], "max_new_tokens": tokens}
            (place / models.SIDECAR).write_text(json.dumps(told), encoding="utf-8")
            return prompter.load(str(place), device=self.device)

    def sam(self, name: str) -> Sam2Segmenter:
        """The segmenter `name` with an empty cache of embeddings; random weights where its own are not here."""
        entry = models.find_segmenter(name)
        if not entry.config or weights.availability(entry, ask_hub=False).runs:
            self.said[name] = "its own weights"
            return segmenter.load(name, device=self.device)
        self.said[name] = "random weights"
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
            torch.manual_seed(0)
            place = Path(folder) / name
            place.mkdir()
            torch.save({"model": segmenter._published(entry.config).state_dict()}, place / entry.checkpoint)
            return segmenter.load(str(place), device=self.device)

    def picture(self, seed: int, side: int = 840) -> NDArray[np.uint8]:
        """(side, side, 3) uint8: a procedural scene; another seed is another picture, and another embedding."""
        return self.scene(seed, side).image

    def scene(self, seed: int, side: int = 840) -> Scene:
        return scene(seed, side)


def prompts(number: int, side: int, seed: int = ROW_SEED) -> list[Prompt]:
    """A box and two positive points each, somewhere in a picture of `side` x `side`."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        (x, y), (w, h) = rng.uniform(0, 0.7 * side, 2), rng.uniform(0.05 * side, 0.25 * side, 2)
        points = tuple((x + a * w, y + b * h) for a, b in rng.uniform(0.3, 0.7, (2, 2)))
        found.append(Prompt((x, y, x + w, y + h), points))
    return found


def stock_predictor(sam: Sam2Segmenter) -> Any:
    """The `sam2` package's own predictor on an untouched model of the same weights, as anybody would use it."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    entry = models.find_segmenter(sam.name)
    model = segmenter._published(entry.config)
    model.load_state_dict(sam._predictor.model.state_dict())
    return SAM2ImagePredictor(model.eval().requires_grad_(False).to(sam._predictor.device))
