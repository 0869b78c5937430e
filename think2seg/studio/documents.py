"""Results as the plain JSON that programs and agents get; what comes back from them is read in `intake.py`."""

from __future__ import annotations

from typing import Any

from think2seg import record
from think2seg.compare import Panel
from think2seg.images import Picture
from think2seg.types import Result

Document = dict[str, Any]


def plain_document(result: Result, picture: Picture) -> Document:
    """The document of `record.py`, but for the picture's name: clients take an object with a `path` for a file."""
    held = record.document(result, picture.name)
    return held | {"image": {"name": picture.name, "width": held["image"]["width"], "height": held["image"]["height"]}}


def plain_panel(panel: Panel, picture: Picture) -> Document:
    """A panel of a comparison; its document and error are null where there is none."""
    return {
        "strategy": panel.place.strategy,
        "segmenter": panel.place.segmenter if panel.result is None else panel.result.segmenter,
        "asked_again": panel.source is None,
        "area_px": panel.area,
        "prompter_s": None if panel.prompter_s is None else round(panel.prompter_s, 3),
        "segmenter_s": None if panel.segmenter_s is None else round(panel.segmenter_s, 3),
        "document": None if panel.result is None else plain_document(panel.result, picture),
        "error": None if panel.error is None else str(panel.error),
    }
