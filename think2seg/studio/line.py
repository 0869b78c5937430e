"""Gradio's queue, read: who runs, who waits, and at which place.

Nothing here changes the queue. It knows gradio's queue and nothing of what the jobs are about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

THINK, SEGMENT, REPLAY, EXPORT = "think", "segment", "replay", "export"
"""The lines that there are, by gradio's `concurrency_id`: each has its own limit on what runs at once."""
LINES = (THINK, SEGMENT, REPLAY, EXPORT)

LOOK_S = 0.3
"""How often somebody who waits is told the place."""


def waiting(queue: Any, line: str) -> list[Any]:
    """Gradio's events that wait in `line`, the next one first."""
    held = queue.event_queue_per_concurrency_id.get(line)
    return [] if held is None else [event for event in list(held.queue) if event.alive]


def running(queue: Any) -> list[Any]:
    """Gradio's events that run now, in all lines."""
    jobs = [event for batch in list(queue.active_jobs) if batch for event in batch]
    return [event for event in jobs if event.alive and event.concurrency_id in LINES]


def jobs(queue: Any) -> list[Any]:
    """Everything that runs or waits."""
    return [*running(queue), *(event for line in LINES for event in waiting(queue, line))]


def place(queue: Any, session: str | None, line: str) -> int | None:
    """The place of this session's first job in `line`, 1 for the next one; None if none of its waits."""
    for number, event in enumerate(waiting(queue, line), start=1):
        if session and event.session_hash == session:
            return number
    return None


async def places(queue: Any, session: str | None, line: str) -> AsyncIterator[int]:
    """The place in `line`, whenever it is another one, until the job begins or is gone."""
    told: int | None = None
    patience = 2  # the job joins a moment after somebody begins to look
    while patience:
        now = place(queue, session, line)
        if now is None:
            patience = patience - 1 if told is None else 0
        elif now != told:
            told = now
            yield now
        if patience:
            await asyncio.sleep(LOOK_S)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
