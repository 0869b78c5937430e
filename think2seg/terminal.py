"""The command line's back room for words: what a terminal is told, and where files may go. It knows no model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from think2seg.errors import QueryError


def plain(text: str) -> str:
    """Model text for a terminal: no control characters, which could move the cursor or worse."""
    return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(text: str, end: str = "\n") -> None:
    """Tell the person at the terminal; stdout is for results."""
    sys.stderr.write(plain(text) + end)


def check_writable(folder: Path) -> None:
    """Make the folder of --out. Raises `QueryError` if that cannot be, or nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        why = getattr(error, "strerror", None) or error
        raise QueryError(f"--out {folder} cannot be made a folder: {why}. Give another one.") from error
    if not os.access(folder, os.W_OK):
        raise QueryError(f"--out {folder} cannot be written to. Give another folder.")
