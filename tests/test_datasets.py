"""Every data set as its publisher lays it out: read right, each question once, and nothing broken passed over."""

from __future__ import annotations

import ast
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fake_sets as fake
import numpy as np
import pytest
from PIL import Image, ImageFile
from pycocotools import mask as coco

from think2seg import datasets
from think2seg.datasets import procedural
from think2seg.datasets.listing import fit
from think2seg.datasets.plain_pickle import read_plain_pickle
from think2seg.datasets.samples import read_mask
from think2seg.datasets.scenes import scene
from think2seg.datasets.segmentations import mask_of
from think2seg.errors import DatasetError, ImageError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of the TIFFs that are cut here

ROOT = Path(__file__).parent.parent
REFS, INSTANCES, JPEGS = "rrsisd/refs(unc).p", "rrsisd/instances.json", "images/rrsisd/JPEGImages"


@pytest.mark.parametrize("name", fake.WRITERS)
def test_a_set_is_read_right(name: str, tmp_path: Path) -> None:
    """In order, every question once, with the picture and the truth that belong to it."""
    expected = fake.WRITERS[name](tmp_path)
    samples = datasets.load(name, tmp_path, "test")
    assert [(s.id, s.image_id, s.question, dict(s.strata)) for s in samples] == [
        (e.id, e.image_id, e.question, e.strata) for e in expected
    ]
    for sample, e in zip(samples, expected, strict=True):
        for _ in range(2):
            image, truth = sample.load()
            assert image.shape == (8, 10, 3) and image.dtype == np.uint8 and truth.dtype == np.bool_
            assert np.abs(image.astype(int) - e.colour).max() < 6  # JPEG
            assert np.array_equal(truth, fake.truth(e.drawing)), sample.id


@pytest.mark.parametrize("name", fake.WRITERS)
def test_listing_reads_no_pixels(name: str, tmp_path: Path) -> None:
    fake.WRITERS[name](tmp_path)
    pictures = [p for p in tmp_path.rglob("*") if p.suffix in (".png", ".jpg", ".tif")]
    for path in pictures:
        path.write_bytes(path.read_bytes()[:40])
    for sample in datasets.load(name, tmp_path, "test"):
        with pytest.raises((DatasetError, ImageError)) as caught:
            sample.load()
        assert any(str(path) in str(caught.value) for path in pictures)


