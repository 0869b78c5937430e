"""The prompter's back room for streaming: token ids in, text out. It knows a tokenizer and no model."""

from __future__ import annotations

import queue
from typing import Any

CONTEXT = 16
"""Token ids that are spelled again with each new one, at most: a piece's text may hang on the one before it."""


class Spelling:
    """A `generate` streamer: token ids in, text out, each character as soon as it is certain. Linear in the text."""

    def __init__(self, tokenizer: Any, out: queue.Queue[str | None]) -> None:
        self._tokenizer = tokenizer
        self._out = out
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
        self._emit(final=False)

    def end(self) -> None:
        self._emit(final=True)

    def _emit(self, *, final: bool) -> None:
        now = self._decode(self._ids[self._anchor :])
        if len(now) <= len(self._before) or (now.endswith("\ufffd") and not final):
            return
        self._out.put(now[len(self._before) :])
        self._before = now
        if len(self._ids) - self._anchor >= CONTEXT:
            self._anchor = self._spelled
            self._before = self._decode(self._ids[self._anchor :])
        self._spelled = len(self._ids)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
