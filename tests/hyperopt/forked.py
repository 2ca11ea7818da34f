"""A driver that forks before it has a session: a script, whose child makes one and searches."""

from __future__ import annotations

import json
import os
import sys

import sparkopt
from tests.support.study_tools import CASE, in_order


def main():
    """Say in the child what the search found, and end with the child's exit code."""
    child = os.fork()
    if child == 0:
        from sparkopt.spark.session import get_session

        session = get_session(settings={"spark.master": "local[1]", "spark.ui.enabled": "false"})
        session.sparkContext.setLogLevel("OFF")
        trials = sparkopt.SparkTrials(1, spark_session=session)
        best = sparkopt.fmin(lambda case: -case, CASE, in_order, 2, trials=trials, verbose=False)
        session.stop()
        sys.stdout.write(f"{json.dumps(best)}\n")
        sys.stdout.flush()
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