@pytest.mark.parametrize("name", fake.WRITERS)
def test_a_limit_is_spread_over_the_set(name: str, tmp_path: Path) -> None:
    ids = [e.id for e in fake.WRITERS[name](tmp_path)]
    assert [s.id for s in datasets.load(name, tmp_path, "test", limit=2)] == [ids[0], ids[len(ids) // 2]]
    assert [s.id for s in datasets.load(name, tmp_path, "test", limit=99)] == ids


def rewritten(file: str, change: Callable[[Any], object]) -> Callable[[Path], object]:
    """Spoils a JSON file: `change` alters its content in place."""

    def spoil(root: Path) -> None:
        content = json.loads((root / file).read_text(encoding="utf-8"))
        change(content)
        (root / file).write_text(json.dumps(content), encoding="utf-8")

    return spoil


def referred(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path], object]:
    """Spoils the references of RRSIS-D."""

    def spoil(root: Path) -> None:
        refs = fake.references()
        change(refs)
        (root / REFS).write_bytes(pickle.dumps(refs))

    return spoil


def row(number: int, **fields: object) -> Callable[[Path], object]:
    """Spoils a line of the manifest, counted from 0."""

    def spoil(root: Path) -> None:
        lines = (root / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        lines[number] = json.dumps(json.loads(lines[number]) | fields)
        (root / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")

    return spoil


def gone(file: str) -> Callable[[Path], object]:
    return lambda root: (root / file).unlink()


def becomes(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / file).write_bytes(content)


def cut(file: str, size: int = 60) -> Callable[[Path], object]:
    return lambda root: (root / file).write_bytes((root / file).read_bytes()[:size])


def wide(file: str) -> Callable[[Path], object]:
    return lambda root: fake.picture(root / file, fake.RED, (12, 8))


def copied(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / new).write_bytes((root / old).read_bytes())


def phrases(content: bytes) -> Callable[[Path], object]:
    return becomes("output_phrase_test.txt", content)


def twin_questions(root: Path) -> None:
    for folder, suffix in (("images", "jpg"), ("labels", "png"), ("QAs", "json")):
        copied(f"test/{folder}/c 9.{suffix}", f"test/{folder}/c_9.{suffix}")(root)


def twin_phrases(root: Path) -> None:
    for folder in ("img_rgb", "mask"):
        copied(f"{folder}/00002.png", f"{folder}/00002_0.png")(root)
    phrases(b"00002.png a\n00002.png b\n00002_0.png c\n")(root)


PHRASES = "output_phrase_test.txt"
SPOILT: list[tuple[str, str, Callable[[Path], object], str, str]] = [
    # (set, what is wrong, how it comes about, the path that the message holds, words that it holds)
    ("earthreason", "no label", gone("test/labels/b7.png"), "test/labels/b7.png", "missing"),
    ("earthreason", "no picture", gone("test/images/b7.jpg"), "test/images/b7.*", "missing"),
    ("earthreason", "no questions", gone("test/QAs/b7.json"), "test/QAs/b7.json", "missing"),
    ("earthreason", "no folder", lambda r: (r / "test/QAs").rename(r / "test/Q"), "test/QAs", "no folder"),
    ("earthreason", "sizes differ", wide("test/images/b7.jpg"), "test/images/b7.jpg", "12 x 8"),
    ("earthreason", "broken JSON", cut("test/QAs/b7.json", 20), "test/QAs/b7.json", "no JSON"),
    ("earthreason", "JSON in depth", becomes("test/QAs/b7.json", b"[" * 100_000), "test/QAs/b7.json", "no JSON"),
    ("earthreason", "a list", becomes("test/QAs/b7.json", b"[1]"), "test/QAs/b7.json", "'questions'"),
    ("earthreason", "one text", becomes("test/QAs/b7.json", b'{"questions": "a"}'), "test/QAs/b7.json", "'questions'"),
    ("earthreason", "asks nothing", becomes("test/QAs/b7.json", b'{"questions": []}'), "test/QAs/b7.json", "empty"),
    ("earthreason", "blank", becomes("test/QAs/b7.json", b'{"questions": [" "]}'), "test/QAs/b7.json", "words"),
    ("earthreason", "no text", becomes("test/QAs/b7.json", b'{"questions": [7]}'), "test/QAs/b7.json", "words"),
    ("earthreason", "cut mask", cut("test/labels/b7.png"), "test/labels/b7.png", "truncated"),
    ("earthreason", "cut picture", cut("test/images/b7.jpg", 300), "test/images/b7.jpg", "truncated"),
    ("earthreason", "two pictures", copied("test/images/b7.jpg", "test/images/b7.png"), "test/images", "'b7'"),
    ("earthreason", "twin ids", twin_questions, "test", "'c_9_0' comes twice"),
    ("rrsis-d", "no picture", gone(f"{JPEGS}/00001.jpg"), f"{JPEGS}/00001.jpg", "missing"),
    ("rrsis-d", "no index", gone(INSTANCES), INSTANCES, "cannot be read"),
    ("rrsis-d", "no references", gone(REFS), REFS, "cannot be read"),
    ("rrsis-d", "sizes differ", wide(f"{JPEGS}/00001.jpg"), f"{JPEGS}/00001.jpg", "12 x 8"),
    ("rrsis-d", "broken JSON", cut(INSTANCES), INSTANCES, "no JSON"),
    ("rrsis-d", "no images", rewritten(INSTANCES, lambda d: d.pop("images")), INSTANCES, "'images'"),
    ("rrsis-d", "no mask", rewritten(INSTANCES, lambda d: d["annotations"].pop(0)), INSTANCES, "'ann_id' is 111"),
    ("rrsis-d", "an id twice", rewritten(INSTANCES, lambda d: d["images"][0].update(id=2)), INSTANCES, "twice"),
    ("rrsis-d", "a giant", rewritten(INSTANCES, lambda d: d["images"][0].update(width=10**8)), INSTANCES, "million"),
    ("rrsis-d", "broken runs", rewritten(INSTANCES, lambda d: d["annotations"][1]["segmentation"].update(counts="11")),
     INSTANCES, "annotation 112"),
    ("rrsis-d", "no segments", rewritten(INSTANCES, lambda d: d["annotations"][0].update(segmentation=[])),
     INSTANCES, "annotation 111"),
    ("rrsis-d", "leads out", rewritten(INSTANCES, lambda d: d["images"][0].update(file_name="../../x.jpg")),
     INSTANCES, "leads out"),
    ("rrsis-d", "leads away", rewritten(INSTANCES, lambda d: d["images"][0].update(file_name="/etc/hostname")),
     INSTANCES, "leads out"),
    ("rrsis-d", "cut pickle", cut(REFS, 500), REFS, "truncated"),
    ("rrsis-d", "no pickle", becomes(REFS, b"<html>Not found</html>"), REFS, "no pickle"),
    ("rrsis-d", "empty pickle", becomes(REFS, b""), REFS, "no pickle"),
    ("rrsis-d", "no list", becomes(REFS, pickle.dumps({"refs": []})), REFS, "a list"),
    ("rrsis-d", "no records", becomes(REFS, pickle.dumps([3])), REFS, "record"),
    ("rrsis-d", "id twice", referred(lambda refs: refs[0].update(ref_id=11) or refs[0]["sentences"].pop()), REFS,
     "'11' comes twice"),
    ("rrsis-d", "no sentence", referred(lambda refs: refs[0].update(sentences=[])), REFS, "empty"),
    ("rrsis-d", "blank", referred(lambda refs: refs[0]["sentences"][1].update(sent=" ")), REFS, "words"),
    ("rrsis-d", "other splits", referred(lambda refs: [ref.update(split="val") for ref in refs]), REFS, "no sample"),
    ("refsegrs", "no mask", gone("masks/31.tif"), "masks/31.tif", "missing"),
    ("refsegrs", "no picture", gone("images/31.tif"), "images/31.tif", "missing"),
    ("refsegrs", "no list", gone(PHRASES), PHRASES, "cannot be read"),
    ("refsegrs", "sizes differ", wide("images/31.tif"), "images/31.tif", "12 x 8"),
    ("refsegrs", "cut mask", cut("masks/104.tif", 100), "masks/104.tif", "The mask"),
    ("refsegrs", "cut picture", cut("images/104.tif", 100), "images/104.tif", "damaged"),
    ("refsegrs", "a name alone", phrases(b"31 car\n\n104  \n"), f"{PHRASES}, line 3", "alone"),
    ("refsegrs", "latin-1", phrases(b"31 car\n104 caf\xe9\n"), f"{PHRASES}, line 2", "UTF-8"),
    ("refsegrs", "leads out", phrases(b"../images/31 car\n"), f"{PHRASES}, line 1", "leads out"),
    ("refsegrs", "blank list", phrases(b"\n \n"), PHRASES, "no sample"),
    ("risbench", "no mask", gone("mask/00002.png"), "mask/00002.png", "missing"),
    ("risbench", "no picture", gone("img_rgb/00001.jpg"), "img_rgb/00001.jpg", "missing"),
    ("risbench", "no list", gone(PHRASES), PHRASES, "cannot be read"),
    ("risbench", "no masks", lambda r: (r / "mask").rename(r / "masks"), "mask", "no folder"),
    ("risbench", "sizes differ", wide("mask/00002.png"), "mask/00002.png", "12 x 8"),
    ("risbench", "cut mask", cut("mask/00002.png"), "mask/00002.png", "truncated"),
    ("risbench", "a name alone", phrases(b"00001.jpg\n"), f"{PHRASES}, line 1", "alone"),
    ("risbench", "leads out", phrases(b"/etc/hostname car\n"), f"{PHRASES}, line 1", "leads out"),
    ("risbench", "any of two masks", copied("mask/00001.png", "mask/00001.tif"), f"{PHRASES}, line 2", "any of"),
    ("risbench", "twin ids", twin_phrases, PHRASES, "'00002_0' comes twice"),
    ("manifest", "no manifest", gone("manifest.jsonl"), "manifest.jsonl", "cannot be read"),
    ("manifest", "no mask", gone("masks/r.png"), "masks/r.png", "missing"),
    ("manifest", "no picture", gone("images/p.png"), "images/p.png", "missing"),
    ("manifest", "mask not named", row(0, mask=None), "manifest.jsonl, line 1", "path"),
    ("manifest", "sizes differ", wide("images/q.png"), "images/q.png", "12 x 8"),
    ("manifest", "cut mask", cut("masks/q.png"), "masks/q.png", "truncated"),
    ("manifest", "broken JSON", cut("manifest.jsonl", 300), "manifest.jsonl, line 2", "no JSON"),
    ("manifest", "no object", becomes("manifest.jsonl", b"[]"), "manifest.jsonl, line 1", "record"),
    ("manifest", "not UTF-8", becomes("manifest.jsonl", b'{"image": "\xe9"}'), "manifest.jsonl, line 1", "UTF-8"),
    ("manifest", "empty", becomes("manifest.jsonl", b"\n"), "manifest.jsonl", "no sample"),
    ("manifest", "blank query", row(2, query=" "), "manifest.jsonl, line 3", "words"),
    ("manifest", "blank implicit query", row(2, reasoning_query=""), "manifest.jsonl, line 3", "words"),
    ("manifest", "unknown level", row(2, level="pixel"), "manifest.jsonl, line 3", "'pixel'"),
    ("manifest", "image leads out", row(1, image="../p.png"), "manifest.jsonl, line 2", "leads out"),
    ("manifest", "mask leads away", row(2, mask="/etc/hostname"), "manifest.jsonl, line 3", "leads out"),
    ("manifest", "leads out, Windows", row(2, mask="masks\\..\\..\\r.png"), "manifest.jsonl, line 3", "leads out"),
    ("manifest", "a drive", row(2, mask="C:r.png"), "manifest.jsonl, line 3", "leads out"),
    ("manifest", "id twice", row(2, id="p"), "manifest.jsonl", "'p' comes twice"),
    ("manifest", "twins once cleaned", row(2, id="q/tank"), "manifest.jsonl", "'q_tank' comes twice"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "path", "says"),
    [(name, spoil, path, says) for name, _, spoil, path, says in SPOILT],
    ids=[f"{name}: {word}" for name, word, *_ in SPOILT],
)
def test_what_is_broken_is_named(
    name: str, spoil: Callable[[Path], object], path: str, says: str, tmp_path: Path
) -> None:
    fake.WRITERS[name](tmp_path)
    spoil(tmp_path)
    with pytest.raises((DatasetError, ImageError)) as caught:
        for sample in datasets.load(name, tmp_path, "test"):
            sample.load()
    assert str(tmp_path / path) in str(caught.value) and says in str(caught.value), str(caught.value)


def test_five_missing_files_are_named_and_the_others_counted(tmp_path: Path) -> None:
    fake.text(tmp_path / PHRASES, "".join(f"{k} car\n" for k in range(4)))
    with pytest.raises(DatasetError, match=r"8 files are missing: .*2\.tif and 3 more"):
        datasets.load("refsegrs", tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "root", "split", "options", "says"),
    [
        ("earth", ".", "test", {}, "no data set 'earth'. Known are: earthreason, rrsis-d"),
        ("earthreason", ".", "dev", {}, "no split 'dev'. Known are: train, val, test"),
        ("scenes", None, "all", {}, "no split 'all'. Known are: test, val, train"),
        ("manifest", None, "test", {}, "needs its root"),
        ("rrsis-d", "nowhere", "test", {}, "nowhere is no folder"),
        ("risbench", __file__, "test", {}, "is no folder"),
        ("scenes", None, "test", {"questions": "two"}, "'two' came"),
        ("manifest", ".", "test", {"limit": 0}, "0 came"),
    ],
)
def test_what_cannot_be_asked_for(name: str, root: str | None, split: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DatasetError) as caught:
        datasets.load(name, root if root is None else Path(root), split, **options)
    assert says in str(caught.value)


def test_importing_brings_no_set_along() -> None:
    heavy = ["cv2", "torch", "pycocotools", "think2seg.datasets.scenes", "think2seg.datasets.rrsis_d"]
    check = f"import sys, think2seg.datasets; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "safe"),
    [("P3_0-1.x", "P3_0-1.x"), ("a b/c\\é", "a_b_c__"), ("..", "_."), (".x", "_x"), ("", "_"), ("a" * 300, "a" * 200)],
)
def test_ids_fit_for_file_names(name: str, safe: str, tmp_path: Path) -> None:
    assert fit(name) == safe
    (tmp_path / safe).touch()
    assert [path.name for path in tmp_path.iterdir()] == [safe]


BITS = fake.truth(fake.CORNER)


def as_palette() -> Image.Image:
    image = Image.new("P", (10, 8))
    image.putpalette([0, 0, 0] * 256)
    image.putdata((BITS * 3).ravel().tolist())
    return image


def first_band(value: int, bands: int) -> Image.Image:
    pixels = np.full((8, 10, bands), 255, dtype=np.uint8)
    pixels[..., 0] = BITS * value
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("word", "image", "suffix"),
    [
        ("0 and 255", lambda: Image.fromarray(BITS * np.uint8(255)), "png"),
        ("0 and 1", lambda: Image.fromarray(BITS * np.uint8(1)), "png"),
        ("one bit", lambda: Image.fromarray(BITS), "png"),
        ("a palette that is all black", as_palette, "png"),
        ("16 bits, 0 and 1", lambda: Image.fromarray(BITS.astype(np.uint16)), "png"),
        ("gray and alpha", lambda: first_band(1, 2), "png"),
        ("RGB", lambda: first_band(1, 3), "png"),
        ("RGBA", lambda: first_band(255, 4), "png"),
        ("TIFF, 16 bits", lambda: Image.fromarray(BITS.astype(np.uint16)), "tif"),
        ("TIFF, 0 and a half", lambda: Image.fromarray(BITS.astype(np.float32) / 2), "tif"),
        ("TIFF, RGB", lambda: first_band(7, 3), "tif"),
        ("BMP", lambda: Image.fromarray(BITS * np.uint8(255)), "bmp"),
    ],
)
def test_masks_of_every_depth(word: str, image: Callable[[], Image.Image], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mask.{suffix}"
    image().save(path)
    truth = read_mask(path)
    assert truth.dtype == np.bool_ and np.array_equal(truth, BITS)


def png_of(width: int, height: int, depth: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_of_one_tile(side: int) -> bytes:
    """A TIFF of 8 x 8 pixels whose only tile claims to be `side` x `side`."""
    entries = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 200, 325: 8}
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)).ljust(200, b"\0") + zlib.compress(b"")


