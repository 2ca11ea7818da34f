"""Everything that an objective logs lands in its trial's run, from a worker that knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from sparkopt.core.states import Outcome
from tests.support.mlflow_parts import HAS_PICTURES, HAS_SKLEARN, needs_pictures, needs_sklearn
from tests.tracking.relay.deeds import PIECES, LogsAndReports
from tests.tracking.relay.desk import Done, Logging
from tests.tracking.versions import (
    FINDS_MODELS_OF_STEPS,
    HAS_ASYNCHRONOUS_SETTING,
    HAS_IMAGES_OF_STEPS,
    HAS_LOGGED_MODELS,
    HAS_STACKS_OF_THREADS,
    needs_asynchronous_setting,
    needs_images_of_steps,
    needs_logged_models,
    needs_no_logged_models,
    needs_stacks_of_threads,
)

ONCE = {
    "plain": True,
    "files": True,
    "pictures": HAS_PICTURES,
    "images_of_steps": HAS_PICTURES and HAS_IMAGES_OF_STEPS,
    # Before a model is logged: MLflow imports pip for that, after which setuptools cannot be imported before
    # Python 3.12, and autologging imports it where scikit-learn is older than 1.5.
    "grid": HAS_SKLEARN,
    "model": HAS_SKLEARN and HAS_LOGGED_MODELS,
    "model_of_run": HAS_SKLEARN and not HAS_LOGGED_MODELS,
    "nested": True,
    "threads": True,
    "threads_that_start_runs": HAS_STACKS_OF_THREADS,
    "asynchronous": True,
    "asynchronous_by_setting": HAS_ASYNCHRONOUS_SETTING,
    "forked": True,
    "thousand": True,
    "inputs": True,
    "fail": True,
}
"""Deeds, and whether they can be done with the MLflow that is here."""


@dataclass
class Searched:
    """Studies that have ended."""

    study: Logging
    autologged: list[Done]
    looked: list[Done]
    reporting: Logging


@pytest.fixture(scope="module")
def searched(logging_pool, tmp_path_factory):
    """Every deed; MLflow is loaded by the second of them."""
    with logging_pool() as make_study:
        study = make_study()
        study.do("nothing")
        for name, can_be_done in ONCE.items():
            if can_be_done:
                study.do(name, str(tmp_path_factory.mktemp(name)))
        autologged = [study.do("autolog"), study.do("autolog")] if HAS_SKLEARN else []
        place = str(tmp_path_factory.mktemp("left"))
        looked = [study.do("look"), study.do("leave", place), study.do("look")]
        study.do("refusals", study.desk.runs[study.of("plain").tid])
        reporting = make_study(objective=LogsAndReports())
        reporting.do("anything")
    return Searched(study, autologged, looked, reporting)


@pytest.fixture
def study(searched):
    """The one with most of the deeds."""
    return searched.study


@pytest.fixture
def plain(study):
    """The trial that logs what most do."""
    return study.of("plain")


def test_an_objective_without_mlflow_loads_none_and_asks_nothing(study):
    assert (study.of("nothing").outcome, study.of("nothing").value) == (Outcome.OK, False)
    assert study.of("nothing").tid not in study.desk.runs


def test_a_child_that_the_objective_forks_logs_nothing_and_is_told_so(study):
    said, code = study.of("forked").value
    assert code == 0
    lines = said.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "Only the trial's own process can report and ask" in line
    run = study.desk.run(study.of("forked").tid)
    assert (run.data.params, run.data.metrics) == ({"before": "1"}, {"loss": 1.0})
    assert "child" not in run.data.tags


def test_parameters_metrics_and_tags(study, plain):
    data = study.desk.run(plain.tid).data
    assert data.params == {"depth": "3", "name": "x", "alone": "1.5"}
    assert data.metrics == {"accuracy": 0.75, "rate": 2.0}
    assert data.tags["colour"] == "blue"
    assert "shape" not in data.tags
    history = study.desk.client.get_metric_history(study.desk.runs[plain.tid], "accuracy")
    assert {(each.step, each.value) for each in history} == {(0, 0.5), (3, 0.75)}
    assert [each.timestamp for each in history if each.step == 3] == [1_700_000_000_123]


def test_the_active_run_is_the_trials_and_what_was_logged_can_be_read(study, plain):
    said = plain.value
    assert said["run"] == said["last"] == study.desk.runs[plain.tid]
    assert (said["experiment"], said["named"]) == ("the search", True)
    assert said["params"] == {"depth": "3", "name": "x", "alone": "1.5"}
    assert said["metrics"] == {"accuracy": 0.75, "rate": 2.0}
    assert said["colour"] == "blue"
    assert set(said["history"]) == {(0, 0.5), (3, 0.75)}


def test_a_worker_does_not_learn_where_artifacts_are(study, plain):
    real = study.desk.run(plain.tid).info.artifact_uri
    assert plain.value["artifact_uri"].startswith("sparkopt-trial:")
    assert real.startswith("file:")


def test_what_is_logged_often_goes_together(study, plain):
    methods = [method for tid, method in study.desk.methods if tid == plain.tid]
    assert methods.count("LogBatch") <= 2  # MLflow may be loaded for longer than what is logged waits
    others = [method for method in methods if method != "LogBatch"]
    assert others == ["run.brief", "run", "DeleteTag", "GetRun", "GetMetricHistory", "GetRun"]


def test_files_and_directories(study, tmp_path):
    done = study.of("files")
    assert done.outcome is Outcome.OK, done.said
    desk, run_id = study.desk, study.desk.runs[done.tid]
    assert desk.files(run_id) == [
        "big/large.bin",
        "d.json",
        "dir/below/two.txt",
        "dir/one.txt",
        "many/below/two.txt",
        "many/one.txt",
        "t.json",
        "texts/a.txt",
    ]
    assert desk.content(run_id, "texts/a.txt", tmp_path) == b"some text"
    assert desk.content(run_id, "big/large.bin", tmp_path) == PIECES
    assert desk.content(run_id, "many/below/two.txt", tmp_path) == b"two"
    assert b'[3,"c"]' in desk.content(run_id, "t.json", tmp_path)
    assert done.value == {
        "large": True,
        "text": "some text",
        "listed": ["dir/below", "dir/one.txt"],
        "whole": ["below/two.txt", "one.txt"],
    }


@needs_pictures
def test_pictures(study, tmp_path):
    done = study.of("pictures")
    assert done.outcome is Outcome.OK, done.said
    desk, run_id = study.desk, study.desk.runs[done.tid]
    assert desk.files(run_id) == ["f.png", "i.png"]
    for name in desk.files(run_id):
        assert desk.content(run_id, name, tmp_path)[:4] == b"\x89PNG"


@needs_pictures
@needs_images_of_steps
def test_images_of_steps(study):
    done = study.of("images_of_steps")
    assert done.outcome is Outcome.OK, done.said
    files = study.desk.files(study.desk.runs[done.tid])
    assert len(files) == 2  # the image, and a small one
    assert all(name.startswith("images/steps") for name in files)


@needs_sklearn
@needs_logged_models
def test_models(study):
    done = study.of("model")
    assert done.outcome is Outcome.OK, done.said
    run_id, model_id = study.desk.runs[done.tid], done.value["model"]
    assert done.value["predictions"] == pytest.approx([6, 6])
    assert done.value["found"] == [model_id]
    assert done.value["last"] == model_id
    model = study.desk.client.get_logged_model(model_id)
    assert (model.source_run_id, model.tags["kind"], model.params["p"]) == (run_id, "linear", "1")
    metrics = {"of the model": 1.0, **({"of its step": 2.0} if FINDS_MODELS_OF_STEPS else {})}
    assert {each.key: each.value for each in model.metrics} == metrics
    mlflow.set_tracking_uri(study.desk.client.tracking_uri)
    try:
        for address in (f"models:/{model_id}", f"runs:/{run_id}/model"):
            assert mlflow.sklearn.load_model(address).predict([[3.0]]) == pytest.approx(6)
        assert mlflow.models.get_model_info(f"models:/{model_id}").run_id == run_id
    finally:
        mlflow.set_tracking_uri(None)
    described = mlflow.artifacts.download_artifacts(f"{model.artifact_location}/MLmodel")
    said = Path(described).read_text()
    assert "sparkopt-trial:" not in said
    assert model.artifact_location in said


@needs_sklearn
@needs_no_logged_models
def test_models_of_runs(study):
    done = study.of("model_of_run")
    assert done.outcome is Outcome.OK, done.said
    assert done.value == pytest.approx(6)
    run = study.desk.run(done.tid)
    assert "model" in run.data.tags["mlflow.log-model.history"]
    mlflow.set_tracking_uri(study.desk.client.tracking_uri)
    try:
        address = f"runs:/{run.info.run_id}/model"
        assert mlflow.sklearn.load_model(address).predict([[3.0]]) == pytest.approx(6)
        said = Path(mlflow.artifacts.download_artifacts(f"{address}/MLmodel")).read_text()
    finally:
        mlflow.set_tracking_uri(None)
    assert "sparkopt-trial:" not in said


@needs_sklearn
def test_autologging_stays_on_for_the_next_trial_of_a_process(study, searched):
    first, second = searched.autologged
    assert first.value == second.value  # the process
    for done in (first, second):
        assert done.outcome is Outcome.OK, done.said
        run = study.desk.run(done.tid)
        assert run.data.params["C"] == "0.5"
        assert run.data.metrics["training_score"] == 1.0
        assert "training_confusion_matrix.png" in study.desk.files(run.info.run_id)
        assert [each.dataset.name for each in run.inputs.dataset_inputs] != []


@needs_sklearn
def test_autologged_searches_have_runs_of_their_own(study):
    done = study.of("grid")
    assert done.outcome is Outcome.OK, done.said
    run = study.desk.run(done.tid)
    assert run.data.params["best_alpha"] == "0.1"
    children = study.desk.children(run.info.run_id)
    assert sorted(child.data.params["alpha"] for child in children) == ["0.1", "1.0"]
    assert {child.info.status for child in children} == {"FINISHED"}


def test_nested_runs(study):
    done = study.of("nested")
    assert done.outcome is Outcome.OK, done.said
    outer, again, child, grandchild = done.value
    desk = study.desk
    assert outer == again == desk.runs[done.tid]
    run = desk.run(done.tid)
    assert run.data.params == {"inside": "1", "outside": "2", "after the end": "3"}
    assert run.info.status == "RUNNING"  # how it ends is for the driver to say
    children = {each.info.run_name: each for each in desk.children(outer)}
    named = children["child"]
    assert (named.info.run_id, named.info.status, named.data.metrics) == (child, "FINISHED", {"below": 1.0})
    assert desk.files(child) == ["c.txt"]
    assert named.data.tags["mlflow.user"] == "ann"
    assert [each.info.run_id for each in desk.children(child)] == [grandchild]
    assert desk.client.get_run(grandchild).data.params == {"deep": "yes"}
    assert children["left open"].info.status == "FINISHED"
    assert sorted(each.info.status for each in children.values()) == [
        "FAILED",
        "FINISHED",
        "FINISHED",
        "RUNNING",
    ]
    assert children["by the client"].info.status == "RUNNING"
    desk.relay.settle(done.tid)
    ended = desk.client.get_run(children["by the client"].info.run_id)
    assert (ended.info.status, ended.data.params) == ("KILLED", {"p": "1"})
    assert ended.info.end_time is not None


def test_threads(study):
    done = study.of("threads")
    assert (done.outcome, done.value) == (Outcome.OK, True), done.said
    data = study.desk.run(done.tid).data
    assert data.params == {f"p{number}": str(number) for number in range(8)}
    assert data.metrics == {**{f"m{number}": float(number) for number in range(8)}, "late": 1.0}
    assert study.desk.children(study.desk.runs[done.tid]) == []


@needs_stacks_of_threads
def test_threads_that_start_runs(study):
    done = study.of("threads_that_start_runs")
    assert (done.outcome, done.value) == (Outcome.OK, True), done.said
    assert study.desk.run(done.tid).data.params == {f"p{number}": str(number) for number in range(8)}
    assert study.desk.children(study.desk.runs[done.tid]) == []


def test_asynchronous_logging(study):
    done = study.of("asynchronous")
    assert done.outcome is Outcome.OK, done.said
    run = study.desk.run(done.tid)
    assert run.data.params == {"a": "1", "b": "2"}
    assert run.data.metrics == {"m": 19.0}
    assert run.data.tags["t"] == "v"
    assert len(study.desk.client.get_metric_history(run.info.run_id, "m")) == 20


@needs_asynchronous_setting
def test_logging_that_is_asynchronous_by_a_setting(study):
    done = study.of("asynchronous_by_setting")
    assert done.outcome is Outcome.OK, done.said
    assert study.desk.run(done.tid).data.metrics == {"later": 1.0}


def test_a_thousand_calls_are_a_few_requests(study):
    done = study.of("thousand")
    assert done.outcome is Outcome.OK, done.said
    methods = [method for tid, method in study.desk.methods if tid == done.tid]
    assert methods.count("LogBatch") <= 3  # one in a second, and one each thousand
    history = study.desk.client.get_metric_history(study.desk.runs[done.tid], "m")
    assert [each.step for each in history] == list(range(1000))


def test_datasets(study):
    done = study.of("inputs")
    assert done.outcome is Outcome.OK, done.said
    (given,) = study.desk.run(done.tid).inputs.dataset_inputs
    assert given.dataset.name == "points"
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_what_a_failed_trial_logged_counts(study):
    done = study.of("fail")
    assert done.outcome is Outcome.FAILED
    assert done.said.splitlines()[1].endswith("in do")  # its author's frames only
    run_id = study.desk.runs[done.tid]
    assert study.desk.run(done.tid).data.params == {"before": "1"}
    assert [each.info.status for each in study.desk.children(run_id)] == ["FAILED"]


def test_a_trial_finds_nothing_of_the_one_before(study, searched):
    before, left, after = searched.looked
    for done in (before, after):
        assert done.value["run"] == done.value["last"] == study.desk.runs[done.tid]
        assert (done.value["uri"], done.value["model"]) == ("sparkopt-trial:", None)
        assert study.desk.run(done.tid).data.params == {"seen": "1"}
    assert before.value["pid"] == after.value["pid"]
    (nested,) = study.desk.children(study.desk.runs[left.tid])
    assert (nested.info.status, nested.data.params) == ("FINISHED", {"before": "1"})


def test_what_is_not_relayed_fails_at_once_and_says_so(study, plain):
    done = study.of("refusals")
    assert done.outcome is Outcome.OK, done.said
    said = done.value
    assert all(text.startswith("MlflowException: ") for text in said.values()), said
    for name in ("registry", "registry client"):
        assert "Register the best one on the driver" in said[name]
    others = {"traces", "traced", "span", "feedback", "runs", "new experiment", "experiment tag", "server"}
    assert others <= said.keys() or not HAS_LOGGED_MODELS
    for name in others & said.keys():
        # Older versions of MLflow take no feedback outside of Databricks.
        theirs = name == "feedback" and "only available for Databricks" in said[name]
        assert theirs or "Do it on the driver, before or after fmin" in said[name]
    assert "knows no experiment 'another'" in said["experiment"]
    assert "Changing param values is not allowed" in said["param"]
    assert "m[1]" in said["key"]
    for name in ("another's run", "another's artifact", "another's metric"):
        assert "refused: run" in said[name]
    assert "leads out" in said["up"] or "Invalid" in said["up"]
    assert "No such artifact" in said["no file"]
    assert study.desk.run(done.tid).data.params == {"p": "1"}
    assert "m" not in study.desk.run(plain.tid).data.metrics
    assert study.desk.files(study.desk.runs[plain.tid]) == []


def test_an_objective_that_reports_may_log_as_well(searched):
    study = searched.reporting
    (done,) = study.done
    assert (done.outcome, done.value) == (Outcome.OK, study.desk.runs[0]), done.said
    assert study.desk.run(0).data.params == {"before": "1", "after": "2"}
