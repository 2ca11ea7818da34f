"""Searches of one checkout, tracked or not, as another process asks for them.

The Python of the checkout runs this file as a script, and imports the checkout's sparkopt; only names are
used which earlier versions have too. Each line of standard input is a search in JSON. The answer is a line
with its seconds, those that it waited at its end for what was left to write, and the driver's processor time.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def objective_of(seconds: float, logging: str) -> Callable[[float], float]:
    """Make an objective that lasts for a while and logs nothing, metrics, a file (artifacts) or both."""

    def objective(x: float) -> float:
        import threading

        if logging != "nothing":
            import mlflow
        if logging in ("metrics", "both"):
            for step in range(20):
                mlflow.log_metric("value", x, step=step)
        if logging in ("artifacts", "both"):
            mlflow.log_text("x" * 100_000, "note.txt")
        threading.Event().wait(seconds)
        return x

    return objective


def main(checkout: str, slots: int) -> None:
    """Serve until standard input ends.

    Args:
        checkout: the directory of it.
        slots: of the Spark session.
    """
    sys.path[0] = checkout  # Python has put this file's directory there
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Spark and MLflow write to standard output
    os.environ["PYTHONPATH"] = checkout
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    warnings.simplefilter("ignore")

    import numpy as np
    from hyperopt import hp, rand
    from pyspark.sql import SparkSession

    import sparkopt
    from sparkopt.tracking.tracker import Tracker

    if not Path(sparkopt.__file__).is_relative_to(checkout):
        raise SystemExit(f"sparkopt was imported from {sparkopt.__file__}, and not from {checkout}")
    builder = SparkSession.builder.master(f"local[{slots}]").config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").getOrCreate()
    close, left = Tracker.close, [0.0]

    def timed_close(self: Any, *arguments: Any) -> None:
        began = time.perf_counter()
        close(self, *arguments)
        left[0] = time.perf_counter() - began

    Tracker.close = timed_close  # type: ignore[assignment,method-assign]
    answers.write("ready\n")
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["uri"]:
            import mlflow

            mlflow.set_tracking_uri(asked["uri"])
        left[0] = 0.0
        cpu, began = time.process_time(), time.perf_counter()
        sparkopt.fmin(
            objective_of(asked["seconds"], asked["logging"]),
            hp.uniform("x", -1, 1),
            rand.suggest,
            asked["trials"],
            trials=sparkopt.SparkTrials(asked["workers"], spark_session=session, tracking=bool(asked["uri"])),
            rstate=np.random.default_rng(asked["seed"]),
            show_progressbar=False,
            verbose=False,
        )
        took = {
            "seconds": time.perf_counter() - began,
            "left": left[0],
            "cpu": time.process_time() - cpu,
        }
        answers.write(f"{json.dumps(took)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
