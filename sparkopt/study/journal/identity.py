"""The identity of a search: its space, objective and algorithm, as text that is the same in every process."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a search. A search refuses a journal with another identity.

    Attributes:
        space: as the front end writes it.
        objective: its qualified name.
        algorithm: its qualified name, and the arguments of partials.
    """

    space: str
    objective: str
    algorithm: str

    @classmethod
    def of(cls, space: object, fn: Callable[..., Any], algo: Callable[..., Any]) -> Identity:
        """Returns the identity of a search.

        Args:
            space: its text must be the same in every process, apart from addresses.
            fn: the objective.
            algo: the algorithm.
        """
        return cls(*map(_storable, (_text(space), name_of(fn), name_of(algo))))


def _text(value: object) -> str:
    """A value's text without what differs from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def _storable(text: str) -> str:
    """A text that UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def name_of(function: Any) -> str:
    """A function's qualified name, and the arguments of partials."""
    if isinstance(function, functools.partial):
        given = [_text(repr(item)) for item in function.args]
        given += [f"{name}={_text(repr(item))}" for name, item in sorted(function.keywords.items())]
        return f"partial({', '.join([name_of(function.func), *given])})"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"


def difference(theirs: str, mine: str) -> str:
    """Returns the lines in which two texts differ, as a unified diff."""
    lines = difflib.unified_diff(
        theirs.splitlines(), mine.splitlines(), "journal", "this search", lineterm="", n=1
    )
    return "\n".join(f"    {line}" for line in lines)
