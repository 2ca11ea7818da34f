"""Requests of attempts that run, and the replies to them.

An attempt has one request under way at a time, so that there is one entry for each trial that has asked
anything. Its reply is kept until the attempt asks again or ends: until then a cut may have lost it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkopt.coordinator.blobs import BlobStore
from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.convert import to_attempt
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.wire.v1 import trial_pb2


@dataclass(slots=True)
class _Request:
    lease: Lease
    worker: str
    number: int
    reply: trial_pb2.Reply | None = None


class Requests:
    """The last request of each trial. Used from the coordinator's loop.

    Args:
        blobs: hold what is too large for a message.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._requests: dict[TrialKey, _Request] = {}

    def add(self, lease: Lease, worker: str, number: int) -> None:
        """Note a request, in place of the attempt's last one."""
        self.forget(lease.trial)
        self._requests[lease.trial] = _Request(lease, worker, number)

    def knows(self, lease: Lease, worker: str, number: int) -> bool:
        """Whether this request has been noted and not been forgotten."""
        request = self._requests.get(lease.trial)
        return request is not None and (request.lease, request.worker, request.number) == (
            lease,
            worker,
            number,
        )

    def answer(
        self, lease: Lease, number: int, body: bytes | Path, failure: str | None
    ) -> tuple[str, trial_pb2.Reply] | None:
        """Make and keep the reply to a request.

        Returns:
            The worker that asked, and the reply; None if nobody waits for it any more.
        """
        request = self._requests.get(lease.trial)
        if request is None or (request.lease, request.number) != (lease, number) or request.reply is not None:
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

    def reply_to(self, lease: Lease, worker: str) -> trial_pb2.Reply | None:
        """The reply to the last request of a worker's attempt, if there is one."""
        request = self._requests.get(lease.trial)
        if request is None or (request.lease, request.worker) != (lease, worker):
            return None
        return request.reply

    def forget(self, trial: TrialKey) -> None:
        """The trial's attempt has ended, or asks for something else: keep nothing."""
        request = self._requests.pop(trial, None)
        if request is not None and request.reply is not None and request.reply.body.HasField("blob"):
            self._blobs.withdraw(request.reply.body.blob.id)


def refusal(attempt: trial_pb2.Attempt, number: int) -> trial_pb2.Reply:
    """The reply to a request of an attempt that is not live."""
    failure = trial_pb2.Failure(message="the trial is no longer this worker's")
    return trial_pb2.Reply(attempt=attempt, id=number, failure=failure)
