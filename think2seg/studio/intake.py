"""What comes in, checked: uploaded files become pictures, and the words of a question are words.

An API client passes by everything that the page forbids, so nothing here trusts the page.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gradio.utils import get_upload_folder

from think2seg import images
from think2seg.errors import ImageError, QueryError
from think2seg.images import Picture
from think2seg.pipeline import LONGEST_QUESTION


def uploaded(path: str | None) -> Picture:
    """The picture in an uploaded file; files elsewhere on the server are nobody's business. Raises `ImageError`."""
    if not path:
        raise ImageError("There is no picture yet. Drop one on the canvas, paste it, or choose a file.")
    return _picture(str(uploaded_path(path, "picture")))


def uploaded_path(path: str, what: str) -> Path:
    """Where an uploaded file lies. Raises `ImageError` for a file that was not uploaded; `what`: the file's role."""
    place = Path(path).resolve()
    if not place.is_relative_to(Path(get_upload_folder()).resolve()):
        raise ImageError(f"This file was not uploaded here. Upload the {what}, then ask about it.")
    return place


@lru_cache(maxsize=2)
def _picture(path: str) -> Picture:
    """Uploads lie under a name made of their content, so a path is loaded once while it is looked at."""
    return images.load(path)


def asked_words(question: object) -> str:
    """The question, if it can be asked at all. Raises `QueryError`."""
    if not isinstance(question, str) or not question.strip():
        raise QueryError("The question is empty. Ask in plain words what to find, such as “the storage tanks”.")
    if len(question) > LONGEST_QUESTION:
        length = len(question)
        raise QueryError(f"The question has {length} characters; at most {LONGEST_QUESTION} are read. Shorten it.")
    return question


def described(picture: Picture) -> str:
    """A picture in one line: its name, size, place on the Earth, and what was done to show it."""
    height, width = picture.pixels.shape[:2]
    place = "" if picture.georef is None else f", georeferenced ({picture.georef.crs[:40]})"
    return " ".join([f"{picture.name}: {width} × {height} pixels{place}.", *picture.notes])
