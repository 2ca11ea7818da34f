"""Optuna's sampler in a search that is played, by ask and tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.searches.parameters import Point, SearchSpace


class OptunaSearch:
    """A search by a sampler.

    Args:
        space: where points come from.
        sampler: makes it, from a seed.
        seed: of the search.
    """

    def __init__(self, space: SearchSpace, sampler: Callable[[int], Any], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._failed = optuna.trial.TrialState.FAIL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(sampler=sampler(seed))
        self._trials: list[Any] = []

    def propose(self) -> Point:
        """Ask for a point."""
        trial = self._study.ask()
        self._trials.append(trial)
        return self._space.of_optuna(trial)

    def settle(self, number: int, loss: float | None) -> None:
        """A trial has ended; None if it failed."""
        if loss is None:
            self._study.tell(self._trials[number], state=self._failed)
        else:
            self._study.tell(self._trials[number], loss)
