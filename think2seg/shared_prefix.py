"""A batch of texts that begin alike: the language model reads the beginning once.

The completions of a group and the samples of a vote share their whole prompt; the questions of a picture share its
image tokens, which are most of a prompt. Such rows are laid out behind each other in one, the beginning first, and a
mask keeps them apart: every token attends to the beginning and to its own row. What comes out is the stock forward's
but for rounding, with and without gradients; while a text is generated the beginning's keys and values are held once.

It knows a model's text tower and its cache, and neither questions nor pictures.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

COMMON, PADDING = -1, -2
"""Owners of a place that is no row's: the beginning's, and nobody's."""
LEAST = 0.5
"""Rows share their beginning if it is this part of either, at least."""
WIDEST = 2
"""A group is no longer than so many rows of the batch: attention over what hides from each other costs its square."""
WORTH = 0.8
"""A batch is laid out anew if no more than this part of its places is left."""
SEATS = 8
"""Rows of a group, at most: while they are written each looks past the tokens of all others in its group."""
GROWS = 64
"""Tokens a row, for which the keys and values of a text in writing find room before they are moved."""


@dataclass(frozen=True, eq=False)
class Packing:
    """How rows (B, L) lie in groups (n, N): a group's common beginning, then what is left of each of its rows.

    source: (n, N), the place of `rows.flatten()` that comes there. owner: (n, N), the row's seat in its group, or
    COMMON or PADDING. target: (B, L), the place of `groups.flatten()` where each token went; for padding, any.
    seat: (B,), group times the largest group's size, plus the seat. row: (n, size), who sits there; where nobody, any.
    """

    source: Tensor
    owner: Tensor
    target: Tensor
    seat: Tensor
    row: Tensor


def share_prefix(model: Any) -> None:
    """Let the language model read what rows of a batch begin with alike once; the gradients add up.

    For Qwen2.5-VL without sliding windows, with torch's own attention. A batch that gains nothing, and a cache of
    another kind than the default one, go the stock way.
    """
    if model.config.model_type != "qwen2_5_vl":
        return
    tower = model.model.language_model
    if tower.config._attn_implementation not in ("sdpa", "eager") or tower.has_sliding_layers:
        return
    stock = tower.forward

    @functools.wraps(stock)
    def forward(
        input_ids: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Any = None,
        use_cache: Any = None,
        **rest: Any,
    ) -> Any:
        import torch

        held = getattr(past_key_values, "shared", None)
        if held is not None:
            return held.further(stock, inputs_embeds, position_ids, past_key_values, rest)
        given: dict[str, Any] = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
            "past_key_values": past_key_values,
            "inputs_embeds": inputs_embeds,
            "use_cache": use_cache,
        }
        cached = past_key_values is not None or (use_cache is not False and not torch.is_grad_enabled())
        if (
            input_ids is not None
            or inputs_embeds is None
            or min(inputs_embeds.shape[:2]) < 2
            or position_ids is None
            or position_ids.ndim != 3
            or not (attention_mask is None or (hasattr(attention_mask, "ndim") and attention_mask.ndim == 2))
            or (cached and not _takes(past_key_values))
            or any(rest.get(name) for name in ("output_attentions", "output_hidden_states"))
        ):
            return stock(**given, **rest)
        places = position_ids[-3:]  # a fourth in front is for flash attention's packing
        packing = pack(inputs_embeds, places, attention_mask)
        if packing is None:
            return stock(**given, **rest)
        if cached:
            past_key_values = _cache(past_key_values, tower, packing, inputs_embeds.shape[1])
        out = stock(
            inputs_embeds=_picked(inputs_embeds.flatten(0, 1), packing.source),
            position_ids=_picked(places.flatten(1).T, packing.source).permute(2, 0, 1),
            attention_mask={"full_attention": _mask(packing.owner, packing.owner, inputs_embeds, causal=True)},
            past_key_values=past_key_values,
            use_cache=cached,
            **rest,
        )
        out.last_hidden_state = _picked(out.last_hidden_state.flatten(0, 1), packing.target)
        return out

    tower.forward = forward


