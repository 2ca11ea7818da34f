"""What a pool is told of its control service."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Control:
    """Opens a pool to control over gRPC.

    Attributes:
        listen: ``host:port`` to listen at; port 0 takes a free one. Off loopback it speaks TLS only.
        token: what a call must carry that may do anything; by default a new one.
        read_only_token: what a call must carry that may look only; by default a new one.
    """

    listen: str = "127.0.0.1:0"
    token: str | None = field(default=None, repr=False)
    read_only_token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, value: bool | str | Control | None) -> Control | None:
        """What ``control=`` says: whether, or where to listen, or all of it."""
        if isinstance(value, Control):
            return value
        if isinstance(value, str):
            return cls(listen=value)
        return cls() if value else None
