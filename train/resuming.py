"""Exact resume: the same command again goes on from the last whole checkpoint, and ends with the same weights.

The stock trainer restores optimizer, schedule, step and random states. What it leaves to us: checkpoints that were
being written when the process died (a checkpoint counts when the list of its files, written last, is whole), settings
that are no longer those of the run, and checkpoints between two generations, whose completions are in no file. It knows
files and settings, and no model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import Trainer, TrainerCallback, TrainingArguments

from think2seg.errors import QueryError

WHOLE = "whole.json"
"""The list of a checkpoint's files with their sizes; written last, at one stroke."""
SETTINGS = "settings.json"
"""What the run in a folder was told, beside its checkpoints."""
FREE = {
    "output_dir", "run_name", "logging_dir", "report_to", "disable_tqdm", "log_level", "log_level_replica", "project",
    "trackio_space_id", "hub_token", "local_rank", "save_total_limit", "log_completions", "num_completions_to_print",
    "dataloader_num_workers", "watch_every",
}  # fmt: skip
"""Settings that may differ when a run goes on: no weight hangs on them."""


class MarkWhole(TrainerCallback):  # type: ignore[misc]
    """Lists a checkpoint's files once every process has written its own."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def mark_whole(checkpoint: Path) -> None:
    files = [path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != WHOLE]
    sizes = {str(path.relative_to(checkpoint)): path.stat().st_size for path in files}
    new = checkpoint / f"{WHOLE}.new"
    new.write_text(json.dumps(sizes, indent=1), encoding="utf-8")
    new.replace(checkpoint / WHOLE)


def is_whole(checkpoint: Path) -> bool:
    """Whether all the files that the list names are there, with their sizes; without a list it is not."""
    listed = checkpoint / WHOLE
    if not listed.is_file():
        return False
    sizes = json.loads(listed.read_text(encoding="utf-8"))
    return all((checkpoint / name).is_file() and (checkpoint / name).stat().st_size == n for name, n in sizes.items())


def go_on(trainer: Trainer) -> None:
    """Trains to the end, from the last whole checkpoint in the run's folder if there is one."""
    checkpoint = last_whole(Path(trainer.args.output_dir))
    if checkpoint is not None and trainer.is_world_process_zero():
        print(f"Going on from {checkpoint}.", flush=True)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def last_whole(folder: Path) -> Path | None:
    """The latest whole checkpoint in a run's folder, or None. All ranks call it.

    Those that are not whole are moved aside, so that the trainer neither counts nor meets them.
    """
    state = PartialState()
    if state.is_main_process:
        for _step, checkpoint in _checkpoints(folder):
            if not is_whole(checkpoint):
                aside = folder / f"unfinished-{checkpoint.name}"
                for again in range(1, 1000):
                    if not aside.exists():
                        break
                    aside = folder / f"unfinished-{checkpoint.name}.{again}"
                checkpoint.rename(aside)
    state.wait_for_everyone()
    return max(_checkpoints(folder), default=(0, None))[1]


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    found = [(re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in folder.glob("checkpoint-*")]
    return sorted((int(match[1]), path) for match, path in found if match and path.is_dir())


def check_saving(args: TrainingArguments) -> None:
    """Raises `QueryError` for settings with which a run could not be resumed exactly."""
    strategy = str(getattr(args.save_strategy, "value", args.save_strategy))
    if strategy not in ("no", "steps"):
        raise QueryError(f"A run is saved every so many steps: save_strategy must be steps (or no); it is {strategy}.")
    if strategy == "no":
        return
    if args.save_only_model:
        raise QueryError("save_only_model leaves out what a run needs to go on. Set it to false, or save_strategy: no.")
    if args.save_total_limit is not None and args.save_total_limit < 2:
        raise QueryError(
            "With save_total_limit below 2 the last whole checkpoint is gone while the next one is not yet whole. Set "
            "it to 2 or more."
        )
    if args.save_steps < 1 or args.save_steps != int(args.save_steps):
        raise QueryError(f"save_steps must be a whole number of steps; it is {args.save_steps}.")
    cycle = getattr(args, "steps_per_generation", None) or args.gradient_accumulation_steps
    cycle *= getattr(args, "num_iterations", 1)
    if (int(args.save_steps) * args.gradient_accumulation_steps) % cycle:
        raise QueryError(
            f"A checkpoint after {args.save_steps} steps would lie between two generations (one serves "
            f"{cycle / args.gradient_accumulation_steps:g} steps), and the completions in between are in no file. Take "
            "save_steps that are a multiple of it."
        )


def check_same(folder: Path, told: Mapping[str, Any]) -> None:
    """Writes what a run is told into its folder; raises `QueryError` if other settings began there. All ranks call it.

    A folder without a checkpoint is begun anew, whatever it was told before.
    """
    now = {name: value for name, value in _plain(told).items() if name not in FREE}
    path = folder / SETTINGS
    if path.is_file() and _checkpoints(folder):
        before = json.loads(path.read_text(encoding="utf-8"))
        other = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if other:
            listed = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in other[:5])
            raise QueryError(
                f"{folder} holds checkpoints of a run with other settings: {listed}. Give another output_dir, or the "
                "settings of before to go on."
            )
        return
    PartialState().wait_for_everyone()
    if PartialState().is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """As it will come back from JSON."""
    return json.loads(json.dumps(value, default=str))
