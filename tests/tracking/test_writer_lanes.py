"""The writer and several runs: beside each other, attempts apart, and none stopped by another."""

from __future__ import annotations

import itertools
import threading

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, PERMISSION_DENIED, UNAUTHENTICATED

from sparkopt.errors import TrackingWarning
from sparkopt.tracking import writer as room
from sparkopt.tracking.pace import Pace
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.store import is_busy
from sparkopt.tracking.writer import Writer
from tests.tracking.failing_store import RECORDS, check_run


def test_runs_are_written_beside_each_other(target, tmp_path, monkeypatch):
    there, go_on, write = threading.Event(), threading.Event(), target.write

    def noted(record, again=False):
        if record.run == 7:
            assert go_on.wait(60)
        write(record, again)
        if isinstance(record, End):
            there.set()

    monkeypatch.setattr(target, "write", noted)
    monkeypatch.setattr(room, "pace_for", lambda *_: Pace(2, 2))
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    writer.put(Create(8, "trial 8", 1000, {"fmin_uuid": "abc123", "tid": "8"}))
    writer.put(End(8, "FINISHED", 2000))
    assert there.wait(60)
    assert {record.run for record, _ in target.written} == {8}
    go_on.set()
    writer.close(lambda left: None)


def metric(value):
    return Log(7, metrics=[("m", value, 0, 0)])


def test_what_an_earlier_attempt_has_logged_is_dropped_unless_it_is_written(target, store, tmp_path):
    writer = Writer(target, tmp_path / "kept.jsonl")
    written, all_there = threading.Event(), threading.Event()
    writer.put(RECORDS[0])
    writer.put_logged(metric(1.0), 1)
    writer.call(7, written.set)
    assert written.wait(60)
    writer.put_logged(metric(2.0), 1)
    writer.call(7, all_there.wait, flush=False)
    writer.put_logged(metric(3.0), 1)
    writer.attempt_begins(7, 2)
    assert writer.is_stale(7, 1)
    writer.put_logged(Log(7, {"x": "another"}), 2)
    writer.put_logged(metric(4.0), 2)
    writer.put_logged(metric(5.0), 1)
    all_there.set()
    writer.put(Log(7, {"x": "1.5"}))
    writer.put(RECORDS[-1])
    writer.close(lambda left: None)
    run = store.get_run(target.runs[7])
    assert [each.value for each in store.get_metric_history(run.info.run_id, "m")] == [1.0, 4.0]
    assert run.data.params == {"x": "1.5"}


def test_a_run_that_somebody_deleted_costs_no_other(target, store, tmp_path):
    writer = Writer(target, tmp_path / "kept.jsonl")
    created = threading.Event()
    writer.put(RECORDS[0])
    writer.call(7, created.set)
    assert created.wait(60)
    store.delete_run(target.runs[7])
    writer.put(Log(7, {f"p{number}": "v" for number in range(50)}))
    writer.put(End(7, "FINISHED", 2000))
    writer.put(Create(8, "trial 8", 1000, {"fmin_uuid": "abc123", "tid": "8"}))
    writer.put(Log(8, {"x": "1"}))
    writer.put(End(8, "FINISHED", 2000))
    with pytest.warns(TrackingWarning, match="are not in the tracking store"):
        writer.close(lambda left: None)
    run = store.get_run(target.runs[8])
    assert (run.info.status, run.data.params) == ("FINISHED", {"x": "1"})


