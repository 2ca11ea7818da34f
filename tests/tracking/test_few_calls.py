"""Calls of MLflow's that are there without it: what they take and send, and what they leave to it."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from mlflow.protos.service_pb2 import LogBatch
from mlflow.utils import validation

from sparkopt import fmin
from sparkopt.tracking import relay_protocol
from sparkopt.tracking.relay_protocol import BriefRun, Label
from sparkopt.tracking.trial import batch_bytes
from sparkopt.tracking.trial.few_calls import FewCalls
from sparkopt.wire.limits import INLINE_BYTES
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import children, main_runs

NAMES = ["a", "A b", "a.b_c-d", "a/b c/d.e", "9", "_", "a" * 200]
NO_NAMES = ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a:b", "ä", "a\n", "a" * 201, None, 3, b"a", ["a"]]


class Driver:
    """Answers what one trial asks.

    Args:
        directory: where files go on their way.
        relayed: whether the trial's files go to the driver.
    """

    def __init__(self, directory, relayed=True):
        self.directory = directory
        self.in_child = False
        self.asked = []
        self._brief = BriefRun("the-run", relayed, {"given": "1.0"})

    def ask(self, method, body=b""):
        data = body if isinstance(body, bytes) else Path(body).read_bytes()
        self.asked.append((method, data))
        return relay_protocol.pack_answer(self._brief.encode() if method == "mlflow.run.brief" else b"")

    @property
    def batches(self):
        return [LogBatch.FromString(data) for method, data in self.asked if method == "mlflow.LogBatch"]

    @property
    def files(self):
        parts = [relay_protocol.cut_trailer(data) for method, data in self.asked if method.endswith("put")]
        return {label: data for data, label in parts}


@pytest.fixture
def driver(tmp_path):
    return Driver(tmp_path)


@pytest.fixture
def few(driver):
    return FewCalls(driver)


def test_a_batch_is_mlflows_message():
    metrics = [("m", 0.5, 1_700_000_000_123, 0), ("n/ü", -math.inf, 1, -(2**63)), ("o", 1e300, 0, 2**63 - 1)]
    texts = [("p", ""), ("q", "x" * 300), ("ü", "日本")]
    data = batch_bytes.log_batch(
        "a" * 200,
        [batch_bytes.metric(*each) for each in metrics],
        [batch_bytes.text_entry(*each) for each in texts],
        [batch_bytes.text_entry(*each) for each in texts[:1]],
    )
    message = LogBatch.FromString(data)
    assert message.run_id == "a" * 200
    assert [(each.key, each.value, each.timestamp, each.step) for each in message.metrics] == metrics
    assert [(each.key, each.value) for each in message.params] == texts
    assert [(each.key, each.value) for each in message.tags] == texts[:1]
    assert message.SerializeToString() == data


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_taken_are_names_of_mlflows(few, driver, name):
    assert few.log_metrics([(name, 1)], None)
    assert few.log_params([(name, 1)])
    assert few.set_tags([(name, 1)])
    few.buffer.flush()
    (batch,) = driver.batches
    assert [batch.metrics[0].key, batch.params[0].key, batch.tags[0].key] == [name] * 3
    validation._validate_metric(name, 1.0, 0, 0)
    validation._validate_param(name, "1")
    validation._validate_tag(name, "1")


@pytest.mark.parametrize("name", NO_NAMES)
def test_other_names_are_left_to_mlflow(few, driver, name):
    assert not few.log_metrics([("good", 1), (name, 1)], None)
    assert not few.log_params([("good", 1), (name, 1)])
    assert not few.set_tags([("good", 1), (name, 1)])
    assert not few.log_text("x", name)
    few.buffer.flush()
    assert driver.batches == []


def test_numbers_are_logged_as_mlflow_does(few, driver):
    assert few.log_metrics([("i", 3), ("f", 0.1), ("n", np.float64(0.5)), ("s", np.float32(0.25))], 7)
    assert few.log_metrics([("i", 4), ("half", Fraction(1, 2))], None)
    assert few.log_metrics([("i", np.int16(5))], np.int64(-8))
    few.buffer.flush()
    (batch,) = driver.batches
    found = [(each.key, each.value, each.step) for each in batch.metrics]
    assert found[:4] == [("i", 3, 7), ("f", 0.1, 7), ("n", 0.5, 7), ("s", 0.25, 7)]
    assert found[4:] == [("i", 4, 0), ("half", 0.5, 0), ("i", 5, -8)]


@pytest.mark.parametrize(
    "value", [math.nan, np.float32("inf"), 10**400, True, np.True_, None, "1", 1j, Decimal(1), [1]]
)
def test_other_values_of_metrics_are_left_to_mlflow(few, value):
    assert not few.log_metrics([("m", value)], None)


@pytest.mark.parametrize("step", [1.0, "1", True, np.float64(1), 2**63])
def test_other_steps_are_left_to_mlflow(few, step):
    assert not few.log_metrics([("m", 1.0)], step)


@pytest.mark.parametrize("value", ["x" * 201, "a\nb", "\ud800", [1], {"a": 1}, object()])
def test_long_and_odd_texts_are_left_to_mlflow(few, value):
    assert not few.log_params([("p", value)])
    assert not few.set_tags([("t", value)])


def test_tags_of_mlflows_own_are_left_to_it(few):
    assert not few.set_tags([("mlflow.runName", "mine")])


def test_a_parameter_is_logged_once_and_another_value_left_to_mlflow(few, driver, capfd):
    assert few.log_params([("p", 1), ("given", 1), ("q", None)])
    assert few.log_params([("p", "1")])
    assert not few.log_params([("p", 2)])
    assert few.log_params([("given", 1)])
    assert capfd.readouterr().err == ""
    few.buffer.flush()
    (batch,) = driver.batches
    assert {each.key: each.value for each in batch.params} == {"p": "1", "q": "None"}


def test_a_hyperparameter_with_another_value_stays_and_the_log_says_so(few, driver, capfd):
    assert few.log_params([("given", 2)])
    few.buffer.flush()
    assert (driver.batches, "'2' is not logged" in capfd.readouterr().err) == ([], True)


def test_files(few, driver, tmp_path):
    small, large = tmp_path / "small.bin", tmp_path / "large.bin"
    small.write_bytes(b"small")
    large.write_bytes(b"x" * (INLINE_BYTES + 1))
    assert few.log_text("häuser\r\n", "texts/a.txt")
    assert few.log_artifact(str(small), None)
    assert few.log_artifact(large, "dir/below")
    assert driver.files == {
        Label("runs", "the-run", "texts/a.txt"): "häuser\r\n".encode(),
        Label("runs", "the-run", "small.bin"): b"small",
        Label("runs", "the-run", "dir/below/large.bin"): large.read_bytes(),
    }


def test_files_that_are_left_to_mlflow(few, driver, tmp_path):
    (tmp_path / "odd:name").touch()
    assert not few.log_artifact(tmp_path, None)
    assert not few.log_artifact(tmp_path / "nothing", None)
    assert not few.log_artifact(tmp_path / "odd:name", None)
    assert not few.log_artifact(None, None)
    assert not few.log_text("x" * INLINE_BYTES, "a.txt")
    assert not few.log_text("\ud800", "a.txt")
    assert not few.log_text(b"x", "a.txt")
    assert driver.files == {}


def test_files_that_workers_store_themselves_are_mlflows(tmp_path):
    driver = Driver(tmp_path, relayed=False)
    assert not FewCalls(driver).log_text("x", "a.txt")
    assert driver.files == {}


@pytest.mark.parametrize("name", ["MLFLOW_ENABLE_ASYNC_LOGGING", "MLFLOW_ACTIVE_MODEL_ID"])
def test_settings_that_change_the_calls_leave_them_to_mlflow(few, monkeypatch, name):
    monkeypatch.setenv(name, "true")
    assert not few.log_metrics([("m", 1.0)], None)
    assert not few.log_text("x", "a.txt")


def test_a_forked_child_is_left_to_mlflow_which_refuses_it(few, driver):
    driver.in_child = True
    assert not few.log_metrics([("m", 1.0)], None)
    assert not few.log_params([("p", 1)])
    assert driver.asked == []


def test_an_objective_that_makes_few_calls_does_not_load_mlflow(store, tracked_trials):
    def objective(case):
        import sys

        import mlflow
        from mlflow import log_metric

        def is_loaded():
            return "mlflow.entities" in sys.modules

        seen = {"at first": is_loaded()}
        log_metric("m", case, step=1)
        returned = mlflow.log_param("p", case), mlflow.log_params({"q": "x"}), mlflow.set_tag("t", "new")
        mlflow.log_text("words", "notes/words.txt")
        seen |= {"after few calls": is_loaded(), "returned": returned}
        if case == 1:
            try:
                mlflow.log_param("p", "another")
            except mlflow.MlflowException as error:
                seen["refused"] = "Changing param values is not allowed" in str(error)
            log_metric("m", 7.0, step=2)
            run = mlflow.get_run(mlflow.active_run().info.run_id)
            seen |= {"metrics": run.data.metrics, "params": run.data.params, "after more": is_loaded()}
            with mlflow.start_run(nested=True):
                log_metric("of the nested run", 1.0)
        return {"status": "ok", "loss": 0.0, "seen": seen}

    trials = tracked_trials(1)
    fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
    (main,) = main_runs(store)
    runs = children(store, main)
    first, second, third = (each["seen"] for each in trials.results)
    assert (first["at first"], first["after few calls"]) == (False, False)
    assert list(first["returned"]) == [0, None, None]
    assert (second["after few calls"], second["after more"], second["refused"]) == (False, True, True)
    assert [second["metrics"]["m"], second["params"]["p"], second["params"]["q"]] == [7.0, "1", "x"]
    assert third["at first"] is True
    for case, run in runs.items():
        assert (run.data.metrics["m"], run.data.params["p"]) == (7.0 if case == 1 else case, str(case))
        assert (run.data.params["q"], run.data.tags["t"]) == ("x", "new")
        assert "of the nested run" not in run.data.metrics
        assert [each.path for each in store.list_artifacts(run.info.run_id, "notes")] == ["notes/words.txt"]
