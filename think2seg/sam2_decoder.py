"""SAM 2's mask decoder for many prompts on one picture: the same weights, the same masks, a fraction of the work.

The package's decoder repeats the picture's embedding for every prompt, and projects all 4,096 of its positions to keys
and values in every layer for a handful of tokens. Here what depends on the picture alone is done once and kept
(`Prepared`), and the projections move to the other side of the products: (q W) x instead of q (W x), which for some ten
tokens is less work and never writes the projected picture out. Upscalings are matrix products in the layout in which
their input lies. Only what the pipeline asks for is made: one mask a prompt.

It fits decoders whose dense prompt is the same for all prompts, as the published sizes' is without a mask for input
(`fits`). It knows tensors, and neither prompts nor pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PROMPTS_AT_ONCE = 8
"""More at once fall out of a processor's caches, and gain nothing."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the decoder needs of a picture, N = h w positions of C channels row by row.

    keys: (N, C). first_keys, first_values, first_queries: (heads, N, c), its projections in the first layer. high,
    highest: the high-resolution features, (4 N, C / 4) and (16 N, C / 8), those of a position's four (sixteen) finer
    ones together. grid: (h, w).
    """

    keys: Tensor
    first_keys: Tensor
    first_values: Tensor
    first_queries: Tensor
    high: Tensor
    highest: Tensor
    grid: tuple[int, int]

    @property
    def bytes(self) -> int:
        tensors = (self.keys, self.first_keys, self.first_values, self.first_queries, self.high, self.highest)
        return sum(t.numel() * t.element_size() for t in tensors)


def fits(model: Any) -> bool:
    """Whether `model`, a `SAM2Base`, has the package's own prompt encoder and decoder of two layers."""
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.prompt_encoder import PromptEncoder

    decoder = model.sam_mask_decoder
    return (
        type(model.sam_prompt_encoder) is PromptEncoder
        and type(decoder) is MaskDecoder
        and len(decoder.transformer.layers) == 2
        and bool(decoder.use_high_res_features)
        and not decoder.dynamic_multimask_via_stability
    )


