"""Losses that hyperopt's TPE reaches when it runs one trial after another, with no time in it."""

from __future__ import annotations

from hyperopt import tpe

from benchmarks.searches.hyperopts import HyperoptSearch
from benchmarks.sleeping.recorded import Recorded


def serial_bests(objective: Recorded, trials: int, seeds: int) -> list[float]:
    """The best loss of each of several serial searches.

    Args:
        objective: what is searched.
        trials: of each search.
        seeds: number of searches.
    """
    return [_best(objective, trials, seed) for seed in range(seeds)]


def _best(objective: Recorded, trials: int, seed: int) -> float:
    search = HyperoptSearch(objective.space, tpe.suggest, seed)
    losses: list[float] = []
    for number in range(trials):
        curve, _ = objective.lookup(search.propose())
        losses.append(curve[-1])
        search.settle(number, curve[-1])
    return min(losses)
