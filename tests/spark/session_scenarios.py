"""Uses of classic sessions, one session after the other. A script; says how each use ended.

Its arguments are JSON, one for each session: Spark's settings, and the names of its uses.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

from hyperopt import hp, rand
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

from sparkopt import SparkTrials, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import ParallelismWarning, SparkoptError
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import get_session
from tests.support.beside import objective_beside


def square(x):
    return x * x


def search(session):
    trials = SparkTrials(2, spark_session=session)
    best = fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    return {"best": best, "losses": trials.losses()}


def barrier_jobs(session):
    return {"trials": len(SparkTrials(2, spark_session=session, elastic=False))}


def elastic(session):
    trials = SparkTrials(2, spark_session=session)
    fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    return {"trials": len(trials), "chosen": WorkerPool(2, spark_session=session).elastic}


def pool(session):
    with WorkerPool(2, spark_session=session, policy=Policy(start=0.1)) as pool:
        return {"size": pool.parallelism}


def profiled(session):
    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParallelismWarning)  # fewer workers than asked for
        trials = SparkTrials(4, spark_session=session, resource_profile=profile)
        fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    context = session.sparkContext
    tracker, store = context.statusTracker(), context._jsc.sc().statusStore()
    gang = max(tracker.getJobIdsForGroup(None))
    used = [store.lastStageAttempt(each).resourceProfileId() for each in tracker.getJobInfo(gang).stageIds]
    losses, workers = len(trials.losses()), trials.timings.workers
    return {"workers": workers, "losses": losses, "profile": profile.id, "used": used}


def own_modules(session):
    """An objective in a package beside the script, and executors that work in directories of their own."""
    trials = SparkTrials(2, spark_session=session)
    objective = objective_beside(Path("beside").absolute())
    fmin(objective, hp.uniform("x", -1, 1), rand.suggest, 4, trials=trials, verbose=False)
    return {"results": trials.results, "here": str(Path.cwd())}


def loses_an_executor(session):
    gangs, relaunched, launch = [], threading.Event(), Gang.launch

    def noted(gang):
        gangs.append(gang)
        launch(gang)
        if len(gangs) == 2:
            relaunched.set()

    def kill(trials, heard=0):
        if heard == 3:
            os.kill(int(os.environ["VICTIM"]), signal.SIGKILL)
            assert relaunched.wait(120)
        return False, [heard + 1]

    Gang.launch = noted
    trials = SparkTrials(4, spark_session=session)
    space = hp.uniform("x", -1, 1)
    fmin(square, space, rand.suggest, 30, trials=trials, early_stop_fn=kill, verbose=False)
    sizes = [gang._size for gang in gangs]
    return {"trials": len(trials), "failed": trials.count_failed_trials(), "sizes": sizes}


USES = {
    use.__name__: use
    for use in (search, barrier_jobs, elastic, pool, profiled, own_modules, loses_an_executor)
}


def said_of(use, session):
    """How a use ended, and how many Spark jobs the session had run by then."""
    try:
        said = use(session)
    except SparkoptError as error:
        said = {"error": type(error).__name__, "text": str(error)}
    java = session._jvm.java.lang.System.getProperty("java.home")
    jobs = list(session.sparkContext.statusTracker().getJobIdsForGroup(None))
    return {"java": java, "jobs": len(jobs), **said}


def main(sessions):
    """Have all of them."""
    said = {}
    for settings, *names in sessions:
        session = get_session(settings={"spark.ui.enabled": "false", **settings})
        try:
            said |= {name: said_of(USES[name], session) for name in names}
        finally:
            session.stop()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main([json.loads(each) for each in sys.argv[1:]])
