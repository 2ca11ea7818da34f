"""The writer: records in order, merged where they may be, tried again, and kept where a store is gone."""

from __future__ import annotations

import threading

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from sparkopt.errors import JournalError, TrackingError, TrackingWarning
from sparkopt.tracking import backlog
from sparkopt.tracking import run_lanes as lanes
from sparkopt.tracking import writer as room
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.run_lanes import Lanes
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.store import Store, is_passing
from sparkopt.tracking.writer import Writer
from tests.tracking.failing_store import RECORDS, TAGS, check_run

WRITES = 5
"""How many records are written for these, if all are there when the writer gets to the first."""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.0)


def passing():
    return MlflowException("come back later", TEMPORARILY_UNAVAILABLE)


def written_by(target, records, tmp_path):
    """Write records that are all there when the writer gets to the first; what is written in the end."""
    all_there = threading.Event()
    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.call(7, all_there.wait)
    for record in records:
        writer.put(record)
    all_there.set()
    writer.close(lambda left: None)
    return [record for record, _ in target.written]


def test_records_become_a_run(target, store, tmp_path):
    written_by(target, RECORDS, tmp_path)
    check_run(store)
    assert not (tmp_path / "kept.jsonl").exists()


def test_a_run_that_has_ended_by_then_is_written_in_three_calls(target, store, tmp_path):
    records = [record for record in RECORDS if not isinstance(record, LogArtifact)]
    create, log, end = written_by(target, records, tmp_path)
    assert create.tags == {**TAGS, "kind": "ünusual"}
    assert (log.params, len(log.metrics), log.tags) == ({"x": "1.5"}, 2, {})
    assert end == RECORDS[-1]


def test_a_file_waits_for_what_was_logged_before_it(target, store, tmp_path):
    written = written_by(target, RECORDS, tmp_path)
    assert [type(record) for record in written] == [Create, Log, LogArtifact, Log, End]
    check_run(store)


