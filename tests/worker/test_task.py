"""Start of process A by its task: what is left if both are killed, and what is said if it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.paths import python_path

KILLED_AT = """
import os, signal, sys
from sparkopt.worker import processes, task
from sparkopt.worker.spec import Endpoint, WorkerSpec

def kill_all(*arguments):
    os.killpg(0, signal.SIGKILL)

owner, _, name = sys.argv[1].partition(".")
setattr({"os": os, "processes": processes}[owner], name, kill_all)
task.run(WorkerSpec(Endpoint("127.0.0.1:1", "token"), 1, 1), 0)
"""


@pytest.mark.parametrize("step", ["processes.fork", "os.setsid"])
def test_no_directory_is_left_by_one_that_is_killed_before_it_has_a_process_that_cleans_up(tmp_path, step):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, step],
        env={**os.environ, "PYTHONPATH": python_path(), "TMPDIR": str(tmp_path)},
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


NO_ROOM = """
import os, tempfile
from sparkopt.worker import task
from sparkopt.worker.spec import Endpoint, WorkerSpec

os.rmdir(tempfile.gettempdir())
task.run(WorkerSpec(Endpoint("127.0.0.1:1", "token"), 1, 1), 0)
"""


def test_a_worker_that_cannot_have_its_directory_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM],
        env={**os.environ, "PYTHONPATH": python_path(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "WorkerFailedError: gang1.1/worker0 could not go on: FileNotFoundError: " in done.stderr
