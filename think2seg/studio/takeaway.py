"""Taking a result away: the formats of `export`, written when they are asked for and not before.

It knows gradio, its cache and `export`; nothing of how a result came to be.
"""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from think2seg import weights
from think2seg.errors import QueryError, Think2SegError
from think2seg.export import FORMATS, Revisions, checked_formats, encoded, remark
from think2seg.studio import canvas
from think2seg.studio.board import OUR_FAULT
from think2seg.studio.canvas import keep
from think2seg.studio.hand import Held

_log = logging.getLogger(__name__)

Updates = dict[Any, Any]
CHOSEN = ("geojson", "coco", "geotiff")
"""What is ticked at first: the files that have no button of their own."""


class Takeaway:
    """The tab's parts and their handler, to be made where the tab stands in a `gr.Blocks`."""

    def __init__(self) -> None:
        self.formats = gr.CheckboxGroup(
            [(f"{f.label} · {f.file}", f.name) for f in FORMATS.values()], value=list(CHOSEN), label="Formats",
            elem_id="take-formats",
        )  # fmt: skip
        self.button = gr.Button("Write the files", size="sm", min_width=140, elem_id="take")
        self.said = canvas.status("", elem_id="take-said")
        self.files = gr.File(
            label="Files", file_count="multiple", interactive=False, visible=False, elem_id="take-files"
        )

    def wire(self, held: Any, concurrency: dict[str, Any]) -> None:
        """held: the state of the session's last result. concurrency: whose line this stands in."""
        self.button.click(
            self.write, [held, self.formats], [self.said, self.files],
            show_progress="hidden", api_visibility="private", **concurrency,
        )  # fmt: skip
        held.change(self.forget, None, [self.said, self.files], queue=False, show_progress="hidden",
                    api_visibility="private")  # fmt: skip

    def forget(self) -> Updates:
        """Another result is there: files of the last one are not its."""
        return {
            self.said: gr.update(said={"kind": "idle", "words": ""}),
            self.files: gr.update(value=None, visible=False),
        }

    def write(self, held: Held | None, formats: Any) -> Updates:
        """Write the chosen formats; one that cannot be written is told and costs no other."""
        files, words = [], []
        try:
            if held is None:
                raise QueryError("There is no result to write. Ask about a picture first.")
            if not isinstance(formats, list) or not formats:
                raise QueryError("No format is ticked. Tick one, or several.")
            chosen = checked_formats(str(name) for name in formats)
            revisions = told(held)
        except Think2SegError as error:
            return {
                self.said: gr.update(said={"kind": "error", "words": str(error)}),
                self.files: gr.update(visible=False),
            }
        for name in chosen:
            try:
                data = encoded(held.result, held.picture, name, revisions=revisions)
                files.append(keep(self.files, data, FORMATS[name].file))
                words.append(remark(name, held.picture.georef))
            except Think2SegError as error:
                words.append(f"{FORMATS[name].label}: {error}")
            except Exception as error:  # noqa: BLE001 - a door
                _log.error("A result could not be written as %s", name, exc_info=error)
                words.append(f"{FORMATS[name].label}: {OUR_FAULT}")
        remarks = " ".join(dict.fromkeys(filter(None, words)))
        kind = "done" if len(files) == len(chosen) else "error"
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        return {
            self.said: gr.update(said={"kind": kind, "words": f"{count}. {remarks}".strip()}),
            self.files: gr.update(value=files or None, visible=bool(files)),
        }


def told(held: Held) -> Revisions:
    """Which weights made the result; nothing of a model that did not run here, as where an example was replayed."""
    found = weights.identities(held.result.prompter, held.result.segmenter)
    for role, ran in (("prompter", held.prompter_ran), ("segmenter", held.segmenter_ran)):
        if not ran:
            found[role] = {"name": found[role]["name"], "source": None, "revision": None}
    return found
