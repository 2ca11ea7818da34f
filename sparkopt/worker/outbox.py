"""What the coordinator must hear from a worker: kept until it has, and sent again after a cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from sparkopt.wire.v1 import trial_pb2, worker_pb2

_REPORTS: Final = 32
"""How many reports may be on their way at once; an objective that sends more has to wait."""


class Outbox:
    """Reports and outcomes in the order of their sequence numbers.

    Args:
        send: sends a message on the stream of the moment, if there is one.
    """

    def __init__(self, send: Callable[[worker_pb2.WorkerMessage], None]) -> None:
        self._send = send
        self._kept: deque[worker_pb2.WorkerMessage] = deque()
        self._sequence = 0
        self._room = asyncio.Semaphore(_REPORTS)

    @property
    def unacknowledged(self) -> list[worker_pb2.WorkerMessage]:
        """What must be sent again on a new stream, in order."""
        return list(self._kept)

    @property
    def outcome(self) -> trial_pb2.Outcome | None:
        """The outcome that the coordinator may not have heard yet."""
        if self._kept and self._kept[-1].HasField("outcome"):
            return self._kept[-1].outcome
        return None

    async def put_report(self, report: trial_pb2.Report) -> None:
        """Send a report, once there is room for it."""
        await self._room.acquire()
        self._put(worker_pb2.WorkerMessage(report=report))

    def put_outcome(self, outcome: trial_pb2.Outcome) -> None:
        """Send an outcome."""
        self._put(worker_pb2.WorkerMessage(outcome=outcome))

    def acknowledged(self, sequence: int) -> None:
        """The coordinator has everything up to this number."""
        while self._kept and self._kept[0].sequence <= sequence:
            if self._kept.popleft().HasField("report"):
                self._room.release()

    def _put(self, message: worker_pb2.WorkerMessage) -> None:
        self._sequence += 1
        message.sequence = self._sequence
        self._kept.append(message)
        self._send(message)
