"""A pool whose workers do not come up, or are killed."""

from __future__ import annotations

import math
import os
import socket
import threading
from contextlib import contextmanager

import pytest
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR
from pyspark import SparkContext

from sparkopt import SparkTrials, fmin
from sparkopt.coordinator import Coordinator, ObjectiveSpec
from sparkopt.core.events import GangProgressed
from sparkopt.core.records import Policy
from sparkopt.errors import ArgumentTypeError, PoolStartError, RefusedError, TrialLostError
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.gang import Gang
from sparkopt.worker.spec import Endpoint
from tests.support.study_tools import CASE, active_jobs, in_order, jobs, make_fifos, meet


def fail_to_start(spark, **arguments):
    message = (
        r"did not come up: .* 2 slots are needed at once. Spark has 2, of which other jobs of this"
        r" application hold 2 \(job \d+ \(.*'somebody else'.*\): 2\), and 0 are free"
    )
    with WorkerPool(2, spark_session=spark, **arguments) as pool:
        channel = pool.open_study(ObjectiveSpec(b""))
        with pytest.raises(PoolStartError, match=message):
            channel.next_settled()


@pytest.fixture
def impatient(monkeypatch):
    """Workers that never came need no time to leave."""
    monkeypatch.setattr("sparkopt.pool.leaving._LEAVE_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("arguments", [{"policy": Policy(start=0.5)}, {"start_timeout": 0.5}])
def test_slots_that_another_job_holds(spark, taken_slots, arguments):
    assert len(taken_slots) == 1
    fail_to_start(spark, **arguments)
    assert active_jobs(spark) == taken_slots


@pytest.mark.usefixtures("impatient", "taken_slots")
def test_a_search_that_other_jobs_leave_no_slots_waits_as_long_as_it_was_told(spark):
    trials = SparkTrials(2, spark_session=spark, start_timeout=0.5)
    with pytest.raises(PoolStartError, match="'somebody else'"):
        fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)


@pytest.mark.usefixtures("impatient")
def test_a_job_that_is_submitted_after_it_was_cancelled(spark, taken_slots, monkeypatch):
    cancelled = threading.Event()
    cancel, collect = SparkContext.cancelJobsWithTag, Gang._collect

    def cancel_and_say_so(context, tag):
        cancel(context, tag)
        cancelled.set()

    def collect_late(gang):
        assert cancelled.wait(60)
        collect(gang)

    monkeypatch.setattr(SparkContext, "cancelJobsWithTag", cancel_and_say_so)
    monkeypatch.setattr(Gang, "_collect", collect_late)
    fail_to_start(spark, start_timeout=0.5)
    assert active_jobs(spark) == taken_slots


@pytest.mark.usefixtures("impatient")
def test_tasks_that_run_and_do_not_reach_the_driver(spark, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        nowhere = Endpoint(address, "token", None)
        monkeypatch.setattr(WorkerPool, "_endpoint_for", lambda pool, gang: nowhere)
        with WorkerPool(2, spark_session=spark, start_timeout=1) as pool:
            channel = pool.open_study(ObjectiveSpec(b""))
            with pytest.raises(PoolStartError, match="Spark runs 2 of the 2 tasks, so they have slots"):
                channel.next_settled()


def test_tasks_that_fail_before_there_is_a_worker_are_told_by_their_error(spark, monkeypatch):
    monkeypatch.setattr(WorkerPool, "_endpoint_for", lambda pool, gang: None)
    with WorkerPool(2, spark_session=spark) as pool:
        channel = pool.open_study(ObjectiveSpec(b""))
        with pytest.raises(
            PoolStartError, match=r"did not come up: .*could not go on: [^.]*\. The exec"
        ) as said:
            channel.next_settled()
    assert "slots" not in str(said.value)


def test_tasks_that_start_are_progress(spark, monkeypatch):
    heard, post_event = threading.Event(), Coordinator.post_event

    def noted(coordinator, event):
        post_event(coordinator, event)
        if isinstance(event, GangProgressed):
            heard.set()

    monkeypatch.setattr(Coordinator, "post_event", noted)
    monkeypatch.setattr("sparkopt.pool.worker_pool._LOOK_SECONDS", 0.05)
    with WorkerPool(2, spark_session=spark):
        assert heard.wait(60)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, "60", True, [60]])
