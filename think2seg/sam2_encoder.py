"""SAM 2's image encoder without the work that a single picture does not need: the same weights, the same embedding.

`streamline` changes a loaded model in place. It knows modules of the `sam2` package, and neither pictures nor prompts.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def streamline(model: Any, *, products: bool) -> None:
    """Spare `model`, a `SAM2Base` in eval mode, what is the same for every picture, and what only videos need.

    The trunk's position embedding is interpolated once a size. The neck's position encodings, which only SAM 2's memory
    reads, are not made. products: attention as two matrix products, which on a CPU in bfloat16 is faster than the fused
    kernel (in float32, and on a GPU, it is slower).
    """
    from sam2.modeling.backbones.hieradet import MultiScaleAttention
    from torch import nn

    class Nowhere(nn.Module):
        """Position encodings that nobody reads: zeros, without memory of their own."""

        def forward(self, x: Tensor) -> Tensor:
            return x.new_zeros(1).expand_as(x)

    trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
    neck.position_encoding = Nowhere()
    made: dict[tuple[int, ...], Tensor] = {}
    interpolated = trunk._get_pos_embed

    def embedded(height_width: Any) -> Tensor:
        key = tuple(int(side) for side in height_width)
        if key not in made:
            made[key] = interpolated(key)
        return made[key]

    trunk._get_pos_embed = embedded
    if products:
        for module in trunk.modules():
            if isinstance(module, MultiScaleAttention):
                module.forward = types.MethodType(_as_products, module)


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
    seen = (q @ k.transpose(-1, -2)).softmax(-1).to(v.dtype) @ v
    out: Tensor = self.proj(seen.transpose(1, 2).reshape(count, height, width, -1))
    return out
