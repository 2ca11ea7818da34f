"""Source lines of functions that are sent to workers, so that tracebacks show them there as well.

cloudpickle leaves the name of a function's file behind, and a worker need not have that file: a script, a
notebook's cell, a shell's input, a module of the driver alone.

    here     Pickler ── each code object ──▶ its parts, its file's name, its lines
    there    remade ──▶ the code object under that name; its lines in linecache, where tracebacks look
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from io import BytesIO
from types import CodeType
from typing import Any, Final

import cloudpickle

__wraps_objectives__ = True

PROTOCOL: Final = 5
"""The newest pickle protocol that every supported Python reads."""

_CHARACTERS: Final = 256 * 1024
"""So much source travels with a pickle; functions beyond that have their file and line numbers alone."""


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, with the sources of functions and classes that are pickled by value."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._sent: dict[str, list[tuple[int, int]]] = {}
        self._left = _CHARACTERS

    def reducer_override(self, obj: object) -> Any:
        """Reduce code with its sources, and everything else as cloudpickle does."""
        if type(obj) is not CodeType:
            return super().reducer_override(obj)
        make, parts = self.dispatch_table[CodeType](obj)
        return remade, (make, parts, obj.co_filename, obj.co_firstlineno, self._source(obj))

    def _source(self, code: CodeType) -> str:
        """Return the source of some code; empty if it is already sent, missing, or too long."""
        name, first = code.co_filename, code.co_firstlineno
        if first < 1:
            return ""  # made by hand
        last = max(_lines(code), default=first)
        if name not in self._sent:
            linecache.checkcache(name)
        if any(begin <= first and last <= end for begin, end in self._sent.setdefault(name, [])):
            return ""
        try:
            source = "".join(linecache.getlines(name)[first - 1 : last])
        except Exception:  # noqa: BLE001 - a loader of the user's own; code is worth more than its source
            return ""
        if len(source) > self._left:
            return ""
        self._left -= len(source)
        self._sent[name].append((first, last))
        return source


def dumps(value: object) -> bytes:
    """Pickle a value, functions and classes by value where cloudpickle does, with their sources.

    Raises:
        Exception: whatever the value's own pickling raises.
    """
    with BytesIO() as stream:
        Pickler(stream).dump(value)
        return stream.getvalue()


def remade(
    make: Callable[..., CodeType], parts: tuple[Any, ...], name: str, first: int, source: str
) -> CodeType:
    """Make code from its pickle, and put its source lines where tracebacks look for them.

    Args:
        make: makes code of its parts.
        parts: as cloudpickle has them.
        name: of the file.
        first: number of the first line.
        source: from there on; empty if it came with other code, or not at all.
    """
    if source:
        _keep(name, first, source.splitlines(keepends=True))
    return make(*parts).replace(co_filename=name)


def _keep(name: str, first: int, lines: list[str]) -> None:
    known = linecache.getlines(name)
    end = first - 1 + len(lines)
    if known[first - 1 : end] == lines:
        return
    # A file of that name may be another one here: the lines that came are those of the code that runs.
    found = [*known, *["\n"] * (end - len(known))]
    found[first - 1 : end] = lines
    # Without a time of modification, linecache does not look for the file again.
    linecache.cache[name] = (sum(map(len, found)), None, found, name)


def _lines(code: CodeType) -> Iterator[int]:
    """Yield the line numbers of code and of the functions that are defined in it."""
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)
