"""Requests of attempts that run, and the replies to them.

An attempt has one request under way in each lane, so that there is one entry for each lane in which a trial
has asked anything. Its reply is kept until the attempt asks again in that lane or ends: until then a cut may
have lost it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkopt.coordinator.blobs import BlobStore
from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.convert import to_attempt
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.wire.v1 import trial_pb2


@dataclass(slots=True)
class _Request:
    lease: Lease
    worker: str
    number: int
    reply: trial_pb2.Reply | None = None


class Requests:
    """The last request of each trial in each lane. Used from the coordinator's loop.

    Args:
        blobs: hold what is too large for a message.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._requests: dict[TrialKey, dict[Lane, _Request]] = {}

    def add(self, lease: Lease, lane: Lane, worker: str, number: int) -> None:
        """Note a request, in place of the attempt's last one in that lane."""
        requests = self._requests.setdefault(lease.trial, {})
        if lane in requests:
            self._withdraw(requests[lane])
        requests[lane] = _Request(lease, worker, number)

    def knows(self, lease: Lease, worker: str, number: int) -> bool:
        """Returns whether this request has been noted and not been forgotten."""
        request = self._find(lease, number)
        return request is not None and request.worker == worker

    def answer(
        self, lease: Lease, number: int, body: bytes | Path, failure: str | None
    ) -> tuple[str, trial_pb2.Reply] | None:
        """Make and keep the reply to a request.

        Returns:
            The worker that asked, and the reply; None if nobody waits for it any more.
        """
        request = self._find(lease, number)
        if request is None or request.reply is not None:
            if isinstance(body, Path):
                body.unlink(missing_ok=True)
            return None
        reply = trial_pb2.Reply(attempt=to_attempt(lease), id=number)
        if failure is not None:
            reply.failure.message = failure
        elif isinstance(body, bytes) and len(body) <= INLINE_BYTES:
            reply.body.inline = body
        else:
            reply.body.blob.CopyFrom(self._blobs.offer(body))
        request.reply = reply
        return request.worker, reply

    def replies_to(self, lease: Lease, worker: str) -> list[trial_pb2.Reply]:
        """The replies to the last requests of a worker's attempt, as far as there are any."""
        return [
            request.reply
            for request in self._requests.get(lease.trial, {}).values()
            if request.reply is not None and (request.lease, request.worker) == (lease, worker)
        ]

    def forget(self, trial: TrialKey) -> None:
        """The trial's attempt has ended: keep nothing."""
        for request in self._requests.pop(trial, {}).values():
            self._withdraw(request)

    def _find(self, lease: Lease, number: int) -> _Request | None:
        """The request of an attempt with this number, if it is the last one of its lane."""
        for request in self._requests.get(lease.trial, {}).values():
            if (request.lease, request.number) == (lease, number):
                return request
        return None

    def _withdraw(self, request: _Request) -> None:
        if request.reply is not None and request.reply.body.HasField("blob"):
            self._blobs.withdraw(request.reply.body.blob.id)


def refusal(attempt: trial_pb2.Attempt, number: int) -> trial_pb2.Reply:
    """The reply to a request of an attempt that is not live."""
    failure = trial_pb2.Failure(message="the trial is no longer this worker's")
    return trial_pb2.Reply(attempt=attempt, id=number, failure=failure)
