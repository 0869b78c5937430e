"""Who has the model, who waits for it and at which place; and gradio's own queue, read.

There is one model, so its jobs stand in a `Line` of ours: gradio lets them all in, and each tells its place in its own
stream until its turn comes. Short jobs wait in gradio's queue. It knows threads and gradio's queue, and nothing of what
the jobs are about.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

THINK, SEGMENT, REPLAY, EXPORT = "think", "segment", "replay", "export"
"""The kinds of jobs, by gradio's `concurrency_id`."""
KINDS = (THINK, SEGMENT, REPLAY, EXPORT)

LOOK_S = 0.2
"""How often somebody who waits looks whether the wait is off."""


class Gone(Exception):  # noqa: N818 - no error: nobody waits any more
    """The wait was off before the turn came."""


class Line:
    """First come, first served, one at a time."""

    def __init__(self) -> None:
        self._tickets: deque[object] = deque()
        self._moved = threading.Condition()

    def __len__(self) -> int:
        """How many there are, the one whose turn it is included."""
        return len(self._tickets)

    @contextmanager
    def turn(self, stop: threading.Event, tell: Callable[[int], None]) -> Iterator[None]:
        """Wait for one's turn, and have it until the end of the block.

        tell: called with the place, 1 for the next one, whenever it changes. Raises `Gone` if `stop` is set meanwhile.
        """
        ticket, told = object(), 0
        with self._moved:
            self._tickets.append(ticket)
        try:
            with self._moved:
                while (place := self._tickets.index(ticket)) > 0:
                    if stop.is_set():
                        raise Gone
                    if place != told:
                        told = place
                        tell(place)
                    self._moved.wait(LOOK_S)
            yield
        finally:
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()


def jobs(queue: Any) -> list[Any]:
    """Gradio's events that are under way, let in or not, of all kinds."""
    let_in = [event for batch in list(queue.active_jobs) if batch for event in batch]
    outside = [
        event for kind in KINDS if (held := queue.event_queue_per_concurrency_id.get(kind)) for event in held.queue
    ]
    return [event for event in (*let_in, *outside) if event.alive and event.concurrency_id in KINDS]


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
