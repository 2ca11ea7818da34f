"""Hyperparameters as samplers of Optuna's know them: a dimension, and the way from its values to hyperopt's.

| hyperopt | to the sampler |
|---|---|
| choice, pchoice | categories, the indices of the options |
| uniform, loguniform | floats, logarithmic or not |
| quniform | floats with a step |
| qloguniform | logarithmic floats, rounded afterwards |
| randint, uniformint | whole numbers |
| normal, lognormal, qnormal, qlognormal | quantiles: floats between 0 and 1 |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from hyperopt import pyll

from sparkopt.errors import ArgumentValueError
from sparkopt.hyperopt.ranges import Range, numbers_of
from sparkopt.study.trial_description import Dimension

_STANDARD: Final = NormalDist()
_LEAST: Final = _STANDARD.cdf(-6.0)
_LARGEST: Final = 1.0 - _LEAST


@dataclass(frozen=True, slots=True)
class Latent:
    """A hyperparameter.

    Attributes:
        dimension: what the sampler is asked for.
        value: from the sampler's value to hyperopt's.
        seen: from hyperopt's value to one that the sampler could have proposed, or nearly.
    """

    dimension: Dimension
    value: Callable[[Any], Any]
    seen: Callable[[Any], Any]


def latent_of(label: str, node: pyll.Apply, options: int | None) -> Latent:
    """Return a hyperparameter as samplers know it.

    Args:
        label: its label.
        node: its distribution.
        options: how many it chooses among; None if it is not a choice.

    Raises:
        ArgumentValueError: if it has no such form.
    """
    if options is not None:
        return Latent(Dimension(label, "choice", options=tuple(range(options))), int, int)
    bounds = Range.of(label, node, is_choice=False)
    if node.name.endswith("normal"):
        return _quantiles(label, node, bounds)
    if math.isinf(bounds.low) or math.isinf(bounds.high):
        raise ArgumentValueError(
            f"space has {node.name} for {label!r}, whose bounds are not two numbers: a sampler of Optuna's"
            " has to know them"
        )
    if bounds.whole:
        return Latent(Dimension(label, "int", bounds.low, bounds.high - 1, 1), int, int)
    low, high, step = bounds.low, bounds.high, bounds.step
    if bounds.logarithmic:
        return Latent(
            Dimension(label, "float", low, high, logarithmic=True),
            _rounded(step),
            lambda value: min(max(float(value), low), high) if step else float(value),
        )
    if step is None:
        return Latent(Dimension(label, "float", low, high), float, float)
    low, high = round(low / step) * step, round(high / step) * step
    whole = all(float(each).is_integer() for each in (low, high, step))
    return Latent(Dimension(label, "int" if whole else "float", low, high, step), float, float)


def _quantiles(label: str, node: pyll.Apply, bounds: Range) -> Latent:
    given = numbers_of(node)
    if "mu" not in given or not given.get("sigma", 0) > 0:
        raise ArgumentValueError(
            f"space has {node.name} for {label!r}, whose mu and sigma are not two numbers with a sigma"
            " above 0: a sampler of Optuna's has to know them"
        )
    mu, sigma = given["mu"], given["sigma"]
    is_logarithmic, rounded = bounds.logarithmic, _rounded(bounds.step)

    def value(quantile: float) -> float:
        drawn = mu + sigma * _STANDARD.inv_cdf(quantile)
        return rounded(math.exp(drawn) if is_logarithmic else drawn)

    def seen(value: float) -> float:
        if is_logarithmic:
            value = math.log(value) if value > 0 else -math.inf
        return min(max(_STANDARD.cdf((value - mu) / sigma), _LEAST), _LARGEST)

    return Latent(Dimension(label, "float", _LEAST, _LARGEST), value, seen)


def _rounded(step: float | None) -> Callable[[float], float]:
    if step is None:
        return float
    return lambda value: float(round(value / step) * step)
