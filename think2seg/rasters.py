"""Bands of any number and depth become (H, W, 3) uint8 RGB; and GeoTIFF, read by rasterio, becomes bands.

8-bit values are never changed; deeper ones are stretched, and `notes` (a list that grows by plain sentences) says so.
It also holds the limits that every reader checks before it decodes. It knows no other formats and no files: rasterio
sees an in-memory copy through GDAL's GTiff driver alone, so that no sidecar file, virtual or remote data set opens.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import GeoError, ImageError
from think2seg.geo import Georef

Pixels = NDArray[np.uint8]
Band = tuple[int, NDArray[Any], NDArray[np.bool_] | None]
"""Its number from 1, its (H, W) values, and where they are valid (None: everywhere)."""

_DEPTHS = {"uint16": "16-bit", "int16": "Signed 16-bit", "float32": "32-bit float", "float64": "64-bit float"}


@dataclass(frozen=True)
class Limits:
    """What is too much: bytes of the file, pixels of the picture, a side too short, a shape too thin."""

    max_bytes: int = 64 * 2**20
    max_pixels: int = 64_000_000
    min_side: int = 8
    max_aspect: float = 20.0

    def check(self, size: tuple[int, int], name: str) -> None:
        """Refuse, by `ImageError`, a (width, height) too large, too small or too thin; `name` goes into the words."""
        width, height = size
        if width * height > self.max_pixels:
            raise ImageError(
                f"{name} is {width} x {height} = {width * height / 1e6:.1f} million pixels; at most "
                f"{self.max_pixels / 1e6:g} million are read. Cut a part out of it (a GeoTIFF: "
                "`gdal_translate -srcwin 0 0 4096 4096 in.tif out.tif`) or make it smaller."
            )
        if min(width, height) < self.min_side:
            raise ImageError(
                f"{name} is {width} x {height} pixels; each side needs at least {self.min_side}. Send a larger picture."
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise ImageError(
                f"{name} is {width} x {height} pixels; the longer side may be at most {self.max_aspect:g} times the "
                "shorter. Cut it into pieces."
            )


def read_raster(
    data: bytes, name: str, limits: Limits, notes: list[str], *, pixels: bool
) -> tuple[Pixels | None, Georef | None]:
    """The raster's pixels (where asked for) and its georeference, by rasterio."""
    import rasterio
    from rasterio._err import CPLE_BaseError  # what GDAL itself reports: some of it comes through unwrapped
    from rasterio.enums import ColorInterp
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    quiet = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "PROJ_NETWORK": "OFF"}
    try:
        with warnings.catch_warnings(), rasterio.Env(**quiet), MemoryFile(data) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(driver="GTiff") as raster:
                georef = _georef(raster, notes)
                if not pixels:
                    return None, georef
                size = raster.width, raster.height
                limits.check(size, name)
                block_h, block_w = raster.block_shapes[0]
                if any(d.startswith("complex") for d in raster.dtypes):
                    raise ImageError(f"{name} holds complex numbers ({raster.dtypes[0]}). Save their magnitude.")
                if block_h * block_w * raster.count > 16 * limits.max_pixels:
                    raise ImageError(
                        f"{name} cannot be read piece by piece: one tile is {block_w} x {block_h} x {raster.count}. "
                        "Save it anew with `gdal_translate -co TILED=YES in.tif out.tif`."
                    )
                interp = list(raster.colorinterp)
                if interp == [ColorInterp.palette]:
                    colours = np.zeros((65536, 3), dtype=np.uint8)
                    for index, rgba in raster.colormap(1).items():
                        colours[index] = rgba[:3]
                    return colours[raster.read(1)], georef
                alpha = interp.index(ColorInterp.alpha) if ColorInterp.alpha in interp[1:] else None
                rgb = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
                named = [interp.index(colour) for colour in rgb] if set(rgb) <= set(interp) else None
                chosen = chosen_bands(raster.count, named, alpha, notes)
                image = shown(_bands(raster, chosen), size, name, notes)
                if alpha is not None and raster.dtypes[alpha] in ("uint8", "uint16"):
                    cover = raster.read(alpha + 1)
                    image = on_white(image, cover if cover.dtype == np.uint8 else (cover >> 8).astype(np.uint8), notes)
                return image, georef
    except (RasterioError, CPLE_BaseError) as error:
        raise ValueError(str(error)) from error


def _bands(raster: Any, chosen: Iterable[int]) -> Iterator[Band]:
    for i in chosen:
        values = raster.read(i + 1)
        complete = values.dtype == np.uint8 or "all_valid" in {flag.name for flag in raster.mask_flag_enums[i]}
        yield i + 1, values, None if complete else raster.read_masks(i + 1) > 0


