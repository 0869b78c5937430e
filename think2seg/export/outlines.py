"""Masks become polygons that follow the borders of their pixels exactly, with their holes, and find their place.

In pixels (x right, y down, (0, 0) the outer corner of the first pixel), in the image's own reference system, or on the
globe: longitude and latitude on WGS 84, bent edges split until they follow the pixels' borders, cut at the antimeridian
and closed over a pole. It knows masks and georeferences, and no format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from think2seg.errors import GeoError
from think2seg.geo import Georef
from think2seg.types import Mask

Points = NDArray[np.float64]
"""(N, 2), x and y or longitude and latitude; of a ring the last is the first."""

_BENT = 0.01
"""How many pixels a straight edge on the globe may lie beside a straight border of pixels."""
_ROUNDS = 20
_AT_POLE = 90 - 1e-7


def outline(mask: Mask) -> Any:
    """The mask's pixels as a valid shapely `MultiPolygon` in pixels, empty for an empty mask.

    Pixels that touch at a corner only are parts of their own; each part's edges lie on borders of pixels.
    """
    import shapely
    from rasterio import Affine, features

    rows, columns = mask.window
    held = np.ascontiguousarray(mask.pixels[mask.window], dtype=np.uint8)
    if not held.size:
        return shapely.MultiPolygon()
    found = features.shapes(
        held, mask=held.astype(np.bool_), connectivity=4, transform=Affine.translation(columns.start, rows.start)
    )
    return shapely.MultiPolygon(
        [shapely.Polygon(rings[0], rings[1:]) for rings in (g["coordinates"] for g, _ in found)]
    )


def in_source(shape: Any, georef: Georef | None) -> Any:
    """A shapely geometry in pixels, moved to the reference system of `georef`; without one it stays in pixels."""
    import shapely

    return shape if georef is None else shapely.transform(shape, georef.placed)


def right_handed(shape: Any) -> Any:
    """A polygon or several with their outer rings counterclockwise, in the numbers of their coordinates, holes not."""
    import shapely

    return shapely.orient_polygons(shape)


def on_globe(shapes: Sequence[Any], georef: Georef) -> list[Any]:
    """Shapely `MultiPolygon`s in pixels as ones in longitude and latitude, as RFC 7946 has them.

    Longitudes lie in -180 to 180; what crosses the antimeridian is cut there. Coordinates are rounded to less than a
    hundredth of a pixel, and to no less than 1e-7 degrees. Raises `GeoError` if the system has no way to WGS 84, or a
    border meets a pole.
    """
    import shapely

    parts = [part for shape in shapes for part in shape.geoms]
    rings = [np.asarray(ring.coords) for part in parts for ring in (part.exterior, *part.interiors)]
    moved = iter(_lonlat(rings, georef))
    digits = _digits(georef, rings[0][0]) if rings else 0
    found: list[Any] = []
    for shape in shapes:
        pieces: list[Any] = []
        was_cut = False
        for part in shape.geoms:
            outer, inner = next(moved), [next(moved) for _ in part.interiors]
            cuts = _cut(outer, inner, digits)
            was_cut = was_cut or cuts is not None
            pieces += [shapely.Polygon(outer, inner)] if cuts is None else cuts
        if was_cut:  # what was apart in the image may be one on the globe
            pieces = list(shapely.get_parts(shapely.union_all(pieces, grid_size=10.0**-digits)))
        rounded = shapely.transform(shapely.MultiPolygon(pieces), lambda p: np.round(p, digits))
        if not rounded.is_valid:
            raise GeoError(
                "A mask lies where this image's reference system is too distorted to be followed in longitude and "
                "latitude. Take GeoPackage or GeoTIFF, which keep the system."
            )
        found.append(right_handed(rounded))
    return found


def _digits(georef: Georef, at: Points) -> int:
    """How many decimals of a degree are less than a hundredth of a pixel, 7 or more; at: (2,), a corner of a pixel."""
    x, y = at
    corners = _way(georef)(np.array([[x, y], [x + 1, y], [x, y + 1]]))
    steps = np.abs(_wrapped(corners[1:] - corners[0])).max(axis=1)
    return int(np.clip(np.ceil(-np.log10(steps.min() / 100)), 7, 13))


def _way(georef: Georef) -> Callable[[Points], Points]:
    """A function from (N, 2) pixels to (N, 2) degrees. It raises `GeoError`."""
    from rasterio._err import CPLE_BaseError
    from rasterio.crs import CRS
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    own, globe = georef.understood(), CRS.from_epsg(4326)

    def to_globe(pixels: Points) -> Points:
        placed = georef.placed(pixels)
        try:
            return np.column_stack(transform(own, globe, placed[:, 0], placed[:, 1])[:2])
        except (RasterioError, CPLE_BaseError) as error:
            raise GeoError(
                f"There is no way from this image's reference system to longitude and latitude: {error}. Take "
                "GeoPackage or GeoTIFF, which keep the system."
            ) from error

    return to_globe


def _missed(straight: Points, true: Points, pixels: Points, to_globe: Callable[[Points], Points]) -> NDArray[np.bool_]:
    """Where `straight` lies more than `_BENT` pixels beside `true`, the degrees of the corners `pixels`; all (N, 2).

    The distance is measured by how far a step of one pixel to the right, and one down, goes on the globe just there.
    """
    try:
        right, down = (_wrapped(to_globe(pixels + np.array(step)) - true) for step in ((1, 0), (0, 1)))
    except GeoError:  # the system ends there: better too many points than too few
        return np.ones(len(true), dtype=np.bool_)
    off = _wrapped(straight - true)
    size = right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (off[:, 0] * down[:, 1] - off[:, 1] * down[:, 0]) / size
        y = (right[:, 0] * off[:, 1] - right[:, 1] * off[:, 0]) / size
        return ~(np.maximum(np.abs(x), np.abs(y)) <= _BENT)


def _lonlat(rings: list[Points], georef: Georef) -> list[Points]:
    """Rings in pixels as rings in degrees whose longitudes run on without a jump, beyond ±180 if need be.

    An edge is split at a corner of pixels near its middle as long as the straight line on the globe would miss that
    corner by more than `_BENT` pixels.
    """
    if not rings:
        return []
    to_globe = _way(georef)
    pixels = np.concatenate(rings)
    ring = np.repeat(np.arange(len(rings)), [len(r) for r in rings])
    degrees = _checked(to_globe(pixels), georef)
    open_ = ring[1:] == ring[:-1]  # an edge from each point to the next of its ring
    open_ &= np.abs(np.diff(pixels, axis=0)).sum(axis=1) > 1
    for _round in range(_ROUNDS):
        at = np.flatnonzero(open_)
        if not len(at):
            break
        start, end = pixels[at], pixels[at + 1]
        middle = np.floor((start + end) / 2)
        share = np.abs(middle - start).sum(axis=1, keepdims=True) / np.abs(end - start).sum(axis=1, keepdims=True)
        straight = degrees[at] + share * _wrapped(degrees[at + 1] - degrees[at])
        true = _checked(to_globe(middle), georef)
        missed = _missed(straight, true, middle, to_globe)
        at = at[missed]
        pixels = np.insert(pixels, at + 1, middle[missed], axis=0)
        degrees = np.insert(degrees, at + 1, true[missed], axis=0)
        ring = np.insert(ring, at + 1, ring[at])
        halves = np.zeros(len(ring) - 1, dtype=np.bool_)
        first = at + np.arange(len(at))  # where each split edge begins now
        halves[first] = halves[first + 1] = True
        open_ = halves & (np.abs(np.diff(pixels, axis=0)).sum(axis=1) > 1)
    found = np.split(degrees, np.flatnonzero(np.diff(ring)) + 1)
    for points in found:  # whole turns are added, so that a point that comes twice stays one point
        points[1:, 0] -= 360 * np.cumsum(np.round(np.diff(points[:, 0]) / 360))
    return found


def _wrapped(steps: Points) -> Points:
    """Steps in degrees with longitudes of at most 180 either way."""
    wrapped = steps.copy()
    wrapped[:, 0] -= 360 * np.round(steps[:, 0] / 360)
    return wrapped


def _checked(degrees: Points, georef: Georef) -> Points:
    if not np.isfinite(degrees).all() or np.abs(degrees[:, 1]).max(initial=0) > 90 + 1e-9:
        raise GeoError(
            "The georeference puts a part of the mask beyond the Earth: it has no longitude and latitude. Check the "
            "transform, or take GeoPackage or GeoTIFF, which keep the image's own system."
        )
    if not georef.understood().is_geographic and np.abs(degrees[:, 1]).max(initial=0) > _AT_POLE:
        raise GeoError(
            "The border of a mask meets a pole, where longitude has no meaning. Take GeoPackage or GeoTIFF, which keep "
            "the image's own system."
        )
    return degrees


def _cut(outer: Points, inner: list[Points], digits: int) -> list[Any] | None:
    """One polygon in degrees, of rings without jumps, as polygons between -180 and 180, none thinner than `digits`.

    None if it lies there as it is.
    """
    import shapely

    turns = [round(float(r[-1, 0] - r[0, 0]) / 360) for r in (outer, *inner)]
    longitudes = np.concatenate([outer, *inner])[:, 0]
    if not any(turns) and longitudes.min() >= -180 and longitudes.max() <= 180:
        return None
    whole = shapely.Polygon(_closed(outer, turns[0]))
    for hole, turn in zip(inner, turns[1:], strict=True):
        gap = shapely.Polygon(_closed(hole, turn))
        for around in (-360, 0, 360):
            whole = whole.difference(_beside(gap, around))
    west, _, east, _ = whole.bounds
    found: list[Any] = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360))):
        piece = whole.intersection(shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        kept = shapely.set_precision(_beside(piece, -360 * turn), 10.0**-digits)
        found += [p for p in shapely.get_parts(kept) if p.geom_type == "Polygon"]
    return found


def _beside(shape: Any, degrees: int) -> Any:
    import shapely

    return shapely.transform(shape, lambda points: points + np.array([degrees, 0])) if degrees else shape


def _closed(ring: Points, turns: int) -> Points:
    """A ring that goes round a pole, closed over that pole; any other as it is."""
    if not turns:
        return ring
    pole = np.copysign(90.0, ring[:, 1].mean())
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
