"""Elastic pools on a local master: each worker is a job of its own, launched and withdrawn as wanted."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import pytest

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.coordinator import ObjectiveSpec
from sparkopt.errors import PoolStartError
from sparkopt.pool import leaving
from sparkopt.spark.gang import Gang
from tests.support.study_tools import CASE, active_jobs, in_order, jobs, make_fifos, meet


@pytest.fixture
def ended(monkeypatch):
    """Launches whose jobs have ended, each with its end."""
    said, run = [], Gang._end_of_job

    def noted(gang):
        end = run(gang)
        said.append((gang.number, gang.generation, end))
        return end

    monkeypatch.setattr(Gang, "_end_of_job", noted)
    return said


def search(trials, count, **more):
    return fmin(lambda case: case, CASE, in_order, count, trials=trials, verbose=False, **more)


def test_there_are_no_more_workers_than_trials(spark):
    before = jobs(spark)
    trials = SparkTrials(2, spark_session=spark, elastic=True)
    search(trials, 1)
    assert trials.losses() == [0]
    assert len(jobs(spark) - before) == 1


def test_a_launch_that_is_not_wanted_any_more_is_withdrawn(spark, tmp_path, ended):
    os.mkfifo(tmp_path / "go")
    os.mkfifo(tmp_path / "there")
    there, go = str(tmp_path / "there"), str(tmp_path / "go")

    def hold(index):
        os.close(os.open(there, os.O_WRONLY))
        os.close(os.open(go, os.O_RDONLY))
        return index

    other = threading.Thread(target=lambda: spark.sparkContext.parallelize([0], 1).map(hold).collect())
    other.start()
    os.close(os.open(there, os.O_RDONLY))
    try:
        trials = SparkTrials(2, spark_session=spark, elastic=True)
        search(trials, 4)  # on the slot that is left
        assert sorted(trials.losses()) == [0, 1, 2, 3]
    finally:
        os.close(os.open(go, os.O_WRONLY))
        other.join()
    ends = {(end.reason, end.preempted) for _, _, end in ended}
    assert ends == {("its job ended", False), ("its launch was withdrawn", True)}


def test_idle_workers_leave_a_pool_and_come_again(spark, ended):
    with WorkerPool(2, spark_session=spark, elastic=True, idle_seconds=0.2) as pool:
        for _ in range(2):
            search(SparkTrials(pool=pool), 2)
            for gang in pool._launches.all():
                assert gang.wait(60)
            assert active_jobs(spark) == set()
    assert {generation for _, generation, _ in ended} >= {1, 2}


def test_a_pool_that_gets_no_slot_says_what_it_asked_for(spark, taken_slots, monkeypatch):
    monkeypatch.setattr(leaving, "_LEAVE_SECONDS", 0.1)
    message = (
        r"did not come up: .* Spark was asked for 2 tasks \(master local\[2\]\), and has 2 slots and has"
        r" started none of them; other jobs of this application hold 2 \(job \d+ \(.*'somebody else'.*\): 2\)"
    )
    with WorkerPool(2, spark_session=spark, elastic=True, start_timeout=0.5) as pool:
        channel = pool.open_study(ObjectiveSpec(b""))
        channel.submit([(0, b""), (1, b"")])
        with pytest.raises(PoolStartError, match=message):
            channel.next_settled()
    assert active_jobs(spark) == taken_slots


def test_the_bar_says_how_many_workers_there_are(spark, tmp_path):
    said = []

    class Bar:
        def __setattr__(self, name, value):
            said.append(value)

        def update(self, n):
            said.append(n)

        def refresh(self):
            pass

    @contextmanager
    def show(initial, total):
        yield Bar()

    make_fifos(tmp_path, "side-0", "side-1")
    place = str(tmp_path)

    def objective(case):
        meet(place, int(case))  # both workers are up
        return case

    trials = SparkTrials(2, spark_session=spark, elastic=True)
    fmin(objective, CASE, in_order, 2, trials=trials, show_progressbar=show)
    waiting = [f"{count} of 2 workers, waiting for executors" for count in range(2)]
    assert said[:3] == [*waiting, "best loss: ?"]
    assert f"best loss: {min(trials.losses())}" in [str(each).partition(",")[0] for each in said[3:]]


def test_broadcast_variables_reach_elastic_workers(spark):
    data = spark.sparkContext.broadcast([3.0, 4.0])
    trials = SparkTrials(2, spark_session=spark, elastic=True)
    fmin(lambda case: sum(data.value), CASE, in_order, 2, trials=trials, verbose=False)
    assert trials.losses() == [7.0, 7.0]
