"""Journals whose store never answers: a server that accepts and says nothing, a file system that hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from sparkopt import fmin
from sparkopt.errors import JournalError
from sparkopt.hyperopt import search as search_module
from sparkopt.study.journal import open_journal
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_format import Part
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals
from tests.support.paths import python_path
from tests.support.processes import started
from tests.support.study_tools import CASE, in_order

ENDPOINT = "region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{}"


@contextmanager
def silent_server():
    """A server that accepts connections, and never answers, and its part of an address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # the kernel accepts
        yield listening, ENDPOINT.format(listening.getsockname()[1])


class HangingDirectory:
    """A directory on a file system that hangs: its next files are pipes, whose opening nobody answers.

    Args:
        path: of the directory.
    """

    def __init__(self, path):
        self.path = path
        self.pipes = []

    def hang(self, journal):
        """From now on putting never returns."""
        log = journal._log
        for number in range(log.number + 1, log.number + 4):
            pipe = self.path / Part(number, log.epoch).name
            if not pipe.exists():
                os.mkfifo(pipe)
                self.pipes.append(pipe)

    @staticmethod
    def lose_patience(journal):
        """Have the journal wait for a moment only. Not before: a busy machine takes long for anything."""
        journal._calls.shorten(0.2)

    def go_on(self):
        """Let those return that hang."""
        hanging = [thread for thread in threading.enumerate() if thread.name == "sparkopt-journal-call"]
        there = [pipe for pipe in self.pipes if pipe.exists()]
        readers = [os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) for pipe in there]
        for thread in hanging:
            thread.join(60)
        for reader in readers:
            os.close(reader)


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "journal").mkdir()
    found = HangingDirectory(tmp_path / "journal")
    yield found
    found.go_on()


def opened(directory, **pace):
    journal = SegmentJournal(DirectoryStore(directory.path), "the place", Pace(flush=0.0, **pace))
    journal.check(journals.IDENTITY)
    return journal


UNANSWERED = (
    r"the journal the place cannot be .*: its store has not answered for \d+ seconds.* run the same fmin"
)


def test_what_waits_for_it_is_told(directory):
    journal = opened(directory)
    journal.until_kept()
    directory.hang(journal)
    told = []
    journal.watch(lambda: None, told.append)
    journal.submitted([(0, b"own")], b"state")
    directory.lose_patience(journal)
    with pytest.raises(JournalError, match=UNANSWERED):
        journal.until_kept()
    journal.close()
    with pytest.raises(JournalError, match=UNANSWERED):
        raise told[0]


def test_closing_does_not_wait_for_ever(directory):
    journal = opened(directory, closing=0.2)
    journal.watch(lambda: None, lambda error: None)
    directory.hang(journal)
    journal.submitted([(0, b"own")], b"state")
    journal.close()


def test_a_search_ends_and_goes_on_later(new_trials, directory, monkeypatch):
    opened_ones = []

    def open_it(place):
        opened_ones.append(SegmentJournal(DirectoryStore(directory.path), "the place", Pace(0.0)))
        return opened_ones[-1]

    monkeypatch.setattr(search_module, "open_journal", open_it)

    def early_stop(trials):
        if len(trials.trials) == 3:
            opened_ones[-1].until_kept()
            directory.hang(opened_ones[-1])
            directory.lose_patience(opened_ones[-1])
        return False, []

    def search(evals, **more):
        trials = new_trials(parallelism=1, journal="file:///the/place")
        found.append(trials)
        fmin(float, CASE, in_order, evals, trials=trials, verbose=False, **more)

    found = []
    with pytest.raises(JournalError, match=UNANSWERED):
        search(100_000, early_stop_fn=early_stop)
    assert found[0].losses()[:3] == [0, 1, 2]
    directory.go_on()
    for pipe in directory.pipes:
        pipe.unlink()
    search(6)
    assert found[1].losses() == [0, 1, 2, 3, 4, 5]


DRIVER = """
import sys
from sparkopt.study.journal import open_journal

try:
    open_journal(sys.argv[1])
except KeyboardInterrupt:
    sys.stderr.write("interrupted\\n")
"""


@pytest.mark.slow
def test_ctrl_c_while_a_server_says_nothing(tmp_path):
    """The process ends when S3's client has tried three times, for as long as PyArrow waits for it."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    with silent_server() as (server, endpoint):
        command = [sys.executable, str(script), f"s3://me:hidden@bucket/a?{endpoint}"]
        environment = {**os.environ, "PYTHONPATH": python_path()}
        with started(command, env=environment, stderr=subprocess.PIPE, text=True) as driver:
            connection, _ = server.accept()  # it has asked
            os.kill(driver.pid, signal.SIGINT)
            assert driver.stderr.read() == "interrupted\n"
            assert driver.wait() == 0
            connection.close()


@pytest.mark.slow
def test_a_server_that_says_nothing():
    with (
        silent_server() as (_, endpoint),
        pytest.raises(
            JournalError, match=r"the journal s3://\*\*\*@bucket/a\?.* run the same fmin"
        ) as caught,
    ):
        open_journal(f"s3://me:hidden@bucket/a?{endpoint}")
    assert "hidden" not in str(caught.value)
