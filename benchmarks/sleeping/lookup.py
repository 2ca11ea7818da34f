"""Losses and seconds of points, from files. Workers import this module, so it imports next to nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_NEAREST = 5
"""Recorded curves that the curve of a point is made of."""


class Lookup(Protocol):
    """Recorded losses of a point, and the time that they took."""

    def __call__(self, point: Mapping[str, float]) -> tuple[Sequence[float], float]:
        """Returns the loss after each step, and how long all of them take together, relative to others."""


@dataclass(frozen=True, slots=True)
class TableLookup:
    """Points of a table that has a row for each.

    Attributes:
        path: a file of numpy's: loss and time of each row.
        sizes: the number of values of each parameter; those of the last one follow each other.
    """

    path: str
    sizes: Mapping[str, int]

    def __call__(self, point: Mapping[str, float]) -> tuple[Sequence[float], float]:
        """Read the row of a point."""
        import numpy as np

        row = 0
        for name, size in self.sizes.items():
            row = row * size + int(point[name])
        loss, took = np.load(self.path, mmap_mode="r")[row].tolist()
        return (loss,), took


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of a parameter.

    Attributes:
        low: the least value.
        high: the largest one.
        log: whether the logarithm is drawn.
    """

    low: float
    high: float
    log: bool

    def unit(self, value: float) -> float:
        """A value as a number between 0 and 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class CurveLookup:
    """Points between recorded ones: their curves are means of those nearby, the nearer the heavier.

    The weights are inverse squared distances (Shepard 1968), of the five nearest. All trials take equally
    long.

    Attributes:
        path: a file of numpy's; a row for each recorded point: its values from 0 to 1, then the losses.
        scales: of the parameters.
    """

    path: str
    scales: Mapping[str, Scale]

    def __call__(self, point: Mapping[str, float]) -> tuple[Sequence[float], float]:
        """Average the curves near a point."""
        import numpy as np

        rows = np.load(self.path)
        places, curves = rows[:, : len(self.scales)], rows[:, len(self.scales) :]
        asked = [scale.unit(point[name]) for name, scale in self.scales.items()]
        distances = ((places - asked) ** 2).sum(axis=1)
        nearest = np.argsort(distances, kind="stable")[:_NEAREST]
        weights = 1 / (distances[nearest] + 1e-9)
        return (weights @ curves[nearest] / weights.sum()).tolist(), 1.0
