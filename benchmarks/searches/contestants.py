"""Algorithms that are compared, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hyperopt import rand, tpe

from benchmarks.searches.hyperopts import HyperoptSearch
from benchmarks.searches.optunas import OptunaSearch
from benchmarks.searches.parameters import SearchSpace
from benchmarks.searches.virtual_clock import SearchToPlay
from sparkopt import parallel_tpe


@dataclass(frozen=True, slots=True)
class Contestant:
    """One algorithm.

    Attributes:
        title: its name in tables.
        begin: begins a search in a space, from a seed.
        needs: packages without which it does not run.
        may_be_kept: whether its searches need not be run again: they do not depend on this repository.
        is_slow: whether long searches take it hours.
    """

    title: str
    begin: Callable[[SearchSpace, int], SearchToPlay]
    needs: tuple[str, ...] = ()
    may_be_kept: bool = True
    is_slow: bool = False

    def missing(self) -> str | None:
        """Returns the packages that are not installed; None if all are."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return ", ".join(absent) + " is not installed" if absent else None


def of_hyperopt(title: str, algo: Callable[..., Any], may_be_kept: bool = True) -> Contestant:
    """A ``suggest`` function as a contestant."""
    return Contestant(title, lambda space, seed: HyperoptSearch(space, algo, seed), (), may_be_kept)


def _of_optuna(title: str, sampler: Callable[[Any, int], Any], *needs: str) -> Contestant:
    def make(seed: int) -> Any:
        from optuna import samplers

        return sampler(samplers, seed)

    return Contestant(
        title, lambda space, seed: OptunaSearch(space, make, seed), ("optuna", *needs), is_slow=True
    )


TPE: Final = "tpe"
PARALLEL: Final = "parallel_tpe"

CONTESTANTS: Final = {
    "random": of_hyperopt("random search", rand.suggest),
    TPE: of_hyperopt("hyperopt's TPE", tpe.suggest),
    PARALLEL: of_hyperopt("parallel_tpe", parallel_tpe, may_be_kept=False),
    "optuna": _of_optuna("Optuna's default", lambda samplers, seed: samplers.TPESampler(seed=seed)),
    "optuna-joint": _of_optuna(
        "Optuna, multivariate, grouped, liar",
        lambda samplers, seed: samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True
        ),
    ),
    "optuna-gp": _of_optuna(
        "Optuna's GP", lambda samplers, seed: samplers.GPSampler(seed=seed), "torch", "scipy"
    ),
    "optuna-cmaes": _of_optuna(
        "Optuna's CMA-ES", lambda samplers, seed: samplers.CmaEsSampler(seed=seed), "cmaes"
    ),
}
