"""Checks of arguments. Each error names the argument, the value that came, and what is expected.

Each check returns the value in the type that the rest of the package calculates with, so that a whole number
of numpy's, or ``10.0``, is an ``int`` from there on.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import numbers
import reprlib
from collections.abc import Callable
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from sparkopt.errors import ArgumentTypeError, ArgumentValueError

P = ParamSpec("P")
R = TypeVar("R")

_CHARACTERS: Final = 100
_repr: Final = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = _CHARACTERS

_OBJECTIVE: Final = "callable with one argument, the point"
_RAW_OBJECTIVE: Final = "callable with expr, memo and ctrl, as pass_expr_memo_ctrl says"
WHOLE: Final = "a whole number, at least 1"
SECONDS: Final = "None or a positive number of seconds"
_ELSEWHERE: Final = {"n_jobs": "parallelism"}
"""Names that other libraries have for an argument, and ours."""

_FOREVER: Final = 1e9
"""Seconds, about thirty years, that stand for no limit: the functions that wait accept no larger number."""


def shown(value: object) -> str:
    """A value in a message: its ``repr``, not too long and whatever it raises, and its type."""
    if value is None:
        return "None"
    kind = type(value).__name__
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    try:
        text = " ".join(_repr.repr(value).split())
    except Exception:  # noqa: BLE001 - a repr may raise whatever its author wrote
        return f"a {kind}"
    return f"{text[:_CHARACTERS]} ({kind})"


def refuse_type(name: str, value: object, expected: str, hint: str = "") -> NoReturn:
    """Refuse a value for its type.

    Raises:
        ArgumentTypeError: always.
    """
    raise ArgumentTypeError(f"{name} must be {expected}, got {shown(value)}{_and(hint)}")


def refuse_value(name: str, value: object, expected: str, hint: str = "") -> NoReturn:
    """Refuse a value of the right type.

    Raises:
        ArgumentValueError: always.
    """
    raise ArgumentValueError(f"{name} must be {expected}, got {_repr.repr(value)}{_and(hint)}")


def _and(hint: str) -> str:
    return f": {hint}" if hint else ""


def check_whole(
    name: str, value: object, expected: str, *, least: int | None = None, floats: bool = False
) -> int:
    """A whole number.

    Args:
        name: of the argument.
        value: what came.
        expected: what is expected, for messages; goes on from "must be".
        least: the smallest allowed; None for no lower limit.
        floats: whether ``10.0`` is one as well.

    Raises:
        ArgumentTypeError: if it is not a whole number.
        ArgumentValueError: if it is too small.
    """
    number: int | None = None
    if isinstance(value, bool):
        pass
    elif isinstance(value, numbers.Integral):
        number = int(value)
    elif floats and isinstance(value, numbers.Real):
        exact = float(value)
        number = int(exact) if exact.is_integer() else None
    if number is None:
        refuse_type(name, value, expected)
    if least is not None and number < least:
        refuse_value(name, value, expected)
    return number


def check_number(name: str, value: object, expected: str) -> float:
    """A real number that is not NaN; infinity is one.

    Raises:
        ArgumentTypeError: if it is none.
        ArgumentValueError: if it is NaN, or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Number):
        hint = "give its total_seconds()" if type(value).__name__ == "timedelta" else ""
        refuse_type(name, value, expected, hint)
    try:
        number = float(value)  # type: ignore[arg-type]
    except TypeError:
        refuse_type(name, value, expected)
    except (OverflowError, ValueError):
        refuse_value(name, value, expected)
    if math.isnan(number):
        refuse_value(name, value, expected)
    return number


def check_seconds(name: str, value: object, expected: str = SECONDS) -> float:
    """A positive number of seconds.

    Raises:
        ArgumentTypeError: if it is not a number.
        ArgumentValueError: if it is not positive.
    """
    number = check_number(name, value, expected)
    if not number > 0:
        refuse_value(name, value, expected)
    return number


def check_limit(name: str, value: object) -> float | None:
    """A positive number of seconds, or None for as long as it takes, which infinity means as well.

    Raises:
        ArgumentTypeError: if it is not a number.
        ArgumentValueError: if it is not positive.
    """
    seconds = None if value is None else check_seconds(name, value)
    return None if seconds is None or seconds > _FOREVER else seconds


def check_flag(name: str, value: object, expected: str = "True or False") -> bool:
    """True or False; numpy's, and 1 and 0, count as such.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    if isinstance(value, (bool, numbers.Integral)) and value in (0, 1):
        return bool(value)
    if getattr(getattr(value, "dtype", None), "kind", "") == "b" and not getattr(value, "shape", ()):
        return bool(value)
    refuse_type(name, value, expected)


def check_callable(name: str, value: object, expected: str, *arguments: Any, **named: Any) -> None:
    """A function that can be called in a certain way.

    Args:
        name: of the argument.
        value: what came.
        expected: what is expected, for messages; goes on from "must be".
        arguments: what it will be called with; only their number counts.
        named: what it will be called with by name.

    Raises:
        ArgumentTypeError: if it is none, or cannot be called so.
    """
    if not callable(value):
        refuse_type(name, value, expected)
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        refuse_type(name, value, expected, "what an `async def` returns has to be awaited, which nobody does")
    try:
        # What a decorator has wrapped may take other arguments than the decorator's own function.
        signature = inspect.signature(value, follow_wrapped=False)
    except (TypeError, ValueError):
        if isinstance(value, functools.partial):
            refuse_type(name, value, expected, f"{shown(value.func)} does not take {_surplus(value)}")
        return  # code in C need not say what it takes
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        refuse_type(name, value, expected, f"its signature is {signature}, and so it fails with: {error}")


def _surplus(partial: functools.partial[Any]) -> str:
    """Names the arguments that a partial passes to its function but the function does not accept."""
    known = inspect.signature(partial.func, follow_wrapped=False).parameters
    return ", ".join(repr(name) for name in partial.keywords if name not in known) or "so many arguments"


def check_objective(fn: object, raw: bool = False) -> None:
    """Refuse an objective that cannot be called with a point, or that returns no result if it is called.

    Args:
        fn: the objective.
        raw: whether it is called with ``expr``, ``memo`` and ``ctrl`` instead.

    Raises:
        ArgumentTypeError: saying why.
    """
    expected = _RAW_OBJECTIVE if raw else _OBJECTIVE
    called = None if isinstance(fn, type) else getattr(fn, "__call__", None)  # noqa: B004 - what runs
    if any(map(inspect.iscoroutinefunction, (fn, called))):
        refuse_type("fn", fn, expected, "an `async def` returns no loss: call asyncio.run in a `def`")
    if any(map(inspect.isgeneratorfunction, (fn, called))):
        refuse_type("fn", fn, expected, "with `yield` in it, it returns no loss: return the loss")
    if raw:
        check_callable("fn", fn, expected, expr=None, memo=None, ctrl=None)
    else:
        check_callable("fn", fn, expected, None)


def hinting(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function refuse unknown keywords with a hint at the name that was meant."""
    known = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name != "self"
    ]
    said = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise ArgumentTypeError(f"{said}() has no argument {name!r}{_meant(name, known)}")
        return function(*args, **kwargs)

    return checked


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if (ours := _ELSEWHERE.get(name)) in known:
        close = [ours]
    return f": did you mean {close[0]!r}?" if close else f"; it has {', '.join(known)}"
