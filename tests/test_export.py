"""Files that leave: what is written is read back by those who will read it, and every pixel is where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image
from pycocotools.coco import COCO
from rasterio import Affine, features
from rasterio.warp import transform

from think2seg import export as room
from think2seg import images, overlay, record
from think2seg.errors import GeoError, QueryError, RecordError
from think2seg.export import FORMATS, checked_formats, encoded, export, outlines, stored
from think2seg.geo import Georef
from think2seg.types import Answer, Completion, Mask, Prompt, Query, Result, Timing

W, H = 48, 40

UTM = Georef("EPSG:32617", (0.5, 0, 404211.5, 0, -0.5, 3285142.0))
LAEA = (
    'PROJCS["own",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Azimuthal_Equal_Area"],PARAMETER["latitude_of_center",12],'
    'PARAMETER["longitude_of_center",34],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],'
    'AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)
PLACES: dict[str, Georef] = {
    "a UTM zone": UTM,
    "turned": Georef("EPSG:32617", (0.3, 0.4, 404211.5, 0.4, -0.3, 3285142.0)),
    "south up": Georef("EPSG:32617", (0.5, 0, 404211.5, 0, 0.5, 3285142.0)),
    "geographic": Georef("EPSG:4326", (1e-5, 0, 10, 0, -1e-5, 50)),
    "geographic, another datum": Georef("EPSG:4267", (1e-5, 0, -90, 0, -1e-5, 40)),
    "US feet": Georef("EPSG:2263", (2, 0, 981106, 0, -2, 197544)),
    "web tiles": Georef("EPSG:3857", (0.6, 0, 1000000, 0, -0.6, 6000000)),
    "large pixels": Georef("EPSG:32633", (3000, 0, 430000, 0, -3000, 7900000)),
    "a system of its own": Georef(LAEA, (1, 0, 100, 0, -1, 100)),
    "across the antimeridian, metres": Georef("EPSG:32660", (1, 0, 833970.0, 0, -1, 10000)),
    "across the antimeridian, degrees": Georef("EPSG:4326", (0.01, 0, 179.7512345, 0, -0.01, 10)),
    "0 to 360 degrees": Georef("EPSG:4326", (360 / W, 0, 0, 0, -180 / H, 90)),
    "across the antimeridian, web tiles": Georef("EPSG:3857", (500, 0, 20026508.3427, 0, -500, -1900000)),
    "the whole Earth": Georef("EPSG:4326", (360 / W, 0, -180, 0, -180 / H, 90)),
    "over the north pole": Georef("EPSG:3995", (25000, 0, -612500, 0, -25000, 512500)),
    "over the south pole": Georef("EPSG:3031", (25000, 0, -612500, 0, -25000, 512500)),
    "centimetres": Georef("EPSG:32617", (0.01, 0, 404211.5, 0, -0.01, 3285142.0)),
}  # fmt: skip


def drawn(*rows: str) -> np.ndarray:
    """A mask of the picture's size with `rows` in its middle, x set."""
    mask = np.zeros((H, W), dtype=bool)
    for y, row in enumerate(rows):
        mask[10 + y, 10 : 10 + len(row)] = [c == "x" for c in row]
    return mask


