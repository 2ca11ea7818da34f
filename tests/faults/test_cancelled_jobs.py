"""The Spark job of a search is cancelled by a method of the session's context."""

from __future__ import annotations

import cloudpickle
import psutil
import pytest
from hyperopt.base import JOB_STATE_CANCEL, JOB_STATE_DONE

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import PoolCancelledError
from tests.faults.launchers import both_launchers
from tests.faults.searches import searching
from tests.support import study_tools
from tests.support.study_tools import (
    CASE,
    DEADLINE_SECONDS,
    blocking_from_the_third,
    in_order,
    jobs,
    make_fifos,
    signal_at,
    take_ticket,
    wait_at,
)

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)

TAG = "of-the-user"


def active_jobs(spark):
    jobs(spark)  # waits until Spark's tracker has heard of all
    return sorted(spark.sparkContext.statusTracker().getActiveJobsIds())


def cancel_all(context):
    context.cancelAllJobs()


def cancel_the_job(context):
    (job,) = context.statusTracker().getActiveJobsIds()
    context._jsc.sc().cancelJob(job)


def cancel_by_tag(context):
    context.cancelJobsWithTag(TAG)


@pytest.mark.parametrize(
    ("cancel", "elastic"),
    [
        (cancel_all, False),
        (cancel_the_job, False),
        (cancel_by_tag, False),
        (cancel_by_tag, True),
        pytest.param(cancel_all, True, marks=pytest.mark.slow),
        pytest.param(cancel_the_job, True, marks=pytest.mark.slow),
    ],
)
def test_whoever_cancels_the_job_ends_the_search(spark, tmp_path, cancel, elastic):
    make_fifos(tmp_path, "there", "never")
    context, before = spark.sparkContext, jobs(spark)
    # A trial that is cancelled is not lost, however few workers it may take down.
    trials = SparkTrials(1, spark_session=spark, max_attempts=1, elastic=elastic)
    objective = blocking_from_the_third(tmp_path)
    with searching(trials, objective, tmp_path, lambda: context.addJobTag(TAG)) as running:
        wait_at(tmp_path / "there")
        jobs(spark)
        cancel(context)
        with pytest.raises(
            PoolCancelledError, match=r"Spark job \d+ was cancelled.*Finished trials are kept"
        ):
            running.result(DEADLINE_SECONDS)
    states = [document["state"] for document in trials._dynamic_trials]
    assert states == [JOB_STATE_DONE, JOB_STATE_DONE, JOB_STATE_CANCEL]
    assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
    assert len(jobs(spark) - before) == 1
    fmin(lambda case: -case, CASE, in_order, 3, trials=trials, verbose=False)
    assert trials.losses() == [0, 1, -3]


@both_launchers
def test_the_job_of_one_gang_ends_every_search_of_the_pool(spark, tmp_path, elastic):
    make_fifos(tmp_path, "there-0", "there-1", "never")
    place = str(tmp_path)

    def waiting(side):
        def objective(case):
            import os
            from pathlib import Path

            Path(f"{place}/pid-{side}").write_text(str(os.getpid()))
            signal_at(f"{place}/there-{side}")
            return wait_at(f"{place}/never")

        return objective

    launcher = {"elastic": True} if elastic else {"gang_size": 1}
    with WorkerPool(2, spark_session=spark, **launcher) as pool:
        both = [SparkTrials(pool=pool), SparkTrials(pool=pool)]
        with (
            searching(both[0], waiting(0), tmp_path) as one,
            searching(both[1], waiting(1), tmp_path) as other,
        ):
            evaluators = []
            for side in range(2):
                wait_at(tmp_path / f"there-{side}")
                evaluators.append(psutil.Process(int((tmp_path / f"pid-{side}").read_text())))
            first, _ = active_jobs(spark)
            context, gangs = spark.sparkContext._jsc.sc(), pool._launches.all()
            assert [len(context.statusTracker().getJobIdsForTag(gang.tag)) for gang in gangs] == [1, 1]
            context.cancelJob(first)
            for running in (one, other):
                with pytest.raises(PoolCancelledError, match=f"Spark job {first} was cancelled"):
                    running.result(DEADLINE_SECONDS)
        assert not pool.is_open
        _, alive = psutil.wait_procs(evaluators, DEADLINE_SECONDS)
        assert alive == []
        assert all(gang.wait(DEADLINE_SECONDS) for gang in gangs)
        late = SparkTrials(pool=pool)
        with pytest.raises(PoolCancelledError):
            fmin(lambda case: case, CASE, in_order, 3, trials=late, verbose=False)
        assert late.trials == []
    # One trial ran and one was about to, in each.
    assert {each["state"] for trials in both for each in trials._dynamic_trials} == {JOB_STATE_CANCEL}


@both_launchers
def test_a_gang_that_was_launched_again_still_bears_the_users_tag(spark, workers_of_spark, tmp_path, elastic):
    make_fifos(tmp_path, "there", "again", "never")
    context, place = spark.sparkContext, str(tmp_path)

    def objective(case):
        signal_at(f"{place}/there" if take_ticket(place) == 0 else f"{place}/again")
        return wait_at(f"{place}/never")

    context.addJobTag(TAG)
    try:
        with (
            WorkerPool(1, spark_session=spark, policy=Policy(relaunch_backoff=0.01), elastic=elastic) as pool,
            searching(SparkTrials(pool=pool), objective, tmp_path) as running,
        ):
            wait_at(tmp_path / "there")
            (worker,) = workers_of_spark()
            worker.kill()
            wait_at(tmp_path / "again")
            context.cancelJobsWithTag(TAG)
            with pytest.raises(PoolCancelledError):
                running.result(DEADLINE_SECONDS)
    finally:
        context.removeJobTag(TAG)
