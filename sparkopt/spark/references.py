"""What a function refers to, and which part of an objective cannot be shipped.

The references are what a function captured, what it names of its globals, what a partial or an object holds.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

_DEPTH: Final = 12


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
    """Which part of a value does not pickle, as a path from the value to it.

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
