"""Trains the nano segmenter (`assets/nano-segmenter`) from scratch on a CPU, and exports it.

    python -m train.nano.segmenter train --nwpu DIR --cache DIR --out DIR --minutes 49
    python -m train.nano.segmenter export --out DIR --assets assets/nano-segmenter

Training mixes real masks, collages and procedural scenes (`segmenter_data.py`), first on crops of 256 pixels, then at
512, the size that ships. It resumes by itself from `OUT/checkpoint.pt`. What it does not know: classes. A mask is a
mask; the prompt says where.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from think2seg import machine
from think2seg.sam2_nano import build_nano
from train.nano import segmenter_data as data
from train.nano import segmenter_prompts as prompts

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
CONFIG = Path(__file__).resolve().parents[2] / "assets" / "nano-segmenter" / "config.json"
POSITIONS = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
"""Of the weights the only ones that depend on the size at which pictures are seen."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run. Shares are of the crops; `coarse` is the part of the CPU time spent at 256 pixels."""

    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 150
    coarse: float = 0.58
    coarse_size: int = 256
    coarse_batch: int = 4
    fine_batch: int = 4
    per_crop: int = 4
    share_scenes: float = 0.25
    share_collage: float = 0.2
    exact: float = prompts.EXACT
    ema: float = 0.998
    seed: int = 20


@dataclass(frozen=True)
class Batch:
    """images (B, 3, S, S) normalised; truth (B*K, 1, S, S), 0 or 1; points (B*K, N, 2), labels (B*K, N); owner
    (B*K,): which image each prompt is about."""

    images: Tensor
    truth: Tensor
    points: Tensor
    labels: Tensor
    owner: Tensor


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention as two matrix products while training: on a CPU in bfloat16 its backward pass is some times faster
    than that of the fused kernel (a step takes 0.6 of the time)."""

    def attention(q: Tensor, k: Tensor, v: Tensor, dropout_p: float = 0.0) -> Tensor:
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), -1) @ v

    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = attention  # the name by which `sam2` calls it
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


@contextmanager
def in_quickest_precision() -> Iterator[None]:
    """Training's forward pass in bfloat16 where the CPU has units for it, else in float32: there bfloat16 takes twice
    the time."""
    if machine.likes_bfloat16():
        with plain_attention(), torch.autocast("cpu", torch.bfloat16):
            yield
    else:
        yield


def resize_model(model: Any, size: int) -> None:
    """Make a nano model take `size`-pixel images. Pixels keep their meaning: the random position code of the prompt
    tokens is per image side, so it is scaled with it."""
    encoder = model.sam_prompt_encoder
    with torch.no_grad():
        encoder.pe_layer.positional_encoding_gaussian_matrix *= size / model.image_size
    model.image_size = size
    encoder.input_image_size = (size, size)
    encoder.image_embedding_size = (size // 16, size // 16)
    encoder.mask_input_size = (size // 4, size // 4)


def grown(state: dict[str, Tensor], fresh: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights `state` of a smaller model for one that has more: blocks at the end of the trunk, whose residual
    branches begin at 0, and a third upscaling, which begins by repeating cells. So the masks stay as they were.

    Errors: `ValueError` where `state` has weights that `fresh` has no place for.
    """
    if lost := state.keys() - fresh.keys():
        raise ValueError(f"The model to begin from has weights that this one has no place for: {sorted(lost)[:3]}.")
    depth = max(int(key.split(".")[3]) for key in state if key.startswith("image_encoder.trunk.blocks."))
    out = {key: state.get(key, value).clone() for key, value in fresh.items()}
    for key in out:
        parts = key.split(".")
        new = key.startswith("image_encoder.trunk.blocks.") and int(parts[3]) > depth
        if new and parts[4:6] in (["attn", "proj"], ["mlp", "layers"]) and parts[4:7] != ["mlp", "layers", "0"]:
            out[key].zero_()
    return out


def make_batch(
    streams: list[data.Stream], shares: list[float], rng: np.random.Generator, count: int, size: int, exact: float
) -> Batch:
    """`count` crops of the streams in these shares, with a prompt for each of their objects, of the boxes so many
    `exact`."""
    images, truth, points, labels, owner = [], [], [], [], []
    shape = prompts.draw_shape(rng)
    for b in range(count):
        crop = streams[int(rng.choice(len(streams), p=shares))](rng, size)
        images.append(torch.from_numpy(crop.image).permute(2, 0, 1).float() / 255)
        for mask in crop.masks:
            asked = prompts.ask(rng, mask, shape, exact)
            truth.append(torch.from_numpy(mask.astype(np.float32))[None])
            points.append(torch.from_numpy(asked.points))
            labels.append(torch.from_numpy(asked.labels))
            owner.append(b)
    return Batch(
        (torch.stack(images) - MEAN) / STD,
        torch.stack(truth),
        torch.stack(points),
        torch.stack(labels),
        torch.tensor(owner),
    )


