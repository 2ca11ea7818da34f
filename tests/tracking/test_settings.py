"""``Tracking(...)``: what may be set, and what a search does with it."""

from __future__ import annotations

import pickle

import mlflow
import pytest

from sparkopt import SparkTrials, Tracking, fmin
from sparkopt.errors import ArgumentTypeError, ArgumentValueError, TrackingError
from sparkopt.tracking.store import remedy_for
from sparkopt.tracking.tracking_settings import OUR_TAGS
from tests.support import mlflow_parts
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import all_runs, artifacts, children, main_runs
from tests.tracking.versions import needs_bounded_names


@pytest.fixture
def search(spark, store):
    """Runs a search of three trials with settings."""

    def run(objective=lambda case: {"status": "ok", "loss": case, "f1": 0.5, "auc": 0.25}, **settings):
        trials = SparkTrials(1, spark_session=spark, tracking=Tracking(**settings))
        fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
        return trials

    return run


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"experiment": 7}, ArgumentTypeError, "experiment must be a name or None"),
        ({"run_name": " "}, ArgumentValueError, "run_name must be a name or None"),
        ({"tags": {"a": 1}}, ArgumentTypeError, "tags must be a mapping of names to texts"),
        ({"tags": ["a"]}, ArgumentTypeError, "tags must be a mapping"),
        ({"tags": {"tid": "9"}}, ArgumentValueError, "tag must be another than 'tid', which a search sets"),
        ({"tags": {"Trial_Status ": "x"}}, ArgumentValueError, "another than 'trial_status'"),
        ({"tags": {"mlflow.runName": "x"}}, ArgumentValueError, "set run_name"),
        ({"tags": {"mlflow.parentRunId": "x"}}, ArgumentValueError, "set nested"),
        ({"lanes": 0}, ArgumentValueError, "lanes must be a whole number from 1 to 256"),
        ({"lanes": 1000}, ArgumentValueError, "lanes must be a whole number from 1 to 256"),
        ({"artifacts": "both"}, ArgumentValueError, "artifacts must be 'relay' or 'direct'"),
        ({"metrics": "loss"}, ArgumentTypeError, "metrics must be a collection of names"),
        ({"nested": "yes"}, ArgumentTypeError, "nested must be True or False"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, error, said):
    with pytest.raises(error, match=said):
        Tracking(**settings)


def test_settings_are_values():
    settings = Tracking(tags={"a": "b"}, lanes=4)
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(AttributeError):
        settings.lanes = 5  # type: ignore[misc]


def test_tracking_is_a_flag_or_settings(spark):
    with pytest.raises(ArgumentTypeError, match="tracking must be None, True, False or a Tracking"):
        SparkTrials(1, spark_session=spark, tracking="yes")
    with pytest.raises(ArgumentTypeError, match=r"got the class Tracking: make one: Tracking\(\.\.\.\)"):
        SparkTrials(1, spark_session=spark, tracking=Tracking)


def test_names_tags_and_metrics(search, store):
    search(experiment="by name", run_name="mine", tags={"team": "risk"}, metrics=["f1"], lanes=2)
    experiment = store.get_experiment_by_name("by name")
    runs = store.search_runs([experiment.experiment_id])
    (main,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert (main.info.run_name, main.data.tags["team"]) == ("mine", "risk")
    assert len(runs) == 4
    for run in runs:
        assert run.data.tags["team"] == "risk"
        assert {name for name in run.data.tags if "mlflow." not in name} <= {"team", *OUR_TAGS}
        if run.info.run_id != main.info.run_id:
            assert run.data.metrics.keys() == {"loss", "f1", "seconds"}
    search(experiment="by name")
    assert len(store.search_runs([experiment.experiment_id])) == 8


def test_runs_that_are_not_nested_share_a_tag(search, store):
    search(nested=False)
    runs = main_runs(store)
    assert len(runs) == 4
    assert len({run.data.tags["fmin_uuid"] for run in runs}) == 1


def test_an_active_run_of_another_experiment_is_refused(search, store):
    with mlflow.start_run() as run:
        with pytest.raises(TrackingError, match=f"run {run.info.run_id} is active.*'elsewhere'"):
            search(experiment="elsewhere")
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert store.get_run(run.info.run_id).info.status == "FINISHED"


def test_an_experiment_that_is_deleted_is_to_be_restored(search, store):
    gone = store.create_experiment("gone")
    store.delete_experiment(gone)
    with pytest.raises(TrackingError, match=rf"'gone'.*deleted: restore it.*\('{gone}'\).*or name another"):
        search(experiment="gone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_EXPERIMENT_ID", gone)
        with pytest.raises(TrackingError, match=r"It answers: fix what it refuses, .*restore_experiment"):
            search()
    assert all_runs(store) == []


@needs_bounded_names
@pytest.mark.skipif(not mlflow_parts.HAS_DATABASES, reason=mlflow_parts.NO_DATABASES)
def test_a_name_that_the_store_refuses_is_to_be_another(search, store):
    with pytest.raises(TrackingError, match=r"no experiment named 'xxx.*characters.* Name another"):
        search(experiment="x" * 600)


def test_an_experiment_that_another_search_makes_meanwhile_is_taken(search, store, monkeypatch):
    look, seen = mlflow.MlflowClient.get_experiment_by_name, []

    def just_before(client, name):
        found = look(client, name)
        if not seen:
            seen.append(client.create_experiment(name))
        return found

    monkeypatch.setattr(mlflow.MlflowClient, "get_experiment_by_name", just_before)
    search(experiment="new")
    assert len(store.search_runs(seen)) == 4


def with_a_file(case):
    import mlflow

    mlflow.log_text("words", "notes/words.txt")
    return case


@pytest.fixture
def guarded(proxy, client_behind_proxy, monkeypatch):
    """A client of a server that wants a token from others, out of MLflow's environment variable."""
    proxy.intercept = lambda asked: (
        None if asked.headers.get("authorization") == "Bearer s3cret" or asked.path == "/" else (401, {})
    )
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret")
    return client_behind_proxy


@pytest.mark.slow
def test_a_store_that_wants_a_token(spark, guarded, monkeypatch):
    trials = SparkTrials(1, spark_session=spark, tracking=True)
    fmin(with_a_file, CASE, in_order, 2, trials=trials, verbose=False)
    (main,) = main_runs(guarded)
    for run in children(guarded, main).values():
        assert artifacts(guarded, run) == ["notes/words.txt"]
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "another")
    with pytest.raises(TrackingError, match=r"cannot be used.*set the credentials"):
        fmin(with_a_file, CASE, in_order, 2, trials=SparkTrials(1, spark_session=spark, tracking=True))


def test_a_setting_that_mlflow_cannot_read_is_no_answer_of_the_store():
    assert "It answers" not in remedy_for(ValueError("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR is no number"))
