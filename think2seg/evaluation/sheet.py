"""Some answers of an evaluation as one picture, drawn by chance: neither the best nor the worst.

Which they are, the questions' ids and a seed decide, and no figure: the same on every machine, and for every model that
is asked the same questions. It knows rows and samples.
"""

from __future__ import annotations

import hashlib
import io
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from think2seg.datasets.samples import Sample
from think2seg.evaluation import gallery
from think2seg.evaluation.row import Row

NUMBER, COLUMNS, SEED = 12, 4, 0
INK = {"bad": "#b42318", "good": "#1a7f37", "fair": "#333333"}


def drawn(rows: Sequence[Row], number: int = NUMBER, seed: int = SEED) -> tuple[Row, ...]:
    """`number` of the rows (all, if there are fewer), no picture twice while there are others, by chance: `seed` and
    the ids decide. Of several answers to a question the first is taken."""
    lots = sorted(
        (row for row in rows if row.seed in (None, 0)),
        key=lambda row: hashlib.sha256(f"{seed} {row.id}".encode(errors="replace")).digest(),
    )
    met: set[str] = set()
    again: list[Row] = []
    found: list[Row] = []
    for row in lots:
        (again if row.image_id in met else found).append(row)
        met.add(row.image_id)
    return tuple((found + again)[:number])


def sheet(rows: Sequence[Row], samples: Mapping[str, Sample], *, number: int = NUMBER, seed: int = SEED) -> bytes:
    """A WebP of the answers that `drawn` draws, in rows of four: the picture with the answer's mask, boxes and points
    and the truth's dashed outline, below it the question and how it went. samples: by id.

    Raises what `Sample.load` does, and `DatasetError` for a sample that is missing or not of its row's size.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = drawn(rows, number, seed)
    high = max(1, -(-len(chosen) // COLUMNS))
    figure = Figure(figsize=(3.2 * COLUMNS, 3.75 * high), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(high, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
        panel.set_anchor("NW")
    for panel, row in zip(panels, chosen, strict=False):
        image, truth = gallery.loaded(row, samples)
        panel.imshow(gallery.picture(image, truth, row))
        question = "".join(c if c.isprintable() else " " for c in row.question)
        lines = textwrap.wrap(question, 44, max_lines=2, placeholder=" …") or [""]
        said = gallery.verdict(row)
        score = said if row.count.absent else " · ".join(filter(None, (f"IoU {row.iou:.2f}", said)))
        how = {"va": "top", "fontsize": 9, "parse_math": False, "annotation_clip": False,
               "xycoords": "axes fraction", "textcoords": "offset points"}  # fmt: skip
        panel.annotate(score, (0, 0), (0, -4), weight="bold", color=INK[gallery.kind(row)], **how)
        panel.annotate("\n".join(lines), (0, 0), (0, -17), **how)
    canvas.draw()
    held = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(held, "WEBP", quality=80, method=4)
    return held.getvalue()
