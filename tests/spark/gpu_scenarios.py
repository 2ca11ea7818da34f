"""Searches on a cluster whose daemons say that they have GPUs. A script; says what trials saw.

Its arguments are JSON, one for each session: Spark's settings, how many trials run at once, how many GPUs a
profile asks for, 0 for no profile, and whether it is one of Spark Connect. The searches are tracked if the
environment names a store of MLflow's.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

from click.testing import CliRunner
from hyperopt import hp, rand
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

import sparkopt
from sparkopt import Control, ControlClient, SparkTrials, WorkerPool, fmin
from sparkopt.cli import main as commands
from sparkopt.client import EventKind
from sparkopt.errors import ParallelismWarning, SparkoptError
from sparkopt.spark.session import get_session, is_connect
from tests.support.connect_session import connect_session


def objective(x):
    import os
    import threading

    import sparkopt

    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "CUDA_DEVICE_ORDER")
    told = []
    thread = threading.Thread(target=lambda: told.append(sparkopt.trial_info()))
    thread.start()
    thread.join()
    (info,) = told
    seen = {name: os.environ.get(name) for name in names}
    os.environ["CUDA_VISIBLE_DEVICES"] = "7"  # the next trial must not see this
    trial = [info.tid, info.attempt, info.worker, list(info.gpus)]
    return {"loss": x, "status": "ok", "seen": seen, "trial": trial}


def seen_by_spark(session):
    """What Spark's own Python processes see, in which workers were before."""

    def of_rows(rows):
        import os

        for _ in rows:
            yield os.environ.get("CUDA_VISIBLE_DEVICES", "")

    def of_batches(batches):
        import pyarrow

        for batch in batches:
            yield pyarrow.RecordBatch.from_pydict({"seen": list(of_rows(range(len(batch))))})

    # As workers are tasks of: Spark has other processes for other kinds of job.
    if is_connect(session):
        return sorted(
            {row.seen for row in session.range(0, 8, 1, 2).mapInArrow(of_batches, "seen string").collect()}
        )
    return sorted(set(session.sparkContext.parallelize(range(8), 2).mapPartitions(of_rows).collect()))


def table(pool):
    """What ``sparkopt workers`` prints, a line each."""
    token = Path(f"{pool.control_address}.token")
    token.touch(0o600)
    token.write_text(pool.control_token)
    where = ["--address", pool.control_address, "--token-file", str(token)]
    return CliRunner().invoke(commands, ["workers", *where]).output.splitlines()


def search(settings, parallelism, gpus, on_connect):
    """What a search on a session of its own says."""
    if on_connect:
        with connect_session(settings["spark.master"], settings) as session:
            return said_on(session, parallelism, gpus)
    with get_session(settings=settings) as session:
        return said_on(session, parallelism, gpus)


def said_on(session, parallelism, gpus):
    profile = None
    if gpus:
        profile = ResourceProfileBuilder().require(TaskResourceRequests().resource("gpu", gpus)).build
    warnings.simplefilter("ignore", ParallelismWarning)
    try:
        with WorkerPool(
            parallelism, spark_session=session, resource_profile=profile, control=Control()
        ) as pool:
            with ControlClient(pool.control_address, token=pool.control_token) as client:
                joined = (event for event in client.watch(after=0) if event.kind is EventKind.WORKER_JOINED)
                for _ in range(pool.parallelism):
                    next(joined)
                workers = {worker.name: list(worker.gpus) for worker in client.workers()}
            listed = table(pool)
            trials = SparkTrials(pool=pool, tracking="MLFLOW_TRACKING_URI" in os.environ)
            fmin(objective, hp.uniform("x", -1, 1), rand.suggest, 8, trials=trials, verbose=False)
        return {
            "connect": is_connect(session),
            "results": [dict(result) for result in trials.results],
            "workers": workers,
            "listed": listed,
            "left": seen_by_spark(session),
        }
    except SparkoptError as error:
        return {"error": type(error).__name__, "text": str(error)}


def main(*sessions):
    """Have all of them."""
    assert sparkopt.trial_info() is None  # outside of a trial
    sys.stdout.write(f"{json.dumps([search(*json.loads(each)) for each in sessions])}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
