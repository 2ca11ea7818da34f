"""What each peer may do at once, and how often it may fail: a peer is an address, whatever its port."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

from sparkopt.errors import LimitExceededError
from sparkopt.wire.limits import FAILED_CALLS, FAILED_CALLS_SECONDS

if TYPE_CHECKING:
    import grpc

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_REMEMBERED: Final = 4096
"""How many peers that have failed are remembered."""


class Peers:
    """Counts by peer. Used from one loop.

    Args:
        streams: how many streams a peer may have open at once.
        clock: in seconds, never goes back.
    """

    def __init__(self, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = streams
        self._clock = clock
        self._streams: Counter[str] = Counter()
        # By peer, the moment when all of its failures will be forgotten: each one puts it off by as long as
        # it takes to forget one.
        self._forgotten: dict[str, float] = {}

    def open_stream(self, context: _Context) -> None:
        """Count a stream for as long as its call lasts.

        Raises:
            LimitExceededError: if the peer has too many (TOO_MANY_STREAMS).
        """
        peer = address_of(context.peer())
        if self._streams[peer] >= self._most:
            raise LimitExceededError(
                f"{peer} has {self._most} streams open, which is the most: end some first", "TOO_MANY_STREAMS"
            )
        self._streams[peer] += 1

        def ended(_context: _Context) -> None:
            self._close_stream(peer)

        context.add_done_callback(ended)  # type: ignore[arg-type]  # of the stubs, no function is a callback

    def _close_stream(self, peer: str) -> None:
        self._streams[peer] -= 1
        if not self._streams[peer]:
            del self._streams[peer]

    def failed(self, context: _Context) -> None:
        """Count a call without a right token.

        Raises:
            LimitExceededError: if the peer has made too many of them lately (TOO_MANY_FAILURES).
        """
        peer, now = address_of(context.peer()), self._clock()
        each = FAILED_CALLS_SECONDS / FAILED_CALLS
        forgotten = max(now, self._forgotten.pop(peer, now)) + each
        if forgotten > now + FAILED_CALLS_SECONDS:
            self._forgotten[peer] = forgotten - each
            wait = math.ceil(forgotten - now - FAILED_CALLS_SECONDS)
            raise LimitExceededError(
                f"too many calls without a right token came from {peer}: bring the token, or wait {wait} s",
                "TOO_MANY_FAILURES",
                retry_after=wait,
            )
        self._forgotten[peer] = forgotten
        if len(self._forgotten) > _REMEMBERED:
            del self._forgotten[next(iter(self._forgotten))]


def address_of(peer: str) -> str:
    """The address in what gRPC calls a peer: ``ipv4:127.0.0.1:1234``, ``ipv6:%5B::1%5D:1234``."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return unquote(rest).rpartition(":")[0].strip("[]")