def test_nothing_is_held_back_for_long(target, store, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_HOLDING_SECONDS", 0.0)
    written = written_by(target, RECORDS, tmp_path)
    assert written == RECORDS
    check_run(store)


def test_what_is_logged_is_written_when_there_is_nothing_else_to_do(target, tmp_path, monkeypatch):
    there = threading.Event()
    write = target.write

    def noted(record, again=False):
        write(record, again)
        if isinstance(record, Log):
            there.set()

    monkeypatch.setattr(target, "write", noted)
    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.put(RECORDS[0])
    writer.put(RECORDS[1])
    assert there.wait(60)
    writer.close(lambda left: None)


@pytest.fixture
def patient(monkeypatch):
    """A writer that lets a search go first for longer than any test takes; set once it does."""
    waits, listen = threading.Event(), Lanes._listen

    def noted(own):
        waits.set()
        listen(own)

    monkeypatch.setattr(Lanes, "_listen", noted)
    monkeypatch.setattr(lanes, "LONGEST_SECONDS", 3600.0)
    monkeypatch.setattr(lanes, "LULL_SECONDS", 3600.0)
    return waits


def test_a_busy_search_goes_first_until_somebody_waits_for_an_answer(target, tmp_path, patient):
    written, answered = [], threading.Event()

    def answer():
        written.extend(target.written)
        answered.set()

    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.put(RECORDS[0])
    assert patient.wait(60)
    writer.put(RECORDS[1])
    writer.call(7, lambda: None, flush=False)
    assert target.written == []
    writer.call(7, answer, awaited=True)
    assert answered.wait(60)
    assert [type(record) for record, _ in written] == [Create, Log]
    writer.close(lambda left: None)


def test_the_end_of_a_search_waits_for_no_lull(target, store, tmp_path, patient):
    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.put(RECORDS[0])
    assert patient.wait(60)
    for record in RECORDS[1:]:
        writer.put(record)
    writer.close(lambda left: None)
    check_run(store)


def test_many_parameters_and_metrics_go_in_batches(target, store, tmp_path):
    many = Log(
        7,
        {f"p{number}": "v" for number in range(250)},
        [("m", float(number), 0, number) for number in range(2500)],
        {f"t{number}": "v" for number in range(120)},
    )
    written_by(target, [RECORDS[0], many, RECORDS[-1]], tmp_path)
    run = store.get_run(target.runs[7])
    assert len(run.data.params) == 250
    assert len(run.data.tags.keys() & many.tags.keys()) == 120
    assert len(store.get_metric_history(target.runs[7], "m")) == 2500


def test_a_store_that_fails_for_a_while_is_tried_again(target, store, tmp_path):
    target.failures = [passing(), ConnectionError("gone"), None, passing()]
    written_by(target, RECORDS, tmp_path)
    check_run(store)
    assert [again for _, again in target.written].count(True) == 2


def test_a_run_that_was_created_without_an_answer_is_not_created_twice(target, store, tmp_path, monkeypatch):
    create, silent = target.client.create_run, [True]

    def create_in_silence(*arguments):
        run = create(*arguments)
        if silent.pop():
            raise passing()
        return run

    monkeypatch.setattr(target.client, "create_run", create_in_silence)
    written_by(target, RECORDS, tmp_path)
    assert silent == []
    check_run(store)


def test_what_a_store_refuses_is_told_and_costs_nothing_else(target, store, tmp_path):
    writer = Writer(target, tmp_path / "kept.jsonl")
    writer.put(RECORDS[0])
    writer.put(Log(7, {"x": "1.5"}))
    there = threading.Event()
    writer.call(7, there.set)
    assert there.wait(60)
    target.failures = [MlflowException("no good", INVALID_PARAMETER_VALUE)]
    writer.put(LogArtifact(7, "refused.txt", b""))
    writer.put(Log(7, {"y": "2", "x": "another"}, [("loss", 3.0, 0, 0)], {"kind": "late"}))
    writer.put(RECORDS[-1])
    with pytest.warns(TrackingWarning, match=r"2 records are not in the tracking store .* no good"):
        writer.close(lambda left: None)
    run = store.get_run(target.runs[7])
    assert run.data.params == {"x": "1.5", "y": "2"}
    assert run.data.metrics == {"loss": 3.0}
    assert run.data.tags["kind"] == "late"
    assert run.info.status == "FAILED"


@pytest.mark.filterwarnings("ignore:The filesystem tracking backend:FutureWarning")
def test_what_a_store_of_files_refuses_is_no_reason_to_wait(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    experiment = client.create_experiment("files")
    main = client.create_run(experiment)
    store = Store(client.tracking_uri, experiment, main.info.run_id)
    store.write(Log(None, {"x": "1"}))
    with pytest.raises(MlflowException, match="Changing param values is not allowed") as caught:
        store.write(Log(None, {"x": "2"}))
    assert not is_passing(caught.value)


def test_a_refused_entry_costs_none_of_the_batches_after_it(target, store, tmp_path):
    metrics = [("a//b", 1.0, 0, 0), *[("m", float(number), 0, number) for number in range(2000)]]
    with pytest.warns(TrackingWarning, match=r"1 records are not in the tracking store .*a//b"):
        written_by(target, [RECORDS[0], Log(7, metrics=metrics), RECORDS[-1]], tmp_path)
    assert len(store.get_metric_history(target.runs[7], "m")) == 2000
    assert store.get_run(target.runs[7]).info.status == "FAILED"


def test_a_tag_that_no_run_can_begin_with_does_not_cost_the_run(target, store, tmp_path):
    # As an objective may set it: MLflow takes it for a run that is there.
    tags = {**TAGS, "mlflow.runName": "another name", "note": "kept"}
    written_by(target, [Create(7, "trial 7", 1000, tags), RECORDS[1], RECORDS[-1]], tmp_path)
    run = store.get_run(target.runs[7])
    assert run.data.tags.items() >= tags.items()
    assert run.data.params == {"x": "1.5"}
    assert run.info.status == "FAILED"


def test_what_is_called_and_raises_does_not_end_the_writer(target, store, tmp_path):
    writer = Writer(target, tmp_path / "kept.jsonl")
    for awaited in (True, False):
        writer.call(7, lambda: 1 / 0, awaited)
    for record in RECORDS:
        writer.put(record)
    with pytest.warns(TrackingWarning, match="2 records .* ZeroDivisionError"):
        writer.close(lambda left: None)
    check_run(store)


def test_a_record_that_cannot_be_kept_costs_no_other(target, store, tmp_path, impatient):
    target.failures = [ConnectionError("cable cut")]
    kept = tmp_path / "kept.jsonl"
    records = [RECORDS[0], LogArtifact(7, "\ud800", b""), *RECORDS[1:]]
    with pytest.warns(TrackingWarning) as told:
        written_by(target, records, tmp_path)
    assert any("1 records are not in the tracking store" in str(each.message) for each in told)
    replay(kept)
    check_run(store)


def test_a_full_backlog_holds_up_whoever_puts_more(target, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BACKLOG", 3)
    target.go_on.clear()
    writer = Writer(target, tmp_path / "kept.jsonl")
    all_put, called, waits = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(backlog._LOG, "warning", lambda *_, **__: waits.set())

    def put_all():
        for record in (RECORDS[0], *[LogArtifact(None, f"{number}.txt", b"") for number in range(9)]):
            writer.put(record)
        all_put.set()

    thread = threading.Thread(target=put_all)
    thread.start()
    assert waits.wait(60)
    assert not all_put.is_set()
    assert writer._lanes.left == 3
    writer.call(7, called.set)  # does not wait
    assert not called.is_set()
    target.go_on.set()
    thread.join(60)
    writer.close(lambda left: None)
    assert len(target.written) == 10
    assert called.is_set()


def test_a_call_comes_after_what_was_put_before_it(target, store, tmp_path):
    writer = Writer(target, tmp_path / "kept.jsonl")
    seen = []
    writer.put(RECORDS[0])
    writer.put(RECORDS[1])
    writer.call(7, lambda: seen.append(store.get_run(target.runs[7]).data.params))
    writer.put(RECORDS[-1])
    writer.close(lambda left: None)
    assert seen == [{"x": "1.5"}]


def test_records_of_a_store_that_is_gone_are_kept_and_replayed(target, store, tmp_path, impatient):
    target.failures = [None, None, ConnectionError("cable cut")]
    kept = tmp_path / "kept.jsonl"
    with pytest.warns(TrackingWarning, match=rf"cable cut.* 3 records .* `sparkopt replay {kept}`"):
        written_by(target, RECORDS, tmp_path)
    assert replay(kept).records == 3
    assert not kept.exists()
    check_run(store)


def test_a_replay_that_fails_keeps_the_rest(target, store, tmp_path, impatient, monkeypatch):
    target.failures = [ConnectionError("cable cut")]
    kept = tmp_path / "kept.jsonl"
    with pytest.warns(TrackingWarning):
        written_by(target, RECORDS, tmp_path)
    write, left = Store.write, [2]

    def failing(self, record, again=False):
        if not left[0]:
            raise ConnectionError("cut again")
        left[0] -= 1
        write(self, record, again)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", failing)
        with pytest.raises(TrackingError, match=r"took 2 of 5 records .*cut again.* still in"):
            replay(kept)
    assert replay(kept, store.tracking_uri).records == 3
    check_run(store)


def test_a_replayed_run_that_was_created_already_is_found(target, store, tmp_path, impatient):
    target.failures = [ConnectionError("cable cut")]
    with pytest.warns(TrackingWarning):
        written_by(target, RECORDS, tmp_path)
    store.create_run(target.experiment, 1000, TAGS, "trial 7")
    replay(tmp_path / "kept.jsonl")
    check_run(store)


def test_records_that_cannot_be_kept_either_are_told(target, tmp_path, impatient):
    target.failures = [ConnectionError("cable cut")] * WRITES
    (tmp_path / "kept.jsonl").mkdir()
    with pytest.warns(TrackingWarning, match="records are not in the tracking store.*IsADirectoryError"):
        written_by(target, RECORDS, tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "no JSON\n", '{"format": "another"}\n'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(TrackingError, match="is not a file of records"):
        replay(tmp_path / "file")


@pytest.mark.parametrize("line", ["x", "[]", '{"record": "burn"}', '{"record": "end", "run": 1}'])
def test_a_damaged_line_is_named(target, tmp_path, impatient, line):
    target.failures = [ConnectionError("cable cut")]
    kept = tmp_path / "kept.jsonl"
    with pytest.warns(TrackingWarning):
        written_by(target, RECORDS, tmp_path)
    with kept.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(TrackingError, match=f"line {WRITES + 2}: no record"):
        replay(kept)
    assert kept.exists()


def test_whoever_does_not_wait_loses_nothing(target, store, tmp_path):
    target.failures = [passing()] * 50
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)

    def interrupt(left):
        raise KeyboardInterrupt

    with pytest.warns(TrackingWarning, match=f"{WRITES} records"), pytest.raises(KeyboardInterrupt):
        writer.close(interrupt)
    replay(tmp_path / "kept.jsonl")
    check_run(store)


def test_a_run_ends_once_what_it_ends_with_is_kept(target, store, tmp_path):
    asked, kept, ends = threading.Event(), threading.Event(), []

    def until_kept():
        ends.extend(record for record, _ in target.written if isinstance(record, End))
        asked.set()
        assert kept.wait(60)

    writer = Writer(target, tmp_path / "kept.jsonl", until_kept=until_kept)
    for record in RECORDS:
        writer.put(record)
    assert asked.wait(60)
    assert ends == []
    kept.set()
    writer.close(lambda left: None)
    check_run(store)


def test_a_run_whose_end_cannot_be_kept_does_not_end(target, tmp_path):
    def until_kept():
        raise JournalError("the store is away for good")

    writer = Writer(target, tmp_path / "kept.jsonl", until_kept=until_kept)
    for record in RECORDS:
        writer.put(record)
    with pytest.warns(TrackingWarning, match="the store is away for good"):
        writer.close(lambda left: None)
    assert not any(isinstance(record, End) for record, _ in target.written)
