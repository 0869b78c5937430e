"""Measures an exported prompter against the truth, as it will be used: loaded from its folder, stock `generate`.

Masks are an oracle's: a prompt gets the true mask of the object that holds most of its points and whose box fits
best; a prompt that fits no object gets its box, filled. So the figures speak of the prompter alone. "Nothing here" is
right as 1, a false alarm is 0. It does not know how the model was trained.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from think2seg.datasets.scene_phrases import NAMES
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES, SYSTEM_TURN, Strategy
from train.nano import prompter_phrases as phrases
from train.nano.prompter_model import FRAME
from train.nano.prompter_pictures import NWPU_CLASSES, Asked, Photos, Phrasings, Picture, Thing, drawn, question

ANSWER = re.compile(r"<think> (.+?) </think>\n<answer>```json(\[.*\])```</answer>", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One question to ask. group: "procedural", "whole" or "crop"."""

    group: str
    picture: Picture
    asked: Asked
    strategy: str


def strategies(rng: np.random.Generator) -> str:
    names = list(STRATEGIES)
    return DEFAULT_STRATEGY if rng.random() < 0.5 else names[int(rng.integers(len(names)))]


def procedural(count: int, start: int, phrasings: Phrasings, questions: int) -> Iterator[Item]:
    """`questions` questions about each of `count` scenes; every twelfth about an outside thing."""
    for seed in range(start, start + count):
        rng = np.random.default_rng([99, seed])
        picture = drawn(seed, phrasings, keep=True)
        for k in rng.permutation(len(picture.asked))[:questions]:
            asked = picture.asked[int(k)]
            if rng.random() < 1 / 12:
                asked = Asked(phrases.outside(rng, plainly=True), "outside", None, (), "")
            yield Item("procedural", picture, asked, strategies(rng))


def photographs(folder: Path) -> Iterator[Item]:
    """NWPU's validation part: whole photos, every class there asked twice, one that is not; and two crops of each."""
    photos = Photos(folder, "val")
    for index in range(len(photos.photos)):
        rng = np.random.default_rng([98, index])
        whole = photos.whole(index)
        present = sorted({t.category for t in whole.things})
        missing = [c for c in NWPU_CLASSES if c not in photos.photos[index].classes]
        for category in present:
            targets = tuple(i for i, t in enumerate(whole.things) if t.category == category)
            for kind in ("explicit", "implicit"):
                one = question(rng, kind, category, targets, "", len(targets) > 1, plainly=True)
                yield Item("whole", whole, one, strategies(rng))
        category = missing[int(rng.integers(len(missing)))]
        one = question(rng, "implicit" if rng.random() < 0.5 else "explicit", category, (), "", False, plainly=True)
        yield Item("whole", whole, Asked(one.text, "absent", category, (), one.reasons), strategies(rng))
        for _ in range(2):
            crop = photos.crop(rng, only=photos.photos[index])
            for k in rng.permutation(len(crop.asked))[:1]:
                yield Item("crop", crop, crop.asked[int(k)], strategies(rng))


def read(text: str, strategy: Strategy) -> tuple[str, list[dict]] | None:
    """(thought, instances) of an answer in exactly the asked form; None if it is not."""
    match = ANSWER.fullmatch(text)
    if not match:
        return None
    try:
        found = json.loads(match[2])
    except json.JSONDecodeError:
        return None
    for one in found:
        box, positive, negative = one.get("bbox_2d"), one.get("positive_points", []), one.get("negative_points", [])
        if (
            (box is not None) != strategy.box
            or len(positive) != strategy.positives
            or len(negative) != strategy.negatives
        ):
            return None
        if box is not None and not (len(box) == 4 and box[0] < box[2] and box[1] < box[3]):
            return None
    return match[1], found


