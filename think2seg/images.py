"""Any picture a person may bring becomes (H, W, 3) uint8 RGB, a georeference or None, and notes on what was done.

PNG, JPEG, WebP, BMP, TIFF and GeoTIFF, told by their first bytes and never by a name; everything else is an
`ImageError` that says what came and the way out. Files are not trusted: sizes are checked from the header before
anything is decoded, and only the decoder of the recognised format runs. Values deeper than 8 bits are stretched band
by band (`think2seg.rasters`), which serves eyes and models trained on photographs and loses radiometry. It knows no
models and no pages; colour profiles are ignored. rasterio is imported only for the files that need it.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from think2seg.errors import ImageError
from think2seg.geo import Georef
from think2seg.rasters import Limits, Pixels, chosen_bands, on_white, read_raster, shown

Source = str | Path | bytes | Image.Image | NDArray[Any]


FORMATS = "PNG, JPEG, WebP, BMP, TIFF or GeoTIFF"


@dataclass(frozen=True, eq=False)
class Picture:
    """A loaded picture: (H, W, 3) uint8 RGB, its georeference, plain sentences on what was done, and its name."""

    pixels: Pixels
    georef: Georef | None
    notes: tuple[str, ...]
    name: str


# What the decoders of broken files were seen to raise, or document; anything else is our bug and stays loud.
_BROKEN: tuple[type[BaseException], ...] = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, AttributeError, RuntimeError,
    AssertionError, MemoryError, struct.error, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP"),
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
    (b"GIF8", "a GIF"), (b"PK\x03\x04", "a ZIP archive or office document"), (b"%PDF", "a PDF document"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\x93NUMPY", "a NumPy array"), (b"\x89HDF", "HDF5 or NetCDF"),
    (b"\x1f\x8b", "a gzip archive"), (b"8BPS", "a Photoshop document"), (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)  # fmt: skip
_OPENERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_TURNS = dict(zip(range(2, 9), (Image.Transpose(t) for t in (0, 3, 1, 5, 4, 6, 2)), strict=True))  # EXIF 2-8
_GEO_TAGS = (33550, 33922, 34264, 34735)
_LIMITS = Limits()
_DECODING = threading.Lock()
_NO_RASTERIO = "reading it needs rasterio, which is not installed. Run `pip install rasterio`, or save it as PNG"


def load(source: Source, *, limits: Limits = _LIMITS) -> Picture:
    """Load a picture from a path, a file's bytes, a PIL image or an array.

    Arrays are (H, W) or (H, W, bands), bands as in a file: uint8 with 4 is RGBA; other depths are stretched. The
    caller's object is not changed and shares no memory with the result. Every failure is an `ImageError`.
    """
    if isinstance(source, np.ndarray):
        return _load_array(source, limits)
    if isinstance(source, Image.Image):
        notes: list[str] = []
        name = Path(str(getattr(source, "filename", "") or "the image")).name
        limits.check(source.size, name)
        with decoding(name):
            return Picture(_from_pil(source, name, notes), None, tuple(notes), name)
    if isinstance(source, bytes):
        name, data = "the image", source
    elif isinstance(source, str | Path):
        name, data = _read_file(source, limits)
    else:
        raise ImageError(f"An image must be a path, bytes, a PIL image or an array; {type(source).__name__} came.")
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Send it again; the upload or download may have been cut off.")
    if len(data) > limits.max_bytes:
        raise ImageError(_too_heavy(name, len(data), limits))
    kind = _kind(data)
    if kind not in _OPENERS:
        raise ImageError(f"{name} is not a picture that can be read here: it holds {kind}. Save it as {FORMATS}.")
    return _load_tiff(data, name, limits) if kind == "TIFF" else _load_plain(data, kind, name, limits)


def _read_file(source: str | Path, limits: Limits) -> tuple[str, bytes]:
    text, path = os.fspath(source), Path(source)
    name = path.name.replace("\0", "\\0") or repr(text)
    if not text or "\0" in text:
        raise ImageError(f"{text!r} cannot be the path of an image. Give the path of a {FORMATS} file.")
    if "://" in text and not path.exists():
        raise ImageError(f"{text[:100]!r} is an address, not a file. Download the image first, then give its path.")
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{text} is a folder, not an image. Give the path of one file in it.")
        if not stat.S_ISREG(mode):
            raise ImageError(f"{text} is a pipe, socket or device, not a file. Give the path of a {FORMATS} file.")
        # Not blocking, should the file have become a pipe since; O_BINARY matters on Windows alone.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(text, flags), "rb") as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            if size > limits.max_bytes:
                raise ImageError(_too_heavy(name, size, limits))
            return name, file.read(limits.max_bytes + 1)
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {text}. Check the path, or that the upload has finished.") from error
    except PermissionError as error:
        raise ImageError(f"{text} may not be read: permission denied. Allow it (`chmod a+r`) or copy it.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{text!r} cannot be opened: {error}. Check the path, or copy the file elsewhere.") from error


def _too_heavy(name: str, size: int, limits: Limits) -> str:
    return (
        f"{name} has {size / 2**20:.1f} MiB; at most {limits.max_bytes / 2**20:g} MiB are read. Cut a part out of it "
        "(`gdal_translate -srcwin 0 0 4096 4096 in.tif out.tif`) or save it compressed."
    )


def _kind(data: bytes) -> str:
    """A format of `_OPENERS`, or words for what else the bytes seem to be."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else "sound or video"
    if data[4:8] == b"ftyp":
        return "HEIC, AVIF or video"
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for word, kind in ((b"<svg", "an SVG drawing"), (b"<vrtdataset", "a GDAL virtual data set"), (b"<html", "HTML")):
        if start[:1] == b"<" and word in start:
            return kind
    if start.startswith((b"<!doctype html", b"<?xml", b"{", b"[")):
        return "HTML, XML or JSON text"
    text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in data[:512])
    return "text" if text else "bytes of no known image format"


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """One decoding at a time (the peak of memory is one picture's), strict about truncation, failing in words."""
    with _DECODING:
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        except _BROKEN as error:
            why = " ".join(str(error).split())[:160] or type(error).__name__
            raise ImageError(
                f"{name} cannot be decoded; it is truncated or damaged ({why}). Send it again, or open it in an image "
                "program and save it as PNG."
            ) from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _load_plain(data: bytes, kind: str, name: str, limits: Limits) -> Picture:
    notes: list[str] = []
    with decoding(name):
        if kind == "WebP":  # its decoder takes memory for the whole canvas as soon as it is opened
            limits.check(_webp_size(data), name)
        # The plugin's class and not Image.open: one format only, and no process-wide bomb warnings.
        image = _OPENERS[kind](io.BytesIO(data))
        limits.check(image.size, name)
        if getattr(image, "is_animated", False):
            notes.append("Animated: the first frame is shown.")
        return Picture(_from_pil(image, name, notes), None, tuple(notes), name)


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _from_pil(image: Image.Image, name: str, notes: list[str]) -> Pixels:
    """Pixels of any PIL image, upright and opaque; `notes` grows. TIFFs turn themselves while they load."""
    low = _low_bytes(image)
    turns_itself = isinstance(image, TiffImagePlugin.TiffImageFile)
    orientation = _orientation(image) if turns_itself else 1
    image.load()
    orientation = orientation if turns_itself else _orientation(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels = shown(((1, np.asarray(image), None),), image.size, name, notes)
    elif low is not None:
        deep = np.asarray(image).astype(np.uint16) << 8 | low
        pixels = shown(((i + 1, deep[..., i], None) for i in range(3)), image.size, name, notes)
        if deep.shape[2] == 4:
            pixels = on_white(pixels, np.asarray(image)[..., 3], notes)
    elif image.has_transparency_data:
        rgba = np.asarray((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
        pixels = on_white(rgba[..., :3].copy(), rgba[..., 3], notes)
    else:
        if image.mode not in ("1", "L", "P", "RGB"):
            notes.append(f"{image.mode} colours converted to RGB, without a colour profile.")
        pixels = np.array(image.convert("RGB"))
    if orientation in _TURNS:
        notes.append("EXIF orientation applied.")
        if not turns_itself:
            pixels = np.array(Image.fromarray(pixels).transpose(_TURNS[orientation]))
    return pixels


def _orientation(image: Image.Image) -> int:
    try:
        tag = image.tag_v2.get(274) if isinstance(image, TiffImagePlugin.TiffImageFile) else image.getexif().get(274)
        return tag if isinstance(tag, int) else 1
    except _BROKEN:
        return 1  # damaged EXIF leaves the picture as it lies


def _low_bytes(image: Image.Image) -> NDArray[np.uint8] | None:
    """The lower 8 bits of a 16-bit colour PNG, (H, W, 3 or 4); None for every other image.

    PIL keeps only the upper 8; asking it to read the same stream as little-endian hands over the others.
    """
    if not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile or image.fp is None:
        return None
    raw = image.tile[0].args
    if raw not in ("RGB;16B", "RGBA;16B"):
        return None
    image.fp.seek(0)
    twin = PngImagePlugin.PngImageFile(io.BytesIO(image.fp.read()))
    image.fp.seek(image.tile[0].offset)
    twin.tile = [twin.tile[0]._replace(args=str(raw).replace("16B", "16L"))]
    return np.asarray(twin)


def _load_array(array: NDArray[Any], limits: Limits) -> Picture:
    name, notes = "the array", list[str]()
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.dtype.kind not in "buif":
        raise ImageError(
            f"An array must be (H, W) or (H, W, bands) of whole or real numbers; {array.shape} {array.dtype} came. "
            "Take one image out of a batch, and the magnitude of complex values."
        )
    height, width, count = array.shape
    if count > 16 and height <= 16:
        raise ImageError(f"{array.shape} looks like bands first. Give (H, W, bands): `array.transpose(1, 2, 0)`.")
    limits.check((width, height), name)
    if count == 0:
        raise ImageError("The array has no band. Give (H, W) or (H, W, bands).")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    rgba = count == 4 and array.dtype == np.uint8
    chosen = chosen_bands(count, None, 3 if rgba else None, notes)
    with decoding(name):
        pixels = shown(((i + 1, array[..., i], None) for i in chosen), (width, height), name, notes)
    if rgba:
        pixels = on_white(pixels, array[..., 3], notes)
    return Picture(pixels, None, tuple(notes), name)


def _load_tiff(data: bytes, name: str, limits: Limits) -> Picture:
    """PIL reads plain 8-bit pictures; rasterio reads more bands, other depths, and where the picture lies."""
    notes: list[str] = []
    try:
        import rasterio  # noqa: F401

        missing = False
    except ImportError:
        missing = True
    with decoding(name):
        try:
            image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
            limits.check(image.size, name)
            tags = image.tag_v2
            if tags.get(322, 1) * tags.get(323, 1) > limits.max_pixels:
                raise ImageError(f"{name} has tiles larger than any picture read here. Save it anew as PNG.")
            geo, plain = any(tag in tags for tag in _GEO_TAGS), _is_plain(image)
        except _BROKEN as error:  # PIL knows fewer kinds than GDAL, whose word on a broken file is the last
            if missing:
                raise ImageError(f"{name} is damaged, or no plain 8-bit TIFF; {_NO_RASTERIO}.") from error
            geo = plain = False
        if plain and (not geo or missing or _orientation(image) == 1):
            georef = None
            if geo and missing:
                notes.append("The file's georeference was left out: rasterio is not installed.")
            elif geo:
                try:
                    georef = read_raster(data, name, limits, notes, pixels=False)[1]
                except ValueError as error:  # the picture itself may well be sound
                    notes.append(f"The file's georeference cannot be read and was left out: {error}.")
            picture = Picture(_from_pil(image, name, notes), georef, (), name)
        elif missing:
            raise ImageError(f"{name} is a TIFF of more bands or bits than 8-bit gray or colour; {_NO_RASTERIO}.")
        else:
            pixels, georef = read_raster(data, name, limits, notes, pixels=True)
            assert pixels is not None
            picture = Picture(pixels, georef, (), name)
        if _has_second_page(data):
            notes.append("The first of several pages is shown.")
    return Picture(picture.pixels, picture.georef, tuple(notes), name)


def _is_plain(image: TiffImagePlugin.TiffImageFile) -> bool:
    """At most 8 bits a sample and no band beyond gray, palette, RGB, CMYK or YCbCr with or without alpha."""
    tags = image.tag_v2
    bits, formats, extra = tags.get(258, (1,)), tags.get(339, (1,)), tags.get(338, ())
    if max(bits) > 8 or set(formats) != {1}:
        return False
    colours = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}.get(tags.get(262, 1))
    alpha = len(extra) == 1 and extra[0] in (1, 2)
    return colours is not None and tags.get(277, 1) == colours + alpha and (alpha or not extra)


def _has_second_page(data: bytes) -> bool:
    """Whether another full page follows; overviews and masks of the first do not count."""
    try:
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        image.seek(1)
        return not image.tag_v2.get(254, 0) & 5
    except _BROKEN:
        return False
