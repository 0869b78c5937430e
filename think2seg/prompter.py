"""A picture and a question become text: the vision-language model that thinks and points.

`TransformersPrompter` runs any checkpoint in the hub's layout, streams its text, and stops within a token;
`ReplayPrompter` gives recorded text, for tests and examples. Neither reads the text: that is `answer.py`'s. torch and
transformers are loaded when a model is, not before.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from think2seg import machine, models, weights
from think2seg.dialect import find_dialect, spoken
from think2seg.errors import ModelError
from think2seg.pictures_once import see_once
from think2seg.shared_prefix import share_prefix
from think2seg.spelling import Spelling
from think2seg.strategy import Strategy
from think2seg.types import Completion, Query, Size

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Writing:
    """A completion on its way: the (width, height) frame of its coordinates, its text piece by piece, its dialect, and
    how many of this machine's processors the writing keeps busy.

    Closing `pieces` (or setting the `stop` that the prompter was given) ends the model's work within a token.
    """

    frame: Size
    pieces: Generator[str, None, None]
    dialect: str = models.OUR_DIALECT
    processors: int = 0


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn where it is not greedy: the softmax temperature, and the seed of the draw."""

    temperature: float
    seed: int

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"A sampling temperature must be above 0; it is {self.temperature!r}.")


class Prompter(Protocol):
    """What thinks about a query and writes an answer."""

    name: str
    about: str

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        """Begin a completion, greedy without `sampling`. deadline: seconds of `time.monotonic()` after which it ends
        where it is."""


class BatchPrompter(Prompter, Protocol):
    """A prompter that also writes many completions at once."""

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        """A whole completion for each query, in their order, as one batch; greedy without `sampling`."""


