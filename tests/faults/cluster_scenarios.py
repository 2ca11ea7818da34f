"""Searches on a standalone cluster with something going wrong; each says what came of it.

They run in a driver process of their own, because a process has one Spark session. Two workers, each in a
job of its own, barrier job or not, are on an executor each, and reach the coordinator by a line each. The
first two trials meet the scenario at its post, so that nothing happens before or after its time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support.cluster import Executor, LinedPool, executors_of, resume
from tests.support.post import SECONDS, Post, Visit, first_to_end
from tests.support.proxy import Way
from tests.support.study_tools import CASE, in_order

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TRIALS = 10

MET = 2
"""How many trials meet the scenario: the first ones, each time that they run."""


@dataclass
class Search:
    """A search that runs, and what is to be seen of it.

    Attributes:
        pool: its workers'.
        post: where the first trials meet.
        settled: the trials that it heard of as finished, in order.
    """

    pool: LinedPool
    post: Post
    place: Path
    trials: SparkTrials
    daemons: list[int]
    settled: list[int] = field(default_factory=list)
    running: Future | None = None

    def meet(self) -> dict[str, Visit]:
        """Wait for the first trials."""
        return self.post.visits(MET)

    def see_both_at_work(self) -> None:
        """Have another search with trials that can only be there at once if both workers are."""
        place = self.place / "both"
        place.mkdir()
        objective, trials = make_objective(str(place), self.post.path), SparkTrials(pool=self.pool)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(fmin, objective, CASE, in_order, MET, trials=trials, verbose=False)
            try:
                for visit in self.meet().values():
                    visit.answer()
            except BaseException:
                self.pool.close()  # so that the search ends
                raise
            running.result(SECONDS)

    def executor_of(self, visit: Visit) -> Executor:
        return next(each for each in executors_of(self.daemons) if each.has(visit.pid))

    def see_again(self, visits: dict[str, Visit], executor: Executor) -> dict:
        """The trial of a worker whose executor was lost runs again; says what came of the search."""
        again = self.post.visit()
        elsewhere = self.executor_of(again) != executor
        again.answer("again")
        visits["1"].answer("not disturbed")
        return {**self.says(), "elsewhere": elsewhere, "word": again.word}

    def says(self) -> dict:
        """What came of it, once it has ended."""
        assert self.running is not None
        self.running.result(SECONDS)
        runs = {path.name: len(path.read_text().split()) for path in self.place.glob("*.runs")}
        return {
            "runs": {int(name.removesuffix(".runs")): number for name, number in runs.items()},
            "settled": self.settled,
            "results": {each["tid"]: each["result"]["loss"] for each in self.trials.trials},
            "words": {each["tid"]: each["result"]["word"] for each in self.trials.trials},
            "failed": self.trials.count_failed_trials(),
        }


def make_objective(place: str, post: str) -> Callable[[float], dict]:
    def objective(case):
        import socket

        case = int(case)
        # The side effect that says how often a trial ran.
        with open(f"{place}/{case}.runs", "a") as file:  # noqa: PTH123
            file.write(f"{os.getpid()}\n")
        word = ""
        if case < MET:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(post)
                said = {"word": str(case), "pid": os.getpid(), "parent": os.getppid()}
                sock.sendall(json.dumps(said).encode() + b"\n")
                word = sock.recv(100).decode()
        return {"status": "ok", "loss": float(case), "word": word}

    return objective


@contextmanager
def search(
    directory: Path,
    daemons: list[int],
    parallelism: int | None = 2,
    max_attempts: int = 3,
    seconds: float = SECONDS,
    **pool_arguments: Any,
) -> Iterator[Search]:
    """A search whose first trials come to a post.

    Args:
        directory: for its files; the scenarios of a search that goes on in another one share it.
        daemons: process ids of the cluster's worker daemons.
        parallelism: the pool's.
        max_attempts: how many workers a trial may lose.
        seconds: how long to wait for an objective at the post.
        pool_arguments: the pool's others.
    """
    place = directory / "runs"
    place.mkdir()
    post = Post(directory / "post", seconds)
    try:
        with (
            ThreadPoolExecutor(1) as threads,
            LinedPool(parallelism, spark_session=get_session(), **pool_arguments) as pool,
        ):
            trials = SparkTrials(pool=pool, max_attempts=max_attempts)
            made = Search(pool, post, place, trials, daemons)

            def hear(trials):
                made.settled.append(trials.trials[-1]["tid"])
                return False, []

            made.running = threads.submit(
                fmin,
                make_objective(str(place), post.path),
                CASE,
                in_order,
                TRIALS,
                trials=made.trials,
                early_stop_fn=hear,
                verbose=False,
            )
            try:
                yield made
            finally:
                pool.close()  # if the scenario has failed, the search has not ended
    finally:
        post.close()


def jobs() -> int:
    """How many jobs the session has run."""
    context = SparkSession.getActiveSession().sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    return len(context.statusTracker().getJobIdsForGroup(None))


SHORT = {"heartbeat": 0.2, "grace": 3.0}
"""Patience for workers that are to be lost."""

LONG = {"heartbeat": 0.2, "grace": 30.0}
"""Patience for workers that are not."""


def killed(directory, daemons, launcher):
    """An executor is killed."""
    with search(directory, daemons, **launcher, **LONG) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        executor.kill()
        visits["0"].wait_for_the_end()
        said = made.see_again(visits, executor)
        return {**said, "launches": sum(gang.generation for gang in made.pool._launches.all())}


def stopped(directory, daemons, launcher):
    """An executor is stopped with all of its processes until its worker is lost, and then goes on."""
    before = jobs()
    with search(directory, daemons, **launcher, **SHORT) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        processes = executor.stop()
        try:
            visits["1"].answer("not disturbed")
            again = made.post.visit()
            elsewhere = made.executor_of(again) != executor
            # It will be the first thing that the objective sees when it goes on.
            visits["0"].answer("late")
        finally:
            resume(processes)
        visits["0"].wait_for_the_end()
        again.answer("in time")
        said = made.says()
        made.see_both_at_work()
    left = [each for each in executor.processes() if each.is_running() and each.pid == visits["0"].pid]
    return {**said, "elsewhere": elsewhere, "left": left, "jobs": jobs() - before}


def cut_for_less_than_the_grace(directory, daemons, launcher):
    with search(directory, daemons, **launcher, **LONG) as made:
        visits = made.meet()
        for line in made.pool.lines.values():
            line.cut()
        visits["0"].answer("said into the void")
        for line in made.pool.lines.values():
            line.mend()
        visits["1"].answer("not disturbed")
        return made.says()


def cut_for_longer_than_the_grace(directory, daemons, launcher):
    before = jobs()
    with search(directory, daemons, **launcher, **SHORT) as made:
        visits = made.meet()
        made.pool.lines[0].cut()
        ended = first_to_end(list(visits.values()))
        (other,) = (visit for visit in visits.values() if visit is not ended)
        made.pool.lines[0].mend()
        again = made.post.visit()
        again.answer("again")
        other.answer("not disturbed")
        said = made.says()
        made.see_both_at_work()
    return {**said, "cut": int(ended.word), "again": int(again.word), "jobs": jobs() - before}


def half_open(directory, daemons, launcher):
    """What one worker says vanishes, and nobody is told; what it is told arrives."""
    with search(directory, daemons, **launcher, **SHORT) as made:
        visits = made.meet()
        made.pool.lines[0].hold(Way.THERE)
        ended = first_to_end(list(visits.values()))
        (other,) = (visit for visit in visits.values() if visit is not ended)
        other.answer("not disturbed")
        again = made.post.visit()  # on the one that is left
        again.answer("again")
        return {**made.says(), "cut": int(ended.word), "again": int(again.word)}


def dead_connections(directory, daemons, launcher):
    """The connections of now carry nothing any more, and nobody is told; new ones would do."""
    with search(directory, daemons, **launcher, heartbeat=0.2, grace=12.0) as made:
        visits = made.meet()
        for line in made.pool.lines.values():
            line.swallow(*Way)
        for visit in visits.values():
            visit.answer("not disturbed")
        return made.says()


def delayed(directory, daemons, launcher):
    """Everything takes 0.3 seconds, there and back."""
    with search(directory, daemons, **launcher) as made:
        for line in made.pool.lines.values():
            line.delay = 0.3
        for visit in made.meet().values():
            visit.answer("not disturbed")
        return made.says()
