"""A search whose objective stops the processes above it, for a driver that is to be killed.

A script, given how many it stops, and "elastic" for elastic workers. The named pipe ``there`` is in its
working directory. The objective's own process is the last that it stops.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cloudpickle

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support import leftovers, study_tools
from tests.support.study_tools import CASE, in_order, signal_at

cloudpickle.register_pickle_by_value(study_tools)


def stopping(directory, number):
    """An objective that says that it is ``there`` and stops so many ancestors, and itself."""
    place = str(directory)

    def objective(_):
        import os
        import signal
        import subprocess

        import psutil

        own = psutil.Process()
        subprocess.Popen(["sleep", "1000"])
        for ancestor in own.parents()[:number]:
            ancestor.send_signal(signal.SIGSTOP)
        signal_at(f"{place}/there")
        os.kill(own.pid, signal.SIGSTOP)

    return objective


def main():
    """Search until the process is killed."""
    os.environ[leftovers.MARK] = os.environ["MARK_OF_THE_TEST"]
    session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
    session.sparkContext.setLogLevel("OFF")
    trials = SparkTrials(1, spark_session=session, elastic="elastic" in sys.argv)
    fmin(stopping(Path.cwd(), int(sys.argv[1])), CASE, in_order, 10, trials=trials, verbose=False)


if __name__ == "__main__":
    main()
