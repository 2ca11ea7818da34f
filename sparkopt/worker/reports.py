"""What an objective says in the middle of a trial, and B's way to say it.

    objective ──▶ Reporter.report ──▶ frame ──▶ process A ──▶ stream ──▶ coordinator ──▶ the study
                         └──◀── once A has sent it and has room for another ──◀──┘

Only an objective that is a :class:`ReportingObjective` is given a reporter.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sparkopt.errors import StorageError, TrialError
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.frames import Frame, Kind, receive


class Reporter:
    """Sends reports for one trial. May be used from any thread of the evaluator, as long as the trial runs.

    Args:
        sock: to process A.
        pack: makes the frame of a value.
    """

    def __init__(self, sock: socket.socket, pack: Callable[[Kind, dict[str, Any], Any], Frame]) -> None:
        self._sock = sock
        self._pack = pack
        self._lock = threading.Lock()
        self._closed = False

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

    def close(self) -> None:
        """The trial has ended: refuse what comes from now on."""
        with self._lock:
            self._closed = True


class ReportingObjective(ABC):
    """An objective that is called with a reporter."""

    @abstractmethod
    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument."""