def test_a_patience_that_is_none_is_refused(spark, seconds):
    for refuse in (WorkerPool, SparkTrials):
        with pytest.raises(RefusedError, match="start_timeout must be None or a positive number"):
            refuse(2, spark_session=spark, start_timeout=seconds)


def test_the_patience_of_a_pool_is_not_the_trials_to_choose(spark):
    pool = WorkerPool(2, spark_session=spark)
    with pytest.raises(RefusedError, match="start_timeout is the pool's"):
        SparkTrials(pool=pool, start_timeout=5)
    with pytest.raises(RefusedError, match="parallelism, control and start_timeout are the pool's"):
        SparkTrials(2, pool=pool, start_timeout=5, control=True)
    with pytest.raises(ArgumentTypeError, match=r"the class WorkerPool: make one: WorkerPool\(...\)"):
        SparkTrials(pool=WorkerPool)


def test_the_bar_counts_workers_until_all_are_there_or_there_is_a_result(spark, tmp_path):
    said = []

    class Bar:
        def __setattr__(self, name, value):
            said.append(value)

        def update(self, n):
            said.append(n)

        def refresh(self):
            said.append("drawn")

    @contextmanager
    def show(initial, total):
        yield Bar()

    make_fifos(tmp_path, "side-0", "side-1")
    place = str(tmp_path)

    def objective(case):
        meet(place, int(case))  # both workers are up
        return case

    trials = SparkTrials(2, spark_session=spark)
    fmin(objective, CASE, in_order, 2, trials=trials, show_progressbar=show)
    starting = [f"starting workers: {count} of 2" for count in range(2)]
    assert said[:6] == [starting[0], "drawn", starting[1], "drawn", "best loss: ?", "drawn"]
    assert said[6] in {f"best loss: {loss}" for loss in trials.losses()}
    assert said[7:] == [1, f"best loss: {min(trials.losses())}", 1]


def test_a_gang_that_is_killed_is_launched_again(spark, workers_of_spark, tmp_path, monkeypatch):
    place = str(tmp_path)
    relaunched, launch = threading.Event(), Gang.launch

    def launch_and_say_so(gang):
        launch(gang)
        if gang._spec.generation == 2:
            relaunched.set()

    monkeypatch.setattr(Gang, "launch", launch_and_say_so)

    make_fifos(tmp_path, "side-0", "side-1")

    def objective(case):
        import tempfile

        os.close(tempfile.mkstemp(dir=place, prefix=f"{int(case)}-")[0])
        if case < 2:
            meet(place, int(case))  # both workers are up
        return case

    def kill(trials, count=0):
        if count == 3:
            victims = workers_of_spark()
            assert len(victims) == 2
            victims[0].kill()
            assert relaunched.wait(60)
        return False, [count + 1]

    before = jobs(spark)
    trials = SparkTrials(2, spark_session=spark)
    fmin(objective, CASE, in_order, 30, trials=trials, verbose=False, early_stop_fn=kill)
    assert [document["tid"] for document in trials._dynamic_trials] == list(range(30))
    assert {document["state"] for document in trials._dynamic_trials} == {JOB_STATE_DONE}
    assert trials.losses() == [float(case) for case in range(30)]
    ran = {path.name.split("-")[0] for path in tmp_path.iterdir()} - {"side"}
    assert ran == {str(case) for case in range(30)}
    assert len(jobs(spark) - before) == 2


def test_a_trial_that_kills_every_worker_is_lost_and_the_search_goes_on(spark, tmp_path):
    never, place = str(tmp_path / "never"), str(tmp_path)
    os.mkfifo(never)

    def objective(case):
        import tempfile

        import psutil

        if case == 1:
            os.close(tempfile.mkstemp(dir=place, prefix="victim-")[0])
            # The nursery, process A, and then the one that is Spark's.
            psutil.Process().parents()[2].kill()
            os.close(os.open(never, os.O_RDONLY))
        return case

    before = jobs(spark)
    trials = SparkTrials(1, spark_session=spark, max_attempts=2)
    fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    assert trials.losses() == [0, 2, 3]
    (lost,) = [each for each in trials._dynamic_trials if each["state"] == JOB_STATE_ERROR]
    assert lost["tid"] == 1
    assert lost["misc"]["error"][0] == str(TrialLostError)
    assert (trials.count_lost_trials(), trials.count_failed_trials()) == (1, 1)
    assert lost["misc"]["error"][1]
    assert len(list(tmp_path.glob("victim-*"))) == 2
    assert len(jobs(spark) - before) == 3
