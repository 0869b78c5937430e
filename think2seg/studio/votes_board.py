"""What the lab shows of sampled answers: the greedy one, the vote map, and every sample with its thought.

It knows the events of `votes.py` and the bench, and neither gradio's outputs nor threads.
"""

from __future__ import annotations

import time
from typing import Any

from think2seg import votes as voting
from think2seg.comparison import share_of
from think2seg.consistency import doubt
from think2seg.studio.bench import QUIET, Bench, figures
from think2seg.studio.board import Stage, counted, percent
from think2seg.studio.lab_board import Shown, trouble
from think2seg.votes import Answered, Asking, Sample, Thought, Voted, Votes

GREEDY, MAP = "greedy", "votes"
LEGEND = ("no sample", "every sample")


class VotesBoard:
    """The samples of one question. component: the bench, whose cache holds the pictures."""

    def __init__(self, component: Any, number: int) -> None:
        self.bench = Bench(component)
        self.stage = "starting"
        self.found: Votes | None = None
        self.over = False
        self.error: BaseException | None = None
        self.stale = True
        self._number = number
        self._samples: list[Sample] = []
        self._started = self._since = time.monotonic()
        self._live: str | None = None
        self.bench.add(GREEDY, "the answer (greedy)", unfolded=True)
        self.bench.add(MAP, "vote map", words="waiting for samples")
        for index in range(number):
            self.bench.add(_key(index), f"sample {index + 1}", unfolded=True)

    def take(self, event: voting.Event | Stage | Shown) -> None:
        """Let `event` change what is shown."""
        if isinstance(event, Stage):
            self.stage = event.words
        elif isinstance(event, Shown):
            self.bench.show(event.picture.pixels)
            self.bench.about, self.stale = f"{event.picture.name}: “{event.question}”", True
        elif isinstance(event, Asking):
            self._live, self._since = _key(event.number), time.monotonic()
            pane = self.bench.panes[self._live]
            pane.kind, pane.words, self.stale = "busy", "thinking", True
            self.stage = f"asking for {pane.title}"
        elif isinstance(event, Thought):
            self.bench.panes[_key(event.number)].thought += event.delta
        elif isinstance(event, Answered):
            self._answer(event.number, event.sample)
        elif isinstance(event, Voted):
            self._finish(event.votes)

    def _answer(self, number: int | None, sample: Sample) -> None:
        key = _key(number)
        pane = self.bench.panes[key]
        self._live, self.stale, pane.thought = None, True, sample.thought
        if number is not None:
            self._samples.append(sample)
        result = sample.result
        if result is None:
            pane.kind, pane.words = "failed", f"cannot be read: {sample.error}"
        else:
            share = float(result.mask.mean())
            found = f"{counted(len(result.masks))}, {percent(share)} of the picture"
            words, said_otherwise = "nothing here" if result.nothing_here else found, doubt(result)
            pane.kind, pane.words = "done", f"{words}. {said_otherwise}" if said_otherwise else words
            self.bench.paint(key, result)
        if number is not None:
            masks = [s.result.mask for s in self._samples if s.result is not None]
            self.bench.panes[MAP].words = f"share of {len(self._samples)} samples so far"
            self.bench.legend = LEGEND
            self.bench.warm(MAP, share_of(masks, self.bench.size, len(self._samples)))

    def _finish(self, found: Votes | None) -> None:
        self.found, self.over, self.stale = found, True, True
        self.bench.stop()
        if found is None:
            return
        number = len(found.samples)
        pane = self.bench.panes[MAP]
        pane.kind = "map"
        pane.words = f"share of {number} samples whose mask holds the pixel · {tally(found)}"
        self.bench.warm(MAP, found.share)
        rows: list[list[str | None]] = [
            [
                f"object {i}",
                f"{one.found} of {one.samples}",
                percent(one.share),
                percent(one.vote),
            ]
            for i, one in enumerate(found.confidences, start=1)
        ]
        if found.greedy.result is not None and found.greedy.result.nothing_here:
            rows = [["nothing here", f"{found.nothing_here} of {number}", percent(found.nothing_here / number), None]]
        headers = ["in the greedy answer", "found in samples", "confidence", "mean vote in its mask"]
        self.bench.table = figures(headers, rows)

    def fail(self, error: BaseException) -> None:
        """Let `error` end it; what is there stays."""
        self.error, self.stale = error, True
        self.bench.stop()

    def stop(self) -> None:
        """It was stopped, and what it came to will not be told."""
        self.bench.stop()
        self.over = self.stale = True

    @property
    def live(self) -> dict[str, str]:
        """The component's `live`."""
        if self._live is None:
            return QUIET
        seconds = f"{time.monotonic() - self._since:.1f} s"
        return {"key": self._live, "words": f"thinking · {seconds}", "thought": self.bench.panes[self._live].thought}

    @property
    def line(self) -> dict[str, str]:
        """The status component's `said`."""
        if self.error is not None:
            return {"kind": "error", "words": trouble(self.error)}
        seconds = f"{time.monotonic() - self._started:.1f} s"
        done = f"{len(self._samples)} of {self._number} samples"
        if not self.over:
            return {"kind": "busy", "words": f"{self.stage} · {done} · {seconds}"}
        if self.found is None:
            return {"kind": "stopped", "words": f"stopped after {done}: too few for a vote"}
        words = f"{done} in {seconds}: {tally(self.found)}"
        return (
            {"kind": "stopped", "words": f"stopped; {words}"}
            if self.found.stopped
            else {"kind": "done", "words": words}
        )


def tally(found: Votes) -> str:
    """How many samples can be read, and how many of these find nothing."""
    readable = len(found.samples) - found.unreadable
    return f"{readable} readable, {found.unreadable} unreadable, {found.nothing_here} say “nothing here”"


def _key(number: int | None) -> str:
    return GREEDY if number is None else f"sample-{number + 1}"
