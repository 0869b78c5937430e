"""A result as GeoTIFF: the number of the instance in each pixel, in the source's own system and transform.

Without a georeference it is a plain TIFF. The attributes stand as JSON in the metadata item `THINK2SEG`, where
`georeferenced` says which of the two it is.
"""

from __future__ import annotations

import warnings
from typing import Any

from think2seg.errors import GeoError
from think2seg.export.pictures import numbered, palette
from think2seg.export.subject import Subject


def content(subject: Subject) -> bytes:
    """One band, 8-bit with a palette or 16-bit for more than 255 instances; 0 is nothing, and no data; tiled, deflate.

    Overlaps as in `numbered`. Raises `GeoError` if GDAL cannot write the reference system.
    """
    from rasterio import Affine
    from rasterio._err import CPLE_BaseError  # what GDAL itself reports: some of it comes through unwrapped
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    labels = numbered(subject.result)
    height, width = labels.shape
    shape: dict[str, Any] = {"width": width, "height": height, "count": 1, "dtype": labels.dtype.name, "nodata": 0}
    layout: dict[str, Any] = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    place: dict[str, Any] = {}
    if subject.georef is not None:
        place = {"crs": subject.georef.understood(), "transform": Affine(*subject.georef.transform)}
    try:
        with warnings.catch_warnings(), MemoryFile() as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(driver="GTiff", **shape, **layout, **place) as raster:
                raster.write(labels, 1)
                if labels.dtype.itemsize == 1:
                    raster.write_colormap(1, dict(enumerate((*colour, 255) for colour in palette())))
                raster.update_tags(THINK2SEG=subject.spoken)
            return bytes(memory.read())
    except (RasterioError, CPLE_BaseError) as error:
        raise GeoError(
            f"A GeoTIFF cannot be written in this image's reference system: {error}. Take the indexed PNG."
        ) from error
