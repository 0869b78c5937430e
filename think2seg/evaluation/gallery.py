"""The cases of a report that one looks at: which are shown, drawn as pictures, and as HTML.

Whatever a model, a data set or a person wrote is untrusted, and reaches the page through `text` alone. It knows rows
and samples; it computes no figure.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg import overlay
from think2seg.datasets.samples import Sample
from think2seg.errors import DatasetError
from think2seg.evaluation.row import Row

SIDE = 384
"""Pixels of a picture's longest side; what is larger is shown smaller."""
SHORT = 400
"""Characters of a thought that are shown at once."""
ANSWER, TRUTH, GAP = (230, 159, 0), (255, 255, 255), (170, 0, 110)
"""RGB: the answer's tint and outline; the truth's dashes, and what shows between them."""
_QUALITY = 80
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_KEPT = "\n\r\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_Key = Callable[[Row, Counter[str], Counter[str]], tuple[Any, ...]]


def text(value: object) -> str:
    """`value` as text in HTML, in quotes too. What would steer the page (controls, bidi marks) becomes "�"."""
    shown = ("�" if unicodedata.category(c) in _STEERING and c not in _KEPT else c for c in str(value))
    return html.escape("".join(shown))


@dataclass(frozen=True)
class Cases:
    """How many are shown, at most: of the lowest and highest IoU with a target, and of those without one."""

    worst: int = 12
    best: int = 12
    absent: int = 8


def verdict(row: Row) -> str:
    """In two words, how the answer went; "" for a mask that is right in some pixel."""
    if not row.count.readable:
        return "unreadable"
    if row.count.absent:
        return "false alarm" if row.count.predicted else "rightly empty"
    if not row.count.predicted:
        return "empty mask" if row.text is None or row.prompts else "nothing here"
    return "" if row.count.intersection else "wrong place"


