"""Searches under dynamic allocation with other settings of Spark's: profiles, a fair scheduler, speculation.

Each says what came of it, and runs in a driver process of its own, whose session has these settings.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
from pyspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.spark.session import get_session
from tests.faults.elastic_scenarios import (
    PATIENCE,
    search,
    seconds_until_none_is_left,
    wait_for,
)
from tests.support.cluster import executors_of
from tests.support.study_tools import CASE, in_order

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

MEMORY = 480
"""MiB that executors of the profile have; those of the session have others."""


def with_a_profile(directory, daemons):
    """Workers wait for executors of their own kind, with a GPU and other memory."""
    needs = ResourceProfileBuilder()
    needs = needs.require(ExecutorResourceRequests().cores(1).memory(f"{MEMORY}m").resource("gpu", 1))
    needs = needs.require(TaskResourceRequests().cpus(1).resource("gpu", 1))
    with search(directory, daemons, resource_profile=needs.build) as made:
        visits = made.meet()
        gpus = {name: list(worker.hello.gpus) for name, worker in made.pool._coordinator.streams.items()}
        heaps = [[word for word in each.jvm.cmdline() if "-Xmx" in word] for each in executors_of(daemons)]
        for visit in visits.values():
            visit.answer("both")
        said = made.says()
    seconds_until_none_is_left(daemons)
    return {**said, "gpus": sorted(gpus.values()), "heaps": heaps}


def beside_other_jobs(directory, daemons):
    """Other jobs of the application take every slot that they get, in a pool of the fair scheduler's."""
    session, over, done = get_session(), threading.Event(), []
    context = session.sparkContext

    def others():
        context.setLocalProperty("spark.scheduler.pool", "others")
        while not over.is_set():
            done.append(context.parallelize(range(8), 8).map(short).sum())

    # Idle workers give their slots back to the other jobs.
    pool_of_four = WorkerPool(4, spark_session=session, idle_seconds=0.5, **PATIENCE)
    with ThreadPoolExecutor(1) as threads, pool_of_four as pool:
        running = threads.submit(others)
        wait_for(lambda: done)
        before = len(done)
        trials = SparkTrials(pool=pool)
        try:
            fmin(slow, CASE, in_order, 24, trials=trials, verbose=False)
        finally:
            meanwhile = len(done) - before
            over.set()
            running.result()
    seconds_until_none_is_left(daemons)
    return {"ok": trials.count_successful_trials(), "meanwhile": meanwhile, "sums": sorted(set(done))}


def short(number):
    import time

    time.sleep(0.2)
    return number


def slow(case):
    import time

    time.sleep(0.5)
    return float(case)


def speculated(directory, daemons):
    """Spark starts the tasks of workers that are at work a second time."""
    with search(directory, daemons) as made:
        visits = made.meet()
        attendance = made.pool._coordinator.attendance
        wait_for(lambda: attendance._waiting)
        twins = len(attendance._waiting)
        for visit in visits.values():
            visit.answer("not disturbed")
        said = made.says()
    seconds_until_none_is_left(daemons)
    return {**said, "twins": twins}
