"""Which part of an objective cannot be shipped, and where an objective uses Spark itself.

Both walk the same references: what a function captured, what it names of its globals, what a partial or
an object holds.
"""

from __future__ import annotations

import dis
import functools
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

from py4j.java_gateway import JavaObject
from pyspark import RDD, SparkContext
from pyspark.ml.wrapper import JavaWrapper
from pyspark.sql import Column, DataFrame, SparkSession

_DRIVER_ONLY: Final = (SparkSession, SparkContext, DataFrame, Column, RDD, JavaObject, JavaWrapper)
_DRIVER_ONLY_CLASSES: Final = (SparkSession, SparkContext, JavaWrapper)
_DEPTH: Final = 12


def spark_use(value: object) -> str | None:
    """How a value uses Spark in a way that only works on the driver; None if it does not.

    Looks at the value itself and, if it is a function, at what its code names.
    """
    if isinstance(value, _DRIVER_ONLY):
        return f"it holds a {type(value).__qualname__} of {type(value).__module__}"
    if isinstance(value, type) and issubclass(value, _DRIVER_ONLY_CLASSES):
        return f"it uses {value.__module__}.{value.__qualname__}"
    if isinstance(value, types.FunctionType):
        # First what it imports itself: those names are not the globals of the same name.
        for imported in _imported(value.__code__):
            if isinstance(imported, type) and (use := spark_use(imported)):
                return f"{use} (imported in {value.__qualname__})"
        for name, named in named_globals(value):
            if isinstance(named, (*_DRIVER_ONLY, type)) and (use := spark_use(named)):
                return f"{use} (as {name!r} in {value.__qualname__})"
    return None


def named_globals(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that a function's code names, those of functions inside it included."""
    for code in _codes(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _imported(code: types.CodeType) -> Iterator[Any]:
    """What a function's own import statements bring in from pyspark."""
    for inner in _codes(code):
        module = ""
        for instruction in dis.get_instructions(inner):
            if instruction.opname == "IMPORT_NAME":
                module = str(instruction.argval)
            elif instruction.opname == "IMPORT_FROM" and module.split(".")[0] == "pyspark":
                try:
                    yield getattr(importlib.import_module(module), str(instruction.argval), None)
                except ImportError:
                    continue


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
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield f"the captured variable {name!r}", _content(cell)
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
