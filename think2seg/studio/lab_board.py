"""What the lab shows of a comparison, growing event by event. It knows the comparison's events and the bench, and
neither gradio's outputs nor threads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from think2seg import compare as comparing
from think2seg.compare import Began, Compared, Comparison, Ended, Panel, Place, Thought
from think2seg.consistency import doubt
from think2seg.errors import Think2SegError
from think2seg.images import Picture
from think2seg.strategy import find_strategy
from think2seg.studio.bench import QUIET, Bench, figures
from think2seg.studio.board import OUR_FAULT, Stage, counted, percent
from think2seg.types import Result

MAP = "disagreement"
TRUTH = "truth"


@dataclass(frozen=True, eq=False)
class Shown:
    """Page event: the picture that is compared on, and the question as it was asked."""

    picture: Picture
    question: str


class ComparisonBoard:
    """One comparison on one page. component: the bench, whose cache holds the pictures."""

    def __init__(self, component: Any, strategies: Sequence[str], segmenters: Sequence[str]) -> None:
        self.bench = Bench(component)
        self.stage = "starting"
        self.found: Comparison | None = None
        self.answers: tuple[Result, ...] = ()
        self.error: BaseException | None = None
        self.stale = True
        self._started = time.monotonic()
        self._live: str | None = None
        self._since = self._started
        self._how: dict[str, str] = {}
        sizes = len(segmenters)
        self.bench.columns = {2: 4, 3: 3, 4: 4}.get(sizes, 0)  # sizes of SAM beneath each other
        for name in strategies:
            for size in segmenters:
                self.bench.add(_key(Place(name, size)), f"{find_strategy(name).label} · SAM {size}")

    def take(self, event: comparing.Event | Stage | Shown) -> None:
        """Let `event` change what is shown."""
        if isinstance(event, Stage):
            self.stage = event.words
        elif isinstance(event, Shown):
            self.bench.show(event.picture.pixels)
            self.bench.about, self.stale = f"{event.picture.name}: “{event.question}”", True
        elif isinstance(event, Began):
            self._live, self._since = _key(event.place), time.monotonic()
            how = self._how[self._live] = "asking the model" if event.source is None else came_from(event)
            pane = self.bench.panes[self._live]
            pane.kind, pane.words = "busy", how
            self.stage, self.stale = f"{pane.title}: {how}", True
        elif isinstance(event, Thought):
            self.bench.panes[_key(event.place)].thought += event.delta
        elif isinstance(event, Ended):
            self._end(event.panel)
        elif isinstance(event, Compared):
            self._finish(event)

    def _end(self, panel: Panel) -> None:
        key = _key(panel.place)
        pane = self.bench.panes[key]
        self._live, self.stale = None, True
        pane.kind = panel.status
        if panel.result is not None:
            pane.thought = panel.result.answer.thought
            pane.words = told(panel)
            self.bench.paint(key, panel.result)
        else:
            pane.words = "stopped" if panel.error is None else trouble(panel.error)

    def _finish(self, event: Compared) -> None:
        found = self.found = event.comparison
        self.answers, self.stale = event.answers, True
        self.bench.stop()
        done = [panel for panel in found.panels if panel.result is not None]
        if len(done) > 1:
            split = float((found.disagreement > 0).mean())
            words = f"{percent(split)} of the picture is not the same in all {len(done)} panels"
            self.bench.add(MAP, "where they disagree", kind="map", words=words)
            self.bench.warm(MAP, found.disagreement)
            self.bench.legend = ("where they disagree: none", "evenly split")
        if found.truth is not None and done:
            words = f"the truth, {percent(float(found.truth.mean()))} of the picture"
            self.bench.add(TRUTH, "truth mask", kind="map", words=words)
            self.bench.warm(TRUTH, found.truth.astype("float32"))
        self.bench.table = _table(found)
        names = [self.bench.panes[_key(panel.place)].title for panel in found.panels]
        rows = [
            [names[i], *(None if v != v else f"{v:.3f}" for v in found.agreement[i])]
            for i, panel in enumerate(found.panels)
        ]
        self.bench.pairs = figures(["IoU of", *names], rows, "Pairwise IoU") if len(done) > 1 else None

    def fail(self, error: BaseException) -> None:
        """Let `error` end the comparison; panels that are done stay."""
        self.error, self.stale = error, True
        self.bench.stop()

    def stop(self) -> None:
        """It was stopped, and what it came to will not be told."""
        self.bench.stop()
        self.stage, self.stale = "stopped", True

    @property
    def live(self) -> dict[str, str]:
        """The component's `live`."""
        if self._live is None:
            return QUIET
        pane = self.bench.panes[self._live]
        seconds = f"{time.monotonic() - self._since:.1f} s"
        return {"key": self._live, "words": f"{self._how[self._live]} · {seconds}", "thought": pane.thought}

    @property
    def line(self) -> dict[str, str]:
        """The status component's `said`."""
        if self.error is not None:
            return {"kind": "error", "words": trouble(self.error)}
        kinds = [pane.kind for key, pane in self.bench.panes.items() if key not in (MAP, TRUTH)]
        done = f"{kinds.count('done')} of {len(kinds)} panels done"
        seconds = f"{time.monotonic() - self._started:.1f} s"
        if "stopped" in kinds:
            return {"kind": "stopped", "words": f"stopped: {done}; what is done stays"}
        if self.found is None:
            return {"kind": "busy", "words": f"{self.stage} · {done} · {seconds}"}
        failed = kinds.count("failed")
        kind = "error" if failed == len(kinds) else "done"
        return {"kind": kind, "words": f"{done} in {seconds}" + (f", {failed} failed" if failed else "")}


