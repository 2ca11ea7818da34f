"""Searches on a plain session that writes its warnings to standard error. A script: marks where each begins.

Its argument is a named pipe: Spark's Python starts when somebody has written to it.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from hyperopt import hp, rand
from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.coordinator import Coordinator
from sparkopt.errors import AllTrialsFailedError

SPACE = hp.uniform("x", 0, 1)


def endless(x):
    """Return never."""
    import threading

    threading.Event().wait()


def timeout_while_workers_start(gate):
    """Its workers are sent away before their Python has started."""
    expel_all = Coordinator.expel_all

    def expel_and_let_start(coordinator, error=None):
        expel_all(coordinator, error)
        Coordinator.expel_all = expel_all
        gate.write_text("")

    Coordinator.expel_all = expel_and_let_start
    try:
        fmin(endless, SPACE, rand.suggest, 9, timeout=0.5, trials=SparkTrials(2))
    except AllTrialsFailedError:
        return
    raise AssertionError("a trial has a result")


def to_its_end(gate):
    fmin(lambda x: x, SPACE, rand.suggest, 9, trials=SparkTrials(2))


def one_that_is_longer(gate):
    """So long that Spark would show a bar."""
    trials = SparkTrials(2)
    fmin(endless, SPACE, rand.suggest, 9, timeout=4, trials=trials, return_argmin=False)


def early_stop(gate):
    def stop(trials, *rest):
        return len(trials.trials) == 3, rest

    fmin(
        lambda x: x,
        SPACE,
        rand.suggest,
        99,
        trials=SparkTrials(2),
        early_stop_fn=stop,
    )


def main(gate):
    wrapper = Path("python").absolute()
    wrapper.write_text(f'#!/bin/sh\ncat {shlex.quote(str(gate))}\nexec {shlex.quote(sys.executable)} "$@"\n')
    wrapper.chmod(0o755)
    os.environ["PYSPARK_PYTHON"] = str(wrapper)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    with builder.getOrCreate():
        for search in (timeout_while_workers_start, to_its_end, one_that_is_longer, early_stop):
            sys.stderr.write(f"== {search.__name__}\n")
            sys.stderr.flush()
            search(gate)
        sys.stderr.write("== end\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
