"""A search on a cluster, by a session of Spark Connect, that loses an executor. A script; says how it went.

The Spark settings and the executor's daemon are its arguments.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings

from hyperopt import hp, rand

from sparkopt import SparkTrials, fmin
from sparkopt.errors import SparkoptWarning
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import is_connect
from tests.support.connect_session import connect_session


def square(x):
    return x * x


def main(settings, victim):
    """Search; the executor is killed after three trials."""
    gangs, relaunched, launch = [], threading.Event(), Gang.launch

    def noted(gang):
        gangs.append(gang)
        launch(gang)
        if len(gangs) == 2:
            relaunched.set()

    def kill(trials, heard=0):
        if heard == 3:
            os.kill(victim, signal.SIGKILL)
            assert relaunched.wait(120)
        return False, [heard + 1]

    Gang.launch = noted
    warnings.simplefilter("ignore", SparkoptWarning)
    space = hp.uniform("x", -1, 1)
    with connect_session(settings["spark.master"], settings) as session:
        trials = SparkTrials(4)
        fmin(square, space, rand.suggest, 30, trials=trials, early_stop_fn=kill, verbose=False)
        said = {
            "connect": is_connect(session),
            "trials": len(trials),
            "failed": trials.count_failed_trials(),
            "sizes": [gang._size for gang in gangs],
        }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