def pack(embeds: Tensor, places: Tensor, mask: Tensor | None) -> Packing | None:
    """How rows of embeddings (B, L, C) at positions (3, B, L) are laid out; None where it is not worth it.

    mask: (B, L), 1 where a token counts: one stretch a row, with padding before and after it. None: all count.
    """
    import torch

    rows, length, _ = embeds.shape
    device = embeds.device
    spans = _spans(mask, rows, length)
    if spans is None:
        return None
    leaders: list[int] = []
    members: list[list[int]] = []
    shared: list[int] = []
    for i, (start, end) in enumerate(spans):
        for g, leader in enumerate(leaders):
            first, last = spans[leader]
            most = min(end - start, last - first)
            alike = _alike(embeds, places, (i, start), (leader, first), most)
            common = min(shared[g], alike)
            left = sum(spans[m][1] - spans[m][0] - common for m in [*members[g], i])
            fits = len(members[g]) < SEATS and common + left <= WIDEST * length
            if fits and alike >= LEAST * max(end - start, last - first):
                members[g].append(i)
                shared[g] = common
                break
        else:
            leaders.append(i)
            members.append([i])
            shared.append(end - start)
    sizes = [
        common + sum(spans[i][1] - spans[i][0] - common for i in group)
        for common, group in zip(shared, members, strict=True)
    ]
    groups, wide = len(leaders), max(sizes)
    if groups * wide > WORTH * rows * length:
        return None
    source = torch.zeros(groups, wide, dtype=torch.long)
    owner = torch.full((groups, wide), PADDING)
    target = torch.zeros(rows, length, dtype=torch.long)
    most = max(len(group) for group in members)
    seat = torch.zeros(rows, dtype=torch.long)
    row = torch.zeros(groups, most, dtype=torch.long)
    for g, (common, group) in enumerate(zip(shared, members, strict=True)):
        start = spans[leaders[g]][0]
        source[g, :common] = torch.arange(common) + leaders[g] * length + start
        owner[g, :common] = COMMON
        free = common
        for k, i in enumerate(group):
            start, end = spans[i]
            left = end - start - common
            source[g, free : free + left] = torch.arange(left) + i * length + start + common
            owner[g, free : free + left] = k
            target[i, start : start + common] = torch.arange(common) + g * wide
            target[i, start + common : end] = torch.arange(left) + g * wide + free
            seat[i], row[g, k] = g * most + k, i
            free += left
    return Packing(*(one.to(device) for one in (source, owner, target, seat, row)))


def _spans(mask: Tensor | None, rows: int, length: int) -> list[tuple[int, int]] | None:
    """From where to where each row's tokens count; None for a row without any, or with a gap."""
    import torch

    if mask is None:
        return [(0, length)] * rows
    counts = mask.bool()
    start, number = counts.long().argmax(dim=1), counts.sum(dim=1)
    at = torch.arange(length, device=mask.device)
    whole = (at >= start[:, None]) & (at < (start + number)[:, None])
    if not torch.equal(whole, counts) or not bool(number.all()):
        return None
    return [(a, a + n) for a, n in zip(start.tolist(), number.tolist(), strict=True)]


def _alike(embeds: Tensor, places: Tensor, one: tuple[int, int], other: tuple[int, int], most: int) -> int:
    """How many tokens two rows have in common from their beginnings on, of `most`."""
    (i, a), (j, b) = one, other
    for begin, end in ((0, min(64, most)), (min(64, most), most)):  # other pictures differ soon
        same = (embeds[i, a + begin : a + end] == embeds[j, b + begin : b + end]).all(dim=-1)
        same &= (places[:, i, a + begin : a + end] == places[:, j, b + begin : b + end]).all(dim=0)
        if not bool(same.all()):
            return begin + int(same.long().argmin())
    return most


