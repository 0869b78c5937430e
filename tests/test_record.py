"""Results as documents: the schema, and the way back."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from think2seg import record
from think2seg.types import Answer, Completion, Mask, Prompt, Query, Result, Timing


def result(masks: int = 2) -> Result:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    prompts = (Prompt((1.5, 2, 10.126, 12), ((3, 4),), ((20, 20),)), Prompt(None, ((30, 20), (31, 21))))[:masks]
    pixels = [np.zeros((30, 40), dtype=bool) for _ in prompts]
    for i, p in enumerate(pixels):
        p[3 + i : 9, 2 : 8 + i] = True
    return Result(
        query=Query(image, "where are “they”?"),
        completion=Completion("<think> … </think>", (840, 840)),
        answer=Answer("They are there.", prompts, ("a warning",)),
        masks=tuple(Mask(p, 0.87654, i) for i, p in enumerate(pixels)),
        sent=prompts,
        prompter="nano",
        segmenter="small",
        strategy="box+2",
        timing=Timing(0.1, 0.23456, 1.0),
    )


def test_the_document_is_of_the_published_schema() -> None:
    held = json.loads(json.dumps(record.document(result(), "a/b.png")))
    assert list(held) == [
        "schema", "image", "question", "prompter", "segmenter", "strategy", "thought", "text", "frame", "dialect",
        "nothing_here", "instances", "warnings", "timing",
    ]  # fmt: skip
    assert held["schema"] == 1 and held["image"] == {"path": "a/b.png", "width": 40, "height": 30}
    assert held["frame"] == [840, 840] and held["nothing_here"] is False
    assert list(held["instances"][0]) == ["box", "positive", "negative", "score", "area_px", "rle"]
    assert held["instances"][0]["box"] == [1.5, 2, 10.13, 12]
    assert held["instances"][0]["negative"] == [[20, 20]]
    assert held["instances"][1]["box"] is None
    assert held["instances"][0]["rle"]["size"] == [30, 40]
    assert held["timing"] == {"first_token_s": 0.1, "first_mask_s": 0.235, "total_s": 1.0}


@pytest.mark.parametrize("masks", [0, 1, 2])
def test_the_way_back(masks: int) -> None:
    first = result(masks)
    again = record.from_document(json.loads(json.dumps(record.document(first, "x"))), first.query.image)
    assert record.document(again, "x") == record.document(first, "x")
    for a, b in zip(first.masks, again.masks, strict=True):
        assert np.array_equal(a.pixels, b.pixels)


def test_another_image_or_schema_is_refused() -> None:
    held = record.document(result(), "x")
    with pytest.raises(ValueError, match="40, 30"):
        record.from_document(held, np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(ValueError, match="schema 1"):
        record.from_document(held | {"schema": 2}, result().query.image)


def test_run_lengths_are_those_of_coco() -> None:
    mask = np.zeros((3, 2), dtype=bool)
    mask[1:, 0] = True
    assert record.rle(mask) == {"size": [3, 2], "counts": "123"}  # 1 off, 2 on, 3 off, column by column
    assert np.array_equal(record.from_rle(record.rle(mask)), mask)


def test_the_mask_png_is_0_and_255_at_the_sources_size() -> None:
    picture = Image.open(io.BytesIO(record.mask_png(result())))
    pixels = np.asarray(picture)
    assert picture.size == (40, 30) and picture.mode == "L"
    assert set(np.unique(pixels)) == {0, 255} and np.array_equal(pixels > 0, result().mask)


def test_a_file_is_there_whole_or_not_at_all(tmp_path) -> None:
    record.write_atomically(tmp_path / "a.json", b"{}")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_run_lengths_are_those_that_pycocotools_makes(share: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        mask = random.random((random.integers(1, 7), random.integers(1, 7))) < share
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert record.rle(mask) == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
