"""Comparisons of algorithms over several objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
from scipy import stats


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers."""
    return math.exp(mean(math.log(value) for value in values))


def mean_ranks(regrets: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """The mean rank of each contestant, over objectives and seeds; equal ones share theirs.

    Args:
        regrets: for each objective, by contestant and seed; seeds that not all have do not count.
    """
    names = list(regrets[0])
    rows = [
        stats.rankdata([of[name][seed] for name in names])
        for of in regrets
        for seed in range(min(map(len, of.values())))
    ]
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def worse(values: Sequence[float], others: Sequence[float]) -> float:
    """The probability of values so large if they were drawn as the others are (Mann and Whitney 1947)."""
    if set(values) == set(others) and len(set(values)) == 1:
        return 1.0
    return float(stats.mannwhitneyu(values, others, alternative="greater").pvalue)


def holm(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Probabilities corrected for being several (Holm 1979)."""
    found: dict[str, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(probabilities, key=probabilities.__getitem__)):
        least = max(least, min(1.0, (len(probabilities) - place) * probabilities[name]))
        found[name] = least
    return found
