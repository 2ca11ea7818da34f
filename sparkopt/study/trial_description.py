"""Plain descriptions of a search's trials and hyperparameters, the same for every front end.

A front end describes its trials, and its space as far as it knows it; plots, data frames and an Optuna study
are made of these descriptions. Nothing here refers to an object of the user's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

DescribedState = Literal["pending", "running", "ok", "failed", "lost", "pruned", "cancelled"]
"""State of a trial: the words of outcomes, and two for a trial that has not settled."""

Kind = Literal["float", "int", "choice"]

_DECADES: Final = 100.0
"""Positive values of an undescribed hyperparameter that differ by more than this factor are taken as spread
over orders of magnitude."""

_SLACK: Final = 1e-8
"""Part of a step by which a value may differ from a multiple of the step."""


@dataclass(frozen=True, slots=True)
class TrialDescription:
    """A trial.

    Attributes:
        tid: its number.
        state: where it is on its way.
        params: its hyperparameters by label, as the objective saw them: of a choice, the option.
        values: what the objective returned, one for each goal; of a pruned trial its last value. None if
            there is none.
        reports: intermediate values by step.
        started: when its last attempt was sent to a worker, in seconds since the epoch; None if not known.
        settled: when it got its final state; None if it has none, or that is not known.
        seconds: in the objective; None if not known.
        attempt: number of the attempt that decided it; None if not known.
        worker: which ran that attempt; empty if not known.
        host: of that worker; empty if not known.
        error: why it failed, or was cancelled; empty if it was not.
    """

    tid: int
    state: DescribedState
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    values: Sequence[float] | None = None
    reports: Mapping[int, float] = dataclasses.field(default_factory=dict)
    started: float | None = None
    settled: float | None = None
    seconds: float | None = None
    attempt: int | None = None
    worker: str = ""
    host: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """Values that a hyperparameter can take.

    Attributes:
        label: its name.
        kind: ``choice`` if it is one of a few options.
        low: the least value; minus infinity if not known.
        high: the largest value, included; infinity if not known.
        step: the distance between values; None for any number between.
        logarithmic: whether values are spread evenly over orders of magnitude.
        options: of a choice: None, numbers, bools and texts that differ from each other.
    """

    label: str
    kind: Kind = "float"
    low: float = -math.inf
    high: float = math.inf
    step: float | None = None
    logarithmic: bool = False
    options: tuple[Any, ...] = ()

    @classmethod
    def inferred(cls, label: str, values: Sequence[Any]) -> Dimension:
        """Return the dimension that values suggest.

        Args:
            label: of the hyperparameter.
            values: at least one.
        """
        if not all(_is_number(value) for value in values):
            return cls(label, "choice").holding(values)
        low, high = float(min(values)), float(max(values))
        if all(isinstance(value, int) for value in values):
            return cls(label, "int", low, high, 1)
        return cls(label, "float", low, high, logarithmic=low > 0 and high > _DECADES * low)

    def holding(self, values: Iterable[Any]) -> Dimension:
        """Return a dimension that all of these values are in, and this one if it is such.

        Args:
            values: numbers, or options of a choice.
        """
        if self.kind == "choice":
            new = dict.fromkeys((_key(value), value) for value in values)
            known = {_key(option) for option in self.options}
            more = tuple(value for key, value in new if key not in known)
            return dataclasses.replace(self, options=(*self.options, *more)) if more else self
        values = list(values)
        if not all(_is_number(value) for value in values):
            return Dimension(self.label, "choice").holding(values)
        found = [float(value) for value in values]
        # Multiples of a step such as 0.1 are a little off.
        slack = 0.0 if self.step is None else self.step * _SLACK
        low = self.low if self.low <= min(found, default=math.inf) + slack else min(found)
        high = self.high if self.high >= max(found, default=-math.inf) - slack else max(found)
        if math.isinf(low) or math.isinf(high):
            low = min(found, default=0.0) if math.isinf(low) else low
            high = max(max(found, default=low), low) if math.isinf(high) else high
        step, logarithmic = self.step, self.logarithmic and low > 0
        if step is not None and any(_is_between_steps(value - low, step) for value in [*found, high]):
            step = 1 if self.kind == "int" else None
        kind = self.kind
        if kind == "int" and not all(float(value).is_integer() for value in [*found, low, high]):
            kind, step = "float", None
        return dataclasses.replace(self, kind=kind, low=low, high=high, step=step, logarithmic=logarithmic)

    def to_plain(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        plain = dataclasses.asdict(self)
        for name in ("low", "high", "step"):
            plain[name] = plain_value(plain[name])  # spaces may have numbers of numpy's
        for bound in ("low", "high"):
            if math.isinf(plain[bound]):
                plain[bound] = None
        return {**plain, "options": list(self.options)}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Dimension:
        """Return the dimension that :meth:`to_plain` has described."""
        given = dict(plain)
        low, high = given["low"], given["high"]
        given["low"] = -math.inf if low is None else low
        given["high"] = math.inf if high is None else high
        return cls(**{**given, "options": tuple(given["options"])})


def dimensions_of(
    trials: Iterable[TrialDescription], described: Iterable[Dimension] = ()
) -> dict[str, Dimension]:
    """Return the dimensions of trials, each large enough for all of their values, by label.

    Args:
        trials: of the search.
        described: what is known of the space. What trials have beyond that is inferred from their values.
    """
    values: dict[str, list[Any]] = {}
    known = {dimension.label: dimension for dimension in described}
    for trial in trials:
        for label, value in trial.params.items():
            values.setdefault(label, []).append(value)
    return {
        label: known[label].holding(found) if label in known else Dimension.inferred(label, found)
        for label, found in {**{label: [] for label in known}, **values}.items()
    }


def plain_value(value: Any) -> Any:
    """Return a parameter as None, a number, a bool or a text."""
    if hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def _key(value: Any) -> tuple[type, Any]:
    """Tells 1, 1.0 and True apart, and is the same for each NaN."""
    return type(value), "nan" if isinstance(value, float) and math.isnan(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_between_steps(distance: float, step: float) -> bool:
    steps = distance / step
    return abs(steps - round(steps)) > _SLACK
