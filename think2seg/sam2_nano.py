"""The architecture of the bundled small SAM 2: `build_nano(config)` and `prepare(predictor)`.

It is the `sam2` package's own `SAM2Base` (Hiera, FPN, two-way decoder, no memory), three stages instead of four, with
four changes that let it learn from few masks in hours of one CPU thread:

- a stem of two 3 x 3 convolutions instead of one 7 x 7;
- *drawn prompts*: the prompt encoder also draws the box and the points as maps and adds their embedding to the image
  (the published models know prompts as tokens only), so no `mask_input` is needed to find the place;
- residual 3 x 3 convolutions after each of the decoder's two upscalings;
- a third upscaling (`Sharpen`), as half of what people ask for in aerial images is a few pixels wide.

It gives one mask a prompt: call the stock `SAM2ImagePredictor` with `multimask_output=False`. It does not know where
the weights lie, nor how they were made (`train/nano/segmenter.py`), nor the published sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import TwoWayTransformer
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import LayerNorm2d
from sam2.sam2_image_predictor import SAM2ImagePredictor
from torch import Tensor, nn

STRIDE = 16
"""Input pixels a cell of the image embedding covers, along one side; a mask logit covers an eighth of that."""
_DRAWN = 13  # channels that `DrawnPromptEncoder._draw` makes
_NEGATIVE, _POSITIVE, _CORNER_1, _CORNER_2 = 0, 1, 2, 3  # the labels of `SAM2ImagePredictor`; -1 is padding


class ChannelNorm(LayerNorm2d):  # type: ignore[misc]
    """`LayerNorm2d`, (B, C, H, W), in one fused step; what it gives lies channels last, as convolutions like it."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvStem(nn.Module):
    """(B, 3, H, W) image -> (B, H/4, W/4, C): two 3 x 3 convolutions of stride 2, in place of Hiera's `PatchEmbed`."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, embed_dim // 2, 3, stride=2, padding=1)
        self.norm = ChannelNorm(embed_dim // 2)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(embed_dim // 2, embed_dim, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x.contiguous(memory_format=torch.channels_last))
        x = self.conv2(self.act(self.norm(x)))
        return x.permute(0, 2, 3, 1)


class RefineActivation(nn.Module):
    """GELU, `blocks` residual pairs of 3 x 3 convolutions, and what `sharpen` is, if it is anything; stands where the
    decoder has a bare activation."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.act = nn.GELU()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                ChannelNorm(channels),
                nn.GELU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.sharpen: Sharpen | nn.Identity = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(x)
        for block in self.blocks:
            x = x + block(x)
        x = self.sharpen(x)
        return x


