"""A result as COCO: one image, one category (the question), one annotation an instance, with run lengths.

Run lengths keep every pixel and every overlap. Coordinates are pixels of the source image; COCO knows no Earth.
"""

from __future__ import annotations

from typing import Any

from think2seg import record
from think2seg.export.subject import Subject, json_file


def content(subject: Subject) -> bytes:
    """The document that `pycocotools.coco.COCO` loads, as JSON.

    `score` and what else is known of an instance stand beside COCO's own keys. `iscrowd` is 0: each annotation is one
    object, run lengths or not.
    """
    result, common = subject.result, subject.common
    annotations: list[dict[str, Any]] = []
    for i, (mask, said) in enumerate(zip(result.masks, subject.each, strict=True)):
        rows, columns = mask.window
        annotations.append(
            {
                "id": i + 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": record.rle(mask.pixels),
                "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                "area": said["area_px"],
                "iscrowd": 0,
                "score": said["score"],
                "area_m2": said["area_m2"],
                "prompt": {key: said[key] for key in ("box", "positive", "negative")},
            }
        )
    held = {
        "info": {"description": common["question"], "version": common["software"], **common},
        "images": [{"id": 1, "file_name": common["image"], "width": common["width"], "height": common["height"]}],
        "categories": [{"id": 1, "name": common["question"], "supercategory": "question"}],
        "annotations": annotations,
    }
    return json_file(held)
