"""SAM 2's image encoder without the work that a single picture does not need: the same weights, the same embedding.

`streamline` changes a loaded model in place, and leaves its parameters' names as they were. It knows modules of the
`sam2` package, and neither pictures nor prompts.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SCORES_AT_ONCE = 2**22
"""Attention scores that are written out at a time. All of a global attention's at once are 128 MB at 1024 pixels,
fetched from the system and given back for every block."""
TOKENS_AT_ONCE = 8192
"""Of a block with windows, on a CPU: as many rows of windows as have about so many tokens go through all of it
together, so that what the finest stage writes in between (75 MB at a time) stays small. Fewer are slower."""


def streamline(model: Any, *, half: bool, products: bool) -> None:
    """Spare `model`, a `SAM2Base` in eval mode, what is the same for every picture, and what only videos need.

    The trunk's position embedding is interpolated once a size; on a CPU its windowed blocks work strip by strip. The
    neck's position encodings, which only SAM 2's memory reads, are not made, and its high-resolution levels are made
    with the few channels that the decoder keeps of them (`_narrow`). half: it will run in bfloat16 autocast, and its
    weights are cast once instead of for every picture. products: attention as two matrix products; with avx512_bf16
    they are faster than the fused kernel, in float32, with amx_bf16 or on a GPU slower.
    """
    import torch
    from sam2.modeling.backbones.hieradet import MultiScaleAttention
    from torch import nn

    trunk = model.image_encoder.trunk
    made: dict[tuple[int, ...], Tensor] = {}
    interpolated = trunk._get_pos_embed

    def embedded(height_width: Any) -> Tensor:
        key = tuple(int(side) for side in height_width)
        if key not in made:
            made[key] = interpolated(key)
        return made[key]

    trunk._get_pos_embed = embedded
    _narrow(model)
    for block in trunk.blocks if next(model.parameters()).device.type == "cpu" else ():
        if block.window_size > 0:
            block.forward = functools.partial(_in_strips, block.forward, block.window_size)
    for module in trunk.modules():
        if products and isinstance(module, MultiScaleAttention):
            module.forward = types.MethodType(_as_products, module)
        if half and isinstance(module, (nn.Linear, nn.Conv2d)):
            module.to(torch.bfloat16)


def _in_strips(whole: Callable[[Tensor], Tensor], window: int, x: Tensor) -> Tensor:
    """whole(x), x (B, H, W, C), by rows of windows: no window sees another, and all else in a block is by position."""
    import torch

    rows = window * max(1, TOKENS_AT_ONCE // (window * x.shape[2]))
    if rows >= x.shape[1]:
        return whole(x)
    return torch.cat([whole(x[:, a : a + rows]) for a in range(0, x.shape[1], rows)], 1)


def _as_products(self: Any, x: Tensor) -> Tensor:
    """`MultiScaleAttention.forward` with softmax(q k^T) v spelt out; x (B, H, W, C)."""
    from sam2.modeling.backbones.hieradet import do_pool

    count, height, width, _ = x.shape
    q, k, v = self.qkv(x).reshape(count, height * width, 3, self.num_heads, -1).unbind(2)
    if self.q_pool:
        q = do_pool(q.reshape(count, height, width, -1), self.q_pool)
        height, width = q.shape[1:3]
        q = q.reshape(count, height * width, self.num_heads, -1)
    q, k, v = q.transpose(1, 2) * q.shape[-1] ** -0.5, k.transpose(1, 2), v.transpose(1, 2)
    out: Tensor = self.proj(_attended(q, k, v).transpose(1, 2).reshape(count, height, width, -1))
    return out


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T) v for q (B, heads, n, c), k and v (B, heads, N, c), no more than some scores at a time."""
    import torch

    count, heads, rows, channels = q.shape
    q, k, v = (one.reshape(count * heads, -1, one.shape[-1]) for one in (q, k, v))
    k = k.transpose(1, 2)
    out = torch.empty_like(q)
    windows = max(1, SCORES_AT_ONCE // (rows * k.shape[-1]))
    some = max(1, min(rows, SCORES_AT_ONCE // k.shape[-1]))
    for a in range(0, count * heads, windows):
        one = slice(a, a + windows)
        for start in range(0, rows, some):
            part = slice(start, start + some)
            shares = torch.bmm(q[one, part], k[one]).softmax(-1)
            out[one, part] = torch.bmm(shares, v[one])
    return out.view(count, heads, rows, channels)


def _narrow(model: Any) -> None:
    """Let the neck give its two finest levels as the decoder's `conv_s0` and `conv_s1` leave them.

    A level is a 1 x 1 convolution of the trunk's, plus, where the neck goes top-down, the next coarser level enlarged;
    then another 1 x 1 convolution keeps few of its channels. All of that is linear, and enlarging to the nearest
    neighbour changes no channels: the two convolutions are folded into one, and only what is kept is ever enlarged.
    """
    import torch
    import torch.nn.functional as F

    neck, decoder = model.image_encoder.neck, model.sam_mask_decoder
    if not model.use_high_res_features_in_sam or neck.fuse_type != "sum" or neck.fpn_interp_model != "nearest":
        return
    levels = len(neck.convs)
    own = [neck.convs[levels - 1 - level].conv for level in range(levels)]  # finest first

    def chain(level: int) -> list[int]:
        """The level and those coarser ones that reach it."""
        found = [level]
        while found[-1] in neck.fpn_top_down_levels and found[-1] + 1 < levels:
            found.append(found[-1] + 1)
        return found

    def folded(level: int, kept: Any) -> list[tuple[int, Tensor, Tensor]]:
        """(level, weight, bias) of the folded convolutions, coarsest first."""
        keeps = kept.weight.detach().flatten(1)
        made = []
        for other in reversed(chain(level)):
            weight, bias = own[other].weight.detach().flatten(1), own[other].bias.detach()
            extra = kept.bias.detach() if other == level else torch.zeros_like(kept.bias)
            made.append((other, (keeps @ weight)[:, :, None, None], keeps @ bias + extra))
        return made

    squeezed = {level: folded(level, kept) for level, kept in enumerate((decoder.conv_s0, decoder.conv_s1))}
    whole = {
        level: [(other, own[other].weight, own[other].bias) for other in reversed(chain(level))]
        for level in range(2, levels)
    }

    def forward(self: Any, xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        found = []
        for level in range(levels):
            held: Tensor | None = None
            for other, weight, bias in squeezed.get(level) or whole[level]:
                mine = F.conv2d(xs[other], weight, bias)
                held = mine if held is None else mine + F.interpolate(held.float(), scale_factor=2.0, mode="nearest")
            assert held is not None
            found.append(held)
        return found, [one.new_zeros(1).expand_as(one) for one in found]  # position encodings that nobody reads

    neck.forward = types.MethodType(forward, neck)
    for kept in (decoder.conv_s0, decoder.conv_s1):
        kept.forward = types.MethodType(lambda self, x: x, kept)
