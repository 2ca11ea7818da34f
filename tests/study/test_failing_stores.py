"""A journal's store that cannot be reached: for a while, for good, and with much that waits to be written."""

from __future__ import annotations

import pickle
import threading

import pytest

from sparkopt.coordinator import Payload
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, JournalWarning
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
