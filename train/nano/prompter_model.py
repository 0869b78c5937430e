"""The bundled prompter's architecture, and a training forward that shares one image among many questions.

The model is transformers' own `Qwen2_5_VLForConditionalGeneration` at a few million parameters; this file only
chooses its sizes and runs its modules in another order: the image prefix once, then rows of question/answer
segments that see the prefix and themselves, never each other. The result equals the stock forward of each
conversation on its own (a test compares the logits). Nothing here knows data, text or losses beyond attention.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

FRAME = 336
"""Width and height in pixels of the square frame that the model sees."""
PATCH = 14
MERGE = 1
CELL = PATCH * MERGE
CELLS = (FRAME // CELL) ** 2
"""Image tokens: one a cell of 14 x 14 pixels, row by row. A plane in a whole photo is 17 pixels wide."""
WINDOW_PIXELS = 112
"""Side of an attention window of the vision tower."""


PLACED = 2
"""Language layers after which an image token is taught where it is: the tower's rotary positions are relative, so only
here, beside the fixed tokens before the image, is an absolute place easy to learn."""


@dataclass(frozen=True)
class Sizes:
    """What of the architecture is ours to choose; the defaults are the bundled model's."""

    hidden: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    ff: int = 640
    vision_hidden: int = 192
    vision_layers: int = 6
    vision_heads: int = 3
    vision_ff: int = 512
    full_attention: tuple[int, ...] = (1, 3, 5)


def config(vocabulary: int, ids: dict[str, int], sizes: Sizes = Sizes()) -> Qwen2_5_VLConfig:
    """A Qwen2.5-VL configuration; `ids` names the special tokens: image, video, vision_start, vision_end, end, pad."""
    half = sizes.hidden // sizes.heads // 2
    temporal = half // 8
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": sizes.hidden,
            "intermediate_size": sizes.ff,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.kv_heads,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["end"],
            "pad_token_id": ids["pad"],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10.0,
                "mrope_section": [temporal, (half - temporal) // 2, half - temporal - (half - temporal) // 2],
            },
        },
        vision_config={
            "depth": sizes.vision_layers,
            "hidden_size": sizes.vision_hidden,
            "intermediate_size": sizes.vision_ff,
            "num_heads": sizes.vision_heads,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 1,
            "window_size": WINDOW_PIXELS,
            "out_hidden_size": sizes.hidden,
            "fullatt_block_indexes": list(sizes.full_attention),
            "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
        },
        tie_word_embeddings=True,
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )


