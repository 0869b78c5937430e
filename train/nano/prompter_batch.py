"""Batches for the packed forward: pictures, their packed conversations, and what each position should learn.

A batch depends on the run's seed and the step alone, so that a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from think2seg.datasets.scenes import CATEGORIES
from think2seg.strategy import DEFAULT_STRATEGY, STRATEGIES
from train.nano import prompter_phrases as phrases
from train.nano.prompter_model import CELL, CELLS, WINDOW_PIXELS
from train.nano.prompter_pictures import SIDE, Asked, Photos, Picture, Scenes, Thing, recoloured, reworded
from train.nano.prompter_text import Writer

LENGTH = 304
"""Tokens in the one row that holds all of a picture's conversations."""
OUTSIDE_SHARE = 0.9
"""Questions about outside things, per picture, on average."""


@dataclass
class Batch:
    """images (B, FRAME, FRAME, 3) uint8. ids, positions, segments: (B, 1, LENGTH). The rest is about the K positions
    `where` (indices into B * LENGTH) whose next token is learnt: target, weight, number (-1: no coordinate).
    look (M,) positions and cells (M, CELLS) where the class head should look; aim, aim_cells for the instance head.
    Dense: kind (B, CELLS) category + 1, 0 background; box (B, CELLS, 4) pixels; narrow (B,): only NWPU's ten are
    labelled.
    """

    images: Tensor
    ids: Tensor
    positions: Tensor
    segments: Tensor
    where: Tensor
    target: Tensor
    weight: Tensor
    number: Tensor
    look: Tensor
    look_cells: Tensor
    aim: Tensor
    aim_cells: Tensor
    kind: Tensor
    box: Tensor
    narrow: Tensor


@dataclass
class Glances:
    """Windows round objects: images (N, 112, 112, 3) uint8, kind (N, WINDOW ** 2), box (N, WINDOW ** 2, 4) pixels of
    the window, narrow (N,) as in `Batch`."""

    images: Tensor
    kind: Tensor
    box: Tensor
    narrow: Tensor


WINDOW = WINDOW_PIXELS // CELL
"""Cells a side of a glance."""


