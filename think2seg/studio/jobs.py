"""Long work beside the page: a thread that tells what happens, a heartbeat, and a stop when nobody listens any more.

It knows the page's events and threads; no component, no model.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from think2seg.errors import Think2SegError
from think2seg.studio.board import PageEvent

Tell = Callable[[PageEvent], None]
Work = Callable[[threading.Event, Tell], None]
"""What is done: it is given an event that is set when it shall stop, and a function to tell what happens."""

HEARTBEAT_S = 0.25
"""The longest time between two yields: how late a stop may be seen, and how often the status line ticks."""
UPDATE_S = 0.1
"""The shortest time between two yields."""
PATIENCE_S = 1.5
"""How long something new waits for what it replaces; a heartbeat, and time to send what was yielded."""
DEADLINE_S = 900.0
"""The longest that one job may take, models and all; the prompter has a shorter one of its own."""


class LateError(Think2SegError):
    """A job that took longer than any job may."""


class Job:
    """Work in a thread of its own; `batches` hands over what it tells, with a heartbeat, and stops it when closed.

    The thread sees the caller's context variables. deadline_s: after which the work is told to stop, and given up.
    """

    def __init__(self, work: Work, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._told: queue.Queue[PageEvent | BaseException | None] = queue.Queue()
        self.stop = threading.Event()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._run, work), name="think2seg-studio", daemon=True
        )

    def _run(self, work: Work) -> None:
        try:
            work(self.stop, self._told.put)
            self._told.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the page's thread and raised there
            self._told.put(error)

    def batches(self) -> Iterator[list[PageEvent]]:
        """What was told since the last time, maybe nothing, once each `UPDATE_S` at most. Raises what the work did, and
        `LateError` after the deadline."""
        self._thread.start()
        end = time.monotonic() + self._deadline_s
        over: BaseException | None = None
        running = True
        try:
            while running:
                batch: list[PageEvent] = []
                patience, since = HEARTBEAT_S, time.monotonic()
                while running and patience > 0:
                    try:
                        told = self._told.get(timeout=patience)
                    except queue.Empty:
                        break
                    if told is None or isinstance(told, BaseException):
                        running, over = False, told
                    else:
                        batch.append(told)
                    patience = UPDATE_S - (time.monotonic() - since)
                yield batch
                if running and time.monotonic() > end:
                    raise LateError(
                        f"This took longer than {self._deadline_s:.0f} s and was stopped. Try a smaller picture, a "
                        "smaller model or a shorter question."
                    )
            if over is not None:
                raise over
        finally:
            self.stop.set()


class Sessions:
    """What runs in which browser session, and whether something newer has taken its place there.

    `request` is gradio's, or None outside of a browser.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()
        self._closed = threading.Condition()

    @property
    def running(self) -> int:
        """How much runs now, in all sessions."""
        with self._closed:
            return self._open.total()

    def busy(self, request: Any) -> bool:
        """Whether something runs for this session."""
        with self._closed:
            return _name(request) in self._open

    @contextmanager
    def running_for(self, request: Any) -> Iterator[Callable[[], bool]]:
        """Counts what is inside as running; gives a function that says whether it was replaced by something newer."""
        name = _name(request)
        with self._closed:
            self._open[name] += 1
            turn = self._turns[name]
        try:
            yield lambda: self._turns[name] != turn
        finally:
            with self._closed:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name], self._turns[name]
                self._closed.notify_all()

    def replace(self, request: Any) -> None:
        """What runs for this session no longer matters: it ends at its next heartbeat without a word. Returns then."""
        with self._closed:
            if _name(request) in self._open:
                self._turns[_name(request)] += 1
        self.wait_until_idle(request)

    def wait_until_idle(self, request: Any) -> None:
        """Return when nothing runs for this session, or after `PATIENCE_S`."""
        name = _name(request)
        with self._closed:
            self._closed.wait_for(lambda: name not in self._open, timeout=PATIENCE_S)


def _name(request: Any) -> str:
    return str(getattr(request, "session_hash", None) or "")
