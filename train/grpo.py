"""GRPO from nothing but the IoU of the final mask, with the stock trainer of TRL.

    python -m train.grpo --config train/recipes/nano-cpu.yaml [--name value ...]

The same command again goes on where it was stopped. At the end the run's folder is a prompter for the app and the
evaluator. What is decided here: which of the trainer's arguments are ours to set, and what it is given. It knows the
other rooms of `train/`; the method itself is TRL's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from trl import GRPOConfig, GRPOTrainer

from think2seg import segmenter
from think2seg.baselines import BASELINES
from think2seg.errors import ModelError, QueryError, Think2SegError
from think2seg.pictures_once import see_once
from think2seg.shared_prefix import share_prefix
from think2seg.strategy import find_strategy
from train import policy as policies
from train import resuming
from train.data import rows_of
from train.policy import Policy
from train.rewards import Rewards
from train.settings import GrpoSettings, read
from train.watching import Watch


def build(settings: GrpoSettings, args: GRPOConfig, policy: Policy, **given: Any) -> GRPOTrainer:
    """The trainer of a run, not yet started; `given` goes to it as it is.

    It sets those of `args` that are not the user's: the rewards' weights, the order of the rows, suppressed tokens.
    """
    check(settings, args)
    weights = {name: getattr(settings, name) for name in ("mask_iou", "readable", "think_answer")}
    with torch.random.fork_rng(devices=[args.device] if args.device.type == "cuda" else []):
        sam = BASELINES.get(settings.segmenter) or segmenter.load(settings.segmenter, device=str(args.device))
    rewards = Rewards(sam, dialect=policy.entry.dialect, negatives=settings.negatives, weights=weights)
    functions, args.reward_weights = rewards.functions()
    rows = rows_of(
        settings,
        policy.entry,
        policy.processor,
        seed=args.seed,
        epochs=args.num_train_epochs,
        rows=_rows(args) if args.max_steps > 0 else None,
    )
    args.num_train_epochs, args.shuffle_dataset = 1.0, False  # the rows are all epochs, and mixed
    ours = {"suppress_tokens": _never_written(policy.model.config)}
    args.generation_kwargs = ours | (args.generation_kwargs if isinstance(args.generation_kwargs, dict) else {})
    trainer = GRPOTrainer(
        policy.model,
        functions,
        args,
        rows,
        processing_class=policy.processor,
        peft_config=policy.lora,
        callbacks=[
            Watch(rewards if settings.watch_every else None, args.output_dir, every=settings.watch_every or 1),
            resuming.MarkWhole(),
        ],
        **given,
    )
    if trainer.ref_model is not None:
        reference = trainer.accelerator.unwrap_model(trainer.ref_model)
        if settings.share_pictures:
            see_once(reference)
        if settings.share_prompts:
            share_prefix(reference)
        policies.score_what_is_written(reference)
    policies.score_what_is_written(trainer.accelerator.unwrap_model(trainer.model))
    return trainer


def check(settings: GrpoSettings, args: GRPOConfig) -> None:
    """Raises `QueryError` for what cannot be done, or not be resumed."""
    resuming.check_saving(args)
    if settings.segmenter in BASELINES and not find_strategy(settings.strategy).box:
        raise QueryError(
            f"The baseline {settings.segmenter!r} draws into boxes, and {settings.strategy!r} has none. Choose a "
            "strategy with a box, or a SAM 2."
        )
    if args.use_vllm and not find_spec("vllm"):
        raise QueryError("use_vllm is set, and the package vllm is not installed. Leave it out, or install vllm.")
    if args.use_vllm and not settings.trust_vllm:
        raise QueryError(
            "With pictures, TRL 1.16 hands vLLM prompts whose image tokens are expanded already, and vLLM expands them "
            "again (github.com/huggingface/trl/issues/6294): it may write nonsense. Generate without use_vllm, or look "
            "at the first page of samples, and set trust_vllm if what is written there makes sense."
        )


def _rows(args: GRPOConfig) -> int:
    """Questions that `max_steps` steps ask."""
    served = int(args.steps_per_generation or 1) * args.num_iterations  # backward passes that a generation serves
    generations = math.ceil(args.max_steps * args.gradient_accumulation_steps / served)
    return generations * int(args.generation_batch_size or 1) // args.num_generations


def _never_written(config: Any) -> list[int]:
    """Tokens that stand for pictures: a completion that held one would not match the pictures that there are."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return sorted({int(config.to_dict()[name]) for name in names if config.to_dict().get(name) is not None})


def main(argv: Sequence[str] | None = None) -> None:
    settings, args, model = read((GrpoSettings, GRPOConfig), sys.argv[1:] if argv is None else argv)
    check(settings, args)
    told = asdict(settings) | args.to_dict() | asdict(model) | {"processes": args.world_size}
    resuming.check_same(Path(args.output_dir), told)
    policy = policies.load(
        model,
        freeze_vision=settings.freeze_vision,
        share_pictures=settings.share_pictures,
        share_prompts=settings.share_prompts,
    )
    trainer = build(settings, args, policy)
    resuming.go_on(trainer)
    policies.export(trainer, policy, Path(args.output_dir))
    if trainer.is_world_process_zero():
        print(f"Trained. Try it: python -m think2seg segment IMAGE QUESTION --prompter {args.output_dir}")


def door(run: Any) -> int:
    """Runs `run`, and tells what a person can do something about in a sentence: the exit code as the app's."""
    constants.HF_HUB_DISABLE_TELEMETRY = True  # the trainers would tell the hub that they were started
    try:
        run()
    except Think2SegError as error:
        print(error, file=sys.stderr)
        return 3 if isinstance(error, ModelError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(door(main))
