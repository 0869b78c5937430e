"""What comes in, checked: uploaded files become pictures, and the words of a question are words.

An API client passes by everything that the page forbids, so nothing here trusts the page.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from think2seg import images, record
from think2seg.dialect import DIALECTS
from think2seg.errors import ImageError, QueryError
from think2seg.images import Picture
from think2seg.models import OUR_DIALECT
from think2seg.pipeline import LONGEST_QUESTION
from think2seg.strategy import find_strategy
from think2seg.types import Prompt, Result, Size

MOST_PROMPTS = 100
"""Of one request; each is a mask of the picture's size."""
MOST_POINTS = 64
"""Of one prompt, positive and negative together."""


def uploaded(path: str | None) -> Picture:
    """The picture in an uploaded file; files elsewhere on the server are nobody's business. Raises `ImageError`."""
    if not path:
        raise ImageError("There is no picture yet. Drop one on the canvas, paste it, or choose a file.")
    return _picture(str(uploaded_path(path, "picture")))


def uploaded_path(path: str, what: str) -> Path:
    """Where an uploaded file lies. Raises `ImageError` for a file that was not uploaded; `what`: the file's role."""
    place = Path(path.replace("\0", "")).resolve()
    if "\0" in path or not place.is_relative_to(Path(get_upload_folder()).resolve()):
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


def checked_prompts(given: object, size: Size) -> tuple[Prompt, ...]:
    """Prompts as plain data (`record.prompt_document`), in pixels of a picture of `size`. Raises `QueryError`."""
    if not isinstance(given, list | tuple):
        raise QueryError(f"Prompts must be a list of objects with a box or points; {type(given).__name__} came.")
    if len(given) > MOST_PROMPTS:
        raise QueryError(f"{len(given)} prompts came; at most {MOST_PROMPTS} are taken. Send some of them.")
    return tuple(_checked_prompt(one, number, size) for number, one in enumerate(given, start=1))


def _checked_prompt(given: object, number: int, size: Size) -> Prompt:
    if not isinstance(given, dict):
        raise QueryError(f"Prompt {number} must be an object with a box or points; {type(given).__name__} came.")
    points = [given.get(name) or [] for name in ("positive", "negative")]
    if not all(isinstance(p, list) for p in points):
        raise QueryError(f"The points of prompt {number} must be lists of [x, y].")
    if sum(map(len, points)) > MOST_POINTS:
        raise QueryError(f"Prompt {number} has {sum(map(len, points))} points; at most {MOST_POINTS} are taken.")
    try:
        prompt = record.prompt_from_document({"box": given.get("box"), "positive": points[0], "negative": points[1]})
    except (ValueError, TypeError, OverflowError) as error:
        why = " ".join(str(error).split())[:200]
        raise QueryError(
            f"Prompt {number} cannot be read: {why} It is {{box: [x1, y1, x2, y2] or null, positive: [[x, y], …], "
            "negative: [[x, y], …]}, in pixels of the picture."
        ) from error
    width, height = size
    outside = [(x, y) for x, y in (*prompt.positive, *prompt.negative) if not (0 <= x <= width and 0 <= y <= height)]
    x1, y1, x2, y2 = prompt.box or (0, 0, 1, 1)
    if outside or x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        raise QueryError(f"Prompt {number} lies outside of the picture, which is {width} × {height} pixels.")
    return prompt


_HELD = {"text": str, "thought": str, "dialect": str, "prompter": str, "strategy": str, "question": str}


def asked_document(given: object, size: Size) -> dict[str, Any]:
    """A result's document as far as prompts go, about a picture of `size`; its masks are not looked at.

    Raises `QueryError`.
    """
    if not isinstance(given, dict):
        raise QueryError(f"A document must be a JSON object, as `segment` gives it; {type(given).__name__} came.")
    if given.get("schema") != record.SCHEMA:
        raise QueryError(f"A document of schema {record.SCHEMA} is needed, whole as `segment` gave it.")
    image, frame = given.get("image"), given.get("frame")
    about = (image.get("width"), image.get("height")) if isinstance(image, dict) else None
    if about != size:
        raise QueryError(f"The document is about a picture of {about}, and this one is {size}. Send the two together.")
    wrong = [name for name, kind in _HELD.items() if not isinstance(given.get(name, kind()), kind)]
    if not (isinstance(frame, list) and len(frame) == 2 and all(type(v) is int and 0 < v < 10**6 for v in frame)):
        wrong.append("frame")
    if not (isinstance(given.get("warnings", []), list) and all(isinstance(w, str) for w in given.get("warnings", []))):
        wrong.append("warnings")
    if not isinstance(given.get("instances"), list):
        wrong.append("instances")
    if wrong:
        raise QueryError(f"The document cannot be used: its {wrong[0]} is not what `segment` writes there.")
    if given.get("dialect", OUR_DIALECT) not in DIALECTS:
        raise QueryError(f"The document's dialect is not known. Known: {', '.join(DIALECTS)}.")
    return given


def recorded(given: object, picture: Picture) -> Result:
    """The result that a document holds, masks included, on its picture. Raises `QueryError`."""
    height, width = picture.pixels.shape[:2]
    held = asked_document(given, (width, height))
    checked_prompts(held["instances"], (width, height))
    try:
        find_strategy(held["strategy"])
        if any(list(one["rle"]["size"]) != [height, width] for one in held["instances"]):
            raise ValueError("A mask is not of the picture's size.")
        return record.from_document(held, picture.pixels)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        why = " ".join(str(error).split())[:200]
        raise QueryError(f"The document cannot be used: {why or type(error).__name__}") from error


def described(picture: Picture) -> str:
    """A picture in one line: its name, size, place on the Earth, and what was done to show it."""
    height, width = picture.pixels.shape[:2]
    place = "" if picture.georef is None else f", georeferenced ({picture.georef.crs[:40]})"
    return " ".join([f"{picture.name}: {width} × {height} pixels{place}.", *picture.notes])
