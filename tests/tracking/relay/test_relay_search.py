"""Whole searches whose objectives log: it is in the trials' runs, beside what the search logs itself."""

from __future__ import annotations

import hyperopt
import pytest
from hyperopt import pyll
from mlflow import MlflowClient

from sparkopt import SparkTrials, fmin
from tests.support.mlflow_parts import HAS_SKLEARN
from tests.support.study_tools import CASE, in_order
from tests.tracking.logged import check_logged, log_everything
from tests.tracking.runs import artifacts, children, main_runs
from tests.tracking.versions import HAS_LOGGED_MODELS


def test_what_an_objective_logs_is_in_its_trials_run(store, tracked_trials, tmp_path):
    trials = tracked_trials(1)
    fmin(log_everything, CASE, in_order, 2, trials=trials, verbose=False)
    (main,) = main_runs(store)
    found = children_of_search(store, main)
    assert set(found) == {0, 1}
    for case, run in found.items():
        check_logged(store, run, case, tmp_path)
        if HAS_LOGGED_MODELS and HAS_SKLEARN:
            outputs = store.get_run(run.info.run_id).outputs  # a search brings none in MLflow 3.0
            assert [each.model_id for each in outputs.model_outputs] == [trials.results[case]["model"]]


def children_of_search(client, main):
    """A main run's children, and none of its grandchildren."""
    found = client.search_runs([main.info.experiment_id], f"tags.`mlflow.parentRunId` = '{main.info.run_id}'")
    return {int(run.data.tags["tid"]): run for run in found}


@pytest.mark.filterwarnings("ignore:The filesystem tracking backend:FutureWarning")
def test_a_store_of_files(spark, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    client = MlflowClient()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("of files"))
    trials = SparkTrials(1, spark_session=spark, tracking=True)
    fmin(log_everything, CASE, in_order, 1, trials=trials, verbose=False)
    (main,) = main_runs(client)
    check_logged(client, children_of_search(client, main)[0], 0, tmp_path)


def test_a_trial_that_fails_and_one_that_says_otherwise(store, tracked_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        import mlflow

        case = pyll.rec_eval(expr, memo=memo)
        mlflow.log_param("case", f"number {case}")  # the search has logged another value
        mlflow.log_metric("before", 1)
        ctrl.checkpoint({"status": "running", "loss": 9.0})
        if case == 0:
            raise ValueError("as it were")
        return float(case)

    trials = tracked_trials(1)
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
    (main,) = main_runs(store)
    failed, fine = (run for _, run in sorted(children(store, main).items()))
    assert (failed.info.status, fine.info.status) == ("FAILED", "FINISHED")
    assert (failed.data.params["case"], fine.data.params["case"]) == ("0", "1")
    assert (failed.data.metrics["before"], fine.data.metrics["before"]) == (1, 1)
    assert artifacts(store, failed) == ["error.txt"]
    assert trials.losses() == [1.0]


def test_a_run_has_the_losses_that_training_logged_and_then_the_trials_own(store, tracked_trials):
    def objective(case):
        import mlflow

        for epoch in range(3):
            mlflow.log_metric("loss", 90.0 + epoch, step=epoch)
        mlflow.log_metric("far", 90.0, step=2**63 - 1)
        mlflow.log_metric("before", 90.0, step=-5)
        return {"status": "ok", "loss": float(case), "far": 7.0, "before": 8.0, "other": 9.0}

    fmin(objective, CASE, in_order, 2, trials=tracked_trials(1), verbose=False)
    (main,) = main_runs(store)
    for case, run in children(store, main).items():
        found = {name: run.data.metrics[name] for name in ("loss", "far", "before", "other")}
        assert found == {"loss": case, "far": 7.0, "before": 8.0, "other": 9.0}
        history = store.get_metric_history(run.info.run_id, "loss")
        assert {each.step: each.value for each in history} == {0: 90.0, 1: 91.0, 2: 92.0, 3: case}


def test_what_an_objective_took_from_mlflow_before_its_trial_works_in_it(store, tracked_trials):
    from mlflow import active_run, log_metric, start_run  # on the worker: while the objective is unpickled

    def objective(case):
        run_id = active_run().info.run_id
        with start_run() as run:
            log_metric("own", case)
        return {"status": "ok", "loss": float(case), "runs": [run_id, run.info.run_id]}

    trials = tracked_trials(1)
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
    (main,) = main_runs(store)
    for tid, run in children(store, main).items():
        assert trials.results[tid]["runs"] == [run.info.run_id] * 2
        assert run.data.metrics["own"] == tid


def test_a_search_that_is_not_tracked_tells_its_objective_nothing(spark):
    def objective(case):
        import sys

        return {"status": "ok", "loss": 1.0, "loaded": "sparkopt.tracking.trial.objective" in sys.modules}

    trials = SparkTrials(1, spark_session=spark, tracking=False)
    fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
    assert trials.results[0]["loaded"] is False
