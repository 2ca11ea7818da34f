"""Distributions that TPE draws values from, one class for each family of hyperopt's.

    Smooth    uniform, loguniform, normal, lognormal
    Stepped   quniform, qloguniform, qnormal, qlognormal (and uniformint)
    Counted   randint, choice, pchoice

Each draws its candidates with hyperopt's own functions, so that the random stream is the same, and takes the
candidate that ``hyperopt.tpe.broadcast_best`` would take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hyperopt import pyll, tpe
from hyperopt.pyll import stochastic
from numpy.typing import NDArray
from scipy.special import erf

from sparkopt.hyperopt.suggest.columns import Column, Floats
from sparkopt.hyperopt.suggest.history import Moment
from sparkopt.hyperopt.suggest.mixtures import (
    CrowdedMixture,
    Mixture,
    are_ordinary,
    certain_best,
    crowded,
    few,
)

Draw = Callable[[int, np.random.Generator, Moment], list[Any]]
"""Draws a value for each of several candidates of one trial: the same for all, the best one."""

_MANY: Final = 100
"""From that many values on, most components have the least standard deviation."""

_FINEST: Final = 1e-5
"""A standard deviation of logarithms, as a share of them, beside which their rounding does not matter."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Placeholder for values that there are none of.

    Attributes:
        weight: how much it counts, compared with a value.
        centre: of the normal distribution that it is.
        deviation: its standard deviation.
        low: candidates are not below; None for no bounds.
        high: candidates are below.
        step: candidates are multiples of it; None for no step.
        logarithmic: whether all this is of the value's logarithm, apart from the step.
    """

    weight: float
    centre: float
    deviation: float
    low: float | None = None
    high: float | None = None
    step: float | None = None
    logarithmic: bool = False

    def mixture(self, values: Floats) -> Mixture:
        """The mixture around values, or their logarithms, the oldest first."""
        if 2 <= len(values) <= tpe.DEFAULT_LF:
            return few(values, self.weight, self.centre, self.deviation)
        return Mixture(*tpe.adaptive_parzen_normal(values, self.weight, self.centre, self.deviation))

    def draw(self, mixture: Mixture, size: int, rng: np.random.Generator) -> Floats:
        """Draw candidates from a mixture."""
        if self.low is not None and self.high is not None and self.step is None:
            return self._draw_between(self.low, self.high, mixture, size, rng)
        of = tpe.LGMM1 if self.logarithmic else tpe.GMM1
        drawn: Floats = of(*mixture.parts, low=self.low, high=self.high, q=self.step, rng=rng, size=size)
        return drawn

    def _draw_between(
        self, low: float, high: float, mixture: Mixture, size: int, rng: np.random.Generator
    ) -> Floats:
        # What hyperopt does, without its detours: this is where most of the time would go.
        weights, centres, deviations = mixture.weights, mixture.centres.tolist(), mixture.deviations.tolist()
        multinomial, normal = rng.multinomial, rng.normal
        drawn: list[Any] = []
        while len(drawn) < size:
            active = multinomial(1, weights).argmax()
            value = normal(centres[active], deviations[active])
            if low <= value < high:
                drawn.append(np.exp(value) if self.logarithmic else value)
        return np.array(drawn)

    def accepted(self, mixture: Mixture) -> Any:
        """The share of a mixture that is between the bounds."""
        if self.low is None and self.high is None:
            return 1
        weights, centres, deviations = mixture.parts
        inside = tpe.normal_cdf(self.high, centres, deviations) - tpe.normal_cdf(
            self.low, centres, deviations
        )
        return np.sum(weights * inside)


class Smooth:
    """A parameter that can have any value between bounds, or any at all.

    Args:
        prior: of it.
        column: its values; in order.
    """

    def __init__(self, prior: Prior, column: Column) -> None:
        self._prior = prior
        self._column = column

    def __call__(self, size: int, rng: np.random.Generator, moment: Moment) -> list[Any]:
        """Draw."""
        if not size:
            return []
        prior = self._prior
        below = prior.mixture(self._values(self._column.below(moment)))
        candidates = prior.draw(below, size, rng)
        best = self._shortcut(candidates, below, moment)
        if best is None:
            above = prior.mixture(self._values(self._column.above(moment)))
            density = tpe.LGMM1_lpdf if prior.logarithmic else tpe.GMM1_lpdf
            bounds = {"low": prior.low, "high": prior.high}
            mine, theirs = (density(candidates, *mixture.parts, **bounds) for mixture in (below, above))
            best = int(np.argmax(mine - theirs))
        return [candidates[best]] * size

    def _values(self, values: Floats) -> Floats:
        return np.log(values) if self._prior.logarithmic else values

    def _shortcut(self, candidates: Floats, below: Mixture, moment: Moment) -> int | None:
        prior = self._prior
        points = candidates
        finest = 0.0
        if prior.logarithmic:
            if not (candidates.min() > 1e-250 and candidates.max() < 1e250):
                return None
            points = np.log(candidates)
            finest = _FINEST * float(np.abs(points).max())
        values, weights = self._column.above_in_order(moment)
        least = prior.deviation / min(100.0, 1.0 + max(len(values) + 1, len(below.weights)))
        if least < finest or not are_ordinary(least, prior.deviation):
            return None
        other: Mixture | CrowdedMixture | None
        if len(values) < _MANY:
            other = prior.mixture(self._values(self._column.above(moment)))
        else:
            other = crowded(values, weights, prior.weight, prior.centre, prior.deviation)
        return None if other is None else certain_best(points, below, other)


class Stepped:
    """A parameter whose values are multiples of a step.

    Args:
        prior: of it.
        column: its values.
        least: values below this count as this in a mixture; None if there is no such thing.
    """

    def __init__(self, prior: Prior, column: Column, least: float | None) -> None:
        self._prior = prior
        self._column = column
        self._least = least

    def __call__(self, size: int, rng: np.random.Generator, moment: Moment) -> list[Any]:
        """Draw."""
        if not size:
            return []
        prior = self._prior
        below = prior.mixture(self._values(self._column.below(moment)))
        candidates = prior.draw(below, size, rng)
        above = prior.mixture(self._values(self._column.above(moment)))
        scores = self._log_densities(candidates, below) - self._log_densities(candidates, above)
        return [candidates[np.argmax(scores)]] * size

    def _values(self, values: Floats) -> Floats:
        if not self._prior.logarithmic:
            return values
        return np.log(values if self._least is None else np.maximum(values, self._least))

    def _log_densities(self, candidates: Floats, mixture: Mixture) -> Floats:
        """Log densities of candidates, summed up in the order of ``GMM1_lpdf`` and ``LGMM1_lpdf``."""
        prior, step = self._prior, self._prior.step
        assert step is not None
        upper, lower = candidates + step / 2, candidates - step / 2
        low, high = prior.low, prior.high
        if prior.logarithmic:
            low, high = (None if bound is None else np.exp(bound) for bound in (low, high))
        if high is not None:
            upper = np.minimum(upper, high)
        if low is not None:
            lower = np.maximum(lower, low)
        if prior.logarithmic:
            lower = np.maximum(0, lower)
            upper, lower = np.log(np.maximum(upper, tpe.EPS)), np.log(np.maximum(lower, tpe.EPS))
        _, first, again = np.unique(candidates, return_index=True, return_inverse=True)
        shares = self._shares(upper[first], mixture)
        shares -= self._shares(lower[first], mixture)
        summed = np.add.accumulate(shares, axis=0, out=shares)[-1]
        logarithms: Floats = np.log(summed[again]) - np.log(prior.accepted(mixture))
        return logarithms

    def _shares(self, ends: Floats, mixture: Mixture) -> Floats:
        """Returns what of each component is below each end, times its weight."""
        weights, centres, deviations = (part[:, None] for part in mixture.parts)
        scaled = ends - centres
        scaled /= np.maximum(np.sqrt(2) * deviations, tpe.EPS)
        shares = 0.5 + 0.5 * erf(scaled) if self._prior.logarithmic else 0.5 * (1 + erf(scaled))
        counted: Floats = weights * shares
        return counted


class Counted:
    """A parameter that is one of ``count`` options.

    Args:
        prior_weight: how much each option counts without any value.
        probabilities: of the options; None if they are all alike, as in hyperopt's ``randint``.
        count: how many options there are.
        offset: the first one's number.
        column: its values.
    """

    def __init__(
        self, prior_weight: float, probabilities: Floats | None, count: int, offset: int, column: Column
    ) -> None:
        self._prior_weight = prior_weight
        self._probabilities = probabilities
        self._count = count
        self._offset = offset
        self._column = column

    def __call__(self, size: int, rng: np.random.Generator, moment: Moment) -> list[Any]:
        """Draw; numbers begin at 0, whatever the offset."""
        if not size:
            return []
        below = self._chances(self._column.below(moment), moment)
        above = self._chances(self._column.above(moment), moment)
        candidates: NDArray[np.int64] = stochastic.categorical(below, rng, size)
        best = np.argmax(np.log(below[candidates]) - np.log(above[candidates]))
        return [candidates[best]] * size

    def _chances(self, values: Floats, moment: Moment) -> Floats:
        """Chances of each option: how often it was chosen, lately more than long ago, and the prior."""
        weights = moment.forgetting(len(values))
        counts = pyll.base.bincount(values, offset=self._offset, weights=weights, minlength=self._count)
        chances: Floats
        if self._probabilities is None:
            chances = counts + self._prior_weight
        else:
            size = self._probabilities.size
            chances = counts + size * (self._prior_weight * self._probabilities)
        return chances / np.sum(chances)
