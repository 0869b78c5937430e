"""Supervised training on answers written from the true masks, with the stock trainer of TRL.

    python -m train.sft --config train/recipes/nano-cpu-sft.yaml [--name value ...]

The cold start before GRPO (from a random start nothing parses, so that there is nothing to reward), and the supervised
baseline that GRPO is compared with. Only the answer's tokens count in the loss. It knows the other rooms of `train/`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from train import policy as policies
from train import resuming
from train.data import rows_of
from train.grpo import door
from train.policy import Policy
from train.settings import Settings, read


def build(settings: Settings, args: SFTConfig, policy: Policy, **given: Any) -> SFTTrainer:
    """The trainer of a run, not yet started; `given` goes to it as it is.

    It sets those of `args` that are not the user's: the order of the rows, and that no answer is cut off.
    """
    resuming.check_saving(args)
    a_step = args.per_device_train_batch_size * args.world_size * args.gradient_accumulation_steps
    rows = rows_of(
        settings,
        policy.entry,
        policy.processor,
        seed=args.seed,
        epochs=args.num_train_epochs,
        rows=args.max_steps * a_step if args.max_steps > 0 else None,
        answered=True,
    )
    args.num_train_epochs, args.train_sampling_strategy = 1.0, "sequential"  # the rows are all epochs, and mixed
    args.max_length, args.completion_only_loss = None, True
    # Without a count of the step's tokens, a mean would be taken of each process's and each accumulated batch's mean.
    policy.model.accepts_loss_kwargs = True
    return SFTTrainer(
        policy.model,
        args,
        train_dataset=rows,
        processing_class=policy.processor,
        peft_config=policy.lora,
        callbacks=[resuming.MarkWhole()],
        **given,
    )


def main(argv: Sequence[str] | None = None) -> None:
    settings, args, model = read((Settings, SFTConfig), sys.argv[1:] if argv is None else argv)
    resuming.check_saving(args)
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
        print(f"Trained. Go on with GRPO: python -m train.grpo ... --model_name_or_path {args.output_dir}")


if __name__ == "__main__":
    sys.exit(door(main))
