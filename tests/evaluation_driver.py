"""An evaluation in a process of its own, to be killed: PYTHONPATH=. python tests/evaluation_driver.py OUT
SECONDS_A_BATCH.

Forty questions on twelve pictures, a script for a prompter and boxes for masks, so that it begins at once; every
answer depends on its question alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from evaluation_doubles import UNREADABLE, Scripted, answer, sample

from think2seg.baselines import BASELINES
from think2seg.evaluation.contender import Answering
from think2seg.evaluation.processes import Processes
from think2seg.evaluation.run import evaluate
from think2seg.types import Prompt


def written(question: str, seed: int | None) -> str:
    rng = np.random.default_rng([*question.encode(), seed or 0])
    if rng.random() < 0.1:
        return UNREADABLE
    boxes = rng.integers(0, 5, (int(rng.integers(0, 3)), 2))
    return answer(*(Prompt((int(x), int(y), int(x) + 4, int(y) + 5), ((int(x) + 1, int(y) + 1),)) for x, y in boxes))


SAMPLES = [
    sample(
        f"{n:02d}", f"image {n % 12}", None if n % 5 == 0 else (n % 4, n % 3, n % 4 + 3, n % 3 + 5), level=f"{n % 2}"
    )
    for n in range(40)
]


def main(out: Path, seconds: float) -> None:
    contender = Answering(Scripted(written, seconds=seconds), BASELINES["filled-box"], strategy="box")
    processes = Processes.from_environment()
    settings = {"dataset": "driver", "commit": "none", "models": None}
    evaluate(SAMPLES, contender, settings, out, batch_size=2, seeds=2, processes=processes)
    processes.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
