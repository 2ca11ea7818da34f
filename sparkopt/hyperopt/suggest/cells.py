"""Many normal distributions of one standard deviation, taken together in cells.

The density at a point is a sum over all of them. Within a cell that is small beside the standard deviation
they are replaced by the moments of their distances from its middle, as in the fast Gauss transform (Greengard
and Strain, 1991): with z the distance of the point from the middle and d that of a centre, both in standard
deviations,

    exp(-(z - d)²/2) = exp(-z²/2) Σ He_k(z) d^k / k!

and the error of leaving off all terms from the n-th on is at most 1.0865 exp(-ξ²/4) |d|^n / √n! for some ξ
between z and z - d, by Cramér's inequality for the Hermite polynomials He.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH: Final = 0.25
"""Of a cell, in standard deviations."""

REACH: Final = 6.0
"""Standard deviations beyond which a component's share is bounded, not computed."""

OUTSIDE: Final = math.exp(-0.5 * REACH**2)
"""The largest share, compared with that at its centre, of a component out of reach."""

_TERMS: Final = 5
_SIDE: Final = round(REACH / WIDTH)
_WINDOW: Final = 2 * _SIDE + 1
_PADDING: Final = _WINDOW + 1

_OFFSETS: Final = WIDTH * np.arange(_WINDOW)

_ERROR: Final = (
    1.0865
    * (WIDTH / 2) ** _TERMS
    / math.sqrt(math.factorial(_TERMS))
    * math.exp(REACH * WIDTH / 4 + WIDTH / 4)
)
"""Of a component, beside exp(-z²/4): the last factor is for the difference between z and ξ."""

_LEAST: Final = 1500
"""Fewer components are as fast one by one."""

_MOST_CELLS: Final = 4
"""For each component: where they are further apart, cells are no help."""


class Cells:
    """The sum of normal distributions of one standard deviation, each with a weight, without its constant.

    Args:
        weights: of each.
        centres: of each, ascending.
        deviation: the standard deviation.
    """

    def __init__(self, weights: Floats, centres: Floats, deviation: float) -> None:
        self._base, self._deviation = centres[0], deviation
        distances = (centres - self._base) / deviation
        cells = (distances * (1.0 / WIDTH)).astype(np.intp)
        distances -= (cells + 0.5) * WIDTH
        terms = np.empty((_TERMS, len(centres)))
        terms[0] = weights
        for power in range(1, _TERMS):
            np.multiply(terms[power - 1], distances, out=terms[power])
        starts = np.concatenate(([0], np.flatnonzero(cells[1:] != cells[:-1]) + 1))
        self._count = int(cells[-1]) + 1
        moments = np.zeros((_TERMS + 1, self._count + 2 * _PADDING))
        moments[:_TERMS, cells[starts] + _PADDING] = np.add.reduceat(terms, starts, axis=1)
        moments[_TERMS] = moments[0]
        self._total = float(weights.sum())
        # From the coefficients of Hermite polynomials to those of powers.
        moments[2] /= 2.0
        moments[3] /= 6.0
        moments[4] /= 24.0
        moments[0] += 3.0 * moments[4] - moments[2]
        moments[1] -= 3.0 * moments[3]
        moments[2] -= 6.0 * moments[4]
        self._coefficients = moments

    @staticmethod
    def are_worth_it(centres: Floats, deviation: float) -> bool:
        """Returns whether they are many, and not each in a cell of its own."""
        count = len(centres)
        return count >= _LEAST and bool(centres[-1] - centres[0] < _MOST_CELLS * WIDTH * deviation * count)

    def bounds(self, points: Floats) -> tuple[Floats, Floats]:
        """At each point: a lower bound, which may be zero or less, and an upper bound."""
        scaled = (points - self._base) / self._deviation
        cells = np.clip(np.floor(scaled * (1.0 / WIDTH)), -_SIDE - 1, self._count + _SIDE).astype(np.intp)
        first = cells - _SIDE
        z = (scaled - (first + 0.5) * WIDTH)[:, None] - _OFFSETS
        first += _PADDING
        coefficients = stretches(self._coefficients, _WINDOW)[first]
        sums = coefficients[:, _TERMS - 1]
        for power in range(_TERMS - 2, -1, -1):
            sums *= z
            sums += coefficients[:, power]
        decay = np.exp(-0.25 * z * z)
        error = _ERROR * np.einsum("ij,ij->i", coefficients[:, _TERMS], decay)
        decay *= decay
        found = np.einsum("ij,ij->i", sums, decay)
        return found - error, found + error + self._total * OUTSIDE


def stretches(array: Floats, length: int) -> Floats:
    """Each stretch of that length along the last axis, by its first index, without copying."""
    *before, size = array.shape
    *strides, step = array.strides
    found: Floats = np.ndarray(
        (size - length + 1, *before, length), array.dtype, array, 0, (step, *strides, step)
    )
    return found
