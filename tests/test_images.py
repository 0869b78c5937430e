"""Files of every make, odd, broken and hostile, each written here by code: exact pixels, or words with a way out."""

from __future__ import annotations

import io
import os
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from think2seg.errors import ImageError
from think2seg.images import Limits, load

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
W, H = 12, 10


def corners(width: int = W, height: int = H) -> np.ndarray:
    """White, with red, green, blue and yellow quarters at top left, top right, bottom left, bottom right."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = YELLOW
    return pixels


def ramp(dtype: Any = np.uint16, low: float = 1000, high: float = 3000) -> np.ndarray:
    """(10, 12): 60 pixels of `low`, then 60 of `high`, so that the percentiles are these two."""
    return np.repeat([low, high], 60).reshape(H, W).astype(dtype)


RAMP_SHOWN = np.repeat(np.where(ramp() == 1000, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def saved(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand: what PIL cannot write, and what no honest program would."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png(bands: np.ndarray) -> bytes:
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in bands)
    return png(bands.shape[1], bands.shape[0], 16, colour, rows)


def tiff(entries: dict[int, tuple[int, list[int]]], body: bytes) -> bytes:
    """A little-endian TIFF of one directory; short lists only; 273 (where the strip lies) is filled in."""
    entries = {**entries, 273: (4, [0])}
    start, extra = 8 + 2 + 12 * len(entries) + 4, b""
    rows = b""
    for tag, (kind, values) in sorted(entries.items()):
        code = {3: "H", 4: "I"}[kind]
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if tag == 273:
            packed = b"STRI"
        if len(packed) > 4:
            extra, packed = extra + packed, struct.pack("<I", start + len(extra))
        rows += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    rows = rows.replace(b"STRI", struct.pack("<I", start + len(extra)))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + b"\0\0\0\0" + extra + body


def giant_tiff(width: int, height: int) -> bytes:
    strip = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    return tiff({**strip, 278: (4, [height]), 279: (4, [100])}, bytes(100))


def raster(bands: np.ndarray, **profile: Any) -> bytes:
    """A TIFF by rasterio; `bands` is (count, H, W). `colours` names the bands."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio.io import MemoryFile

    colours = profile.pop("colours", None)
    if "transform" in profile:
        profile["transform"] = rasterio.Affine(*profile["transform"][:6])
    count, height, width = bands.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with memory.open(driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **profile) as file:
            file.write(bands)
            if colours:
                file.colorinterp = [rasterio.enums.ColorInterp[c] for c in colours]
        return bytes(memory.read())


