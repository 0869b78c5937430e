"""A result as a document (`result.json`, schema 1) and back: what the command line writes and the examples replay.

All coordinates in it are pixels of the source image; masks are COCO run lengths (column by column, compressed). It
does not know models or pages.
"""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from think2seg.types import Answer, Completion, Mask, Prompt, Query, Result, Timing

SCHEMA = 1


def rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """(H, W) bool as COCO's compressed run lengths: `{"size": [h, w], "counts": text}`."""
    from pycocotools import mask as coco

    height, width = mask.shape
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    ends = np.zeros(0, dtype=np.int64)
    if len(rows):
        held = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        down, across = np.nonzero(np.diff(held, axis=0, prepend=False, append=False))
        ends = np.sort((across + columns[0]) * height + down + rows[0])
        twice = ends[1:] == ends[:-1]  # one column ends and the next begins: the run goes on
        ends = ends[~(np.append(twice, False) | np.insert(twice, 0, False))]
    bounds = np.concatenate([[0], ends[ends < mask.size], [mask.size]])
    runs = {"size": [height, width], "counts": np.diff(bounds).tolist()}
    return {"size": [height, width], "counts": coco.frPyObjects(runs, height, width)["counts"].decode("ascii")}


def from_rle(encoded: dict[str, Any]) -> NDArray[np.bool_]:
    """The (H, W) bool mask that `rle` made `encoded` from. Raises `ValueError` if its runs are not of its size."""
    from pycocotools import mask as coco

    height, width = encoded["size"]
    if sum(_runs(encoded["counts"])) != height * width:  # pycocotools would hand out memory as it lies
        raise ValueError(f"The run lengths of a mask do not add up to its {width} x {height} pixels.")
    return np.asarray(coco.decode({"size": encoded["size"], "counts": encoded["counts"].encode("ascii")}), dtype=bool)


def _runs(counts: str) -> list[int]:
    """The lengths that COCO's compressed run lengths stand for, none of them below 0. Raises `ValueError`."""
    runs: list[int] = []
    value = shift = 0
    for sign in counts:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("The run lengths of a mask cannot be read.")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift or any(run < 0 for run in runs):
        raise ValueError("The run lengths of a mask cannot be read.")
    return runs


def document(result: Result, path: str) -> dict[str, Any]:
    """`result` as a document that `json.dumps` takes.

    An instance's box and points are what was *sent* to the segmenter, so that its mask can be made again from them;
    what the model wrote stays in `text`, in pixels of `frame`.
    """
    width, height = result.query.size
    return {
        "schema": SCHEMA,
        "image": {"path": path, "width": width, "height": height},
        "question": result.query.question,
        "prompter": result.prompter,
        "segmenter": result.segmenter,
        "strategy": result.strategy,
        "thought": result.answer.thought,
        "text": result.completion.text,
        "frame": list(result.completion.frame),
        "dialect": result.completion.dialect,
        "nothing_here": result.nothing_here,
        "instances": [
            prompt_document(sent)
            | {
                "score": round(mask.score, 4),
                "area_px": mask.area,
                "rle": rle(mask.pixels),
            }
            for sent, mask in zip(result.sent, result.masks, strict=True)
        ],
        "warnings": list(result.answer.warnings),
        "timing": {
            "first_token_s": _seconds(result.timing.first_token_s),
            "first_mask_s": _seconds(result.timing.first_mask_s),
            "total_s": _seconds(result.timing.total_s),
        },
    }


def text(held: dict[str, Any]) -> str:
    """A document as the text of `result.json`."""
    return json.dumps(held, ensure_ascii=False, indent=1)


def prompt_document(prompt: Prompt) -> dict[str, Any]:
    """`box`, `positive` and `negative`, to a hundredth of a pixel; a box thinner than that stays as it is."""
    box = None if prompt.box is None else [_short(v) for v in prompt.box]
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        box = list(prompt.box or ())
    return {
        "box": box,
        "positive": [[_short(x), _short(y)] for x, y in prompt.positive],
        "negative": [[_short(x), _short(y)] for x, y in prompt.negative],
    }


def prompt_from_document(held: dict[str, Any]) -> Prompt:
    """The prompt that `prompt_document` described; other keys are passed over. Raises `ValueError`, `KeyError`."""
    return Prompt(
        box=None if held["box"] is None else tuple(held["box"]),
        positive=tuple(map(tuple, held["positive"])),
        negative=tuple(map(tuple, held["negative"])),
    )


def from_document(held: dict[str, Any], image: NDArray[np.uint8]) -> Result:
    """The result that `document` described, on its `image`, (H, W, 3) uint8 RGB. Raises `ValueError`, `KeyError`."""
    if held["schema"] != SCHEMA:
        raise ValueError(f"A document of schema {SCHEMA} was expected; this one is {held['schema']!r}.")
    size = (held["image"]["width"], held["image"]["height"])
    query = Query(image, held["question"])
    if query.size != size:
        raise ValueError(f"The document is about an image of {size}; this one is {query.size}.")
    prompts = tuple(map(prompt_from_document, held["instances"]))
    return Result(
        query=query,
        completion=Completion(held["text"], tuple(held["frame"]), held.get("dialect", "think2seg")),
        answer=Answer(held["thought"], prompts, tuple(held["warnings"])),
        masks=tuple(Mask(from_rle(i["rle"]), i["score"], n) for n, i in enumerate(held["instances"])),
        sent=prompts,
        prompter=held["prompter"],
        segmenter=held["segmenter"],
        strategy=held["strategy"],
        timing=Timing(**held["timing"]),
    )


def mask_png(result: Result) -> bytes:
    """The union of the masks as a PNG of 0 and 255, one channel, at the source image's size."""
    return png(result.mask.astype(np.uint8) * 255)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` beside `path` and rename it there, so that nobody sees half a file, however many write it."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _short(value: float) -> float | int:
    """A coordinate to a hundredth of a pixel, whole if it is whole."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
