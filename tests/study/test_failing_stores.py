"""A journal's store that cannot be reached: for a while, for good, and with much that waits to be written."""

from __future__ import annotations

import errno
import os
import pickle
import threading

import pytest

from sparkopt.coordinator import Payload
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, JournalWarning
from sparkopt.study.journal import open_journal
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals
from tests.study.journal_kinds import FailingStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "journal").mkdir()
    return FailingStore(DirectoryStore(tmp_path / "journal"))


def opened(store, **pace):
    journal = SegmentJournal(store, "the place", Pace(flush=0.0, **pace))
    journal.check(journals.IDENTITY)
    return journal


def settle(journal, tid, size=100):
    journal.submitted([(tid, b"own")], b"state")
    value = Payload(pickle.dumps(bytes(size)))
    journal.settled(journals.settled(tid, Outcome.OK, value, "", None))


def test_for_a_while(store):
    journal = opened(store)
    settle(journal, 0)
    journal.until_kept()
    store.reachable.clear()
    settle(journal, 1)
    assert store.failed.wait(60)
    settle(journal, 2)
    store.reachable.set()
    journal.until_kept()
    journal.close()
    journal = opened(store)
    assert [entry.outcome for entry in journal.take_entries()] == [Outcome.OK] * 3
    journal.close()


def test_for_good(store):
    journal = opened(store, outage=0.2)
    told = threading.Event()
    journal.watch(lambda: None, lambda error: told.set())
    store.reachable.clear()
    settle(journal, 0)
    with pytest.raises(JournalError, match=r"the journal the place cannot be .* run the same fmin again"):
        journal.until_kept()
    assert told.wait(60)
    with pytest.raises(JournalError):
        settle(journal, 1)
    journal.close()


def test_what_could_not_be_written_is_told_if_nobody_has_heard(store):
    journal = opened(store, outage=0.2)
    store.reachable.clear()
    settle(journal, 0)
    with pytest.warns(JournalWarning, match="the journal the place lacks what happened last"):
        journal.close()


def test_at_the_start(store):
    store.reachable.clear()
    with pytest.raises(JournalError, match="the store cannot be reached"):
        opened(store)


def test_a_full_one_says_when_there_is_room(store):
    journal = opened(store, unwritten=1000, large=200)
    room = threading.Event()
    journal.watch(room.set, lambda error: None)
    store.reachable.clear()
    settle(journal, 0, 100)
    assert not journal.is_full
    settle(journal, 1, 2000)
    assert journal.is_full
    store.reachable.set()
    assert room.wait(60)
    assert not journal.is_full
    journal.close()


def test_a_disk_that_is_full_only_when_it_is_waited_for(store, tmp_path, monkeypatch):
    """File systems on a network say so then."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.put("segment", [b"bytes"])

    def unknown(descriptor):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "fsync", unknown)
    store.put("segment", [b"bytes"])
    assert store.get("segment") == b"bytes"


def test_one_that_lets_nobody_delete(store):
    def refuse(name):
        refused.append(name)
        raise PermissionError(errno.EACCES, "nobody may delete here", name)

    refused = []
    store.delete = refuse
    journal = opened(store, snapshot=2)
    for tid in range(9):
        settle(journal, tid)
        journal.until_kept()
    journal.close()
    assert refused
    journal = opened(store)
    assert [entry.outcome for entry in journal.take_entries()] == [Outcome.OK] * 9
    journal.close()


def test_what_is_there_although_its_put_failed_is_not_put_over_itself(store, monkeypatch):
    """Another driver may go on from it."""
    journal = opened(store)
    put, names = store.store.put, []

    def put_and_fail(name, pieces):
        names.append(name)
        put(name, pieces)
        if len(names) < 3:
            raise OSError(errno.ETIMEDOUT, "no answer came")

    monkeypatch.setattr(store.store, "put", put_and_fail)
    for tid in range(3):
        settle(journal, tid)
        journal.until_kept()
    journal.close()
    assert len(names) == len({*names})


class TestOrphans:
    """Large objects that were put, and whose segment was not."""

    def test_they_are_deleted_once_another_driver_has_begun(self, store, tmp_path):
        journal = opened(store, large=200)
        settle(journal, 0, 2000)
        journal.until_kept()
        large = tmp_path / "journal" / "large"
        (kept,) = large.iterdir()
        orphan = large / kept.name.replace("result-0", "result-1")
        orphan.write_bytes(b"of a driver that was killed")
        (large / "notes").write_bytes(b"of somebody else")
        (large / "99999999-ffffffff-result-1").write_bytes(b"of a driver that comes after this one")
        journal.close()
        assert orphan.exists()
        journal = opened(store, large=200)
        settle(journal, 2, 2000)
        journal.close()
        names = {path.name for path in large.iterdir()}
        assert names > {kept.name, "notes", "99999999-ffffffff-result-1"}
        assert len(names) == 4
        assert not orphan.exists()
        journal = opened(store)
        assert [entry.outcome for entry in journal.take_entries()] == [Outcome.OK] * 2
        journal.close()

    def test_not_those_that_what_is_damaged_may_name(self, store, tmp_path):
        journal = opened(store, large=200)
        settle(journal, 0, 2000)
        journal.until_kept()
        settle(journal, 1)
        journal.close()
        (kept,) = (tmp_path / "journal" / "large").iterdir()
        for part in sorted((tmp_path / "journal").glob("segment-*"))[1:-1]:
            part.write_bytes(b"nothing of ours")
        with pytest.warns(JournalWarning, match="was damaged"):
            journal = opened(store)
        journal.close()
        assert kept.exists()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_process_that_was_forked_leaves_it_alone(tmp_path, kind):
    place = tmp_path / "place"
    if kind == "directory":
        place.mkdir()
    journal = open_journal(place)
    journal.check(journals.IDENTITY)
    settle(journal, 0, 100_000)
    journal.until_kept()
    before = sorted(place.parent.rglob("*"))
    child = os.fork()
    if not child:
        journal.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(place.parent.rglob("*")) == before
    settle(journal, 1)
    journal.close()
    assert journals.told_of(place)[2] == []