def in_bands(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def with_alpha(alpha: int) -> np.ndarray:
    pixels = np.dstack([corners(), np.full((H, W), 255, np.uint8)])
    pixels[: H // 2, : W // 2, 3] = alpha
    return pixels


def laid_on_white(red_quarter: tuple[int, int, int]) -> np.ndarray:
    pixels = corners()
    pixels[: H // 2, : W // 2] = red_quarter
    return pixels


def gray(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels.astype(np.uint8)[..., None], 3, axis=2)


STEPS = (np.arange(H * W).reshape(H, W) * 2).astype(np.uint8)
CHECKS = (np.indices((H, W)).sum(axis=0) % 2).astype(np.uint8) * 255


def palette_image() -> Image.Image:
    image = Image.fromarray(np.where(corners()[..., 1] == 255, 1, 0).astype(np.uint8), "L").copy()
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([10, 20, 30, 200, 210, 220])
    return image


PALETTE_SHOWN = np.where(corners()[..., 1:2] == 255, (200, 210, 220), (10, 20, 30)).astype(np.uint8)


def with_chunk(data: bytes, extra: bytes) -> bytes:
    """A PNG with one more chunk before its data."""
    at = data.index(b"IDAT") - 4
    return data[:at] + extra + data[at:]


# word, the file, its pixels, a part of the notes ("" = no note at all)
GOOD: list[tuple[str, Callable[[], bytes], np.ndarray, str]] = [
    ("png rgb", lambda: saved(corners(), "PNG"), corners(), ""),
    ("png gray", lambda: saved(STEPS, "PNG"), gray(STEPS), ""),
    ("png one bit", lambda: saved(Image.fromarray(CHECKS).convert("1"), "PNG"), gray(CHECKS), ""),
    ("png palette", lambda: saved(palette_image(), "PNG"), PALETTE_SHOWN, ""),
    (
        "png palette, one colour clear",
        lambda: saved(palette_image(), "PNG", transparency=0),
        np.where(corners()[..., 1:2] == 255, (200, 210, 220), 255).astype(np.uint8),
        "Transparency laid on white.",
    ),
    ("png rgba, clear", lambda: saved(with_alpha(0), "PNG"), laid_on_white((255, 255, 255)), "laid on white"),
    ("png rgba, a third", lambda: saved(with_alpha(85), "PNG"), laid_on_white((255, 170, 170)), "laid on white"),
    ("png rgba, opaque", lambda: saved(with_alpha(255), "PNG"), corners(), ""),
    (
        "png gray and alpha",
        lambda: saved(Image.fromarray(np.dstack([CHECKS * 0, CHECKS]), "LA"), "PNG"),
        gray(255 - CHECKS),
        "laid on white",
    ),
    (
        "png rgb, one colour clear",
        lambda: saved(corners(), "PNG", transparency=BLUE),
        np.where((corners() == BLUE).all(axis=2, keepdims=True), 255, corners()).astype(np.uint8),
        "laid on white",
    ),
    ("png 16-bit gray", lambda: deep_png(ramp()[..., None]), RAMP_SHOWN, "16-bit data stretched from the 2nd-98th"),
    (
        "png 16-bit colour, all in the lower bits",
        lambda: deep_png(np.dstack([ramp(low=3, high=13), ramp(low=200, high=300), ramp(low=0, high=65535)])),
        RAMP_SHOWN,
        "(3-13, 200-300, 0-65535) per band",
    ),
    (
        "png 16-bit colour and alpha",
        lambda: deep_png(np.dstack([ramp(), ramp(), ramp(), ramp(low=0, high=65535)])),
        np.full((H, W, 3), 255, np.uint8),
        "laid on white",
    ),
    ("png animated", lambda: saved(
        Image.fromarray(corners()), "PNG", save_all=True, append_images=[Image.fromarray(255 - corners())]
    ), corners(), "first frame"),
    ("jpeg gray", lambda: saved(np.full((H, W), 77, np.uint8), "JPEG", quality=100), gray(np.full((H, W), 77)), ""),
    ("webp", lambda: saved(corners(), "WEBP", lossless=True), corners(), ""),
    ("webp clear", lambda: saved(with_alpha(0), "WEBP", lossless=True), laid_on_white((255,) * 3), "laid on white"),
    ("webp animated", lambda: saved(
        Image.fromarray(corners()), "WEBP", lossless=True, save_all=True,
        append_images=[Image.fromarray(255 - corners())],
    ), corners(), "first frame"),
    ("bmp", lambda: saved(corners(), "BMP"), corners(), ""),
    ("bmp palette", lambda: saved(palette_image(), "BMP"), PALETTE_SHOWN, ""),
    ("tiff", lambda: saved(corners(), "TIFF"), corners(), ""),
    ("tiff lzw", lambda: saved(corners(), "TIFF", compression="tiff_lzw"), corners(), ""),
    ("tiff one bit", lambda: saved(Image.fromarray(CHECKS).convert("1"), "TIFF"), gray(CHECKS), ""),
    ("tiff palette", lambda: saved(palette_image(), "TIFF"), PALETTE_SHOWN, ""),
    ("tiff clear", lambda: saved(with_alpha(0), "TIFF"), laid_on_white((255,) * 3), "laid on white"),
    ("tiff clear, multiplied already", lambda: tiff({
        256: (4, [W]), 257: (4, [H]), 258: (3, [8] * 4), 259: (3, [1]), 262: (3, [2]), 277: (3, [4]),
        278: (4, [H]), 279: (4, [4 * W * H]), 338: (3, [1]),
    }, bytes([85, 0, 0, 85]) * (W * H)), np.full((H, W, 3), (255, 170, 170), np.uint8), "laid on white"),
    ("tiff cmyk", lambda: saved(Image.fromarray(corners()).convert("CMYK"), "TIFF"), corners(), "CMYK colours"),
    ("tiff white is zero", lambda: tiff({
        256: (4, [W]), 257: (4, [H]), 258: (3, [8]), 259: (3, [1]), 262: (3, [0]), 277: (3, [1]),
        278: (4, [H]), 279: (4, [W * H]),
    }, STEPS.tobytes()), gray(255 - STEPS), ""),
    ("tiff of two pages", lambda: saved(
        Image.fromarray(corners()), "TIFF", save_all=True, append_images=[Image.fromarray(255 - corners())]
    ), corners(), "first of several pages"),
    ("raster plane by plane", lambda: raster(in_bands(corners()), interleave="band", photometric="rgb"), corners(), ""),
    ("raster tiled, deflated", lambda: raster(
        in_bands(corners(48, 32)), tiled=True, blockxsize=16, blockysize=16, compress="deflate", photometric="rgb"
    ), corners(48, 32), ""),
    ("raster of two bands", lambda: raster(np.stack([STEPS, CHECKS])), gray(STEPS), "2 bands: 1 shown."),
    ("raster of three unnamed bands", lambda: raster(in_bands(corners()), photometric="minisblack"), corners(), ""),
    ("raster of four bands", lambda: raster(
        np.concatenate([in_bands(corners()), STEPS[None]]), photometric="rgb", alpha="no"
    ), corners(), "4 bands: 1-3 shown."),
    ("raster of five bands", lambda: raster(np.stack([STEPS, CHECKS, STEPS, CHECKS, CHECKS])),
     np.dstack([STEPS, CHECKS, STEPS]), "5 bands: 1-3 shown."),
    ("raster whose bands are named otherwise", lambda: raster(
        np.concatenate([in_bands(corners())[::-1], STEPS[None]]), photometric="minisblack",
        colours=["blue", "green", "red", "undefined"],
    ), corners(), "4 bands: 3, 2, 1 shown."),
    ("raster 16-bit", lambda: raster(ramp()[None]), RAMP_SHOWN, "16-bit data stretched from the 2nd-98th percentile "
     "(1000-3000) per band."),
    ("raster 16-bit colour", lambda: raster(np.stack([ramp(), ramp(low=5, high=9), ramp(low=0, high=65535)])),
     RAMP_SHOWN, "(1000-3000, 5-9, 0-65535) per band"),
    ("raster signed, below zero", lambda: raster(ramp(np.int16, -20, 40)[None]), RAMP_SHOWN, "(-20-40)"),
    ("raster float 0-1", lambda: raster(ramp(np.float32, 0, 1)[None]), RAMP_SHOWN, "32-bit float data stretched"),
    ("raster float, very large", lambda: raster(ramp(np.float64, -1.7e308, 1.7e308)[None]), RAMP_SHOWN, "64-bit"),
    ("raster float, very small", lambda: raster(ramp(np.float64, 0, 5e-324)[None]), RAMP_SHOWN, "64-bit"),
    ("raster 32-bit whole", lambda: raster(ramp(np.uint32, 0, 4e9)[None]), RAMP_SHOWN, "uint32 data stretched"),
    ("raster constant", lambda: raster(np.full((1, H, W), 7, np.uint16)), gray(np.full((H, W), 128)),
     "Band 1 is constant (7): shown mid-gray."),
    ("raster palette of 16-bit indices", lambda: tiff({
        256: (4, [W]), 257: (4, [H]), 258: (3, [16]), 259: (3, [1]), 262: (3, [3]), 277: (3, [1]), 278: (4, [H]),
        279: (4, [2 * W * H]),
        320: (3, [257 * c for pair in ((10, 200), (20, 210), (30, 220)) for c in (*pair, *[0] * 65534)]),
    }, np.where(corners()[..., 1] == 255, 1, 0).astype("<u2").tobytes()), PALETTE_SHOWN, ""),
]  # fmt: skip


@pytest.mark.parametrize(("word", "make", "pixels", "note"), GOOD, ids=[row[0] for row in GOOD])
def test_exact_pixels(word: str, make: Callable[[], bytes], pixels: np.ndarray, note: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.dat"  # told by content, never by the name
    file.write_bytes(make())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = load(file)
    assert picture.pixels.dtype == np.uint8 and picture.pixels.flags.c_contiguous and picture.pixels.flags.writeable
    assert np.array_equal(picture.pixels, pixels)
    assert (note in " ".join(picture.notes)) if note else picture.notes == ()
    assert picture.georef is None
    assert picture.name == "picture.dat"
    assert np.array_equal(load(str(file)).pixels, load(file.read_bytes()).pixels)


LETTERS = {"a": RED, "b": GREEN, "c": BLUE, "d": YELLOW}
TURNED = ["abcd", "badc", "dcba", "cdab", "acbd", "cadb", "dbca", "bdac"]  # corners as EXIF 1 to 8 should show them


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    picture = load(saved(corners(48, 32), kind, exif=exif, **options))
    height, width = picture.pixels.shape[:2]
    assert (width, height) == ((48, 32) if orientation < 5 else (32, 48))
    found = [picture.pixels[y, x].astype(int) for y in (2, height - 3) for x in (2, width - 3)]
    for corner, letter in zip(found, TURNED[orientation - 1], strict=True):
        assert np.abs(corner - LETTERS[letter]).max() <= 3
    assert picture.notes == (("EXIF orientation applied.",) if orientation > 1 else ())


def test_jpeg_colours_and_cmyk() -> None:
    flat = np.full((H, W, 3), (200, 100, 50), np.uint8)
    assert np.abs(load(saved(flat, "JPEG", quality=100)).pixels.astype(int) - flat).max() <= 2
    cmyk = load(saved(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=100))
    assert np.abs(cmyk.pixels.astype(int) - flat).max() <= 4
    assert "CMYK" in cmyk.notes[0]


def test_percentiles_cut_the_outliers_off() -> None:
    values = np.full((100, 100), 500, np.uint16)
    values[:, :50] = 100
    values[0, :5], values[0, -5:] = 0, 65535
    picture = load(raster(values[None]))
    assert picture.notes == ("16-bit data stretched from the 2nd-98th percentile (100-500) per band.",)
    assert picture.pixels[50, 10].tolist() == [0, 0, 0] and picture.pixels[50, 90].tolist() == [255] * 3


def test_a_few_bright_pixels_on_constant_ground_stay_visible() -> None:
    values = np.full((100, 100), 7.0, np.float32)
    values[3, 4] = 9.0
    picture = load(values)
    assert picture.pixels[3, 4, 0] == 255 and picture.pixels[50, 50, 0] == 0


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, -9999.0])
def test_what_is_no_data_does_not_stretch_and_is_black(hole: float) -> None:
    values = ramp(np.float32, 10, 20)
    values[9, :3] = hole
    picture = load(raster(values[None], nodata=-9999.0))
    assert picture.pixels[0, 0].tolist() == [0, 0, 0] and picture.pixels[9, 11].tolist() == [255] * 3
    assert picture.pixels[9, 0].tolist() == [0, 0, 0]
    assert "(10-20)" in picture.notes[0] and picture.notes[1] == "3 pixels without data shown black."


def test_one_band_of_three_without_data() -> None:
    bands = np.stack([ramp(np.float32), np.full((H, W), np.nan, np.float32), ramp(np.float32)])
    picture = load(raster(bands))
    assert picture.pixels[..., 1].max() == 0 and picture.pixels[..., 0].max() == 255
    assert "Band 2 holds no valid value: shown black." in picture.notes


def test_a_georeference_comes_along() -> None:
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.Affine(0.5, 0, 404211.5, 0, -0.25, 3285142.0)
    for bands in (in_bands(corners()), ramp()[None]):  # one by PIL, one by rasterio
        picture = load(raster(bands, crs="EPSG:32617", transform=transform))
        assert picture.georef is not None
        assert picture.georef.crs == "EPSG:32617"
        assert picture.georef.transform == (0.5, 0.0, 404211.5, 0.0, -0.25, 3285142.0)
        assert picture.georef.to_world(W, H) == (404217.5, 3285139.5)
    own = "+proj=tmerc +lat_0=12 +lon_0=34 +k=0.9 +x_0=7 +ellps=GRS80 +units=m"
    picture = load(raster(ramp()[None], crs=own, transform=transform))
    assert picture.georef is not None and picture.georef.crs.startswith("PROJCS")
    assert picture.georef.pixel_area_m2() == pytest.approx(0.125)


def test_a_georeferenced_picture_is_never_turned() -> None:
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.Affine(1, 0, 5, 0, -1, 6)
    data = raster(in_bands(corners()), crs="EPSG:32617", transform=transform, photometric="rgb")
    image = Image.open(io.BytesIO(data))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (33550, 33922, 34735, 34736, 34737):
        if tag in image.tag_v2:
            tags.tagtype[tag] = image.tag_v2.tagtype[tag]
            tags[tag] = image.tag_v2[tag]
    tags[274] = 6
    picture = load(saved(corners(), "TIFF", tiffinfo=tags))
    assert picture.georef is not None and picture.georef.transform[2] == 5
    assert np.array_equal(picture.pixels, corners())
    assert picture.notes == ()


def test_a_georeference_without_sense_is_left_out_and_said() -> None:
    rasterio = pytest.importorskip("rasterio")
    picture = load(raster(in_bands(corners()), crs="EPSG:32617", photometric="rgb"))
    assert picture.georef is None and "no position" in picture.notes[0]
    picture = load(raster(in_bands(corners()), transform=rasterio.Affine(2, 0, 1, 0, -2, 1), photometric="rgb"))
    assert picture.georef is None and "no coordinate reference system" in picture.notes[0]


def test_sidecar_files_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(raster(ramp()[None]))
    (tmp_path / "a.tfw").write_text("1\n0\n0\n-1\n5\n6\n")
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:32617</SRS></PAMDataset>")
    assert load(file).georef is None and load(file).notes == load(file.read_bytes()).notes
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tfw", "a.tif", "a.tif.aux.xml"]


def test_overviews_are_no_pages(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "a.tif"
    path.write_bytes(raster(in_bands(corners(64, 64)), crs="EPSG:32617", transform=(1, 0, 5, 0, -1, 6)))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    with Image.open(path) as pages:
        assert pages.n_frames == 3
    picture = load(path)
    assert np.array_equal(picture.pixels, corners(64, 64)) and picture.notes == ()


def bomb_png() -> bytes:
    """144 million pixels in some 17 KB."""
    return png(12000, 12000, 1, 0, bytes((1 + 1500) * 12000))


PLAIN_PNG, PLAIN_JPEG = saved(corners(300, 200), "PNG"), saved(STEPS.repeat(20, 0).repeat(20, 1), "JPEG")
NOISE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)

# word, what comes, what the message names, a way out
REFUSED: list[tuple[str, Callable[[], bytes], str, str]] = [
    ("empty", lambda: b"", "empty (0 bytes)", "again"),
    ("png cut off", lambda: saved(NOISE, "PNG")[:9000], "truncated or damaged", "again"),
    ("png header only", lambda: PLAIN_PNG[:33], "truncated or damaged", "again"),
    ("jpeg cut off", lambda: saved(NOISE, "JPEG")[:3000], "truncated or damaged", "again"),
    ("webp cut off", lambda: saved(NOISE, "WEBP")[:2000], "truncated or damaged", "again"),
    ("bmp cut off", lambda: saved(NOISE, "BMP")[:2000], "truncated or damaged", "again"),
    ("tiff cut off", lambda: saved(NOISE, "TIFF")[:20000], "truncated or damaged", "again"),
    ("tiff lzw cut off", lambda: raster(in_bands(NOISE), compress="lzw")[:20000], "truncated or damaged", "again"),
    ("16-bit tiff cut off", lambda: raster(ramp().repeat(9, 0)[None])[:1500], "truncated or damaged", "again"),
    ("png without its header", lambda: PLAIN_PNG.replace(b"IHDR", b"IHDX"), "truncated or damaged", "again"),
    ("web page", lambda: b"<!DOCTYPE html><html><body>404</body></html>", "HTML", "Save it as PNG"),
    ("drawing", lambda: b'<?xml version="1.0"?><svg xmlns="x"><image href="file:///etc/passwd"/></svg>', "SVG", "PNG"),
    ("xml that reads files", lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
     "XML", "PNG"),
    ("virtual raster", lambda: b'<VRTDataset rasterXSize="20"><SourceFilename>/vsicurl/http://a/b', "virtual", "PNG"),
    ("archive", lambda: b"PK\x03\x04" + bytes(50), "ZIP", "PNG"),
    ("document", lambda: b"%PDF-1.7\n" + bytes(50), "PDF", "PNG"),
    ("gif", lambda: saved(palette_image(), "GIF"), "GIF", "PNG"),
    ("jpeg 2000", lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000", "PNG"),
    ("telephone picture", lambda: b"\0\0\0\x18ftypheic" + bytes(50), "HEIC", "PNG"),
    ("sound", lambda: b"RIFF\x24\0\0\0WAVEfmt ", "sound", "PNG"),
    ("array file", lambda: b"\x93NUMPY\x01\0" + bytes(50), "NumPy", "PNG"),
    ("words", lambda: b"This is no picture.\n", "text", "PNG"),
    ("words that begin like a bitmap", lambda: b"BMW and other makes of car, in some detail", "damaged", "PNG"),
    ("zeros", lambda: bytes(1000), "no known image format", "PNG"),
    ("png claiming too much", lambda: png(100_000, 100_000, 8, 2, b"x"), "100000 x 100000", "Cut a part"),
    ("png bomb", bomb_png, "144.0 million pixels", "Cut a part"),
    ("bmp claiming too much", lambda: saved(NOISE, "BMP")[:18] + struct.pack("<ii", 50000, 50000)
     + saved(NOISE, "BMP")[26:], "50000 x 50000", "Cut a part"),
    ("webp claiming too much", lambda: b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2 + bytes(8),
     "16777216 x 16777216", "Cut a part"),
    ("tiff claiming too much", lambda: giant_tiff(100_000, 100_000), "100000 x 100000", "gdal_translate"),
    ("tiff of the largest numbers", lambda: giant_tiff(2**32 - 1, 2**32 - 1), "", ""),
    ("tiff of giant tiles", lambda: tiff({
        256: (4, [20]), 257: (4, [20]), 258: (3, [16]), 259: (3, [8]), 262: (3, [1]), 277: (3, [1]),
        322: (4, [2**20]), 323: (4, [2**20]), 324: (4, [8]), 325: (4, [100]),
    }, bytes(100)), "tile", "Save it anew"),
    ("png of no pixels", lambda: png(0, 0, 8, 2, b""), "", ""),
    ("png of no width", lambda: png(0, 100, 8, 2, b""), "", ""),
    ("tiff of no pixels", lambda: giant_tiff(0, 0), "", ""),
    ("tiny", lambda: saved(corners(7, 9), "PNG"), "7 x 9", "larger picture"),
    ("thin", lambda: saved(corners(420, 20), "PNG"), "at most 20 times", "Cut it into pieces"),
    ("tall", lambda: saved(corners(20, 420), "TIFF"), "at most 20 times", "Cut it into pieces"),
    ("all not a number", lambda: raster(np.full((1, H, W), np.nan, np.float32)), "no valid pixel", "another part"),
    ("all no data", lambda: raster(np.full((3, H, W), 9, np.int16), nodata=9), "no valid pixel", "another part"),
    ("complex", lambda: raster(ramp(np.complex64)[None]), "complex", "magnitude"),
    ("compressed note that swells", lambda: with_chunk(
        PLAIN_PNG, chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(80_000_000)))), "damaged", "PNG"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "make", "names", "way_out"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_in_words(word: str, make: Callable[[], bytes], names: str, way_out: str, tmp_path: Path) -> None:
    file = tmp_path / "holiday.png"
    file.write_bytes(make())
    began = time.perf_counter()
    with warnings.catch_warnings(), pytest.raises(ImageError) as caught:
        warnings.simplefilter("error")
        load(file)
    message = str(caught.value)
    assert "holiday.png" in message and names in message and way_out in message
    assert message.endswith(".") and len(message) < 500
    assert time.perf_counter() - began < 2


def test_too_many_bytes_are_not_even_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.tif"
    with file.open("wb") as hole:
        hole.truncate(2**40)
    with pytest.raises(ImageError, match=r"huge.tif has 1048576.0 MiB; at most 64 MiB.*gdal_translate"):
        load(file)
    with pytest.raises(ImageError, match="MiB"):
        load(PLAIN_PNG, limits=Limits(max_bytes=100))


def test_limits_are_inclusive() -> None:
    exact = Limits(max_bytes=len(PLAIN_PNG), max_pixels=60_000, min_side=200, max_aspect=1.5)
    assert load(PLAIN_PNG, limits=exact).pixels.shape == (200, 300, 3)
    for tighter in (Limits(max_pixels=59_999), Limits(min_side=201), Limits(max_aspect=1.49)):
        with pytest.raises(ImageError):
            load(PLAIN_PNG, limits=tighter)


@pytest.mark.parametrize(
    ("word", "source", "says"),
    [
        ("nothing", "", "Give the path"),
        ("a zero in the path", "pic\0ture.png", "Give the path"),
        ("an address", "https://example.org/a.png", "Download the image first"),
        ("a virtual path", "/vsicurl/https://example.org/a.tif", "Download the image first"),
        ("another virtual path", "/vsizip/a.zip/a.tif", "no file"),
        ("a missing file", "nowhere/a.png", "no file nowhere/a.png.*Check the path"),
        ("a name too long", "a" * 5000, "cannot be opened"),
        ("a file used as a folder", f"{__file__}/a.png", "cannot be opened"),
        ("a device", os.devnull, "device"),
        ("a number", 7, "int came"),
        ("none at all", None, "NoneType came"),
    ],
)
def test_paths_that_lead_nowhere(word: str, source: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        load(source)


def test_a_folder_and_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is a folder.*one file in it"):
        load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match="pipe"):
            load(tmp_path / "pipe.png")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(PLAIN_PNG)

    def refuse(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ImageError, match=r"secret\.png may not be read: permission denied.*chmod"):
        load(file)


def test_truncation_is_refused_even_where_another_library_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError, match="truncated"):
        load(saved(NOISE, "JPEG")[:3000])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(
    ("word", "array", "shown", "note"),
    [
        ("rgb", corners(), corners(), ""),
        ("gray", STEPS, gray(STEPS), ""),
        ("gray with an axis", STEPS[..., None], gray(STEPS), ""),
        ("rgba", with_alpha(0), laid_on_white((255, 255, 255)), "laid on white"),
        ("bool", CHECKS > 0, gray(CHECKS), ""),
        ("16-bit", ramp(), RAMP_SHOWN, "16-bit data stretched"),
        ("big-endian", ramp(">u2"), RAMP_SHOWN, "16-bit data stretched"),
        ("half floats", ramp(np.float16, 0, 1), RAMP_SHOWN, "float16 data stretched"),
        ("six bands", np.dstack([STEPS] * 6), gray(STEPS), "6 bands: 1-3 shown"),
    ],
)
def test_arrays(word: str, array: np.ndarray, shown: np.ndarray, note: str) -> None:
    before = array.copy()
    picture = load(array)
    assert np.array_equal(picture.pixels, shown)
    assert (note in " ".join(picture.notes)) if note else picture.notes == ()
    picture.pixels[...] = 99
    assert np.array_equal(array, before), "the result must not share the caller's memory"


@pytest.mark.parametrize(
    ("word", "array", "says"),
    [
        ("one axis", np.zeros(50), "(H, W)"),
        ("a batch", np.zeros((2, 20, 20, 3)), "out of a batch"),
        ("complex", np.zeros((20, 20), complex), "magnitude"),
        ("objects", np.empty((20, 20), object), "real numbers"),
        ("bands first", np.zeros((3, 200, 200), np.uint8), "transpose(1, 2, 0)"),
        ("no bands", np.zeros((20, 20, 0)), "no band"),
        ("no pixels", np.zeros((0, 0, 3), np.uint8), "at least 8"),
        ("too large, without the memory", np.broadcast_to(np.uint8(0), (10**5, 10**5)), "million pixels"),
    ],
)
def test_arrays_refused(word: str, array: np.ndarray, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(array)
    assert says in str(caught.value)


def test_pil_images(tmp_path: Path) -> None:
    image = Image.fromarray(with_alpha(0))
    picture = load(image)
    assert np.array_equal(picture.pixels, laid_on_white((255, 255, 255))) and picture.name == "the image"
    assert image.mode == "RGBA"
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(corners()).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        picture = load(opened)
    assert np.array_equal(picture.pixels, corners()[::-1, ::-1]) and picture.name == "turned.png"
    deep = load(Image.open(io.BytesIO(deep_png(np.dstack([ramp(low=1, high=2)] * 3)))))
    assert np.array_equal(deep.pixels, RAMP_SHOWN)
    for mode in ("1", "L", "P", "I", "F", "LAB", "HSV", "YCbCr", "CMYK", "RGBX", "La", "RGBa", "I;16"):
        assert load(Image.new(mode, (20, 30))).pixels.shape == (30, 20, 3)


def test_damaged_exif_leaves_the_picture_as_it_lies() -> None:
    data = saved(corners(), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = load(with_chunk(data, chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff broken")))
    assert np.array_equal(picture.pixels, corners())


def test_without_rasterio(monkeypatch: pytest.MonkeyPatch) -> None:
    geo = raster(in_bands(corners()), crs="EPSG:32617", transform=(1, 0, 5, 0, -1, 6), photometric="rgb")
    five, real = raster(np.stack([STEPS] * 5)), raster(ramp(np.float32)[None])
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert np.array_equal(load(saved(corners(), "TIFF", compression="tiff_lzw")).pixels, corners())
    picture = load(geo)
    assert np.array_equal(picture.pixels, corners()) and picture.georef is None
    assert picture.notes == ("The file's georeference was left out: rasterio is not installed.",)
    for data in (five, real):
        with pytest.raises(ImageError, match="pip install rasterio"):
            load(data)


def samples() -> list[bytes]:
    small = NOISE[:24, :32]
    exif = Image.Exif()
    exif[274] = 6
    return [
        saved(small, "PNG", exif=exif),
        saved(palette_image(), "PNG", transparency=0),
        deep_png(np.dstack([ramp()] * 3)),
        saved(small, "JPEG", exif=exif),
        saved(small, "WEBP"),
        saved(small, "WEBP", lossless=True, exif=exif),
        saved(palette_image(), "BMP"),
        saved(small, "TIFF", compression="tiff_lzw"),
        saved(small, "TIFF"),
        raster(in_bands(small), crs="EPSG:32617", transform=(1, 0, 5, 0, -1, 6)),
        raster(np.stack([ramp()] * 5), compress="deflate", nodata=3),
        raster(ramp(np.float32)[None], tiled=True, blockxsize=16, blockysize=16),
    ]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A valid file with some bytes changed (mostly in its header), cut off, doubled or swapped."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        reach = len(changed) if rng.random() < 0.3 else min(len(changed), 200)
        at = int(rng.integers(0, max(reach, 1)))
        kind = rng.integers(0, 6)
        if kind <= 2 and changed:
            changed[at] = int(rng.choice([0, 1, 2, 127, 128, 255, int(rng.integers(256))]))
        elif kind == 3:
            del changed[int(rng.integers(0, len(changed) + 1)) :]
        elif kind == 4:
            del changed[at : at + int(rng.integers(1, 20))]
        else:
            changed[at:at] = rng.bytes(int(rng.integers(1, 20)))
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_nothing_but_image_errors_from_damaged_files() -> None:
    valid = samples()
    opened = refused = 0
    began = time.perf_counter()
    for seed in range(500):
        rng = np.random.default_rng(seed)
        data = mutated(valid[seed % len(valid)], rng)
        try:
            picture = load(data)
            assert picture.pixels.ndim == 3 and picture.pixels.dtype == np.uint8
            opened += 1
        except ImageError as error:
            assert str(error)
            refused += 1
    assert opened > 20 and refused > 100
    assert time.perf_counter() - began < 20


@pytest.mark.filterwarnings("ignore")
def test_nothing_but_image_errors_from_random_bytes() -> None:
    heads = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"RIFF1234WEBP"]
    for seed in range(500):
        rng = np.random.default_rng(seed)
        with pytest.raises(ImageError):
            load(heads[seed % len(heads)] + rng.bytes(int(rng.integers(0, 300))))


def test_the_decoders_are_not_left_changed() -> None:
    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_MEMORY
    load(PLAIN_PNG)
    with pytest.raises(ImageError):
        load(bomb_png())
    after = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_MEMORY
    assert after == before