def test_a_run_that_a_store_cannot_write_goes_to_the_file_and_no_other(target, store, tmp_path, monkeypatch):
    write, others = target.write, threading.Event()

    def failing(record, again=False):
        if record.run == 7 and isinstance(record, Log):
            assert others.wait(60)
            raise MlflowException("a fault of the server's", INTERNAL_ERROR)
        write(record, again)

    monkeypatch.setattr(target, "write", failing)
    monkeypatch.setattr(room, "pace_for", lambda *_: Pace(2, 2))
    monkeypatch.setattr(room, "PATIENCE", 0.5)
    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.put(RECORDS[0])
    writer.put(RECORDS[1])

    others.set()
    for number in itertools.count(8):
        if (tmp_path / "kept.jsonl").exists():
            break
        written = threading.Event()
        writer.put(Create(number, "trial", 1000, {"fmin_uuid": "abc123", "tid": str(number)}))
        writer.call(number, written.set)
        assert written.wait(60)  # though the other one is tried again and again
    assert not writer.has_given_up
    writer.put(RECORDS[-1])
    with pytest.warns(TrackingWarning, match=r"a fault of the server's.*2 records"):
        writer.close(lambda left: None)
    monkeypatch.undo()
    assert replay(tmp_path / "kept.jsonl", store.tracking_uri).records == 2
    assert store.get_run(target.runs[7]).data.params == {"x": "1.5"}


@pytest.mark.parametrize("first", range(5))
def test_a_store_that_denies_access_halfway_loses_nothing(target, store, tmp_path, monkeypatch, first):
    """A token has expired, in the words of some servers, after so many records of a run."""
    write, left = target.write, iter(range(first))

    def denying(record, again=False):
        if record.run == 7 and next(left, None) is None:
            raise MlflowException("Invalid access token", PERMISSION_DENIED)
        write(record, again)

    monkeypatch.setattr(target, "write", denying)
    monkeypatch.setattr(room, "_HOLDING_SECONDS", 0.0)
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    with pytest.warns(TrackingWarning, match=rf"Invalid access token.*: {5 - first} records are"):
        writer.close(lambda left: None)
    assert replay(tmp_path / "kept.jsonl", store.tracking_uri).records == 5 - first
    check_run(store)


def test_runs_that_are_created_after_the_first_was_denied_are_replayed_as_well(target, store, tmp_path):
    write = target.write

    def denying(record, again=False):
        if isinstance(record, Log):
            raise MlflowException("Invalid access token", PERMISSION_DENIED)
        write(record, again)

    target.write = denying
    writer = Writer(target, tmp_path / "kept.jsonl")
    for number in (8, 9):
        writer.put(Create(number, "trial", 1000, {"fmin_uuid": "abc123", "tid": str(number)}))
        writer.put(Log(number, {"x": str(number)}))
        writer.put(End(number, "FINISHED", 2000))
        over = threading.Event()
        writer.call(number, over.set)
        assert over.wait(60)
    with pytest.warns(TrackingWarning, match="Invalid access token.*: 2 records are"):
        writer.close(lambda left: None)
    assert replay(tmp_path / "kept.jsonl", store.tracking_uri).records == 2
    for number in (8, 9):
        assert store.get_run(target.runs[number]).data.params == {"x": str(number)}


def test_a_token_that_is_renewed_in_time_is_all_that_a_store_waits_for(target, store, tmp_path):
    target.failures = [None, *[MlflowException("who are you", UNAUTHENTICATED)] * 2]
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    writer.close(lambda left: None)
    check_run(store)


def test_a_search_that_was_held_up_is_told(target, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_TOLD_SECONDS", 0.0)
    monkeypatch.setattr(room, "BACKLOG_BYTES", 1000)
    writer = Writer(target, tmp_path / "kept.jsonl")
    for number in range(3):
        writer.put(LogArtifact(None, f"{number}.txt", b"x" * 2000))  # each waits alone
    with pytest.warns(TrackingWarning, match="the search waited .* 1,000 bytes"):
        writer.close(lambda left: None)


def test_a_call_of_the_store_is_tried_again_as_long_as_it_is_away(target, tmp_path, monkeypatch):
    writer = Writer(target, tmp_path / "kept.jsonl")
    failures, said, done = [ConnectionError("gone")] * 2, [], threading.Event()

    def store():
        if failures:
            raise failures.pop()
        return "stored"

    def refuse():
        raise ValueError("no good")

    def work():
        said.append(writer.insist(store, is_busy))
        try:
            writer.insist(refuse, is_busy)
        except ValueError as error:
            said.append(str(error))
        done.set()

    writer.call(7, work)
    assert done.wait(60)
    assert said == ["stored", "no good"]
    writer.close(lambda left: None)
