"""Rows about beginning: an import, a help text, a page that answers; and about the trainer's step."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from bench.measure import Bar, Outcome
from bench.stage import Stage

ROOT = Path(__file__).resolve().parent.parent


def imports(stage: Stage) -> list[Outcome]:
    """CPU seconds of a fresh interpreter that does one thing, Python's own start taken off."""
    bare = _seconds(["-c", "pass"], stage.runs)
    outcomes = []
    for name, arguments, bar in (
        ("import think2seg", ["-c", "import think2seg"], 0.3),
        ("python -m think2seg --help", ["-m", "think2seg", "--help"], 0.5),
    ):
        found = [max(0.0, one - float(np.median(bare))) for one in _seconds(arguments, stage.runs)]
        notes = (f"Python's own start, {float(np.median(bare)):.2f} s, is taken off",)
        outcomes.append(Outcome(name, "–", Bar("at most", bar), tuple(found), unit="CPU s", notes=notes))
    return outcomes


def _seconds(arguments: list[str], runs: int) -> list[float]:
    found = []
    for number in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if number:
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return found


def page(stage: Stage) -> list[Outcome]:
    """Seconds from `app.py` to a page that answers."""
    found = []
    for _ in range(1 if stage.quick else 3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "app.py", "--port", str(port), "--prompter", "nano", "--segmenter", "nano"]
        began = time.perf_counter()
        with tempfile.TemporaryFile() as log:
            app = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"HF_HUB_OFFLINE": "1"})
            try:
                while not _answers(f"http://127.0.0.1:{port}/"):
                    if app.poll() is not None or time.perf_counter() - began > 120:
                        log.seek(0)
                        raise RuntimeError(f"app.py did not answer: {log.read()[-500:].decode(errors='replace')}")
                    time.sleep(0.05)
                found.append(time.perf_counter() - began)
            finally:
                app.terminate()
                app.wait(30)
    return [Outcome("`make demo`, installed: the page answers", "–", Bar("reported"), tuple(found))]


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def grpo_step(stage: Stage) -> list[Outcome]:
    """Seconds of a step of `train/recipes/nano-cpu.yaml`, and what share of it the reward takes."""
    from trl import GRPOConfig

    from train import grpo, policy
    from train.settings import GrpoSettings, read

    steps = 2 if stage.quick else 4
    with tempfile.TemporaryDirectory() as out:
        words = ["--config", str(ROOT / "train/recipes/nano-cpu.yaml"), "--max_steps", str(steps), "--limit", "60"]
        words += ["--output_dir", out, "--report_to", "none", "--save_strategy", "no", "--watch_every", "0"]
        if stage.quick:
            words += ["--limit", "10", "--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1"]
        settings, args, model = read((GrpoSettings, GRPOConfig), words)
        held = policy.load(
            model,
            freeze_vision=settings.freeze_vision,
            share_pictures=settings.share_pictures,
            share_prompts=settings.share_prompts,
        )
        trainer = grpo.build(settings, args, held)
        parts: dict[str, list[float]] = {"generate": [], "reward": [], "whole": []}

        def clocked(name: str, run):  # type: ignore[no-untyped-def]
            def timed(*given, **named):  # type: ignore[no-untyped-def]
                began = time.perf_counter()
                try:
                    return run(*given, **named)
                finally:
                    parts[name].append(time.perf_counter() - began)

            return timed

        trainer._generate = clocked("generate", trainer._generate)
        trainer._calculate_rewards = clocked("reward", trainer._calculate_rewards)
        trainer.training_step = clocked("whole", trainer.training_step)
        trainer.train()
    each = len(parts["whole"]) // steps
    whole = [sum(parts["whole"][k * each : (k + 1) * each]) for k in range(steps)][1:]
    rewards, generated = parts["reward"][1:], parts["generate"][1:]
    update = float(np.median(whole)) - float(np.median(rewards)) - float(np.median(generated))
    notes = (
        f"a step {float(np.median(whole)):.1f} s: generate {float(np.median(generated)):.1f}, reward "
        f"{float(np.median(rewards)):.1f}, update {update:.1f}",
        f"G = {args.num_generations}, {args.generation_batch_size} completions, {'bf16' if args.bf16 else 'fp32'}",
    )
    return [
        Outcome("GRPO step, nano: the reward's share", "the whole step", Bar("at most", 0.15), tuple(rewards),
                tuple(whole), notes=notes)
    ]  # fmt: skip