def choose(rows: Sequence[Row], cases: Cases) -> tuple[tuple[Row, ...], tuple[Row, ...], tuple[Row, ...]]:
    """The worst, the best, and those without a target; no row twice, the same for any order of the rows.

    The worst have the lowest IoU; among equal ones causes take turns, then pictures. The best have the highest IoU, but
    no more than two are of one picture while there are others. Of those without a target false alarms come first, from
    the largest share of the picture, then unreadable answers, then right ones, of which two are kept a place if there
    are as many.
    """
    present = [row for row in rows if not row.count.absent]
    right = [row for row in rows if row.count.rightly_empty]
    wrong = [row for row in rows if row.count.absent and not row.count.rightly_empty]
    worst = _pick(present, min(cases.worst, (len(present) + 1) // 2), lambda r, causes, images: (
        r.iou, causes[verdict(r)], images[r.image_id],
    ))  # fmt: skip
    taken = {(row.id, row.seed) for row in worst}
    others = [row for row in present if (row.id, row.seed) not in taken]
    best = _pick(others, cases.best, lambda r, _causes, images: (images[r.image_id] // 2, -r.iou))
    alarms = _pick(wrong, cases.absent - min(2, len(right), cases.absent), lambda r, _causes, images: (
        not r.count.readable, images[r.image_id], -r.count.predicted / (r.size[0] * r.size[1]),
    ))  # fmt: skip
    quiet = _pick(right, cases.absent - len(alarms), lambda r, _causes, images: (images[r.image_id],))
    return worst, tuple(sorted(best, key=lambda r: -r.iou)), alarms + quiet


def _pick(rows: Sequence[Row], limit: int, key: _Key) -> tuple[Row, ...]:
    """Of the rows `limit`, one by one: each time the least by `key(row, verdicts so far, pictures so far)`; a digest
    of the id decides between equals, so that they come from all over the set."""
    left = sorted(rows, key=lambda r: (hashlib.sha256(f"{r.id} {r.seed}".encode(errors="replace")).digest(), r.id))
    causes: Counter[str] = Counter()
    images: Counter[str] = Counter()
    picked: list[Row] = []
    while left and len(picked) < limit:
        row = min(left, key=lambda r: key(r, causes, images))
        left.remove(row)
        picked.append(row)
        causes[verdict(row)] += 1
        images[row.image_id] += 1
    return tuple(picked)


def picture(image: NDArray[np.uint8], truth: NDArray[np.bool_], row: Row) -> NDArray[np.uint8]:
    """The case drawn, (h, w, 3) uint8 RGB, at most `SIDE` pixels a side: the answer's mask tinted, with its outline,
    boxes and points, and the truth's outline in dashes. image, truth: at the picture's own size."""
    scale = min(1.0, SIDE / max(row.size))
    size = (max(1, round(row.size[0] * scale)), max(1, round(row.size[1] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    answer, true = _shrunk(row.prediction, size), _shrunk(truth, size)
    canvas = small.copy()
    overlay.tint(canvas, small, answer, ANSWER, 0.4)
    prompts = [prompt.moved(row.size, size) for prompt in row.prompts]
    for i, prompt in enumerate(prompts):
        overlay.draw_box(canvas, prompt, i)
    cv2.drawContours(canvas, _outlines(answer), -1, ANSWER, 1)
    outlines = _outlines(cv2.dilate(true.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)  # around it, not on it
    cv2.drawContours(canvas, outlines, -1, GAP, 3)
    for outline in outlines:
        for start in range(0, len(outline), 9):
            cv2.polylines(canvas, [outline[start : start + 5]], False, TRUTH, 2)
    for i, prompt in enumerate(prompts):
        overlay.draw_points(canvas, prompt, i)
    return canvas


def _shrunk(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask at `size` (width, height), set wherever any of its pixels lies: nothing small is lost."""
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0)


def _outlines(mask: NDArray[np.bool_]) -> Sequence[NDArray[np.int32]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(outline, dtype=np.int32) for outline in found]


def render(rows: Sequence[Row], samples: Mapping[str, Sample]) -> str:
    """The cases as HTML, their pixels read now. samples: by id. Raises what `Sample.load` does, and `DatasetError` for
    a sample that is not there or no longer the one that was answered."""
    if not rows:
        return '<p class="none">There are none.</p>'
    return f'<div class="cases">{"".join(_case(row, samples) for row in rows)}</div>'


def loaded(row: Row, samples: Mapping[str, Sample]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture and the truth of a row, read now. Raises what `Sample.load` does, and `DatasetError` for a sample
    that is not there or no longer the one that was answered."""
    if row.id not in samples:
        raise DatasetError(f"The set lacks {row.id!r}, which a row is about. Render the page with the rows' own set.")
    image, truth = samples[row.id].load()
    if truth.shape != (row.size[1], row.size[0]):
        raise DatasetError(
            f"Sample {row.id!r} is {truth.shape[1]} x {truth.shape[0]} pixels now and was {row.size[0]} x "
            f"{row.size[1]} when it was answered. Run the evaluation again."
        )
    return image, truth


def kind(row: Row) -> str:
    """How the answer went, for its colour: good, fair or bad."""
    said = verdict(row)
    return "bad" if said and said != "rightly empty" else "good" if row.iou >= 0.5 else "fair"


def _case(row: Row, samples: Mapping[str, Sample]) -> str:
    drawn = picture(*loaded(row, samples), row)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "WEBP", quality=_QUALITY, method=4)
    source = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    said = verdict(row)
    score = "" if row.count.absent else f"<span>IoU {row.iou:.3f}</span>"
    badge = f'<b class="verdict {kind(row)}">{said}</b>' if said else ""
    chips = [f"{key}: {value}" for key, value in row.strata.items()]
    if row.seed is not None:
        chips.insert(0, f"seed {row.seed}")
    return (
        '<article class="case">'
        f'<img src="{source}" width="{drawn.shape[1]}" height="{drawn.shape[0]}" alt="{text(_seen(row))}">'
        f'<p class="score">{score}{badge}</p>'
        f'<h4 dir="auto">{text(row.question)}</h4>'
        f"{_words(row)}"
        f'<p class="id"><bdi>{text(row.id)}</bdi></p>'
        f'<ul class="chips">{"".join(f"<li><bdi>{text(chip)}</bdi></li>" for chip in chips)}</ul>'
        "</article>"
    )


def _seen(row: Row) -> str:
    """What the picture shows, in words."""
    pixels = row.size[0] * row.size[1]
    truth = f"the target covers {row.count.truth / pixels:.1%}" if row.count.truth else "there is no target"
    if not row.count.readable:
        answer = "the answer is unreadable"
    elif row.count.predicted:
        answer = f"the answer's mask covers {row.count.predicted / pixels:.1%}, with IoU {row.iou:.3f}"
    else:
        answer = "the answer's mask is empty"
    points = [sum(len(getattr(p, kind)) for p in row.prompts) for kind in ("positive", "negative")]
    boxes = sum(p.box is not None for p in row.prompts)
    sent = f"; boxes: {boxes}, positive points: {points[0]}, negative points: {points[1]}" if row.prompts else ""
    return f"“{row.question}” – of the picture {truth}; {answer}{sent}."


def _words(row: Row) -> str:
    """The thought, or of an unreadable answer the reason and all that was written; and the warnings."""
    parts = []
    if row.why is not None:
        parts.append(f'<p class="why" dir="auto">{text(row.why)}</p>')
    words = row.thought if row.why is None else row.text
    what = "thought" if row.why is None else "text"
    if words:
        cut = words if len(words) <= SHORT else words[:SHORT].rsplit(None, 1)[0] + " …"
        parts.append(f'<p class="thought" dir="auto">{text(cut)}</p>')
        if cut != words:
            parts.append(
                f"<details><summary>The whole {what}, {len(words):,} characters</summary>"
                f'<p class="thought" dir="auto">{text(words)}</p></details>'
            )
    elif row.text is not None:
        parts.append('<p class="none">It wrote nothing.</p>' if row.why else '<p class="none">No thought.</p>')
    if row.warnings:
        items = "".join(f'<li dir="auto">{text(warning)}</li>' for warning in row.warnings)
        parts.append(f'<ul class="warnings" aria-label="Warnings">{items}</ul>')
    return "".join(parts)
