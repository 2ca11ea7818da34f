"""What a peer is, and the search that each of them is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from hyperopt import hp, rand
from pyspark.sql import SparkSession

from benchmarks.objectives import no_op
from sparkopt.spark.session import get_session

LOW, HIGH = -1.0, 1.0

SPACE = hp.uniform("x", LOW, HIGH)
"""The space that every peer can search: one number, uniform between LOW and HIGH."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search to be timed.

    Attributes:
        trials: how many.
        parallelism: how many at once; what is serial runs one at a time.
        max_queue_len: hyperopt's.
        session: Spark's.
        seed: of the proposals.
        objective: takes a point of the space and returns a loss.
        space: hyperopt's expression of it; peers that do not know hyperopt search :data:`SPACE`.
        algo: hyperopt's algorithm; those search at random.
        sampler: Optuna's, new for this search, for peers that run its studies; None for its random search.
    """

    trials: int
    parallelism: int
    max_queue_len: int
    session: SparkSession
    seed: int
    objective: Callable[..., Any] = no_op
    space: Any = SPACE
    algo: Callable[..., Any] = rand.suggest
    sampler: Any = None

    def arguments(self) -> dict[str, Any]:
        """What ``fmin`` is called with, whoever's it is."""
        return {
            "fn": self.objective,
            "space": self.space,
            "algo": self.algo,
            "max_evals": self.trials,
            "max_queue_len": self.max_queue_len,
            "rstate": np.random.default_rng(self.seed),
            "verbose": False,
            "show_progressbar": False,
        }


@dataclass(frozen=True, slots=True)
class Ran:
    """Result of a search.

    Attributes:
        seconds: from the call that starts it to its return.
        best: the smallest loss.
    """

    seconds: float
    best: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that runs searches.

    Attributes:
        name: what ``--against`` takes.
        title: what tables say.
        run: runs a search; raises AssertionError if not every trial has a result.
        packages: what has to be installed beside sparkopt.
        quick: whether its trials cost it milliseconds at most, so that it can be given thousands.
        parallel: whether it runs several trials at once.
        on_spark: whether they run on the Spark session.
        hyperopt: whether it takes hyperopt's spaces and algorithms.
        optuna: whether it runs Optuna's studies on several workers, with any of its samplers.
        start: starts what has to be up before a search, for so many trials at once, beside the session.
    """

    name: str
    title: str
    run: Callable[[Search], Ran]
    packages: tuple[str, ...] = ()
    quick: bool = False
    parallel: bool = True
    on_spark: bool = False
    hyperopt: bool = False
    optuna: bool = False
    start: Callable[[int], AbstractContextManager[None]] | None = None

    @property
    def starts(self) -> bool:
        """Whether something has to be up before a search, beside the session."""
        return self.start is not None

    def opened(self, parallelism: int) -> AbstractContextManager[None]:
        """Have that up for as long as a block lasts.

        Args:
            parallelism: how many trials it has to run at once.
        """
        return nullcontext() if self.start is None else self.start(parallelism)

    def missing(self) -> str | None:
        """Why it cannot take part; None if it can."""
        absent = []
        for package in self.packages:
            try:
                version(package)
            except PackageNotFoundError:
                absent.append(package)
        return f"not installed: {', '.join(absent)} (extra 'bench')" if absent else None


def timed(search: Search, run: Callable[[], tuple[int, float]]) -> Ran:
    """Time a search.

    Args:
        search: what is asked for.
        run: runs it, and says how many trials have a result, and the best of these.

    Raises:
        AssertionError: if that is not every trial.
    """
    began = time.perf_counter()
    finished, best = run()
    seconds = time.perf_counter() - began
    if finished != search.trials:
        raise AssertionError(f"{finished} of {search.trials} trials have a result")
    return Ran(seconds, best)


def local_session(slots: int) -> SparkSession:
    """A quiet session on this machine, for all whose searches are to be compared."""
    return get_session(
        settings={
            "spark.master": f"local[{slots}]",
            "spark.ui.enabled": "false",
            "spark.log.level": "ERROR",
            "spark.executorEnv.MLFLOW_LOGGING_LEVEL": "ERROR",
        }
    )
