"""A result as GeoJSON (RFC 7946): a FeatureCollection, one feature an instance.

With a georeference coordinates are longitude and latitude on WGS 84, and nothing else. Without one they are pixels of
the source image, which RFC 7946 does not foresee: the foreign member `think2seg` says which of the two it is.
"""

from __future__ import annotations

from typing import Any

from think2seg.export import outlines
from think2seg.export.subject import IN_PIXELS, Subject, json_file

ON_GLOBE = "longitude and latitude, WGS 84 (RFC 7946)"


def content(subject: Subject) -> bytes:
    """The document, in UTF-8. Outer rings are counterclockwise in their numbers; an empty mask has the geometry null.

    `box`, `positive` and `negative` stay in pixels of the source image. Raises `GeoError`.
    """
    shapes = [outlines.outline(mask) for mask in subject.result.masks]
    if subject.georef is None:
        shapes = [outlines.right_handed(shape) for shape in shapes]
    else:
        shapes = outlines.on_globe(shapes, subject.georef)
    frame = IN_PIXELS if subject.georef is None else ON_GLOBE
    return json_file(
        {
            "type": "FeatureCollection",
            "think2seg": {"coordinates_are": frame, **subject.common},
            "features": [
                {
                    "type": "Feature",
                    "id": said["instance"],
                    "geometry": _geometry(shape),
                    "properties": {**said, **_shared(subject)},
                }
                for shape, said in zip(shapes, subject.each, strict=True)
            ],
        }
    )


def _geometry(shape: Any) -> dict[str, Any] | None:
    """A polygon, several, or None for a mask without a pixel."""
    import shapely

    if shape.is_empty:
        return None
    held: dict[str, Any] = shapely.geometry.mapping(shape.geoms[0] if len(shape.geoms) == 1 else shape)
    return held


def _shared(subject: Subject) -> dict[str, Any]:
    """What each feature says of the whole, so that it can be read alone; `instances` would be no property of one."""
    return {key: value for key, value in subject.common.items() if key != "instances"}
