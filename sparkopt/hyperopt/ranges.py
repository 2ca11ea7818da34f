"""Values that a hyperparameter can take: which are refused, and which are only unusual.

Algorithms calculate with what they find in the history: NaN, text or a number that is not one of a few would
end a search after its first twenty trials. So such values are refused when they come in. A number beyond the
bounds of a continuous distribution harms nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hyperopt import pyll

from sparkopt.errors import RefusedError

_PARAMETERS: Final = {
    "uniform": ("low", "high"),
    "quniform": ("low", "high", "q"),
    "loguniform": ("low", "high"),
    "qloguniform": ("low", "high", "q"),
    "qnormal": ("mu", "sigma", "q"),
    "qlognormal": ("mu", "sigma", "q"),
    "randint": ("low", "high"),
    "normal": ("mu", "sigma"),
    "lognormal": ("mu", "sigma"),
}
"""The distributions of hyperopt, and what they take, in their order."""

_EXACT: Final = 2**53
"""Whole numbers up to here are floats as well: algorithms make arrays of them."""

_SLACK: Final = 1e-9
"""By how much, of its size, a bound may be passed: for the rounding of logarithms."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values of one hyperparameter.

    Attributes:
        label: the hyperparameter's.
        is_choice: whether they are indices of options.
        whole: whether they are whole numbers, from ``low`` to below ``high``; the two are bounds that may be
            passed otherwise.
        low: the least value.
        high: the largest, or the first that is too large for whole numbers.
        step: what the values are multiples of; None for nothing.
        logarithmic: whether they are compared by their logarithms, so that none is negative.
    """

    label: str
    is_choice: bool = False
    whole: bool = False
    low: float = -math.inf
    high: float = math.inf
    step: float | None = None
    logarithmic: bool = False

    @classmethod
    def of(cls, label: str, node: pyll.Apply, is_choice: bool) -> Range:
        """The range of a hyperparameter.

        Args:
            label: its label.
            node: its distribution, as in ``domain.params``.
            is_choice: whether it chooses among options.
        """
        if node.name == "categorical":
            return cls(label, is_choice, whole=True, low=0, high=_count_of(node))
        given = numbers_of(node)
        if node.name == "randint":
            # With one argument this is the upper bound.
            low, high = (given.get("low"), given.get("high")) if "high" in given else (0, given.get("low"))
            return cls(
                label, is_choice, True, -math.inf if low is None else low, math.inf if high is None else high
            )
        logarithmic = "log" in node.name
        low, high = given.get("low", -math.inf), given.get("high", math.inf)
        if logarithmic:
            low, high = _exp(low), _exp(high)
        return cls(label, is_choice, False, low, high, given.get("q"), logarithmic)

    def number(self, value: Any) -> int | float:
        """A value as the number that algorithms take.

        Raises:
            RefusedError: if it is not a point. The message begins with a verb, to follow the point's name.
        """
        hint = "; for hp.choice it is the index of the option" if self.is_choice else ""
        if not is_number(value):
            raise RefusedError(f"has {value!r:.100} for {self.label!r}: it must be a finite number{hint}")
        if self.whole:
            if value != int(value) or not self.low <= value < self.high:
                raise RefusedError(
                    f"is not a point of the space: it has {value!r:.100} for {self.label!r}, which must be a"
                    f" whole number{_between(self.low, self.high)}{hint}"
                )
            return int(value)
        if self.logarithmic and (value < 0 or (value == 0 and self.step is None)):
            raise RefusedError(
                f"is not a point of the space: it has {value!r:.100} for {self.label!r}, which must be"
                " positive"
            )
        if type(value) is int and abs(value) <= _EXACT:
            return value
        return value if isinstance(value, float) else float(value)

    def oddity(self, value: float) -> str:
        """Describes what is unusual about a number; empty if nothing is."""
        if self.whole:
            return ""
        half = 0.0 if self.step is None else self.step / 2
        low, high = self.low - half, self.high + half
        if value < low - _SLACK * abs(low) or value > high + _SLACK * abs(high):
            return f"{value} for {self.label!r}, outside of {self.low:g} to {self.high:g}"
        if self.step and abs(value - round(value / self.step) * self.step) > _SLACK * max(1.0, abs(value)):
            return f"{value} for {self.label!r}, which is not a multiple of {self.step:g}"
        return ""


def is_number(value: Any) -> bool:
    """Returns whether a value is a number, and finite: Python's or numpy's, and no bool."""
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # no double can hold it
        return False


def _count_of(node: pyll.Apply) -> float:
    """Returns the number of probabilities of a node; infinity if it is not known."""
    given = node.arg["p"]
    return len(given.pos_args) if given.name == "pos_args" else math.inf


def numbers_of(node: pyll.Apply) -> dict[str, float]:
    """Returns those arguments of a distribution that are numbers, by name."""
    names = _PARAMETERS.get(node.name, ())
    given = [*zip(names, node.pos_args, strict=False), *node.named_args]
    return {
        name: part.obj
        for name, part in given
        if name in names and isinstance(part, pyll.Literal) and is_number(part.obj)
    }


def _exp(power: float) -> float:
    try:
        return math.exp(power)
    except OverflowError:
        return math.inf


def _between(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high):
        return ""
    return f" from {int(low)} to {int(high) - 1}"
