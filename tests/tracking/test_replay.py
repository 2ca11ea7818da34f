"""Replay of a file of records: as often as one likes, whatever was written, and by one at a time."""

from __future__ import annotations

import fcntl
import math
import shutil

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from sparkopt.cli import main as command
from sparkopt.errors import TrackingError
from sparkopt.tracking.file import RecordFile, artifacts_of
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.store import Store
from tests.tracking.runs import all_runs, content

ODD = [("m", float(value), 5, value) for value in range(5)] + [
    ("odd", math.nan, 5, 0),
    ("odd", math.inf, 5, 1),
    ("odd", -math.inf, 5, 2),
    ("m", 4.0, 5, 9),
]


@pytest.fixture(params=["new_store", "files"])
def records_store(request, new_store, tmp_path, monkeypatch):
    """A client of a database, and of a directory of files, which holds what is logged twice twice."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = new_store(tmp_path) if request.param == "new_store" else (tmp_path / "mlruns").as_uri()
    client = MlflowClient(uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("replayed"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return client


@pytest.fixture
def kept(records_store, tmp_path):
    """A file of records of five runs, one of which has an artifact that is a file of its own."""
    experiment = records_store.get_experiment_by_name("replayed").experiment_id
    main = records_store.create_run(experiment)
    store = Store(records_store.tracking_uri, experiment, main.info.run_id)
    path = tmp_path / "sparkopt-mlflow-x.jsonl"
    file = RecordFile.create(path, store)
    for tid in range(5):
        file.add(Create(tid, f"trial {tid}", 1000, {"fmin_uuid": "abc", "tid": str(tid)}))
        file.add(Log(tid, {"x": str(tid)}, ODD, {"kind": "kept"}))
    large = tmp_path / "large"
    large.write_bytes(b"large" * 1000)
    file.add(LogArtifact(0, "folder/large.bin", file=str(large)))
    assert not large.exists()
    file.add(Log(None, metrics=[("best_loss", 1.0, 5, 1)]))
    for tid in range(5):
        file.add(End(tid, "FINISHED", 2000))
    file.close()
    return path


def check(client):
    runs = [run for run in all_runs(client) if "tid" in run.data.tags]
    assert sorted(run.data.tags["tid"] for run in runs) == ["0", "1", "2", "3", "4"]
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.params == {"x": run.data.tags["tid"]}
        history = client.get_metric_history(run.info.run_id, "m")
        assert sorted((each.step, each.value) for each in history) == [
            *((step, float(step)) for step in range(5)),
            (9, 4.0),
        ]
        assert len(client.get_metric_history(run.info.run_id, "odd")) == 3
        if run.data.tags["tid"] == "0":
            assert content(client, run, "folder/large.bin") == b"large" * 1000


@pytest.mark.filterwarnings("ignore:The filesystem tracking backend:FutureWarning")
def test_a_file_that_is_replayed_twice_doubles_nothing(records_store, kept, tmp_path):
    copy = tmp_path / "again" / kept.name
    copy.parent.mkdir()
    shutil.copy(kept, copy)
    shutil.copytree(artifacts_of(kept), artifacts_of(copy))
    first = replay(kept)
    assert (first.records, first.runs, first.found, first.known, first.refused) == (17, 5, 0, 0, 0)
    assert not kept.exists()
    assert not artifacts_of(kept).exists()
    check(records_store)
    again = CliRunner().invoke(command, ["replay", str(copy)])
    assert again.exit_code == 0
    assert "17 records written, 0 runs created; 5 runs and 46 values were there already" in again.output
    check(records_store)


@pytest.mark.filterwarnings("ignore:The filesystem tracking backend:FutureWarning")
def test_a_replay_that_was_interrupted_goes_on(records_store, kept, monkeypatch):
    write = Store.write

    def interrupted(self, record, again=False):
        write(self, record, again)
        if isinstance(record, Log) and record.run == 3:
            raise ConnectionError("after it was written")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", interrupted)
        with pytest.raises(TrackingError, match="after it was written"):
            replay(kept)
    replay(kept)
    check(records_store)


def test_one_replays_a_file_at_a_time(store, kept_alone):
    with kept_alone.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrackingError, match="is being replayed by another process"):
            replay(kept_alone)
    assert replay(kept_alone).records == 2


@pytest.fixture
def kept_alone(target, tmp_path):
    path = tmp_path / "kept.jsonl"
    file = RecordFile.create(path, target)
    file.add(Create(7, "trial 7", 1000, {"fmin_uuid": "abc", "tid": "7"}))
    file.add(End(7, "FINISHED", 2000))
    file.close()
    return path


def test_what_a_store_refuses_stays_in_the_file(store, target, kept_alone):
    deleted = store.create_run(target.experiment).info.run_id
    target.runs[8] = deleted
    store.delete_run(deleted)
    file = RecordFile.create(kept_alone, target)
    file.add(Log(8, {"x": "1"}))
    file.add(Create(7, "trial 7", 1000, {"fmin_uuid": "abc", "tid": "7"}))
    file.close()
    said = CliRunner().invoke(command, ["replay", str(kept_alone)])
    assert said.exit_code == 1
    assert "1 records written, 1 runs created" in said.output
    assert "has refused 1 records, which are still in" in said.output
    store.restore_run(deleted)
    assert replay(kept_alone).records == 1
    assert store.get_run(deleted).data.params == {"x": "1"}
    assert not kept_alone.exists()
