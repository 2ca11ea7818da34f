"""Long searches under dynamic allocation, while executors are taken away one after another.

Each says what came of it. They run in the driver process of tests/faults/elastic_scenarios.py.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import cloudpickle

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core.states import WorkerState
from sparkopt.spark.session import get_session
from tests.faults.elastic_scenarios import PATIENCE, executors_of, search, seconds_until_none_is_left
from tests.support.cluster import Executor, kill, resume
from tests.support.study_tools import CASE, in_order

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TRIALS = 200
FEWER = 60
TRIAL_SECONDS = 1.5
EVERY_SECONDS = 4.0


def kills(directory, daemons):
    """Twenty executors are killed, each while its worker runs a trial."""
    return _harmed(directory, daemons, TRIALS, 20, max_attempts=10, harm=Executor.kill)


def fewer_kills(directory, daemons):
    """The same, smaller."""
    return _harmed(directory, daemons, FEWER, 6, max_attempts=10, harm=Executor.kill)


def decommissions(directory, daemons):
    """Executors are decommissioned and killed a second later, and no trial may lose a single worker."""

    def harm(executor):
        executor.decommission()
        time.sleep(1)
        executor.kill()

    return _harmed(directory, daemons, TRIALS, 12, max_attempts=1, harm=harm)


def _harmed(directory, daemons, count, times, max_attempts, harm):
    place = directory / "runs"
    place.mkdir()
    session = get_session()
    settled, harmed = [], []

    def objective(case):
        import os
        import time

        with open(f"{place}/{int(case)}.runs", "a") as file:  # noqa: PTH123
            file.write(f"{os.getpid()}\n")
        time.sleep(TRIAL_SECONDS)
        return float(case)

    def hear(trials):
        settled.append(trials.trials[-1]["tid"])
        return False, []

    with ThreadPoolExecutor(1) as threads:
        with WorkerPool(4, spark_session=session, **PATIENCE) as pool:
            trials, over = SparkTrials(pool=pool, max_attempts=max_attempts), threading.Event()
            running = threads.submit(_harm, pool, daemons, harm, times, settled, harmed, over)
            try:
                fmin(objective, CASE, in_order, count, trials=trials, early_stop_fn=hear, verbose=False)
            finally:
                over.set()
                running.result()
            runs = Counter({path.stem: len(path.read_text().split()) for path in place.glob("*.runs")})
        back = seconds_until_none_is_left(daemons)
        again = SparkTrials(4, spark_session=session, start_timeout=120)
        fmin(lambda case: float(case), CASE, in_order, 8, trials=again, verbose=False)
        seconds_until_none_is_left(daemons)
    return {
        "ok": trials.count_successful_trials(),
        "settled": sorted(settled),
        "harmed": len(harmed),
        "again": sum(runs.values()) - len(runs),
        "back": back,
        "then": again.count_successful_trials(),
    }


def _harm(pool, daemons, harm, times, settled, harmed, over):
    """Harm executors whose workers run a trial, one every few seconds, once another trial has settled."""
    before = 0
    while len(harmed) < times and not over.wait(EVERY_SECONDS):
        coordinator = pool._coordinator
        at_work = {
            stream.hello.pid
            for stream in list(coordinator.streams.values())
            if (worker := coordinator.machine.workers.get(stream.worker)) is not None
            and worker.state is WorkerState.READY
            and worker.lease is not None
        }
        if len(settled) > before:
            found = [each for each in executors_of(daemons) if any(each.has(pid) for pid in at_work)]
            if found:
                before = len(settled)
                harm(found[0])
                harmed.append(found[0])


def vanished(directory, daemons):
    """An executor's host vanishes without a word: its processes are stopped, and never go on."""
    with search(directory, daemons, heartbeat=0.2, grace=3.0) as made:
        visits = made.meet()
        stopped = made.executor_of(visits["0"]).stop()
        try:
            again = made.post.visit()
            again.answer("elsewhere")
            visits["1"].answer("not disturbed")
            return made.says()
        finally:
            kill(stopped)
            resume(stopped)
