"""What an objective says and asks in the middle of a trial, and B's way to do so.

    objective ──▶ Reporter.report ──▶ frame ──▶ process A ──▶ stream ──▶ coordinator ──▶ the study
                         └──◀── once A has sent it and has room for another ──◀──┘

Only an objective that is a :class:`ReportingObjective` is given a reporter.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkopt.errors import StorageError, TrialError
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.asking import Asking
from sparkopt.worker.frames import Frame, Kind, receive


class Reporter:
    """Speaks for one trial. May be used from any thread of the evaluator, as long as the trial runs.

    Attributes:
        directory: where a file for :meth:`ask` has to be.

    Args:
        sock: to process A.
        pack: makes the frame of a value.
        directory: where payloads go that are too large for the socket; A owns and removes it.
    """

    def __init__(
        self, sock: socket.socket, pack: Callable[[Kind, dict[str, Any], Any], Frame], directory: Path
    ) -> None:
        self.directory = directory
        self._sock = sock
        self._pack = pack
        self._lock = threading.Lock()
        self._closed = False
        self._asking = Asking(sock, self._lock, directory)

    def report(self, kind: ReportKind, value: Any, name: str = "") -> None:
        """Send a value to the driver.

        Waits until process A has sent it, and until the study has taken so many of those before it that there
        is room for the next: what is faster than the study is slowed down.

        Raises:
            TrialError: if the trial has ended.
            StorageError: if the value is large, and a disk on its way did not take it.
            Exception: whatever the value's pickling raises.
        """
        frame = self._pack(Kind.REPORT, {"report": kind.value, "name": name}, value)
        with self._lock:
            if self._closed:
                raise TrialError(f"a {kind.value} came after its trial had ended")
            self._sock.sendall(frame.encode())
            answer = receive(self._sock)
        if answer is None:
            raise TrialError(f"a {kind.value} cannot be sent: this worker is being ended")
        if "error" in answer.header:
            raise StorageError(answer.header["error"])

    def ask(self, method: str, body: bytes | Path = b"") -> bytes | Path:
        """Ask something of the driver, and wait for the answer. Several threads are answered in turn.

        Args:
            method: what is asked for.
            body: what the method needs; a file in :attr:`directory`, which goes to A, if it is large.

        Returns:
            The answer; a file that is the caller's to remove, if it is large.

        Raises:
            TrialError: if the trial has ended, the worker is being ended, or this is a child process.
            RequestFailedError: if the driver refuses, or cannot answer.
        """
        return self._asking.ask(method, body)

    def close(self) -> None:
        """The trial has ended: refuse what comes from now on."""
        self._asking.close()
        with self._lock:
            self._closed = True


class ReportingObjective(ABC):
    """An objective that is called with a reporter."""

    @abstractmethod
    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument."""
