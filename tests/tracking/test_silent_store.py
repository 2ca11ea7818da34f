"""Ends of searches whose store does not answer: what is left goes to the file, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from sparkopt.errors import TrackingWarning
from sparkopt.tracking import writer as room
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.run_lanes import Kind, Lanes
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.writer import Writer
from tests.tracking.failing_store import RECORDS
from tests.tracking.test_writer import check_run

LAST = End(None, "FINISHED", 3000)


class SilentStore:
    """Has calls of a store wait from one that a test chooses on, until it lets them go."""

    def __init__(self, target, monkeypatch):
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.is_silent = lambda record: True
        write = target.write

        def silent(record, again=False):
            if not self.go_on.is_set() and self.is_silent(record):
                self.reached.set()
                assert self.go_on.wait(60)
            write(record, again)

        monkeypatch.setattr(target, "write", silent)

    def until_reached(self, left):
        """Wait until such a call is under way."""
        assert self.reached.wait(60)


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "sparkopt-tracking":
            thread.join(60)


@pytest.fixture
def silent(target, monkeypatch):
    monkeypatch.setattr(room, "_SILENT_SECONDS", 0.0)
    monkeypatch.setattr(room, "_HURRIED_SECONDS", 0.0)
    monkeypatch.setattr(room, "_WAITING_SECONDS", 0.05)
    store = SilentStore(target, monkeypatch)
    yield store
    store.go_on.set()
    wait_for_threads()


@pytest.mark.parametrize("kind", [Create, Log, LogArtifact, End])
def test_what_has_no_answer_is_kept_with_all_that_follows(target, store, silent, tmp_path, kind):
    silent.is_silent = lambda record: isinstance(record, kind)
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    if kind is LogArtifact:  # as long as files are on their way nobody gives up
        silent.until_reached(0)
        silent.reached.clear()
        silent.is_silent = lambda record: not isinstance(record, Create)
        writer.put(Log(None, {"p": "1"}))
    with pytest.warns(TrackingWarning, match="could not be reached .*does not answer.*sparkopt replay"):
        writer.close(silent.until_reached, LAST)
    assert writer.has_given_up
    replay(tmp_path / "kept.jsonl", store.tracking_uri)
    check_run(store)
    assert store.get_run(target.main).info.status == "FINISHED"


def test_a_call_that_ends_after_all_writes_nothing_more(target, store, silent, tmp_path):
    silent.is_silent = lambda record: isinstance(record, Log)
    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    with pytest.warns(TrackingWarning, match="sparkopt replay"):
        writer.close(silent.until_reached)
    kept = (tmp_path / "kept.jsonl").read_text()
    silent.go_on.set()
    wait_for_threads()
    assert [type(record) for record, _ in target.written] == [Create, Log]
    assert (tmp_path / "kept.jsonl").read_text() == kept
    replay(tmp_path / "kept.jsonl", store.tracking_uri)
    check_run(store)


def test_an_impatient_user_waits_for_no_answer(target, store, silent, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_SILENT_SECONDS", 3600.0)
    interrupts = iter([True, True])

    def drain(self, seconds=None):
        assert silent.reached.wait(60)
        if next(interrupts, False):
            raise KeyboardInterrupt
        return False

    writer = Writer(target, tmp_path / "kept.jsonl")
    for record in RECORDS:
        writer.put(record)
    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "drain", drain)
        with pytest.warns(TrackingWarning, match="sparkopt replay"), pytest.raises(KeyboardInterrupt):
            writer.close(silent.until_reached, LAST)
    replay(tmp_path / "kept.jsonl", store.tracking_uri)
    check_run(store)
    assert store.get_run(target.main).info.status == "FINISHED"


def test_requests_that_nobody_waits_for_any_more_are_left_out(target, store, silent, tmp_path):
    answered, written = [], threading.Event()
    writer = Writer(target, tmp_path / "kept.jsonl")
    silent.is_silent = lambda record: isinstance(record, Create)
    writer.put(RECORDS[0])
    writer.call(7, lambda: answered.append("asked"), awaited=True)
    writer.call(7, lambda: writer.write(Log(7, {"late": "1"})), flush=False)
    writer.put(RECORDS[-1])
    writer.call(7, written.set)
    with pytest.warns(TrackingWarning, match="sparkopt replay"):
        writer.close(silent.until_reached)
    assert (answered, written.is_set()) == ([], True)
    replay(tmp_path / "kept.jsonl", store.tracking_uri)
    (run,) = store.search_runs([target.experiment], "tags.tid = '7'")
    assert (run.data.params, run.info.status) == ({"late": "1"}, "FAILED")


def test_lanes_tell_whether_anything_is_worked_off():
    reached, go_on = threading.Event(), threading.Event()

    def work(key, items, last):
        reached.set()
        assert go_on.wait(60)

    lanes = Lanes(work, lambda kind: 1, "stuck")
    assert not lanes.is_stuck(0.0, *Kind)
    lanes.put("a", "item")
    lanes.put("a", "next")
    assert reached.wait(60)
    assert lanes.is_stuck(0.0, Kind.CALL)
    assert not lanes.is_stuck(0.0, Kind.TRANSFER)
    assert not lanes.is_stuck(3600.0, Kind.CALL)
    lanes.put("a", "last")
    assert [(key, items[-1]) for key, items in lanes.take_over()] == [("a", "last")]
    go_on.set()
