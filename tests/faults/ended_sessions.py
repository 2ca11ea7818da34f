"""A search that goes on after each of its ends: in Spark's UI, with its session, with its JVM. A script.

Has a Python process to itself, and says as a line of JSON what each end was like. With the argument "elastic"
its workers are elastic.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from concurrent.futures import wait
from pathlib import Path

import cloudpickle
import psutil

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.errors import SparkoptError
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import cancel_job, get_session
from tests.faults.kill_links import press_the_kill_link
from tests.faults.searches import searching
from tests.support import leftovers, study_tools
from tests.support.study_tools import CASE, blocking_from_the_third, hear, in_order, make_fifos

cloudpickle.register_pickle_by_value(study_tools)

MARK = str(os.getpid())
SECONDS = 60


def new_session():
    session = get_session(settings={"spark.master": "local[2]", "spark.ui.port": "0"})
    session.sparkContext.setLogLevel("OFF")
    return session


def kill_the_jvm(session):
    (jvm,) = [each for each in psutil.Process().children() if each.name() == "java"]
    jvm.kill()
    jvm.wait(SECONDS)


ENDS = {
    "job": lambda session: press_the_kill_link(session, "/jobs/"),
    "stage": lambda session: press_the_kill_link(session, "/stages/"),
    "stop": lambda session: session.stop(),
    "jvm": kill_the_jvm,
}


def search(trials, name):
    """Two trials, and a third that runs when the end comes; what is left then."""
    place = Path(name).absolute()
    place.mkdir()
    make_fifos(place, "there", "never")
    before, first = _ports(), len(trials._dynamic_trials)
    launches = []
    launch = Gang.launch

    def noted(gang):
        launches.append(gang._spec.generation)
        launch(gang)

    Gang.launch = noted
    objective = blocking_from_the_third(place)
    try:
        with searching(trials, objective, place) as running:
            assert hear(place / "there", SECONDS)
            ENDS[name](trials._spark)
            wait([running], SECONDS)
        error = running.exception()
    finally:
        Gang.launch = launch
    _, alive = psutil.wait_procs(leftovers.descendants_of_workers(MARK), timeout=10)
    return {
        "error": type(error).__name__,
        "text": str(error),
        "states": [document["state"] for document in trials._dynamic_trials[first:]],
        "reason": trials.fmin_cancelled_reason,
        "launches": launches,
        "threads": [each.name for each in threading.enumerate() if each.name.startswith("sparkopt")],
        "ports": sorted(_ports() - before),
        "processes": [str(process) for process in alive],
    }


class AboutToEnd:
    """A thread that is alive for one more look."""

    def __init__(self):
        self._looks = 1

    def is_alive(self):
        self._looks -= 1
        return self._looks >= 0

    def join(self, seconds):
        pass


def enter(pool):
    with pool:
        pass


def refused(use):
    """What a use is refused with."""
    try:
        use()
    except SparkoptError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return None


def _ports():
    connections = psutil.Process().net_connections(kind="inet")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


def main():
    """Search, end, go on."""
    os.environ[leftovers.MARK] = MARK
    session = new_session()
    elastic = "elastic" in sys.argv
    trials, of_one_session = SparkTrials(1, elastic=elastic), SparkTrials(1, spark_session=session)
    pool = WorkerPool(1)
    pickled = pickle.loads(pickle.dumps(of_one_session))
    fmin(lambda case: -case, CASE, in_order, 1, trials=pickled, verbose=False)
    said = {"mark": MARK, **{name: search(trials, name) for name in ("job", "stage", "stop")}}
    said["given"] = refused(lambda: fmin(abs, CASE, in_order, 1, trials=of_one_session, verbose=False))
    said["new"] = refused(lambda: SparkTrials(1, spark_session=session))
    said["pool"] = refused(lambda: enter(pool))
    said["ended"] = cancel_job(session, "nothing", AboutToEnd())
    new_session()
    done = len(trials.trials)
    fmin(lambda case: -case, CASE, in_order, done + 2, trials=trials, verbose=False)
    said["on"] = {"losses": trials.losses()[done:], "done": done}
    fmin(lambda case: -case, CASE, in_order, 2, trials=pickled, verbose=False)
    said["pickled"] = pickled.losses()
    said["jvm"] = search(trials, "jvm")
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
