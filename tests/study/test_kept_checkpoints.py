"""Checkpoints of trials that have not settled, in journals of both kinds."""

from __future__ import annotations

import logging
import resource
import shutil
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError
from sparkopt.study.journal import Journal, open_journal
from sparkopt.study.journal.contents import copy
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from sparkopt.wire import codec
from tests.study import journals

LARGE = 200_000
"""Bytes of a checkpoint that is an object of its own."""


@pytest.fixture(params=["file", "log"])
def place(request, tmp_path):
    """Place of a journal of each kind."""
    path = tmp_path / "journal"
    if request.param == "log":
        path.mkdir()
    return path


@pytest.fixture
def opened(place):
    """Opens the journal as the next driver does."""

    def opened(at=place):
        journal = open_journal(at)
        journal.check(journals.IDENTITY)
        return closing(journal)

    return opened


@pytest.fixture
def pushed(tmp_path):
    """Makes the file of a large checkpoint, as a worker has pushed it."""
    (tmp_path / "pushed").mkdir()

    def pushed(byte, size=LARGE):
        path = tmp_path / "pushed" / f"{byte}-{size}"
        path.write_bytes(bytes([byte]) * size)
        return path

    return pushed


def submit(journal, *tids):
    for tid in tids:
        journal.submitted([(tid, codec.dumps(journals.document(tid)))], b"state")


def settle(journal, tid, outcome=Outcome.OK):
    journal.settled(journals.settled(tid, outcome, None, "", None))


def bytes_of(payload):
    if payload is None:
        return None
    return payload.body if isinstance(payload.body, bytes) else payload.body.read_bytes()


def saved_files(place):
    """Files and objects of checkpoints."""
    return [path for path in place.parent.rglob("*saved-*") if path.is_file()]


def test_the_newest_is_there_for_the_next_driver(place, opened, pushed):
    with opened() as journal:
        submit(journal, 0, 1, 2)
        for tid in (0, 1):
            journal.keep_checkpoint(tid, b"old")
            journal.keep_checkpoint(tid, pushed(1))
        kept = journal.keep_checkpoint(0, pushed(2))
        assert bytes_of(kept) == bytes([2]) * LARGE
        journal.keep_checkpoint(1, b"small")
        assert len(saved_files(place)) == 1
    for _ in range(2):
        with opened() as journal:
            assert sorted(journal.checkpointed()) == [0, 1]
            assert bytes_of(journal.checkpoint(0)) == bytes([2]) * LARGE
            assert [bytes_of(journal.checkpoint(tid)) for tid in (1, 2)] == [b"small", None]
            assert [entry.outcome for entry in journal.take_entries()] == [None] * 3


def test_it_goes_when_its_trial_has_settled(place, opened, pushed):
    with opened() as journal:
        submit(journal, 0)
        journal.keep_checkpoint(0, pushed(1))
        settle(journal, 0)
        journal.drop_checkpoint(0)
        assert saved_files(place) == []
    with opened() as journal:
        assert [*journal.checkpointed()] == []
        assert journal.take_entries()[0].reports == ()


def test_it_is_there_until_its_trials_end_is(tmp_path, pushed):
    """A driver that is killed may lose what it has written last: then the trial runs again."""
    path, killed = tmp_path / "journal", tmp_path / "killed"
    with closing(SegmentJournal(DirectoryStore(path), path, Pace(flush=3600.0))) as journal:
        journal.check(journals.IDENTITY)
        submit(journal, 0)
        journal.keep_checkpoint(0, pushed(1))
        settle(journal, 0)
        journal.drop_checkpoint(0)
        shutil.copytree(path, killed)
    with closing(open_journal(killed)) as journal:
        journal.check(journals.IDENTITY)
        assert journal.take_entries()[0].outcome is Outcome.OK


