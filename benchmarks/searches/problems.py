"""Objective whose optimum is known, so that it can be said how far a search is from it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from benchmarks.searches.parameters import Point, SearchSpace

_DRAWN: Final = 2_000
"""Random points whose median loss sets the scale."""

FINEST: Final = 1e-3
"""Normalised regret below which two searches count as equally good."""


def _no_noise(loss: float) -> float:
    return 0.0


def _never(point: Point) -> bool:
    return False


@dataclass(frozen=True)
class Problem:
    """An objective on a space.

    Attributes:
        name: of it.
        space: where its points come from.
        loss: of a point, without noise.
        optimum: the least loss that there is.
        noise: the standard deviation of what is added to a loss.
        fails: whether a trial at a point fails.
    """

    name: str
    space: SearchSpace
    loss: Callable[[Point], float]
    optimum: float = 0.0
    noise: Callable[[float], float] = _no_noise
    fails: Callable[[Point], bool] = _never

    def seen(self, point: Point, normal: float) -> tuple[float, float] | None:
        """The loss that a trial returns, and the true one; None if the trial fails.

        Args:
            point: of the trial.
            normal: a number drawn from the standard normal distribution.
        """
        if self.fails(point):
            return None
        loss = self.loss(point)
        return loss + self.noise(loss) * normal, loss

    @functools.cached_property
    def scale(self) -> float:
        """Distance of the median of random points from the optimum."""
        rng = np.random.default_rng(0)
        points = (self.space.drawn(rng) for _ in range(_DRAWN))
        return median(self.loss(point) for point in points if not self.fails(point)) - self.optimum

    def regret(self, loss: float) -> float:
        """Normalised regret: 0 at the optimum, 1 for a random point; at least :data:`FINEST`."""
        return max(FINEST, (loss - self.optimum) / self.scale) if math.isfinite(loss) else 10.0