def dense_targets(things: tuple[Thing, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(CELLS,) category + 1 of the object that fills most of a cell, or stands with its centre in it; its box."""
    best = np.full(CELLS, 0.10, np.float32)
    kind = np.zeros(CELLS, np.int64)
    box = np.zeros((CELLS, 4), np.float32)
    for t in things:
        share = t.cells.astype(np.float32) / 255
        column = min(SIDE - 1, int((t.box[0] + t.box[2]) / 2 // CELL))
        row = min(SIDE - 1, int((t.box[1] + t.box[3]) / 2 // CELL))
        centre = row * SIDE + column
        share[centre] = max(share[centre], 0.3 + 0.5 * share[centre])
        won = share > best
        best[won], kind[won], box[won] = share[won], CATEGORIES.index(t.category) + 1, t.box
    return kind, box


class Batches:
    """`self[step]` is the batch of a step: `pictures` pictures, a share of them NWPU crops."""

    def __init__(
        self,
        writer: Writer,
        scenes: Scenes,
        scene_count: int,
        photos: Photos | None,
        pictures: int,
        seed: int,
        photo_share: float = 0.5,
    ) -> None:
        self.writer, self.scenes, self.photos = writer, scenes, photos
        self.scene_count, self.pictures, self.seed = scene_count, pictures, seed
        self.photo_share = photo_share if photos is not None else 0.0

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        rows = []
        for _k in range(self.pictures):
            real = rng.random() < self.photo_share
            if real and self.photos is not None:
                picture = self.photos.crop(rng)
            else:
                picture = self.scenes[int(rng.integers(self.scene_count))]
                if rng.random() < 0.7:
                    picture = Picture(recoloured(picture.image, rng), picture.things, picture.asked)
                picture = replace(picture, asked=tuple(reworded(one, rng) for one in picture.asked))
            rows.append((real, picture, self.pack(picture, rng)))
        return collate(rows, self.writer)

    def glances(self, step: int, pictures: int, each: int = 6) -> Glances:
        """`each` windows of each of `pictures` pictures, turned and mirrored; of scenes and photos in turn."""
        rng = np.random.default_rng([self.seed, step, 1])
        images, kinds, boxes, narrow = [], [], [], []
        for _ in range(pictures):
            real = rng.random() < self.photo_share
            picture = (
                self.photos.crop(rng)
                if real and self.photos is not None
                else self.scenes[int(rng.integers(self.scene_count))]
            )
            kind, box = dense_targets(picture.things)
            kind, box = kind.reshape(SIDE, SIDE), box.reshape(SIDE, SIDE, 4)
            image = picture.image if real or rng.random() < 0.3 else recoloured(picture.image, rng)
            full = np.flatnonzero(kind)
            for _ in range(each):
                row, column = rng.integers(0, SIDE, 2)
                if len(full) and rng.random() < 0.9:  # by object, not by cell: a big field is one object
                    t = picture.things[int(rng.integers(len(picture.things)))]
                    row, column = (t.box[1] + t.box[3]) / 2 // CELL, (t.box[0] + t.box[2]) / 2 // CELL
                a, b = (int(np.clip(v - rng.integers(0, WINDOW), 0, SIDE - WINDOW)) for v in (row, column))
                size = WINDOW * CELL
                part = image[a * CELL : a * CELL + size, b * CELL : b * CELL + size]
                k = kind[a : a + WINDOW, b : b + WINDOW]
                x = box[a : a + WINDOW, b : b + WINDOW] - np.array([b, a, b, a], np.float32) * CELL
                if rng.random() < 0.5:
                    part, k, x = part[:, ::-1], k[:, ::-1], x[:, ::-1]
                    x = np.stack((size - x[..., 2], x[..., 1], size - x[..., 0], x[..., 3]), -1)
                if rng.random() < 0.5:
                    part, k, x = part.transpose(1, 0, 2), k.T, x.transpose(1, 0, 2)[..., [1, 0, 3, 2]]
                images.append(part)
                kinds.append(k.ravel())
                boxes.append(x.reshape(-1, 4))
                narrow.append(real)
        stack = [torch.from_numpy(np.stack(v)) for v in (images, kinds, boxes)]
        return Glances(*stack, torch.tensor(narrow))

    def pack(self, picture: Picture, rng: np.random.Generator) -> list[tuple[list[int], object]]:
        """Conversations about the picture that fit into one row, as (prompt ids, answer)."""
        asked = list(picture.asked)
        for _ in range(int(rng.random() < OUTSIDE_SHARE - int(OUTSIDE_SHARE)) + int(OUTSIDE_SHARE)):
            asked.insert(int(rng.integers(0, 5)), Asked(phrases.outside(rng), "absent", None, (), ""))
        left, found = LENGTH, []
        for one in asked:
            name = DEFAULT_STRATEGY
            if rng.random() >= 0.6:
                others = [s for s in STRATEGIES if s != DEFAULT_STRATEGY]
                name = others[int(rng.integers(len(others)))]
            text = one.text
            roll = rng.random()
            if roll < 0.15:
                text = text[:1].upper() + text[1:]
            elif roll < 0.2:
                text = text.rstrip(".?!") or text
            prompt = self.writer.asked(text, STRATEGIES[name])
            answer = self.writer.answer(one, picture.things, STRATEGIES[name])
            if len(prompt) + len(answer.ids) <= left:
                left -= len(prompt) + len(answer.ids)
                found.append((prompt, answer, one))
        return found


def collate(rows: list, writer: Writer) -> Batch:
    count = len(rows)
    ids = np.zeros((count, LENGTH), np.int64)
    positions = np.zeros((count, LENGTH), np.int64)
    segments = np.full((count, LENGTH), -1, np.int64)
    after = len(writer.before_image) + SIDE + 1
    where, target, weight, number = [], [], [], []
    look, look_cells, aim, aim_cells = [], [], [], []
    kind, box = np.zeros((count, CELLS), np.int64), np.zeros((count, CELLS, 4), np.float32)
    for b, (_, picture, talks) in enumerate(rows):
        kind[b], box[b] = dense_targets(picture.things)
        cells = [t.cells.astype(np.float32) / max(1, int(t.cells.sum())) for t in picture.things]
        at = 0
        for n, (prompt, answer, one) in enumerate(talks):
            whole = prompt + answer.ids
            end = at + len(whole)
            ids[b, at:end], segments[b, at:end] = whole, n
            positions[b, at:end] = after + np.arange(len(whole))
            first = b * LENGTH + at + len(prompt) - 1  # the position that predicts the answer's first token
            where += range(first, first + len(answer.ids))
            target += answer.ids
            weight += answer.weight
            number += answer.number
            if one.targets:
                union = sum(cells[i] for i in one.targets) / len(one.targets)
                for k, i in enumerate(answer.thing):
                    if i >= 0:
                        aim.append(first + k)
                        aim_cells.append(cells[i])
                    elif i == -2:
                        look.append(first + k)
                        look_cells.append(union)
            at = end

    def stack(found: list) -> Tensor:
        return torch.from_numpy(np.stack(found)) if found else torch.zeros(0, CELLS)

    return Batch(
        torch.from_numpy(np.stack([p.image for _, p, _ in rows])),
        *(torch.from_numpy(v)[:, None] for v in (ids, positions, segments)),
        torch.tensor(where),
        torch.tensor(target),
        torch.tensor(weight),
        torch.tensor(number),
        torch.tensor(look, dtype=torch.long),
        stack(look_cells),
        torch.tensor(aim, dtype=torch.long),
        stack(aim_cells),
        torch.from_numpy(kind),
        torch.from_numpy(box),
        torch.tensor([real for real, _, _ in rows]),
    )
