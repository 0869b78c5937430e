"""What exactly was evaluated: the code's commit and the questions (the weights: `weights.identity`). No path of a
machine is in it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import think2seg
from think2seg.datasets.samples import Sample


def commit() -> str:
    """The commit of the code that runs, with "+changes" if the checkout differs from it; outside one, the version."""
    root = Path(think2seg.__file__).resolve().parent.parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if Path(git("rev-parse", "--show-toplevel") or "/nowhere") != root:
            return f"version {think2seg.__version__}"
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", "think2seg") else "")
    except OSError:  # no git here
        return f"version {think2seg.__version__}"


def digest(samples: Sequence[Sample]) -> str:
    """Sixteen hexadecimal digits that change with any question, its id, or their order."""
    text = "\n".join(f"{sample.id}\t{sample.question}" for sample in samples)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
