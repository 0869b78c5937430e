"""Records the studio's examples: pictures of our own making, and what the bundled pair really answered.

    python -m train.nano.examples propose --first 0 --count 60     # which scenes and questions came out how
    python -m train.nano.examples record                           # write assets/examples from the list below

Nothing is corrected by hand: an example is the model's own text and SAM's own masks, so some are imperfect.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

import think2seg
from think2seg import images, record
from think2seg.datasets.scenes import scene
from think2seg.errors import AnswerError
from think2seg.metrics import iou

ASSETS = Path(__file__).parents[2] / "assets" / "examples"
SIZE = 768

EXAMPLES: dict[str, tuple[int, str, str]] = {
    "diamonds": (26, "Where would a pitcher throw to a batter?", "box+2"),
    "greenhouses": (144, "where are the greenhouses?", "box+2"),
    "track": (46, "find the running track on the right", "box+4"),
    "solar": (194, "What would be cleaned of dust so as to catch more sun?", "box+2"),
    "homes": (150, "where do people sleep at night?", "box"),
    "sailor": (168, "what would a sailor work on?", "box+2"),
    "none": (46, "Which airplanes are parked here?", "box+2"),
    "negatives": (118, "please mask all the football pitches", "box+2+neg"),
}
"""Folder name: the scene's seed, the question, the strategy. The order in the studio is the order here."""


def propose(first: int, count: int) -> None:
    """Print, for each scene and question, how well the bundled pair answers it."""
    pipeline = think2seg.load("nano", "nano")
    for seed in range(first, first + count):
        made = scene(seed, SIZE)
        for question in made.questions:
            try:
                result = pipeline(made.image, question.text)
            except AnswerError as error:
                print(f"{seed} unreadable: {error.why}")
                continue
            score = iou(result.mask, made.truth(question))
            thought = " ".join(result.answer.thought.split())
            print(
                f"{seed} {question.kind:<8} {score:.2f} {len(result.masks)} {question.text!r} | {thought}", flush=True
            )


def record_all() -> None:
    """Write the list above to `assets/examples`, in place of what is there."""
    pipeline = think2seg.load("nano", "nano")
    shutil.rmtree(ASSETS, ignore_errors=True)
    for number, (name, (seed, question, strategy)) in enumerate(EXAMPLES.items(), start=1):
        folder = ASSETS / f"{number:02d}-{name}"
        folder.mkdir(parents=True)
        picture = folder / "image.webp"
        Image.fromarray(scene(seed, SIZE).image).save(picture, quality=90, method=6)
        result = pipeline(images.load(picture), question, strategy=strategy)
        document = record.document(result, picture.name)
        (folder / "result.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"{folder.name}: {len(result.masks)} masks, {np.count_nonzero(result.mask)} pixels, {question}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.nano.examples", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("propose", "record"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    if options.what == "propose":
        propose(options.first, options.count)
    else:
        record_all()


if __name__ == "__main__":
    main()
