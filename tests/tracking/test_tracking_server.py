"""Tracking to a real MLflow server over http, also to one that goes away."""

from __future__ import annotations

import pytest

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingWarning
from sparkopt.tracking import versions, writer
from sparkopt.tracking.record_replay import replay
from tests.support.mlflow_parts import HAS_PICTURES
from tests.support.study_tools import CASE, in_order
from tests.tracking.logged import check_logged, log_everything
from tests.tracking.runs import artifacts, children, main_runs
from tests.tracking.versions import PRINTS_ADDRESSES


def test_a_search_over_http(spark, client, capsys):
    trials = SparkTrials(2, spark_session=spark, tracking=True)
    fmin(lambda case: case, CASE, in_order, 5, trials=trials, verbose=False)
    (main,) = main_runs(client)
    found = children(client, main)
    assert main.info.status == "FINISHED"
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(5)}
    assert all(run.info.status == "FINISHED" for run in found.values())
    assert all(run.info.start_time <= run.info.end_time <= main.info.end_time for run in found.values())
    assert ("fmin/loss_over_trials.png" in artifacts(client, main)) is HAS_PICTURES
    # One line and another for the study's own run, and none for its children.
    assert capsys.readouterr().out.count("View run") == PRINTS_ADDRESSES


def test_what_objectives_log_over_http(spark, client, tmp_path, capsys):
    trials = SparkTrials(1, spark_session=spark, tracking=True)
    fmin(log_everything, CASE, in_order, 1, trials=trials, verbose=False)
    (main,) = main_runs(client)
    found = client.search_runs([main.info.experiment_id], f"tags.`mlflow.parentRunId` = '{main.info.run_id}'")
    check_logged(client, found[0], 0, tmp_path)
    assert capsys.readouterr().out.count("View run") == PRINTS_ADDRESSES


def test_a_server_that_goes_away_in_mid_search_loses_nothing(spark, server, client, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE", 0.0)

    def early_stop(trials, *rest):
        if len(trials.trials) == 2:
            server.kill()
        return False, rest

    def objective(case):
        import mlflow

        mlflow.log_params({"own": case})
        mlflow.log_metric("own", case)
        return case

    trials = SparkTrials(1, spark_session=spark, tracking=True)
    with pytest.warns(TrackingWarning, match=r"`sparkopt replay sparkopt-mlflow-\w+\.jsonl`"):
        best = fmin(objective, CASE, in_order, 6, trials=trials, early_stop_fn=early_stop, verbose=False)
    assert best == {"case": 0}
    assert trials.count_successful_trials() == 6
    (kept,) = tmp_path.glob("sparkopt-mlflow-*.jsonl")
    server.start()
    # As `sparkopt replay --tracking-uri` does it, in a process of its own whose current store is another.
    versions.forget_repositories()
    with monkeypatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI")
        replay(kept, server.uri)
    (main,) = main_runs(client)
    assert main.info.status == "FINISHED"
    found = children(client, main)
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(6)}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    for tid, run in found.items():  # what the objective logged as well
        assert (run.data.params["own"], run.data.metrics["own"]) == (str(tid), tid)
    assert main.data.metrics["total_trials_count"] == 6
    assert ("fmin/loss_over_trials.png" in artifacts(client, main)) is HAS_PICTURES
