"""Axes of a space: each parameter's values as numbers that densities can be built over.

    Scale      uniform, loguniform, normal, lognormal, and those in steps: from 0 to 1 between the bounds
    Options    choice, pchoice, randint: the number of the option

A scale without bounds has six standard deviations of its normal distribution between 0 and 1. An axis whose
distribution is not hyperopt's, or depends on other parameters, is none: hyperopt draws such a parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hyperopt import pyll
from numpy.typing import NDArray

from sparkopt.hyperopt.suggest.parameters import UnknownParameterError, given_to, number_of

Floats = NDArray[np.float64]

_DEVIATIONS: Final = 6.0
"""So many standard deviations of a normal distribution are the length of its scale."""

_NORMAL: Final = math.log(_DEVIATIONS) - 0.5 * math.log(2 * math.pi)

_LEAST_CHANCE: Final = 1e-12
"""An option without any chance has this one, as a trial may have it all the same."""

_SMALLEST: Final = 1e-300
"""Values below this have the same logarithm as this."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A parameter whose values have an order.

    Attributes:
        label: its name.
        origin: the value, or its logarithm, that is 0 here.
        length: how far 1 is from there.
        bounded: whether values are between 0 and 1; otherwise the prior is normal.
        step: values are multiples of it; None for no step.
        logarithmic: whether it is logarithms that are measured.
    """

    label: str
    origin: float
    length: float
    bounded: bool
    step: float | None
    logarithmic: bool

    @property
    def cell(self) -> float:
        """Distance between neighbouring values; 0 if it is none, or not the same everywhere."""
        return 0.0 if self.step is None or self.logarithmic else self.step / self.length

    def position(self, value: Any) -> float:
        """The position of one of hyperopt's values."""
        number = float(value)
        if self.logarithmic:
            number = math.log(max(number, self._least))
        return (number - self.origin) / self.length

    @property
    def _least(self) -> float:
        return _SMALLEST if self.step is None else self.step / 2

    def values(self, positions: Floats) -> Floats:
        """The values that hyperopt has at some positions: of those in steps the nearest."""
        found = self.origin + positions * self.length
        if self.logarithmic:
            found = np.exp(found)
        if self.step is not None:
            found = np.round(found / self.step) * self.step
        return found

    def rounded(self, positions: Floats) -> Floats:
        """The positions of the values that there are."""
        if self.step is None:
            return positions
        values = self.values(positions)
        if self.logarithmic:
            values = np.log(np.maximum(values, self._least))
        rounded: Floats = (values - self.origin) / self.length
        return rounded

    def drawn(self, size: int, rng: np.random.Generator) -> Floats:
        """Positions drawn from the prior."""
        if self.bounded:
            return rng.random(size)
        return 0.5 + rng.standard_normal(size) / _DEVIATIONS

    def log_prior(self, positions: Floats) -> Floats:
        """The logarithm of the prior's density at some positions."""
        if self.bounded:
            return np.zeros(len(positions))
        scaled: Floats = _NORMAL - 0.5 * ((positions - 0.5) * _DEVIATIONS) ** 2
        return scaled


@dataclass(frozen=True, slots=True)
class Options:
    """A parameter whose values have no order.

    Attributes:
        label: its name.
        first: the number that hyperopt gives the first option.
        count: how many options there are.
        log_chances: the logarithm of each option's chance in the prior; None if all chances are equal.
    """

    label: str
    first: int
    count: int
    log_chances: Floats | None = None

    def position(self, value: Any) -> float:
        """The number of the option that a value of hyperopt's names, from 0."""
        return float(min(max(int(value) - self.first, 0), self.count - 1))

    def values(self, positions: Floats) -> NDArray[np.int64]:
        """The numbers that some options have in hyperopt."""
        return positions.astype(np.int64) + self.first

    def rounded(self, positions: Floats) -> Floats:
        """The same: every position is one that there is."""
        return positions

    def drawn(self, size: int, rng: np.random.Generator) -> Floats:
        """Options drawn from the prior."""
        if self.log_chances is None:
            return rng.integers(self.count, size=size).astype(np.float64)
        chances = np.cumsum(np.exp(self.log_chances))
        drawn = np.searchsorted(chances, rng.random(size) * chances[-1], side="right")
        chosen: Floats = np.minimum(drawn, len(chances) - 1).astype(np.float64)
        return chosen

    def log_prior(self, positions: Floats) -> Floats:
        """The logarithm of each option's chance in the prior."""
        if self.log_chances is None:
            return np.full(len(positions), -math.log(self.count))
        found: Floats = self.log_chances[positions.astype(np.intp)]
        return found


Axis = Scale | Options


def axis_of(label: str, node: pyll.Apply) -> Axis | None:
    """The axis of a parameter; None if its distribution is for hyperopt to draw from.

    Args:
        label: of the parameter.
        node: its distribution, as in ``domain.params``.
    """
    try:
        given = given_to(node)
        if node.name == "categorical":
            return _categorical(label, given["p"])
        numbers = {name: number_of(value) for name, value in given.items()}
        return _randint(label, numbers) if node.name == "randint" else _scale(label, node.name, numbers)
    except (UnknownParameterError, LookupError):
        return None


def _scale(label: str, name: str, given: dict[str, Any]) -> Scale | None:
    if {"low", "high"} <= set(given):
        origin, length, bounded = float(given["low"]), float(given["high"]) - float(given["low"]), True
    else:
        length = _DEVIATIONS * float(given["sigma"])
        origin, bounded = float(given["mu"]) - length / 2, False
    step = given.get("q")
    if not 0 < length < math.inf or (step is not None and step <= 0):
        return None
    return Scale(label, origin, length, bounded, None if step is None else float(step), "log" in name)


def _randint(label: str, given: dict[str, Any]) -> Options | None:
    low, high = given["low"], given.get("high")
    first, count = (0, low) if high is None else (low, high - low)
    if count < 1 or int(count) != count:
        return None
    return Options(label, int(first), int(count))


def _categorical(label: str, node: pyll.Apply) -> Options | None:
    if node.name != "pos_args" or not node.pos_args:
        return None
    chances = np.array([float(number_of(part)) for part in node.pos_args])
    if not (chances >= 0).all() or not chances.sum() > 0:
        return None
    logarithms = np.log(np.maximum(chances / chances.sum(), _LEAST_CHANCE))
    return Options(label, 0, len(chances), logarithms)
