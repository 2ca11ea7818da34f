"""A process keeps the descriptors that it names; all others lead nowhere, under the same numbers."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sparkopt.worker import descriptors, processes


def targets() -> dict[int, str]:
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        if path.is_symlink():  # not the directory's own, which is closed by now
            found[int(path.name)] = str(path.readlink())
    return found


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours as sock, theirs:
        reading, writing = os.pipe()
        yield sock.fileno(), reading, writing
        os.close(reading)
        os.close(writing)


def in_a_child(check):
    """Call a function in a forked process, and say whether it returned."""
    _, status = os.waitpid(processes.fork(check), 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_what_is_not_kept_leads_nowhere(ends):
    sock, reading, writing = ends

    def check():
        before = targets()
        descriptors.let_go_of_all_but({*descriptors.STANDARD, writing})
        after = targets()
        assert set(after) == set(before)
        kept = {*descriptors.STANDARD, writing}
        assert {number: after[number] for number in kept} == {number: before[number] for number in kept}
        assert {target for number, target in after.items() if number not in kept} == {os.devnull}
        assert not os.get_inheritable(sock)
        assert after[reading] == os.devnull

    assert in_a_child(check)


def test_a_duplicate_out_of_the_way_has_a_high_number_and_takes_the_place_of_the_first(ends):
    sock, _, _ = ends
    first = os.dup(sock)
    duplicate = descriptors.out_of_the_way(first)
    try:
        assert duplicate > 900
        assert os.fstat(duplicate).st_ino == os.fstat(sock).st_ino
        assert not os.get_inheritable(duplicate)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(first)
    finally:
        os.close(duplicate)