class Sharpen(nn.Module):
    """(B, C, H, W) -> (B, C, 2 H, 2 W): each cell's channels are laid out as four finer ones, and a residual pair of
    3 x 3 convolutions goes over them. As made, it repeats every cell four times and changes nothing else."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.block = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1),
            ChannelNorm(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 3, padding=1),
        )
        with torch.no_grad():
            self.up.weight.copy_(torch.eye(channels)[:, :, None, None].expand(-1, -1, 2, 2))
        for still in (*self.block[-1].parameters(), *(p for name, p in self.up.named_parameters() if name == "bias")):
            nn.init.zeros_(still)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        x = x + self.block(x)
        return x.contiguous()


class DrawnPromptEncoder(PromptEncoder):  # type: ignore[misc]
    """SAM's prompt encoder, which besides the tokens draws box and points into the dense embedding.

    The maps have a quarter of the input's side; a prompt without a box leaves the box's maps at 0.
    """

    def __init__(self, embed_dim: int, image_size: int, hidden_dim: int) -> None:
        cells = image_size // STRIDE
        super().__init__(
            embed_dim=embed_dim,
            image_embedding_size=(cells, cells),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        )
        self.drawing = nn.Sequential(
            nn.Conv2d(_DRAWN, hidden_dim, 2, stride=2),
            ChannelNorm(hidden_dim),
            nn.GELU(),
            nn.Conv2d(hidden_dim, 2 * hidden_dim, 2, stride=2),
            ChannelNorm(2 * hidden_dim),
            nn.GELU(),
            nn.Conv2d(2 * hidden_dim, embed_dim, 1),
        )

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """As SAM's: points ((B, N, 2) xy input pixels, (B, N) labels 0 / 1 / 2 / 3 / -1), boxes (B, 4) xyxy, masks
        (B, 1, side/4, side/4) -> ((B, N', C) tokens, (B, C, side/16, side/16) dense embedding)."""
        sparse, dense = super().forward(points=points, boxes=boxes, masks=masks)
        coords = torch.zeros((sparse.shape[0], 0, 2), device=sparse.device)
        labels = torch.zeros((sparse.shape[0], 0), device=sparse.device)
        if points is not None:
            coords, labels = points[0].float(), points[1].float()
        if boxes is not None:
            corners = boxes.reshape(-1, 2, 2).float()
            corner_labels = torch.tensor([[_CORNER_1, _CORNER_2]], device=boxes.device, dtype=torch.float32)
            coords = torch.cat([coords, corners], dim=1)
            labels = torch.cat([labels, corner_labels.expand(corners.shape[0], -1)], dim=1)
        return sparse, dense + self.drawing(self._draw(coords, labels))

    def _draw(self, coords: Tensor, labels: Tensor) -> Tensor:
        """(B, N, 2) xy input pixels and (B, N) labels -> (B, 13, side/4, side/4), every channel within about +-2."""
        rows, cols = self.mask_input_size
        x = ((torch.arange(cols, device=coords.device) + 0.5) * (self.input_image_size[1] / cols))[None, None, :]
        y = ((torch.arange(rows, device=coords.device) + 0.5) * (self.input_image_size[0] / rows))[None, :, None]
        first = (labels == _CORNER_1).float()[..., None]
        second = (labels == _CORNER_2).float()[..., None]
        has_box = first.sum(1).clamp(max=1)[..., None]  # (B, 1, 1)
        x1, y1 = ((coords * first).sum(1)[:, i, None, None] for i in (0, 1))
        x2, y2 = ((coords * second).sum(1)[:, i, None, None] for i in (0, 1))
        w, h = (x2 - x1).clamp(min=1), (y2 - y1).clamp(min=1)
        edges = [(x - x1) / 16, (x2 - x) / 16, (y - y1) / 16, (y2 - y) / 16]  # signed distances, in 16 input pixels
        shape = (coords.shape[0], rows, cols)
        left, right, top, bottom = (e.expand(shape) for e in edges)
        nearest = torch.minimum(torch.minimum(left, right), torch.minimum(top, bottom))
        u, v = (2 * x - x1 - x2) / w, (2 * y - y1 - y2) / h
        box_maps = [
            (nearest * 4).clamp(-0.5, 0.5) + 0.5,  # the box, filled, with a soft edge
            nearest.clamp(-1, 1),
            *(e.clamp(-1, 1) for e in (left, right, top, bottom)),
            torch.exp(-(u.square() + v.square())).expand(shape),  # an ellipse in the box
            (torch.log(w / 64) / 2).expand(shape),
            (torch.log(h / 64) / 2).expand(shape),
        ]
        drawn = [m * has_box for m in box_maps]
        for label in (_POSITIVE, _NEGATIVE):
            chosen = (labels == label)[..., None, None]
            px, py = coords[..., 0, None, None], coords[..., 1, None, None]
            squared = (x[:, None] - px).square() + (y[:, None] - py).square()
            squared = torch.where(chosen, squared, torch.full_like(squared, 1e9))
            closest = squared.amin(1) if labels.shape[1] else torch.full(shape, 1e9, device=coords.device)
            drawn += [torch.exp(-closest / (2 * 4.0**2)), torch.exp(-closest / (2 * 24.0**2))]
        return torch.stack(drawn, dim=1)


def build_nano(config: Mapping[str, Any]) -> SAM2Base:
    """The model of `assets/nano-segmenter/config.json`, float32, with fresh weights, in training mode.

    Errors: `KeyError` where a number is missing. The caller loads the weights (strictly) and calls `.eval()`.
    """
    size, width = int(config["image_size"]), int(config["fpn"]["d_model"])
    hiera, decoder = config["hiera"], config["decoder"]
    embed_dim, stages = int(hiera["embed_dim"]), tuple(hiera["stages"])
    trunk = Hiera(
        embed_dim=embed_dim,
        num_heads=hiera["num_heads"],
        q_pool=len(stages) - 1,
        stages=stages,
        window_spec=tuple(hiera["window_spec"]),
        global_att_blocks=tuple(hiera["global_att_blocks"]),
        window_pos_embed_bkg_spatial_size=tuple(hiera["window_pos_embed_bkg_spatial_size"]),
    )
    trunk.patch_embed = ConvStem(embed_dim)
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(num_pos_feats=width, normalize=True),
        d_model=width,
        backbone_channel_list=trunk.channel_list,
        fpn_interp_model="nearest",
    )
    model = SAM2Base(
        image_encoder=ImageEncoder(trunk=trunk, neck=neck, scalp=0),
        memory_attention=None,
        memory_encoder=None,
        num_maskmem=0,
        image_size=size,
        backbone_stride=STRIDE,
        use_high_res_features_in_sam=True,
        use_obj_ptrs_in_encoder=False,
        pred_obj_scores=False,
        iou_prediction_use_sigmoid=True,
    )
    model.sam_prompt_encoder = DrawnPromptEncoder(width, size, int(config["prompt"]["hidden_dim"]))
    model.sam_mask_decoder = MaskDecoder(
        num_multimask_outputs=0,
        transformer_dim=width,
        transformer=TwoWayTransformer(
            depth=decoder["depth"],
            embedding_dim=width,
            num_heads=decoder["num_heads"],
            mlp_dim=decoder["mlp_dim"],
        ),
        iou_head_depth=3,
        iou_head_hidden_dim=decoder["iou_head_hidden_dim"],
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
    )
    upscaling = model.sam_mask_decoder.output_upscaling
    upscaling[1] = ChannelNorm(width // 4)
    upscaling[2] = RefineActivation(width // 4, decoder["refine_blocks"])
    upscaling[4] = RefineActivation(width // 8, decoder["refine_blocks"])
    upscaling[4].sharpen = Sharpen(width // 8, decoder["sharpen_dim"])
    return model


def prepare(predictor: SAM2ImagePredictor) -> None:
    """Tell a stock predictor the sizes of a nano model's feature maps (it assumes those of a 1024-pixel model)."""
    side = int(predictor.model.image_size)
    predictor._bb_feat_sizes = [(side // 4, side // 4), (side // 8, side // 8), (side // STRIDE, side // STRIDE)]