def told(panel: Panel) -> str:
    """A panel with a result in one line."""
    result = panel.result
    assert result is not None
    height, width = result.query.image.shape[:2]
    objects = "nothing here" if result.nothing_here else counted(len(result.masks))
    share = "" if result.nothing_here else f", {percent((panel.area or 0) / (height * width))} of the picture"
    how = "asked again" if panel.source is None else came_from(panel)
    time_ = f"SAM {panel.segmenter_s or 0:.2f} s"
    if panel.prompter_s is not None:
        time_ = f"model {panel.prompter_s:.1f} s, {time_}"
    words, said_otherwise = f"{objects}{share} · {how} · {time_}", doubt(result)
    return f"{words}. {said_otherwise}" if said_otherwise else words


def came_from(panel: Panel | Began) -> str:
    """Where the prompts of a panel come from that nobody was asked for."""
    if panel.source == panel.place.strategy:
        return "from the answer that was there"
    return f"cut from the answer to “{_label(str(panel.source))}”"


def trouble(error: BaseException) -> str:
    """An error as a sentence for the page."""
    return str(error) if isinstance(error, Think2SegError) else OUR_FAULT


def _table(found: Comparison) -> dict[str, Any]:
    headers = [
        "strategy",
        "SAM",
        "status",
        "model, s",
        "SAM, s",
        "objects",
        "area, px",
        "area, %",
        "mean IoU with others",
    ]
    with_truth = found.truth is not None
    pixels = found.query.image.shape[0] * found.query.image.shape[1]
    rows: list[list[Any]] = []
    for index, panel in enumerate(found.panels):
        agreement, iou = found.mean_agreement(index), found.truth_iou(index)
        area = panel.area
        rows.append([
            _label(panel.place.strategy),
            panel.place.segmenter,
            panel.status,
            None if panel.prompter_s is None else f"{panel.prompter_s:.1f}",
            None if panel.segmenter_s is None else f"{panel.segmenter_s:.2f}",
            None if panel.result is None else len(panel.result.masks),
            None if area is None else f"{area:,}",
            None if area is None else f"{100 * area / pixels:.2f}",
            None if agreement is None else f"{agreement:.3f}",
            *([None if iou is None else f"{iou:.3f}"] if with_truth else []),
        ])  # fmt: skip
    return figures(headers + (["IoU with the truth"] if with_truth else []), rows)


def _label(strategy: str) -> str:
    return find_strategy(strategy).label


def _key(place: Place) -> str:
    return str(place)
