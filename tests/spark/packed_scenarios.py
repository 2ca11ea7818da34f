"""A search in an environment that `sparkopt pack` has packed, used as its output says. A script.

Its arguments are the kind of session, Spark's settings as JSON, and that output.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap

from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session, is_connect
from tests.support.study_tools import CASE, in_order


def objective(case):
    import sys

    import cloudpickle

    import sparkopt

    return {
        "status": "ok",
        "loss": case,
        "python": sys.executable,
        "packages": [sparkopt.__file__, cloudpickle.__file__],
    }


def printed(output, heading):
    """The code under a heading."""
    return textwrap.dedent(re.search(rf"^{heading}[^\n]*:\n\n((?:    .*(?:\n|$))+)", output, re.MULTILINE)[1])


def classic_session(settings, output):
    options = " ".join(f"--conf {key}='{value}'" for key, value in settings.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{options} pyspark-shell"
    names = {"os": os, "SparkSession": SparkSession}
    exec(printed(output, "A classic session"), names)
    return names["spark"]


def connect_session(settings, output):
    spark = get_session(settings=settings)
    exec(printed(output, "A session of Spark Connect"), {"spark": spark})
    return spark


def submitted_session(settings, output):
    """That of spark-submit, which has been given all settings."""
    return SparkSession.builder.getOrCreate()


_SESSIONS = {"classic": classic_session, "connect": connect_session, "submitted": submitted_session}


def main(kind, settings, output):
    """Search."""
    session = _SESSIONS[kind](settings, output)
    trials = SparkTrials(1, spark_session=session)
    fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
    result = trials.results[-1]
    said = {
        "connect": is_connect(session),
        "python": result["python"],
        "packages": result["packages"],
        "failed": trials.count_failed_trials(),
    }
    session.stop()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
