"""A search that a contender is given, and what came of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pyspark.sql import SparkSession

from benchmarks.sleeping.objective import Sleeping
from benchmarks.sleeping.recorded import Recorded

ENOUGH: Final = 10_000
"""Trials of a search that has to be given a number: more than there is time for."""

_ANY: Final = 1e300
"""A loss that every trial reaches. Infinity would be no threshold."""

_PATIENT: Final = 300.0
"""Seconds for a search that is only to warm up."""


@dataclass(frozen=True, slots=True)
class Task:
    """A search.

    Attributes:
        objective: what is searched.
        threshold: a loss that ends it.
        seconds: that the median trial takes.
        patience: seconds after which it is given up.
        parallelism: how many trials at once.
        seed: of the proposals.
        session: Spark's.
        trials: most of them.
    """

    objective: Recorded
    threshold: float
    seconds: float
    patience: float
    parallelism: int
    seed: int
    session: SparkSession
    trials: int = ENOUGH

    def small(self) -> Task:
        """A search of the same objective that ends with its first trial, soon."""
        return replace(self, threshold=_ANY, seconds=0.1, patience=_PATIENT, trials=self.parallelism)


@dataclass(frozen=True, slots=True)
class Came:
    """Result of a search.

    Attributes:
        seconds: from the call until a trial ended with such a loss; if none did, the patience.
        reached: whether one did.
        trials: that had ended with a loss by then.
    """

    seconds: float
    reached: bool
    trials: int


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that runs searches.

    Attributes:
        name: in records.
        title: in tables.
        run: runs a task's search with an objective, to its end.
        peer: the name of the peer that it belongs to; None if it is ours.
        prunes: whether it stops trials by their reports, so that it needs an objective of several steps.
    """

    name: str
    title: str
    run: Callable[[Task, Sleeping], None]
    peer: str | None = None
    prunes: bool = False


def timed(contender: Contender, task: Task) -> Came:
    """Have a contender run a search."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as place:
        began = time.time()
        deadline = began + task.patience
        objective = Sleeping(task.objective.lookup, place, task.threshold, deadline, task.seconds)
        contender.run(task, objective)
        notes = sorted(objective.notes())
    return came_of(notes, began, task)


def came_of(notes: list[tuple[float, float]], began: float, task: Task) -> Came:
    """Read what the trials of a search have noted.

    Args:
        notes: when each ended, since the epoch, in this order, and its loss.
        began: when the search was called.
        task: which search it was.
    """
    for number, (when, loss) in enumerate(notes, 1):
        if loss <= task.threshold and when - began <= task.patience:
            return Came(when - began, True, number)
    return Came(task.patience, False, sum(when - began <= task.patience for when, _ in notes))
