"""Searches under dynamic allocation on a standalone cluster; each says what came of it.

They run in a driver process of their own, because a process has one Spark session. Executors have a slot
each and come as workers are wanted. The first trials meet the scenario at its post, so that nothing happens
before or after its time.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cloudpickle

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.errors import SparkoptWarning
from sparkopt.spark.session import get_session, is_connect
from tests.faults.cluster_scenarios import TRIALS, Search, make_objective
from tests.support.cluster import executors_of
from tests.support.post import Post
from tests.support.study_tools import CASE, in_order

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE = {"heartbeat": 0.2, "grace": 30.0, "start_timeout": 120.0}

EXECUTOR_SECONDS = 120
"""How long executors may take to come, and workers with them."""

BACK_SECONDS = 60
"""How long executors may take to be given back."""


def start(settings):
    """Have the session that the scenarios use."""
    get_session(settings=settings)


def stop():
    get_session().stop()


@contextmanager
def search(directory, daemons, parallelism=2, max_attempts=3, **more) -> Iterator[Search]:
    place = directory / "runs"
    place.mkdir(exist_ok=True)
    post = Post(directory / "post", EXECUTOR_SECONDS)
    session = get_session()
    try:
        with (
            ThreadPoolExecutor(1) as threads,
            WorkerPool(parallelism, spark_session=session, **{**PATIENCE, **more}) as pool,
        ):
            assert pool.elastic
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


def seconds_until_none_is_left(daemons) -> float:
    """Seconds until all executors have been given back."""
    began = time.monotonic()
    while executors_of(daemons):
        assert time.monotonic() < began + BACK_SECONDS, "executors are left"
        time.sleep(0.1)
    return time.monotonic() - began


def from_none_and_back(directory, daemons):
    """From no executor to as many as there may be, and back; then once more."""
    said = {"before": len(executors_of(daemons)), "connect": is_connect(get_session())}
    for number in range(2):
        here = directory / str(number)
        here.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SparkoptWarning)  # the parallelism is that of the cluster
            with search(here, daemons, parallelism=None) as made:
                visits = made.meet()
                # They are not answered before the others have come, too.
                said |= {f"parallelism {number}": made.pool.parallelism}
                for visit in visits.values():
                    visit.answer("both")
                said |= {f"search {number}": made.says()}
        seconds_until_none_is_left(daemons)
    return said


def killed(directory, daemons):
    """An executor is killed; Spark starts its task again."""
    with search(directory, daemons) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        executor.kill()
        visits["0"].wait_for_the_end()
        again = made.post.visit()
        elsewhere = made.executor_of(again) != executor
        again.answer("again")
        visits["1"].answer("not disturbed")
        return {**made.says(), "elsewhere": elsewhere, "word": again.word}


def decommissioned(directory, daemons):
    """An executor is decommissioned and then killed, and a trial may not lose a single worker."""
    with search(directory, daemons, max_attempts=1) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        executor.decommission()
        wait_for(lambda: any(worker.draining for worker in made.pool._coordinator.machine.workers.values()))
        executor.kill()
        again = made.post.visit()
        elsewhere = made.executor_of(again) != executor
        again.answer("again")
        visits["1"].answer("not disturbed")
        return {**made.says(), "elsewhere": elsewhere, "word": again.word}


def drained(directory, daemons):
    """An executor is decommissioned, and its worker ends its trial in time."""
    with search(directory, daemons, max_attempts=1) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        executor.decommission()
        wait_for(lambda: any(worker.draining for worker in made.pool._coordinator.machine.workers.values()))
        visits["0"].answer("in time")
        executor.wait(BACK_SECONDS)  # it goes once its task has ended
        visits["1"].answer("not disturbed")
        return made.says()


def idle(directory, daemons):
    """Workers that have nothing to do leave, and their executors; they come again for the next search."""
    with search(directory, daemons, idle_seconds=0.5) as made:
        for visit in made.meet().values():
            visit.answer("both")
        said = made.says()
        seconds_until_none_is_left(daemons)
        made.see_both_at_work()
        return said


def crowded(directory, daemons):
    """Another job of the application holds all slots but one."""
    session = get_session()
    with ThreadPoolExecutor(1) as threads:
        held = directory / "held"
        others = threads.submit(hold, session, 3, str(held))
        wait_for(lambda: len(executors_of(daemons)) >= 3)
        try:
            with search(directory, daemons, parallelism=4) as made:
                for _ in range(2):
                    made.post.visit().answer("one after the other")
                said = made.says()
        finally:
            held.touch()
        return {**said, "others": others.result()}


def hold(session, tasks, path):
    """A job whose tasks run until there is such a file."""

    def wait(_):
        import time
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.1)
        return 1

    return session.sparkContext.parallelize(range(tasks), tasks).map(wait).sum()


def wait_for(condition, seconds=EXECUTOR_SECONDS):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.05)
