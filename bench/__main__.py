"""Every claim of speed, measured: `python -m bench [--quick] [--device cpu|cuda] [--rows NAME,…] [--out FILE]`.

Each row runs in a process of its own, so that its peak memory is its own, and the rows come one after the other. Quick
rows share one process, since starting it is most of what they would take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import answering, group, page, sam, start
from bench.measure import Outcome, load, machine, peak_mib
from bench.stage import Stage

ROWS: dict[str, Callable[[Stage], list[Outcome]]] = {
    "reward": sam.reward_of_a_group,
    "lab": sam.lab,
    "together": answering.together,
    "first-mask": answering.first_mask,
    "streaming": page.streaming,
    "click": sam.click,
    "painted": page.painted,
    "evaluation": answering.evaluation,
    "imports": start.imports,
    "page": start.page,
    "pace": answering.pace,
    "published": answering.published,
    "memory": answering.memory,
    "group": group.group,
    "grpo": start.grpo_step,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smallest models, one run of each: under two minutes")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--prompter", default="nano", help="whose words are timed: a name or a folder (default: nano)")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which rows (default: all): {', '.join(ROWS)}")
    parser.add_argument("--out", type=Path, default=Path("BENCHMARKS.md"), help="default: BENCHMARKS.md")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # rows of this process: JSON to --out
    options = parser.parse_args(arguments)
    chosen = [name.strip() for name in options.rows.split(",") if name.strip()]
    for name in chosen:
        if name not in ROWS:
            parser.error(f"there is no row called {name!r}; known: {', '.join(ROWS)}")
    stage = Stage(options.device, options.quick, options.prompter)
    if options.here:
        options.out.write_text(json.dumps({name: _row(name, stage) for name in chosen}), encoding="utf-8")
        return 0
    began = time.monotonic()
    found: dict[str, Any] = {}
    for names in [chosen] if options.quick else [[name] for name in chosen]:
        print(f"{', '.join(names)} …", file=sys.stderr, flush=True)
        found |= _apart(names, options)
        for line in (line for name in names for line in found[name].get("outcomes", [])):
            print(f"  {line['name']}: {_figure(line)} (bar {line['bar']})", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - began) / 60
    options.out.write_text(markdown(found, options, minutes), encoding="utf-8")
    print(f"Written: {options.out}, in {minutes:.1f} minutes", file=sys.stderr)
    return 1 if any("error" in one for one in found.values()) else 0


def _row(name: str, stage: Stage) -> dict[str, Any]:
    """What a row found; what it said if it failed."""
    before = load()
    try:
        outcomes = [one.document() for one in ROWS[name](stage)]
    except Exception as error:  # noqa: BLE001 - told on the page; the other rows go on
        traceback.print_exc()
        return {"error": (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]}
    return {"outcomes": outcomes, "memory": peak_mib(stage.device), "weights": stage.said, "load": before,
            "machine": machine(stage.device)}  # fmt: skip


def _apart(names: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Rows in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "bench", "--here", "--rows", ",".join(names), "--out", str(out)]
        command += ["--device", options.device, "--prompter", options.prompter]
        command += ["--quick"] if options.quick else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not out.exists():
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
            return {name: {"error": said} for name in names}
        held: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return held


def _figure(line: dict[str, Any]) -> str:
    unit = "" if line["other"] is not None else f" {line['unit']}"
    return f"{line['ratio']:.3g}{unit} ({line['least']:.3g}–{line['most']:.3g}, {line['runs']} runs)"


def markdown(found: dict[str, Any], options: argparse.Namespace, minutes: float) -> str:
    """The page: a table, and below it what else was found and where a bar fell."""
    said = " ".join(filter(None, ("python -m bench", "--quick" if options.quick else "",
                                  f"--device {options.device}" if options.device != "cpu" else "",
                                  f"--prompter {options.prompter}" if options.prompter != "nano" else "")))  # fmt: skip
    where = next((one["machine"] for one in found.values() if "machine" in one), "?")
    lines = [
        "# Benchmarks",
        "",
        f"Made by `{said}` on {datetime.now(UTC):%Y-%m-%d}, in {minutes:.0f} minutes. Machine: {where}.",
        ("All rows in one process" if options.quick else "Each row alone in a process")
        + "; ratios are of neighbouring runs in turn, median (least–most). “Load” is how many",
        "processes wanted a processor just before: above 0.5 something else was going on."
        + (" A quick run shows that all of it works, and no more." if options.quick else ""),
        "",
        "| `--rows` | what | against | bar | ratio | held | ours | the other | peak MiB | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    notes: list[str] = []
    for name, one in found.items():
        if "error" in one:
            lines.append(f"| `{name}` | did not run: {one['error'].replace('|', '/')} | | | | no | | | | |")
            continue
        for line in one["outcomes"]:
            held = {True: "yes", False: "**no**", None: "–"}[line["held"]]
            other = "–" if line["other"] is None else f"{line['other']:.3g} {line['unit']}"
            peak = f"{one['memory']['peak MiB']:,.0f}"
            lines.append(
                f"| `{name}` | {line['name']} | {line['against']} | {line['bar']} | {_figure(line)} | {held} | "
                f"{line['ours']:.3g} {line['unit']} | {other} | {peak} | {one['load']:.1f} |"
            )
            rates = [f"{key} {value:.3g}" for key, value in line["figures"].items()]
            notes.append(f"- **{line['name']}**: {'; '.join([*line['notes'], *rates])}.")
        gpu = one["memory"].get("peak MiB on the GPU")
        if gpu is not None:
            notes.append(f"- `{name}`: {gpu:,.0f} MiB on the GPU at the most.")
    weights = {key: value for one in found.values() for key, value in one.get("weights", {}).items()}
    notes.append("- Weights: " + ", ".join(f"{key}: {value}" for key, value in sorted(weights.items())) + ".")
    return "\n".join([*lines, "", *notes, ""])


if __name__ == "__main__":
    sys.exit(main())
