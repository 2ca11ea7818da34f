"""Warnings that save a day: searches that are less clever than they look."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hyperopt import rand, tpe

from sparkopt.errors import ParallelismWarning, warn
from sparkopt.hyperopt.parallel import parallel_tpe
from sparkopt.hyperopt.partials import unwrapped


@dataclass(frozen=True, slots=True)
class Measured:
    """Regret of searches relative to random search, from the record of ``python -m benchmarks quality``.

    Attributes:
        trials: in each search.
        tpe: of hyperopt's TPE; the geometric mean over all objectives.
        parallel_tpe: of ours.
    """

    trials: int
    tpe: float
    parallel_tpe: float


MEASURED: Final = {
    1: Measured(100, 0.6, 0.23),
    8: Measured(100, 0.6, 0.23),
    32: Measured(100, 0.7, 0.5),
    128: Measured(500, 0.32, 0.24),
}
"""By the number of trials that ran at once."""


def advise_on_parallelism(parallelism: int, trials: int, algo: Callable[..., Any]) -> None:
    """Warn if so many trials run at once that an algorithm learns little or nothing from them.

    Args:
        parallelism: how many run at once.
        trials: how many are to be proposed.
        algo: hyperopt's ``algo``.
    """
    inner, keywords = unwrapped(algo)
    module = str(getattr(inner, "__module__", ""))
    ours = inner is parallel_tpe
    if parallelism < 2 or inner is rand.suggest or not (ours or module.startswith("hyperopt.")):
        return
    if trials <= parallelism:
        name = "parallel_tpe" if ours else module
        warn(
            f"all {trials} trials are proposed before the first has finished, because {parallelism} run at"
            f" once: {name} learns from none, so this is random search. Set a smaller parallelism, about a"
            " tenth of max_evals, or more max_evals.",
            ParallelismWarning,
        )
        return
    if inner is tpe.suggest:
        start_up = (keywords or {}).get("n_startup_jobs", tpe._default_n_startup_jobs)
        if isinstance(start_up, (int, float)) and parallelism >= start_up:
            warn(
                f"{parallelism} trials run at once, and TPE starts with {start_up} random ones: when its"
                f" first suggestion is made, few or none have finished. {_measured(parallelism)} Use"
                f" algo=sparkopt.parallel_tpe, or set parallelism to less than {start_up}.",
                ParallelismWarning,
            )


def _measured(parallelism: int) -> str:
    """One sentence: what was measured with about as many trials at once."""
    several = [workers for workers in MEASURED if workers > 1]
    at_once = min(several, key=lambda workers: abs(math.log(workers / parallelism)))
    measured, serial = MEASURED[at_once], MEASURED[1]
    one_by_one = f" ({serial.tpe:.0%} if they run one by one)" if serial.trials == measured.trials else ""
    return (
        f"Measured with {at_once} at once and {measured.trials} trials, TPE is left with {measured.tpe:.0%}"
        f" of the regret of random search{one_by_one}, and sparkopt.parallel_tpe with"
        f" {measured.parallel_tpe:.0%}."
    )
