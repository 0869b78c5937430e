"""What is shown of a GRPO run while it runs: a page of completions with their masks.

A page stands alone: its pictures are in it, it runs no script, and asks nothing of any host. What the model wrote is
untrusted; it is shown escaped, as plain text. It knows scored completions, and no trainer.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg import overlay
from think2seg.types import Result
from train.reward_rows import Row
from train.rewards import Scored

LONGEST_SIDE = 512
"""Pixels of a picture on a page."""
LONGEST_TEXT = 6000
"""Characters of a completion on a page."""
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "article{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:1.5rem;border-top:1px solid #ccc;"
    "padding:1.5rem 0}img{width:100%}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f3;"
    "padding:.7rem;max-height:24rem;overflow:auto;font-size:13px}table{border-collapse:collapse}"
    "td{padding:0 1rem 0 0}.why{color:#a11}details{font-size:13px}"
)


def page(step: int, shown: Sequence[tuple[Row, Scored, Result | None]], weights: Mapping[str, float]) -> bytes:
    """The completions of a step as an HTML page in UTF-8; a result of None could not be read."""
    articles = "\n".join(_article(row, scored, result, weights) for row, scored, result in shown)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>Step {step}</title><style>{_STYLE}</style></head><body>\n<h1>Step {step}</h1>\n"
        "<p>The best completion and, where another earned less, the worst, of some questions of the last batch. "
        "Tinted: the masks, with the boxes and points that were sent. Black and white line: the truth.</p>\n"
        f"{articles}\n</body></html>\n"
    ).encode()


def _article(row: Row, scored: Scored, result: Result | None, weights: Mapping[str, float]) -> str:
    parts = "".join(
        f"<tr><td>{name}</td><td>{getattr(scored, name):.3f}</td><td>× {weight:g}</td></tr>"
        for name, weight in weights.items()
    )
    said = "nothing to find" if scored.count.absent else f"{scored.count.truth} true pixels"
    if scored.why is not None:
        found = f'<p class="why">Unreadable. {_plain(scored.why)}</p>'
    elif not scored.prompts:
        found = "<p>Nothing here.</p>"
    else:
        found = f"<p>Instances: {len(scored.prompts)}, in {scored.count.predicted} pixels.</p>"
    return (
        f'<article><div><img alt="The picture with masks and truth" src="{_picture(row, result)}">'
        f"<p>{_plain(row.sample_id)}: {said}; asked as {_plain(row.strategy.name)}</p></div>"
        f"<div><table>{parts}<tr><td><b>total</b></td><td><b>{scored.total:.3f}</b></td></tr></table>{found}"
        f"<pre>{_plain(row.completion.text)}</pre>"
        f"<details><summary>The question</summary><pre>{_plain(row.question)}</pre></details></div></article>"
    )


def _plain(text: str) -> str:
    """Untrusted text for HTML: escaped, cut, and without characters that hide or turn others."""
    cut = text[:LONGEST_TEXT] + (
        f" … ({len(text) - LONGEST_TEXT:,} more characters)" if len(text) > LONGEST_TEXT else ""
    )
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in cut))


def _picture(row: Row, result: Result | None) -> str:
    """The picture with what was found and what is true, as the URL of a JPEG."""
    canvas = row.image.copy() if result is None else overlay.draw(result)
    _outline(canvas, row.truth)
    image = Image.fromarray(canvas)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def _outline(canvas: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
    """Draw the truth's edge on (H, W, 3) `canvas`, black within white, which shows on any ground and on any tint."""
    edges, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    width = max(1, round(max(truth.shape) / 500))
    cv2.drawContours(canvas, edges, -1, (255, 255, 255), 3 * width)
    cv2.drawContours(canvas, edges, -1, (0, 0, 0), width)
