"""The procedural scenes as a set, named "scenes": 336 pixels, a question or all questions of each.

| split | seeds                 | wordings                             |
| ----- | --------------------- | ------------------------------------ |
| test  | 0 - 999               | of training, and one in five unseen  |
| val   | 10,000 - 10,999       | the same                             |
| train | 1,000,000 - 1,009,999 | of training alone                    |

The bundled prompter learned from 1,000,000 - 1,009,999, its segmenter from 1,500,000 on: neither saw a seed of
test or val. What is asked is known only once a scene is drawn, so a list takes 20-65 ms a scene: give a `limit`. Pixels
are not kept; a scene is drawn again when it is read. It knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from think2seg.datasets.listing import fit, listed
from think2seg.datasets.samples import Image, Sample, Truth, spread
from think2seg.datasets.scenes import Phrasings, Scene, SceneQuestion, scene

SIZE = 336
SPLITS: Mapping[str, range] = {
    "test": range(1_000),
    "val": range(10_000, 11_000),
    "train": range(1_000_000, 1_010_000),
}
"""The seeds of each split."""


def load(split: str, *, questions: str = "one", limit: int | None = None) -> tuple[Sample, ...]:
    """The samples of a split; with `limit`, of so many scenes, spread evenly over it.

    questions: "one" a scene, drawn by its seed (as the figures of nano in README.md were), or "all" of it.
    """
    phrasings: Phrasings = "train" if split == "train" else "all"

    def samples() -> Iterator[Sample]:
        for seed in spread(SPLITS[split], limit):
            asked = _drawn(seed, phrasings).questions
            name = f"scene-{seed:05d}"
            chosen = range(len(asked))
            if questions == "one":
                one = int(np.random.default_rng([seed, 77]).integers(len(asked)))
                chosen = range(one, one + 1)
            for k in chosen:
                sample_id = name if questions == "one" else f"{name}_{k}"
                read = partial(_read, seed, phrasings, k)
                yield Sample(fit(sample_id), name, asked[k].text, read, _strata(asked[k]))

    return listed(samples(), Path(f"scenes, {split}"))


def _strata(question: SceneQuestion) -> dict[str, str]:
    level = {"absent": "absent", "spatial": "instance"}.get(question.kind, "semantic")
    phrasing = "unseen" if question.unseen else "seen"
    return {"kind": question.kind, "level": level, "class": question.category, "phrasing": phrasing}


@lru_cache(maxsize=4)
def _drawn(seed: int, phrasings: Phrasings) -> Scene:
    return scene(seed, SIZE, phrasings=phrasings)


def _read(seed: int, phrasings: Phrasings, k: int) -> tuple[Image, Truth]:
    drawn = _drawn(seed, phrasings)
    return drawn.image.copy(), drawn.truth(drawn.questions[k])
