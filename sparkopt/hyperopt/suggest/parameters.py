"""hyperopt's distributions, told from the nodes of a space: which posterior stands for which."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from hyperopt import pyll, tpe

from sparkopt.hyperopt.suggest.columns import Column
from sparkopt.hyperopt.suggest.posteriors import Counted, Draw, Prior, Smooth, Stepped

_PARAMETERS: Final = {
    "uniform": ("low", "high"),
    "quniform": ("low", "high", "q"),
    "loguniform": ("low", "high"),
    "qloguniform": ("low", "high", "q"),
    "normal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "lognormal": ("mu", "sigma"),
    "qlognormal": ("mu", "sigma", "q"),
    "randint": ("low", "high"),
    "categorical": ("p",),
}
"""What hyperopt's samplers in ``tpe.adaptive_parzen_samplers`` take, in their order."""

_DRAWN_WITH: Final = ("rng", "size")


class UnknownParameterError(Exception):
    """A parameter whose distribution is for hyperopt to handle."""


def posterior_of(node: pyll.Apply, prior_weight: float) -> tuple[Draw, Column]:
    """Returns what draws a parameter's values, and what keeps those that are known.

    Args:
        node: its distribution, as in ``domain.params``.
        prior_weight: hyperopt's.

    Raises:
        UnknownParameterError: if it is not a distribution of hyperopt's, or one whose bounds are not numbers.
    """
    given = given_to(node)
    if node.name == "categorical":
        return _categorical(given["p"], prior_weight)
    if node.name == "randint":
        return _randint(given, prior_weight)
    numbers = {name: number_of(value) for name, value in given.items()}
    if set(numbers) != set(_PARAMETERS[node.name]):
        raise UnknownParameterError(f"{node.name} with {sorted(numbers)}")
    return _mixed(node.name, numbers, prior_weight)


def offset_of(node: pyll.Apply) -> Any:
    """Returns what ``hyperopt.tpe.suggest`` adds to the numbers that it has drawn for a parameter."""
    return node.pos_args[0].obj if node.name == "randint" and len(node.pos_args) == 2 else None


def given_to(node: pyll.Apply) -> dict[str, pyll.Apply]:
    """Returns what a distribution takes, by hyperopt's names.

    Raises:
        UnknownParameterError: if it is not a distribution of hyperopt's.
    """
    names = _PARAMETERS.get(node.name)
    if names is None or len(node.pos_args) > len(names):
        raise UnknownParameterError(node.name)
    given = dict(zip(names, node.pos_args, strict=False))
    given.update({name: value for name, value in node.named_args if name not in _DRAWN_WITH})
    if not given or not set(given) <= set(names):
        raise UnknownParameterError(f"{node.name} with {sorted(given)}")
    return given


def number_of(node: pyll.Apply) -> Any:
    """Returns the number that a node of an expression is.

    Raises:
        UnknownParameterError: if it is something else.
    """
    value: Any = node.obj if isinstance(node, pyll.Literal) else None
    if type(value) not in (int, float, np.float64, np.int64) or not math.isfinite(value):
        raise UnknownParameterError(f"not a number: {node}")
    return value


def _mixed(name: str, given: dict[str, Any], prior_weight: float) -> tuple[Draw, Column]:
    step = given.get("q")
    logarithmic = "log" in name
    low, high = given.get("low"), given.get("high")
    if low is not None and high is not None:
        prior = Prior(prior_weight, 0.5 * (high + low), 1.0 * (high - low), low, high, step, logarithmic)
    else:
        prior = Prior(prior_weight, given["mu"], given["sigma"], None, None, step, logarithmic)
    if (
        not 0 < prior.deviation < math.inf
        or not math.isfinite(prior.centre)
        or (step is not None and step <= 0)
    ):
        raise UnknownParameterError(f"{name} with {given}")
    column = Column(logarithmic, in_order=step is None)
    if step is None:
        return Smooth(prior, column), column
    least = None
    if logarithmic:
        least = tpe.EPS if low is None else np.maximum(tpe.EPS, np.exp(low))
    return Stepped(prior, column, least), column


def _randint(given: dict[str, pyll.Apply], prior_weight: float) -> tuple[Draw, Column]:
    numbers = {name: number_of(value) for name, value in given.items()}
    if "low" not in numbers or not all(isinstance(number, (int, np.int64)) for number in numbers.values()):
        raise UnknownParameterError(f"randint with {numbers}")
    low, high = numbers["low"], numbers.get("high")
    offset, count = (0, low) if high is None else (low, high - low)
    if count < 1:
        raise UnknownParameterError(f"randint with {numbers}")
    column = Column()
    return Counted(prior_weight, None, count, offset, column), column


def _categorical(node: pyll.Apply, prior_weight: float) -> tuple[Draw, Column]:
    if node.name != "pos_args" or not node.pos_args or node.named_args:
        raise UnknownParameterError(f"categorical with {node}")
    probabilities = np.asarray([number_of(part) for part in node.pos_args])
    column = Column()
    return Counted(prior_weight, probabilities, len(probabilities), 0, column), column
