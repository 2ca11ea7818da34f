"""Mixtures of normal distributions, and which of a few candidates is the best under two of them.

TPE draws candidates from a mixture around the good trials' values and takes the one whose density there is
the highest compared with a mixture around the other trials' values. hyperopt computes the density of each
candidate under each component. Only the place of the highest ratio matters, though, not its last digits. So
:func:`certain_best` bounds the ratios and answers only if one candidate's lower bound is above every other
one's upper bound:

    bounds    many components taken together (cells.py): leaves one candidate, mostly, or a few
    density   each component near one of these; what is far away is bounded
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparkopt.hyperopt.suggest.cells import OUTSIDE, REACH, Cells, stretches

Floats = NDArray[np.float64]

_ROUNDING: Final = 1e-9
"""More than the logarithms of two densities can differ in by rounding: they are below 1,500, and a hundred
roundings of 1e-16 each would make 2e-11."""

_LEAST_DENSITY: Final = 1e-280
"""Below this, rounding is another matter."""

_SCALES: Final = (1e-10, 1e100)
"""Standard deviations that hyperopt's formulas have neither a special case nor an overflow for."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Normal distributions, in the order of their centres.

    Attributes:
        weights: of each; they need not add up to anything.
        centres: of each.
        deviations: of each.
    """

    weights: Floats
    centres: Floats
    deviations: Floats

    @property
    def parts(self) -> tuple[Floats, Floats, Floats]:
        """All of these, as hyperopt has them."""
        return self.weights, self.centres, self.deviations

    def density(self, points: Floats) -> tuple[Floats, Floats | float]:
        """At each point, up to a constant factor: a lower bound, and how much may be missing of it."""
        scaled = points[:, None] - self.centres
        scaled /= self.deviations
        scaled *= scaled
        scaled *= -0.5
        found: Floats = np.exp(scaled, out=scaled) @ (self.weights / self.deviations)
        return found, 0.0


@dataclass(frozen=True, slots=True)
class CrowdedMixture:
    """Normal distributions most of which have the same, small, standard deviation.

    Attributes:
        weights: of each.
        centres: of each, ascending.
        deviation: of most.
        wide: places of those with another one.
        wide_deviations: and theirs.
    """

    weights: Floats
    centres: Floats
    deviation: float
    wide: NDArray[np.intp]
    wide_deviations: Floats

    def bounds(self, points: Floats) -> tuple[Floats, Floats]:
        """At each point, up to a constant factor: a lower and an upper bound, close to one another."""
        wide, _ = self._wide(points)
        low, high = Cells(self.narrow, self.centres, self.deviation).bounds(points)
        return wide + np.maximum(low, 0.0) / self.deviation, wide + high / self.deviation

    def _wide(self, points: Floats) -> tuple[Floats, Floats | float]:
        wide = self.wide
        mixture = Mixture(self.weights[wide], self.centres[wide], self.wide_deviations)
        return mixture.density(points)

    @property
    def narrow(self) -> Floats:
        """The weights of the components that have the same standard deviation; zero for the others."""
        narrow: Floats = self.weights.copy()
        narrow[self.wide] = 0.0
        return narrow

    def density(self, points: Floats) -> tuple[Floats, Floats | float]:
        """At each point, up to a constant factor: a lower bound, and how much may be missing of it."""
        centres, deviation, narrow = self.centres, self.deviation, self.narrow
        found, _ = self._wide(points)
        reach = REACH * deviation
        first = centres.searchsorted(points - reach)
        span = int((centres.searchsorted(points + reach) - first).max())
        if span:
            np.minimum(first, len(centres) - span, out=first)
            near = stretches(centres, span)[first]
            near -= points[:, None]
            near *= near
            near *= -0.5 / deviation**2
            np.exp(near, out=near)
            found += np.einsum("ij,ij->i", near, stretches(narrow, span)[first]) / deviation
        return found, float(narrow.sum()) * OUTSIDE / deviation


def crowded(
    values: Floats, weights: Floats, prior_weight: float, prior_centre: float, prior_deviation: float
) -> CrowdedMixture | None:
    """The mixture that ``hyperopt.tpe.adaptive_parzen_normal`` makes of many values.

    Args:
        values: ascending.
        weights: theirs.
        prior_weight: of the component that stands for no value.
        prior_centre: its centre.
        prior_deviation: its standard deviation.

    Returns:
        The mixture; None if it depends on how equal values are ordered.
    """
    place, centres, gaps, deviations = _spread(values, prior_centre)
    deviations[place] = np.inf
    least = prior_deviation / min(100.0, 1.0 + len(centres))
    wide = np.flatnonzero(deviations > least)
    beside = wide[wide != place]
    if (gaps[beside[beside < len(gaps)]] == 0.0).any() or (gaps[beside[beside > 0] - 1] == 0.0).any():
        return None
    widths = np.minimum(deviations[wide], prior_deviation)
    return CrowdedMixture(_with(weights, place, prior_weight), centres, least, wide, widths)


def few(values: Floats, prior_weight: float, prior_centre: float, prior_deviation: float) -> Mixture:
    """The mixture that ``hyperopt.tpe.adaptive_parzen_normal`` makes of so few values that it forgets none.

    Args:
        values: two at least.
        prior_weight: of the component that stands for no value.
        prior_centre: its centre.
        prior_deviation: its standard deviation.
    """
    place, centres, _, deviations = _spread(values[values.argsort()], prior_centre)
    least = prior_deviation / min(100.0, 1.0 + len(centres))
    np.minimum(np.maximum(deviations, least, out=deviations), prior_deviation, out=deviations)
    deviations[place] = prior_deviation
    weights = np.ones(len(centres))
    weights[place] = prior_weight
    weights /= weights.sum()
    return Mixture(weights, centres, deviations)


def _spread(values: Floats, prior_centre: float) -> tuple[int, Floats, Floats, Floats]:
    """The prior's place among values, all centres, their gaps, and for each the larger one beside it."""
    place = int(values.searchsorted(prior_centre))
    centres = _with(values, place, prior_centre)
    gaps = centres[1:] - centres[:-1]
    deviations = np.empty(len(centres))
    np.maximum(gaps[1:], gaps[:-1], out=deviations[1:-1])
    deviations[0], deviations[-1] = gaps[0], gaps[-1]
    return place, centres, gaps, deviations


