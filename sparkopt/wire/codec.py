"""Python objects to bytes and back.

Most arguments and results are small trees of plain values, and the standard pickler is ten times as fast
on these as cloudpickle, which everything else needs: functions, classes and instances out of a notebook
would be pickled by name and not be found on the other side.
"""

from __future__ import annotations

import io
from pickle import Pickler, Unpickler
from pickle import dumps as _dumps
from pickle import load as _load
from pickle import loads as _loads
from typing import Any, BinaryIO, Final, Protocol

from sparkopt.wire.sources import PROTOCOL as _PROTOCOL
from sparkopt.wire.sources import Pickler as _PicklerByValue
from sparkopt.wire.sources import dumps as _dumps_by_value

__wraps_objectives__ = True

_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_DEPTH: Final = 8

_NUMPY: Final = frozenset({"scalar", "_reconstruct", "_frombuffer", "ndarray", "dtype"})
_IMPORTING: Final = b"ci\x82\x83\x84\x93"
"""The opcodes of pickle that import a name or refer to a registered one: GLOBAL, INST, EXT1, EXT2, EXT4 and
STACK_GLOBAL. A pickle without such bytes imports nothing."""

_HARMLESS: Final = {
    "builtins": frozenset({"bytearray", "complex", "frozenset", "set"}),
    "numpy": _NUMPY,
    "numpy.core.multiarray": _NUMPY,
    "numpy.core.numeric": _NUMPY,
    "numpy._core.multiarray": _NUMPY,
    "numpy._core.numeric": _NUMPY,
}
"""Names that a pickle of plain or numpy values imports, by module. None of them runs the user's code."""


class NotPlainError(Exception):
    """A pickle imports a name whose code may do anything."""


def dumps(value: object) -> bytes:
    """Pickle a value such that another process without our ``__main__`` can read it.

    Raises:
        Exception: whatever the value's own pickling raises.
    """
    if _is_plain(value, _DEPTH):
        return _dumps(value, _PROTOCOL)
    return _dumps_by_value(value)


class Writable(Protocol):
    """Takes the bytes of a pickle."""

    def write(self, data: Any, /) -> Any:
        """Take some bytes, or a view of some."""


def dump(value: object, file: Writable) -> None:
    """Pickle a value into a file as :func:`dumps` does, without a copy of its large parts.

    Raises:
        Exception: whatever the value's own pickling raises, or the file.
    """
    if _is_plain(value, _DEPTH):
        Pickler(file, _PROTOCOL).dump(value)
    else:
        _PicklerByValue(file).dump(value)


def loads(data: bytes) -> Any:
    """The value that :func:`dumps` pickled. For bytes from our own processes only."""
    return _loads(data)


def load(file: BinaryIO) -> Any:
    """The value whose pickle a file holds; like :func:`loads`, without a copy of the bytes."""
    return _load(file)


def loads_plain(data: bytes) -> Any:
    """The pickled value, if neither unpickling nor using it runs code of the user's.

    Raises:
        NotPlainError: if some would; nothing of the user's has run.
        Exception: if the bytes are not a pickle.
    """
    if len(data.translate(None, _IMPORTING)) == len(data):
        return _loads(data)
    return _PlainUnpickler(io.BytesIO(data)).load()


class _PlainUnpickler(Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _HARMLESS.get(module, ()):
            return super().find_class(module, name)
        raise NotPlainError(f"{module}.{name}")


def _is_plain(value: object, depth: int) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if depth == 0:
        return False
    if kind is dict:
        return all(
            type(key) in _PLAIN and _is_plain(item, depth - 1)
            for key, item in value.items()  # type: ignore[attr-defined]
        )
    if kind is list or kind is tuple:
        return all(_is_plain(item, depth - 1) for item in value)  # type: ignore[attr-defined]
    # numpy's scalars, by far the most frequent values of a space, without loading numpy for the question.
    return kind.__module__ == "numpy" and hasattr(kind, "dtype") and not hasattr(kind, "__len__")
