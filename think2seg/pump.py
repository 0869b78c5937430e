"""The pipeline's back room for threads: what a prompter writes goes into a queue, so that masks wait for no word.

It knows pieces of text and a queue, and nothing of what they mean.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from think2seg.prompter import Writing


class Pump:
    """Moves a writing's pieces into a queue from a thread of its own, so that masks need not wait for words."""

    def __init__(self, writing: Writing, out: queue.Queue[tuple[str, Any]]) -> None:
        self._writing = writing
        self._out = out
        self._closed = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="think2seg-pump")
        self._thread.submit(self._work).add_done_callback(lambda done: out.put(("end", done)))

    def _work(self) -> None:
        with closing(self._writing.pieces) as pieces:
            for piece in pieces:
                self._out.put(("piece", piece))
                if self._closed.is_set():
                    break

    def close(self) -> None:
        """End the writing after its next piece at the latest, and wait for it."""
        self._closed.set()
        self._thread.shutdown(wait=True)
