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
from jupyter_client import KernelManager

from sparkopt import fmin
from sparkopt.spark.java import ensure_java
from tests.hyperopt import interrupted
from tests.support.leftovers import processes_of
from tests.support.paths import python_path
from tests.support.study_tools import CASE, DEADLINE_SECONDS, hear, in_order, make_fifos, meet

CTRL_C = b"\x03"
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
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **surroundings) as terminal:
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
    """A Jupyter kernel and a client that is connected to it."""
    manager = KernelManager(connection_file=str(tmp_path / "kernel.json"))
    manager.start_kernel(**surroundings)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=DEADLINE_SECONDS)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_cell(client, code):
    """The last line that a cell prints on its standard output; the cell must end well."""
    printed = []

    def note(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=note, timeout=START_SECONDS)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed).splitlines()[-1] if printed else ""


@pytest.mark.timeout(300)
def test_interrupting_a_cell_of_a_notebook(kernel, tmp_path):
    manager, client = kernel
    run_cell(client, "import json\nfrom tests.hyperopt import interrupted\ntrials = interrupted.begin()")
    # Or the kernel may refuse the next cell, as one that was waiting for this one to end well.
    asked = client.execute("interrupted.search(trials)", stop_on_error=False)
    assert hear(tmp_path / "there", START_SECONDS)
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=DEADLINE_SECONDS)
    assert reply["parent_header"]["msg_id"] == asked
    assert reply["content"]["status"] == "error"
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    said = json.loads(run_cell(client, "print(json.dumps(interrupted.report(trials)))"))
    run_cell(client, "trials._spark.stop()")
    manager.shutdown_kernel()
    check(said, tmp_path)


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