def forward(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mask logits (B*K, 1, S/2, S/2) and the predicted IoU (B*K,), as the stock predictor would get them."""
    features = [f[batch.owner] for f in model.forward_image(batch.images)["backbone_fpn"]]
    sparse, dense = model.sam_prompt_encoder(points=(batch.points, batch.labels), boxes=None, masks=None)
    logits, iou, _, _ = model.sam_mask_decoder(
        image_embeddings=features[2],
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
        repeat_image=False,
        high_res_features=features[:2],
    )
    return logits.float(), iou.float()[:, 0]


def loss_of(logits: Tensor, iou: Tensor, truth: Tensor) -> tuple[Tensor, dict[str, float]]:
    """BCE in the object's surroundings and far from it, each normalised by itself (a small object counts as much as
    a large one, and no confident mistake loses its gradient), plus dice, plus the error of the predicted IoU.

    Logits (N, 1, S/2, S/2) are compared as large as they are used, scaled up to the truth (N, 1, S, S), and the object
    weighs no more than what is beside it: else what is thinner than a cell is drawn fat.
    """
    side = truth.shape[-1]
    logits = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False).flatten(1)
    rows, columns = truth.amax(3)[:, 0], truth.amax(2)[:, 0]  # (N, S): where the object is
    margin = max(side // 64, 2)
    rows, columns = (F.max_pool1d(where[:, None], 2 * margin + 1, 1, margin)[:, 0] for where in (rows, columns))
    near = (rows[:, :, None] * columns[:, None, :]).flatten(1)
    truth = truth.flatten(1)
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    all_of_it, beside = bce.sum(1), (bce * near).sum(1)
    area = near.sum(1)
    weighted = 2 * beside / area + 0.5 * (all_of_it - beside) / (side * side - area).clamp(min=1)
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * truth).sum(1) + 1) / (p.sum(1) + truth.sum(1) + 1)
    with torch.no_grad():
        hard, true = logits > 0, truth > 0.5
        actual = (hard & true).sum(1) / (hard | true).sum(1).clamp(min=1)
    iou_error = F.mse_loss(iou, actual)
    parts = {"bce": weighted.mean().item(), "dice": dice.mean().item(), "iou": actual.mean().item()}
    parts["score_error"] = (iou - actual).abs().mean().item()
    return weighted.mean() + 2 * dice.mean() + 2 * iou_error, parts


class Run:
    """A training run that can be cut off: model, average of weights, optimizer, clock and random states."""

    def __init__(self, recipe: Recipe, out: Path, minutes: float, config: dict[str, Any]) -> None:
        self.recipe, self.out, self.minutes, self.config = recipe, out, minutes, config
        torch.manual_seed(recipe.seed)
        random.seed(recipe.seed)
        self.rng = np.random.default_rng(recipe.seed)
        self.model = build_nano(self.config)
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        other = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": other, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def begin_from(self, assets: Path) -> None:
        """Takes the weights of an exported segmenter, of a shallower or coarser one too (what that lacks begins as
        nothing, `grown`), and of one that sees pictures at another size."""
        state = load_file(str(assets / "model.safetensors"))
        size = json.loads((assets / "config.json").read_text())["image_size"]
        state[POSITIONS] = state[POSITIONS].float() * (self.model.image_size / size)
        self.model.load_state_dict(grown({key: value.float() for key, value in state.items()}, self.model.state_dict()))
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    @property
    def progress(self) -> float:
        return min(self.cpu_seconds / (60 * self.minutes), 1.0)

    def save(self) -> None:
        """Model, average, optimizer, clock and random states, in one file, renamed into place."""
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "image_size": self.model.image_size,
            "config": self.config,
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
        }
        torch.save(state, self.out / "checkpoint.part")
        (self.out / "checkpoint.part").replace(self.out / "checkpoint.pt")

    def resume(self) -> bool:
        file = self.out / "checkpoint.pt"
        if not file.exists():
            return False
        state = torch.load(file, weights_only=False)
        if state["config"] != self.config:
            raise ValueError(f"{file} is of a model with another config.json; give that one, or another --out.")
        resize_model(self.model, state["image_size"])
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.cpu_seconds = state["step"], state["seconds"], state["cpu_seconds"]
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        return True

    def one_step(self, streams: list[data.Stream], shares: list[float]) -> dict[str, float]:
        recipe, started, cpu_started = self.recipe, time.monotonic(), time.process_time()
        fine = self.progress >= recipe.coarse
        size = int(self.config["image_size"]) if fine else recipe.coarse_size
        if self.model.image_size != size:
            resize_model(self.model, size)
            self.average = {
                k: self.model.state_dict()[k].clone() if "gaussian" in k else v for k, v in self.average.items()
            }
        batch = make_batch(
            streams, shares, self.rng, recipe.fine_batch if fine else recipe.coarse_batch, size, recipe.exact
        )
        warm = min((self.step + 1) / recipe.warmup_steps, 1.0)
        lr = recipe.lr * warm * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * self.progress))))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with in_quickest_precision():
            logits, iou = forward(self.model, batch)
        loss, parts = loss_of(logits, iou, batch.truth)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        decay = min(recipe.ema, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                self.average[key].lerp_(value, 1 - decay)
        self.step += 1
        self.seconds += time.monotonic() - started
        self.cpu_seconds += time.process_time() - cpu_started
        return {**parts, "loss": loss.item(), "lr": lr}


def train(args: argparse.Namespace) -> None:
    """Train for `--minutes` of CPU time, of all threads together, saving every three minutes and at the end."""
    recipe = Recipe(
        lr=args.lr,
        coarse=args.coarse,
        share_scenes=args.share_scenes,
        share_collage=args.share_collage,
        fine_batch=args.crops,
        per_crop=args.per_crop,
        exact=args.share_exact,
        seed=args.seed,
    )
    torch.set_num_threads(args.threads)
    run = Run(recipe, args.out, args.minutes, json.loads(args.config.read_text()))
    if args.begin_from:
        run.begin_from(args.begin_from)
    print("resumed" if not args.fresh and run.resume() else "started", "at step", run.step, flush=True)
    images = data.load_nwpu(args.nwpu, validation=False)
    streams: list[data.Stream] = [
        data.RealCrops(images, recipe.per_crop),
        data.CollageCrops(images, recipe.per_crop),
    ]
    shares = [1 - recipe.share_collage, recipe.share_collage]
    if args.scenes:
        streams.append(data.SceneCrops(*data.load_scenes(args.cache, args.scenes, args.scene_size), recipe.per_crop))
        shares = [1 - recipe.share_collage - recipe.share_scenes, recipe.share_collage, recipe.share_scenes]
    saved, sums, count = run.seconds, dict[str, float](), 0
    while run.progress < 1:
        for key, value in run.one_step(streams, shares).items():
            sums[key] = sums.get(key, 0.0) + value
        count += 1
        if run.step % 50 == 0:
            means = " ".join(f"{key} {value / count:.4g}" for key, value in sums.items())
            clock = f"min {run.seconds / 60:.1f} cpu {run.cpu_seconds / 60:.1f}"
            print(f"step {run.step} {clock} size {run.model.image_size} {means}", flush=True)
            sums, count = {}, 0
        if run.seconds - saved > 180:
            run.save()
            saved = run.seconds
    run.save()


def export(args: argparse.Namespace) -> None:
    """Write the averaged weights of `--out` as `--assets`/model.safetensors, float16, under the image size of its
    config.json, which is written beside it."""
    state = torch.load(args.out / "checkpoint.pt", weights_only=False)
    config = state["config"]
    model = build_nano(config)
    resize_model(model, state["image_size"])
    model.load_state_dict(state["average"])
    resize_model(model, config["image_size"])
    args.assets.mkdir(parents=True, exist_ok=True)
    (args.assets / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    part = args.assets / "model.safetensors.part"
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, str(part), metadata={"format": "pt", "step": str(state["step"])})
    part.chmod(0o644)
    part.replace(args.assets / "model.safetensors")
    spent = f"{state['seconds'] / 60:.1f} minutes, of them {state['cpu_seconds'] / 60:.1f} of CPU"
    print(f"{args.assets / 'model.safetensors'}: step {state['step']}, {spent}")


def main() -> None:
    machine.keep_memory()
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="train, or go on training")
    one.add_argument("--nwpu", type=Path, required=True, help="folder of NWPU VHR-10 (annotations.json, images/)")
    one.add_argument("--cache", type=Path, help="folder for rendered scenes, outside the repository")
    one.add_argument("--scenes", type=int, default=3000, help="how many procedural scenes to render; 0 for none")
    one.add_argument("--scene-size", type=int, default=336)
    one.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, outside the repository")
    one.add_argument("--minutes", type=float, default=49, help="of CPU, not on the wall")
    one.add_argument("--config", type=Path, default=CONFIG, help="the architecture (default: the bundled nano's)")
    one.add_argument("--begin-from", type=Path, help="an exported segmenter to go on from")
    one.add_argument("--lr", type=float, default=Recipe.lr)
    one.add_argument("--coarse", type=float, default=Recipe.coarse, help="share of the time at 256 pixels")
    one.add_argument("--crops", type=int, default=Recipe.fine_batch, help="a step, at 512 pixels")
    one.add_argument("--per-crop", type=int, default=Recipe.per_crop, help="objects that are asked for in a crop")
    one.add_argument("--share-scenes", type=float, default=Recipe.share_scenes)
    one.add_argument("--share-collage", type=float, default=Recipe.share_collage)
    one.add_argument("--share-exact", type=float, default=Recipe.exact, help="of the boxes, how many are exact")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--seed", type=int, default=Recipe.seed)
    one.add_argument("--fresh", action="store_true", help="ignore a checkpoint in --out")
    one.set_defaults(run=train)
    two = commands.add_parser("export", help="write the averaged weights as safetensors")
    two.add_argument("--out", type=Path, required=True)
    two.add_argument("--assets", type=Path, default=CONFIG.parent)
    two.set_defaults(run=export)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
