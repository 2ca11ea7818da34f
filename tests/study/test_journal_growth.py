"""Bytes that a journal of objects puts over a search: in proportion to what happens, however long it is."""

from __future__ import annotations

from contextlib import closing

import pytest

from sparkopt.coordinator import Payload
from sparkopt.core.states import Outcome
from sparkopt.study.journal.contents import copy, look
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_format import LARGE, RECORDS
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from sparkopt.wire import codec
from tests.study import journals

PACE = Pace(flush=1000.0, snapshot=8, parts=4)


class CountingStore:
    """A store in memory that counts the bytes that are put."""

    def __init__(self):
        self.objects, self.put_bytes = {}, 0

    def put(self, name, pieces):
        self.objects[name] = b"".join(pieces)
        self.put_bytes += len(self.objects[name])

    def get(self, name):
        return self.objects.get(name)

    def fetch(self, name, target):
        data = self.objects.get(name)
        target.write(data or b"")
        return data is not None

    def list(self):
        return [name for name in self.objects if not name.startswith(LARGE)]

    def list_large(self):
        return [name.removeprefix(LARGE) for name in self.objects if name.startswith(LARGE)]

    def delete(self, name):
        self.objects.pop(name, None)

    def prepare(self):
        pass

    @property
    def size(self):
        return sum(map(len, self.objects.values()))


def opened(store):
    journal = SegmentJournal(store, "memory", PACE)
    journal.check(journals.IDENTITY)
    return closing(journal)


def submit(journal, tid):
    journal.submitted([(tid, codec.dumps(journals.document(tid)))], b"state")


def save(store, count, size):
    """Save so many checkpoints of a trial, by four drivers; bytes that were put."""
    for driver in range(4):
        with opened(store) as journal:
            if driver == 0:
                submit(journal, 0)
            for number in range(count // 4):
                journal.keep_checkpoint(0, bytes([number % 256]) * size)
    return store.put_bytes


@pytest.mark.parametrize("size", [100, 3000, 30_000])
def test_checkpoints_are_put_as_often_however_many_there_are(size):
    few, many = (save(CountingStore(), count, size) for count in (32, 192))
    assert many < 7 * few


def test_checkpoints_that_are_not_small_do_not_stay():
    store = CountingStore()
    save(store, 192, 30_000)
    assert store.size < 192 * 1000


def test_trials_are_put_as_often_however_many_there_are():
    def run(store, count):
        with opened(store) as journal:
            for tid in range(count):
                submit(journal, tid)
                journal.settled(journals.settled(tid, Outcome.OK, Payload(b"r" * 500), "", None))
                journal.until_kept()
        return store.put_bytes

    few, many = (run(CountingStore(), count) for count in (32, 192))
    assert many < 7 * few


def test_the_next_driver_and_whoever_looks_find_everything(tmp_path):
    path, blobs = tmp_path / "journal", tmp_path / "blobs"
    blobs.mkdir()
    truth = journals.Truth()
    for first in range(0, 120, 30):
        with closing(SegmentJournal(DirectoryStore(path), path, PACE)) as journal:
            journal.check(journals.IDENTITY)
            for tid in range(first, first + 30):
                journals.write(journal, truth, [tid], blobs)
                journal.until_kept()
    parts = [each for each in (path / LARGE).iterdir() if f"-{RECORDS}-" in each.name]
    assert len(parts) >= 4
    assert len({each.name.split(f"-{RECORDS}-")[0] for each in parts}) == 4  # of all drivers
    contents = look(path)
    assert contents.verify() == []
    assert len(contents.trials()) == 120
    copy(path, tmp_path / "copy")
    assert len(look(tmp_path / "copy").trials()) == 120
    assert journals.compare(path, truth, False) == "whole"


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_part_that_is_damaged_loses_what_is_in_it_and_no_more(tmp_path, damage):
    path, blobs = tmp_path / "journal", tmp_path / "blobs"
    blobs.mkdir()
    truth = journals.Truth()
    with closing(SegmentJournal(DirectoryStore(path), path, PACE)) as journal:
        journal.check(journals.IDENTITY)
        for tid in range(60):
            journals.write(journal, truth, [tid], blobs)
            journal.until_kept()
    parts = sorted((path / LARGE).glob(f"*-{RECORDS}-*"), key=lambda each: int(each.name.rpartition("-")[2]))
    middle = parts[len(parts) // 2]
    if damage == "remove":
        middle.unlink()
    else:
        data = bytearray(middle.read_bytes())
        data[len(data) // 2] ^= 1
        middle.write_bytes(data)
    assert [each for each in look(path).damage if middle.name in each]
    expected = {"remove": "some lost", "flip": "some run again"}
    assert journals.compare(path, truth, False) == expected[damage]
    entries, _, told = journals.told_of(path)
    assert told == []
    assert len(entries) >= 50
