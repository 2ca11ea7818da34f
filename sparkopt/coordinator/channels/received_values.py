"""Number of intermediate values that each running attempt has sent, so that each of them counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkopt.core.states import Lease, TrialKey
from sparkopt.errors import ProtocolError
from sparkopt.wire.v1 import trial_pb2

_MESSAGES_A_RECEIPT: Final = 4
"""Number of messages that one receipt is sent for. Workers have twice as many under way."""

_STEPS: Final = 2**63
"""Number of steps that there are."""


@dataclass(slots=True)
class _Received:
    """Values of an attempt, and the messages that brought them."""

    attempt: int
    values: int = 0
    messages: int = 0


class ReceivedValues:
    """Counts of values. Used from the coordinator's thread only."""

    def __init__(self) -> None:
        self._received: dict[TrialKey, _Received] = {}

    def take(
        self, lease: Lease, message: trial_pb2.IntermediateValues
    ) -> tuple[list[int], list[float], int | None]:
        """Take in a message of a live attempt.

        Args:
            lease: of the attempt.
            message: from its worker.

        Returns:
            The steps and values that have not come before, and the count for a receipt, if one is due.

        Raises:
            ProtocolError: if no worker of ours would send the message.
        """
        received = self._received.get(lease.trial)
        if received is None or received.attempt != lease.attempt:
            received = self._received[lease.trial] = _Received(lease.attempt)
        steps, values = message.steps[:], message.values[:]
        if len(steps) != len(values) or (steps and max(steps) >= _STEPS):
            raise ProtocolError(f"{len(values)} intermediate values need as many steps below 2**63")
        known = received.values - message.offset
        if known < 0:
            raise ProtocolError(f"intermediate values {received.values} to {message.offset} were left out")
        received.messages += 1
        if known == 0:
            received.values += len(steps)
            due = received.messages % _MESSAGES_A_RECEIPT == 0
            return steps, values, received.values if due else None
        # After a cut: the worker has not heard that these have come.
        received.values = max(received.values, message.offset + len(steps))
        return steps[known:], values[known:], received.values

    def forget(self, trial: TrialKey) -> None:
        """Forget a trial that has settled."""
        self._received.pop(trial, None)