def _georef(raster: Any, notes: list[str]) -> Georef | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if raster.crs is None or not raster.crs.wkt:
        if not raster.transform.is_identity:
            notes.append("The file has a position but no coordinate reference system; it was left out.")
        return None
    try:
        code = raster.crs.to_epsg()
        named = code is not None and CRS.from_epsg(code) == raster.crs
        if raster.transform.is_identity:
            notes.append("The file has a coordinate reference system but no position; it was left out.")
            return None
        return Georef(f"EPSG:{code}" if named else raster.crs.to_wkt(), tuple(raster.transform)[:6])
    except (GeoError, CRSError) as error:
        notes.append(f"The file's georeference cannot be used and was left out: {error}")
        return None


def chosen_bands(count: int, named: list[int] | None, alpha: int | None, notes: list[str]) -> list[int]:
    """Which bands (from 0) are shown: the ones named red, green and blue, else the first three, else the first."""
    colours = [i for i in range(count) if i != alpha]
    chosen = named or (colours[:3] if len(colours) >= 3 else colours[:1])
    if len(colours) > len(chosen):
        first, last = chosen[0] + 1, chosen[-1] + 1
        spans = chosen == list(range(chosen[0], chosen[0] + 3))
        words = f"{first}-{last}" if spans else ", ".join(str(i + 1) for i in chosen)
        notes.append(f"{count} bands: {words} shown.")
    return chosen


def shown(bands: Iterable[Band], size: tuple[int, int], name: str, notes: list[str]) -> Pixels:
    """(H, W, 3) from one band (gray) or three, taken one after the other; deeper bands are stretched, in `notes`."""
    pixels = np.empty((size[1], size[0], 3), dtype=np.uint8)
    ranges: list[str] = []
    holes = np.zeros((size[1], size[0]), dtype=np.bool_)
    depth, number, empty = "", 0, 0
    for number, (band, values, valid) in enumerate(bands, 1):
        plane = pixels[..., number - 1]
        if values.dtype == np.uint8:
            plane[...] = values
            continue
        depth = _DEPTHS.get(values.dtype.name, values.dtype.name)
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            valid = finite if valid is None else valid & finite
        if valid is not None:
            holes |= ~valid
        span = _stretch(values, valid, plane)
        if span is None:
            empty += 1
            notes.append(f"Band {band} holds no valid value: shown black.")
        elif span[0] == span[1]:
            notes.append(f"Band {band} is constant ({span[0]:g}): shown mid-gray.")
        else:
            ranges.append(f"{span[0]:.6g}-{span[1]:.6g}")
    if number and empty == number:
        raise ImageError(f"{name} holds no valid pixel: every value is NaN or marked as no data. Choose another part.")
    if number == 1:
        pixels[..., 1:] = pixels[..., :1]
    if ranges:
        notes.append(f"{depth} data stretched from the 2nd-98th percentile ({', '.join(ranges)}) per band.")
    if holes.any():
        notes.append(f"{np.count_nonzero(holes)} pixels without data shown black.")
    return pixels


def _stretch(values: NDArray[Any], valid: NDArray[np.bool_] | None, out: Pixels) -> tuple[float, float] | None:
    """Write (H, W) `values` into `out`, their 2nd percentile as 0 and their 98th as 255, and return both.

    The whole range serves where the percentiles meet; equal values become 128; None where none is valid; not valid
    is 0. Percentiles come from an even sample where there are more than 4 million values.
    """
    known = values.ravel() if valid is None else values[valid]
    if known.size == 0:
        out[...] = 0
        return None
    low, high = (float(v) for v in np.percentile(known[:: known.size // 4_000_000 + 1].astype(np.float64), (2, 98)))
    if low == high:
        low, high = float(known.min()), float(known.max())
    share = 1.0 if np.isfinite(high - low) else 0.5  # so that the width of a vast range does not overflow
    for top in range(0, len(values), 512):
        rows = slice(top, top + 512)
        if low == high:
            scaled = np.full(values[rows].shape, 0.5)
        else:
            clipped = np.nan_to_num(np.clip(values[rows].astype(np.float64), low, high)) * share
            scaled = (clipped - low * share) / (high * share - low * share)
        if valid is not None:
            scaled[~valid[rows]] = 0
        out[rows] = np.rint(scaled * 255).astype(np.uint8)
    return low, high


def on_white(pixels: Pixels, alpha: NDArray[np.uint8], notes: list[str]) -> Pixels:
    """Lay (H, W, 3) on white by its (H, W) alpha, in place, some rows at a time."""
    if alpha.min() == 255:
        return pixels
    notes.append("Transparency laid on white.")
    for top in range(0, len(pixels), 512):
        rows = slice(top, top + 512)
        share = alpha[rows, :, None].astype(np.uint16)
        pixels[rows] = (pixels[rows] * share + 255 * (255 - share) + 127) // 255
    return pixels
