"""Ctrl-C where users press it, in a terminal and in a notebook; and two searches at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from hyperopt.base import JOB_STATE_CANCEL, JOB_STATE_DONE

from sparkopt import fmin
from sparkopt.spark.java import ensure_java
from tests.hyperopt import interrupted
from tests.support.kernels import started_kernel
from tests.support.leftovers import processes_of
from tests.support.paths import python_path
from tests.support.processes import started
from tests.support.study_tools import CASE, DEADLINE_SECONDS, hear, in_order, make_fifos, meet

CTRL_C = b"\x03"
INTERRUPTED = "fmin was interrupted after 2 trials; fmin with the same trials goes on from there."
START_SECONDS = 2 * DEADLINE_SECONDS
"""How long a process may take to start a session and run two trials before the test has failed."""

TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"
"""Runs a command on a new terminal: what this is sent is typed there, and what is printed there it prints."""


@pytest.fixture
def surroundings(tmp_path):
    """The working directory, with the named pipes, and the environment, with what is next to this file."""
    ensure_java()
    make_fifos(tmp_path, "there", "never")
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "TMPDIR": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    return {"cwd": str(tmp_path), "env": environment}


def check(said, directory):
    """The search kept what it had and said why it ended, the next one worked, and nothing is left."""
    assert said["states"] == [JOB_STATE_DONE, JOB_STATE_DONE, JOB_STATE_CANCEL]
    assert said["reason"] == "fmin run cancelled by user"
    assert said["next"] == {"best": {"case": 3}, "losses": [-3, -2, -1, 0]}
    assert said["processes"] == []
    assert said["threads"] == []
    _, alive = psutil.wait_procs(processes_of(said["mark"]), timeout=10)
    assert alive == []
    assert list(directory.glob("sparkopt-*")) == []


@pytest.mark.timeout(300)
def test_ctrl_c_in_a_terminal(surroundings, tmp_path):
    command = [sys.executable, "-c", TERMINAL, sys.executable, interrupted.__file__]
    pipe = subprocess.PIPE
    with started(command, stdin=pipe, stdout=pipe, stderr=pipe, **surroundings) as terminal:
        try:
            came = hear(tmp_path / "there", START_SECONDS)
            printed, complaints = terminal.communicate(CTRL_C if came else None, DEADLINE_SECONDS)
        finally:
            # The end of a terminal is the end of what runs there.
            terminal.kill()
    assert came, printed + complaints
    check(json.loads(printed.decode().splitlines()[-1]), tmp_path)


@pytest.fixture
def kernel(surroundings, tmp_path):
    """A Jupyter kernel."""
    with started_kernel(tmp_path / "kernel.json", **surroundings) as started:
        yield started


def run_cell(kernel, code):
    """The outputs of a cell, which must end well."""
    outputs = kernel.run(code, START_SECONDS)
    assert outputs.status == "ok", outputs.list
    return outputs


@pytest.mark.timeout(300)
def test_interrupting_a_cell_of_a_notebook(kernel, tmp_path):
    run_cell(kernel, "import json\nfrom tests.hyperopt import interrupted\ntrials = interrupted.begin()")
    asked = kernel.begin("interrupted.search(trials)")
    assert hear(tmp_path / "there", START_SECONDS)
    kernel.manager.interrupt_kernel()
    outputs = kernel.finish(asked, DEADLINE_SECONDS)
    assert outputs.status == "error"
    (error,) = outputs.errors
    assert error["ename"] == "KeyboardInterrupt"
    assert error["traceback"] == [f"KeyboardInterrupt: {INTERRUPTED}"]
    # The bar is drawn in its place, and ends as a line.
    ((first, *_, last, end),) = outputs.drawings.values()
    assert first["text/plain"].startswith("0 of 100 trials, starting workers: 0 of 1, 0:0")
    assert last["text/plain"].startswith("2 of 100 trials, ")
    assert "<b>2 of 100 trials</b>" in last["text/html"]
    assert end["text/plain"].startswith("3 trials in ")
    assert ": 2 ok, 1 cancelled. Best loss " in end["text/plain"]
    assert end["text/plain"].endswith(" Ended early: fmin run cancelled by user.")

    (shown,) = run_cell(kernel, "trials").list
    assert "<b>SparkTrials: 3 trials</b> &middot; 2 ok, 1 cancelled" in shown["data"]["text/html"]
    said = run_cell(kernel, "print(json.dumps(interrupted.report(trials)))")
    run_cell(kernel, "trials._spark.stop()")
    kernel.manager.shutdown_kernel()
    check(json.loads(said.text.splitlines()[-1]), tmp_path)


def test_two_searches_at_once(new_trials, tmp_path):
    make_fifos(tmp_path, "side-0", "side-1")
    place = str(tmp_path)

    def search(side):
        def objective(case):
            return float(meet(place, side)) if case == 1 else -float(case)

        trials = new_trials(parallelism=1)
        best = fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
        return best, trials.losses(), trials.fmin_cancelled_reason

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(search, range(2))) == [({"case": 3}, [0, 1, -2, -3], None)] * 2
