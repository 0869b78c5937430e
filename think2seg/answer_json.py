"""The JSON side of an answer: a tolerant, incremental reader of values, and one instance's value read as a prompt.

The values are those that language models write where JSON was asked for: single or curly quotes, trailing commas,
Python's tuples and `None`, `//` comments, control characters between values. They are read a character at a time by
a push-down automaton: nothing is evaluated, nothing is read twice, nesting is bounded, and the state after a text
does not depend on how the text was cut. Numbers stay words here until `prompt` reads them.

Which keys hold what is data, `Keys`; ours are `OURS`. It does not know tags, fences, thoughts, or which of several
lists is the answer: that is `answer.py`'s; nor whose keys others are: that is `dialect.py`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn

from think2seg.types import Box, Point, Prompt, Size

Value = str | bool | None | list["Value"] | dict[str, "Value"]
"""What `ValueReader` reads. A number is still the word that was written, and so is any other bare word."""

BOX, POSITIVE, NEGATIVE = "bbox_2d", "positive_points", "negative_points"


@dataclass(frozen=True)
class Keys:
    """How one instance is spelt: the keys that are understood, and what else is usual.

    box: keys of a box [x1, y1, x2, y2]. positive, negative: keys of lists of points. point: keys of one positive point
    [x, y] each. ignored: keys that are known and say nothing about where. bare_boxes: a list of four numbers is an
    instance too, without any key. tagged: an answer stands in <answer>. listed: it is a list. What is not so is still
    read, with a warning.
    """

    box: tuple[str, ...] = (BOX,)
    positive: tuple[str, ...] = (POSITIVE,)
    point: tuple[str, ...] = ()
    negative: tuple[str, ...] = (NEGATIVE,)
    ignored: tuple[str, ...] = ()
    bare_boxes: bool = False
    tagged: bool = True
    listed: bool = True

    @property
    def pointing(self) -> frozenset[str]:
        """The keys that make a list or an object an answer."""
        return frozenset(self.box + self.positive + self.point + self.negative)


OURS: Final = Keys()
"""The wire format's own spelling."""
THINNEST: Final = 1e-6
"""Pixels: a box thinner than this has no area, and rounding in another frame could take what it has."""
MAX_DEPTH: Final = 12
"""Lists and objects may nest this deep; an answer needs four."""
_MAX_UNKEYED_DEPTH: Final = 3
"""The same before the first key, so that reading "[[[[" again from each bracket stays cheap."""

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_ALIASES = {"，": ",", "：": ":"}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}
_CLOSER = {"[": "]", "(": ")", "{": "}"}
_NOT_IN_WORD = frozenset(",:[]{}()/`<~，：") | frozenset(_QUOTES)
# \d is any Unicode decimal digit, and float() reads them all: full-width, Arabic-Indic and the rest.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NUMBER_SIGNS = str.maketrans({"−": "-", "－": "-", "．": ".", "٫": "."})


class Step(Enum):
    """What one character did to a `ValueReader`."""

    MORE = "taken, and the value goes on"
    WHOLE = "taken, and it closed the value"
    CUT = "not taken: the value ends here unfinished, at a fence, a tag or the end of a line"
    BROKEN = "not taken: it cannot stand here"


class _At(Enum):
    ITEM = "a value or a closing bracket"
    KEY = "a key or a closing bracket"
    COLON = "a colon"
    VALUE = "a value"
    AFTER = "a comma or a closing bracket"
    STRING = "text in quotes"
    ESCAPE = "a character after a backslash"
    HEX = "four hexadecimal digits"
    WORD = "a number"
    SLASH = "a second slash"
    COMMENT = "a comment"


