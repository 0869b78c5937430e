"""Watches a GRPO run: its figures in a file, alarms in plain words, and pages of completions with their masks.

`Watch` is a callback of the stock trainer. What it hears of a run are the metrics that TRL logs (the rewards' own among
them, `rewards.figures`) and the last batch's completions, which `Rewards` keeps. It changes nothing in the run, and
knows neither models nor data sets.

`metrics.jsonl` has one line a logging step, `metrics-eval.jsonl` one an evaluation. A resumed run goes on in them: what
lies beyond the step that it resumes at is set aside, and the alarms hear the rest again, in silence, so that they know
how the run began.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from train.curves import read_metrics
from train.rewards import Rewards
from train.watching_page import page

__all__ = ["Alarms", "Limits", "Watch"]

METRICS, EVALUATIONS, ASIDE = "metrics.jsonl", "metrics-eval.jsonl", "metrics-aside.jsonl"
NAMES = {
    "completions/mean_length": "tokens",
    "completions/clipped_ratio": "truncated",
    **{f"rewards/{name}/mean": name for name in ("mask_iou", "readable", "think_answer")},
    **{name: name for name in ("loss", "reward", "reward_std", "kl", "entropy", "grad_norm", "learning_rate", "epoch")},
}
"""What TRL calls a figure, and what it is called in `metrics.jsonl`; `answers/NAME` is called NAME."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """When an alarm sounds. A share is 0-1; a factor is against the run's own start."""

    start: int = 20
    """Logging steps that are the start of a run."""
    window: int = 10
    """Logging steps that are "now" for what hardly scatters: lengths, and shares of groups or completions."""
    slow: int = 30
    """The same for IoU, N-acc and boxes, which hang on the few questions of a step. In a made-up even run of 8
    questions a step, 10 gave seven false alarms in 1,000 steps, 30 gave six in 100,000, and a fall that takes 120 steps
    was still heard half-way down. A fall must also be three times its standard error."""
    zero_spread: float = 0.8
    """Share of groups without spread. Up to a third are questions that are settled, such as "nothing here", and may
    well agree; beyond four in five the gradient of a whole batch hangs on a question or two."""
    length: float = 2.0
    """Factor of the mean length. Thoughts that help grow slowly; doubling is padding, and costs as much as it adds."""
    truncated: float = 0.2
    """Share of completions cut off at the limit: what they would have answered is not in the reward."""
    box_area: float = 1.5
    """Factor of the boxes' area beyond the factor of the masks' IoU: boxes that were too small grow with it. In our own
    mask-only run they inflated where SAM forgave it: box IoU fell from .56 to .42, the masks' IoU rose by a sixth."""
    empty: float = 0.5
    """Share of empty lists where there is a target: a policy that says nothing is not punished for its points."""
    n_acc_fall: float = 0.2
    """In our own mask-only run N-acc fell from .80 to .45, since targets are the majority."""
    parsed: float = 0.98
    """Share that reads from which the format has no more to give, and the reward's growth should be the mask's."""
    iou_fall: float = 0.1
    """Below the best window so far; less is the noise of which questions a window holds."""
    release: float = 0.8
    """An alarm sounds again only after its trouble has sunk to this part of the limit."""


Trouble = tuple[float, str]
"""How bad it is (from 1 on the alarm sounds), and what is then said."""


@dataclass
class Alarms:
    """Hears the lines of a run in their order, and says in a sentence when a pathology begins."""

    limits: Limits = field(default_factory=Limits)
    sounding: set[str] = field(default_factory=set)
    _heard: dict[str, list[float]] = field(default_factory=dict)
    _best_iou: list[float] = field(default_factory=list)  # the best window so far

    def hear(self, line: Line) -> dict[str, str]:
        """The alarms that begin with this line, by name."""
        for name, value in line.items():
            if isinstance(value, int | float):
                self._heard.setdefault(name, []).append(float(value))
        begun = {}
        for alarm in (self._collapse, self._length, self._boxes, self._empty, self._nothing_here, self._format):
            name, (trouble, sentence) = alarm.__name__.strip("_"), alarm()
            if trouble >= 1 and name not in self.sounding:
                self.sounding.add(name)
                begun[name] = sentence
            elif trouble < self.limits.release:
                self.sounding.discard(name)
        return begun

    def _collapse(self) -> Trouble:
        spread, alike = self._now("zero_spread"), self._now("alike")
        return _mean(spread) / self.limits.zero_spread, (
            f"Collapse: {_mean(spread):.0%} of the groups have no spread of reward (in {_mean(alike):.0%} all answers "
            "are the same), so that they teach nothing. Raise the temperature, or ask harder questions."
        )

    def _length(self) -> Trouble:
        unit = "tokens" if self._now("tokens") else "characters"
        before, now = (_mean(values) for values in self._both(unit, self.limits.window))
        cut = _mean(self._now("truncated"))
        longer = now / max(before, 1.0) if before else 0.0
        return max(longer / self.limits.length, cut / self.limits.truncated), (
            f"Length runs away: {now:.0f} {unit} a completion, {before:.0f} at the start; {cut:.0%} are cut off at the "
            "limit before their end. Read the samples; a shorter limit or a reward for the end in tags holds it."
        )

    def _boxes(self) -> Trouble:
        small, large = (statistics.median(v or [0.0]) for v in self._both("box_area", self.limits.slow))
        before, now = (_mean(values) for values in self._both("iou", self.limits.slow))
        grown, better = large / max(small, 1e-9), now / max(before, 1e-9)
        return grown / max(better, 1.0) / self.limits.box_area if small and before else 0.0, (
            f"Boxes inflate: their area is {grown:.1f} times that of the start, the masks' IoU {better:.2f} times. SAM "
            "forgives loose boxes; look at box IoU, and at a segmenter that does not."
        )

    def _empty(self) -> Trouble:
        share = _mean(self._now("empty"))
        return share / self.limits.empty, (
            f"Always empty: {share:.0%} of the completions say “nothing here” where there is a target. Ask fewer "
            "questions without one, or make the cold start longer."
        )

    def _nothing_here(self) -> Trouble:
        before, now = self._both("n_acc", self.limits.slow)
        return _fall(before, now, self.limits.n_acc_fall), (
            f"“Nothing here” dies: N-acc is {_mean(now):.2f}, at the start it was {_mean(before):.2f}. Ask more "
            "questions without a target, or hold the model with a KL term."
        )

    def _format(self) -> Trouble:
        iou, parsed = self._now("iou", self.limits.slow), _mean(self._now("parsed"))
        if iou and _mean(iou) > _mean(self._best_iou or [-1.0]):
            self._best_iou = iou
        fall = _fall(self._best_iou, iou, self.limits.iou_fall) if parsed >= self.limits.parsed else 0.0
        return fall, (
            f"The format is perfect and the masks get worse: {parsed:.0%} can be read, and the IoU is {_mean(iou):.2f} "
            f"after {_mean(self._best_iou):.2f} at its best. Lower the learning rate, or the format's weight."
        )

    def _both(self, name: str, window: int) -> tuple[list[float], list[float]]:
        """The values of the start, and those of now; none until they are different ones."""
        heard = self._heard.get(name, [])
        whole = len(heard) >= self.limits.start + window
        return (heard[: self.limits.start], heard[-window:]) if whole else ([], [])

    def _now(self, name: str, window: int | None = None) -> list[float]:
        """The last values; none until there are enough."""
        heard, window = self._heard.get(name, []), window or self.limits.window
        return heard[-window:] if len(heard) >= window else []


