"""Objective as it travels to workers: what to run, and how to read what it returns.

A worker knows no front end. Where a front end wraps its objective, it says once what the loss of a result is,
and whether a result reports that its trial has failed:

    front end   ShippedObjective(fn, convention) ──▶ pickled once for a study
    evaluator   result = fn(argument) ──▶ convention.loss(result), convention.fault(result), pack(result)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from numbers import Real
from typing import Any

from sparkopt.wire import codec
from sparkopt.worker.reports import ReportingObjective

__wraps_objectives__ = True


def number_of(value: Any) -> float | None:
    """Returns a value as a float; None if it is not a real number, or NaN."""
    if not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - a number of the user's own converts as it likes
        return None
    return None if isnan(number) else number


def nothing_returned(value: Any) -> str:
    """Says that an objective returned nothing; empty if it did return a value."""
    return "the objective returned None" if value is None else ""


@dataclass(frozen=True, slots=True)
class Convention:
    """Convention on what a front end's objectives return. By default a number, which is the loss.

    Attributes:
        loss: takes whatever the objective returned, and returns its loss; None if it has none that is a
            number. Called for each trial, so it must be cheap; its module must be one that workers can
            import without the front end's library.
        fault: takes the same, and returns a line that says why it is not a result, or that it reports a
            failed trial; empty if neither is so.
        expected: what an objective must return, as the end of a sentence.
        on_driver: advice for an objective that needs Spark itself; empty for none.
        values: takes what the objective returned, and returns the numbers in it for clients that watch; empty
            if it is not a result. None where the loss is all there is.
    """

    loss: Callable[[Any], float | None] = number_of
    fault: Callable[[Any], str] = nothing_returned
    expected: str = "a number that can"
    on_driver: str = ""
    values: Callable[[Any], Sequence[float]] | None = None


NUMBERS = Convention()
"""Convention of objectives that return their loss."""


@dataclass(frozen=True, slots=True)
class ShippedObjective:
    """An objective, ready to be pickled for workers.

    Attributes:
        fn: a function of the argument, or an objective that is called with a reporter.
        convention: what it returns.
    """

    fn: Callable[[Any], Any] | ReportingObjective
    convention: Convention = field(default=NUMBERS)

    def pack(self, result: Any) -> bytes:
        """Returns the bytes that go to the driver for a result.

        Raises:
            Exception: whatever the result's pickling raises.
        """
        return codec.dumps(result)

    def advice(self, result: Any) -> str:
        """Says which part of a result cannot be packed, and what is expected; empty if the error says so."""
        part = f"a {type(result).__name__}, which"
        for name, value in result.items() if type(result) is dict else ():
            try:
                codec.dumps((name, value))
            except Exception:  # noqa: BLE001 - a pickle may raise whatever the object's author wrote
                part = f"a dictionary whose {name!r:.100} ({type(value).__name__})"
                break
        return (
            f"the objective returned {part} cannot be pickled for its way to the driver: it must return"
            f" {self.convention.expected}"
        )
