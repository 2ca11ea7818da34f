"""A gang whose launch fails in ways that nobody thinks of: its end is told, whatever ends its thread."""

from __future__ import annotations

import threading

import pytest
from py4j.protocol import Py4JNetworkError

from sparkopt import SparkTrials, fmin
from sparkopt.errors import PoolStartError
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark import gang, job_ends, versions
from sparkopt.spark.gang import Gang
from sparkopt.spark.job_ends import job_end_of
from tests.support.study_tools import CASE, in_order


def raising(error):
    def fail(*arguments):
        raise error

    return fail


@pytest.fixture
def tasks_that_fail(monkeypatch):
    """Workers that fail at once, as they are not told where the driver is."""
    monkeypatch.setattr(WorkerPool, "_endpoint_for", lambda pool, number: None)


def search_fails(spark, message):
    # One worker: of two, Spark kills the other one wherever it is, perhaps before it can clean up.
    trials = SparkTrials(1, spark_session=spark)
    with pytest.raises(PoolStartError, match=message):
        fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)


@pytest.mark.usefixtures("tasks_that_fail")
@pytest.mark.parametrize(
    ("place", "name"),
    [
        (job_ends, "is_stopped"),
        (versions, "cancelled_job"),
        (job_ends, "failed_slots"),
        (job_ends, "explain"),
    ],
)
def test_what_spark_says_of_the_end_cannot_be_read(spark, monkeypatch, place, name):
    monkeypatch.setattr(place, name, raising(AttributeError("of another version")))
    search_fails(spark, r"did not come up: .*no more is known of it: AttributeError: of another version")


@pytest.mark.usefixtures("tasks_that_fail")
@pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit("a bug")])
def test_the_end_is_not_worked_out_at_all(spark, monkeypatch, error):
    monkeypatch.setattr(gang, "job_end_of", raising(error))
    search_fails(spark, rf"did not come up: {type(error).__name__}: a bug")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("no more of that"), "no more of that"),
    ],
)
@pytest.mark.parametrize("method", ["_collect", "_collect_tagged"])
def test_the_job_is_not_submitted(spark, monkeypatch, error, said, method):
    monkeypatch.setattr(Gang, method, raising(error))
    search_fails(spark, rf"did not come up: {said}\.")


@pytest.mark.parametrize("suffix", ["", "-start"])
def test_the_system_has_no_more_threads(spark, monkeypatch, suffix):
    start = threading.Thread.start

    def start_others(thread):
        if thread.name == f"sparkopt-gang0.1{suffix}":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_others)
    search_fails(spark, r"did not come up: .*can't start new thread")


class Mute(Exception):
    """An error that fails to say what it is, as py4j's do when their JVM is gone."""

    def __str__(self):
        raise Py4JNetworkError("the JVM is gone")


def test_an_error_that_cannot_say_what_it_is(spark):
    end = job_end_of(spark, Mute())
    assert end.reason.startswith("Mute (no more is known of it: Py4JNetworkError")
    assert not end.wanted
