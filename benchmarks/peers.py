"""What users could pick instead, each as a function that runs a search and says how many seconds it took."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hyperopt
import numpy as np
from hyperopt import hp, rand
from pyspark.sql import SparkSession

import sparkopt
from benchmarks.objectives import no_op
from sparkopt.spark.session import get_session

SPACE = hp.uniform("x", -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Search:
    """A search to be timed: ``trials`` no-op trials of random search, ``parallelism`` at once."""

    trials: int
    parallelism: int
    max_queue_len: int
    session: SparkSession
    seed: int

    def arguments(self) -> dict[str, Any]:
        """What ``fmin`` is called with, whoever's it is."""
        return {
            "fn": no_op,
            "space": SPACE,
            "algo": rand.suggest,
            "max_evals": self.trials,
            "max_queue_len": self.max_queue_len,
            "rstate": np.random.default_rng(self.seed),
            "verbose": False,
        }


def local_session(slots: int) -> SparkSession:
    """A quiet session on this machine, for all whose searches are to be compared."""
    return get_session(
        settings={
            "spark.master": f"local[{slots}]",
            "spark.ui.enabled": "false",
            "spark.log.level": "ERROR",
        }
    )


def run_sparkopt(search: Search, journal: Path | None = None, tracking: bool = False) -> float:
    """Sparkopt, the pool's start and end included."""
    trials = sparkopt.SparkTrials(
        search.parallelism, spark_session=search.session, journal=journal, tracking=tracking
    )
    return _timed(lambda: sparkopt.fmin(trials=trials, **search.arguments()), trials, search)


def run_sparktrials(search: Search) -> float:
    """hyperopt.SparkTrials: a Spark job for each trial."""
    trials = hyperopt.SparkTrials(search.parallelism, spark_session=search.session)
    return _timed(lambda: hyperopt.fmin(trials=trials, **search.arguments()), trials, search)


def _timed(fmin: Callable[[], Any], trials: hyperopt.Trials, search: Search) -> float:
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fmin()
    seconds = time.perf_counter() - began
    if len(trials.trials) != search.trials:
        raise AssertionError(f"{len(trials.trials)} of {search.trials} trials have a result")
    return seconds


PEERS: dict[str, Callable[[Search], float]] = {"sparktrials": run_sparktrials}
