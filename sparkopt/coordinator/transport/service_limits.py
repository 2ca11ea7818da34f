"""Limits of one service: how many connections, streams and bytes its callers may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkopt.wire.limits import REQUEST_BYTES


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits on what a service accepts at the same time.

    Attributes:
        connections: number in all. Each takes one of the driver's file descriptors. Strangers get at most
            half of them, and so do clients whose token is read-only.
        strangers: number of connections of one address without a call that had a right token.
        streams: number of streams of one address with the same token.
        request_bytes: the largest message of a call, by the call's full name; of all others it is
            :data:`~sparkopt.wire.limits.REQUEST_BYTES`.
        patient: calls that may wait for long, and count as streams.
        unread: calls that are handed their requests as bytes, to read them piece by piece.
    """

    connections: int
    strangers: int
    streams: int
    request_bytes: Mapping[str, int] = field(default_factory=dict)
    patient: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()

    def bytes_of(self, call: str) -> int:
        """The largest message of a call."""
        return self.request_bytes.get(call, REQUEST_BYTES)
