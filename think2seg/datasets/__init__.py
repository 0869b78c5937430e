"""Data sets by name, each a tuple of samples: one question about one picture with its true mask.

`load` reads an index and no pixels. A set's module is imported when it is asked for. It knows no model and no score.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from think2seg.datasets.samples import Sample, chosen, spread
from think2seg.errors import DatasetError

__all__ = ["NAMES", "Sample", "chosen", "load", "spread"]

_MODULES = {
    "earthreason": "earthreason",
    "rrsis-d": "rrsis_d",
    "refsegrs": "refsegrs",
    "risbench": "risbench",
    "manifest": "manifest",
    "scenes": "procedural",
}
NAMES: tuple[str, ...] = tuple(_MODULES)
"""The sets that `load` knows."""


def load(
    name: str, root: Path | None, split: str, *, questions: str = "one", limit: int | None = None
) -> tuple[Sample, ...]:
    """The samples of a set's split, in order of their pictures, every question once.

    root: the set's folder, in its publisher's layout; "scenes" are drawn and take none. questions: "one" or "all" of
    each scene; the other sets give all they have. limit: so many samples (of "scenes": so many scenes), spread evenly
    over the split. `DatasetError` says what is unknown, missing or broken.
    """
    if name not in _MODULES:
        raise DatasetError(f"There is no data set {name!r}. Known are: {', '.join(NAMES)}.")
    if questions not in ("one", "all"):
        raise DatasetError(f'questions must be "one" or "all"; {questions!r} came.')
    if limit is not None and limit < 1:
        raise DatasetError(f"A limit must be 1 or more, or None for the whole split; {limit} came.")
    module: Any = import_module(f"{__name__}.{_MODULES[name]}")
    if split not in module.SPLITS:
        raise DatasetError(f"{name} has no split {split!r}. Known are: {', '.join(module.SPLITS)}.")
    if name == "scenes":
        drawn: tuple[Sample, ...] = module.load(split, questions=questions, limit=limit)
        return drawn
    if root is None:
        raise DatasetError(f"{name} needs its root: the folder that holds the set. Only scenes are drawn without one.")
    if not root.is_dir():
        raise DatasetError(
            f"{root} is no folder, so {name} cannot be read from it. Give the folder that holds the set."
        )
    found: tuple[Sample, ...] = module.load(root, split)
    return spread(found, limit)
