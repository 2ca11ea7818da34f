"""References of a function, and the part of an objective that cannot be shipped or makes it large.

The references are what a function captured, what it names of its globals, what a partial or an object holds.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

_DEPTH: Final = 12
_LOOKED_AT: Final = 200
"""How many parts to measure before the search for the large ones ends: each of them is pickled for it."""


def named_globals(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that a function's code names, those of functions inside it included."""
    for code in codes(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]


def captured(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables that a function captured; None for one that is not bound yet."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, _content(cell)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def find_offender(value: object, dumps: Callable[[object], bytes]) -> str:
    """Find the part of a value that does not pickle, as a path from the value to it.

    Args:
        value: something that ``dumps`` refuses.
        dumps: the pickler to satisfy.
    """
    path: list[str] = []
    seen: set[int] = set()
    while len(path) < _DEPTH:
        seen.add(id(value))
        for name, part in _parts(value):
            if id(part) not in seen and not _pickles(part, dumps):
                path.append(name)
                value = part
                break
        else:
            break
    return ", ".join([*path, f"which is a {_kind(value)}"]) if path else f"a {_kind(value)}"


def find_largest(value: object, dumps: Callable[[object], bytes], count: int = 3) -> list[tuple[str, int]]:
    """The parts that make a value large, as paths from the value to them, with their pickles' sizes in bytes.

    Args:
        value: something that ``dumps`` takes.
        dumps: the pickler.
        count: how many parts to name.
    """
    whole = len(dumps(value))
    found = _large_parts(value, "", whole // 10, dumps, set())
    return sorted(found, key=lambda part: -part[1])[:count] or [(f"a {_kind(value)}", whole)]


def _large_parts(
    value: object, path: str, least: int, dumps: Callable[[object], bytes], seen: set[int]
) -> Iterator[tuple[str, int]]:
    """The innermost parts with pickles of at least ``least`` bytes."""
    for name, part in _parts(value):
        if id(part) in seen or len(seen) > _LOOKED_AT:
            continue
        seen.add(id(part))
        size = len(dumps(part))
        if size >= least:
            where = f"{path}, {name}" if path else name
            inner = list(_large_parts(part, where, least, dumps, seen))
            yield from inner or [(f"{where}, a {_kind(part)}", size)]


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _pickles(value: object, dumps: Callable[[object], bytes]) -> bool:
    try:
        dumps(value)
    except Exception:  # noqa: BLE001 - a pickle may raise whatever the object's author wrote
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, functools.partial):
        yield "the partial's function", value.func
        yield from ((f"the partial's argument {index}", item) for index, item in enumerate(value.args))
        yield from ((f"the partial's argument {name!r}", item) for name, item in value.keywords.items())
    elif isinstance(value, types.MethodType):
        yield "the method's object", value.__self__
    elif isinstance(value, types.FunctionType):
        yield from ((f"the captured variable {name!r}", item) for name, item in captured(value))
        yield from ((f"the global {name!r}", item) for name, item in named_globals(value))
        yield from (("a default argument", item) for item in value.__defaults__ or ())
    elif isinstance(value, dict):
        yield from ((f"the entry {key!r}", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"the item {index}", item) for index, item in enumerate(value))
    elif not isinstance(value, (type, types.ModuleType)):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            yield from ((f"the attribute {name!r}", item) for name, item in attributes.items())


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
