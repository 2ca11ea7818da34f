"""``Tracking(artifacts="direct")``: workers store files themselves, by a share, or by the tracking server."""

from __future__ import annotations

import mlflow
import pytest

from sparkopt import SparkTrials, Tracking, fmin
from sparkopt.errors import TrackingError
from sparkopt.tracking.files import Files
from sparkopt.tracking.reach import check_direct
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import artifacts, children, main_runs


def search(spark, objective):
    trials = SparkTrials(1, spark_session=spark, tracking=Tracking(artifacts="direct"))
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)


@pytest.fixture
def idle_driver(monkeypatch):
    """A driver that stores no files itself."""

    def put(*_):
        raise AssertionError("the driver stores none")

    monkeypatch.setattr(Files, "put", put)


def with_a_file(case):
    import mlflow

    mlflow.log_text("words", "notes/words.txt")
    mlflow.log_metric("own", case)
    return case


def test_workers_store_files_on_a_share(spark, store, idle_driver):
    search(spark, with_a_file)
    (main,) = main_runs(store)
    for tid, run in children(store, main).items():
        assert artifacts(store, run) == ["notes/words.txt"]
        assert (run.info.status, run.data.metrics["own"]) == ("FINISHED", tid)


@pytest.fixture
def guarded(client_behind_proxy, proxy, monkeypatch):
    """A client of a server that has workers store files by a token of their own."""

    def guard(asked):
        stores = asked.method == "PUT" and "mlflow-artifacts" in asked.path and "/fmin/" not in asked.path
        token = "Bearer workers" if stores else "Bearer drivers"
        return None if asked.headers.get("authorization") == token or asked.path == "/" else (401, {})

    proxy.intercept = guard
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "drivers")
    return client_behind_proxy


def with_a_token(case):
    import os

    os.environ["MLFLOW_TRACKING_TOKEN"] = "workers"
    return with_a_file(case)


@pytest.mark.slow
def test_workers_store_files_at_the_tracking_server_with_a_token_of_their_own(
    spark, guarded, proxy, idle_driver
):
    search(spark, with_a_token)
    (main,) = main_runs(guarded)
    found = children(guarded, main)
    assert len(found) == 2
    for run in found.values():
        assert artifacts(guarded, run) == ["notes/words.txt"]
    stored = [each for each in proxy.asked if each.method == "PUT" and each.path.endswith("words.txt")]
    assert [each.body for each in stored] == [b"words"] * 2


@pytest.mark.parametrize("uri", ["dbfs:/databricks/mlflow-tracking/1/2/artifacts", "mlflow-artifacts:/1/2"])
def test_where_the_store_would_be_asked_it_is_refused(uri):
    with pytest.raises(TrackingError, match=f"cannot be used.*{uri}"):
        check_direct(uri)


@pytest.mark.parametrize("uri", ["s3://bucket/1", "/mnt/share/1", "file:///mnt/1", "https://server/api/1"])
def test_elsewhere_it_is_not(uri):
    check_direct(uri)


def test_it_is_refused_before_the_search_and_leaves_no_run_behind(spark, store, monkeypatch):
    experiment = store.create_experiment("far", "dbfs:/databricks/mlflow-tracking/far")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with pytest.raises(TrackingError, match="artifacts='direct'"):
        search(spark, with_a_file)
    assert mlflow.active_run() is None
    (main,) = main_runs(store)
    assert main.info.status == "FAILED"
