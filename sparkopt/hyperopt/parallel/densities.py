"""Densities over whole points: mixtures of kernels, one around each of some trials, and the prior.

A kernel is a product over the parameters that are active in the point: a normal distribution cut off at the
bounds for a scale, a distribution that mostly stays at its option for a choice, and the prior where the
trial has no value. So parameters of one branch are learned together, and nothing is learned about a branch
from trials of another one. The width of all kernels of a mixture is the same: Scott's rule (1979) for as many
trials and active parameters as there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from sparkopt.hyperopt.parallel.axes import Floats
from sparkopt.hyperopt.parallel.layout import Active, Layout, Rows

_WIDTH: Final = 0.2
"""A kernel's standard deviation for one trial, as a share of the scale."""

_NARROWEST: Final = 0.02
"""No kernel is narrower than this share of the scale..."""

_CELL: Final = 0.5
"""... nor than this share of the distance between neighbouring values."""

_LEAVES: Final = 0.9
"""The chance with which a kernel around one trial leaves its option is at most this."""

_HALF_LOG_TAU: Final = 0.5 * math.log(2 * math.pi)

_ALONE: Final = 250_000
"""OpenBLAS multiplies matrices with so many operations in one thread. With more, it has threads wait for each
other, for milliseconds where the machine is busy."""

_EDGE: Final = 1e-9
"""Drawn positions keep this distance from their bounds, so that rounding does not lead out of them."""


@dataclass(frozen=True, slots=True)
class Density:
    """A mixture.

    Attributes:
        layout: of the space.
        centres: the trials' rows.
        weights: of the trials, 1 on the average.
        prior_weight: how much the prior counts, compared with a trial.
        widths: of the kernels, for each scale.
        leaves: the chance with which a kernel takes an option from the prior.
    """

    layout: Layout
    centres: Rows
    weights: Floats
    prior_weight: float
    widths: Floats
    leaves: float

    @classmethod
    def around(
        cls, layout: Layout, centres: Rows, weights: Floats, prior_weight: float, dimensions: float
    ) -> Density:
        """A mixture around some trials.

        Args:
            layout: of the space.
            centres: their rows.
            weights: theirs, 1 on the average.
            prior_weight: how much the prior counts, compared with a trial.
            dimensions: how many parameters are active in a point, on the average.
        """
        count = len(centres)
        width = _WIDTH * max(count, 1) ** (-1 / (max(dimensions, 1) + 4))
        widths = np.array([max(width, _NARROWEST, _CELL * axis.cell) for _, axis in layout.scales])
        return cls(layout, centres, weights, prior_weight, widths, min(_LEAVES, 2 / (count + 2)))

    def drawn(self, size: int, rng: np.random.Generator) -> Rows:
        """Rows drawn from the mixture, rounded to values that there are."""
        layout, count = self.layout, len(self.centres)
        rows = layout.drawn(size, rng)
        ends = np.cumsum(self.weights)
        chosen = np.searchsorted(ends, rng.random(size) * (count + self.prior_weight), side="right")
        near = chosen < count
        centres = self.centres[np.minimum(chosen, count - 1)]
        kept = near[:, None] & ~np.isnan(centres)
        for place, _ in layout.options:
            stays = kept[:, place] & (rng.random(size) >= self.leaves)
            rows[stays, place] = centres[stays, place]
        for (place, axis), width in zip(layout.scales, self.widths, strict=True):
            moves = kept[:, place]
            centre = centres[moves, place]
            low, high = 0.0, 1.0
            if axis.bounded:
                low, high = ndtr(-centre / width), ndtr((1.0 - centre) / width)
            found = centre + width * ndtri(low + rng.random(len(centre)) * (high - low))
            rows[moves, place] = np.clip(found, _EDGE, 1.0 - _EDGE) if axis.bounded else found
        return layout.rounded(rows)

    def log_density(self, rows: Rows, active: Active) -> Floats:
        """The logarithm of the density at some rows.

        Args:
            rows: without NaN.
            active: where their values count.
        """
        prior = np.zeros(len(rows))
        near = np.zeros((len(rows), len(self.centres)))
        known = ~np.isnan(self.centres)
        self._add_scales(near, prior, rows, active, known)
        self._add_options(near, prior, rows, active, known)
        largest = np.maximum(near.max(axis=1, initial=-np.inf), prior)
        near -= largest[:, None]
        total = np.exp(near, out=near) @ self.weights + self.prior_weight * np.exp(prior - largest)
        logarithm: Floats = np.log(total) + largest - math.log(len(self.centres) + self.prior_weight)
        return logarithm

    def _add_scales(
        self, near: Floats, prior: Floats, rows: Rows, active: Active, known: NDArray[np.bool_]
    ) -> None:
        scales = self.layout.scales
        if not scales:
            return
        places = [place for place, _ in scales]
        here, there = active[:, places].astype(float), known[:, places].astype(float)
        points = np.where(active[:, places], rows[:, places], 0.0)
        centres = np.where(known[:, places], self.centres[:, places], 0.0)
        bounded = np.array([axis.bounded for _, axis in scales])
        inside = np.where(bounded, ndtr((1.0 - centres) / self.widths) - ndtr(-centres / self.widths), 1.0)
        scaled = there / self.widths**2
        heights = -0.5 * centres**2 * scaled - there * (np.log(inside * self.widths) + _HALF_LOG_TAU)
        # The square of a difference, multiplied out.
        left = np.hstack([here, points, points * points])
        right = np.hstack([heights, centres * scaled, -0.5 * scaled])
        _add_product(near, left, right)
        if not bounded.all():
            for column, (place, axis) in enumerate(scales):
                found = np.where(active[:, place], axis.log_prior(points[:, column]), 0.0)
                prior += found
                near += found[:, None] * (1.0 - there[:, column])

    def _add_options(
        self, near: Floats, prior: Floats, rows: Rows, active: Active, known: NDArray[np.bool_]
    ) -> None:
        leaves = self.leaves
        for place, axis in self.layout.options:
            here = active[:, place]
            log_chance = np.where(here, axis.log_prior(rows[:, place]), 0.0)
            prior += log_chance
            stays = np.where(here, np.log(1.0 - leaves + leaves * np.exp(log_chance)), 0.0)
            moves = np.where(here, log_chance + math.log(leaves), 0.0)
            same = rows[:, place, None] == self.centres[None, :, place]
            found = np.where(same, stays[:, None], moves[:, None])
            near += np.where(known[None, :, place], found, log_chance[:, None])


def _add_product(total: Floats, left: Floats, right: Floats) -> None:
    """Add the product of one matrix with the transpose of another to a third one, in pieces."""
    piece = max(1, _ALONE // left.size)
    for first in range(0, len(right), piece):
        total[:, first : first + piece] += left @ right[first : first + piece].T
