"""A post to meet at: objectives come to it, say who they are, and wait for the test's word."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from pathlib import Path

SECONDS = 30.0
"""How long a test waits for what has to come."""


class Post:
    """Where objectives report: a socket of the test's.

    Args:
        path: the socket's.
        seconds: how long to wait for an objective.
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self.path = str(path)
        self._seconds = seconds
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(100)
        self._socket.settimeout(seconds)
        self._visits: list[Visit] = []

    def visit(self) -> Visit:
        """The next objective that comes."""
        visit = Visit(self._socket.accept()[0])
        self._visits.append(visit)
        return visit

    def visits(self, number: int) -> dict[str, Visit]:
        """So many, by their words."""
        return {visit.word: visit for visit in (self.visit() for _ in range(number))}

    def nobody_waits(self) -> bool:
        """Whether nobody has come that was not met."""
        self._socket.settimeout(0)
        try:
            self._visits.append(Visit(self._socket.accept()[0]))
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(self._seconds)
        return False

    def close(self) -> None:
        self._socket.close()
        for visit in self._visits:
            visit.close()


class Visit:
    """An objective that waits for an answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.settimeout(SECONDS)
        with sock.makefile("rb") as stream:
            said = json.loads(stream.readline())
        self.word, self.pid, self.parent = said["word"], said["pid"], said["parent"]

    def answer(self, word: str = "done") -> None:
        self._socket.sendall(word.encode())

    def wait_for_the_end(self) -> None:
        """Wait until the process at the other end is gone."""
        with contextlib.suppress(ConnectionResetError):
            assert self._socket.recv(1) == b""

    def fileno(self) -> int:
        """Ready to be read when the process at the other end is gone."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def first_to_end(visits: list[Visit]) -> Visit:
    """Wait until one of these processes is gone, and say which."""
    ended, _, _ = select.select(visits, [], [], SECONDS)
    assert ended, "they are all still there"
    return ended[0]
