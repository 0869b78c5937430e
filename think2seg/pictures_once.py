"""A batch of questions about few pictures: the vision tower sees each of them once.

The questions of a set often share their picture, the samples of a vote and the completions of a group always do. It
knows a model's vision tower, and neither questions nor pixels.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def see_once(model: Any) -> None:
    """Let the vision tower encode each distinct picture of a batch once; the gradients add up.

    For Qwen2.5-VL; another architecture, whose tower may hand over more than tokens, is left as it is.
    """
    import torch

    if model.config.model_type != "qwen2_5_vl":
        return
    tower = model.model.visual
    encode = tower.forward

    @functools.wraps(encode)
    def shared(hidden_states: torch.Tensor, grid_thw: torch.Tensor, **rest: Any) -> Any:
        patches = [int(n) for n in grid_thw.prod(-1).tolist()]
        pieces = torch.split(hidden_states, patches)
        first: list[int] = []  # indices of distinct pictures
        which: list[int] = []  # of each picture, its place in `first`
        for i, piece in enumerate(pieces):
            same = (
                place
                for place, j in enumerate(first)
                if patches[i] == patches[j] and torch.equal(grid_thw[i], grid_thw[j]) and torch.equal(piece, pieces[j])
            )
            which.append(next(same, len(first)))
            if which[-1] == len(first):
                first.append(i)
        if len(first) == len(pieces):
            return encode(hidden_states, grid_thw=grid_thw, **rest)
        seen = encode(torch.cat([pieces[i] for i in first]), grid_thw=grid_thw[first], **rest)
        tokens = [patches[i] // tower.spatial_merge_size**2 for i in first]
        by_picture = seen.pooler_output.split(tokens)
        seen.pooler_output = torch.cat([by_picture[place] for place in which])
        return seen

    tower.forward = shared