def pixels(thing: Thing) -> NDArray[np.bool_]:
    full = np.zeros((FRAME, FRAME), np.bool_)
    x1, y1, x2, y2 = (int(v) for v in thing.box)
    assert thing.mask is not None
    full[y1:y2, x1:x2] = thing.mask
    return full


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def oracle(instance: dict, things: Sequence[Thing], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The mask that a perfect segmenter would give this prompt."""
    points = [(int(x), int(y)) for x, y in instance.get("positive_points", []) if 0 <= x < FRAME and 0 <= y < FRAME]
    box = instance.get("bbox_2d")
    score = [
        (sum(bool(m[y, x]) for x, y in points) / max(1, len(points))) + (box_iou(box, t.box) if box else 0.0)
        for t, m in zip(things, masks, strict=True)
    ]
    if score and max(score) >= 0.1:
        return masks[int(np.argmax(score))]
    filled = np.zeros((FRAME, FRAME), np.bool_)
    if box:
        x1, y1, x2, y2 = (int(v) for v in box)
        filled[max(0, y1) : y2, max(0, x1) : x2] = True
    return filled


def score(item: Item, text: str) -> dict[str, float]:
    """What is right about one answer; keys that do not apply are left out."""
    asked, things = item.asked, item.picture.things
    answer = read(text, STRATEGIES[item.strategy])
    marks: dict[str, float] = {"parses": float(answer is not None)}
    if answer is None:
        return marks | {"iou": 0.0, ("n_acc" if not asked.targets else "iou+"): 0.0}
    thought, found = answer
    if asked.category is not None:
        marks["class"] = float(f"asks for {NAMES[asked.category][0][1]}" in thought)
    if not asked.targets:
        return marks | {"n_acc": float(not found), "iou": float(not found)}
    masks = [pixels(t) for t in things]
    truth = np.logical_or.reduce([masks[i] for i in asked.targets])
    union = np.zeros_like(truth)
    for one in found:
        union |= oracle(one, things, masks)
    iou = float((union & truth).sum() / (union | truth).sum())
    marks |= {"iou": iou, "iou+": iou, "found": float(bool(found))}
    marks["count_off"] = float(abs(len(found) - min(10, len(asked.targets))))
    if STRATEGIES[item.strategy].box:
        boxes = [one["bbox_2d"] for one in found]
        marks["box_iou"] = float(
            np.mean([max((box_iou(b, things[i].box) for b in boxes), default=0.0) for i in asked.targets])
        )
    points = [p for one in found for p in one.get("positive_points", [])]
    if points:
        marks["points_in"] = float(
            np.mean([0 <= x < FRAME and 0 <= y < FRAME and bool(truth[int(y), int(x)]) for x, y in points])
        )
    return marks


class Asker:
    """The exported model behind its stock interface."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForImageTextToText.from_pretrained(folder)
        self.processor = AutoProcessor.from_pretrained(folder)

    def answers(self, items: Sequence[Item]) -> list[str]:
        """Greedy answers, in one batch."""
        talks = [
            [
                {"role": "system", "content": SYSTEM_TURN},
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "image": Image.fromarray(item.picture.image)},
                        {"type": "text", "text": STRATEGIES[item.strategy].user_turn(item.asked.text)},
                    ],
                },
            ]
            for item in items
        ]
        inputs = self.processor.apply_chat_template(
            talks,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        with torch.inference_mode():
            ids = self.model.generate(**inputs, max_new_tokens=420)
        return self.processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def measure(
    folder: Path,
    scenes: int,
    start: int,
    phrasings: Phrasings,
    questions: int,
    nwpu: Path | None,
    batch: int = 8,
    show: int = 0,
) -> dict[str, dict[str, float]]:
    """Asks, scores, prints a table: a row a group, kind, strategy and (for photos) class."""
    items = list(procedural(scenes, start, phrasings, questions)) + (list(photographs(nwpu)) if nwpu else [])
    asker, rows, began = Asker(folder), {}, time.perf_counter()
    for at in range(0, len(items), batch):
        for item, text in zip(items[at : at + batch], asker.answers(items[at : at + batch]), strict=True):
            marks = score(item, text)
            g = item.group
            keys = [g, f"{g} {item.asked.kind}", f"{g} [{item.strategy}]"]
            if item.asked.unseen:
                keys += [f"{g} unseen", f"{g} unseen {item.asked.kind}"]
            if item.asked.targets:
                n = len(item.asked.targets)
                keys += [
                    f"{g} /{item.asked.category}",
                    f"{g} n={'1' if n == 1 else '2-3' if n < 4 else '4-10' if n < 11 else '>10'}",
                ]
            for key in keys:
                rows.setdefault(key, []).append(marks)
            if show:
                show -= 1
                wanted = f"{len(item.asked.targets)} {item.asked.category}"
                print(f"{item.group} | {item.asked.text} | {wanted} | {text} | {marks}")
    table = {}
    names = ("parses", "class", "iou", "iou+", "n_acc", "found", "count_off", "box_iou", "points_in")
    print(f"{'':34s} {'asked':>6s} " + " ".join(f"{n:>9s}" for n in names))
    for key in sorted(rows):
        got = {n: [m[n] for m in rows[key] if n in m] for n in names}
        table[key] = {"asked": len(rows[key])} | {n: float(np.mean(v)) for n, v in got.items() if v}
        print(
            f"{key:34s} {len(rows[key]):6d} "
            + " ".join(f"{table[key][n]:9.3f}" if n in table[key] else " " * 9 for n in names)
        )
    print(f"{time.perf_counter() - began:.0f} s for {len(items)} questions")
    return table
