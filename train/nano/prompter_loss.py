"""What the bundled prompter is taught by: tokens, soft coordinates, attention, and a dense view that is thrown away.

Plain next-token training learns the format and not where things are; the other terms are what breaks that plateau.
It knows batches and the packed forward, not where pictures come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from think2seg.datasets.scenes import CATEGORIES
from train.nano.prompter_batch import WINDOW, Batch, Glances
from train.nano.prompter_model import CELL, CELLS, FRAME, PackedForward, patches_of, sines
from train.nano.prompter_pictures import NWPU_CLASSES, SIDE
from train.nano.prompter_text import Writer

WAVES = 8
REACH = 28
"""Pixels in which the heads tell how far a box reaches from a cell."""
LOOK, AIM = ((1, 0), (2, 0)), ((2, 1), (3, 1))
"""(layer, head): heads that look at all targets during the thought, and at the instance that is being written."""


class Dense(nn.Module):
    """Throw-away heads on the image tokens: category, centre of the cell, box of its object, nearness to its name."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.kind = nn.Linear(hidden, len(CATEGORIES) + 1)
        self.place = nn.Linear(hidden, 2 * 2 * WAVES + 4 * 2 * WAVES + 4)
        self.reach = nn.Linear(hidden, 4)
        self.nothing = nn.Parameter(torch.randn(hidden) * 0.02)
        self.warmth = nn.Parameter(torch.tensor(10.0))

    def what(self, seen: Tensor, batch: Batch | Glances, names: Tensor, side: int) -> dict[str, Tensor]:
        """Losses that hold in a picture of any size: category, nearness to its name, how far its object's box
        reaches from the cell. seen: (B, side * side, hidden); names: (categories, hidden) embeddings of the plurals."""
        unlabelled = torch.zeros(len(CATEGORIES) + 1, dtype=torch.bool)
        unlabelled[1 + len(NWPU_CLASSES) :] = True
        hidden_kinds = (batch.narrow[:, None] & unlabelled)[:, None]
        balance = torch.ones(len(CATEGORIES) + 1)
        balance[0] = 0.2
        kind = F.cross_entropy(
            self.kind(seen).masked_fill(hidden_kinds, -1e4).flatten(0, 1), batch.kind.flatten(), weight=balance
        )
        words = F.normalize(torch.cat((self.nothing[None], names.float())), dim=-1)
        near = self.warmth * F.normalize(seen, dim=-1) @ words.T
        name = F.cross_entropy(near.masked_fill(hidden_kinds, -1e4).flatten(0, 1), batch.kind.flatten(), weight=balance)
        held = batch.kind > 0
        middle = centres(side).repeat(1, 2)
        true = ((batch.box - middle) / REACH).clamp(-6, 6)
        reach = (self.reach(seen) - true)[held].abs().mean() if held.any() else kind * 0
        return {"kind": kind, "name": name, "reach": reach}

    def where(self, placed: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Losses of image tokens (B, CELLS, hidden) that should know where in the frame their cell and their
        object's box are."""
        placed = placed.float()
        guess = self.place(placed * torch.rsqrt(placed.pow(2).mean(-1, keepdim=True) + 1e-6))
        cell = F.mse_loss(guess[..., : 4 * WAVES], sines(centres(SIDE), WAVES).flatten(1).expand(len(placed), -1, -1))
        held = batch.kind > 0
        if held.any():
            box = batch.box[held]
            mine = guess[held]
            wave = F.mse_loss(mine[:, 4 * WAVES : 12 * WAVES], sines(box, WAVES).flatten(1))
            edge = (mine[:, 12 * WAVES :] - box / FRAME).abs().mean()
        else:
            wave = edge = guess.sum() * 0
        return {"cell": cell, "wave": wave, "edge": 4 * edge}


def centres(side: int) -> Tensor:
    """(side * side, 2) pixels: the middle of each cell."""
    grid = torch.arange(side * side)
    return torch.stack(((grid % side + 0.5) * CELL, (grid // side + 0.5) * CELL), -1)


@dataclass(frozen=True)
class Terms:
    """How much each term weighs at a step."""

    dense: float
    attention: float = 1.0
    soft: float = 3.0
    place: float = 1.0


def glance_loss(
    packed: PackedForward, dense: Dense, batch: Glances, writer: Writer, norm: tuple[Tensor, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of small windows, and its parts; `hit` is the share of objects' cells that are told right."""
    with torch.autocast("cpu", torch.bfloat16):
        seen = packed.glance(patches_of(batch.images, *norm)).float()
    table = packed.model.get_input_embeddings().weight
    parts = dense.what(seen, batch, table[torch.tensor(writer.names)], WINDOW)
    loss = sum(parts.values())
    with torch.no_grad():
        held = batch.kind > 0
        parts["hit"] = (dense.kind(seen).argmax(-1) == batch.kind)[held].float().mean()
    return loss, parts


def dense_loss(
    packed: PackedForward, dense: Dense, batch: Batch, writer: Writer, norm: tuple[Tensor, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """(image tokens, losses) of whole frames"""
    with torch.autocast("cpu", torch.bfloat16):
        seen = packed.see(patches_of(batch.images, *norm))
    table = packed.model.get_input_embeddings().weight
    return seen, dense.what(seen.float(), batch, table[torch.tensor(writer.names)], SIDE)


def talk_loss(
    packed: PackedForward,
    dense: Dense,
    seen: Tensor,
    batch: Batch,
    writer: Writer,
    prefix: tuple[Tensor, Tensor],
    terms: Terms,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of the conversations, and its parts."""
    start = len(writer.before_image)
    with torch.autocast("cpu", torch.bfloat16):
        hidden, watched, placed = packed(seen, *prefix, start, batch.ids, batch.positions, batch.segments, LOOK + AIM)
        table = packed.model.get_input_embeddings().weight
        logits = (hidden.flatten(0, 2)[batch.where] @ table.to(hidden.dtype).T).float()
    log = logits.log_softmax(-1)
    numbers = torch.tensor(writer.numbers[:FRAME])
    coordinate = batch.number >= 0
    plain = -log.gather(1, batch.target[:, None])[:, 0]
    value = torch.arange(FRAME, dtype=torch.float32)
    true = batch.number[coordinate].float()
    soft = torch.softmax(-((value - true[:, None]) ** 2) / (2 * 2.0**2), -1)
    mine = log[coordinate][:, numbers]
    fuzzy = torch.zeros_like(plain)
    fuzzy[coordinate] = -(soft * mine).sum(-1)
    token = (batch.weight * torch.where(coordinate, fuzzy, plain)).sum() / batch.weight.sum()
    expected = (mine.softmax(-1) * value).sum(-1)
    far = ((expected - true).abs() / FRAME).mean() if len(true) else token * 0
    parts = {"token": token, "far": far}
    for name, maps, at, cells in (
        ("look", watched[: len(LOOK)], batch.look, batch.look_cells),
        ("aim", watched[len(LOOK) :], batch.aim, batch.aim_cells),
    ):
        if len(at):
            shares = [m.flatten(0, 2)[at, start : start + CELLS] for m in maps]
            parts[name] = -sum((cells * s).sum(-1).mean() for s in shares) / len(shares)
    places = dense.where(placed, batch)
    parts |= places
    attention = parts.get("look", token * 0) + parts.get("aim", token * 0)
    with torch.no_grad():
        parts["text_right"] = (log[~coordinate].argmax(-1) == batch.target[~coordinate]).float().mean()
        parts["pixels_off"] = far * FRAME
    return token + terms.soft * far + terms.attention * attention + terms.place * sum(places.values()), parts
