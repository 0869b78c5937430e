"""Tiny data sets in their publishers' layouts, each written into a folder, and what their samples should be.

Pictures are 10 x 8 pixels of one colour; masks are drawn below, so that every truth can be checked by eye.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

NOTHING = """
..........
..........
..........
..........
..........
..........
..........
..........
"""
BAR = """
..........
.###......
.###......
..........
..........
..........
..........
..........
"""
CORNER = """
..........
..........
..........
..........
..........
..........
........##
.......###
"""
BOTH = """
..........
.###......
.###......
..........
..........
..........
........##
.......###
"""
BAR_POLYGON = [1, 1, 4, 1, 4, 3, 1, 3]

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


@dataclass(frozen=True)
class Expected:
    """What a sample should be: its words, the one colour of its picture and the drawing of its truth."""

    id: str
    image_id: str
    question: str
    colour: tuple[int, int, int]
    drawing: str
    strata: dict[str, str] = field(default_factory=dict)


def truth(drawing: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in drawing.split()])


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def mask(path: Path, drawing: str, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(truth(drawing).astype(np.uint8) * value).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def encoded(array: np.ndarray, kind: str = "png") -> bytes:
    held = io.BytesIO()
    Image.fromarray(array).save(held, kind)
    return held.getvalue()


def earthreason(root: Path) -> list[Expected]:
    folder = root / "test"
    picture(folder / "images" / "b7.jpg", RED)
    mask(folder / "labels" / "b7.png", BAR)
    two = {"questions": ["Where would you moor?", " And where would you land? "], "answer": ["Here."], "id": 3}
    text(folder / "QAs" / "b7.json", json.dumps(two))
    picture(folder / "images" / "a1.png", GREEN)
    mask(folder / "labels" / "a1.png", NOTHING)
    text(folder / "QAs" / "a1.json", json.dumps({"questions": ["Is there a café?"], "answer": []}))
    picture(folder / "images" / "c 9.jpg", BLUE)
    palette = Image.fromarray(truth(CORNER).astype(np.uint8)).convert("P")
    palette.putpalette([255, 255, 255, 0, 0, 0])  # the target is black: the index counts and not the colour
    palette.putdata(truth(CORNER).ravel().astype(int).tolist())
    palette.save(folder / "labels" / "c 9.png")
    text(folder / "QAs" / "c 9.json", json.dumps({"questions": ["What floats?"], "category": "storage_tank"}))
    text(folder / "images" / ".DS_Store", "not of the set")
    return [
        Expected("a1_0", "a1", "Is there a café?", GREEN, NOTHING),
        Expected("b7_0", "b7", "Where would you moor?", RED, BAR),
        Expected("b7_1", "b7", "And where would you land?", RED, BAR),
        Expected("c_9_0", "c 9", "What floats?", BLUE, CORNER, {"class": "storage tank"}),
    ]


def runs(drawing: str) -> list[int]:
    """COCO's run lengths as numbers, counted off column by column, the background first."""
    counts, current = [0], False
    for pixel in truth(drawing).T.ravel():
        if pixel != current:
            counts.append(0)
            current = bool(pixel)
        counts[-1] += 1
    return counts


def packed(drawing: str) -> str:
    return coco.encode(np.asfortranarray(truth(drawing).astype(np.uint8)))["counts"].decode()


def rle(counts: object) -> dict[str, object]:
    return {"size": [8, 10], "counts": counts}


def references() -> list[dict[str, Any]]:
    def reference(number: int, image: int, split: str, *sentences: str) -> dict[str, Any]:
        told = [{"sent": s, "raw": s.upper(), "tokens": s.split(), "sent_id": k} for k, s in enumerate(sentences)]
        return {
            "ref_id": number, "ann_id": number + 100, "image_id": image, "category_id": number % 2, "split": split,
            "file_name": "wrong.jpg", "sentences": told, "sent_ids": list(range(len(sentences))),
        }  # fmt: skip

    return [
        reference(12, 2, "test", "the ship below", "the lowest ship."),
        reference(11, 1, "test", "a tank at the upper left"),
        reference(14, 3, "train", "not of this split"),
        reference(13, 2, "test", "the tank and the ship"),
        reference(15, 1, "test", "the bar"),
        reference(16, 1, "test", "no ship at all"),
    ]


def instances() -> dict[str, Any]:
    segmentations: dict[int, object] = {
        111: [BAR_POLYGON],
        112: rle(packed(CORNER)),
        113: [rle(packed(BAR)), rle(runs(CORNER))],
        114: [BAR_POLYGON],
        115: rle(runs(BAR)),
        116: [rle(packed(NOTHING))],
    }
    return {
        "images": [{"id": k, "width": 10, "height": 8, "file_name": f"0000{k}.jpg"} for k in (1, 2, 3)],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": k % 2, "segmentation": s} for k, s in segmentations.items()
        ],
        "categories": [{"id": 0, "name": "ship"}, {"id": 1, "name": "storage tank"}],
    }


