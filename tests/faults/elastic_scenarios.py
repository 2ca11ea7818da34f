"""Searches under dynamic allocation on a standalone cluster; each says what came of it.

They run in a driver process of their own, because a process has one Spark session. Executors have a slot
each and come as workers are wanted. The first trials meet the scenario at its post, so that nothing happens
before or after its time.
"""

from __future__ import annotations

import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import cloudpickle

from sparkopt.errors import SparkoptWarning
from sparkopt.spark.session import get_session, is_connect
from tests.faults import cluster_scenarios
from tests.support.cluster import executors_of

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

EXECUTOR_SECONDS = 120
"""How long executors may take to come, and workers with them."""

WAITING = {"start_timeout": EXECUTOR_SECONDS, "seconds": EXECUTOR_SECONDS}
"""Arguments of a search that waits for executors."""

PATIENCE = {"heartbeat": 0.2, "grace": 30.0, "start_timeout": EXECUTOR_SECONDS}
"""Arguments of the pool of such a search."""

BACK_SECONDS = 60
"""How long executors may take to be given back."""


def search(directory, daemons, **more):
    """A search whose pool is elastic, by itself on this cluster."""
    return cluster_scenarios.search(directory, daemons, **{**PATIENCE, **WAITING, **more})


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


def decommissioned(directory, daemons):
    """An executor is decommissioned and then killed, and a trial may not lose a single worker."""
    with search(directory, daemons, max_attempts=1) as made:
        visits = made.meet()
        executor = made.executor_of(visits["0"])
        executor.decommission()
        wait_for(lambda: any(worker.draining for worker in made.pool._coordinator.machine.workers.values()))
        executor.kill()
        return made.see_again(visits, executor)


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
