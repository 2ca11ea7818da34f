"""A search whose pruner does not return, or is slow: a script that is interrupted at a named pipe.

    python slow_pruners.py KIND      in Python, outside of Python, slow

Has a Python process to itself. The named pipe ``there`` is in its working directory. Prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from pathlib import Path

import psutil
from hyperopt import hp, rand

import sparkopt
from sparkopt.coordinator.channels import judge
from sparkopt.spark.session import get_session
from tests.support import leftovers
from tests.support.study_tools import signal_at

TRIALS = 3


def objective(x):
    sparkopt.report(x)
    return x


class EndlessPruner:
    """Does not come back from its first call: runs Python code, or waits outside of it."""

    def __init__(self, place, outside):
        self._place = place
        self._never = threading.Lock() if outside else None
        if outside:
            self._never.acquire()

    def reported(self, tid, step, value):
        signal_at(self._place)
        if self._never is not None:
            self._never.acquire()
        while True:
            pass

    def settled(self, tid, outcome):
        """Learns nothing."""


class SlowPruner:
    """Comes back from each call once a warning was given, and never stops a trial."""

    def __init__(self):
        self.warned = threading.Event()

    def reported(self, tid, step, value):
        self.warned.wait()
        return False

    def settled(self, tid, outcome):
        """Learns nothing."""


def search(kind):
    """Search; what there is to say of it."""
    os.environ[leftovers.MARK] = str(os.getpid())
    session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
    session.sparkContext.setLogLevel("OFF")
    pruner = SlowPruner() if kind == "slow" else EndlessPruner(Path("there").resolve(), kind != "in Python")
    judge.SLOW_SECONDS = 0.5
    warned = []

    def show(message, *_):
        warned.append(str(message))
        if kind == "slow":
            pruner.warned.set()

    warnings.showwarning = show
    trials = sparkopt.SparkTrials(1, spark_session=session, pruner=pruner, tracking=False)
    ended = "by itself"
    try:
        sparkopt.fmin(objective, hp.uniform("x", 0, 1), rand.suggest, TRIALS, trials=trials, verbose=False)
    except KeyboardInterrupt:
        ended = "by an interrupt"
    mark = str(os.getpid())
    _, alive = psutil.wait_procs(leftovers.descendants_of_workers(mark), timeout=30)
    said = {
        "ended": ended,
        "states": [document["state"] for document in trials._dynamic_trials],
        "warnings": warned,
        "processes": [str(process) for process in alive],
        "threads": [each.name for each in threading.enumerate() if each.name.startswith("sparkopt")],
        "mark": mark,
    }
    session.stop()
    return said


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(search(sys.argv[1]))}\n")
