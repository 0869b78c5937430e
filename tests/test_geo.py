"""Georeferences whose areas can be worked out on paper."""

import math
import sys

import numpy as np
import pytest

from think2seg.errors import GeoError
from think2seg.geo import Georef

UTM = Georef("EPSG:32617", (0.5, 0.0, 404211.5, 0.0, -0.5, 3285142.0))


def test_to_world_starts_at_the_outer_corner() -> None:
    assert UTM.to_world(0, 0) == (404211.5, 3285142.0)
    assert UTM.to_world(10, 4) == (404216.5, 3285140.0)


def test_to_world_of_a_turned_image() -> None:
    turned = Georef("EPSG:32617", (0, 2, 100, 2, 0, 200))
    assert turned.to_world(3, 5) == (110, 206)
    assert turned.pixel_area_m2() == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("word", "crs", "transform", "area", "within"),
    [
        ("metres", "EPSG:32617", (0.5, 0, 404211.5, 0, -0.5, 3285142.0), 0.25, 1e-9),
        ("US survey feet", "EPSG:2263", (2, 0, 981106, 0, -2, 197544), 4 * (1200 / 3937) ** 2, 1e-6),
        ("degrees at the equator", "EPSG:4326", (1e-5, 0, 10, 0, -1e-5, 0), 1.113195 * 1.105743, 1e-5),
        ("degrees at 60 north", "EPSG:4326", (1e-5, 0, 10, 0, -1e-5, 60), 0.558002 * 1.114121, 1e-5),
        ("web tiles at the equator", "EPSG:3857", (1, 0, 0, 0, -1, 0), 1.0, 1e-9),
        ("web tiles at 60 north", "EPSG:3857", (1, 0, 0, 0, -1, 8399737.8898), 0.25, 1e-6),
    ],
)
def test_pixel_area(word: str, crs: str, transform: tuple[float, ...], area: float, within: float) -> None:
    pytest.importorskip("rasterio")
    assert Georef(crs, transform).pixel_area_m2() == pytest.approx(area, rel=within)


def test_pixel_area_depends_on_where_in_a_geographic_image() -> None:
    pytest.importorskip("rasterio")
    world = Georef("EPSG:4326", (1, 0, -180, 0, -1, 90))
    equator, north = world.pixel_area_m2(at=(0, 90)), world.pixel_area_m2(at=(0, 30))
    assert equator is not None and north is not None
    assert north / equator == pytest.approx(math.cos(math.radians(60)), rel=0.02)
    with pytest.raises(GeoError, match="beyond a pole"):
        world.pixel_area_m2(at=(0, -1))


def test_pixel_area_of_a_plan_is_unknown() -> None:
    pytest.importorskip("rasterio")
    local = 'LOCAL_CS["a building site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
    assert Georef(local, (1, 0, 0, 0, -1, 0)).pixel_area_m2() is None


@pytest.mark.parametrize(
    ("word", "crs", "transform", "says"),
    [
        ("no pixel width", "EPSG:32617", (0, 0, 1, 0, -1, 1), "singular"),
        ("folded into a line", "EPSG:32617", (1, 2, 0, 2, 4, 0), "singular"),
        ("folded but for rounding", "EPSG:32617", (0.1, 0.3, 0, 0.3, 0.9, 0), "singular"),
        ("not a number", "EPSG:32617", (math.nan, 0, 1, 0, -1, 1), "finite"),
        ("endless", "EPSG:32617", (1, 0, math.inf, 0, -1, 1), "finite"),
        ("overflowing", "EPSG:32617", (1e300, 0, 0, 0, 1e300, 0), "singular"),
        ("five numbers", "EPSG:32617", (1, 0, 0, 0, -1), "six"),
        ("blank system", " ", (1, 0, 0, 0, -1, 0), "blank"),
        ("an address", "http://127.0.0.1:9/crs", (1, 0, 0, 0, -1, 0), "a code .* or WKT; 'http://127"),
        ("a file", "/etc/passwd", (1, 0, 0, 0, -1, 0), "a code .* or WKT"),
        ("a file that looks like a code", "EPSG:../../etc/passwd", (1, 0, 0, 0, -1, 0), "a code .* or WKT"),
        ("a grid from elsewhere", "+proj=utm +zone=3 +nadgrids=http://x/y", (1, 0, 0, 0, -1, 0), "a code .* or WKT"),
        ("a line too many", "EPSG:32617\n", (1, 0, 0, 0, -1, 0), "a code .* or WKT"),
    ],
)
def test_refused(word: str, crs: str, transform: tuple[float, ...], says: str) -> None:
    with pytest.raises(GeoError, match=says):
        Georef(crs, transform)


def test_small_pixels_are_not_singular() -> None:
    assert Georef("EPSG:4326", (1e-9, 0, 10, 0, -1e-9, 50)).to_world(1, 0) == (10 + 1e-9, 50)


def test_a_system_nobody_knows() -> None:
    pytest.importorskip("rasterio")
    with pytest.raises(GeoError, match=r"'EPSG:99999999'.*Give an EPSG code or WKT"):
        Georef("EPSG:99999999", (1, 0, 0, 0, -1, 0)).pixel_area_m2()


def test_without_rasterio_areas_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio.crs", None)
    assert UTM.to_world(0, 0) == (404211.5, 3285142.0)
    with pytest.raises(GeoError, match="pip install rasterio"):
        UTM.pixel_area_m2()


def test_many_points_go_to_the_world_as_one_does() -> None:
    turned = Georef("EPSG:32617", (0.3, 0.4, 404211.5, 0.4, -0.3, 3285142.0))
    points = np.array([[0, 0], [10.5, 4], [-3, 7]])
    assert turned.placed(points).tolist() == [pytest.approx(turned.to_world(x, y)) for x, y in points]


def test_a_square_of_ten_pixels_of_half_a_metre_is_25_square_metres() -> None:
    pytest.importorskip("rasterio")
    pixels = np.zeros((40, 60), dtype=bool)
    pixels[5:15, 20:30] = True
    assert UTM.area_m2(pixels) == 25.0
    assert UTM.area_m2(pixels & False) == 0.0
    local = 'LOCAL_CS["a building site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
    assert Georef(local, (1, 0, 0, 0, -1, 0)).area_m2(pixels) is None


@pytest.mark.parametrize("transform", [(1, 0, 3, 0, -1, 60), (0.8, 0.1, 3, 0.3, -1, 60), (0, 1, 3, 1, 0, 20)])
def test_the_area_of_a_mask_is_that_of_its_pixels_where_they_lie(transform: tuple[float, ...]) -> None:
    pytest.importorskip("rasterio")
    world = Georef("EPSG:4326", transform)
    pixels = np.random.default_rng(0).random((30, 20)) < 0.4
    one_by_one = [world.pixel_area_m2(at=(x + 0.5 + 4, y + 0.5 + 6)) for y, x in np.argwhere(pixels)]
    assert world.area_m2(pixels, (4, 6)) == pytest.approx(sum(one_by_one), rel=1e-9)
