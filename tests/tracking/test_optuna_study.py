"""A study of Optuna's in MLflow: its run, a child for each trial, and what they say."""

from __future__ import annotations

import json

import mlflow
import pytest

import sparkopt
from sparkopt import Tracking, WorkerPool
from sparkopt.errors import ArgumentTypeError, TrackingError
from sparkopt.tracking import installed
from sparkopt.tracking.run_records import Create
from sparkopt.tracking.store import Store
from tests.support.mlflow_parts import HAS_PICTURES
from tests.tracking.runs import all_runs, artifacts, children, content, main_runs

optuna = pytest.importorskip("optuna")

from sparkopt.optuna.tracked_study import tracks_itself  # noqa: E402 - needs Optuna
from tests.optuna.studies import shipped  # noqa: E402 - beside what is skipped without Optuna

TEAM = Tracking(tags={"team": "risk"}, metrics=["no such number"])


def objective(trial):
    import mlflow

    x = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("note", [1, 2])
    trial.report(x, 3)
    mlflow.log_metric("half", x / 2)
    trial.suggest_categorical("kind", ["a", None])
    trial.set_user_attr("tid", "mine")
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise ValueError("three is too many")
    return x


@pytest.fixture(autouse=True)
def quiet():
    """Optuna says nothing of trials that end."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def pool(spark):
    with WorkerPool(2, spark_session=spark) as pool:
        yield pool


@pytest.fixture(scope="module")
def made(spark, shared_store):
    """A study that is maximized and has a trial already; of four more one is pruned and one fails."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.create_study(
        study_name="kept", direction="maximize", sampler=optuna.samplers.RandomSampler()
    )
    study.set_user_attr("owner [a team's]", "ann")
    study.add_trial(optuna.trial.create_trial(value=9.0))
    sparkopt.optuna.optimize(
        *(study, shipped(objective), 4),
        parallelism=2,
        spark_session=spark,
        tracking=TEAM,
        catch=ValueError,
    )
    optuna.logging.set_verbosity(before)
    (main,) = main_runs(shared_store)
    return study, main, children(shared_store, main)


def test_the_study_is_a_run_with_its_best_trial(made, shared_store):
    study, main, _ = made
    assert (main.info.run_name, main.info.status) == ("kept", "FINISHED")
    assert mlflow.active_run() is None
    assert main.data.params == {
        "n_trials": "4",
        "timeout": "None",
        "parallelism": "2",
        "actual_parallelism": "2",
        "sampler": "RandomSampler",
        "pruner": "MedianPruner",
    }
    tags = main.data.tags
    assert (tags["study_name"], tags["direction"], tags["owner _a team_s_"]) == ("kept", "MAXIMIZE", "ann")
    assert (tags["runSource"], tags["team"], tags["version.optuna"]) == (
        "sparkopt.optuna",
        "risk",
        optuna.__version__,
    )
    assert len(tags["study_uuid"]) == 6
    assert not {"fmin_uuid", "space"} & tags.keys()
    best = max(study.trials[number].value for number in (1, 4))
    assert main.data.metrics == {
        "best_value": best,
        "best_trial_value": 9.0,
        "successful_trials_count": 2.0,
        "failed_trials_count": 1.0,
        "cancelled_trials_count": 0.0,
        "pruned_trials_count": 1.0,
        "total_trials_count": 4.0,
    }
    assert tags["best_trial_tid"] == "0"
    history = shared_store.get_metric_history(main.info.run_id, "best_value")
    by_step = [metric.value for metric in sorted(history, key=lambda metric: metric.step)]
    assert by_step == sorted(by_step)
    assert json.loads(content(shared_store, main, "optuna/best_trial.json"))["value"] == 9.0
    best, *pictures = artifacts(shared_store, main)
    assert best == "optuna/best_trial.json"
    always = {"optuna/value_by_parameter.png", "optuna/value_over_trials.png"}
    assert set(pictures) >= always if HAS_PICTURES else pictures == []