class ValueReader:
    """Reads one list or object whose opening bracket has just been seen.

    opener: "[" or "{". `top` holds the list's closed items, or the object's closed pairs, as they come.
    """

    def __init__(self, opener: str) -> None:
        self.top: list[Value] | dict[str, Value] = [] if opener == "[" else {}
        self.why = ""
        """What was wrong, once `take` has said `BROKEN`."""
        self.keyed = False
        """Whether a quoted key and its colon have been read: prose in brackets never comes so far. Until then text
        in quotes and comments may hold no brackets, so that a stray quotation mark hides no list."""
        self.keys: set[str] = set()
        """Keys seen so far in the list's items, or in the object itself."""
        self.repeated: set[str] = set()
        """Keys that one object held twice; the last one counts."""
        self._stack: list[list[Value] | dict[str, Value]] = [self.top]
        self._closers: list[str] = [_CLOSER[opener]]
        self._keys: list[str] = []  # the key that waits for its value, one for each open object
        self._at = _At.ITEM if opener == "[" else _At.KEY
        self._back = self._at  # where a comment returns to
        self._quote = ""
        self._is_key = False
        self._piece: list[str] = []

    @property
    def depth(self) -> int:
        """How many lists and objects are open."""
        return len(self._stack)

    def take(self, c: str) -> Step:
        """Read the next character."""
        at = self._at
        if at is _At.WORD:
            if not (c in _NOT_IN_WORD or c.isspace() or not c.isprintable()):
                self._piece.append(c)
                return Step.MORE
            word = self._taken()
            self._put(_WORDS.get(word, word))
            at = self._at
        elif at is _At.STRING or at is _At.ESCAPE or at is _At.HEX:
            return self._in_quotes(c)
        elif at is _At.COMMENT:
            if c in "\n\r":
                self._at = self._back
            return self._broken(c) if self._hides_list(c) else Step.MORE
        elif at is _At.SLASH:
            if c != "/":
                return self._broken(c)
            self._at = _At.COMMENT
            return Step.MORE
        c = _ALIASES.get(c, c)
        if c.isspace() or not c.isprintable():
            return Step.MORE
        if c == "/":
            self._back, self._at = at, _At.SLASH
            return Step.MORE
        if c in "`<" or (c == "~" and self.depth == 1):
            return Step.CUT
        if c == self._closers[-1]:
            # A comma may come before a closing bracket; a colon may not.
            return self._close() if at in (_At.ITEM, _At.KEY, _At.AFTER) else self._broken(c)
        if at is _At.AFTER:
            if c != ",":
                return self._broken(c)
            self._at = _At.ITEM if isinstance(self._stack[-1], list) else _At.KEY
            return Step.MORE
        if at is _At.COLON:
            if c != ":":
                return self._broken(c)
            self.keyed = True
            if self.depth == (2 if isinstance(self.top, list) else 1):
                self.keys.add(self._keys[-1])
            self._at = _At.VALUE
            return Step.MORE
        if c in _QUOTES:
            self._quote, self._is_key, self._at = _QUOTES[c], at is _At.KEY, _At.STRING
            return Step.MORE
        if at is _At.KEY or c in ",:])}":
            return self._broken(c)
        if c in _CLOSER:
            return self._open(c)
        self._piece.append(c)
        self._at = _At.WORD
        return Step.MORE

    def _in_quotes(self, c: str) -> Step:
        if self._at is _At.HEX:
            if c not in "0123456789abcdefABCDEF":
                return self._broken(c)
            self._piece[-1] += c
            if len(self._piece[-1]) == 4:
                self._piece[-1] = chr(int(self._piece[-1], 16))
                self._at = _At.STRING
        elif self._at is _At.ESCAPE:
            self._piece.append("" if c == "u" else _ESCAPES.get(c, c))
            self._at = _At.HEX if c == "u" else _At.STRING
        elif c in "\n\r":
            return Step.CUT
        elif self._hides_list(c):
            return self._broken(c)
        elif c == "\\":
            self._at = _At.ESCAPE
        elif c != self._quote:
            self._piece.append(c)
        elif self._is_key:
            self._keys.append(self._taken())
            self._at = _At.COLON
        else:
            self._put(self._taken())
        return Step.MORE

    def _hides_list(self, c: str) -> bool:
        return not self.keyed and c in "[]{}"

    def _taken(self) -> str:
        text = "".join(self._piece)
        self._piece = []
        return text

    def _open(self, c: str) -> Step:
        if self.depth >= (MAX_DEPTH if self.keyed else _MAX_UNKEYED_DEPTH):
            self.why = f"lists and objects are nested deeper than {MAX_DEPTH}"
            return Step.BROKEN
        self._stack.append({} if c == "{" else [])
        self._closers.append(_CLOSER[c])
        self._at = _At.KEY if c == "{" else _At.ITEM
        return Step.MORE

    def _close(self) -> Step:
        value = self._stack.pop()
        self._closers.pop()
        if not self._stack:
            return Step.WHOLE
        self._put(value)
        return Step.MORE

    def _put(self, value: Value) -> None:
        parent = self._stack[-1]
        if isinstance(parent, list):
            parent.append(value)
        else:
            key = self._keys.pop()
            if key in parent:
                self.repeated.add(key)
            parent[key] = value
        self._at = _At.AFTER

    def _broken(self, c: str) -> Step:
        self.why = f"{quoted(c)} stands where {self._at.value} was expected"
        return Step.BROKEN


