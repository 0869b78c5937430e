"""How a row of the benchmark is measured: two ways of one thing, in turn, in one process, and what their ratio is.

What drifts (another process, a warm processor) falls on both. Ratios are of neighbouring runs; a row tells their
median, least and most. It does not know what is measured.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Clock = Literal["wall", "cpu"]
Run = Callable[[], Any]


@dataclass(frozen=True)
class Bar:
    """What a ratio is to reach: at least, or at most, `value`; None reports only."""

    side: Literal["at least", "at most", "reported"]
    value: float = 0.0

    def held(self, ratio: float) -> bool | None:
        """Whether `ratio` reaches it; None where nothing is to be reached."""
        if self.side == "reported":
            return None
        return ratio >= self.value if self.side == "at least" else ratio <= self.value

    def __str__(self) -> str:
        signs = {"at least": "≥ ", "at most": "≤ ", "reported": "reported"}
        return signs[self.side] + (f"{self.value:g}" if self.side != "reported" else "")


@dataclass(frozen=True)
class Outcome:
    """One line of the table.

    ours, other: seconds (or what `unit` says) of each run, in turn; other is empty where there is nothing to compare
    with. turned: the ratio is other / ours ("so many times less") instead of ours / other. notes: what else was found,
    deviations first.
    """

    name: str
    against: str
    bar: Bar
    ours: tuple[float, ...]
    other: tuple[float, ...] = ()
    turned: bool = False
    unit: str = "s"
    notes: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Of neighbouring runs; the values themselves where there is nothing to compare with."""
        if not self.other:
            return self.ours
        pairs = zip(self.ours, self.other, strict=True)
        return tuple(b / a if self.turned else a / b for a, b in pairs)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def document(self) -> dict[str, Any]:
        """All of it, for `json.dumps`."""
        return {
            "name": self.name,
            "against": self.against,
            "bar": str(self.bar),
            "held": self.bar.held(self.ratio),
            "ratio": self.ratio,
            "least": min(self.ratios),
            "most": max(self.ratios),
            "runs": len(self.ratios),
            "ours": statistics.median(self.ours),
            "other": statistics.median(self.other) if self.other else None,
            "unit": self.unit,
            "notes": list(self.notes),
            "figures": self.figures,
        }


def paired(
    ours: Run, other: Run, runs: int, clock: Clock = "wall", device: str = "cpu"
) -> tuple[list[float], list[float]]:
    """Seconds of `runs` runs of each, in turn, each first as often as second, after one of each that is not counted."""
    ours()
    other()
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(runs):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            found[which].append(timed((ours, other)[which], clock, device))
    return found


def timed(run: Run, clock: Clock = "wall", device: str = "cpu") -> float:
    """Seconds of one run: on the wall, or of this process on all processors. A GPU is waited for."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    gc.collect()
    _wait(device)
    began = now()
    run()
    _wait(device)
    return now() - began


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def peak_mib(device: str = "cpu") -> dict[str, float]:
    """MiB: the most that this process has held in memory, and on the GPU if that is the device."""
    found = {"peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if device.startswith("cuda"):
        import torch

        found["peak MiB on the GPU"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found


def resident_mib() -> float:
    """MiB that this process holds now; Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def machine(device: str) -> str:
    """The machine in a line: processor, cores, memory, torch, and the GPU where it is the device."""
    import torch

    model, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="ascii", errors="ignore").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
        held = next((line for line in lines if line.startswith("flags")), "").split()
        flags = next((name for name in known if name in held), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    words = [f"{model} ({os.cpu_count()} cores{', ' + flags if flags else ''})", f"{memory:.0f} GiB"]
    words.append(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if device.startswith("cuda"):
        words.append(torch.cuda.get_device_name(device))
    return ", ".join(words)


def load() -> float:
    """How many processes want a processor, over the last minute: what else was going on."""
    return os.getloadavg()[0]


def spread(values: Sequence[float]) -> str:
    """ "1.23 (1.20–1.31)"."""
    return f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})"
