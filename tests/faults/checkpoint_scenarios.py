"""Searches on a cluster whose trials save checkpoints, and lose executors; each says what was done again."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudpickle

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.faults.elastic_scenarios import PATIENCE, wait_for
from tests.support.cluster import LinedPool, executors_of
from tests.support.post import Post
from tests.support.study_tools import CASE, in_order

# Executors cannot import it.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

STEPS = 12
"""Steps of a trial."""

TAKEN = (4, 9)
"""Steps of the first trial in the middle of which its executor is taken away."""

SIZE = 3 * 2**20
"""Bytes of a checkpoint beside the step: it goes in chunks."""


def make_objective(place: str, post: str, saves: bool):
    def objective(case):
        import json
        import os
        import socket

        import sparkopt

        step, _ = sparkopt.load_checkpoint() or (0, b"")
        while step < STEPS:
            step += 1
            # The side effect that says what was done.
            with open(f"{place}/{int(case)}.steps", "a") as file:  # noqa: PTH123
                file.write(f"{step} {sparkopt.trial_info().attempt}\n")
            if case == 0 and step in TAKEN:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(post)
                    said = {"word": str(step), "pid": os.getpid(), "parent": os.getppid()}
                    sock.sendall(json.dumps(said).encode() + b"\n")
                    sock.recv(100)
            if saves:
                sparkopt.save_checkpoint((step, bytes(SIZE)))
        return case

    return objective


def preempt(executor, pool) -> None:
    """Take an executor away as a cluster does, so that Spark knows why."""
    workers = pool._coordinator.machine.workers
    executor.decommission()
    wait_for(lambda: any(worker.draining for worker in workers.values()))
    executor.kill()


def taken_away(directory: Path, daemons, saves: bool):
    """The executor of a trial is preempted, and the next one killed, each in the middle of a step.

    Args:
        directory: for its files.
        daemons: process ids of the cluster's worker daemons.
        saves: whether the trials save checkpoints.
    """
    place = directory / "steps"
    place.mkdir()
    post = Post(directory / "post", PATIENCE["start_timeout"])
    with (
        ThreadPoolExecutor(1) as threads,
        LinedPool(2, spark_session=get_session(), **PATIENCE) as pool,
    ):
        try:
            trials = SparkTrials(pool=pool, max_attempts=2)
            objective = make_objective(str(place), post.path, saves)
            running = threads.submit(fmin, objective, CASE, in_order, 3, trials=trials, verbose=False)
            for step in TAKEN:
                while (visit := post.visit()).word != str(step):
                    visit.answer()  # it comes by here again
                executor = next(each for each in executors_of(daemons) if each.has(visit.pid))
                if step == TAKEN[0]:
                    preempt(executor, pool)
                else:
                    executor.kill()
                visit.wait_for_the_end()
            for _ in TAKEN[-1:] if saves else TAKEN:
                post.visit().answer()
            running.result(PATIENCE["start_timeout"])
        finally:
            pool.close()
            post.close()
    said = [line.split() for line in (place / "0.steps").read_text().splitlines()]
    return {
        "steps": [int(step) for step, _ in said],
        "attempts": sorted({int(attempt) for _, attempt in said}),
        "losses": trials.losses(),
        "failed": trials.count_failed_trials(),
    }
