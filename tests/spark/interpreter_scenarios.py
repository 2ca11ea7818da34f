"""Searches on a session of the user's own, which has named no interpreter. A script; says how each ended.

Its argument is the master. What PYSPARK_PYTHON names is the environment's to say.
"""

from __future__ import annotations

import json
import os
import sys

from hyperopt import hp, rand
from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.errors import SparkoptError


def interpreter(x):
    import sys

    return {"loss": x, "status": "ok", "interpreter": sys.executable}


def main(master):
    """Search."""
    if not os.environ["PYSPARK_PYTHON"]:
        del os.environ["PYSPARK_PYTHON"]
    builder = SparkSession.builder.master(master).config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").getOrCreate()
    trials = SparkTrials(1, spark_session=session, tracking=False)
    said = {"executable": sys.executable, "before": session.sparkContext.pythonExec}
    try:
        fmin(interpreter, hp.uniform("x", 0, 1), rand.suggest, 2, trials=trials, verbose=False)
        said["ran"] = sorted({result["interpreter"] for result in trials.results})
    except SparkoptError as error:
        said |= {"error": type(error).__name__, "text": str(error)}
    said["after"] = session.sparkContext.pythonExec
    session.stop()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