def build(cfg: Qwen2_5_VLConfig, numbers: list[int] | None = None) -> Qwen2_5_VLForConditionalGeneration:
    """A model with fresh weights (from torch's global seed), float32; `numbers[n]` is the token of the number n,
    whose embedding starts as sines of n, so that neighbouring numbers begin as neighbours."""
    model = Qwen2_5_VLForConditionalGeneration._from_config(cfg, dtype=torch.float32)
    with torch.no_grad():
        for name, p in model.model.visual.named_parameters():
            if p.ndim == 2:
                p.normal_(0.0, 0.8 * p.shape[1] ** -0.5)
                if name.endswith(("attn.proj.weight", "down_proj.weight")):
                    p.mul_((2 * cfg.vision_config.depth) ** -0.5)
        for name, p in model.model.language_model.named_parameters():
            if p.ndim == 2:
                p.normal_(0.0, 0.04)
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    p.mul_((2 * cfg.text_config.num_hidden_layers) ** -0.5)
        for number, block in enumerate(model.model.visual.blocks):
            _look_around(block.attn, model.model.visual.rotary_pos_emb.inv_freq, number)
        eyes = model.model.visual.patch_embed.proj.weight
        eyes.copy_(cosines(eyes.shape[0]).view_as(eyes))
        table = model.get_input_embeddings().weight
        if numbers is not None:
            waves = sines(torch.arange(len(numbers), dtype=torch.float32), table.shape[1] // 2)
            table[torch.tensor(numbers)] = 0.5 * table[torch.tensor(numbers)] + 0.06 * waves
    model.tie_weights()
    return model


def finer(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a model whose image tokens merged more patches, for one that merges as `wanted` does.

    A token of one patch begins as what the old merger said of a cell full of that patch, as far as its fewer hidden
    units (the ones that weighed most) can say it. Weights of the same shape stay as they are.
    """
    first, second = "model.visual.merger.mlp.0", "model.visual.merger.mlp.2"
    narrow, wide = wanted[f"{first}.weight"].shape[0], state[f"{first}.weight"].shape[0]
    if wide == narrow:
        return state
    into, out = state[f"{first}.weight"], state[f"{second}.weight"]
    into = into.view(wide, -1, wanted[f"{first}.weight"].shape[1]).sum(1)
    kept = (into.norm(dim=1) * out.norm(dim=0)).topk(narrow).indices
    return state | {
        f"{first}.weight": into[kept],
        f"{first}.bias": state[f"{first}.bias"][kept],
        f"{second}.weight": out[:, kept],
    }


_NEIGHBOURS = (
    ((0, -1), (0, 1), (-1, 0)),
    ((1, 0), (0, 0), None),
    ((-1, -1), (1, 1), (-1, 1)),
    ((0, -3), (0, 3), None),
    ((1, -1), (-2, 0), (2, 0)),
    ((-3, 0), (3, 0), None),
)


def _look_around(attn: nn.Module, frequencies: Tensor, block: int) -> None:
    """Starts an attention as a convolution: with rotary positions, constant queries and keys (the biases) prefer one
    offset in patches. A head without an offset starts blind to places."""
    heads, dim = attn.num_heads, attn.head_dim
    weight = attn.qkv.weight.view(3, heads, dim, -1)
    bias = attn.qkv.bias.view(3, heads, dim)
    bias.zero_()
    for head in range(heads):
        offset = _NEIGHBOURS[block % len(_NEIGHBOURS)][head % 3]
        if offset is None:
            continue
        weight[:2, head] *= 0.4
        angle = torch.cat([frequencies * d for d in offset])
        bias[0, head] = 4.3 * torch.cat((torch.ones(dim // 2), torch.zeros(dim // 2)))
        bias[1, head] = 4.3 * torch.cat((angle.cos(), -angle.sin()))


def cosines(count: int) -> Tensor:
    """(count, 3 * 14 * 14) first filters for a patch: its lowest cosine waves in three opponent colours, the faint
    ones (high, coloured) raised, so that a patch arrives as roughly white numbers and not as averages."""
    t = (torch.arange(PATCH) + 0.5) * torch.pi / PATCH
    basis = torch.stack([(k * t).cos() * (1 if k else 0.5**0.5) for k in range(PATCH)]) * (2 / PATCH) ** 0.5
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    colours = colours / colours.norm(dim=1, keepdim=True) * torch.tensor([1.0, 2.5, 2.5])[:, None]
    waves = sorted((u * u + v * v, u, v) for u in range(PATCH) for v in range(PATCH))[: -(-count // 3)]
    filters = [
        0.07 * (1 + squared**0.5) * colour[:, None, None] * (basis[u][:, None] * basis[v])
        for squared, u, v in waves
        for colour in colours
    ]
    return torch.stack(filters[:count]).flatten(1)


def sines(values: Tensor, waves: int) -> Tensor:
    """(..., 2 * waves) sines and cosines of pixel values, wavelengths from 12 to 2,000 pixels."""
    lengths = 12.0 * (2000.0 / 12.0) ** (torch.arange(waves, dtype=torch.float32) / max(1, waves - 1))
    angle = values[..., None] * (2 * torch.pi / lengths)
    return torch.cat((angle.sin(), angle.cos()), -1)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def _norm(layer: nn.Module, x: Tensor) -> Tensor:
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + layer.variance_epsilon)
    return layer.weight * wide.to(x.dtype)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """(B, heads, T, D) attention by plain products: on a CPU in bfloat16 1.4 times as fast as the fused kernel."""
    score = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return torch.softmax(score if bias is None else score + bias, -1) @ v


class PackedForward(nn.Module):
    """Runs a Qwen2.5-VL on a batch of images, each with `rows` rows of packed conversations.

    The wrapped model's weights are used as they are. Frames are FRAME x FRAME.
    """

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        grid = torch.tensor([[1, FRAME // PATCH, FRAME // PATCH]])
        visual = model.model.visual
        position = get_vision_position_ids(grid, MERGE)
        window, _ = get_vision_window_index(grid, MERGE, visual.window_size, PATCH)
        patch_order = (window[:, None] * MERGE**2 + torch.arange(MERGE**2)).flatten()
        cos, sin = visual.rotary_pos_emb(torch.zeros(1), position)
        self.register_buffer("patch_order", patch_order, persistent=False)
        self.register_buffer("cell_order", torch.argsort(window), persistent=False)
        self.register_buffer("vision_cos", cos[patch_order], persistent=False)
        self.register_buffer("vision_sin", sin[patch_order], persistent=False)
        self.window_patches = (visual.window_size // PATCH) ** 2
        side = visual.window_size // PATCH
        cos, sin = visual.rotary_pos_emb(
            torch.zeros(1), get_vision_position_ids(torch.tensor([[1, side, side]]), MERGE)
        )
        self.register_buffer("glance_cos", cos, persistent=False)
        self.register_buffer("glance_sin", sin, persistent=False)
        if (FRAME // PATCH) % (visual.window_size // PATCH):
            raise ValueError(f"A frame of {FRAME} px is not a whole number of {visual.window_size} px windows.")

    def see(self, patches: Tensor) -> Tensor:
        """(B, CELLS, hidden) image tokens of (B, patches, 3 * 14 * 14) normalised patches in the processor's order."""
        return self._see(patches[:, self.patch_order], self.vision_cos, self.vision_sin)[:, self.cell_order]

    def glance(self, patches: Tensor) -> Tensor:
        """(B, cells, hidden) of pictures that are one attention window (112 px) each: the same tower, at a ninth of
        the cost."""
        return self._see(patches, self.glance_cos, self.glance_sin)

    def _see(self, patches: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        visual = self.model.model.visual
        weight = visual.patch_embed.proj.weight
        x = F.linear(patches, weight.reshape(weight.shape[0], -1))
        batch, count, width = x.shape
        for number, block in enumerate(visual.blocks):
            heads, dim = block.attn.num_heads, block.attn.head_dim
            qkv = block.attn.qkv(_norm(block.norm1, x)).view(batch, count, 3, heads, dim)
            cos = cosines.to(qkv.dtype)[:, None]
            sin = sines.to(qkv.dtype)[:, None]
            q, k, v = _rotate(qkv[:, :, 0], cos, sin), _rotate(qkv[:, :, 1], cos, sin), qkv[:, :, 2]
            if number not in visual.fullatt_block_indexes:
                q, k, v = (t.reshape(-1, self.window_patches, heads, dim) for t in (q, k, v))
            y = _attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
            x = x + block.attn.proj(y.transpose(1, 2).reshape(batch, count, width))
            x = x + block.mlp(_norm(block.norm2, x))
        merger = visual.merger
        return merger.mlp(_norm(merger.ln_q, x).reshape(batch, count // MERGE**2, -1))

    def rope(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos and sin, each (..., tokens, head dim), of (3, ..., tokens) positions."""
        rotary = self.model.model.language_model.rotary_emb
        angle = positions[..., None].float() * rotary.inv_freq
        cos, sin = (
            torch.cat([m[i % 3] for i, m in enumerate(wave.split(rotary.mrope_section, dim=-1))], -1)
            for wave in (angle.cos(), angle.sin())
        )
        return torch.cat((cos, cos), -1).to(dtype), torch.cat((sin, sin), -1).to(dtype)

    def forward(
        self,
        seen: Tensor,
        prefix_ids: Tensor,
        prefix_positions: Tensor,
        image_start: int,
        row_ids: Tensor,
        row_positions: Tensor,
        segments: Tensor,
        watch: tuple[tuple[int, int], ...] = (),
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Hidden states (B, rows, T, hidden) after the last norm; attention log-probabilities for each watched
        (layer, head): (B, rows, T, prefix + T); and what the image tokens have become after PLACED layers:
        (B, CELLS, hidden).

        seen: (B, CELLS, hidden). prefix_ids: (P,), image tokens from `image_start` on; the same for all images.
        prefix_positions: (3, P). row_ids: (B, rows, T). row_positions: (B, rows, T), the same on all three axes.
        segments: (B, rows, T) segment number, -1 for padding; a token sees the prefix and its own segment's past.
        """
        language = self.model.model.language_model
        batch, rows, length = row_ids.shape
        start = language.embed_tokens(prefix_ids)
        begin, end = start[:image_start], start[image_start + CELLS :]
        a = torch.cat((begin.expand(batch, -1, -1).to(seen.dtype), seen, end.expand(batch, -1, -1).to(seen.dtype)), 1)
        b = language.embed_tokens(row_ids.reshape(batch * rows, length)).to(seen.dtype)
        prefix = a.shape[1]
        a_cos, a_sin = (t[None, None] for t in self.rope(prefix_positions, seen.dtype))
        b_cos, b_sin = (
            t[:, None] for t in self.rope(row_positions.reshape(1, -1, length).expand(3, -1, -1), seen.dtype)
        )
        a_mask = torch.ones(prefix, prefix, dtype=torch.bool).tril()
        own = segments.reshape(-1, length)
        allowed = (own[:, :, None] == own[:, None, :]) & torch.ones(length, length, dtype=torch.bool).tril()
        allowed = torch.cat((torch.ones(batch * rows, length, prefix, dtype=torch.bool), allowed), 2)[:, None]
        bias = torch.zeros(allowed.shape, dtype=seen.dtype).masked_fill(~allowed, torch.finfo(seen.dtype).min)
        a_bias = torch.zeros(prefix, prefix, dtype=seen.dtype).masked_fill(~a_mask, torch.finfo(seen.dtype).min)
        watched: list[Tensor] = []
        placed = seen
        last = len(language.layers) - 1
        for number, layer in enumerate(language.layers):
            attn = layer.self_attn
            groups = attn.num_key_value_groups

            def split(x: Tensor, dim: int = attn.head_dim) -> Tensor:
                return x.view(x.shape[0], x.shape[1], -1, dim).transpose(1, 2)

            an, bn = _norm(layer.input_layernorm, a), _norm(layer.input_layernorm, b)
            ak = _rotate(split(attn.k_proj(an)), a_cos, a_sin)
            bk = _rotate(split(attn.k_proj(bn)), b_cos, b_sin)
            av, bv = split(attn.v_proj(an)), split(attn.v_proj(bn))
            bq = _rotate(split(attn.q_proj(bn)), b_cos, b_sin)
            k = torch.cat((ak.repeat_interleave(rows, 0), bk), 2)
            v = torch.cat((av.repeat_interleave(rows, 0), bv), 2)
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
            for where, head in watch:
                if where == number:
                    score = (bq[:, head] @ k[:, head].transpose(1, 2)).float() * attn.scaling
                    score = score.masked_fill(~allowed[:, 0], -1e4)
                    watched.append(score.log_softmax(-1).view(batch, rows, length, -1))
            y = _attend(bq, k, v, bias)
            b = b + attn.o_proj(y.transpose(1, 2).reshape(b.shape))
            b = b + layer.mlp(_norm(layer.post_attention_layernorm, b))
            if number == last:  # nobody looks at the prefix after the last layer
                break
            aq = _rotate(split(attn.q_proj(an)), a_cos, a_sin)
            ak, av = ak.repeat_interleave(groups, 1), av.repeat_interleave(groups, 1)
            y = _attend(aq, ak, av, a_bias)
            a = a + attn.o_proj(y.transpose(1, 2).reshape(a.shape))
            a = a + layer.mlp(_norm(layer.post_attention_layernorm, a))
            if number == PLACED - 1:
                placed = a[:, image_start : image_start + CELLS]
        return _norm(language.norm, b).view(batch, rows, length, -1), watched, placed


def patches_of(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(B, patches, 3 * 14 * 14) of (B, side, side, 3) uint8, in the order of transformers' Qwen2-VL processor."""
    side = images.shape[1] // CELL
    x = (images.float() / 255.0 - mean) / std
    x = x.view(-1, side, MERGE, PATCH, side, MERGE, PATCH, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return x.reshape(images.shape[0], (side * MERGE) ** 2, -1)
