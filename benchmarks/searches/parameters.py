"""Parameters of a space, for hyperopt and for Optuna.

A parameter may hang on an option of another one: it has a value only where that option is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hyperopt import hp

Point = dict[str, float]
"""The values of the parameters that are active; for a choice the number of the option."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        label: its name.
        kind: how it is drawn.
        low: the least value; for a choice 0.
        high: the largest one; for a choice the number of options less one.
        parent: a choice and the number of its option that this hangs on; None if it is always active.
    """

    label: str
    kind: Literal["uniform", "log", "int", "logint", "choice"]
    low: float
    high: float
    parent: tuple[str, int] | None = None

    def of_hyperopt(self, inside: Sequence[Any] = ()) -> Any:
        """Returns the parameter as hyperopt's expression; for a choice with what each option holds."""
        low, high = self.low, self.high
        match self.kind:
            case "uniform":
                return hp.uniform(self.label, low, high)
            case "log":
                return hp.loguniform(self.label, math.log(low), math.log(high))
            case "int":
                return hp.uniformint(self.label, int(low), int(high))
            case "logint":
                return hp.qloguniform(self.label, math.log(low), math.log(high), 1)
        return hp.choice(self.label, list(inside))

    def of_optuna(self, trial: Any) -> float:
        """A value that Optuna's trial suggests."""
        match self.kind:
            case "uniform" | "log":
                return float(trial.suggest_float(self.label, self.low, self.high, log=self.kind == "log"))
            case "int" | "logint":
                log = self.kind == "logint"
                return float(trial.suggest_int(self.label, int(self.low), int(self.high), log=log))
        return float(trial.suggest_categorical(self.label, list(range(int(self.high) + 1))))

    def drawn(self, rng: np.random.Generator) -> float:
        """A value at random."""
        low, high = self.low, self.high
        match self.kind:
            case "uniform":
                return float(rng.uniform(low, high))
            case "log":
                return math.exp(rng.uniform(math.log(low), math.log(high)))
            case "logint":
                return float(np.clip(round(math.exp(rng.uniform(math.log(low), math.log(high)))), low, high))
        return float(rng.integers(int(low), int(high) + 1))

    def unit(self, value: float) -> float:
        """A value on the scale that it is drawn on: 0 for the least one, 1 for the largest."""
        if self.kind in ("log", "logint"):
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0


def uniform(label: str, low: float, high: float, parent: tuple[str, int] | None = None) -> Parameter:
    """A number between two others."""
    return Parameter(label, "uniform", low, high, parent)


def log(label: str, low: float, high: float, parent: tuple[str, int] | None = None) -> Parameter:
    """A number whose logarithm is drawn."""
    return Parameter(label, "log", low, high, parent)


def whole(label: str, low: int, high: int, parent: tuple[str, int] | None = None) -> Parameter:
    """A whole number."""
    return Parameter(label, "int", low, high, parent)


def logwhole(label: str, low: int, high: int, parent: tuple[str, int] | None = None) -> Parameter:
    """A whole number whose logarithm is drawn."""
    return Parameter(label, "logint", low, high, parent)


def choice(label: str, options: int, parent: tuple[str, int] | None = None) -> Parameter:
    """One of so many options."""
    return Parameter(label, "choice", 0, options - 1, parent)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Several parameters; each comes after the one that it hangs on."""

    parameters: Sequence[Parameter]

    def of_hyperopt(self, parent: tuple[str, int] | None = None) -> Any:
        """The space as hyperopt's expression; or what hangs on an option."""
        found: dict[str, Any] = {}
        for each in self.parameters:
            if each.parent == parent:
                inside = [self.of_hyperopt((each.label, n)) or n for n in range(int(each.high) + 1)]
                found[each.label] = each.of_hyperopt(inside if each.kind == "choice" else ())
        return found

    def of_optuna(self, trial: Any) -> Point:
        """A point that Optuna's trial suggests."""
        point: Point = {}
        for each in self.parameters:
            if self._is_active(each, point):
                point[each.label] = each.of_optuna(trial)
        return point

    def drawn(self, rng: np.random.Generator) -> Point:
        """A point at random."""
        point: Point = {}
        for each in self.parameters:
            if self._is_active(each, point):
                point[each.label] = each.drawn(rng)
        return point

    def units(self, point: Mapping[str, float]) -> dict[str, float]:
        """The values of a point, each from 0 to 1; a choice's is the number of its option."""
        return {
            each.label: point[each.label] if each.kind == "choice" else each.unit(point[each.label])
            for each in self.parameters
            if each.label in point
        }

    @staticmethod
    def _is_active(parameter: Parameter, point: Mapping[str, float]) -> bool:
        return parameter.parent is None or point.get(parameter.parent[0]) == parameter.parent[1]
