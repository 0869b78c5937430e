"""The model in training: how it is loaded, which of its parts learn, and what is left of it when the run is over.

It is loaded from a name or a folder as the app loads a prompter, in the dtype that it is trained in, and exported in
the hub's layout with its processor and a sidecar, so that the app and the evaluator take the run's folder for a
prompter. It knows models, and neither data sets nor rewards.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig, Trainer
from trl import ModelConfig, get_peft_config, get_quantization_config

from think2seg import machine, models, weights
from think2seg.errors import ModelError, QueryError
from think2seg.pictures_once import see_once
from think2seg.shared_prefix import share_prefix

ADAPTER = "adapter"
"""The folder of a LoRA run's adapter, in the run's folder; what is exported has it merged."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A model to be trained. entry: what it was loaded as; folder: where from; lora: a `LoraConfig`, or None."""

    entry: models.PrompterEntry
    folder: Path
    model: Any
    processor: Any
    lora: Any


def load(wanted: ModelConfig, *, freeze_vision: bool, share_pictures: bool, share_prompts: bool) -> Policy:
    """The model that `wanted` names: one of the registry, or a folder in the hub's layout.

    Raises `ModelError` if there is none, or it does not load; `QueryError` for settings that it cannot fulfil.
    """
    if not wanted.model_name_or_path:
        raise QueryError("Which model is to be trained? Set model_name_or_path: a prompter's name, or a folder.")
    if wanted.load_in_8bit or (wanted.load_in_4bit and not wanted.use_peft):
        raise QueryError("Weights of 4 bits do not learn, and 8 are not supported: use load_in_4bit with use_peft.")
    if weights.best_device() == "cpu":
        machine.keep_memory()
    entry = models.find_prompter(wanted.model_name_or_path)
    folder = weights.folder_of(entry)
    model = _loaded(folder, wanted, get_quantization_config(wanted))
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, padding_side="left")
    if freeze_vision:
        if not hasattr(model.model, "visual"):
            raise QueryError(
                f"{entry.name!r} has no vision tower called `visual` to be frozen. Leave out freeze_vision."
            )
        model.model.visual.requires_grad_(False)
    if share_pictures:
        see_once(model)
    if share_prompts:
        share_prefix(model)
    # The hub's names of the weights are not the model's own, and a trainer that resumes takes only its own: without
    # this it would go on from the weights of the start, and say nothing.
    model.save_pretrained = functools.partial(model.save_pretrained, save_original_format=False)
    return Policy(entry, folder, model, processor, get_peft_config(wanted))


def score_what_is_written(model: Any) -> None:
    """Let TRL's fused head, already on `model`, project the completions' places alone.

    Without Triton it projects every place of the batch and throws away those without a label, which with a picture's
    tokens in the prompt are nine in ten. Here the backbone hands over what comes from the first label on; the figures
    are the same, for fewer places.
    """
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    fused, first = model.forward, 0

    @functools.wraps(fused)
    def scored(*given: Any, labels: Any = None, fused_lm_head: bool = False, **rest: Any) -> Any:
        nonlocal first
        if not fused_lm_head or labels is None:
            return fused(*given, labels=labels, fused_lm_head=fused_lm_head, **rest)
        known = (labels != -100).any(dim=0)
        first = max(int(known.long().argmax()) - 1, 0) if bool(known.any()) else 0  # whose next token it is
        try:
            return fused(*given, labels=labels[:, first:], fused_lm_head=True, **rest)
        finally:
            first = 0

    def cut(_module: Any, _given: Any, out: Any) -> Any:
        if first:
            out.last_hidden_state = out.last_hidden_state[:, first:]
        return out

    model.base_model.register_forward_hook(cut)
    model.forward = scored


def _loaded(folder: Path, wanted: ModelConfig, quantization: BitsAndBytesConfig | None) -> Any:
    dtype = wanted.dtype if wanted.dtype in (None, "auto") else getattr(torch, wanted.dtype)
    how = (
        {"quantization_config": quantization, "device_map": {"": PartialState().local_process_index}}
        if quantization
        else {}
    )
    try:
        return AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=wanted.attn_implementation or "sdpa",
            local_files_only=True,
            **how,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(f"The model in {folder} cannot be loaded for training: {first_line}") from error


# --- what is left of it -----------------------------------------------------------------------------------------------


def export(trainer: Trainer, policy: Policy, folder: Path) -> None:
    """Writes what was trained into `folder`, as the app loads a prompter: all ranks call it.

    A LoRA adapter is kept in a folder of its own, and merged into the weights that it was trained on.
    """
    if policy.lora is None:
        own = policy.model.__dict__.pop("save_pretrained")  # the hub's names again
        trainer.save_model(str(folder))
        policy.model.save_pretrained = own
    else:
        trainer.save_model(str(folder / ADAPTER))
    if trainer.is_world_process_zero():
        if policy.lora is not None:
            _merged(policy, folder)
        for left_over in ("training_args.bin", f"{ADAPTER}/training_args.bin"):
            (folder / left_over).unlink(missing_ok=True)
        policy.processor.save_pretrained(folder)
        entry = policy.entry
        said = {name: getattr(entry, name) for name in ("dialect", "coordinates", "resize", "max_new_tokens")}
        (folder / models.SIDECAR).write_text(json.dumps(said) + "\n", encoding="utf-8")
    trainer.accelerator.wait_for_everyone()


def _merged(policy: Policy, folder: Path) -> None:
    from peft import PeftModel

    dtype = policy.model.dtype if policy.model.dtype.is_floating_point else torch.bfloat16
    base = AutoModelForImageTextToText.from_pretrained(policy.folder, dtype=dtype, local_files_only=True)
    PeftModel.from_pretrained(base, str(folder / ADAPTER)).merge_and_unload().save_pretrained(folder)
