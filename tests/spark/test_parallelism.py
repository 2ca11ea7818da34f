"""How many trials may run at once, and what is said about it."""

from __future__ import annotations

import warnings

import pytest

from sparkopt import SparkTrials
from sparkopt.errors import NoSlotsError, ParallelismWarning
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.parallelism import LIMIT, Parallelism, check_slots, decide, decide_parallelism


@pytest.mark.parametrize(
    ("asked", "default", "slots", "used", "most", "reasons"),
    [
        (None, 6, 8, 6, 6, ["parallelism=None means Spark's default parallelism, which is 6"]),
        (0, 6, 8, 6, 6, ["parallelism=0 means"]),
        (-1, 6, 8, 6, 6, ["parallelism=-1 means"]),
        (5, 2, 8, 5, 5, []),
        (8, 2, 8, 8, 8, []),
        (LIMIT, 2, 500, LIMIT, LIMIT, []),
        (200, 2, 500, 128, 128, ["200 is more than the limit of 128"]),
        (5, 2, 4, 4, 5, ["5 is more than the 4 tasks"]),
        (200, 2, 4, 4, 128, ["200 is more than the limit of 128", "128 is more than the 4 tasks"]),
        (None, 300, 500, 128, 128, ["which is 300", "300 is more than the limit of 128"]),
        (None, 6, 2, 2, 6, ["which is 6", "6 is more than the 2 tasks"]),
        (5, 2, 0, 5, 5, []),
        (200, 2, 0, 128, 128, ["limit of 128"]),
        (None, 6, 0, 6, 6, ["which is 6"]),
    ],
)
def test_the_decision_and_its_reasons(asked, default, slots, used, most, reasons):
    decided, why = decide(asked, default, slots)
    assert decided == Parallelism(used, most)
    assert len(why.split("; ")) == max(1, len(reasons))
    for reason in reasons:
        assert reason in why
    assert bool(why) == bool(reasons)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (None, "at most 2 trials at once: parallelism=None means Spark's default parallelism, which is 2"),
        (0, "parallelism=0 means"),
        (-1, "parallelism=-1 means"),
        (5, "at most 2 trials at once: 5 is more than the 2 tasks that Spark can run at once"),
        (200, "200 is more than the limit of 128; 128 is more than the 2 tasks"),
    ],
)
def test_another_number_than_asked_for_is_warned_of(spark, asked, message):
    with pytest.warns(ParallelismWarning, match=message):
        assert decide_parallelism(asked, spark) == (2, 2)


@pytest.mark.parametrize("asked", [1, 2])
def test_the_number_asked_for_is_not(spark, asked):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decide_parallelism(asked, spark) == (asked, asked)


def test_on_a_cluster_more_executors_may_join(spark, monkeypatch):
    monkeypatch.setattr("sparkopt.spark.parallelism.is_local", lambda session: False)
    with pytest.warns(ParallelismWarning, match="Spark can run at once. It will be more, up to 5, if exec"):
        assert decide_parallelism(5, spark) == (2, 5)


def test_the_warning_is_about_the_users_line(spark):
    with pytest.warns(ParallelismWarning) as caught:
        SparkTrials(5, spark_session=spark)
    assert caught[0].filename == __file__


def test_trials_say_what_was_asked_for_and_what_is_used(spark):
    with pytest.warns(ParallelismWarning, match="5 is more than"):
        trials = SparkTrials(5, spark_session=spark)
    assert (trials.user_specified_parallelism, trials.parallelism, trials.max_parallelism) == (5, 2, 2)


def test_workers_fit_the_slots_of_the_moment(spark):
    assert check_slots(Parallelism(1, 1), spark, 0.1) == 1
    with pytest.warns(ParallelismWarning, match="running 2 workers, not 9"):
        assert check_slots(Parallelism(9, 9), spark, 0.1) == 2


def test_executors_that_have_joined_since_are_used(spark):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_slots(Parallelism(1, 9), spark, 0.1) == 2


@pytest.fixture
def no_executor(monkeypatch):
    """What Spark says of a cluster whose executors never come."""
    monkeypatch.setattr("sparkopt.spark.session.slots", lambda session, profile: 0)
    monkeypatch.setattr("sparkopt.spark.session.wait_for_slot", lambda session, seconds: False)


def test_no_slots_at_all(spark, no_executor):
    with pytest.raises(NoSlotsError, match=r"3 workers are to run.* no executor .*60 s .*local\[2\]"):
        check_slots(Parallelism(3, 3), spark, 60)


def test_an_executor_that_comes_late(spark, monkeypatch):
    have = iter([0, 2])
    monkeypatch.setattr("sparkopt.spark.session.slots", lambda session, profile: next(have))
    monkeypatch.setattr("sparkopt.spark.session.wait_for_slot", lambda session, seconds: seconds == 60)
    assert check_slots(Parallelism(2, 2), spark, 60) == 2


def test_a_pool_without_slots_starts_nothing(spark, no_executor):
    with pytest.raises(NoSlotsError), WorkerPool(2, spark_session=spark):
        raise AssertionError("a pool without slots was entered")
