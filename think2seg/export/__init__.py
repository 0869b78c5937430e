"""A result leaves: as a picture, as JSON, COCO, GeoJSON or GeoPackage, or as a GeoTIFF.

`export` writes one file, `encoded` gives its bytes, `FORMATS` lists what there is for a page, an API and a command line
alike; `stored.opened` reads a result back from its document. It knows results, images and where they lie; no model and
no page. rasterio, shapely and pyogrio are loaded by the formats that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from think2seg import record
from think2seg.errors import QueryError, RecordError
from think2seg.export import coco, geojson, geopackage, geotiff, pictures, stored
from think2seg.export.subject import Revisions, Subject
from think2seg.geo import Georef
from think2seg.images import Picture
from think2seg.types import Result

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "Format",
    "Revisions",
    "checked_formats",
    "encoded",
    "export",
    "find_format",
    "remark",
]


@dataclass(frozen=True)
class Format:
    """What a result can be written as.

    name: for a command line and an API. label: for a page. file: what a file of it is called in a folder. about: what
    it is for, a sentence. without_georef: what it holds instead of places on the Earth, a sentence; empty where it has
    none anyway. needs_image: whether the image's own pixels are needed.
    """

    name: str
    label: str
    file: str
    about: str
    encode: Callable[[Subject], bytes]
    without_georef: str = ""
    needs_image: bool = False

    @property
    def suffix(self) -> str:
        """The file's ending, with its dot."""
        return Path(self.file).suffix


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("json", "JSON", "result.json", "Everything, to be read back by `export` or from Python.",
            stored.document_json,
        ),
        Format("mask-png", "Mask PNG", "mask.png", "All instances together: 255 where something is, else 0.",
            pictures.mask_png,
        ),
        Format(
            "indexed-png", "Indexed PNG", "indexed.png",
            "A number an instance, 0 for nothing, with a palette (16-bit gray from 256 instances on); where instances "
            "overlap the smaller one wins, so that none is hidden by a larger one.",
            pictures.indexed_png,
        ),
        Format(
            "overlay-png", "Overlay PNG", "overlay.png", "The image with masks, boxes and points on it, for the eye.",
            pictures.overlay_png, needs_image=True,
        ),
        Format(
            "coco", "COCO JSON", "coco.json", "For training and scoring: run lengths an instance, overlaps kept.",
            coco.content,
        ),
        Format(
            "geojson", "GeoJSON", "result.geojson",
            "For web maps: outlines along the pixels' borders, in longitude and latitude.", geojson.content,
            "Without a georeference coordinates are pixels of the image, not longitude and latitude.",
        ),
        Format(
            "geopackage", "GeoPackage", "result.gpkg",
            "For QGIS and its kin: outlines, boxes and points as layers, in the image's own reference system.",
            geopackage.content, "Without a georeference coordinates are pixels of the image (srs_id -1).",
        ),
        Format(
            "geotiff", "GeoTIFF", "mask.tif",
            "A raster that lies on the image: a number an instance, 0 is nothing; overlaps as in the indexed PNG.",
            geotiff.content, "Without a georeference it is a plain TIFF.",
        ),
    )
}  # fmt: skip

DEFAULT_FORMATS = ("json", "mask-png", "overlay-png")


def find_format(name: str) -> Format:
    """The entry of `FORMATS` under `name`. Raises `QueryError`, naming those that there are."""
    if name not in FORMATS:
        raise QueryError(f"There is no format called {name[:40]!r}. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def checked_formats(words: Iterable[str]) -> tuple[str, ...]:
    """The formats that words such as `geojson,coco` name, each once, in the order given. Raises `QueryError`."""
    names = [name.strip().lower() for word in words for name in word.split(",")]
    return tuple(dict.fromkeys(find_format(name).name for name in names))


def remark(name: str, georef: Georef | None) -> str:
    """What somebody should know of a file of the format `name`: that it holds no places on the Earth. Mostly empty."""
    return find_format(name).without_georef if georef is None else ""


def encoded(
    result: Result,
    place: Picture | Georef | None,
    name: str,
    *,
    image: str | None = None,
    revisions: Revisions | None = None,
) -> bytes:
    """The bytes of a file of the format `name`.

    place: the loaded picture, which knows where it lies, or that alone; None for an image that lies nowhere. image:
    what the image is called in the file, by default the picture's name. revisions: which weights made the result, as
    `weights.identities` says; None where it is not known, which the file then says.

    Raises `QueryError` (an unknown format), `GeoError` (a georeference that cannot be used), `RecordError`.
    """
    chosen = find_format(name)
    georef = place.georef if isinstance(place, Picture) else place
    called = image if image is not None else place.name if isinstance(place, Picture) else ""
    return chosen.encode(Subject(result, called, georef, revisions))


def export(
    result: Result,
    place: Picture | Georef | None,
    name: str,
    to: Path,
    *,
    image: str | None = None,
    revisions: Revisions | None = None,
) -> Path:
    """Write `result` as a file of the format `name`, whole or not at all; the path of the file.

    to: a folder that is there, in which the file is called as `FORMATS` has it, or a file's path. The rest, and what is
    raised, as in `encoded`; `RecordError` also if the file cannot be written.
    """
    path = to / find_format(name).file if to.is_dir() else to
    content = encoded(result, place, name, image=image, revisions=revisions)
    try:
        record.write_atomically(path, content)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise RecordError(f"{str(path)!r} cannot be written: {why}. Give another place for it.") from error
    return path