def _with(array: Floats, place: int, value: float) -> Floats:
    longer = np.empty(len(array) + 1)
    longer[:place] = array[:place]
    longer[place] = value
    longer[place + 1 :] = array[place:]
    return longer


def are_ordinary(least: float, most: float) -> bool:
    """Returns whether standard deviations between these need no special care."""
    return _SCALES[0] < least <= most < _SCALES[1]


def certain_best(points: Floats, good: Mixture, other: Mixture | CrowdedMixture) -> int | None:
    """Returns where the density under one mixture is the highest, compared with another's.

    Args:
        points: the candidates.
        good: the one.
        other: and the other.

    Returns:
        The place of the best candidate, the first of several equal ones; None if rounding could decide, or
        what was left out.
    """
    mine, _ = good.density(points)
    if not mine.min() > _LEAST_DENSITY:
        return None
    logarithms = np.log(mine)
    if isinstance(other, CrowdedMixture) and Cells.are_worth_it(other.centres, other.deviation):
        low, high = other.bounds(points)
        if not low.min() > _LEAST_DENSITY:
            return None
        left = np.flatnonzero(logarithms - np.log(low) + _ROUNDING >= (logarithms - np.log(high)).max())
    else:
        left = np.arange(len(points))
    if _are_one(points, left):
        return int(left[0])
    theirs, missing = other.density(points[left])
    if not theirs.min() > _LEAST_DENSITY:
        return None
    # What is missing makes a ratio smaller.
    most = logarithms[left] - np.log(theirs)
    best = int(most.argmax())
    least = most[best] - np.log1p(np.max(missing / theirs[best]))
    left = left[most + _ROUNDING >= least]
    return int(left[0]) if _are_one(points, left) else None


def _are_one(points: Floats, places: NDArray[np.intp]) -> bool:
    return len(places) == 1 or bool((points[places] == points[places[0]]).all())
