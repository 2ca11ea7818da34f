"""Values that objectives of Optuna studies return, as both ends read them. Imports no Optuna.

    worker   value ──▶ as_floats ──▶ pickled          driver   unpickled ──▶ fault_of, loss_of, metrics_of
    worker   value ──▶ values_of ──▶ clients that watch

Optuna has the last word on what a result is, on the driver: what it refuses is a failed trial there too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sparkopt.worker.headers import MOST_RESULT_VALUES
from sparkopt.worker.shipped import Convention

__wraps_objectives__ = True

VALUE: Final = "value"
"""Name of a study's value where it has one objective; with several they are ``value_0``, ``value_1`` and so
on. optuna-integration's MLflowCallback calls them so by default."""


def as_floats(result: Any) -> Any:
    """Returns a result with each number in it as a float; whatever is not a number stays as it is."""
    if isinstance(result, Sequence) and not isinstance(result, (str, bytes)):
        return [_as_float(value) for value in result]
    return _as_float(result)


def _as_float(value: Any) -> Any:
    if type(value) is float or value is None or isinstance(value, (str, bytes)):
        return value
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - a value of the user's converts as it likes; Optuna says what it makes of it
        return value


def numbers_of(result: Any, count: int) -> list[float] | None:
    """Returns the values of a result, as many as the study has objectives; None if it is not a result.

    Args:
        result: as :func:`as_floats` returns it.
        count: number of the study's objectives.
    """
    values = result if isinstance(result, list) else [result]
    if len(values) != count:
        return None
    numbers = []
    for value in values:
        number = value
        if isinstance(value, str):
            try:
                number = float(value)  # Optuna takes it
            except ValueError:
                return None
        if type(number) is not float or math.isnan(number):
            return None
        numbers.append(number)
    return numbers


def fault_of(count: int, result: Any) -> str:
    """Says why a value that was returned is not a result; empty if it is one."""
    if numbers_of(as_floats(result), count) is not None:
        return ""
    expected = "a number" if count == 1 else f"{count} numbers"
    return f"value {result!r:.100}, where the study expects {expected}"


def loss_of(signs: tuple[int, ...], result: Any) -> float | None:
    """Returns what a search minimizes: the value, or its negative if that is maximized; None with several."""
    if len(signs) != 1:
        return None
    numbers = numbers_of(as_floats(result), 1)
    return None if numbers is None else signs[0] * numbers[0]


def values_of(count: int, result: Any) -> list[float]:
    """Returns the numbers of a result; none if it is not a result, or there are too many to be told.

    Args:
        count: number of the study's objectives.
        result: what an objective has returned.
    """
    return [] if count > MOST_RESULT_VALUES else numbers_of(as_floats(result), count) or []


def metrics_of(numbers: Sequence[float]) -> list[tuple[str, float]]:
    """Returns the values of a result by their names."""
    if len(numbers) == 1:
        return [(VALUE, numbers[0])]
    return [(f"{VALUE}_{index}", number) for index, number in enumerate(numbers)]


def convention_of(signs: tuple[int, ...]) -> Convention:
    """Returns the convention of a study's objectives.

    Args:
        signs: for each objective 1 if it is minimized, else -1.
    """
    count = len(signs)
    expected = "a number that can" if count == 1 else f"a sequence of {count} numbers that can"
    return Convention(
        partial(loss_of, signs), partial(fault_of, count), expected, values=partial(values_of, count)
    )
