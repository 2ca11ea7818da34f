"""What several measurements of the same thing say: a median, and how far they spread.

Two things that are compared took turns in the same rounds. So their ratio is taken round by round, and what
slowed a round down as a whole is in both halves of it; the ratio's spread says what is left of that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, the least and the largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value.

        Raises:
            ValueError: if there is none.
        """
        if not values:
            raise ValueError("a spread needs at least one value, got none")
        return cls(median(values), min(values), max(values))


def ratio(values: Sequence[float], others: Sequence[float]) -> Spread:
    """How many times the others each value is, round by round.

    Args:
        values: one for each round.
        others: of the same rounds.

    Raises:
        ValueError: if these are not as many.
    """
    return Spread.of([value / other for value, other in zip(values, others, strict=True)])


def ratios(figures: Mapping[str, Sequence[float]], to: str) -> dict[str, Spread]:
    """How many times one's own figures everybody's are.

    Args:
        figures: by name.
        to: the name of one's own.
    """
    return {name: ratio(values, figures[to]) for name, values in figures.items()}


def median_interval(values: Sequence[float], share: float = 0.95, draws: int = 4000) -> tuple[float, float]:
    """The interval in which the median of such values lies, by the bootstrap (Efron 1979, percentile method).

    Args:
        values: at least one.
        share: of the resampled medians that the interval holds.
        draws: the number of resamples; they are the same each time.
    """
    draw = random.Random(0)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(draws))
    outside = round((1 - share) / 2 * draws)
    return medians[outside], medians[draws - 1 - outside]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    Args:
        values: at least one, in any order.
        share: above 0, at most 1; 0.99 for the 99th percentile.
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"a percentile needs values and a share in (0, 1], got {len(values)} and {share}")
    ordered = sorted(values)
    # Rounded first: 0.07 * 100 is a little more than 7.
    return ordered[math.ceil(round(share * len(ordered), 9)) - 1]


def covered(spans: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Seconds of spans that lie between two moments, summed over the spans."""
    return sum(max(0.0, min(last, end) - max(first, begin)) for first, last in spans)


def in_rounds(contestants: Sequence[T], number: int, seed: int = 0) -> Iterator[tuple[int, T]]:
    """Everybody's turns: in each round each has one, in an order that is drawn anew.

    Args:
        contestants: who takes part.
        number: of rounds.
        seed: of the orders.
    """
    draw = random.Random(seed)
    for each in range(number):
        order = list(contestants)
        draw.shuffle(order)
        for contestant in order:
            yield each, contestant
