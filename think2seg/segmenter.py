"""Prompts become pixels: a frozen SAM 2 that encodes a picture once and decodes any prompts on it.

The `sam2` package does the work; what is ours is the embedding kept by content, the prompts decoded in one batch, and
a clear word when weights are missing. It does not know questions, answers or where prompts come from. torch is loaded
when a model is, not before.
"""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from think2seg import machine, models, sam2_encoder, weights
from think2seg.errors import ModelError
from think2seg.sam2_decoder import Prepared, SharedDecoder
from think2seg.types import Mask, Prompt

if TYPE_CHECKING:
    import torch

EMBEDDINGS_BYTES = 512 * 1024**2
"""The most that one segmenter keeps in embeddings (about 23 MB an image at 1024 pixels in fp32, 12 MB in bfloat16, 4 MB
for nano)."""
SURE = 8.0
"""Where logits of several looks are averaged they count up to this, either way, so that none outvotes the others."""
_LONGEST_SIDE = 4096
_PROMPTS_A_BATCH = 32


class Segmenter(Protocol):
    """What turns prompts into masks. Safe to call from several threads."""

    name: str
    about: str

    def encode(self, image: NDArray[np.uint8]) -> None:
        """Prepare for prompts on `image`, (H, W, 3) uint8 RGB; does nothing if that was done before."""

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt, in their order, (H, W) bool; prompts are in pixels of `image`."""


class LogitSegmenter(Segmenter, Protocol):
    """A segmenter that also says how sure it is of each place."""

    def logits(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[tuple[NDArray[np.float32], float]]:
        """For each prompt its logits, (h, w) on the model's own grid over the whole of `image`, above 0 inside the
        mask, and a score from 0 to 1."""


class Sam2Segmenter:
    """A SAM 2 of any size. One mask a prompt (`multimask_output=False`, as in the paper).

    model: a `SAM2Base` in eval mode on its device, of any image size. half: run it in bfloat16 autocast.

    Embeddings are kept, least recently used first out, up to `keep_bytes` and by the picture's content and size.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        *,
        about: str = "",
        half: bool = False,
        keep_bytes: int = EMBEDDINGS_BYTES,
    ) -> None:
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        self.name = name
        self.about = about
        self.half = half
        self.encodings = 0
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*")  # the package's own, of no use here
            self._predictor: Any = SAM2ImagePredictor(model)
        self._decoder = _shared_decoder(model, half)
        side = int(model.image_size)  # the predictor's own list is for 1024 pixels
        self._predictor._bb_feat_sizes = [(side // stride, side // stride) for stride in (4, 8, 16)]
        self._keep_bytes = keep_bytes
        self._kept: OrderedDict[tuple[int, int, bytes], tuple[dict[str, Any] | Prepared, int]] = OrderedDict()
        self._lock = threading.RLock()  # the predictor is stateful

    @property
    def kept_bytes(self) -> int:
        """Bytes of embeddings held now."""
        with self._lock:
            return sum(size for _features, size in self._kept.values())

    def encode(self, image: NDArray[np.uint8]) -> None:
        with self._lock:
            self._embedding(image)

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        """One mask a prompt. Raises `ModelError` if memory runs out."""
        found = self.logits(image, prompts)
        return [Mask(upscaled(grid, image.shape[:2]) > 0, score, i) for i, (grid, score) in enumerate(found)]

    def logits(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[tuple[NDArray[np.float32], float]]:
        """Logits and a score a prompt. Prompts with the same number of points share a batch: padding would change the
        masks. Raises `ModelError` if memory runs out."""
        import torch

        if not prompts:
            return []
        alike: dict[tuple[bool, int], list[int]] = {}
        for index, prompt in enumerate(prompts):
            shape = (prompt.box is not None, len(prompt.positive) + len(prompt.negative))
            alike.setdefault(shape, []).append(index)
        decoded: dict[int, tuple[NDArray[np.float32], float]] = {}
        with self._lock, torch.inference_mode(), self._precision():
            embedding = self._embedding(image)
            self._predictor._orig_hw = [image.shape[:2]]
            for indices in alike.values():
                for start in range(0, len(indices), _PROMPTS_A_BATCH):
                    batch = indices[start : start + _PROMPTS_A_BATCH]
                    logits, scores = self._decode(embedding, [prompts[i] for i in batch])
                    for i, grid, score in zip(batch, logits, scores, strict=True):
                        decoded[i] = grid, min(max(float(score), 0.0), 1.0)
        return [decoded[i] for i in range(len(prompts))]

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        if not self.half:
            return nullcontext()
        return torch.autocast(self._predictor.device.type, dtype=torch.bfloat16)

    def _decode(
        self, embedding: dict[str, Any] | Prepared, prompts: Sequence[Prompt]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, h, w) logits on the decoder's own grid and (N,) scores, for prompts of one shape."""
        predictor = self._predictor
        points = np.array([p.positive + p.negative for p in prompts], dtype=np.float32)
        labels = np.array([[1] * len(p.positive) + [0] * len(p.negative) for p in prompts], dtype=np.int32)
        boxes = None if prompts[0].box is None else np.array([p.box for p in prompts], dtype=np.float32)
        has_points = points.ndim == 3 and points.shape[1] > 0
        _none, coords, tags, corners = predictor._prep_prompts(
            points if has_points else None, labels if has_points else None, boxes, None, True
        )
        if self._decoder is not None and isinstance(embedding, Prepared):
            logits, scores = self._decoder(embedding, coords, tags, corners)
            return logits.cpu().numpy(), scores.cpu().numpy()
        predictor._features, predictor._is_image_set = embedding, True
        # The predictor upscales to `_orig_hw` all at once; a 1 x 1 target leaves the grid, upscaled one by one below.
        height_width = predictor._orig_hw
        predictor._orig_hw = [(1, 1)]
        try:
            _masks, scores, low = predictor._predict(coords, tags, corners, multimask_output=False)
        finally:
            predictor._orig_hw = height_width
        return low[:, 0].float().cpu().numpy(), scores[:, 0].float().cpu().numpy()

    def _embedding(self, image: NDArray[np.uint8]) -> dict[str, Any] | Prepared:
        import torch

        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"A picture to encode must be (H, W, 3) uint8; it is {image.shape} {image.dtype}.")
        content = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        key = (image.shape[0], image.shape[1], content)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        try:
            with torch.inference_mode(), self._precision():
                self._predictor.set_image(_no_longer_than(image, _LONGEST_SIDE))
        except torch.cuda.OutOfMemoryError as error:
            raise ModelError(
                f"SAM 2 {self.name!r} ran out of GPU memory on a picture of {image.shape[1]} x {image.shape[0]}. "
                "Choose a smaller size of SAM, or close what else uses the GPU."
            ) from error
        self.encodings += 1
        features: dict[str, Any] = self._predictor._features
        held: dict[str, Any] | Prepared
        if self._decoder is not None:
            with torch.inference_mode():
                held = self._decoder.prepare(features)
            size = held.bytes
        else:
            held = features
            tensors: list[torch.Tensor] = [features["image_embed"], *features["high_res_feats"]]
            size = sum(t.numel() * t.element_size() for t in tensors)
        self._predictor.reset_predictor()  # it would hold the last picture's features besides
        self._kept[key] = (held, size)
        total = sum(bytes_ for _held, bytes_ in self._kept.values())
        while total > self._keep_bytes and len(self._kept) > 1:
            _key, (_held, bytes_) = self._kept.popitem(last=False)
            total -= bytes_
        return held


def _shared_decoder(model: Any, half: bool) -> SharedDecoder | None:
    """Ours for the models that it fits; None for the others, which the package's own decoder serves."""
    import torch

    from think2seg.sam2_decoder import fits

    return SharedDecoder(model, torch.bfloat16 if half else torch.float32) if fits(model) else None


def _no_longer_than(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`image` itself, or shrunk so that no side is over `side` pixels (the encoder sees 1024 at most anyway)."""
    import cv2

    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def upscaled(logits: NDArray[np.float32], height_width: tuple[int, int]) -> NDArray[np.float32]:
    """Logits of `height_width` from the model's own grid, bilinear."""
    import cv2

    height, width = height_width
    full = cv2.resize(np.ascontiguousarray(logits), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, dtype=np.float32)


# --- loading ----------------------------------------------------------------------------------------------------------

_loaded: OrderedDict[tuple[str, str, str], Sam2Segmenter] = OrderedDict()
_loading = threading.Lock()
MOST_LOADED = 3
"""Sizes of SAM held in memory at once by `load`, least recently used first out; the largest takes 0.9 GB."""


def load(name: str = "auto", *, device: str | None = None) -> LogitSegmenter:
    """The segmenter `name` (auto, nano, nano-fine, tiny, small, base-plus, large, or a folder; with `+mirrored` behind
    it to be shown the picture mirrored as well), loaded once and kept.

    Raises `ModelError` if there is none of that name, its weights cannot be had, or they do not fit the architecture.
    """
    if name == "auto":
        entry, reason = weights.choose_segmenter()
    else:
        entry, reason = models.find_segmenter(name), ""
    device = device or weights.best_device()
    machine.processors()  # asked before any thread takes fewer
    if device == "cpu":
        machine.keep_memory()
    if entry.mirrored:
        from think2seg.mirrored import Mirrored

        return Mirrored(
            entry.name, _kept(replace(entry, name=entry.name.removesuffix(models.MIRRORED)), device, reason)
        )
    return _kept(entry, device, reason)


def _kept(entry: models.SegmenterEntry, device: str, reason: str) -> Sam2Segmenter:
    """The model of an entry, loaded if it is not yet."""
    with _loading:
        folder = weights.folder_of(entry)
        key = (entry.name, str(folder / entry.checkpoint), device)
        if key not in _loaded:
            _loaded[key] = _open(entry, folder, device, reason)
            while len(_loaded) > MOST_LOADED:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return _loaded[key]


def _open(entry: models.SegmenterEntry, folder: Path, device: str, reason: str) -> Sam2Segmenter:
    tensors = _tensors(folder / entry.checkpoint)
    if entry.config:
        model = _published(entry.config)
    else:
        from think2seg import sam2_nano

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model = sam2_nano.build_nano(config)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"{folder / entry.checkpoint} does not hold the weights of SAM 2 {entry.name!r}: "
            f"{str(error).splitlines()[-1].strip()[:300]}"
        ) from error
    model = model.float().eval().requires_grad_(False).to(device)
    half = bool(entry.config) and (device.startswith("cuda") or (device == "cpu" and machine.likes_bfloat16()))
    on_cpu = half and device == "cpu"
    sam2_encoder.streamline(model, half=half, products=on_cpu and "amx_bf16" not in machine.cpu_flags())
    precision = "bfloat16" if half else "float32"
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    about = f"SAM 2 {entry.name}, {parameters:.1f} M parameters, on {device}, {precision}. {reason}".strip()
    return Sam2Segmenter(entry.name, model, about=about, half=half)


def _published(config: str) -> Any:
    """A SAM 2.1 of the `sam2` package by its configuration's name, with random weights, on the CPU."""
    from sam2.build_sam import build_sam2

    return build_sam2(config, ckpt_path=None, device="cpu", apply_postprocessing=False)


def _tensors(file: Path) -> dict[str, Any]:
    """The state dict in `file`, read as plain tensors: safetensors, or a `.pt` with `weights_only`."""
    import pickle

    import torch
    from safetensors import SafetensorError

    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{file} cannot be read as weights: {first_line} Fetch the file again.") from error
    tensors = held.get("model", held) if isinstance(held, dict) else None
    if not isinstance(tensors, dict):
        raise ModelError(f"{file} holds no weights: a dictionary of tensors was expected, {type(held).__name__} came.")
    return tensors