def square(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((H, W), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return mask


def ring() -> np.ndarray:
    """A frame round the middle of the picture, at (24, 20), and a pixel-thin cross in its hole."""
    mask = square(12, 9, 37, 33) & ~square(16, 13, 33, 29)
    return mask | square(24, 14, 25, 28) | square(18, 20, 31, 21)


MASKS: dict[str, list[np.ndarray]] = {
    "nothing here": [],
    "one pixel": [square(7, 5, 8, 6)],
    "a square": [square(3, 4, 13, 14)],
    "the whole picture": [square(0, 0, W, H)],
    "at every border": [square(0, 0, W, H) & ~square(1, 1, W - 1, H - 1)],
    "a hole, an island in it, a hole in that": [drawn("xxxxxxx", "x     x", "x xxx x", "x x x x", "x xxx x", "x     x",
                                                        "xxxxxxx")],
    "touching at corners": [drawn("x x x", " x x ", "x x x")],
    "a hole that touches the outside": [drawn("xxx", "x x", "xx ")],
    "several parts": [drawn("xx   x", "xx   x", "      ", "   x  ")],
    "noise": [np.random.default_rng(3).random((H, W)) < 0.5],
    "overlapping": [square(2, 2, 30, 30), square(10, 10, 20, 20), square(15, 15, 40, 18)],
    "an empty mask among others": [square(1, 1, 4, 4), np.zeros((H, W), dtype=bool), square(6, 6, 9, 9)],
    "round the middle": [ring(), square(23, 19, 26, 22)],
}  # fmt: skip


def result_of(masks: list[np.ndarray], question: str = "where are they?", thought: str = "They are there.") -> Result:
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    prompts = tuple(
        Prompt((1.5, 2, 10.126, 12), ((3, 4),), ((20, 20),)) if i % 2 == 0 else Prompt(None, ((30, 20), (31, 21)))
        for i in range(len(masks))
    )
    return Result(
        query=Query(image, question),
        completion=Completion("<think> … </think>", (840, 840)),
        answer=Answer(thought, prompts, ("a warning",)),
        masks=tuple(Mask(m, 0.87654, i) for i, m in enumerate(masks)),
        sent=prompts,
        prompter="nano",
        segmenter="small",
        strategy="box+2",
        timing=Timing(0.1, 0.23456, 1.0),
    )


# --- reading back -----------------------------------------------------------------------------------------------------


def painted(shape: Any, size: tuple[int, int] = (H, W)) -> np.ndarray:
    """The pixels whose centres a geometry in pixels covers."""
    if shape is None or shape.is_empty:
        return np.zeros(size, dtype=bool)
    return features.rasterize([shape], out_shape=size, transform=Affine.identity()).astype(bool)


def in_pixels(shape: Any, georef: Georef) -> Any:
    """A geometry of the image's own system, taken back to pixels."""
    back = ~Affine(*georef.transform)
    return shapely.transform(shape, lambda points: np.column_stack(back @ tuple(points.T)))


def smaller_wins(masks: list[np.ndarray]) -> np.ndarray:
    labels = np.zeros((H, W), dtype=int)
    for i in sorted(range(len(masks)), key=lambda i: -masks[i].sum()):
        labels[masks[i]] = i + 1
    return labels


def geometries(path: Path, layer: str) -> list[Any]:
    _meta, _fids, found, _fields = pyogrio.raw.read(path, layer=layer)
    return [None if one is None else shapely.from_wkb(one) for one in found]


def rows(path: Path, layer: str) -> list[dict[str, Any]]:
    meta, _fids, _geometry, columns = pyogrio.raw.read(path, layer=layer)
    return [dict(zip(meta["fields"], values, strict=True)) for values in zip(*columns, strict=True)]


def of_globe(geometry: dict[str, Any] | None, georef: Georef) -> np.ndarray:
    """The pixels that a GeoJSON geometry covers, each pixel's centre taken to the globe: the other way round."""
    if geometry is None:
        return np.zeros((H, W), dtype=bool)
    y, x = np.mgrid[0:H, 0:W] + 0.5
    world = georef.placed(np.column_stack([x.ravel(), y.ravel()]))
    lon, lat = transform(georef.understood(), "EPSG:4326", world[:, 0], world[:, 1])
    lon = (np.array(lon) + 180) % 360 - 180
    return shapely.intersects_xy(shapely.geometry.shape(geometry), lon, np.array(lat)).reshape(H, W)


# --- round trips ------------------------------------------------------------------------------------------------------

every_mask = pytest.mark.parametrize("word", MASKS)


@every_mask
def test_the_mask_png_is_the_union(tmp_path, word: str) -> None:
    path = export(result_of(MASKS[word]), None, "mask-png", tmp_path)
    back = np.asarray(Image.open(path))
    assert path.name == "mask.png" and back.dtype == np.uint8 and set(np.unique(back)) <= {0, 255}
    assert np.array_equal(back > 0, np.any([np.zeros((H, W), dtype=bool), *MASKS[word]], axis=0))


@every_mask
@pytest.mark.parametrize("name", ["indexed-png", "geotiff"])
def test_the_numbered_pictures_hold_each_instance_and_the_smaller_wins(tmp_path, word: str, name: str) -> None:
    path = export(result_of(MASKS[word]), UTM, name, tmp_path)
    if name == "indexed-png":
        picture = Image.open(path)
        assert picture.mode == "P" and picture.getpalette()[:6] == [0, 0, 0, *overlay.PALETTE[0]]
        back = np.asarray(picture)
    else:
        back = rasterio.open(path).read(1)
    assert back.dtype == np.uint8 and np.array_equal(back, smaller_wins(MASKS[word]))


@pytest.mark.parametrize("count", [255, 256, 300])
def test_many_instances(tmp_path, count: int) -> None:
    masks = [square(i % W, i // W * 2, i % W + 1, i // W * 2 + 2) for i in range(count)]
    for name in FORMATS:
        export(result_of(masks), UTM, name, tmp_path)
    depth = np.uint8 if count <= 255 else np.uint16
    for back in (np.asarray(Image.open(tmp_path / "indexed.png")), rasterio.open(tmp_path / "mask.tif").read(1)):
        assert back.dtype == depth and np.array_equal(back, smaller_wins(masks)) and back.max() == count
    assert len(rows(tmp_path / "result.gpkg", "instances")) == count
    assert len(json.loads((tmp_path / "result.geojson").read_text())["features"]) == count
    with pytest.raises(RecordError, match="65,535"):
        encoded(result_of(masks[:1] * 65_536), None, "indexed-png")


@every_mask
def test_the_overlay_is_what_the_page_shows(tmp_path, word: str) -> None:
    result = result_of(MASKS[word])
    assert np.array_equal(np.asarray(Image.open(export(result, None, "overlay-png", tmp_path))), overlay.draw(result))


@every_mask
def test_coco_loads_and_keeps_every_instance(tmp_path, word: str) -> None:
    result = result_of(MASKS[word], question="“where” are they?")
    path = export(result, UTM, "coco", tmp_path, image="/home/somebody/a.tif")
    with contextlib.redirect_stdout(io.StringIO()):
        held = COCO(path)
    assert held.loadImgs(1) == [{"id": 1, "file_name": "a.tif", "width": W, "height": H}]
    assert [c["name"] for c in held.loadCats(held.getCatIds())] == ["“where” are they?"]
    annotations = held.loadAnns(held.getAnnIds(imgIds=[1], catIds=[1]))
    assert len(annotations) == len(MASKS[word])
    for one, mask in zip(annotations, MASKS[word], strict=True):
        assert np.array_equal(held.annToMask(one), mask)
        assert one["area"] == mask.sum() and one["score"] == 0.8765 and one["iscrowd"] == 0
        ys, xs = np.nonzero(mask)
        tight = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1] if len(xs) else [0, 0, 0, 0]
        assert one["bbox"] == tight
    with contextlib.redirect_stdout(io.StringIO()):  # the annotations are detections as well
        assert annotations == [] or len(held.loadRes(annotations).getAnnIds()) == len(annotations)


@every_mask
def test_json_is_the_document_and_the_way_back(tmp_path, word: str) -> None:
    result = result_of(MASKS[word])
    path = export(result, UTM, "json", tmp_path, image="a/b.png")
    held = json.loads(path.read_text(encoding="utf-8"))
    assert {k: v for k, v in held.items() if k not in ("georef", "revisions")} == record.document(result, "a/b.png")
    back = stored.opened(path)
    assert [np.array_equal(m.pixels, n) for m, n in zip(back.result.masks, MASKS[word], strict=True)] == [True] * len(
        MASKS[word]
    )
    assert back.georef == UTM and back.image == "a/b.png" and not back.has_pixels
    assert encoded(back.result, back.georef, "json", image=back.image, revisions=back.revisions) == path.read_bytes()


@every_mask
def test_geojson_in_pixels_covers_the_same_pixels(word: str) -> None:
    held = json.loads(encoded(result_of(MASKS[word]), None, "geojson"))
    assert held["think2seg"]["coordinates_are"].startswith("pixels of the source image")
    check_rfc_7946(held, places=False)
    for feature, mask in zip(held["features"], MASKS[word], strict=True):
        shape = None if feature["geometry"] is None else shapely.geometry.shape(feature["geometry"])
        assert np.array_equal(painted(shape), mask)
        assert (shape is None and not mask.any()) or shape.area == mask.sum()


@every_mask
@pytest.mark.parametrize("place", PLACES)
def test_geojson_on_the_globe_covers_the_same_pixels(word: str, place: str) -> None:
    held = json.loads(encoded(result_of(MASKS[word]), PLACES[place], "geojson"))
    assert held["think2seg"]["coordinates_are"] == "longitude and latitude, WGS 84 (RFC 7946)"
    check_rfc_7946(held)
    for feature, mask in zip(held["features"], MASKS[word], strict=True):
        assert np.array_equal(of_globe(feature["geometry"], PLACES[place]), mask)


@every_mask
def test_a_geopackage_without_a_georeference_is_in_pixels(tmp_path, word: str) -> None:
    path = export(result_of(MASKS[word]), None, "geopackage", tmp_path)
    found = geometries(path, "instances")
    assert [np.array_equal(painted(one), mask) for one, mask in zip(found, MASKS[word], strict=True)] == [True] * len(
        found
    )
    assert all(one is None or (one.geom_type == "MultiPolygon" and one.is_valid) for one in found)
    with contextlib.closing(sqlite3.connect(path)) as held:
        assert held.execute("SELECT DISTINCT srs_id FROM gpkg_geometry_columns").fetchall() == [(-1,)]
        assert held.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert held.execute("PRAGMA application_id").fetchall() == [(int.from_bytes(b"GPKG"),)]
    assert rows(path, "answer")[0]["coordinates_are"].startswith("pixels of the source image")


@pytest.mark.parametrize("place", PLACES)
def test_a_geopackage_keeps_the_images_own_system(tmp_path, place: str) -> None:
    georef, word = PLACES[place], "a hole, an island in it, a hole in that"
    path = export(result_of([*MASKS[word], *MASKS["noise"]]), georef, "geopackage", tmp_path)
    for layer in ("instances", "prompt_boxes", "prompt_points"):
        assert rasterio.crs.CRS.from_user_input(pyogrio.read_info(path, layer=layer)["crs"]) == georef.understood()
    for one, mask in zip(geometries(path, "instances"), [*MASKS[word], *MASKS["noise"]], strict=True):
        assert one.is_valid
        assert np.array_equal(painted(in_pixels(one, georef)), mask)


@pytest.mark.parametrize("place", PLACES)
def test_a_geotiff_has_the_images_own_system_and_transform(tmp_path, place: str) -> None:
    georef = PLACES[place]
    with rasterio.open(export(result_of(MASKS["overlapping"]), georef, "geotiff", tmp_path)) as raster:
        assert raster.crs == georef.understood()
        assert tuple(raster.transform)[:6] == pytest.approx(georef.transform, rel=1e-12, abs=1e-12)
        assert raster.nodata == 0 and raster.compression.name == "deflate"
        assert json.loads(raster.tags()["THINK2SEG"])["georeferenced"] is True
        assert raster.colormap(1)[1] == (*overlay.PALETTE[0], 255)
    again = images.load(tmp_path / "mask.tif")
    assert again.georef is not None and again.georef.understood() == georef.understood()


def test_a_geotiff_of_an_image_that_lies_nowhere_is_a_plain_tiff(tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(export(result_of(MASKS["a square"]), None, "geotiff", tmp_path)) as raster:
            assert raster.crs is None and raster.transform.is_identity
            assert json.loads(raster.tags()["THINK2SEG"])["georeferenced"] is False
    assert images.load(tmp_path / "mask.tif").georef is None
    assert "plain TIFF" in room.remark("geotiff", None) and room.remark("geotiff", UTM) == ""


def test_a_large_geotiff_is_tiled(tmp_path) -> None:
    pixels = np.zeros((600, 700), dtype=bool)
    pixels[100:500, 100:600] = True
    prompt = Prompt((100, 100, 600, 500))
    large = Result(
        Query(np.zeros((600, 700, 3), np.uint8), "x"), Completion("", (1, 1)), Answer("", (prompt,)),
        (Mask(pixels, 0.5, 0),), (prompt,), "nano", "nano", "box", Timing(None, None, 0.0),
    )  # fmt: skip
    with rasterio.open(export(large, UTM, "geotiff", tmp_path)) as raster:
        assert raster.block_shapes == [(256, 256)]
        assert np.array_equal(raster.read(1) == 1, pixels)


# --- RFC 7946 ---------------------------------------------------------------------------------------------------------


def check_rfc_7946(held: dict[str, Any], *, places: bool = True) -> None:
    assert held["type"] == "FeatureCollection" and isinstance(held["features"], list)
    assert not {"crs", "coordinates", "geometries", "geometry", "properties"} & set(held)  # sections 4 and 7.1
    for feature in held["features"]:
        assert set(feature) == {"type", "id", "geometry", "properties"} and feature["type"] == "Feature"
        geometry = feature["geometry"]
        if geometry is None:
            continue
        assert geometry["type"] in ("Polygon", "MultiPolygon")
        parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        assert geometry["type"] == "Polygon" or len(parts) > 1
        for part in parts:
            for i, points in enumerate(part):
                line = np.array(points)
                assert line.shape[1] == 2 and len(line) >= 4 and points[0] == points[-1]
                x, y = line.T
                turn = np.sum((x[:-1] - x[0]) * (y[1:] - y[0]) - (x[1:] - x[0]) * (y[:-1] - y[0]))
                assert turn > 0 if i == 0 else turn < 0  # the right-hand rule
                if places:
                    assert np.abs(x).max() <= 180 and np.abs(y).max() <= 90
        assert shapely.geometry.shape(geometry).is_valid, feature["id"]


def test_what_crosses_the_antimeridian_is_cut_there() -> None:
    georef = PLACES["across the antimeridian, degrees"]
    held = json.loads(encoded(result_of([square(20, 10, 30, 20)]), georef, "geojson"))
    (geometry,) = [f["geometry"] for f in held["features"]]
    bounds = sorted(
        shapely.geometry.shape({"type": "Polygon", "coordinates": c}).bounds for c in geometry["coordinates"]
    )
    assert bounds == [
        pytest.approx((-180, 9.8, -179.9487655, 9.9), abs=1e-7),
        pytest.approx((179.9512345, 9.8, 180, 9.9), abs=1e-7),
    ]


def test_what_holds_a_pole_is_closed_over_it_and_a_border_on_a_pole_is_refused() -> None:
    georef = PLACES["over the north pole"]  # the pole lies in the middle of the pixel (24, 20)
    held = json.loads(encoded(result_of([square(22, 18, 27, 23)]), georef, "geojson"))
    shape = shapely.geometry.shape(held["features"][0]["geometry"])
    assert shape.bounds[0] == -180 and shape.bounds[2:] == (180, 90)
    at_a_corner = Georef(georef.crs, (25000, 0, -600000, 0, -25000, 500000))
    assert encoded(result_of([square(22, 18, 27, 23)]), at_a_corner, "geojson")
    with pytest.raises(GeoError, match="meets a pole.*GeoPackage"):
        encoded(result_of([square(24, 20, 27, 23)]), at_a_corner, "geojson")


def test_long_borders_are_bent_and_short_ones_are_not() -> None:
    short = outlines.on_globe([outlines.outline(Mask(square(3, 4, 13, 14), 1.0, 0))], UTM)[0]
    assert len(short.geoms[0].exterior.coords) == 5
    bent = outlines.on_globe([outlines.outline(Mask(square(0, 0, W, H), 1.0, 0))], PLACES["large pixels"])[0]
    assert 20 < len(bent.geoms[0].exterior.coords) <= 2 * (W + H) + 1
    over = PLACES["across the antimeridian, web tiles"]  # straight there, whatever side of the antimeridian
    cut = outlines.on_globe([outlines.outline(Mask(square(0, 0, W, H), 1.0, 0))], over)[0]
    assert [len(part.exterior.coords) for part in cut.geoms] == [5, 5]


@pytest.mark.parametrize(
    ("word", "georef", "says"),
    [
        ("a plan", Georef('LOCAL_CS["a site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]', (1, 0, 0, 0, -1, 0)),
         "no way from"),
        ("beyond a pole", Georef("EPSG:4326", (1, 0, 0, 0, -1, 95)), "beyond the Earth"),
        ("beyond the Earth", Georef(LAEA, (1e8, 0, 0, 0, -1e8, 0)), "no way from .*GeoPackage"),
        ("a system nobody knows", Georef("EPSG:99999999", (1, 0, 0, 0, -1, 0)), "Give an EPSG code or WKT"),
    ],
)  # fmt: skip
def test_georeferences_that_cannot_be_used_are_refused_in_words(word: str, georef: Georef, says: str) -> None:
    with pytest.raises(GeoError, match=says):
        encoded(result_of([square(2, 2, 9, 9)]), georef, "geojson")


def test_a_plan_keeps_its_own_system_in_the_other_formats(tmp_path) -> None:
    plan = Georef('LOCAL_CS["a site",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]', (1, 0, 0, 0, -1, 0))
    path = export(result_of([square(2, 2, 9, 9)]), plan, "geopackage", tmp_path)
    assert "a site" in pyogrio.read_info(path, layer="instances")["crs"]
    assert rows(path, "instances")[0]["area_m2"] is None or np.isnan(rows(path, "instances")[0]["area_m2"])
    export(result_of([square(2, 2, 9, 9)]), plan, "geotiff", tmp_path)


# --- attributes -------------------------------------------------------------------------------------------------------

REVISIONS = {
    "prompter": {"name": "nano", "source": "bundled", "revision": "sha256:0123456789abcdef"},
    "segmenter": {"name": "small", "source": "facebook/sam2.1-hiera-small", "revision": None},
}


def attributes(path: Path, name: str) -> list[dict[str, Any]]:
    """What a file says of each instance and of the whole, in one dictionary each."""
    if name == "geopackage":
        return [r | {k: json.loads(r[k]) for k in ("box", "positive", "negative")} for r in rows(path, "instances")]
    if name == "geojson":
        return [f["properties"] for f in json.loads(path.read_text())["features"]]
    if name == "coco":
        held = json.loads(path.read_text())
        return [held["info"] | a | a["prompt"] | {"area_px": a["area"]} for a in held["annotations"]]
    if name == "json":
        held = json.loads(path.read_text())
        flat = {f"{r}_{k}": v for r, i in held["revisions"].items() for k, v in i.items()}
        return [held | flat | i for i in held["instances"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        text = Image.open(path).text["think2seg"] if name != "geotiff" else rasterio.open(path).tags()["THINK2SEG"]
    held = json.loads(text)
    return [held | o for o in held["objects"]]


SPEAKING = [name for name in FORMATS if name != "overlay-png"]


@pytest.mark.parametrize("name", SPEAKING)
def test_every_file_says_what_was_asked_and_who_answered(tmp_path, name: str) -> None:
    path = export(result_of([square(3, 4, 13, 14), square(20, 4, 22, 6)]), UTM, name, tmp_path, revisions=REVISIONS)
    first, second = attributes(path, name)
    for key, value in {
        "question": "where are they?", "thought": "They are there.", "score": 0.8765, "area_px": 100,
        "box": [1.5, 2, 10.13, 12], "positive": [[3, 4]], "negative": [[20, 20]], "prompter": "nano",
        "prompter_source": "bundled", "prompter_revision": "sha256:0123456789abcdef", "segmenter": "small",
        "segmenter_source": "facebook/sam2.1-hiera-small", "segmenter_revision": None,
    }.items():  # fmt: skip
        assert first[key] == value, key
    assert second["box"] is None and second["area_px"] == 4
    if name != "json":
        assert first["area_m2"] == 25.0 and second["area_m2"] == 1.0  # 10 x 10 and 2 x 2 pixels of 0.5 m
    else:
        assert first["georef"] == {"crs": "EPSG:32617", "transform": list(UTM.transform)}


@pytest.mark.parametrize("name", SPEAKING)
def test_how_a_model_was_asked_costs_it_no_revision(tmp_path, name: str) -> None:
    result = dataclasses.replace(result_of([square(3, 4, 13, 14)]), prompter="nano, 2 x 2 tiles from 2 on")
    (held,) = attributes(export(result, None, name, tmp_path, revisions=REVISIONS), name)
    assert held["prompter"] == result.prompter and held["prompter_revision"] == "sha256:0123456789abcdef"


@pytest.mark.parametrize("name", SPEAKING)
def test_what_is_not_known_is_said_to_be_unknown(tmp_path, name: str) -> None:
    others = {role: dict(identity, name="another") for role, identity in REVISIONS.items()}
    for revisions in (None, others):
        path = export(result_of([square(3, 4, 13, 14)]), None, name, tmp_path, revisions=revisions)
        (held,) = attributes(path, name)
        assert held["prompter_revision"] is None and held["segmenter_source"] is None
        assert name == "json" or held["area_m2"] is None or np.isnan(held["area_m2"])


def test_areas_follow_the_place_of_each_pixel() -> None:
    """A degree is narrower in the north: a mask over 40 degrees of latitude is no multiple of one pixel's area."""
    georef = Georef("EPSG:4326", (1, 0, 0, 0, -1, 60))
    held = json.loads(encoded(result_of([square(0, 0, 1, 40)]), georef, "coco"))
    apart = [georef.pixel_area_m2(at=(0.5, y + 0.5)) for y in range(40)]
    assert held["annotations"][0]["area_m2"] == pytest.approx(sum(apart), rel=1e-9)
    assert max(apart) > 1.8 * min(apart)
    turned = Georef("EPSG:4326", (0, 1, 0, 1, 0, 10))  # the same, but the picture lies on its side
    lain = Georef("EPSG:4326", (1, 0, 0, 0, 1, 10))
    assert turned.area_m2(square(5, 7, 25, 20)) == pytest.approx(lain.area_m2(square(7, 5, 20, 25)), rel=1e-12)


def test_prompts_are_layers_of_the_geopackage(tmp_path) -> None:
    path = export(result_of(MASKS["overlapping"]), UTM, "geopackage", tmp_path)
    boxes, points = geometries(path, "prompt_boxes"), geometries(path, "prompt_points")
    assert [r["instance"] for r in rows(path, "prompt_boxes")] == [1, 3]
    assert boxes[0].bounds == pytest.approx((404212.25, 3285136, 404216.563, 3285141))
    said = [(r["instance"], bool(r["positive"])) for r in rows(path, "prompt_points")]
    assert said == [(1, True), (2, True), (2, True), (3, True), (1, False), (3, False)]
    assert (points[0].x, points[0].y) == UTM.to_world(3, 4)


def test_nothing_here_says_so_in_every_file(tmp_path) -> None:
    for name in FORMATS:
        export(result_of([]), UTM, name, tmp_path)
    assert not np.asarray(Image.open(tmp_path / "mask.png")).any()
    assert not rasterio.open(tmp_path / "mask.tif").read(1).any()
    assert json.loads((tmp_path / "result.geojson").read_text())["think2seg"]["question"] == "where are they?"
    assert geometries(tmp_path / "result.gpkg", "instances") == []
    (answer,) = rows(tmp_path / "result.gpkg", "answer")
    assert answer["thought"] == "They are there." and answer["instances"] == 0


HOSTILE = {
    "quotes and newlines": '"it\'s"\n\r\t`${x}` \\ %s {0}',
    "markup": "</script><img src=x onerror=alert(1)>]]>&amp;<!--",
    "SQL": "'); DROP TABLE instances; --",
    "beyond the basic plane": "𝔘𝕟𝕚 🛰️ ñ 中 \u202e",
    "NUL": "before\0after",
    "half a surrogate pair": "undecodable \udcff name",
    "controls": "\x01\x1b[31m\x7f\x85",
    "formula": "=HYPERLINK(1)",
}


@pytest.mark.parametrize("name", SPEAKING)
@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_come_out_as_they_went_in(tmp_path, word: str, name: str) -> None:
    said = HOSTILE[word]
    result = result_of([square(3, 4, 13, 14)], question=said, thought=said)
    path = export(result, UTM, name, tmp_path, image=said)
    (held,) = attributes(path, name)
    expected = said
    if name in ("geojson", "coco", "json", "geopackage"):  # UTF-8 files have no place for half a pair
        expected = expected.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    if name == "geopackage":  # and GDAL's strings end at a NUL
        expected = expected.replace("\0", "\N{SYMBOL FOR NULL}")
    assert held["question"] == held["thought"] == expected
    assert (held["image"]["path"] if name == "json" else held["image"]) == (
        expected if name == "json" else expected.rsplit("/", 1)[-1]  # no folder of a machine but in the record
    )
    if name == "coco":
        assert json.loads(path.read_text())["categories"][0]["name"] == expected
    if name == "json":
        assert stored.opened(path).result.query.question == expected


# --- the entry --------------------------------------------------------------------------------------------------------


def test_the_table_can_be_shown() -> None:
    assert set(room.DEFAULT_FORMATS) <= set(FORMATS)
    assert len({f.file for f in FORMATS.values()}) == len({f.label for f in FORMATS.values()}) == len(FORMATS)
    for name, entry in FORMATS.items():
        assert entry.name == name and entry.about.endswith(".") and entry.suffix.startswith(".")
    assert [name for name, entry in FORMATS.items() if entry.needs_image] == ["overlay-png"]


def test_names_of_formats() -> None:
    assert checked_formats(["geojson,coco", " COCO ", "json"]) == ("geojson", "coco", "json")
    for bad in ("shapefile", "", "geojson,", "x" * 999):
        with pytest.raises(QueryError, match="no format called.*geopackage"):
            checked_formats([bad])
    with pytest.raises(QueryError, match="'geojson,coco'"):
        encoded(result_of([]), None, "geojson,coco")


def test_a_picture_says_what_it_is_called_and_where_it_lies(tmp_path) -> None:
    result = result_of([square(3, 4, 13, 14)])
    picture = images.Picture(result.query.image, UTM, (), "a picture.tif")
    path = export(result, picture, "geojson", tmp_path / "of my own.geojson")
    held = json.loads(path.read_text())
    assert path.name == "of my own.geojson" and held["think2seg"]["image"] == "a picture.tif"
    assert held["features"][0]["properties"]["area_m2"] == 25.0


def test_a_file_that_cannot_be_written_is_an_error_in_words(tmp_path) -> None:
    for bad in (tmp_path / "no" / "folder.png", tmp_path / "a\0b.png"):
        with pytest.raises(RecordError, match="cannot be written"):
            export(result_of([]), None, "mask-png", bad)
    assert list(tmp_path.iterdir()) == []


# --- stored results ---------------------------------------------------------------------------------------------------


def broken(change: Any) -> dict[str, Any]:
    held = json.loads(encoded(result_of([square(3, 4, 13, 14)]), UTM, "json"))
    change(held)
    return held


@pytest.mark.parametrize(
    ("word", "change", "says"),
    [
        ("another schema", lambda d: d.update(schema=2), "schema 1"),
        ("a key missing", lambda d: d.pop("question"), "it has no 'question'"),
        ("a size that is no number", lambda d: d["image"].update(width="48"), "'48' x 40"),
        ("a picture too large", lambda d: d["image"].update(width=10**9), "million"),
        ("a mask of another size", lambda d: d["instances"][0]["rle"].update(size=[40, 49]), "not \\[40, 48\\]"),
        ("too few runs", lambda d: d["instances"][0]["rle"].update(counts="1"), "do not add up|cannot be read"),
        ("too many runs", lambda d: d["instances"][0]["rle"].update(counts="oooooooo3"), "add up|cannot be read"),
        ("runs that are no text", lambda d: d["instances"][0]["rle"].update(counts=7), "'int'"),
        ("a thought that is no text", lambda d: d.update(thought=["x"]), "where text was expected"),
        ("a score beyond 1", lambda d: d["instances"][0].update(score=7), "score"),
        ("a box inside out", lambda d: d["instances"][0].update(box=[9, 9, 1, 1]), "box"),
        ("an odd georeference", lambda d: d.update(georef={"crs": "EPSG:32617", "transform": [1, 2]}), "six"),
        ("a system that is no text", lambda d: d.update(georef={"crs": 3, "transform": [1] * 6}), "not text"),
        ("a system that is an address", lambda d: d["georef"].update(crs="http://x/y"), "or WKT"),
        ("odd revisions", lambda d: d["revisions"]["prompter"].update(revision=[1]), "revisions"),
        ("more masks than memory", lambda d: d.update(instances=d["instances"] * 300, image={
            "path": "x", "width": 8000, "height": 8000}), "more than memory"),
    ],
)  # fmt: skip
def test_broken_documents_are_refused_in_words(tmp_path, word: str, change: Any, says: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(broken(change)))
    with pytest.raises(RecordError, match=says) as caught:
        stored.opened(path)
    assert "result.json" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{", b"\xff\xfe", b"[" * 99999, b'"x"', b"null"])
def test_what_is_no_document_is_refused_in_words(tmp_path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RecordError, match="x.json"):
        stored.opened(tmp_path / "x.json")


def test_a_missing_document_and_another_picture_are_refused(tmp_path) -> None:
    with pytest.raises(RecordError, match="No such file"):
        stored.opened(tmp_path / "gone.json")
    path = export(result_of([]), None, "json", tmp_path)
    other = images.Picture(np.zeros((9, 9, 3), np.uint8), None, (), "other.png")
    with pytest.raises(RecordError, match="48 x 40 pixels, and other.png is 9 x 9"):
        stored.opened(path, other)


def test_documents_of_before_have_neither_place_nor_revisions(tmp_path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(record.document(result_of(MASKS["a square"]), "x.png")))
    found = stored.opened(tmp_path / "old.json")
    assert found.georef is None and found.revisions is None
    picture = images.Picture(found.result.query.image, UTM, (), "x.tif")
    assert stored.opened(tmp_path / "old.json", picture).georef == UTM


def test_many_at_once_get_their_own(tmp_path) -> None:
    """Formats are written from several threads, as a server does."""
    results = [result_of([square(i, i, i + 5, i + 4)], question=f"question {i}") for i in range(8)]
    places = [*list(PLACES.values())[:4], None] * 2

    def everything(i: int) -> dict[str, bytes]:
        return {name: encoded(results[i], places[i], name) for name in FORMATS if name != "geopackage"}

    alone = [everything(i) for i in range(8)]
    with ThreadPoolExecutor(4) as threads:
        packages = threads.map(lambda i: export(results[i], places[i], "geopackage", tmp_path / f"{i}.gpkg"), range(8))
        assert list(threads.map(everything, range(8))) == alone
        for i, path in enumerate(packages):
            assert rows(path, "answer")[0]["question"] == f"question {i}"
            assert rows(path, "instances")[0]["area_px"] == 20