class TransformersPrompter:
    """Any vision-language checkpoint that `AutoModelForImageTextToText` loads, asked in its entry's dialect.

    The frame is the size that the processor really resized the picture to, or 1000 x 1000 for checkpoints that write
    thousandths; which of the two is the registry's word. One completion at a time; a second one waits.
    """

    def __init__(self, entry: models.PrompterEntry, folder: Path, *, device: str, reason: str = "") -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.name = entry.name
        self.tiled = entry.tiled
        self._entry = entry
        dtype = _dtype(device, weights=sum(f.stat().st_size for f in folder.glob("*.safetensors")))
        try:
            self.processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
            self.model: Any = AutoModelForImageTextToText.from_pretrained(
                folder, dtype=dtype, attn_implementation="sdpa", local_files_only=True
            )
            self.model = self.model.eval().requires_grad_(False).to(device)
            see_once(self.model)
            share_prefix(self.model)
        except torch.cuda.OutOfMemoryError as error:
            raise ModelError(
                f"{entry.name!r} does not fit into the GPU's free memory. Close what else uses it, or use 'nano'."
            ) from error
        except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
            first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ModelError(f"{entry.name!r} in {folder} cannot be loaded: {first_line}") from error
        millions = sum(p.numel() for p in self.model.parameters()) / 1e6
        size = f"{millions / 1000:.1f} B" if millions >= 1000 else f"{millions:.1f} M"
        precision = str(dtype).removeprefix("torch.")
        self.about = f"{entry.name}, {size} parameters, on {device}, {precision}. {reason}".strip()
        self._processors = 0
        if device == "cpu":  # token by token a small model's work is too little to share
            self._processors = 1 if dtype == torch.float32 else machine.processors()
        self._busy = threading.Lock()

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        """With `sampling`, the text that `complete` draws for this query alone."""
        inputs = self._inputs([query], strategy)
        (frame,) = self._frames(inputs, 1)
        pieces = self._pieces(inputs, stop, deadline, sampling)
        return Writing(frame, pieces, self._entry.dialect, self._processors)

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        """A whole completion for each query, as one batch padded on the left; greedy without `sampling`.

        What is drawn depends on the sampling's seed and the batch alone; torch's global random state is left as it
        was. Raises `ModelError` if memory runs out.
        """
        import torch

        if not queries:
            return []
        inputs = self._inputs(queries, strategy)
        frames = self._frames(inputs, len(queries))
        try:
            with self._busy, self._drawing(sampling):
                written = self.model.generate(**inputs, **self._settings(sampling))
        except torch.cuda.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name!r} ran out of GPU memory on a batch of {len(queries)}. Take a smaller batch, or close "
                "what else uses the GPU."
            ) from error
        texts = self.processor.tokenizer.batch_decode(
            written[:, inputs["input_ids"].shape[1] :],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return [Completion(text, frame, self._entry.dialect) for text, frame in zip(texts, frames, strict=True)]

    @contextmanager
    def _drawing(self, sampling: Sampling | None) -> Iterator[None]:
        """Draws by the sampling's seed, and leaves torch's global random state as it was; nothing learns from it."""
        import torch

        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            if sampling is not None:
                torch.manual_seed(sampling.seed)
            yield

    def _settings(self, sampling: Sampling | None) -> dict[str, Any]:
        """What is asked of every generation, whatever the checkpoint's own generation configuration says."""
        common = {"max_new_tokens": self._entry.max_new_tokens, "repetition_penalty": 1.0}
        if sampling is None:
            return common | {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return common | {"do_sample": True, "temperature": sampling.temperature, "top_p": 1.0, "top_k": 0}

    def _inputs(self, queries: Sequence[Query], strategy: Strategy) -> Any:
        texts, pictures = [], []
        asks = find_dialect(self._entry.dialect)
        for query in queries:
            picture = Image.fromarray(query.image)
            if self._entry.resize is not None:
                picture = picture.resize(self._entry.resize, Image.Resampling.LANCZOS)
            chat = asks.messages(query.question, strategy)
            texts.append(self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
            pictures.append(picture)
        made = self.processor(text=texts, images=pictures, return_tensors="pt", padding=True, padding_side="left")
        return made.to(self.model.device)

    def _frames(self, inputs: Any, number: int) -> list[Size]:
        if self._entry.coordinates == "thousandths":
            return [(1000, 1000)] * number
        if "image_grid_thw" not in inputs:
            raise ModelError(
                f"{self.name!r} does not say what size it resized the picture to (its processor gives no "
                f"image_grid_thw). If it writes 0-1000, put {models.SIDECAR} beside it with "
                '{"coordinates": "thousandths"}.'
            )
        patch = int(self.processor.image_processor.patch_size)
        return [
            (int(columns) * patch, int(rows) * patch) for _frames, rows, columns in inputs["image_grid_thw"].tolist()
        ]

    def _pieces(
        self, inputs: Any, stop: threading.Event, deadline: float | None, sampling: Sampling | None
    ) -> Generator[str, None, None]:
        """The text as it is generated, in a thread of its own, so that the reader never delays the model."""
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        class Told(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_kwargs: Any) -> torch.Tensor:
                over = stop.is_set() or closed.is_set() or (deadline is not None and time.monotonic() > deadline)
                return torch.full((input_ids.shape[0],), over, dtype=torch.bool, device=input_ids.device)

        closed = threading.Event()
        pieces: queue.Queue[str | None] = queue.Queue()
        spelling = Spelling(self.processor.tokenizer, pieces)

        def work() -> None:
            machine.compute_on(self._processors or machine.processors())
            try:
                with self._busy, self._drawing(sampling):
                    if not (stop.is_set() or closed.is_set()):
                        self.model.generate(
                            **inputs,
                            **self._settings(sampling),
                            streamer=spelling,
                            stopping_criteria=StoppingCriteriaList([Told()]),
                        )
            except torch.cuda.OutOfMemoryError as error:
                message = f"{self.name!r} ran out of GPU memory while thinking. Close what else uses the GPU."
                raise ModelError(message) from error
            finally:
                pieces.put(None)

        with ThreadPoolExecutor(1, thread_name_prefix=f"think2seg-{self.name}") as thread:
            writing = thread.submit(work)
            try:
                while (piece := pieces.get()) is not None:
                    yield piece
                writing.result()
            finally:
                closed.set()


def _dtype(device: str, *, weights: int) -> torch.dtype:
    """bfloat16 on a GPU that has it, else float16; on a CPU float32, or bfloat16 from 200 MB of `weights` on."""
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float32 if weights < 200 * 1024**2 else torch.bfloat16


class ReplayPrompter:
    """Recorded text instead of a model: one completion for every query, in pieces of a few characters.

    seconds: the time the whole text takes, spread evenly over its pieces. fail: raised after the text, if given.
    """

    about = "Recorded text; no model runs."

    def __init__(
        self,
        text: str,
        frame: Size,
        *,
        name: str = "replay",
        seconds: float = 0.0,
        piece: int = 4,
        fail: Exception | None = None,
    ) -> None:
        self.name = name
        self._text = text
        self._frame = frame
        self._seconds = seconds
        self._piece = piece
        self._fail = fail

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        del query, strategy, sampling
        return Writing(self._frame, self._pieces(stop, deadline))

    def complete(
        self, queries: Sequence[Query], strategy: Strategy, *, sampling: Sampling | None = None
    ) -> list[Completion]:
        del strategy, sampling
        if self._fail is not None:
            raise self._fail
        return [Completion(self._text, self._frame) for _query in queries]

    def _pieces(self, stop: threading.Event, deadline: float | None) -> Generator[str, None, None]:
        starts = range(0, len(self._text), self._piece)
        pause = self._seconds / max(1, len(starts))
        for start in starts:
            if stop.wait(pause) if pause else stop.is_set():
                return
            if deadline is not None and time.monotonic() > deadline:
                return
            yield self._text[start : start + self._piece]
        if self._fail is not None:
            raise self._fail


# --- loading ----------------------------------------------------------------------------------------------------------

_loaded: dict[tuple[str, str, str], TransformersPrompter] = {}
_loading = threading.Lock()


def load(name: str = "auto", *, device: str | None = None, dialect: str | None = None) -> TransformersPrompter:
    """The prompter `name` (auto, a registry name, or a local folder in the hub's layout), loaded once and kept.

    dialect: in whose words it is asked and read, None for its entry's own. One large model is held at a time: loading
    a second one lets go of the first. Raises `ModelError` if there is none of that name, its weights cannot be had, or
    they do not load; `QueryError` for an unknown dialect.
    """
    if name == "auto":
        entry, reason = weights.choose_prompter()
    else:
        entry, reason = models.find_prompter(name), ""
    entry = spoken(entry, dialect)
    device = device or weights.best_device()
    if device == "cpu":
        machine.keep_memory()
    with _loading:
        folder = weights.folder_of(entry)
        key = (str(folder), device, entry.dialect)
        if key not in _loaded:
            for other, held in list(_loaded.items()):
                if held._entry.needs and entry.needs:
                    del _loaded[other]
            _loaded[key] = TransformersPrompter(entry, folder, device=device, reason=reason)
        return _loaded[key]
