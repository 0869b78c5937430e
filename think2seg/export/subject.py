"""What is written out, and the words that travel with it: one flat list of attributes, the same in every format.

It knows results, georeferences and names of models; no format and no files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import think2seg
from think2seg import record
from think2seg.geo import Georef
from think2seg.types import Result

Revisions = Mapping[str, Mapping[str, str | None]]
"""Under `prompter` and `segmenter`: `name`, `source` and `revision` of the weights, as `weights.identities` says."""

IN_PIXELS = (
    "pixels of the source image: x to the right, y down, (0, 0) the outer corner of the top-left pixel; not longitude "
    "and latitude, since the image has no georeference"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, eq=False)
class Subject:
    """A result on its way out: the path or name of its image, where that lies, and which weights made it.

    revisions: None where they were not recorded; a model whose name is not the result's counts as not recorded.
    """

    result: Result
    image: str
    georef: Georef | None
    revisions: Revisions | None = None

    @cached_property
    def common(self) -> dict[str, Any]:
        """What holds for all instances: text, numbers and None. Of the image its name, and no folder of a machine."""
        result = self.result
        width, height = result.query.size
        return {
            "question": result.query.question,
            "thought": result.answer.thought,
            "instances": len(result.masks),
            "image": Path(self.image).name,
            "width": width,
            "height": height,
            "strategy": result.strategy,
            **self._model("prompter", result.prompter),
            **self._model("segmenter", result.segmenter),
            "software": f"Think2Seg {think2seg.__version__}",
        }

    @cached_property
    def each(self) -> list[dict[str, Any]]:
        """What holds for one instance: its number from 1, score, areas, and the prompt that was sent, in source pixels.

        `area_m2` is None without a georeference, and in systems whose units are not known to be on the ground. Raises
        `GeoError` where the georeference cannot be used.
        """
        return [
            {
                "instance": i + 1,
                "score": round(mask.score, 4),
                "area_px": mask.area,
                "area_m2": self._area_m2(i),
                **record.prompt_document(sent),
            }
            for i, (sent, mask) in enumerate(zip(self.result.sent, self.result.masks, strict=True))
        ]

    @property
    def spoken(self) -> str:
        """All attributes as one line of JSON in ASCII, for formats that take a string and little else."""
        held = {**self.common, "georeferenced": self.georef is not None, "objects": self.each}
        return json.dumps(held, allow_nan=False)

    def identity(self, role: str) -> dict[str, str | None]:
        """`name`, `source` and `revision` of the result's `prompter` or `segmenter`; after a comma the name says how
        the model was asked, if otherwise than plainly."""
        name = getattr(self.result, role)
        known = (self.revisions or {}).get(role) or {}
        if not f"{name}, ".startswith(f"{known.get('name')}, "):
            return {"name": name, "source": None, "revision": None}
        return {"name": name, "source": known.get("source"), "revision": known.get("revision")}

    def _model(self, role: str, name: str) -> dict[str, str | None]:
        identity = self.identity(role)
        return {role: name, f"{role}_source": identity["source"], f"{role}_revision": identity["revision"]}

    def _area_m2(self, i: int) -> float | None:
        if self.georef is None:
            return None
        mask = self.result.masks[i]
        rows, columns = mask.window
        area = self.georef.area_m2(mask.pixels[mask.window], (columns.start, rows.start))
        return None if area is None else float(f"{area:.10g}")


def json_file(held: Any, *, indent: int | None = None) -> bytes:
    """`held` as a UTF-8 file of JSON.

    Any text comes out as it went in, but for halves of surrogate pairs (which a terminal makes of bytes that are not
    UTF-8): no UTF-8 file can hold them, so that each becomes U+FFFD.
    """
    text = json.dumps(held, ensure_ascii=False, allow_nan=False, indent=indent)
    return (_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text) + "\n").encode()


def c_string(text: str) -> str:
    """`text` for formats whose strings end at a NUL: it becomes ␀, and halves of surrogate pairs U+FFFD."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text).replace("\0", "\N{SYMBOL FOR NULL}")