def _picked(flat: Tensor, places: Tensor) -> Tensor:
    return flat.index_select(0, places.flatten()).view(*places.shape, -1)


def _mask(asks: Tensor, owner: Tensor, embeds: Tensor, *, causal: bool) -> Tensor:
    """(n, 1, Q, N), what is added to attention's scores: 0 where a token of one of the seats `asks` (n, Q) may look at
    a place, else minus infinity. In attention's own precision: of truths it would make such numbers in every layer."""
    import torch

    seen = (owner[:, None] == COMMON) | (owner[:, None] == asks[..., None])
    if causal:
        seen &= torch.ones(asks.shape[1], owner.shape[1], dtype=torch.bool, device=owner.device).tril()
    kind = embeds.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else embeds.dtype
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)[:, None]


# --- while a text is written ------------------------------------------------------------------------------------------


def _takes(cache: Any) -> bool:
    """Whether a cache is none yet, or an empty one of the default kind."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return cache is None or (
        type(cache) is DynamicCache
        and all(type(one) is DynamicLayer and not one.is_initialized for one in cache.layers)
    )


def _cache(cache: Any, tower: Any, packing: Packing, length: int) -> Any:
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache(config=tower.config) if cache is None else cache
    cache.shared = _Written(packing, length)
    cache.layers = [_layer(cache.shared) for _ in tower.layers]
    return cache


class _Written:
    """The state of texts in writing: whose each place of the cache is, and how long the rows are by now."""

    def __init__(self, packing: Packing, length: int) -> None:
        self.packing = packing
        self.length = length
        self.owner = packing.owner

    def further(self, stock: Any, embeds: Tensor, positions: Tensor, cache: Any, rest: Any) -> Any:
        """The forward of one more token of each row."""
        import torch

        row, seat = self.packing.row, self.packing.seat
        if embeds is None or embeds.shape[:2] != (len(seat), 1):
            raise RuntimeError("Texts that share their beginning are written a token at a time, all of them together.")
        seats = torch.arange(row.shape[1], device=row.device).expand_as(row)
        self.owner = torch.cat([self.owner, seats], dim=1)
        out = stock(
            inputs_embeds=_picked(embeds[:, 0], row),
            position_ids=_picked(positions[-3:, :, 0].T, row).permute(2, 0, 1),
            attention_mask={"full_attention": _mask(seats, self.owner, embeds, causal=False)},
            past_key_values=cache,
            use_cache=True,
            **rest,
        )
        self.length += 1
        out.last_hidden_state = out.last_hidden_state.flatten(0, 1).index_select(0, seat)[:, None]
        return out


def _layer(written: _Written) -> Any:
    """A layer of the cache that holds groups, and says how long a row is."""
    from transformers.cache_utils import CacheLayerMixin

    class Layer(CacheLayerMixin):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._used = 0

        def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.keys, self.values = self._room(key_states), self._room(value_states)
            self.is_initialized = True

        def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            end = self._used + key_states.shape[2]
            if end > self.keys.shape[2]:
                self.keys, self.values = (self._room(one[:, :, : self._used]) for one in (self.keys, self.values))
            self.keys[:, :, self._used : end], self.values[:, :, self._used : end] = key_states, value_states
            self._used = end
            return self.keys[:, :, :end], self.values[:, :, :end]

        def _room(self, states: Tensor) -> Tensor:
            groups, heads, tokens, size = states.shape
            room = states.new_empty(groups, heads, tokens + GROWS * written.packing.row.shape[1], size)
            room[:, :, :tokens] = states
            return room

        def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
            return written.length + query_length, 0

        def get_seq_length(self) -> int:
            return written.length if self.is_initialized else 0

        def get_max_length(self) -> int:
            return -1

        def reorder_cache(self, beam_idx: Tensor) -> None:
            raise NotImplementedError("Texts that share their beginning cannot change places: use no beams.")

    return Layer()