def rrsis_d(root: Path) -> list[Expected]:
    for number, colour in ((1, RED), (2, GREEN)):  # the picture of the other split is not there
        picture(root / "images" / "rrsisd" / "JPEGImages" / f"0000{number}.jpg", colour)
    text(root / "rrsisd" / "instances.json", json.dumps(instances()))
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(references(), protocol=2))
    ship, tank = {"class": "ship", "level": "instance"}, {"class": "storage tank", "level": "instance"}
    return [
        Expected("11", "00001", "a tank at the upper left.", RED, BAR, tank),
        Expected("15", "00001", "the bar.", RED, BAR, tank),
        Expected("16", "00001", "no ship at all.", RED, NOTHING, ship),
        Expected("12_0", "00002", "the ship below.", GREEN, CORNER, ship),
        Expected("12_1", "00002", "the lowest ship.", GREEN, CORNER, ship),
        Expected("13", "00002", "the tank and the ship.", GREEN, BOTH, tank),
    ]


def python_2(value: object, binary: bool = False) -> bytes:
    """`value` as Python 2 pickled it, whose texts are bytes: protocol 0, or (binary) the opcodes of protocol 2."""
    if isinstance(value, dict):
        pairs = b"".join(python_2(k, binary) + python_2(v, binary) + b"s" for k, v in value.items())
        return (b"}" if binary else b"(d") + pairs
    if isinstance(value, list):
        return (b"]" if binary else b"(l") + b"".join(python_2(v, binary) + b"a" for v in value)
    if isinstance(value, int):
        return b"I%d\n" % value
    assert isinstance(value, str)
    data = value.encode("utf-8")
    return b"U" + bytes([len(data)]) + data if binary else b"S" + repr(data)[1:].encode() + b"\n"


def refsegrs(root: Path) -> list[Expected]:
    for name, colour in (("104", RED), ("31", GREEN), ("207", BLUE)):
        picture(root / "images" / f"{name}.tif", colour)
    bands = np.full((8, 10, 3), 255, dtype=np.uint8)
    bands[..., 0] = truth(BAR) * 255  # the first band alone counts
    (root / "masks").mkdir()
    Image.fromarray(bands).save(root / "masks" / "104.tif")
    Image.fromarray(truth(CORNER).astype(np.uint16)).save(root / "masks" / "31.tif")
    mask(root / "masks" / "207.tif", NOTHING)
    text(
        root / "output_phrase_test.txt", "31 vehicle\n\n104 road along the river\r\n207  light-duty vehicle\n31 a car\n"
    )
    text(root / "output_phrase_val.txt", "\n")
    return [
        Expected("104", "104", "road along the river", RED, BAR),
        Expected("207", "207", "light-duty vehicle", BLUE, NOTHING),
        Expected("31_0", "31", "vehicle", GREEN, CORNER),
        Expected("31_1", "31", "a car", GREEN, CORNER),
    ]


def risbench(root: Path) -> list[Expected]:
    picture(root / "img_rgb" / "00002.png", RED)
    mask(root / "mask" / "00002.png", BAR, 1)
    picture(root / "img_rgb" / "00001.jpg", GREEN)
    mask(root / "mask" / "00001.png", NOTHING)  # another extension than its picture
    text(root / "output_phrase_test.txt", "00002.png The ship.\n00001.jpg The bridge\n00002.png The café\n")
    return [
        Expected("00001", "00001", "The bridge", GREEN, NOTHING),
        Expected("00002_0", "00002", "The ship.", RED, BAR),
        Expected("00002_1", "00002", "The café", RED, BAR),
    ]


def manifest(root: Path) -> list[Expected]:
    picture(root / "images" / "q.png", RED)
    picture(root / "images" / "p.png", GREEN)
    mask(root / "masks" / "q.png", BAR)
    mask(root / "masks" / "r.png", CORNER)
    rows = [
        {"image": "images/q.png", "mask": "masks/q.png", "query": "all tanks", "reasoning_query": "What holds oil?",
         "id": "q:tank", "image_id": "q", "class": "storage_tank", "level": "semantic", "licence": "left alone"},
        {"image": "images/p.png", "query": "every ship", "level": "absent", "mask": None, "id": "p"},
        {"image": "images/q.png", "mask": "masks/r.png", "query": "the ship", "image_id": "q", "level": "instance"},
        {"image": "images/p.png", "mask": "masks/r.png", "query": "a ship", "reasoning_query": None},
    ]  # fmt: skip
    text(root / "manifest.jsonl", "\n".join(json.dumps(row) for row in rows))
    tank = {"level": "semantic", "class": "storage tank"}
    return [
        Expected("p", "images/p.png", "every ship", GREEN, NOTHING, {"wording": "plain", "level": "absent"}),
        Expected("r_4", "images/p.png", "a ship", GREEN, CORNER, {"wording": "plain"}),
        Expected("q_tank", "q", "all tanks", RED, BAR, {"wording": "plain", **tank}),
        Expected("q_tank__implicit", "q", "What holds oil?", RED, BAR, {"wording": "implicit", **tank}),
        Expected("r_3", "q", "the ship", RED, CORNER, {"wording": "plain", "level": "instance"}),
    ]


WRITERS: dict[str, Callable[[Path], list[Expected]]] = {
    "earthreason": earthreason,
    "rrsis-d": rrsis_d,
    "refsegrs": refsegrs,
    "risbench": risbench,
    "manifest": manifest,
}
"""The writer of each set that lies in a folder, by the set's name."""
