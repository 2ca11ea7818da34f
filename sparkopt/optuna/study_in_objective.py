"""Refuses objectives that use their study itself: a worker would get a copy, which stays as it was."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sparkopt.errors import RefusedError
from sparkopt.spark.references import captured, codes

if TYPE_CHECKING:
    import optuna


def check_study_in_objective(objective: Callable[..., Any], study: optuna.Study) -> None:
    """Refuse an objective whose code names the study that it is for.

    What an object holds, as ``self.study``, is not looked at: the objective need not use it.

    Raises:
        RefusedError: if it does.
    """
    for name, value in _named(objective):
        if value is study:
            raise RefusedError(
                f"the objective uses the study itself, as {name!r}: it runs on workers, which would get a"
                " copy that stays as the study is now. Use trial.study there, which has study_name,"
                " direction, directions, user_attrs and stop(), and read the rest in a callback."
            )


def _named(function: Any) -> Iterator[tuple[str, Any]]:
    """Names and values that a function captured, that it reads of its globals, and that partials give it."""
    while isinstance(function, functools.partial):
        yield from function.keywords.items()
        yield from ((str(place), value) for place, value in enumerate(function.args))
        function = function.func
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return
    yield from captured(function)
    for code in codes(function.__code__):
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL" and instruction.argval in function.__globals__:
                yield instruction.argval, function.__globals__[instruction.argval]
