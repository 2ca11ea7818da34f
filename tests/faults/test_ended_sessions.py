"""The Spark job is killed in Spark's UI; the session is stopped under the search; its JVM is killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from hyperopt.base import JOB_STATE_CANCEL, JOB_STATE_DONE

from sparkopt.spark.java import ensure_java
from tests.faults import ended_sessions
from tests.faults.launchers import both_launchers
from tests.support.leftovers import processes_of
from tests.support.paths import python_path

WHAT = {
    "job": r"Spark job \d+ was cancelled \(.*killed via",
    "stage": r"Spark job \d+ was cancelled \(.*killed via",
    "stop": "the Spark session 'sparkopt' was stopped",
    "jvm": "the Spark session 'sparkopt' was stopped",
}
"""Each end, and what a search is told of it."""


def run_script(directory, *arguments):
    """What the script has said of each end; nothing of it is left."""
    ensure_java()
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "TMPDIR": str(directory),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [sys.executable, ended_sessions.__file__, *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert processes_of(said["mark"]) == []
    assert list(directory.glob("sparkopt-*")) == []
    return said


@pytest.mark.timeout(300)
@both_launchers
def test_whoever_ends_the_workers_ends_the_search_and_it_can_go_on(tmp_path, elastic):
    """One test, as the ends are those of one process."""
    said = run_script(tmp_path, *(["elastic"] if elastic else []))
    for end, what in WHAT.items():
        of_end = said[end]
        assert of_end["error"] == "PoolCancelledError", of_end
        assert re.search(rf"{what}.*Finished trials are kept", of_end["text"])
        assert of_end["states"] == [JOB_STATE_DONE, JOB_STATE_DONE, JOB_STATE_CANCEL]
        assert of_end["reason"] == "fmin run cancelled by user"
        # No gang was launched again, and nothing is left.
        assert of_end["launches"] == [1]
        assert of_end["threads"] == of_end["ports"] == of_end["processes"] == []

    # A new session: two results before each of the three ends so far, and a trial that was cancelled.
    assert said["on"] == {"done": 6, "losses": [-9, -10]}

    # The session that was stopped.
    for use in ("given", "new", "pool"):
        assert said[use]["error"] == "RefusedError"
        assert "the Spark session 'sparkopt' was stopped" in said[use]["text"]
    assert said["pickled"] == [0, -1]
    assert said["ended"]  # there is no job of it to be cancelled
