"""Counts of what each peer does, and how often it fails: a peer is an address, whatever its port."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

from sparkopt.errors import LimitExceededError
from sparkopt.wire import limits
from sparkopt.wire.limits import FAILED_CALLS, FAILED_CALLS_SECONDS

if TYPE_CHECKING:
    import grpc

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_REMEMBERED: Final = 4096
"""Most peers that have failed and are remembered."""


class _CallSlots:
    """Slots for the calls of one peer: calls that are under way hold one, others wait for one.

    Args:
        free: slots that no call holds.
    """

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._calls = 0

    async def acquire(self, context: _Context, forget: Callable[[], object]) -> None:
        """Wait for a slot, and hold it until the call has ended.

        Args:
            context: the call's.
            forget: called when the last of the calls has ended.

        Raises:
            LimitExceededError: if too many wait already, or no slot becomes free in time (TOO_MANY_CALLS).
        """
        if self._calls >= limits.CALLS + limits.WAITING_CALLS:
            raise _too_many_calls()

        def leave() -> None:
            self._calls -= 1
            if not self._calls:
                forget()

        def ended(_context: _Context) -> None:
            self._free.release()
            leave()

        self._calls += 1
        try:
            if self._free.locked():
                await asyncio.wait_for(self._free.acquire(), limits.FIRST_MESSAGE_SECONDS)
            else:
                await self._free.acquire()  # at once
        except asyncio.TimeoutError:
            leave()
            raise _too_many_calls() from None
        except BaseException:
            leave()
            raise
        context.add_done_callback(ended)  # type: ignore[arg-type]  # of the stubs, no function is a callback


def _too_many_calls() -> LimitExceededError:
    return LimitExceededError(
        "more calls are under way than are answered at once: wait for some of them, then try again",
        "TOO_MANY_CALLS",
        retry_after=1,
    )


class Peers:
    """Counts by peer. Used from one loop.

    Args:
        streams: how many streams a peer may have open at once.
        clock: in seconds, never goes back.
    """

    def __init__(self, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = streams
        self._clock = clock
        # By peer, and whether the token is good for everything: clients that look do not hold up those that
        # steer.
        self._streams: Counter[tuple[str, bool]] = Counter()
        self._calls: dict[tuple[str, bool], _CallSlots] = {}
        # By peer, the moment when all of its failures will be forgotten: each one puts it off by as long as
        # it takes to forget one.
        self._forgotten: dict[str, float] = {}

    def open_stream(self, context: _Context, full: bool) -> None:
        """Count a stream for as long as its call lasts.

        Args:
            context: the call's.
            full: whether its token is good for everything; those that are not are counted apart.

        Raises:
            LimitExceededError: if the peer has too many (TOO_MANY_STREAMS).
        """
        address = address_of(context.peer())
        peer = address, full
        if self._streams[peer] >= self._most:
            raise LimitExceededError(
                f"{address} has {self._most} streams open, which is the most: end some first",
                "TOO_MANY_STREAMS",
            )
        self._streams[peer] += 1

        def ended(_context: _Context) -> None:
            self._close_stream(peer)

        context.add_done_callback(ended)  # type: ignore[arg-type]  # of the stubs, no function is a callback

    def _close_stream(self, peer: tuple[str, bool]) -> None:
        self._streams[peer] -= 1
        if not self._streams[peer]:
            del self._streams[peer]

    async def begin_call(self, context: _Context, full: bool) -> None:
        """Wait for a call's turn, and count it for as long as it lasts.

        Args:
            context: the call's.
            full: as for a stream.

        Raises:
            LimitExceededError: if too many wait already, or its turn does not come (TOO_MANY_CALLS).
        """
        address = address_of(context.peer())
        for peer, most in ((address, limits.CALLS), ("", limits.ALL_CALLS)):
            key = peer, full
            slots = self._calls.get(key)
            if slots is None:
                slots = self._calls[key] = _CallSlots(asyncio.Semaphore(most))
            await slots.acquire(context, lambda key=key: self._calls.pop(key, None))  # type: ignore[misc]

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
