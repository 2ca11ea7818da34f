"""Messages that the coordinator must get: kept until it has them, and sent again after a cut.

A report has two ends. It is *acknowledged* when the coordinator has it, and need not be kept here then. It is
*taken* when its study has looked at it, which a study that is busy in its algorithm does late; until then it
takes up room, so that an objective that reports faster than its study takes is slowed down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from sparkopt.wire.v1 import trial_pb2, worker_pb2

_REPORTS: Final = 32
"""How many reports may be on their way to a study at once."""


class Outbox:
    """Reports, requests and outcomes in the order of their sequence numbers.

    Args:
        send: sends a message on the current stream, if there is one.
    """

    def __init__(self, send: Callable[[worker_pb2.WorkerMessage], None]) -> None:
        self._send = send
        self._kept: deque[worker_pb2.WorkerMessage] = deque()
        self._sequence = 0
        self._untaken: dict[int, str] = {}

    @property
    def unacknowledged(self) -> list[worker_pb2.WorkerMessage]:
        """Messages to be sent again on a new stream, in order."""
        return list(self._kept)

    @property
    def outcome(self) -> trial_pb2.Outcome | None:
        """The outcome that the coordinator may not have heard yet."""
        if self._kept and self._kept[-1].HasField("outcome"):
            return self._kept[-1].outcome
        return None

    def has_room(self, study: str) -> bool:
        """Returns whether the study has taken enough of this worker's reports for the next to be made."""
        return sum(other == study for other in self._untaken.values()) < _REPORTS

    def put_report(self, report: trial_pb2.Report) -> None:
        """Send a report."""
        self._put(worker_pb2.WorkerMessage(report=report))
        self._untaken[self._sequence] = report.attempt.study

    def put_request(self, request: trial_pb2.Request) -> None:
        """Send a request. It needs no room: an attempt has one at a time in each lane."""
        self._put(worker_pb2.WorkerMessage(request=request))

    def put_outcome(self, outcome: trial_pb2.Outcome) -> None:
        """Send an outcome."""
        self._put(worker_pb2.WorkerMessage(outcome=outcome))

    def acknowledged(self, sequence: int) -> None:
        """The coordinator has everything up to this number."""
        while self._kept and self._kept[0].sequence <= sequence:
            self._kept.popleft()

    def taken(self, sequences: Iterable[int]) -> None:
        """Studies have taken these reports."""
        for sequence in sequences:
            self._untaken.pop(sequence, None)

    def taken_but(self, sequences: Iterable[int]) -> None:
        """Note that studies have taken all acknowledged reports but these."""
        left = {*sequences, *(message.sequence for message in self._kept)}
        self._untaken = {number: study for number, study in self._untaken.items() if number in left}

    def _put(self, message: worker_pb2.WorkerMessage) -> None:
        self._sequence += 1
        message.sequence = self._sequence
        self._kept.append(message)
        self._send(message)
