"""Two drivers with one journal in a store: the later takes over, and nothing of the earlier counts then."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError
from sparkopt.study.journal import open_journal
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals
from tests.support.paths import python_path

DRIVER = """
import pathlib, sys, threading
from sparkopt.errors import JournalError
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals

place, blobs, first, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:])

class DelayedStore(DirectoryStore):
    def put(self, name, pieces):
        threading.Event().wait(0.03)
        super().put(name, pieces)
        threading.Event().wait(0.03)

journal = SegmentJournal(DelayedStore(place), place, Pace(flush=0.0, snapshot=8))
journal.check(journals.IDENTITY)
print(*(entry.tid for entry in journal.take_entries() if entry.outcome is not None), flush=True)
try:
    for tid in range(first, first + count):
        journals.write(journal, journals.Truth(), [tid], blobs)
        journal.until_kept()
        print(tid, flush=True)
except JournalError as error:
    print(error, flush=True)
journal.close()
"""


@pytest.fixture
def start(tmp_path):
    """Starts a driver that writes trials."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    started = []

    def begin(first, count):
        blobs = tmp_path / f"blobs-{first}"
        blobs.mkdir()
        command = [sys.executable, str(script), str(tmp_path / "journal"), str(blobs), str(first), str(count)]
        driver = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": python_path()}
        )
        started.append(driver)
        return driver

    yield begin
    for driver in started:
        driver.kill()
        driver.wait()
        driver.stdout.close()


def test_two_processes(start, tmp_path):
    earlier = start(0, 100_000)
    assert earlier.stdout.readline() == "\n"
    kept = [int(earlier.stdout.readline()) for _ in range(3)]
    later = start(200_000, 3)
    found = [int(tid) for tid in later.stdout.readline().split()]
    *more, said = earlier.stdout.read().splitlines()
    assert "another search has taken over the journal" in said
    assert f"process {later.pid} on " in said
    assert earlier.wait() == 0
    assert later.stdout.read().split() == ["200000", "200001", "200002"]
    assert later.wait() == 0
    # What counted for the earlier one was there for the later one, and nothing came after that.
    assert {*kept, *map(int, more)} <= {*found}
    with closing(open_journal(tmp_path / "journal")) as journal:
        journal.check(journals.IDENTITY)
        # The earlier one may have submitted one more.
        settled = [entry.tid for entry in journal.take_entries() if entry.outcome is not None]
        assert settled == [*found, 200_000, 200_001, 200_002]


def test_the_earlier_one_is_told_at_its_next_write(tmp_path):
    path = tmp_path / "journal"
    path.mkdir()
    earlier = SegmentJournal(DirectoryStore(path), path, Pace(flush=0.0))
    earlier.check(journals.IDENTITY)
    told = []
    earlier.watch(lambda: None, told.append)
    with closing(open_journal(path)) as later:
        later.check(journals.IDENTITY)
    earlier.submitted([(0, b"own")], b"state")
    with pytest.raises(JournalError, match="another search has taken over the journal"):
        earlier.until_kept()
    earlier.close()
    assert [type(error) for error in told] == [JournalError]
    with pytest.raises(JournalError, match="taken over"):
        raise told[0]
    with closing(open_journal(path)) as last:
        last.check(journals.IDENTITY)
        assert last.take_entries() == []


def test_one_that_begins_while_another_is_read(tmp_path):
    """What it is refused for may have been written since it was looked at."""
    path = tmp_path / "journal"
    path.mkdir()
    looked = open_journal(path)
    with closing(open_journal(path)) as other:
        other.check(journals.IDENTITY)
        other.submitted([(0, b"own")], b"state")
        other.settled(journals.settled(0, Outcome.LOST, None, "", None))
    looked.check(journals.IDENTITY)
    assert [entry.tid for entry in looked.take_entries()] == [0]
    looked.close()
