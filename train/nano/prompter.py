"""DOOR: makes the bundled prompter. `python -m train.nano.prompter render|train|export|average|measure --help`.

    python -m train.nano.prompter render  --cache CACHE --scenes 10000          # once, 65 ms a scene
    python -m train.nano.prompter train   --cache CACHE --nwpu DIR --run RUN --minutes 100
    python -m train.nano.prompter export  --run RUN --to assets/nano-prompter
    python -m train.nano.prompter average --models FOLDER FOLDER --to assets/nano-prompter
    python -m train.nano.prompter measure --model assets/nano-prompter --scenes 300 --seed-start 0 --nwpu DIR

Training runs on one CPU thread in bfloat16 autocast, in two stages: a dense one that teaches the image tokens what is
where, without text, then conversations. A run stops at any moment and goes on exactly where its last checkpoint stood.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration

from think2seg import machine
from train.nano.prompter_batch import Batches
from train.nano.prompter_export import average, export
from train.nano.prompter_loss import Dense, Terms, dense_loss, glance_loss, talk_loss
from train.nano.prompter_measure import measure
from train.nano.prompter_model import CELLS, PackedForward, Sizes, build, config, finer
from train.nano.prompter_pictures import CHUNK, Photos, Scenes, render
from train.nano.prompter_text import Writer, load_tokenizer, processor, tokenizer


@dataclass(frozen=True)
class Recipe:
    """What a run is made with; the runs that made the bundled model stand in its card.

    minutes: of CPU, which the learning rate follows; 0: it follows `steps`, and a resumed run is exact.
    fall: the share of the budget over which the rate falls, at its end.
    """

    seed: int = 7
    scenes: int = 10_000
    pictures: int = 4
    minutes: float = 100.0
    steps: int = 0
    glance_share: float = 0.11
    dense_share: float = 0.20
    rate: float = 1e-3
    last_rate: float = 2e-5
    warm_up: int = 30
    fall: float = 0.3
    decay: float = 0.05
    clip: float = 1.0
    photo_share: float = 0.5


BUNDLED = Sizes()


class Run:
    """A model in training, its optimizers and where it stands."""

    def __init__(
        self, recipe: Recipe, words: PreTrainedTokenizerFast, batches: Batches, sizes: Sizes = BUNDLED
    ) -> None:
        self.recipe, self.words, self.batches = recipe, words, batches
        self.writer = batches.writer
        torch.manual_seed(recipe.seed)
        self.model = build(config(len(words), special_ids(words), sizes), self.writer.numbers)
        self.model.train()
        self.dense = Dense(sizes.hidden)
        self.packed = PackedForward(self.model)
        self.prefix = prefix_of(self.model, self.writer)
        self.norm = normalisation(words)
        towers = (
            *self.model.model.visual.blocks,
            *self.model.model.language_model.layers,
            self.model.model.visual.merger,
        )
        matrices = [p for tower in towers for p in tower.parameters() if p.ndim == 2]
        mine = {id(p) for p in matrices}
        rest = [p for p in self.parameters() if id(p) not in mine]
        # Muon learns from half as many pictures as AdamW here, for a tenth more time
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices, lr=recipe.rate, weight_decay=recipe.decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.step = 0
        self.spent = 0.0

    def begin_from(self, folder: Path) -> None:
        """Takes the weights of an exported model, of coarser image tokens too; the throw-away heads begin anew."""
        state = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).state_dict()
        self.model.load_state_dict(finer(state, self.model.state_dict()))
        self.model.tie_weights()

    def parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.dense.parameters()]

    @property
    def progress(self) -> float:
        """0 to 1: the share of the budget that is spent."""
        if self.recipe.minutes:
            return min(1.0, self.spent / (60 * self.recipe.minutes))
        return min(1.0, self.step / self.recipe.steps)

    def rate(self) -> float:
        """Warm-up, a plateau, and a straight fall."""
        r = self.recipe
        fall = min(1.0, (1 - self.progress) / r.fall)
        return min(1.0, (self.step + 1) / r.warm_up) * (r.last_rate + (r.rate - r.last_rate) * fall)

    def advance(self) -> dict[str, float]:
        """One step; returns the loss's parts."""
        began = time.process_time()
        progress = self.progress
        for optimizer, factor in zip(self.optimizers, (2.0, 1.0), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = factor * self.rate()
        if progress < self.recipe.glance_share:
            loss, parts = glance_loss(
                self.packed,
                self.dense,
                self.batches.glances(self.step, 2 * self.recipe.pictures),
                self.writer,
                self.norm,
            )
            return self._descend(loss, parts, began)
        batch = self.batches[self.step]
        seen, parts = dense_loss(self.packed, self.dense, batch, self.writer, self.norm)
        loss = sum(parts.values())
        if progress >= self.recipe.dense_share:
            late = (progress - self.recipe.dense_share) / (1 - self.recipe.dense_share)
            terms = Terms(dense=0.5 if late < 0.8 else 0.2, attention=1.0 if late < 0.8 else 0.3)
            talk, more = talk_loss(self.packed, self.dense, seen, batch, self.writer, self.prefix, terms)
            loss = terms.dense * loss + talk
            parts |= more
        return self._descend(loss, parts, began)

    def _descend(self, loss: Tensor, parts: dict[str, Tensor], began: float) -> dict[str, float]:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.spent += time.process_time() - began
        return {"loss": float(loss.detach()), **{k: float(v.detach()) for k, v in parts.items()}}

    def save(self, folder: Path) -> None:
        """Replaces the folder's checkpoint at one stroke."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "dense": self.dense.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "spent": self.spent,
            "recipe": self.recipe.__dict__,
            "random": (torch.get_rng_state(), np.random.get_state(), random.getstate()),
        }
        torch.save(state, folder / "checkpoint.tmp")
        (folder / "checkpoint.tmp").replace(folder / "checkpoint.pt")

    def load(self, folder: Path) -> bool:
        """Goes on from the folder's checkpoint, if there is one."""
        if not (folder / "checkpoint.pt").exists():
            return False
        state = torch.load(folder / "checkpoint.pt", weights_only=False)
        self.model.load_state_dict(state["model"])
        self.dense.load_state_dict(state["dense"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.spent = state["step"], state["spent"]
        torch.set_rng_state(state["random"][0])
        np.random.set_state(state["random"][1])
        random.setstate(state["random"][2])
        return True


def special_ids(words: PreTrainedTokenizerFast) -> dict[str, int]:
    names = {
        "image": "<|image_pad|>",
        "video": "<|video_pad|>",
        "vision_start": "<|vision_start|>",
        "vision_end": "<|vision_end|>",
        "end": "<|im_end|>",
        "pad": "<|endoftext|>",
    }
    return {name: words.convert_tokens_to_ids(token) for name, token in names.items()}


def normalisation(words: PreTrainedTokenizerFast) -> tuple[Tensor, Tensor]:
    """The processor's mean and standard deviation."""
    image = processor(words).image_processor
    return torch.tensor(image.image_mean), torch.tensor(image.image_std)


def prefix_of(model: Qwen2_5_VLForConditionalGeneration, writer: Writer) -> tuple[Tensor, Tensor]:
    """Ids and (3, P) rope positions of everything before the question, by the model's own rule."""
    from train.nano.prompter_model import FRAME, PATCH

    ids = torch.tensor([writer.before_image + [writer.image] * CELLS + [writer.after_image]])
    grid = torch.tensor([[1, FRAME // PATCH, FRAME // PATCH]])
    positions, _ = model.model.get_rope_index(ids, (ids == writer.image).int(), image_grid_thw=grid)
    return ids[0], positions[:, 0]


def train(args: argparse.Namespace) -> None:
    recipe = Recipe(
        # a model that sees already needs no glances, its fresh heads a moment alone, and a long plateau teaches nothing
        **({"glance_share": 0.0, "dense_share": 0.02, "fall": 0.9} if args.begin_from else {}),
        seed=args.seed,
        scenes=args.scenes,
        minutes=args.minutes,
        steps=args.steps,
        rate=args.rate,
        pictures=args.pictures,
    )
    folder: Path = args.run
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        (load_tokenizer(args.begin_from) if args.begin_from else tokenizer()).save_pretrained(folder)
    words = load_tokenizer(folder)
    photos = Photos(args.nwpu, "train") if args.nwpu else None
    batches = Batches(
        Writer(words), Scenes(args.cache), recipe.scenes, photos, recipe.pictures, recipe.seed, recipe.photo_share
    )
    run = Run(recipe, words, batches)
    if args.begin_from:
        run.begin_from(args.begin_from)
    print(
        f"{sum(p.numel() for p in run.model.parameters()) / 1e6:.2f} M parameters; resumed: {run.load(folder)}",
        flush=True,
    )
    mean: dict[str, list[float]] = {}
    last = time.monotonic()
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    while run.progress < 1.0 and not stop:
        for name, value in run.advance().items():
            mean.setdefault(name, []).append(value)
        if run.step % 25 == 0:
            shown = " ".join(f"{k} {np.mean(v):.3f}" for k, v in mean.items())
            print(
                f"step {run.step} {run.spent / 60:.1f} min {run.progress:.3f} rate {run.rate():.1e} | {shown}",
                flush=True,
            )
            mean = {}
        if time.monotonic() - last > 60 * args.save_every:
            run.save(folder)
            last = time.monotonic()
    run.save(folder)
    print(f"done: {run.step} steps, {run.spent / 60:.1f} minutes", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.nano.prompter", description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    verbs = parser.add_subparsers(dest="verb", required=True)
    p = verbs.add_parser("render", help="draw training scenes into a cache")
    p.add_argument("--cache", type=Path, required=True)
    p.add_argument("--scenes", type=int, default=10_000)
    p = verbs.add_parser("train", help="train, or go on with a run")
    p.add_argument("--run", type=Path, required=True, help="folder for the checkpoint and the tokenizer")
    p.add_argument("--begin-from", type=Path, help="an exported model to go on from, instead of chance")
    p.add_argument("--cache", type=Path, help="rendered scenes; without it they are drawn as they come")
    p.add_argument("--nwpu", type=Path, help="NWPU VHR-10: annotations.json and images/")
    p.add_argument("--minutes", type=float, default=100.0, help="of CPU, not on the wall")
    p.add_argument("--steps", type=int, default=0, help="instead of minutes (--minutes 0)")
    p.add_argument("--scenes", type=int, default=10_000)
    p.add_argument("--pictures", type=int, default=4, help="a step")
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--save-every", type=float, default=5.0, help="minutes")
    p = verbs.add_parser("export", help="write a run's model in the hub's layout")
    p.add_argument("--run", type=Path, required=True)
    p.add_argument("--to", type=Path, required=True)
    p = verbs.add_parser("average", help="write the mean of exported models of one line, in the hub's layout")
    p.add_argument("--models", type=Path, nargs="+", required=True, help="each begun from the one before")
    p.add_argument("--to", type=Path, required=True)
    p = verbs.add_parser("measure", help="ask an exported model, and compare with the truth")
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--scenes", type=int, default=300)
    p.add_argument("--seed-start", type=int, default=10_000, help="validation 10,000-19,999; fresh 0-9,999")
    p.add_argument("--phrasings", choices=("train", "unseen", "all"), default="all")
    p.add_argument("--questions", type=int, default=2, help="a scene")
    p.add_argument("--nwpu", type=Path)
    p.add_argument("--show", type=int, default=0, help="also print this many answers")
    p.add_argument("--json", type=Path, help="also write the table here")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    machine.keep_memory()
    cv2.setNumThreads(1)
    if args.verb == "render":
        args.cache.mkdir(parents=True, exist_ok=True)
        for chunk in range(math.ceil(args.scenes / CHUNK)):
            render(args.cache, chunk)
    elif args.verb == "train":
        train(args)
    elif args.verb == "export":
        words = load_tokenizer(args.run)
        state = torch.load(args.run / "checkpoint.pt", weights_only=False)
        model = build(config(len(words), special_ids(words)))
        model.load_state_dict(state["model"])
        export(model, words, args.to)
        print(f"step {state['step']}, {state['spent'] / 60:.1f} minutes -> {args.to}")
    elif args.verb == "average":
        export(average(args.models), load_tokenizer(args.models[0]), args.to)
        print(f"the mean of {len(args.models)} models -> {args.to}")
    else:
        table = measure(
            args.model, args.scenes, args.seed_start, args.phrasings, args.questions, args.nwpu, show=args.show
        )
        if args.json:
            args.json.write_text(json.dumps(table, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
