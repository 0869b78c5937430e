"""Where an image lies on the Earth: a coordinate reference system and an affine transform.

A georeference travels beside a result from door to door; the core never sees it. What is written out for a map is
`think2seg.export`'s, and built on `Georef`. It knows no files and no models. rasterio is imported only where a
reference system has to be understood.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import GeoError
from think2seg.types import Point

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): X = a x + b y + c, Y = d x + e y + f, with (0, 0) the outer corner of the first pixel."""

_EARTH_A = 6378137.0  # WGS 84: semi-major axis in metres, and the first eccentricity squared
_EARTH_E2 = 0.00669437999014
_SYSTEM = re.compile(r"(?:EPSG|ESRI|IAU_\d{4}|IGNF|OGC):[\w.]+\Z|\s*[A-Z][A-Z_0-9]*\s*[\[(]", re.IGNORECASE | re.ASCII)
"""What may stand for a system. GDAL takes more, and would fetch an address or open a file that stands there."""
_ROWS = 256
"""How many rows of a mask are measured at once."""


@dataclass(frozen=True)
class Georef:
    """A coordinate reference system (`"EPSG:32617"` or WKT) and the affine transform from pixels to it.

    Raises `GeoError` for a blank system, numbers that are not finite, and a singular transform (one that folds the
    image into a line or a point).
    """

    crs: str
    transform: Affine

    def __post_init__(self) -> None:
        if not self.crs.strip():
            raise GeoError("A georeference needs a coordinate reference system; it is blank. Give an EPSG code or WKT.")
        if not _SYSTEM.match(self.crs):
            raise GeoError(
                f"A coordinate reference system must be a code such as EPSG:32617, or WKT; {self.crs[:80]!r} came."
            )
        if len(self.transform) != 6 or not all(math.isfinite(v) for v in self.transform):
            raise GeoError(
                f"A georeference's transform must be six finite numbers (a, b, c, d, e, f); it is {self.transform!r}."
            )
        a, b, c, d, e, f = (float(v) for v in self.transform)
        det = a * e - b * d
        if not math.isfinite(det) or abs(det) <= 1e-12 * max(abs(a * e), abs(b * d)):
            raise GeoError(
                f"A georeference's transform must not be singular; {self.transform!r} gives a pixel no area. "
                "Check the pixel size, or take the georeference off and place the image anew."
            )
        object.__setattr__(self, "transform", (a, b, c, d, e, f))

    def to_world(self, x: float, y: float) -> Point:
        """(X, Y) in the reference system's own units and axis order east, north, of the image point (x, y).

        (0, 0) is the outer corner of the first pixel; a pixel's centre lies at +0.5, +0.5.
        """
        a, b, c, d, e, f = self.transform
        return a * x + b * y + c, d * x + e * y + f

    def placed(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """`to_world` for (N, 2) image points (x, y) at once."""
        a, b, c, d, e, f = self.transform
        return np.asarray(points @ np.array([[a, d], [b, e]]) + np.array([c, f]))

    def pixel_area_m2(self, at: Point = (0.0, 0.0)) -> float | None:
        """Square metres that one pixel covers; None where the system is neither projected nor geographic.

        Projected: |determinant| times the linear unit squared, as the projection has it (exact on an equal-area one,
        within about 0.1 % in a UTM zone); Web Mercator (EPSG:3857) is taken back to the ground by cos² of the
        latitude. Geographic: approximate, from the lengths of a degree on WGS 84 at the latitude of the image point
        `at`. Heights are left out of account. Raises `GeoError` where the system cannot be understood.
        """
        areas = self._pixel_areas(self.understood(), np.array([self.to_world(*at)[1]]))
        return None if areas is None else float(areas[0])

    def area_m2(self, pixels: NDArray[np.bool_], corner: Point = (0, 0)) -> float | None:
        """Square metres that the set pixels of a mask cover, each counted where it lies (see `pixel_area_m2`).

        pixels: (H, W) bool, a window of the image whose top-left pixel is `corner`, (column, row). None where the
        system is neither projected nor geographic. Raises `GeoError`.
        """
        crs, total = self.understood(), 0.0
        d, e, f = self.transform[3:]
        for top in range(0, max(1, len(pixels)), _ROWS):
            block = pixels[top : top + _ROWS]
            if d:
                rows, columns = np.nonzero(block)
                counts = np.ones(len(rows), dtype=np.intp)
            else:  # without a turn, all pixels of a row have one Y
                in_rows = block.sum(axis=1, dtype=np.intp)
                rows = np.flatnonzero(in_rows)
                columns, counts = np.zeros_like(rows), in_rows[rows]
            y = d * (columns + corner[0] + 0.5) + e * (rows + top + corner[1] + 0.5) + f
            areas = self._pixel_areas(crs, np.asarray(y, dtype=np.float64))
            if areas is None:
                return None
            total += float(areas @ counts)
        return total

    def _pixel_areas(self, crs: Any, y: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The square metres of a pixel at each Y of the system, (N,)."""
        a, b, _, d, e, _ = self.transform
        det = abs(a * e - b * d)
        if crs.is_geographic:
            latitude = y * crs.units_factor[1]
            if not np.abs(latitude).max(initial=0) <= math.pi / 2:
                worst = float(y[np.abs(y).argmax()])
                raise GeoError(
                    f"The georeference puts a pixel at latitude {worst:g}, beyond a pole. Check its transform."
                )
            w = 1 - _EARTH_E2 * np.sin(latitude) ** 2
            meridian = _EARTH_A * (1 - _EARTH_E2) / w**1.5
            parallel = _EARTH_A * np.cos(latitude) / np.sqrt(w)
            return np.asarray(det * crs.units_factor[1] ** 2 * meridian * parallel)
        if not crs.is_projected:
            return None
        area = float(det * crs.linear_units_factor[1] ** 2)
        if crs.to_epsg() == 3857:
            return np.asarray(area / np.cosh(y / _EARTH_A) ** 2)
        return np.full(len(y), area)

    def understood(self) -> Any:
        """The reference system as rasterio's `CRS`. Raises `GeoError` where it cannot be understood."""
        try:
            from rasterio.crs import CRS
            from rasterio.errors import CRSError
        except ImportError as error:
            raise GeoError("Areas on the ground need rasterio, which is missing: pip install rasterio.") from error
        try:
            return CRS.from_user_input(self.crs)
        except CRSError as error:
            raise GeoError(
                f"The coordinate reference system {self.crs[:80]!r} cannot be understood. Give an EPSG code or WKT."
            ) from error
