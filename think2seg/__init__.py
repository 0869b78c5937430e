"""Think2Seg: ask an aerial image a question; a vision-language model thinks and points, SAM 2 fills in the pixels.

    import think2seg
    pipeline = think2seg.load("nano", "nano")
    result = pipeline("image.png", "Which planes are parked here?")

Importing this loads numpy and Pillow, and no torch.
"""

from think2seg.errors import AnswerError, GeoError, ImageError, ModelError, QueryError, Think2SegError
from think2seg.pipeline import Pipeline, load
from think2seg.types import Query, Result

__all__ = [
    "AnswerError",
    "GeoError",
    "ImageError",
    "ModelError",
    "Pipeline",
    "Query",
    "QueryError",
    "Result",
    "Think2SegError",
    "load",
]

__version__ = "0.1.0"
