"""Searches on a session of the user's own, which has named no interpreter. A script; says how they ended.

The second search is one of another thread, which finds the session by itself.

Its argument is the master. What PYSPARK_PYTHON names is the environment's to say.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from hyperopt import hp, rand
from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.errors import SparkoptError


def interpreter(x):
    import sys

    return {"loss": x, "status": "ok", "interpreter": sys.executable}


def search(**arguments):
    """The interpreters that a search ran in."""
    trials = SparkTrials(1, tracking=False, **arguments)
    fmin(interpreter, hp.uniform("x", 0, 1), rand.suggest, 2, trials=trials, verbose=False)
    return sorted({result["interpreter"] for result in trials.results})


def main(master):
    """Search."""
    if not os.environ["PYSPARK_PYTHON"]:
        del os.environ["PYSPARK_PYTHON"]
    builder = SparkSession.builder.master(master).config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").getOrCreate()
    said = {"executable": sys.executable, "before": session.sparkContext.pythonExec}
    shown = session.conf.get("spark.ui.showConsoleProgress")
    try:
        said["ran"] = search(spark_session=session)
        with ThreadPoolExecutor() as threads:
            said["in_a_thread"] = threads.submit(search).result()
        os.environ["PYSPARK_PYTHON"] = "named too late for Spark"
        said["late"] = search()
    except SparkoptError as error:
        said |= {"error": type(error).__name__, "text": str(error)}
    said["after"] = session.sparkContext.pythonExec
    said["settings_kept"] = session.conf.get("spark.ui.showConsoleProgress") == shown
    session.stop()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
