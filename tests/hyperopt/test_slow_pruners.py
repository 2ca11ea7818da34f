"""A pruner that does not return, or is slow, in a real search; and Ctrl-C meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from hyperopt.base import JOB_STATE_CANCEL, JOB_STATE_DONE

from sparkopt.spark.java import ensure_java
from tests.hyperopt import slow_pruners
from tests.support.leftovers import processes_of
from tests.support.paths import python_path
from tests.support.study_tools import hear, make_fifos

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # a session each

SECONDS = 120


def run(kind, directory, interrupted):
    """Run the script, and interrupt it when its pruner has been called; what it says."""
    ensure_java()
    make_fifos(directory, "there")
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "TMPDIR": str(directory),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [sys.executable, slow_pruners.__file__, kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=directory, env=environment) as process:
        try:
            if interrupted:
                assert hear(directory / "there", SECONDS), process.communicate()
                process.send_signal(signal.SIGINT)
            printed, complaints = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, complaints
    said = json.loads(printed.splitlines()[-1])
    _, alive = psutil.wait_procs(processes_of(said["mark"]), timeout=30)
    assert alive == []
    assert said["processes"] == []
    assert list(directory.glob("sparkopt-*")) == []
    return said


def test_one_that_runs_python_is_ended_by_ctrl_c(tmp_path):
    said = run("in Python", tmp_path, interrupted=True)
    assert said["ended"] == "by an interrupt"
    assert set(said["states"]) == {JOB_STATE_CANCEL}
    assert said["threads"] == []


def test_one_that_waits_outside_of_python_is_left_behind_by_ctrl_c(tmp_path):
    said = run("outside of Python", tmp_path, interrupted=True)
    assert said["ended"] == "by an interrupt"
    assert set(said["states"]) == {JOB_STATE_CANCEL}
    assert said["threads"] == ["sparkopt-coordinator"]
    assert "the pruner EndlessPruner does not return, as it waits outside of Python" in said["warnings"][-1]


def test_one_that_is_slow_is_named_and_the_search_goes_on(tmp_path):
    said = run("slow", tmp_path, interrupted=False)
    assert said["ended"] == "by itself"
    assert said["states"] == [JOB_STATE_DONE] * slow_pruners.TRIALS
    assert said["threads"] == []
    (warning,) = said["warnings"]
    assert warning.startswith("the pruner SlowPruner has been in one call for ")
