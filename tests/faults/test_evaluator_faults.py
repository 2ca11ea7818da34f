"""Whatever an objective does to its process costs one attempt, with a reason that names what happened."""

from __future__ import annotations

import re

import psutil
import pytest
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import SparkTrials, fmin
from sparkopt.errors import EvaluatorDiedError, TrialTimeoutError
from tests.support.study_tools import CASE, in_order

LARGE = 200 * 2**20
CHILDREN = 40


def name_of(kind):
    return f"<class '{kind.__module__}.{kind.__qualname__}'>"


def make_objective(directory, driver):
    def only_elsewhere():
        import os

        if os.getpid() == driver:
            raise RuntimeError("not on the driver")
        return "built"

    class OnlyElsewhereError(Exception):
        def __reduce__(self):
            return only_elsewhere, ()

    class OnlyElsewhere:
        def __reduce__(self):
            return only_elsewhere, ()

    class NotPicklableError(Exception):
        def __reduce__(self):
            raise TypeError("it does not pickle")

    def objective(case):
        import contextlib
        import mmap
        import os
        import pathlib
        import signal

        if case == 0:  # what the kernel does to those that take too much
            memory = mmap.mmap(-1, LARGE)
            memory.write(b"x" * LARGE)
            os.kill(os.getpid(), signal.SIGKILL)
        if case == 1:
            os.abort()
        if case == 2:  # the children of a fork bomb, which outlive it
            for _ in range(CHILDREN):
                pid = os.fork()
                if pid == 0:
                    os.setsid()
                    while True:
                        signal.pause()
                pathlib.Path(directory, str(pid)).touch()
            os._exit(7)
        if case == 3:
            raise OnlyElsewhereError("its text has to do")
        if case == 4:
            return {"status": "ok", "loss": 1.0, "extra": OnlyElsewhere()}
        if case == 5:
            raise NotPicklableError("its text has to do")
        if case == 6:
            return {"status": "ok", "loss": -1.0, "weights": bytes(LARGE)}
        if case == 9:  # the child comes back as well
            if os.fork() == 0:
                return -12345.0
            os.wait()
        if case == 10:
            for number in range(3, 1100):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/self/fd/{number}").startswith("socket:"):  # noqa: PTH115
                        os.write(number, b"nothing that anybody has asked for")
        if case == 11:
            os.closerange(0, 70_000)
        return float(case)

    return objective


@pytest.fixture(scope="module")
def searched(spark, tmp_path_factory):
    """One search over every fault; its trials, and the pids of the fork bomb's children."""
    directory = tmp_path_factory.mktemp("children")
    trials = SparkTrials(2, spark_session=spark)
    objective = make_objective(str(directory), psutil.Process().pid)
    fmin(objective, CASE, in_order, 13, trials=trials, verbose=False)
    return trials, [int(path.name) for path in directory.iterdir()]


def error_of(searched, case):
    document = searched[0]._dynamic_trials[case]
    assert document["state"] == JOB_STATE_ERROR
    return document["misc"]["error"]


def test_nothing_else_has_failed(searched):
    trials, _ = searched
    assert [document["tid"] for document in trials.trials] == [6, 7, 8, 9, 11, 12]
    assert trials.count_failed_trials() == 7
    assert trials.count_lost_trials() == 0


def test_a_child_that_comes_out_of_the_objective_and_descriptors_that_are_closed_cost_no_result(searched):
    documents = searched[0]._dynamic_trials
    losses = {document["tid"]: document["result"].get("loss") for document in documents[7:]}
    assert losses == {7: 7.0, 8: 8.0, 9: 9.0, 10: None, 11: 11.0, 12: 12.0}


def test_what_is_written_into_the_connection_is_named(searched):
    kind, text = error_of(searched, 10)
    assert kind == name_of(EvaluatorDiedError)
    assert "b'nothing that any' is not the beginning of a frame" in text
    assert "must not write to descriptors" in text


def test_out_of_memory_is_named_with_the_peak(searched):
    kind, text = error_of(searched, 0)
    assert kind == name_of(EvaluatorDiedError)
    peak = re.search(r"killed by SIGKILL \(peak memory ([\d,]+) MiB\); .* out of memory", text)
    assert peak is not None
    assert int(peak[1].replace(",", "")) >= LARGE / 2**20


def test_an_abort_is_named_and_not_taken_for_a_lack_of_memory(searched):
    kind, text = error_of(searched, 1)
    assert kind == name_of(EvaluatorDiedError)
    assert "killed by SIGABRT" in text
    assert "out of memory" not in text


def test_children_of_a_fork_bomb_go_with_their_parent(searched):
    _, text = error_of(searched, 2)
    assert "exit code 7" in text
    pids = searched[1]
    assert len(pids) == CHILDREN
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_an_exception_that_raises_when_it_is_unpickled_is_told_by_its_text(searched):
    kind, text = error_of(searched, 3)
    assert "OnlyElsewhereError" in kind
    assert text.rstrip().endswith("OnlyElsewhereError: its text has to do")


def test_a_result_that_raises_when_it_is_unpickled_fails_its_trial(searched):
    kind, text = error_of(searched, 4)
    assert kind == "<class 'RuntimeError'>"
    assert "not on the driver" in text


def test_an_exception_that_does_not_pickle_is_told_by_its_text(searched):
    kind, text = error_of(searched, 5)
    assert "NotPicklableError" in kind
    assert text.rstrip().endswith("NotPicklableError: its text has to do")


def test_a_result_of_200_mib_arrives_whole(searched):
    document = searched[0]._dynamic_trials[6]
    assert document["state"] == JOB_STATE_DONE
    assert document["result"]["weights"] == bytes(LARGE)


def test_a_hang_is_ended_whether_or_not_the_gil_is_held(spark):
    def objective(case):
        import ctypes
        import signal

        if case == 0:
            ctypes.PyDLL(None).sleep(3600)  # unlike CDLL it keeps the GIL
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            signal.pause()

    trials = SparkTrials(2, spark_session=spark, trial_timeout=0.5)
    result = fmin(objective, CASE, in_order, 2, trials=trials, verbose=False, return_argmin=False)
    assert result is None
    errors = [document["misc"]["error"] for document in trials._dynamic_trials]
    assert [kind for kind, _ in errors] == [name_of(TrialTimeoutError)] * 2
    assert all("trial_timeout=0.5 s" in text for _, text in errors)
