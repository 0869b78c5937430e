"""Writes Qwen2.5-VL checkpoints with random weights in the hub's layout, for tests: the published 3B configuration
(cut to a few layers) or a tiny one. No file of the published model is in it; the tokenizer spells bytes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

# The special tokens of Qwen2.5-VL at their published ids.
SPECIAL = {
    "<|endoftext|>": 151643,
    "<|im_start|>": 151644,
    "<|im_end|>": 151645,
    "<|object_ref_start|>": 151646,
    "<|object_ref_end|>": 151647,
    "<|box_start|>": 151648,
    "<|box_end|>": 151649,
    "<|quad_start|>": 151650,
    "<|quad_end|>": 151651,
    "<|vision_start|>": 151652,
    "<|vision_end|>": 151653,
    "<|vision_pad|>": 151654,
    "<|image_pad|>": 151655,
    "<|video_pad|>": 151656,
}

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def published_3b(layers: int) -> dict:
    """The configuration of Qwen2.5-VL-3B as published, cut to `layers` layers in the text and in the vision part."""
    return {
        "text_config": {
            "hidden_size": 2048,
            "intermediate_size": 11008,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "num_hidden_layers": layers,
            "vocab_size": 151936,
            "max_position_embeddings": 128000,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "tie_word_embeddings": True,
        },
        "vision_config": {
            "depth": layers,
            "hidden_size": 1280,
            "num_heads": 16,
            "intermediate_size": 3420,
            "out_hidden_size": 2048,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [layers - 1],
            "tokens_per_second": 2,
        },
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "tie_word_embeddings": True,
    }


def tiny() -> dict:
    """The same architecture with a few hundred thousand parameters beside its embeddings."""
    config = published_3b(1)
    config["text_config"] |= {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    config["text_config"] |= {"num_key_value_heads": 1}
    config["text_config"]["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": [2, 3, 3],
    }
    config["vision_config"] |= {"hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32}
    return config


def write(folder: Path, config: dict, *, seed: int = 0) -> Path:
    """A checkpoint of random weights in `folder`, as `save_pretrained` lays it out, in bfloat16."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config))
        finally:
            torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = [151645, 151643]
    model.generation_config.pad_token_id = 151643
    # What the published generation configuration asks for; a greedy prompter must not be moved by it.
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.1
    model.generation_config.repetition_penalty = 1.05
    model.save_pretrained(folder)
    tokenizer = _tokenizer()
    pixels = {"min_pixels": 3136, "max_pixels": 12845056}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, **pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(patch_size=14, merge_size=2, temporal_patch_size=2),
        chat_template=CHAT,
    )
    processor.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2_5_vl"
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of the published size: 256 bytes, then words that no text spells."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate(bytes_)}
    vocabulary |= {f"w{i}": i for i in range(len(bytes_), 151643)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    assert {token: fast.convert_tokens_to_ids(token) for token in SPECIAL} == SPECIAL
    return fast
