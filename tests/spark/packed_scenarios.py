"""A search in an environment that `sparkopt pack` has packed, used as its output says. A script.

Its arguments are the kind of session, Spark's settings as JSON, and that output.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from contextlib import contextmanager

from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import is_connect
from tests.support.connect_session import connect_session
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
    with names["spark"] as session:
        yield session


def session_of_connect(settings, output):
    with connect_session(settings["spark.master"], settings) as session:
        exec(printed(output, "A session of Spark Connect"), {"spark": session})
        yield session


def submitted_session(settings, output):
    """That of spark-submit, which has been given all settings."""
    with SparkSession.builder.getOrCreate() as session:
        yield session


_SESSIONS = {"classic": classic_session, "connect": session_of_connect, "submitted": submitted_session}


def main(kind, settings, output):
    """Search."""
    with contextmanager(_SESSIONS[kind])(settings, output) as session:
        trials = SparkTrials(1, spark_session=session)
        fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
        result = trials.results[-1]
        said = {
            "connect": is_connect(session),
            "python": result["python"],
            "packages": result["packages"],
            "failed": trials.count_failed_trials(),
        }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