@pytest.mark.parametrize(
    ("word", "data", "says"),
    [
        ("nothing", lambda: b"", "no PNG, TIFF or BMP"),
        ("JPEG, which smears", lambda: fake.encoded(np.zeros((8, 8), np.uint8), "jpeg"), "no PNG, TIFF or BMP"),
        ("words", lambda: b"version https://git-lfs.github.com/spec/v1", "no PNG, TIFF or BMP"),
        (
            "a cut PNG",
            lambda: fake.encoded(np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8))[:-900],
            "trunc",
        ),
        ("a cut TIFF", lambda: fake.encoded(np.zeros((64, 64), np.uint8), "tiff")[:2000], "truncated"),
        ("a bomb", lambda: png_of(60_000, 60_000), "million pixels"),
        ("a bomb of a tile", lambda: tiff_of_one_tile(60_000), "tiles larger"),
        ("too thin", lambda: png_of(4_000, 8), "4000 x 8"),
        ("three bands of 16 bits", lambda: png_of(8, 8, 16, 2, (b"\0" + bytes(48)) * 8), "16 bits"),
    ],
)
def test_masks_refused(
    word: str, data: Callable[[], bytes], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as other libraries do
    path = tmp_path / "mask.png"
    path.write_bytes(data())
    with pytest.raises(DatasetError) as caught:
        read_mask(path)
    assert str(path) in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize(
    ("word", "segmentation", "drawing"),
    [
        ("a polygon", [fake.BAR_POLYGON], fake.BAR),
        ("two polygons that overlap", [fake.BAR_POLYGON, [1, 1, 3, 1, 3, 3, 1, 3]], fake.BAR),
        ("runs as numbers", fake.rle(fake.runs(fake.BOTH)), fake.BOTH),
        ("runs as text", fake.rle(fake.packed(fake.BOTH)), fake.BOTH),
        ("runs as bytes", fake.rle(fake.packed(fake.BOTH).encode()), fake.BOTH),
        ("several runs", [fake.rle(fake.packed(fake.BAR)), fake.rle(fake.packed(fake.CORNER))], fake.BOTH),
        ("runs that overlap", [fake.rle(fake.packed(fake.BAR)), fake.rle(fake.packed(fake.BOTH))], fake.BOTH),
        ("nothing", fake.rle([80]), fake.NOTHING),
    ],
)
def test_segmentations(word: str, segmentation: object, drawing: str) -> None:
    assert np.array_equal(mask_of(segmentation, (10, 8)), fake.truth(drawing))


def test_packed_runs_are_pycocotools_own() -> None:
    rng = np.random.default_rng(3)
    for width, height in ((8, 8), (300, 211), (1500, 900)):
        for share in (0.0, 0.001, 0.5, 1.0):
            bits = rng.random((height, width)) < share
            packed = coco.encode(np.asfortranarray(bits.astype(np.uint8)))
            assert np.array_equal(mask_of({"size": [height, width], "counts": packed["counts"]}, (width, height)), bits)


@pytest.mark.parametrize(
    ("word", "segmentation"),
    [
        ("none", None),
        ("no parts", []),
        ("numbers alone", fake.BAR_POLYGON),
        ("a box", [[1, 1, 4, 3]]),
        ("odd", [[*fake.BAR_POLYGON, 1]]),
        ("not finite", [[1, 1, float("nan"), 1, 4, 3]]),
        ("far away", [[1, 1, 1e9, 1, 4, 3]]),
        ("texts", [["1"] * 6]),
        ("polygon and runs", [fake.BAR_POLYGON, fake.rle([80])]),
        ("turned by a quarter", {"size": [10, 8], "counts": [80]}),
        ("no size", {"counts": [80]}),
        ("no runs", {"size": [8, 10]}),
        ("too few", fake.rle([79])),
        ("too many", fake.rle([81])),
        ("negative", fake.rle([100, -20])),
        ("real numbers", fake.rle([80.0])),
        ("too few, as text", fake.rle("11")),
        ("breaks off", fake.rle("P")),
        ("no such letter", fake.rle("\x01")),
        ("no such letter either", fake.rle("é")),
        ("endless", fake.rle("P" * 10_000)),
    ],
)
def test_segmentations_refused(word: str, segmentation: object) -> None:
    with pytest.raises(ValueError, match="expected|must be whole|cannot reach|break off"):  # in our words
        mask_of(segmentation, (10, 8))


class Hostile:
    """Runs a command in whoever unpickles it carelessly."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(protocol: int, tmp_path: Path) -> None:
    fake.rrsis_d(tmp_path)
    mark = tmp_path / "it-ran"
    data = pickle.dumps([*fake.references(), {"split": "train", "extra": Hostile(f"touch {mark}")}], protocol)
    pickle.loads(data)
    assert mark.exists()  # so the pickle does what it should not
    mark.unlink()
    (tmp_path / REFS).write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        datasets.load("rrsis-d", tmp_path, "test")
    assert not mark.exists()
    assert str(tmp_path / REFS) in str(caught.value) and "posix.system" in str(caught.value)


@pytest.mark.parametrize(
    ("word", "data", "says"),
    [
        ("an instance", b"(S'touch it-ran'\nios\nsystem\n.", "global os.system"),
        ("a persistent id", b"Pname\n.", "instruction PERSID"),
        ("a binary persistent id", b"]Q.", "instruction BINPERSID"),
        ("a call of nothing", b"(lU\x01a\x85R.", "instruction REDUCE"),
        ("an object's state", b"}}b.", "instruction BUILD"),
        ("a new object", b"})\x81.", "instruction NEWOBJ"),
        ("an extension", b"\x82\x01.", "instruction EXT1"),
        ("a harmless global", b"cbuiltins\nset\n.", "global builtins.set"),
        ("an unknown instruction", b"\xff.", "no pickle"),
        ("an unhashable key", b"}]Nsu.", "no pickle"),
    ],
)
def test_only_plain_values_are_unpickled(word: str, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "values.p"
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        read_plain_pickle(path)
    assert str(path) in str(caught.value) and says in str(caught.value)


def test_plain_values_of_every_protocol(tmp_path: Path) -> None:
    path = tmp_path / "values.p"
    value = [{"a": ["é", b"\xff", 1, -(2**70), 0.5, True, None], "b": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4))}]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        plain = value if protocol > 2 else [{"b": value[0]["b"]}]  # bytes were calls until protocol 3
        path.write_bytes(pickle.dumps(plain, protocol))
        assert read_plain_pickle(path) == plain
    path.write_bytes(pickle.dumps({1, 2}, 4))
    assert read_plain_pickle(path) == {1, 2}
    path.write_bytes(b"]r\xff\xff\xff\x7f.")  # a number that the unpickler in C would take 32 GB for
    assert read_plain_pickle(path) == []


@pytest.mark.parametrize("binary", [False, True])
def test_pickles_of_python_2(binary: bool, tmp_path: Path) -> None:
    expected = fake.rrsis_d(tmp_path)
    refs = fake.references()
    refs[0]["sentences"][0]["sent"] = "the café below"
    (tmp_path / REFS).write_bytes((b"\x80\x02" if binary else b"") + fake.python_2(refs, binary) + b".")
    samples = datasets.load("rrsis-d", tmp_path, "test")
    assert [s.id for s in samples] == [e.id for e in expected]
    assert {s.question for s in samples} - {e.question for e in expected} == {"the café below."}


def test_damaged_pickles_are_never_more_than_an_error(tmp_path: Path) -> None:
    path, rng = tmp_path / "refs.p", np.random.default_rng(5)
    refused = 0
    for protocol in (0, 2, 4):
        whole = pickle.dumps(fake.references(), protocol)
        for end in range(0, len(whole), 7):
            path.write_bytes(whole[:end])
            with pytest.raises(DatasetError):
                read_plain_pickle(path)
        for _ in range(300):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(0, 256)
            path.write_bytes(data)
            try:
                read_plain_pickle(path)
            except DatasetError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > 100


def test_scenes_ask_as_the_readme_s_figures_were_made() -> None:
    """One question a scene, drawn by its seed, and its truth: the rule, written again."""
    samples = datasets.load("scenes", None, "test", limit=4)
    assert [s.id for s in samples] == ["scene-00000", "scene-00250", "scene-00500", "scene-00750"]
    for sample in samples:
        seed = int(sample.image_id.removeprefix("scene-"))
        made = scene(seed, 336)
        chosen = made.questions[np.random.default_rng([seed, 77]).integers(len(made.questions))]
        image, truth = sample.load()
        assert sample.question == chosen.text
        assert np.array_equal(image, made.image) and np.array_equal(truth, made.truth(chosen))
        assert sample.strata["kind"] == chosen.kind and sample.strata["class"] == chosen.category
        assert (sample.strata["phrasing"] == "unseen") == chosen.unseen


def test_every_question_of_a_scene() -> None:
    samples = datasets.load("scenes", None, "val", questions="all", limit=3)
    assert [s.id for s in samples] == [
        f"scene-{seed}_{k}" for seed in (10000, 10333, 10666) for k in range(len(scene(seed).questions))
    ]
    kinds = set()
    for sample in samples:
        kinds.add((sample.strata["kind"], sample.strata["level"]))
        assert sample.load()[1].any() == (sample.strata["level"] != "absent")
    assert {("absent", "absent"), ("spatial", "instance"), ("explicit", "semantic")} <= kinds


def test_scenes_are_drawn_as_few_as_possible_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(seed: int, *args: Any, **options: Any) -> Any:
        drawn.append(seed)
        return scene(seed, *args, **options)

    monkeypatch.setattr(procedural, "scene", counted)
    procedural._drawn.cache_clear()
    samples = datasets.load("scenes", None, "test", questions="all", limit=2)
    assert drawn == [0, 500]
    image, truth = samples[0].load()
    assert drawn == [0, 500]  # still at hand
    image[:], truth[:] = 0, True
    again, still = samples[0].load()
    assert again.any() and not still.all()  # what a caller does to its pixels is its own affair
    assert procedural._drawn.cache_info().maxsize is not None and procedural._drawn.cache_info().maxsize <= 8


def test_scenes_are_the_same_from_many_threads() -> None:
    samples = datasets.load("scenes", None, "test", limit=6)
    alone = [sample.load() for sample in samples]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sample: sample.load(), samples))
    for (image, truth), (image_2, truth_2) in zip(alone, together, strict=True):
        assert np.array_equal(image, image_2) and np.array_equal(truth, truth_2)


def test_training_never_saw_the_seeds_that_are_measured_on() -> None:
    first = {}
    for file in ("prompter_pictures", "segmenter_data"):
        for node in ast.parse((ROOT / "train" / "nano" / f"{file}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and "FIRST_TRAINING_SEED" in ast.unparse(node.targets[0]):
                first[file] = ast.literal_eval(node.value)
    assert len(first) == 2
    test, val, train = (procedural.SPLITS[split] for split in ("test", "val", "train"))
    assert max(*test, *val) < min(*first.values(), *train) and not set(test) & set(val)
    assert not set(range(10_000, 20_000)) & set(test) and set(val) <= set(range(10_000, 20_000))


def test_training_hears_no_unseen_wording() -> None:
    told = {split: datasets.load("scenes", None, split, questions="all", limit=8) for split in ("train", "test")}
    assert {s.strata["phrasing"] for s in told["train"]} == {"seen"}
    assert {s.strata["phrasing"] for s in told["test"]} == {"seen", "unseen"}
