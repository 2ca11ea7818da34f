"""Words in the worker's log on what of a trial was not logged to MLflow."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def tell(error: BaseException) -> None:
    """Say in the log that something was not logged: the trial's result counts all the same."""
    sys.stderr.write(f"MLflow: not all of this trial could be logged: {type(error).__name__}: {error}\n")


def is_new(given: Mapping[str, str], key: str, value: str) -> bool:
    """Returns whether a run had no such parameter when the trial began; says so if its value is another.

    The search logs each hyperparameter by its label, and so may the objective; and an attempt before this
    one may have logged anything. No trial should fail because the objective writes a value otherwise.

    Args:
        given: the run's parameters when the trial began.
        key: name of the parameter.
        value: of it, as text.
    """
    before = given.get(key)
    if before is not None and not _same(before, value):
        sys.stderr.write(
            f"MLflow: the parameter {key} of this trial's run is {before!r} already, and stays so:"
            f" {value!r} is not logged\n"
        )
    return before is None


def _same(one: str, other: str) -> bool:
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False
