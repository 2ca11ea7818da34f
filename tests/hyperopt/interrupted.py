"""A search to interrupt, and what is left of it: a script for a terminal, and what a notebook's cells call.

Has a Python process to itself. The named pipes ``there`` and ``never`` are in its working directory.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import cloudpickle
import psutil

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support import leftovers, study_tools
from tests.support.study_tools import CASE, blocking_from_the_third, in_order

cloudpickle.register_pickle_by_value(study_tools)


def begin() -> SparkTrials:
    """Empty trials for one worker, on a new session whose processes bear this process's mark."""
    os.environ[leftovers.MARK] = str(os.getpid())
    session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
    session.sparkContext.setLogLevel("OFF")
    return SparkTrials(1, spark_session=session)


def search(trials):
    """Never ends by itself."""
    fmin(blocking_from_the_third(Path.cwd()), CASE, in_order, 100, trials=trials)


def report(trials):
    """What there is to say of an interrupted search, and of a next one on the same session."""
    mark = str(os.getpid())
    _, alive = psutil.wait_procs(leftovers.descendants_of_workers(mark), timeout=10)
    again = SparkTrials(2, spark_session=trials._spark)
    best = fmin(lambda case: -case, CASE, in_order, 4, trials=again)
    return {
        "states": [document["state"] for document in trials._dynamic_trials],
        "reason": trials.fmin_cancelled_reason,
        "processes": [str(process) for process in alive],
        "threads": [each.name for each in threading.enumerate() if each.name.startswith("sparkopt")],
        "next": {"best": best, "losses": sorted(again.losses())},
        "mark": mark,
    }


def main():
    """Search until Ctrl-C, and say what was left as a line of JSON."""
    trials = begin()
    try:
        search(trials)
    except KeyboardInterrupt:
        said = report(trials)
        trials._spark.stop()
        sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