def test_what_a_driver_that_was_killed_could_not_remove_goes_at_the_next_one(place, opened, pushed):
    with opened() as journal:
        submit(journal, 0)
        journal.keep_checkpoint(0, pushed(1))
        settle(journal, 0)
    assert len(saved_files(place)) == 1
    with opened() as journal:
        assert [*journal.checkpointed()] == []
        assert saved_files(place) == []


def test_what_was_not_written_down_goes_at_the_next_one(tmp_path):
    path = tmp_path / "journal"
    with closing(open_journal(path)) as journal:
        journal.check(journals.IDENTITY)
    (tmp_path / "journal-files").mkdir()
    (tmp_path / "journal-files" / "saved-7").write_bytes(b"half of one")
    with closing(open_journal(path)) as journal:
        journal.check(journals.IDENTITY)
    assert saved_files(path) == []


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"no")], ids=["gone", "damaged"]
)
def test_one_that_is_not_what_was_written_is_none(place, opened, pushed, damage, caplog):
    caplog.set_level(logging.WARNING, "sparkopt")
    with opened() as journal:
        submit(journal, 0)
        journal.keep_checkpoint(0, pushed(1))
    damage(*saved_files(place))
    with opened() as journal:
        assert journal.checkpoint(0) is None
        assert bytes_of(journal.keep_checkpoint(0, b"next")) == b"next"


def test_a_trial_goes_on_from_it_in_a_copy_of_either_kind(place, opened, pushed, tmp_path):
    with opened() as journal:
        submit(journal, 0, 1, 2)
        journal.keep_checkpoint(0, pushed(1))
        journal.keep_checkpoint(1, b"small")
        journal.keep_checkpoint(2, b"of one that settles")
        settle(journal, 2)
    for name in ("file", "log"):
        target = tmp_path / "copies" / name
        target.parent.mkdir(exist_ok=True)
        if name == "log":
            target.mkdir()
        copy(place, target)
        with opened(target) as journal:
            assert sorted(journal.checkpointed()) == [0, 1]
            assert bytes_of(journal.checkpoint(0)) == bytes([1]) * LARGE
            assert bytes_of(journal.checkpoint(1)) == b"small"


def test_a_damaged_journal_is_made_anew_with_it(tmp_path, pushed):
    path = tmp_path / "journal"
    with closing(open_journal(path)) as journal:
        journal.check(journals.IDENTITY)
        submit(journal, *range(4))
        journal.keep_checkpoint(0, pushed(1))
    data = bytearray(path.read_bytes())
    data[18] ^= 1  # of the header: the rows are whole
    path.write_bytes(data)
    with closing(open_journal(path)) as journal:
        with pytest.warns(UserWarning, match="was damaged"):
            journal.check(journals.IDENTITY)
        assert bytes_of(journal.checkpoint(0)) == bytes([1]) * LARGE


@contextmanager
def full_disk():
    """Let this process write no file of more than 1 MiB."""
    small, large = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, large))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, large))


@pytest.mark.parametrize("kind", ["file", "log"])
def test_a_disk_that_is_full_leaves_the_one_before(kind, tmp_path, pushed):
    path = tmp_path / "journal"
    make = {
        "file": lambda: Journal(path),
        "log": lambda: SegmentJournal(DirectoryStore(path), path, Pace(outage=0.0)),
    }
    with closing(make[kind]()) as journal, tempfile.TemporaryDirectory(dir="/dev/shm") as another_disk:
        journal.check(journals.IDENTITY)
        submit(journal, 0)
        journal.keep_checkpoint(0, b"before")
        file = Path(another_disk, "pushed")
        file.write_bytes(bytes(2**21))
        with full_disk(), pytest.raises(JournalError, match="File too large"):
            journal.keep_checkpoint(0, file)
        assert bytes_of(journal.checkpoint(0)) == b"before"
        journal.keep_checkpoint(0, pushed(1))
        assert bytes_of(journal.checkpoint(0)) == bytes([1]) * LARGE
