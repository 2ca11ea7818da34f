"""The scripts of examples/ run, and print what they are there to show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import psutil
import pytest

from sparkopt.spark.java import ensure_java
from tests.support.cluster import Cluster
from tests.support.connect_session import FREE_PORT, OTHER_HOME
from tests.support.leftovers import MARK, processes_of
from tests.support.notebooks import EXAMPLES
from tests.support.paths import ROOT, python_path

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def printed(tmp_path):
    """Runs a script to its end; returns what it printed. No process of it is left."""

    def run(name, *arguments, **environment):
        ensure_java()
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                MARK: str(tmp_path),
                "PYTHONPATH": python_path(),
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_LOCAL_IP": "127.0.0.1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=380,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    _, alive = psutil.wait_procs(processes_of(str(tmp_path)), timeout=60)
    assert alive == []


@pytest.mark.slow
def test_a_search_is_steered_from_another_process(printed):
    said = printed("steering.py")
    assert re.search(r"^trial \d+ runs on \S+: it is told to stop$", said, re.MULTILINE), said
    assert "it has ended with a loss of 0.0\n" in said
    assert said.endswith("pruned: 1, best: 1.0\n")


@pytest.mark.slow
def test_each_trial_sees_the_gpu_of_its_worker(printed):
    with Cluster(daemons=1, cores=2, gpus=["0", "1"]) as cluster:
        settings = {**cluster.settings(), "spark.executor.cores": "1", "spark.log.level": "OFF"}
        options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        said = printed(
            *("gpus.py", settings["spark.master"]),
            PYSPARK_SUBMIT_ARGS=shlex.join([*options, "pyspark-shell"]),
        )
    assert set(said.splitlines()) <= {"trials saw the GPUs 0", "trials saw the GPUs 1"}
    assert said


@pytest.mark.slow
def test_without_gpus_trials_compute_all_the_same(printed):
    assert printed("gpus.py") == "trials had no GPU\n"


@pytest.mark.slow
@pytest.mark.skipif(OTHER_HOME is not None, reason="this PySpark starts no server of Spark Connect")
def test_a_search_runs_on_spark_connect(printed):
    said = printed("spark_connect.py", **FREE_PORT)
    assert re.fullmatch(r"Spark \S+, a session of connect\n20 trials, best: \S+\n", said), said


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_is_linked(path):
    assert f"(examples/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
