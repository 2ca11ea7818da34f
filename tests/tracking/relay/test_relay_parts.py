"""The relay's buffer by itself, and its addresses outside of a trial."""

from __future__ import annotations

import importlib.metadata
import threading

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import LogBatch
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from sparkopt.tracking import relay_protocol
from sparkopt.tracking.trial import batch_bytes, buffer
from sparkopt.tracking.trial.buffer import Buffer

SECONDS = 30.0


def metric(step, key="m"):
    return batch_bytes.metric(key, 1.0, 1, step)


def gathering(take):
    """A buffer that sends MLflow's messages."""
    gathered = Buffer()
    gathered.send = lambda batch: take(LogBatch.FromString(batch))
    return gathered


class TestBuffer:
    def test_what_comes_together_goes_together(self):
        sent = []
        gathered = gathering(sent.append)
        gathered.add("a", [metric(0)])
        gathered.add("a", params=[("p", "1")], tags=[("t", "old")])
        gathered.add("b", [metric(0)])
        gathered.add("a", [metric(1)], tags=[("t", "new")])
        assert sent == []
        gathered.flush()
        assert [each.run_id for each in sent] == ["a", "b"]
        assert [each.step for each in sent[0].metrics] == [0, 1]
        assert [(each.key, each.value) for each in sent[0].tags] == [("t", "new")]
        assert [(each.key, each.value) for each in sent[0].params] == [("p", "1")]
        gathered.flush()
        assert len(sent) == 2

    def test_no_batch_is_larger_than_mlflow_takes(self):
        sent = []
        gathered = gathering(sent.append)
        gathered.add(
            "a",
            [metric(step) for step in range(2500)],
            [(f"p{number}", "1") for number in range(250)],
            [(f"t{number}", "1") for number in range(120)],
        )
        for each in sent:
            assert len(each.params) <= 100
            assert len(each.tags) <= 100
            assert len(each.params) + len(each.tags) + len(each.metrics) <= 1000
        assert [each.step for batch in sent for each in batch.metrics] == list(range(2500))
        assert len({each.key for batch in sent for each in batch.params}) == 250
        assert len({each.key for batch in sent for each in batch.tags}) == 120

    @pytest.mark.parametrize(
        "add",
        [
            lambda gathered, number: gathered.add("a", [metric(number)]),
            lambda gathered, number: gathered.add("a", params=[(f"p{number}", "1")]),
            lambda gathered, number: gathered.add("a", tags=[(f"t{number}", "x" * 8000)]),
        ],
        ids=["metrics", "parameters", "long tags"],
    )
    def test_enough_goes_at_once(self, add, monkeypatch):
        monkeypatch.setattr(buffer, "SECONDS", 1e6)
        sent = []
        gathered = gathering(sent.append)
        for number in range(1000):
            add(gathered, number)
        assert sent != []
        gathered.flush()

    def test_what_waits_goes_by_itself(self, monkeypatch):
        monkeypatch.setattr(buffer, "SECONDS", 0.01)
        came = threading.Event()
        gathered = gathering(lambda message: came.set())
        gathered.add("a", [metric(0)])
        assert came.wait(SECONDS)

    def test_what_could_not_be_sent_is_said_at_the_next_call_and_keeps_nothing_back(self, monkeypatch):
        monkeypatch.setattr(buffer, "SECONDS", 1e6)
        sent = []

        def send(message):
            if message.run_id == "bad":
                raise ValueError("no")
            sent.append(message.run_id)

        gathered = gathering(send)
        gathered.add("bad", [metric(0)])
        gathered.add("good", [metric(0)])
        gathered._flush_late()
        assert sent == ["good"]
        with pytest.raises(ValueError, match="no"):
            gathered.add("good", [metric(1)])
        gathered.add("good", [metric(2)])
        gathered.flush()
        assert sent == ["good", "good"]


class TestOutside:
    def test_mlflow_finds_what_explains_the_addresses(self):
        for group in ("mlflow.tracking_store", "mlflow.artifact_repository", "mlflow.model_registry_store"):
            (ours,) = importlib.metadata.entry_points(group=group, name=relay_protocol.SCHEME)
            assert callable(ours.load())

    def test_an_address_that_has_got_out_is_explained(self):
        with pytest.raises(MlflowException, match="inside a trial of sparkopt's"):
            MlflowClient("sparkopt-trial:").search_experiments()
        with pytest.raises(MlflowException, match="inside a trial of sparkopt's"):
            get_artifact_repository(relay_protocol.artifact_uri("runs", "abc"))
