"""Writes a trained prompter in the hub's own layout: what `from_pretrained(folder)` reads, bfloat16, small shards.

And means of such models, where each began from the one before (Wortsman et al. 2022, arXiv 2203.05482)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration

from train.nano.prompter_text import processor


def export(model: Qwen2_5_VLForConditionalGeneration, words: PreTrainedTokenizerFast, folder: Path) -> None:
    """Replaces the folder's files one by one, each at one stroke; what else is in it (a README) stays."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.to(torch.bfloat16).eval()
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=512,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        model.save_pretrained(fresh, max_shard_size="9MB")
        processor(words).save_pretrained(fresh)
        names = {p.name for p in Path(fresh).iterdir()}
        for name in sorted(names, key=lambda n: n.endswith(".safetensors"), reverse=True):
            (Path(fresh) / name).chmod(0o644)
            (Path(fresh) / name).replace(folder / name)
    for old in folder.glob("*.safetensors"):
        if old.name not in names:
            old.unlink()


def average(folders: Sequence[Path]) -> Qwen2_5_VLForConditionalGeneration:
    """The model whose every weight is the mean of the exported models' in float32. Raises `RuntimeError` if they differ
    in shape."""
    model, *others = (Qwen2_5_VLForConditionalGeneration.from_pretrained(f, dtype=torch.float32) for f in folders)
    mean = model.state_dict()
    for number, other in enumerate(others, start=2):
        held = other.state_dict()
        mean = {name: weight + (held[name] - weight) / number for name, weight in mean.items()}
    model.load_state_dict(mean)
    model.tie_weights()
    return model
