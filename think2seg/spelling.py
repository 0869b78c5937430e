"""The prompter's back room for streaming: token ids in, text out. It knows a tokenizer and no model."""

from __future__ import annotations

import queue
import time
from typing import Any

CONTEXT = 16
"""Token ids that are spelled again with each new one, at most: a piece's text may hang on the one before it."""


PAUSE = 0.03
"""Seconds from one piece of text to the next, at least. Whoever waits for a piece wakes up, takes the interpreter's
lock and makes the model wait: a small model that writes 200 tokens a second is not woken after each."""


class Spelling:
    """A `generate` streamer: token ids in, text out, each character once it is certain. Linear in the text.

    pause: seconds from one piece to the next, at least; the end waits for nothing.
    """

    def __init__(self, tokenizer: Any, out: queue.Queue[str | None], *, pause: float = PAUSE) -> None:
        self._tokenizer = tokenizer
        self._out = out
        self._pause = pause
        self._due = 0.0  # of `time.monotonic()`: before it nothing is put out
        self._ids: list[int] = []
        self._anchor = 0  # ids before it are spelled and only give context
        self._spelled = 0  # ids before it are in the text that was put out
        self._before = ""  # the text of those from the anchor on
        self._prompt_skipped = False

    def put(self, value: Any) -> None:
        if not self._prompt_skipped:  # `generate` hands over the prompt first
            self._prompt_skipped = True
            return
        self._ids.extend(int(v) for v in value.reshape(-1).tolist())
        if time.monotonic() >= self._due:
            self._emit(final=False)

    def end(self) -> None:
        self._emit(final=True)

    def _emit(self, *, final: bool) -> None:
        now = self._decode(self._ids[self._anchor :])
        if len(now) <= len(self._before) or (now.endswith("\ufffd") and not final):
            return
        self._out.put(now[len(self._before) :])
        self._due = time.monotonic() + self._pause
        self._before = now
        if len(self._ids) - self._anchor >= CONTEXT:
            self._anchor = self._spelled
            self._before = self._decode(self._ids[self._anchor :])
        self._spelled = len(self._ids)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
