"""The prompter's back room for streaming: token ids in, text out. It knows a tokenizer and no model."""

from __future__ import annotations

import queue
from typing import Any


class Spelling:
    """A `generate` streamer: token ids in, text out, each character as soon as it is certain. Linear in the text."""

    def __init__(self, tokenizer: Any, out: queue.Queue[str | None]) -> None:
        self._tokenizer = tokenizer
        self._out = out
        self._ids: list[int] = []
        self._anchor = 0  # ids before it are spelled and only give context
        self._spelled = 0  # ids before it are in the text that was put out
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
        before = self._decode(self._ids[self._anchor : self._spelled])
        now = self._decode(self._ids[self._anchor :])
        if len(now) > len(before) and (final or not now.endswith("\ufffd")):
            self._out.put(now[len(before) :])
            self._anchor = self._spelled
            self._spelled = len(self._ids)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
