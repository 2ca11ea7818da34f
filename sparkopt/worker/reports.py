"""Reports and requests of an objective in the middle of a trial.

    objective ──▶ Reporter.report ──▶ frame ──▶ process A ──▶ stream ──▶ coordinator ──▶ the study
                         └──◀── once A has sent it and has room for another ──◀──┘
    objective ──▶ Reporter.ask ──▶ frame ──▶ process A ──▶ stream ──▶ coordinator ──▶ the lane's party
                         └──◀── its reply ◀──────────────────────────────────────────────┘

A report waits for no request, and a request for none of another lane.

Only an objective that is a :class:`ReportingObjective` is given a reporter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkopt.errors import StorageError
from sparkopt.wire.limits import TEXT_CHARACTERS
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.asking import Asking
from sparkopt.worker.frames import Frame, Kind


class Reporter:
    """Speaks for one trial. May be used from any thread of the evaluator, as long as the trial runs.

    Attributes:
        directory: where a file for :meth:`ask` has to be.

    Args:
        asking: the trial's.
        pack: makes the frame of a value.
        directory: where payloads go that are too large for the socket; A owns and removes it.
    """

    def __init__(
        self, asking: Asking, pack: Callable[[Kind, dict[str, Any], Any], Frame], directory: Path
    ) -> None:
        self.directory = directory
        self._pack = pack
        self._asking = asking

    def report(self, kind: ReportKind, value: Any, name: str = "") -> None:
        """Send a value to the driver.

        Waits until process A has sent it, and until the study has taken enough earlier reports to have room
        for the next: an objective that is faster than the study is slowed down.

        Raises:
            TrialError: if the trial has ended, the worker is being ended, or this is a child process.
            StorageError: if the value is large, and a disk on its way did not take it.
            TypeError: if the name is not text.
            ValueError: if the name cannot be sent.
            Exception: whatever the value's pickling raises.
        """
        what = f"a report ({kind.value})"
        self._asking.refuse_children(what)
        _check_name(name, kind)
        packed = self._pack(Kind.REPORT, {"report": kind.value, "name": name}, value)
        answer = self._asking.report(packed, what)
        if "error" in answer.header:
            raise StorageError(answer.header["error"])

    def ask(self, method: str, body: bytes | Path = b"") -> bytes | Path:
        """Ask something of the driver, and wait for the answer. Threads that use the same lane take turns.

        Args:
            method: what is asked for, behind its lane and a dot; see :mod:`sparkopt.wire.lanes`.
            body: what the method needs; a file in :attr:`directory`, which goes to A, if it is large.

        Returns:
            The answer; a file that is the caller's to remove, if it is large.

        Raises:
            TrialError: if the trial has ended, the worker is being ended, or this is a child process.
            RequestFailedError: if the driver refuses, or cannot answer.
            ValueError: if the method has no lane.
        """
        return self._asking.ask(method, body)

    @property
    def in_child(self) -> bool:
        """True if this is a process that the objective has forked, which cannot report."""
        return self._asking.in_child

    def refuse_children(self, what: str) -> None:
        """Raise unless this is the trial's own process.

        Args:
            what: is to be reported or asked, with its article.

        Raises:
            TrialError: in a process that the objective has forked.
        """
        self._asking.refuse_children(what)


def _check_name(name: object, kind: ReportKind) -> None:
    """Refuse a name that no message takes."""
    if not isinstance(name, str):
        raise TypeError(
            f"the name of a report ({kind.value}) is text, and not the {type(name).__name__} {name!r}"
        )
    if len(name) > TEXT_CHARACTERS:
        raise ValueError(
            f"the name of a report ({kind.value}) has {len(name):,} characters; {TEXT_CHARACTERS:,} may be"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name of a report ({kind.value}) is not valid text: {name!r}") from None


class ReportingObjective(ABC):
    """An objective that is called with a reporter."""

    @abstractmethod
    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument."""
