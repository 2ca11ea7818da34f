"""Intermediate values of one attempt, on their way from its evaluator to the coordinator.

    VALUE ──▶ take ──▶ waiting ──▶ a message, one of eight at most ──▶ receipt: forgotten
                          └──────── rest ──────────┴──▶ the outcome

The first value goes at once. What comes while eight messages are without a receipt waits, and goes together
with the next one; so a coordinator that has much to do gets few messages, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from sparkopt.wire.v1 import trial_pb2, worker_pb2
from sparkopt.wire.value_series import ValueSeries

_MOST_MESSAGES: Final = 8
"""Number of messages of an attempt that may be without a receipt."""


class ValuesUnderWay:
    """Values of an attempt, until the coordinator has them. Made with the first of them.

    Args:
        attempt: the attempt that reports them.
        send: sends a message on the current stream, if there is one.
    """

    def __init__(self, attempt: trial_pb2.Attempt, send: Callable[[worker_pb2.WorkerMessage], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._attempt = attempt
        self._send = send
        self._waiting = ValueSeries()
        self._sent: deque[trial_pb2.IntermediateValues] = deque()
        self._count = 0
        self._due = False

    def take(self, step: int, value: float) -> None:
        """Take a value from the evaluator. Those that are read with it go in one message."""
        self._waiting.add(step, value)
        if not self._due and len(self._sent) < _MOST_MESSAGES:
            self._due = True
            self._loop.call_soon(self._flush)

    def received(self, receipt: worker_pb2.ValuesReceipt) -> None:
        """Forget what the coordinator has, and send what waits for that."""
        if receipt.attempt != self._attempt:
            return
        while self._sent and self._sent[0].offset + len(self._sent[0].steps) <= receipt.count:
            self._sent.popleft()
        if self._waiting and not self._due and len(self._sent) < _MOST_MESSAGES:
            self._flush()

    @property
    def without_receipt(self) -> list[worker_pb2.WorkerMessage]:
        """Messages to send again on a new stream, in order."""
        return [worker_pb2.WorkerMessage(values=each) for each in self._sent]

    def rest(self) -> trial_pb2.IntermediateValues:
        """Returns all that the coordinator may lack, for the outcome to bring. Nothing is sent after that."""
        rest = self._packed()
        self._waiting = ValueSeries()
        while self._sent:
            before = self._sent.pop()
            before.steps.extend(rest.steps)
            before.values.extend(rest.values)
            rest = before
        return rest

    def _packed(self) -> trial_pb2.IntermediateValues:
        waiting = self._waiting
        return trial_pb2.IntermediateValues(
            attempt=self._attempt, offset=self._count, steps=waiting.steps, values=waiting.values
        )

    def _flush(self) -> None:
        self._due = False
        if not self._waiting:
            return
        packed = self._packed()
        self._count += len(self._waiting)
        self._waiting = ValueSeries()
        self._sent.append(packed)
        self._send(worker_pb2.WorkerMessage(values=packed))
