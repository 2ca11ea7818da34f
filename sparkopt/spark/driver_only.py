"""Search for uses of Spark itself in an objective, which work on the driver only.

Asked for each object that an objective's pickle meets. A pickle does not look into what is sent by name, so
for a function this reads its code: the globals, captured variables and imports that it names, the attributes
that it takes of pyspark's modules, and the functions and classes of its own module that it calls.
"""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any, Final

from py4j.java_gateway import JavaObject
from pyspark import RDD, SparkContext
from pyspark.ml.wrapper import JavaWrapper
from pyspark.sql import Column, DataFrame, SparkSession

from sparkopt.spark.references import captured, codes, named_globals

_DRIVER_ONLY: Final = (SparkContext, DataFrame, Column, RDD, JavaObject, JavaWrapper)
_DRIVER_ONLY_CLASSES: Final = (SparkContext, JavaWrapper)
_CONNECT: Final = ("session.SparkSession", "dataframe.DataFrame", "column.Column")
_DRIVER_ONLY_MODULES: Final = ("pyspark.sql.functions", "pyspark.pandas")


def spark_use(value: object) -> str | None:
    """Returns how a value uses Spark in a way that only works on the driver; None if it does not.

    Looks at the value itself and, if it is something to call, at what its code names.
    """
    return _held(value) or _used_by(_function_of(value), seen=set())


def _held(value: object) -> str | None:
    """Returns the name of the part of Spark that a value is."""
    if isinstance(value, (SparkSession, *_DRIVER_ONLY, *_of_connect(*_CONNECT))):
        return f"it holds a {type(value).__qualname__} of {type(value).__module__}"
    classes = (SparkSession, *_DRIVER_ONLY_CLASSES, *_of_connect("session.SparkSession"))
    if isinstance(value, type) and issubclass(value, classes):
        return f"it uses {value.__module__}.{value.__qualname__}"
    if isinstance(value, types.ModuleType) and _is_driver_only(value.__name__):
        return f"it uses {value.__name__}"
    if isinstance(value, types.FunctionType) and _is_driver_only(value.__module__):
        return f"it uses {value.__module__}.{value.__qualname__}"
    return None


def _of_connect(*names: str) -> Iterator[type]:
    """Classes of Spark Connect, which need not be there, nor be derived from the classic ones."""
    for name in names:
        module, _, kind = name.partition(".")
        loaded = sys.modules.get(f"pyspark.sql.connect.{module}")
        if loaded is not None:
            yield getattr(loaded, kind)


def _is_driver_only(module: str | None) -> bool:
    return any(f"{module}.".startswith(f"{driver_only}.") for driver_only in _DRIVER_ONLY_MODULES)


def _function_of(value: object) -> object:
    """Returns the function that runs when a value is called."""
    while isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, types.MethodType):
        return value.__func__
    if isinstance(value, (type, types.FunctionType)):
        return value
    return inspect.getattr_static(type(value), "__call__", None)


def _used_by(function: object, seen: set[int]) -> str | None:
    """Returns the name of Spark's that a function's code uses, or the code of helpers in the same module."""
    if not isinstance(function, types.FunctionType) or id(function) in seen:
        return None
    seen.add(id(function))
    where = function.__qualname__
    # First what it imports itself: those names are not the globals of the same name.
    imported = list(_imported(function.__code__))
    for thing in imported:
        if use := _held(thing):
            return f"{use} (imported in {where})"
    named = [*named_globals(function), *captured(function)]
    for name, thing in named:
        if use := _held(thing):
            return f"{use} (as {name!r} in {where})"
    if use := _taken_of_modules(function.__code__, [*imported, *(thing for _, thing in named)]):
        return f"{use} (in {where})"
    for _, thing in named:
        for helper in _functions_in(thing, function.__module__):
            if use := _used_by(helper, seen):
                return use
    return None


def _imported(code: types.CodeType) -> Iterator[Any]:
    """Returns what a function's own import statements bring in from pyspark."""
    for inner in codes(code):
        module = ""
        for instruction in dis.get_instructions(inner):
            if instruction.opname == "IMPORT_NAME":
                module = str(instruction.argval)
                names: tuple[str, ...] = (module.partition(".")[0], module)
            elif instruction.opname == "IMPORT_FROM":
                names = (f"{module}.{instruction.argval}",)
            else:
                continue
            if module.partition(".")[0] == "pyspark":
                yield from (_import(name) for name in names)


def _import(name: str) -> Any:
    """A module, or what a module has, by its full name; None if there is no such thing."""
    if _is_driver_only(name):
        # Its name is enough: importing pyspark.pandas takes a second, and warns.
        return types.ModuleType(name)
    module, _, attribute = name.rpartition(".")
    try:
        if not module:
            return importlib.import_module(name)
        found = getattr(importlib.import_module(module), attribute, None)
        return importlib.import_module(name) if found is None else found
    except ImportError:
        return None


def _taken_of_modules(code: types.CodeType, things: list[Any]) -> str | None:
    """Returns what code takes of pyspark's modules, as ``pyspark.sql.SparkSession`` is taken of ``pyspark``.

    A name that the code takes of something else counts as well: only the set of names is known here.
    """
    names = {name for inner in codes(code) for name in inner.co_names}
    modules = [thing for thing in things if _is_of_pyspark(thing)]
    for module in modules:
        for name in sorted(names):
            taken = getattr(module, name, None)
            if use := _held(taken):
                return use
            if _is_of_pyspark(taken) and taken not in modules:
                modules.append(taken)
    return None


def _is_of_pyspark(thing: Any) -> bool:
    return isinstance(thing, types.ModuleType) and thing.__name__.partition(".")[0] == "pyspark"


def _functions_in(thing: Any, module: str | None) -> Iterator[Any]:
    """A function, or a class's functions, if a module of that name defines them."""
    if getattr(thing, "__module__", None) != module:
        return
    if isinstance(thing, type):
        yield from (getattr(function, "__func__", function) for function in vars(thing).values())
    else:
        yield thing
