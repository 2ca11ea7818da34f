"""Tracking before a search begins: whether it is on, and stores that cannot be used."""

from __future__ import annotations

import sys

import mlflow
import pytest

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingError
from sparkopt.spark.settings import setting
from sparkopt.tracking.installed import SETTING, wants_tracking
from tests.support.study_tools import CASE, in_order, jobs
from tests.tracking.runs import all_runs, main_runs


@pytest.mark.parametrize(
    ("asked", "value", "wanted"),
    [
        (None, None, True),
        (None, "true", True),
        (None, "False", False),
        (True, "false", True),
        (False, "true", False),
    ],
)
def test_tracking_is_on_unless_it_is_turned_off(spark, asked, value, wanted):
    before = spark.conf.get(SETTING)
    try:
        if value is None:
            spark.conf.unset(SETTING)
        else:
            spark.conf.set(SETTING, value)
        # The tests' own default stays where there is no value.
        assert wants_tracking(asked, lambda: setting(spark, SETTING)) is (
            wanted if value is not None else spark.conf.get(SETTING, "true") != "false"
        )
    finally:
        spark.conf.set(SETTING, before)


def test_a_search_that_is_not_tracked_does_not_load_the_tracker(spark, store, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sparkopt.tracking")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sparkopt.tracking", None)

    def run(**tracking):
        fmin(
            lambda case: case,
            CASE,
            in_order,
            2,
            trials=SparkTrials(1, spark_session=spark, **tracking),
            verbose=False,
        )

    run()
    run(tracking=False)
    with pytest.raises(ImportError):
        run(tracking=True)
    assert all_runs(store) == []


def test_a_store_that_is_down_is_an_error_before_anything_is_launched(spark, tracked_trials, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = jobs(spark)
    with pytest.raises(TrackingError, match=r"http://127.0.0.1:9 cannot be used .*tracking=False"):
        fmin(lambda case: case, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    assert jobs(spark) == before
    assert mlflow.active_run() is None


def test_a_database_that_is_none_is_an_error_before_anything_is_launched(
    spark, tracked_trials, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("no database, but long enough to be looked at as if it were one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file")
    before = jobs(spark)
    with pytest.raises(TrackingError, match=f"sqlite:///{tmp_path}/file cannot be used"):
        fmin(lambda case: case, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    assert jobs(spark) == before


def test_a_store_that_fails_once_the_run_has_begun_leaves_no_run_active(tracked_trials, store, monkeypatch):
    def gone(*arguments, **named):
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("sparkopt.tracking.tracker.Store", gone)
        with pytest.raises(TrackingError, match="ConnectionError: gone"):
            fmin(lambda case: case, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    assert mlflow.active_run() is None
    (main,) = main_runs(store)
    assert main.info.status == "FAILED"
