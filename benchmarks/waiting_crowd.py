"""Many tasks or workers on a cold session, in a process of its own: ``python -m benchmarks.waiting_crowd``.

All of them wait at a gate until the last one has come, so each has processes of its own, which are looked at
while they wait. A session is cold once only, so each measurement needs a new process. The session itself is
made before the clock starts. What comes out is JSON, on the last line.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
from hyperopt import rand
from pyspark.sql import SparkSession

from benchmarks.peers import SPACE, local_session
from benchmarks.python_processes import Usage, java, usage_by_role
from sparkopt import SparkTrials, WorkerPool, fmin

KINDS: Final = ("tasks", "barrier", "elastic")
"""Tasks of Spark's own that do nothing, and the two kinds of pools."""

_SECONDS: Final = 240.0
"""That the last of them may take to come."""


class Gate:
    """An objective that says it has come, and waits until a gate is opened.

    It is defined in a process's main module, so that it travels by value.

    Args:
        place: a directory, which gets a file for each that has come.
        gate: a named pipe. To open it for writing opens the gate.
    """

    def __init__(self, place: str, gate: str) -> None:
        self.place, self.gate = place, gate

    def __call__(self, x: float) -> float:
        """Come, and wait for the gate."""
        name = f"{os.getpid()}-{time.time_ns()}"
        with open(os.path.join(self.place, name), "w"):  # noqa: PTH118, PTH123
            pass
        with open(self.gate):  # noqa: PTH123
            return x


@dataclass(frozen=True, slots=True)
class Crowd:
    """Figures of a crowd.

    Attributes:
        seconds: from the call until the last one runs.
        java_seconds: of the processors' time that Spark's JVM has used meanwhile.
        started: what the Python processes have used when the last one runs.
        memory: what they use after some trials; of tasks, the same.
    """

    seconds: float
    java_seconds: float
    started: dict[str, Usage]
    memory: dict[str, Usage]


class _Clock:
    """Seconds since it was made: of the clock, and of the processors' time that Spark's JVM has used."""

    def __init__(self) -> None:
        self._began, self._used = time.time(), _java_seconds()

    def until(self, moment: float) -> tuple[float, float]:
        """Both, the clock's until a moment in seconds since the epoch."""
        return moment - self._began, _java_seconds() - self._used


def _java_seconds() -> float:
    return float(sum(java().cpu_times()[:2]))


@contextlib.contextmanager
def _gathered(run: Callable[[Gate], object], number: int) -> Iterator[float]:
    """A crowd that waits while a block runs; yields when the last one came, in seconds since the epoch."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
        place, gate = Path(directory, "come"), Path(directory, "gate")
        place.mkdir()
        os.mkfifo(gate)
        crowd = threading.Thread(target=run, args=(Gate(str(place), str(gate)),), daemon=True)
        crowd.start()
        deadline = time.monotonic() + _SECONDS
        while len(come := list(place.iterdir())) < number:
            if not crowd.is_alive() or time.monotonic() > deadline:
                raise AssertionError(f"{len(come)} of {number} have come in {_SECONDS:g} s")
            time.sleep(0.05)
        yield max(file.stat().st_mtime for file in come)
        gate.open("w").close()
        crowd.join()


def _of_tasks(session: SparkSession, number: int) -> Crowd:
    """Spark's own tasks, of the kind of job that workers of a classic session run in."""

    def run(gate: Gate) -> None:
        def task(rows: Iterable[int]) -> Iterator[float]:
            for row in rows:
                yield gate(row)

        session.sparkContext.parallelize(range(number), number).mapPartitions(task).collect()

    clock = _Clock()
    with _gathered(run, number) as last:
        used = usage_by_role()
        return Crowd(*clock.until(last), used, used)


def _of_workers(session: SparkSession, number: int, elastic: bool) -> Crowd:
    """A pool's workers: how soon they run their first trial, and their memory after some."""

    def search(objective: Callable[[float], float], trials: int) -> None:
        found = SparkTrials(pool=pool, tracking=False, ship_modules=False)
        fmin(objective, SPACE, rand.suggest, trials, trials=found, verbose=False)

    clock = _Clock()
    with WorkerPool(number, spark_session=session, elastic=elastic) as pool:
        with _gathered(lambda gate: search(gate, number), number) as last:
            seconds, started = clock.until(last), usage_by_role()
        search(abs, 10 * number)
        with _gathered(lambda gate: search(gate, number), number):
            memory = usage_by_role()
    return Crowd(*seconds, started, memory)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--number", default=64, type=click.IntRange(min=1), help="Of tasks or workers.")
def main(kind: str, number: int) -> None:
    """Measure one crowd."""
    warnings.simplefilter("ignore")
    session = local_session(number)
    try:
        if kind == "tasks":
            crowd = _of_tasks(session, number)
        else:
            crowd = _of_workers(session, number, kind == "elastic")
    finally:
        session.stop()
    print(json.dumps(asdict(crowd)))


if __name__ == "__main__":
    main()
