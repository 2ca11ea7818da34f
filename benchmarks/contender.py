"""One of two checkouts that are compared: a pool of its own, and a search for each line that it reads.

The Python of the checkout runs this file as a script, and imports the checkout's sparkopt; only public names
are used, which every version has. For each line of standard input there is one search of trials that do
nothing, and one line of JSON as the answer: milliseconds a trial, of the clock and of the processors. With
a directory for journals, each search has one of its own there.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(checkout: str, trials: int, journals: str | None = None) -> None:
    """Serve until standard input ends.

    Args:
        checkout: the directory of it.
        trials: of each search.
        journals: the directory for journals; None for searches without.
    """
    sys.path[0] = checkout  # Python has put this file's directory there
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Spark writes to standard output
    os.environ["PYTHONPATH"] = checkout
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    warnings.simplefilter("ignore")

    import numpy as np
    from hyperopt import hp, rand
    from pyspark.sql import SparkSession

    import sparkopt

    if not Path(sparkopt.__file__).is_relative_to(checkout):
        raise SystemExit(f"sparkopt was imported from {sparkopt.__file__}, and not from {checkout}")
    spec = importlib.util.spec_from_file_location("processors", HERE / "processors.py")
    assert spec is not None
    assert spec.loader is not None
    processors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processors)

    numbers = itertools.count()
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").getOrCreate()
    with sparkopt.WorkerPool(parallelism=2, spark_session=session) as pool:

        def search() -> dict[str, float]:
            journal = None if journals is None else f"{journals}/{next(numbers)}.journal"
            before, began = processors.processor_seconds(), time.perf_counter()
            sparkopt.fmin(
                abs,
                hp.uniform("x", -1, 1),
                rand.suggest,
                trials,
                trials=sparkopt.SparkTrials(pool=pool, tracking=False, journal=journal),
                rstate=np.random.default_rng(0),
                show_progressbar=False,
            )
            clock = time.perf_counter() - began
            after = processors.processor_seconds()
            seconds = {"clock": clock, **{role: after[role] - before[role] for role in after}}
            return {name: value / trials * 1000 for name, value in seconds.items()}

        search()
        answers.write("ready\n")
        for _ in sys.stdin:
            answers.write(f"{json.dumps(search())}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
