"""The last trials of a search: workers without one leave, and Spark has their slots back meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkopt import fmin
from sparkopt.spark.gang import Gang
from tests.support.study_tools import CASE, in_order, jobs, make_fifos, signal_at, take_ticket, wait_at


def last_one_waits(directory):
    """An objective of which trial 0 says that it is ``there``, and waits for ``go``."""
    place = str(directory)

    def objective(case):
        ran = take_ticket(place)
        if case == 0:
            signal_at(f"{place}/there")
            wait_at(f"{place}/go")
        return {"status": "ok", "loss": float(case), "ran": ran}

    return objective


@pytest.fixture
def search(new_trials, tmp_path):
    """Start a search of three trials whose first one ends last; returns its trials, and its future."""
    make_fifos(tmp_path, "there", "go")
    with ThreadPoolExecutor(1) as threads:

        def start():
            trials = new_trials()
            objective = last_one_waits(tmp_path)
            return trials, threads.submit(fmin, objective, CASE, in_order, 3, trials=trials, verbose=False)

        yield start


def count_on_one_slot(spark):
    """A job of somebody else's; it waits for a slot that is free."""
    return spark.sparkContext.parallelize(range(7), 1).count()


def test_another_job_has_a_slot_while_the_last_trial_runs(spark, search, tmp_path):
    before = jobs(spark)
    trials, running = search()
    wait_at(tmp_path / "there")
    with ThreadPoolExecutor(1) as others:
        try:
            assert others.submit(count_on_one_slot, spark).result(60) == 7
            assert not running.done()
        finally:
            signal_at(tmp_path / "go")
    assert running.result(60) == {"case": 0}
    assert sorted(trials.losses()) == [0, 1, 2]
    tracker = spark.sparkContext.statusTracker()
    statuses = [tracker.getJobInfo(job).status for job in jobs(spark) - before]
    assert statuses == ["SUCCEEDED", "SUCCEEDED"]


def test_a_gang_that_is_lost_then_comes_back_with_one_worker(
    spark, search, workers_of_spark, tmp_path, monkeypatch
):
    sizes, launch = [], Gang.launch

    def launch_and_note(gang):
        sizes.append(gang._size)
        launch(gang)

    monkeypatch.setattr(Gang, "launch", launch_and_note)
    trials, running = search()
    wait_at(tmp_path / "there")
    with ThreadPoolExecutor(1) as others:
        assert others.submit(count_on_one_slot, spark).result(60) == 7
    (last,) = workers_of_spark()
    last.kill()
    wait_at(tmp_path / "there")
    signal_at(tmp_path / "go")
    assert running.result(60) == {"case": 0}
    assert sorted(trials.losses()) == [0, 1, 2]
    assert trials.results[0]["ran"] == 3
    assert sizes == [2, 1]
    assert len(list(Path(tmp_path).glob("ticket-*"))) == 4