def quoted(value: object, limit: int = 60) -> str:
    """`value` in quotes for a message: one line, printable, at most `limit` characters."""
    text = (value if isinstance(value, str) else _written(value))[:1000]  # more is never shown
    shown = (c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    text = " ".join("".join(shown).split())
    return f'"{text[: limit - 1]}…"' if len(text) > limit else f'"{text}"'


def _written(value: object) -> str:
    """Roughly what was written, for a message; long lists and deep nesting are not walked to their end."""
    if isinstance(value, list):
        return "[" + ", ".join(_written(v) for v in value[:8]) + (", …]" if len(value) > 8 else "]")
    if isinstance(value, dict):
        pairs = [f"{k}: {_written(v)}" for k, v in list(value.items())[:8]]
        return "{" + ", ".join(pairs) + (", …}" if len(value) > 8 else "}")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


class InstanceError(ValueError):
    """An object that is no instance; the message is a clause without an end, for a sentence that names it."""


def is_box(value: Value) -> bool:
    """Whether `value` is a list of four words, which a bare box is; what words they are is not looked at."""
    return isinstance(value, list) and len(value) == 4 and not any(isinstance(v, list | dict) for v in value)


def prompt(value: Value, frame: Size, warn: list[str], keys: Keys = OURS) -> Prompt | None:
    """One instance's object as a prompt in pixels of `frame`; what was mended is appended to `warn` as clauses.

    Swapped corners are put right, a box is clipped to [0, w] x [0, h], and one without area counts as no box. A
    point is inside if 0 <= x <= w and 0 <= y <= h (the far edges belong to the frame); others are dropped. None if
    something was pointed at and nothing of it lies inside the frame.

    A number is a plain one, bare or in quotes; `true` is none. One point [x, y] may stand for a list of one.

    Raises `InstanceError` for anything but an object (or a bare box, where `keys` has them), for what is no finite
    number, for two boxes in one object, and for an instance with neither a box nor a positive point.
    """
    if keys.bare_boxes and isinstance(value, list):
        corners, positives, negatives = _box("box", value, warn), [], []
    elif isinstance(value, dict):
        corners = _only_box(value, keys.box, warn)
        positives = [p for key in keys.positive for p in _points(key, value.get(key), warn)]
        positives += [_point(key, value[key]) for key in keys.point if value.get(key) is not None]
        negatives = [p for key in keys.negative for p in _points(key, value.get(key), warn)]
    else:
        what = "a box" if keys.bare_boxes else "an object with a box or points"
        raise InstanceError(f"is {quoted(value)}, not {what}")
    if corners is None and not positives:
        raise InstanceError(f"has neither a box with an area nor a positive point; it reads {quoted(value)}")
    box = None if corners is None else _clipped(corners, frame, warn)
    positive = _inside(positives, frame, "positive", warn)
    negative = _inside(negatives, frame, "negative", warn)
    return None if box is None and not positive else Prompt(box, positive, negative)


def _number(value: Value, key: str) -> float:
    """A plain number, bare or in quotes, in any script's digits."""
    if isinstance(value, str):
        word = value.strip().translate(_NUMBER_SIGNS)
        if _NUMBER.fullmatch(word):
            number = float(word)
            if math.isfinite(number):
                return number
        elif not re.fullmatch(r"[+-]?(?:nan|inf|infinity)", word, re.IGNORECASE):
            raise InstanceError(f"has {quoted(value)} in its `{key}` where a number was expected")
        raise InstanceError(f"has {quoted(value)} in its `{key}`, which is not a finite number")
    raise InstanceError(f"has {quoted(value)} in its `{key}` where a number was expected")


def _only_box(value: dict[str, Value], names: tuple[str, ...], warn: list[str]) -> Box | None:
    """The box under the one of `names` that has a value."""
    given = [key for key in names if value.get(key) is not None]
    if len(given) > 1:
        raise InstanceError(f"has one box in its `{given[0]}` and another in its `{given[1]}`")
    return _box(given[0], value[given[0]], warn) if given else None


def _box(key: str, value: Value, warn: list[str]) -> Box | None:
    """(x1, y1, x2, y2) with x1 < x2 and y1 < y2, not yet clipped."""
    if not isinstance(value, list) or len(value) != 4:
        _wrong(key, value, "a list of four numbers")
    x1, y1, x2, y2 = (_number(v, key) for v in value)
    if abs(x1 - x2) < THINNEST or abs(y1 - y2) < THINNEST:
        warn.append(f"has a box without area, {quoted(value)}; it counts as no box")
        return None
    if x1 > x2 or y1 > y2:
        warn.append("has a box with its corners swapped; they were put right")
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _points(key: str, value: Value, warn: list[str]) -> tuple[Point, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        _wrong(key, value, "a list of points [x, y]")
    if len(value) == 2 and not any(isinstance(v, list | dict) for v in value):
        warn.append(f"has one bare point in its `{key}`; it was read as a list of one")
        value = [value]
    return tuple(_point(key, point) for point in value)


def _point(key: str, value: Value) -> Point:
    if not isinstance(value, list) or len(value) != 2:
        _wrong(key, value, "a point [x, y]")
    return _number(value[0], key), _number(value[1], key)


def _wrong(key: str, value: Value, expected: str) -> NoReturn:
    raise InstanceError(f"has {quoted(value)} in its `{key}` where {expected} was expected")


def _clipped(box: Box, frame: Size, warn: list[str]) -> Box | None:
    w, h = float(frame[0]), float(frame[1])
    x1, y1, x2, y2 = box
    inside = max(0.0, min(w, x1)), max(0.0, min(h, y1)), max(0.0, min(w, x2)), max(0.0, min(h, y2))
    if inside == box:
        return box
    if inside[2] - inside[0] < THINNEST or inside[3] - inside[1] < THINNEST:
        warn.append(f"has a box outside the {frame[0]} x {frame[1]} frame; it was dropped")
        return None
    warn.append(f"has a box partly outside the {frame[0]} x {frame[1]} frame; it was clipped")
    return inside


def _inside(points: Iterable[Point], frame: Size, kind: str, warn: list[str]) -> tuple[Point, ...]:
    points = tuple(points)
    inside = tuple((x, y) for x, y in points if 0 <= x <= frame[0] and 0 <= y <= frame[1])
    if len(inside) < len(points):
        lost = len(points) - len(inside)
        warn.append(f"has {lost} {kind} point{'s' * (lost > 1)} outside the {frame[0]} x {frame[1]} frame; dropped")
    return inside