def test_each_trial_is_a_child_with_the_names_of_mlflow_callback(made, shared_store):
    study, main, found = made
    assert sorted(found) == [1, 2, 3, 4]
    statuses = {number: run.info.status for number, run in found.items()}
    assert statuses == {1: "FINISHED", 2: "KILLED", 3: "FAILED", 4: "FINISHED"}
    for number, run in found.items():
        trial, tags = study.trials[number], run.data.tags
        assert run.info.run_name == f"trial {number}"
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert (tags["number"], tags["state"], tags["direction"]) == (
            str(number),
            trial.state.name,
            "MAXIMIZE",
        )
        assert tags["datetime_start"] == str(trial.datetime_start)
        assert tags["datetime_complete"][:10] == str(trial.datetime_complete)[:10]
        assert tags["x_distribution"] == str(trial.distributions["x"])
        assert tags["kind_distribution"] == str(trial.distributions["kind"])
        assert (tags["note"], tags["user.tid"], tags["tid"]) == ("[1, 2]", "mine", str(number))
        assert (tags["team"], tags["study_uuid"]) == ("risk", main.data.tags["study_uuid"])
        metrics = run.data.metrics
        assert metrics["half"] == trial.params["x"] / 2
        assert metrics["intermediate_value"] == trial.params["x"]
        (report,) = shared_store.get_metric_history(run.info.run_id, "intermediate_value")
        assert report.step == 3
        assert metrics.get("value") == (trial.value if run.info.status == "FINISHED" else None)
    assert b"three is too many" in content(shared_store, found[3], "error.txt")


def test_several_objectives_under_an_active_run(pool, store):
    def several(trial):
        return trial.suggest_float("x", 0, 1), -trial.number

    study = optuna.create_study(directions=["minimize", "maximize"])
    with mlflow.start_run(run_name="mine") as run:
        sparkopt.optuna.optimize(study, several, 3, pool=pool, tracking=True)
        assert mlflow.active_run().info.run_id == run.info.run_id
    (main,) = main_runs(store)
    assert main.info.run_name == "mine"
    assert main.data.tags["direction"] == "['MINIMIZE', 'MAXIMIZE']"
    assert not [name for name in main.data.metrics if "best" in name]
    best = json.loads(content(store, main, "optuna/best_trials.json"))
    assert {int(number) for number in best} == {trial.number for trial in study.best_trials}
    for number, run in children(store, main).items():
        assert [run.data.metrics[f"value_{index}"] for index in range(2)] == study.trials[number].values
        assert "value" not in run.data.metrics


def test_a_trials_run_is_found_again_by_the_name_that_its_study_goes_by(store, target):
    uri, experiment, main = target.uri, target.experiment, target.main
    for identity in ("study_uuid", "fmin_uuid"):
        create = Create(0, "trial 0", 1, {identity: "abc", "tid": "0"})
        Store(uri, experiment, main).write(create)
        again = Store(uri, experiment, main)
        again.write(create, again=True)
        assert again.found == 1
    assert len(all_runs(store)) == 3


def test_an_error_that_ends_the_study_fails_its_run(pool, store):
    def failing(trial):
        raise ZeroDivisionError(trial.suggest_int("x", 7, 7))

    with pytest.raises(ZeroDivisionError):
        sparkopt.optuna.optimize(optuna.create_study(), failing, 1, pool=pool, tracking=True)
    (main,) = main_runs(store)
    (run,) = children(store, main).values()
    assert [each.info.status for each in (main, run)] == ["FAILED", "FAILED"]
    assert (run.data.params, run.data.tags["state"]) == ({"x": "7"}, "FAIL")
    assert mlflow.active_run() is None


def test_without_mlflow_who_asks_for_tracking_is_refused(spark, monkeypatch):
    monkeypatch.setattr(installed, "is_installed", lambda: False)
    study = optuna.create_study()
    with pytest.raises(TrackingError, match=r"tracking=True asks for tracking, and .* has no MLflow"):
        sparkopt.optuna.optimize(
            study, lambda trial: 1.0, 1, parallelism=1, spark_session=spark, tracking=True
        )
    with pytest.raises(ArgumentTypeError, match="tracking"):
        sparkopt.optuna.optimize(
            study, lambda trial: 1.0, 1, parallelism=1, spark_session=spark, tracking="yes"
        )
    assert study.trials == []


def test_a_study_that_mlflow_callback_records_is_not_recorded_twice(pool, store, monkeypatch):
    monkeypatch.setattr("sparkopt.optuna.optimizing.setting", lambda session, name: "true")
    heard = []

    def called(self, study, trial):
        heard.append(trial.number)

    theirs, namesake = (
        type("MLflowCallback", (), {"__module__": module, "__call__": called})()
        for module in ("optuna_integration.mlflow.mlflow", "mine")
    )
    assert (tracks_itself([print, theirs]), tracks_itself([print, namesake])) == (True, False)

    def one(trial):
        return 1.0

    study = optuna.create_study()
    sparkopt.optuna.optimize(study, one, 2, pool=pool, callbacks=[theirs])
    assert (sorted(heard), all_runs(store)) == ([0, 1], [])
    sparkopt.optuna.optimize(study, one, 1, pool=pool, callbacks=[namesake])
    assert len(all_runs(store)) == 2
