"""ZeroGPU on Hugging Face Spaces: a GPU lent to one call at a time, in a process forked for it.

There the models are loaded here, and every word and every mask is made over there: what goes and what comes is pickled,
an error comes back as a value since only its name would survive, and silence is broken by heartbeats, since a stop is
seen at the next yield. Elsewhere nothing of this is used. It knows prompters, segmenters and how close they look, and
the package `spaces`; no page.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg import prompter, segmenter
from think2seg.errors import ModelError, Think2SegError
from think2seg.prompter import Prompter, Sampling, Writing
from think2seg.pump import Pump
from think2seg.segmenter import Segmenter
from think2seg.strategy import Strategy
from think2seg.types import Mask, Prompt, Query
from think2seg.zoom import named, zoomed

LENT = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a place where a GPU is lent."""
WRITING_S = 90
"""Seconds that a GPU is asked for to write an answer, at most; what was written until then is read."""
FILLING_S = 30
"""The same for masks."""
HEARTBEAT_S = 0.25

_prompters: dict[str, Prompter] = {}
_segmenters: dict[str, Segmenter] = {}


def _lent(seconds: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The package's decorator where a GPU is lent, elsewhere nothing."""
    if not LENT:
        return lambda function: function
    import spaces

    decorator: Callable[[Callable[..., Any]], Callable[..., Any]] = spaces.GPU(duration=seconds)
    return decorator


@_lent(WRITING_S)
def _written(
    name: str, query: Query, strategy: Strategy, seconds: float, sampling: Sampling | None = None
) -> Iterator[Any]:
    """Over there: (frame, dialect) first, then the text in pieces, empty ones where it is silent, or an error."""
    stop = threading.Event()
    told: queue.Queue[tuple[str, Any]] = queue.Queue()
    with contextlib.ExitStack() as at_the_end:
        try:
            end = time.monotonic() + seconds
            writing = _prompters[name].write(query, strategy, stop=stop, deadline=end, sampling=sampling)
            yield writing.frame, writing.dialect
            at_the_end.callback(Pump(writing, told).close)
            at_the_end.callback(stop.set)
            while True:
                try:
                    kind, what = told.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    yield ""
                    continue
                if kind == "end":
                    what.result()
                    return
                yield what
        except Think2SegError as error:
            yield error


@_lent(FILLING_S)
def _filled(name: str, image: NDArray[np.uint8], prompts: list[Prompt]) -> list[Mask] | Think2SegError:
    """Over there: a mask for each prompt, or an error."""
    try:
        return _segmenters[name].segment(image, prompts)
    except Think2SegError as error:
        return error


class LentPrompter:
    """A prompter whose writing is done over there. `held` was loaded here."""

    def __init__(self, name: str, held: Prompter) -> None:
        self.name, self.about = held.name, held.about
        self.tiled = getattr(held, "tiled", False)
        self._known_as = name

    def write(
        self,
        query: Query,
        strategy: Strategy,
        *,
        stop: threading.Event,
        deadline: float | None,
        sampling: Sampling | None = None,
    ) -> Writing:
        seconds = WRITING_S - 5.0
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - time.monotonic()))
        told = _written(self._known_as, query, strategy, seconds, sampling)
        first = next(told)
        if isinstance(first, Think2SegError):
            raise first
        return Writing(first[0], self._pieces(told, stop), first[1])

    @staticmethod
    def _pieces(told: Any, stop: threading.Event) -> Generator[str, None, None]:
        with contextlib.closing(told):
            for piece in told:
                if isinstance(piece, Think2SegError):
                    raise piece
                if stop.is_set():
                    return
                if piece:
                    yield piece


class LentSegmenter:
    """A segmenter that works over there; nothing is encoded ahead, since no call sees what another one kept.

    The visitor's request is part of the context in which it was opened, and goes with every call: the GPU is lent to
    that visitor.
    """

    def __init__(self, name: str, held: Segmenter) -> None:
        self.name, self.about = held.name, held.about
        self._known_as = name
        self._context = contextvars.copy_context()

    def encode(self, image: NDArray[np.uint8]) -> None:
        del image

    def segment(self, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> list[Mask]:
        if not prompts:
            return []
        masks = self._context.copy().run(_filled, self._known_as, image, list(prompts))
        if isinstance(masks, Think2SegError):
            raise masks
        if len(masks) != len(prompts):
            raise ModelError("The GPU that was lent gave back fewer masks than it was asked for. Try again.")
        return list(masks)


def open_prompter(name: str) -> Prompter:
    """The prompter `name`, loaded here and working over there; anywhere else, itself. Raises `ModelError`."""
    held = prompter.load(name)
    if not LENT:
        return held
    _prompters[name] = held
    return LentPrompter(name, held)


def open_segmenter(name: str, zoom: int = 1, /) -> Segmenter:
    """The segmenter `name`, looking as close as `zoom` says, loaded here and working over there; anywhere else, itself.
    Raises `ModelError`, `QueryError`."""
    held = zoomed(segmenter.load(name), zoom)
    if not LENT:
        return held
    known_as = named(name, zoom)
    _segmenters[known_as] = held
    return LentSegmenter(known_as, held)
