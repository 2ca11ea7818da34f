"""What workers that the test plays hear and say."""

from __future__ import annotations

from typing import Any

from sparkopt.wire import codec
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator.rig import Peer

CANCELLED = {"kind": trial_pb2.OUTCOME_KIND_CANCELLED}


def attempt_of(peer: Peer) -> trial_pb2.Attempt:
    """The next thing that a worker hears is an assignment: of this attempt."""
    return peer.hear("assignment").assignment.attempt


def ok(loss: float | None = None) -> dict[str, Any]:
    """An outcome that is well."""
    payload = trial_pb2.Payload(inline=codec.dumps(loss))
    return {"kind": trial_pb2.OUTCOME_KIND_OK, "result": payload, "loss": loss, "seconds": 0.5}