class Watch(TrainerCallback):  # type: ignore[misc]
    """Writes down a run and sounds its alarms.

    rewards: whose last batch is shown; None for no pages. folder: where files go, by default the trainer's output
    folder. every: steps from one page of samples to the next. say: what is done with an alarm's sentence.
    """

    def __init__(
        self,
        rewards: Rewards | None = None,
        folder: Path | str | None = None,
        *,
        every: int = 50,
        limits: Limits | None = None,
        say: Callable[[str], Any] = print,
    ) -> None:
        self.alarms = Alarms(limits or Limits())
        self._rewards = rewards
        self._folder = None if folder is None else Path(folder)
        self._every = every
        self._say = say
        self._written = 0  # the last step in the metrics

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._folder = self._folder or Path(args.output_dir)
        if state.is_world_process_zero:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in (METRICS, EVALUATIONS):
                _set_aside(self._folder / name, state.global_step, self._folder / ASIDE)
            self.alarms = Alarms(self.alarms.limits)
            self._written = 0
            for line in read_metrics(self._folder / METRICS):
                self.alarms.hear(line)
                self._written = line["step"]

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or not logs:
            return
        folder = self._folder or Path(args.output_dir)
        if any(name.startswith("eval_") for name in logs):
            found = _line(state.global_step, {name.removeprefix("eval_"): value for name, value in logs.items()})
            _append(folder / EVALUATIONS, found)
            return
        line = _line(state.global_step, logs)
        if state.global_step <= self._written or "reward" not in line:
            return  # the trainer's summary at the end, which is no step of its own
        begun = self.alarms.hear(line)
        _append(folder / METRICS, line | ({"alarms": begun} if begun else {}))
        self._written = state.global_step
        for sentence in begun.values():
            self._say(f"Step {state.global_step}: {sentence}")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._rewards is None or not state.is_world_process_zero or state.global_step % self._every:
            return
        shown = self._rewards.shown
        path = (self._folder or Path(args.output_dir)) / "samples" / f"step-{state.global_step:06d}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        held = [(row, scored, self._rewards.result(row)) for row, scored in shown]
        path.write_bytes(page(state.global_step, held, self._rewards.weights))


def _line(step: int, logs: dict[str, Any]) -> Line:
    """The figures of a log that are known and finite."""
    line: Line = {"step": step}
    for name, value in logs.items():
        known = NAMES.get(name) or (name.removeprefix("answers/") if name.startswith("answers/") else None)
        if known and isinstance(value, int | float) and math.isfinite(value):
            line[known] = float(f"{value:.7g}")
    return line


def _append(path: Path, line: Line) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _set_aside(path: Path, step: int, aside: Path) -> None:
    """Keep the lines up to `step`; those beyond go to the end of `aside`."""
    lines = read_metrics(path)
    beyond = [line for line in lines if line["step"] > step]
    if path.is_file():
        text = "".join(json.dumps(line) + "\n" for line in lines if line["step"] <= step)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    for line in beyond:
        _append(aside, line)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _fall(before: Sequence[float], now: Sequence[float], limit: float) -> float:
    """How far the mean fell, in parts of `limit`, or of three standard errors of the fall if they are more."""
    if not before or not now:
        return 0.0
    error = math.sqrt(sum(statistics.pvariance(values) / max(len(values) - 1, 1) for values in (before, now)))
    return (_mean(before) - _mean(now)) / max(limit, 3 * error)
