"""A result as a GeoPackage, in the source's own reference system, written by GDAL.

Layers: `instances` (multipolygons), `prompt_boxes` and `prompt_points` (what was sent to the segmenter), and `answer`,
a table of one row with the question, the thought and the models, which is there even if nothing was found. Without a
georeference coordinates are pixels of the source image (y down), in GeoPackage's "undefined Cartesian" system (srs_id
-1); `coordinates_are` in `answer` says which of the two it is.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from think2seg.errors import GeoError
from think2seg.export import outlines
from think2seg.export.subject import IN_PIXELS, Subject, c_string
from think2seg.geo import Georef

_INSTANCE: dict[str, type] = {"instance": np.int64, "score": np.float64, "area_px": np.int64, "area_m2": np.float64}
_TEXTS = ("box", "positive", "negative")


def content(subject: Subject) -> bytes:
    """The file's bytes. Raises `GeoError` if GDAL cannot write the reference system."""
    import shapely

    placed = partial(outlines.in_source, georef=subject.georef)
    shapes = [placed(outlines.outline(mask)) for mask in subject.result.masks]
    each = [{**said, **{key: json.dumps(said[key]) for key in _TEXTS}} for said in subject.each]
    shared = {key: value for key, value in subject.common.items() if key != "instances"}
    kinds: dict[str, type] = {**_INSTANCE, **dict.fromkeys(_TEXTS, str), **_kinds(shared)}
    boxes, points = _prompts(subject)
    with tempfile.TemporaryDirectory(prefix="think2seg-") as folder:
        layers = _Layers(Path(folder) / "result.gpkg", subject.georef)
        rows = [{**said, **shared} for said in each]
        wholes = [None if shape.is_empty else outlines.right_handed(shape) for shape in shapes]
        layers.write("instances", "MultiPolygon", wholes, rows, kinds)
        layers.write(
            "prompt_boxes", "Polygon",
            [placed(shapely.box(*corners)) for _i, corners in boxes],
            [{"instance": i + 1} for i, _corners in boxes], {"instance": np.int64},
        )  # fmt: skip
        layers.write(
            "prompt_points", "Point",
            [placed(shapely.Point(at)) for _i, _positive, at in points],
            [{"instance": i + 1, "positive": positive} for i, positive, _at in points],
            {"instance": np.int64, "positive": np.bool_},
        )  # fmt: skip
        frame = IN_PIXELS if subject.georef is None else "the image's own reference system, which the layers name"
        answer = {**subject.common, "coordinates_are": frame}
        layers.write("answer", None, None, [answer], _kinds(answer))
        return layers.path.read_bytes()


def _prompts(
    subject: Subject,
) -> tuple[list[tuple[int, tuple[float, ...]]], list[tuple[int, bool, tuple[float, float]]]]:
    """Boxes and points that were sent, each with its instance from 0; of points whether they are positive."""
    sent = list(enumerate(subject.result.sent))
    boxes = [(i, prompt.box) for i, prompt in sent if prompt.box is not None]
    points = [(i, True, at) for i, prompt in sent for at in prompt.positive]
    points += [(i, False, at) for i, prompt in sent for at in prompt.negative]
    return [(i, tuple(corners)) for i, corners in boxes], points


def _kinds(row: dict[str, Any]) -> dict[str, type]:
    """A column's type by a row's value: whole numbers, else text, which may be missing."""
    return {key: np.int64 if isinstance(value, int) else str for key, value in row.items()}


class _Layers:
    """One file that grows by a layer at a time."""

    def __init__(self, path: Path, georef: Georef | None) -> None:
        self.path = path
        self._georef = georef

    def write(
        self,
        layer: str,
        geometry_type: str | None,
        shapes: list[Any] | None,
        rows: list[dict[str, Any]],
        kinds: dict[str, type],
    ) -> None:
        """Add a layer; geometry_type None makes a table without geometries. Missing numbers and text become NULL."""
        import shapely
        from pyogrio import raw
        from pyogrio.errors import CRSError, DataSourceError

        columns = [_column([row[key] for row in rows], kind) for key, kind in kinds.items()]
        geometry = None if shapes is None else np.array(shapely.to_wkb(np.array(shapes, dtype=object)), dtype=object)
        system = None if self._georef is None else self._georef.crs
        options = {"SRID": "-1"} if self._georef is None and geometry_type else {}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
                raw.write(
                    self.path, geometry, columns, list(kinds), layer=layer, driver="GPKG", crs=system,
                    geometry_type=geometry_type, append=self.path.exists(), layer_options=options,
                )  # fmt: skip
        except (CRSError, DataSourceError) as error:
            raise GeoError(
                f"A GeoPackage cannot be written in this image's reference system: {error}. Take GeoJSON."
            ) from error


def _column(values: list[Any], kind: type) -> Any:
    if kind is str:
        return np.array([None if value is None else c_string(str(value)) for value in values] or [], dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=kind)
