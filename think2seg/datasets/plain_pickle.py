"""Pickles of plain values, read without running anything: lists, dicts, tuples, sets, texts, bytes and numbers.

A pickle is a program. Here only the instructions that build plain values are carried out; a global is refused by its
name, and calls, objects, persistent ids and extensions are refused. The standard library's unpickler in Python is
taken, as its table of instructions can be cut (the one in C takes memory for any index that a file names). It knows
no set.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from think2seg.datasets.listing import read_bytes
from think2seg.errors import DatasetError

_PLAIN = {
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP",
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_SET", "ADDITEMS", "FROZENSET",
    "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE",
}  # fmt: skip
_NAMING = {"GLOBAL", "STACK_GLOBAL", "INST"}
"""Carried out as far as `find_class`, which refuses by name."""
_BROKEN = (
    pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError,
    RecursionError, AssertionError, struct.error,
)  # fmt: skip


class _Refused(pickle.UnpicklingError):
    pass


def _refusal(name: str) -> Callable[[Any], NoReturn]:
    def refuse(_: Any) -> NoReturn:
        raise _Refused(f"the instruction {name}")

    return refuse


class _Reader(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        ord(op.code): pickle._Unpickler.dispatch[ord(op.code)] if op.name in _PLAIN | _NAMING else _refusal(op.name)
        for op in pickletools.opcodes
    }

    def find_class(self, module: str, name: str) -> NoReturn:
        raise _Refused(f"the global {module}.{name}")


def read_plain_pickle(path: Path) -> Any:
    """The value that the file holds, written by Python 2 or 3. `DatasetError` if it is not plain, or broken."""
    try:
        return _Reader(io.BytesIO(read_bytes(path)), encoding="utf-8").load()
    except _Refused as error:
        raise DatasetError(
            f"{path} asks for {error}. Nothing of it was run: only plain values are read from a pickle. Fetch the file "
            "from its publisher again."
        ) from error
    except _BROKEN as error:
        why = f"{type(error).__name__}: {error}"[:160]
        raise DatasetError(f"{path} is no pickle, or truncated or damaged ({why}). Fetch it again.") from error
