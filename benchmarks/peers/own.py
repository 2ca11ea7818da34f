"""sparkopt itself, in the form of a peer."""

from __future__ import annotations

import warnings
from pathlib import Path

import sparkopt
from benchmarks.peers.peer import Peer, Ran, Search, timed


def run_sparkopt(
    search: Search,
    journal: str | Path | None = None,
    tracking: bool = False,
    pool: sparkopt.WorkerPool | None = None,
) -> Ran:
    """Sparkopt, the pool's start and end included, unless it has one already."""

    def run() -> tuple[int, float]:
        trials = (
            sparkopt.SparkTrials(
                search.parallelism, spark_session=search.session, journal=journal, tracking=tracking
            )
            if pool is None
            else sparkopt.SparkTrials(pool=pool, journal=journal, tracking=tracking)
        )
        sparkopt.fmin(trials=trials, **search.arguments())
        return len(trials.trials), trials.best_trial["result"]["loss"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(search, run)


SPARKOPT = Peer("sparkopt", "sparkopt", run_sparkopt, quick=True, on_spark=True, hyperopt=True)
