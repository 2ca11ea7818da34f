"""A trial that takes its worker down, or Spark's own Python process, costs no other trial anything."""

from __future__ import annotations

import cloudpickle
import pytest
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrialLostError
from sparkopt.spark.job_ends import explain, failed_slots
from tests.faults.launchers import both_launchers
from tests.support import study_tools
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at, wait_at

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)

PATIENCE_SECONDS = 100
"""Seconds before a trial that waits for another one fails, and the test with it."""

SAID = """Job aborted due to stage failure: Could not recover from a failed barrier ResultStage. Most recent \
failure reason: Stage failed because barrier task ResultTask(3, 12) finished unsuccessfully.
ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Command exited"""


def killing(directory, depth):
    """An objective whose trial 1 kills an ancestor; trial 0 waits for trial 2, which runs after trial 1."""
    place = str(directory)

    def objective(case):
        import os
        import signal

        import psutil

        if case == 0:
            wait_at(f"{place}/over")
        if case == 1:
            os.kill(psutil.Process().parents()[depth].pid, signal.SIGKILL)
            signal.pause()
        if case == 2:
            signal_at(f"{place}/over")
        return float(case)

    return objective


@pytest.mark.timeout(240)
@both_launchers
@pytest.mark.parametrize(
    "depth",
    [
        pytest.param(1, id="process A"),
        pytest.param(2, id="Spark's Python worker", marks=pytest.mark.slow),
    ],
)
def test_a_long_trial_beside_one_that_takes_its_worker_down(spark, tmp_path, depth, elastic):
    make_fifos(tmp_path, "over")
    trials = SparkTrials(2, spark_session=spark, trial_timeout=PATIENCE_SECONDS, elastic=elastic)
    fmin(killing(tmp_path, depth), CASE, in_order, 3, trials=trials, verbose=False)
    states = [document["state"] for document in trials._dynamic_trials]
    assert states == [JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_DONE]
    kind, text = trials._dynamic_trials[1]["misc"]["error"]
    assert kind == str(TrialLostError)
    assert "3 workers were lost while they ran it" in str(text)


def test_spark_says_which_task_ended_a_barrier_job():
    assert failed_slots(SAID) == (12,)
    assert failed_slots("Job aborted: the executors are gone") == ()


def test_the_reason_of_a_jobs_end_is_what_spark_says():
    calling = "An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe."
    text = f"{calling}\n: org.apache.spark.SparkException: {SAID}\nDriver stacktrace:\n\tat org.apache"
    assert explain(text) == f"SparkException: {SAID.splitlines()[0]}"