class SharedDecoder:
    """A model's decoder, its weights in `dtype`. The model must be one that `fits`, in eval mode."""

    def __init__(self, model: Any, dtype: Any) -> None:
        import torch

        with torch.no_grad():
            self._fold(model, dtype)

    def _fold(self, model: Any, dtype: Any) -> None:
        self._dtype = dtype
        self._encoder = model.sam_prompt_encoder
        self._decoder = model.sam_mask_decoder
        first, second = self._decoder.transformer.layers
        self._first, self._second = first, second
        last = self._decoder.transformer.final_attn_token_to_image
        self._place = self._encoder.get_dense_pe().flatten(2)[0].T  # (N, C), in float32
        self._place_here = self._place.to(dtype)
        self._look = _Look(second.cross_attn_token_to_image, dtype)
        self._tell = _Tell(second.cross_attn_image_to_token, dtype)
        self._first_tell = _Tell(first.cross_attn_image_to_token, dtype)
        self._last = _Look(last, dtype)
        up1, norm, _, up2, _ = self._decoder.output_upscaling
        self._up1, self._up1_bias = _upscaling(up1, dtype)
        self._up2, self._up2_bias = _upscaling(up2, dtype)
        self._norm = norm.weight.to(dtype), norm.bias.to(dtype), float(norm.eps)

    def prepare(self, features: dict[str, Any]) -> Prepared:
        """features: the stock predictor's, of one picture: `image_embed` (1, C, h, w) and two `high_res_feats`."""
        embedded, (highest, high) = features["image_embed"], features["high_res_feats"]
        height, width = (int(side) for side in embedded.shape[-2:])
        keys = embedded[0].flatten(1).T.float() + self._encoder.no_mask_embed.weight.float()
        look, tell = self._first.cross_attn_token_to_image, self._first.cross_attn_image_to_token
        placed = keys + self._place
        return Prepared(
            keys.to(self._dtype),
            _heads(_linear(look.k_proj, placed), look.num_heads).to(self._dtype),
            _heads(_linear(look.v_proj, keys), look.num_heads).to(self._dtype),
            _heads(_linear(tell.q_proj, placed), tell.num_heads).to(self._dtype),
            _gathered(high[0].to(self._dtype), 1) + self._up1_bias,
            _gathered(highest[0].to(self._dtype), 2) + self._up2_bias,
            (height, width),
        )

    def __call__(
        self, picture: Prepared, coords: Tensor | None, labels: Tensor | None, boxes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(B, 4 h, 4 w) logits and (B,) scores, both float32, for B prompts as the stock predictor prepares them.

        coords: (B, n, 2) in the model's input pixels, with labels (B, n), or None; boxes: (B, 4) or None.
        """
        import torch

        if boxes is not None:  # as the predictor has it: a box is two points with labels of their own, and comes first
            corners = boxes.reshape(-1, 2, 2)
            told = torch.tensor([[2, 3]], dtype=torch.int, device=boxes.device).expand(len(corners), -1)
            coords = corners if coords is None else torch.cat([corners, coords], 1)
            labels = told if labels is None else torch.cat([told, labels], 1)
        with torch.autocast(picture.keys.device.type, enabled=False):
            return self._decoded(picture, self._encoder(points=(coords, labels), boxes=None, masks=None)[0].float())

    def _decoded(self, picture: Prepared, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """The same for (B, n, C) prompt tokens."""
        import torch

        parts = (sparse[start : start + PROMPTS_AT_ONCE] for start in range(0, len(sparse), PROMPTS_AT_ONCE))
        found = [self._some(picture, part) for part in parts]
        return torch.cat([logits for logits, _ in found]), torch.cat([scores for _, scores in found])

    def _some(self, picture: Prepared, sparse: Tensor) -> tuple[Tensor, Tensor]:
        import torch
        import torch.nn.functional as F

        decoder, first, second = self._decoder, self._first, self._second
        names = (
            ("obj_score_token", "iou_token", "mask_tokens") if decoder.pred_obj_scores else ("iou_token", "mask_tokens")
        )
        own = torch.cat([getattr(decoder, name).weight for name in names])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], 1).float()
        at = 1 if decoder.pred_obj_scores else 0  # of the score's token; the one mask's token follows it

        # first layer: the picture is the same for all prompts
        queries = first.norm1(first.self_attn(q=tokens, k=tokens, v=tokens))
        look = first.cross_attn_token_to_image
        asked = _asked(look.q_proj, queries + tokens, look.num_heads)
        shares = torch.softmax(_among(asked.to(self._dtype), picture.first_keys).float(), -1)
        seen = _among(shares.to(self._dtype), picture.first_values.transpose(-1, -2))
        queries = first.norm2(queries + _linear(look.out_proj, _together(seen).float()))
        queries = first.norm3(queries + first.mlp(queries))
        keys = self._first_tell.told(first.norm4, picture.keys, picture.first_queries, queries + tokens, queries)

        # second layer: the picture has heard of each prompt
        q = queries + tokens
        placed = keys + self._place_here
        queries = second.norm1(queries + second.self_attn(q=q, k=q, v=queries))
        queries = second.norm2(queries + self._look(queries + tokens, placed, keys))
        queries = second.norm3(queries + second.mlp(queries))
        keys = self._tell.told(second.norm4, keys, placed, queries + tokens, queries)
        placed = keys + self._place_here
        queries = decoder.transformer.norm_final_attn(queries + self._last(queries + tokens, placed, keys))

        scores = decoder.iou_prediction_head(queries[:, at])[:, 0]
        weights = decoder.output_hypernetworks_mlps[0](queries[:, at + 1]).to(self._dtype)  # (B, C / 8)
        count, places, _ = keys.shape
        fine = _added(picture.high.view(places, -1), keys, self._up1).view(count, 4 * places, -1)
        fine = F.gelu(F.layer_norm(fine, fine.shape[-1:], *self._norm))
        finest = _added(picture.highest.view(4 * places, -1), fine, self._up2).view(count, 16 * places, -1)
        logits = torch.bmm(F.gelu(finest), weights[..., None])[..., 0].float()
        return _spread(logits, picture.grid), scores.float()


class _Look:
    """Tokens that look at the picture: attention with the projections of keys and values folded to the tokens' side."""

    def __init__(self, attention: Any, dtype: Any) -> None:
        self._attention, self._dtype = attention, dtype
        self._to_keys = _by_head(attention.k_proj.weight, attention.num_heads)  # (heads, c, C)
        self._to_values = _by_head(attention.v_proj.weight, attention.num_heads).transpose(-1, -2)
        self._values_bias = attention.v_proj.bias.view(attention.num_heads, 1, -1)

    def __call__(self, queries: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
        """(B, n, C) for queries (B, n, C) and keys (B, N, C), placed where their positions are added."""
        import torch

        count, number, channels = queries.shape
        asked = _asked(self._attention.q_proj, queries, self._attention.num_heads)
        folded = (asked @ self._to_keys).flatten(1, 2).to(self._dtype)  # (B, heads n, C)
        shares = torch.softmax(torch.bmm(folded, placed.transpose(1, 2)).float(), -1).to(self._dtype)
        mean = torch.bmm(shares, keys).view(count, -1, number, channels).float()
        return _linear(self._attention.out_proj, _together(mean @ self._to_values + self._values_bias))


class _Tell:
    """Tokens that tell the picture of themselves: each position attends to the tokens, and adds what it hears."""

    def __init__(self, attention: Any, dtype: Any) -> None:
        self._attention, self._dtype = attention, dtype
        self._to_queries = _by_head(attention.q_proj.weight, attention.num_heads)  # (heads, c, C)
        self._queries_bias = attention.q_proj.bias.view(attention.num_heads, -1, 1)
        self._out = _by_head(attention.out_proj.weight.T, attention.num_heads)  # (heads, c, C)

    def told(self, norm: Any, keys: Tensor, asking: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
        """norm(keys + attention), (B, N, C), for tokens (B, n, C).

        keys: (N, C), of all prompts, with their queries `asking` (heads, N, c); or (B, N, C), with themselves placed.
        """
        import torch
        import torch.nn.functional as F

        heads = self._attention.num_heads
        told = _asked(self._attention.k_proj, tokens, heads)  # (B, heads, n, c)
        if keys.ndim == 2:
            scores = _among(told.to(self._dtype), asking)  # (B, heads, n, N)
        else:
            folded = (told @ self._to_queries).flatten(1, 2).to(self._dtype)  # (B, heads n, C)
            bias = (told @ self._queries_bias).to(self._dtype).flatten(1, 2)  # (B, heads n, 1)
            scores = torch.baddbmm(bias, folded, asking.transpose(1, 2)).view(len(told), heads, -1, keys.shape[1])
        shares = torch.softmax(scores, 2).flatten(1, 2)  # (B, heads n, N); over tokens, that is
        spoken = _heads(_linear(self._attention.v_proj, values), heads) @ self._out  # (B, heads, n, C)
        spoken = spoken + self._attention.out_proj.bias / heads  # a head's shares add up to 1
        heard = torch.baddbmm(keys, shares.transpose(1, 2), spoken.flatten(1, 2).to(self._dtype))
        weight, bias = norm.weight.to(self._dtype), norm.bias.to(self._dtype)
        found: Tensor = F.layer_norm(heard, heard.shape[-1:], weight, bias, float(norm.eps))
        return found


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """(heads c, C) -> (heads, c, C)."""
    return weight.reshape(heads, -1, weight.shape[1])


def _asked(projection: Any, tokens: Tensor, heads: int) -> Tensor:
    """(B, heads, n, c): the tokens' side of an attention, scaled."""
    found = _heads(_linear(projection, tokens), heads)
    scaled: Tensor = found * found.shape[-1] ** -0.5
    return scaled


def _among(x: Tensor, shared: Tensor) -> Tensor:
    """(B, heads, n, N): the products of x (B, heads, n, c) with `shared` (heads, N, c), which is never repeated."""
    import torch

    count, heads, number, _ = x.shape
    found = torch.bmm(x.transpose(0, 1).flatten(1, 2), shared.transpose(-1, -2))
    return found.view(heads, count, number, -1).transpose(0, 1)


def _added(to: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """to + x weight, (B, N, c), for x (B, N, C): `to` (N, c) is the same for all. In one step, which writes it once."""
    import torch

    return torch.baddbmm(to, x, weight.expand(len(x), -1, -1))


def _linear(layer: Any, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    found: Tensor = F.linear(x, layer.weight, layer.bias)
    return found


def _heads(x: Tensor, heads: int) -> Tensor:
    """(…, N, heads c) -> (…, heads, N, c)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-2, -3)


def _together(x: Tensor) -> Tensor:
    """(…, heads, N, c) -> (…, N, heads c)."""
    return x.transpose(-2, -3).flatten(-2)


def _upscaling(layer: Any, dtype: Any) -> tuple[Tensor, Tensor]:
    """A transposed convolution of kernel and stride 2 as a matrix (in, 4 out), and its bias."""
    return layer.weight.permute(0, 2, 3, 1).flatten(1).to(dtype).contiguous(), layer.bias.to(dtype)


def _gathered(x: Tensor, times: int) -> Tensor:
    """(C, 2^times h, 2^times w) -> (4^times h w, C): the finer positions of each coarse one stand together, in the
    order in which so many upscalings write them."""
    channels, height, width = x.shape
    if times == 1:
        x = x.view(channels, height // 2, 2, width // 2, 2).permute(1, 3, 2, 4, 0)
    else:
        x = x.view(channels, height // 4, 2, 2, width // 4, 2, 2).permute(1, 4, 2, 5, 3, 6, 0)
    return x.reshape(-1, channels).contiguous()


def _spread(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, 16 h w), as `_gathered` twice has it -> (B, 4 h, 4 w)."""
    height, width = grid
    return x.view(-1, height, width, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, 4 * height, 4 * width)
