"""Connections of a server: limited for each address, and closed unless a call with a right token comes.

    sockets ──▶ every second ──▶ strangers: too old, or too many of one address ──▶ closed, the oldest first
    calls   ──▶ authorized ───▶ not closed by anything here

A connection without a call says nothing of itself, so that whoever opens many of them could keep others out.
gRPC cannot count connections by address, nor tell those that no call has come over. What cannot be told apart
is not refused at the door, therefore: a client that shares an address with a flood gets in like anybody else,
and its first call keeps it in.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.coordinator.transport.sockets import AcceptedConnection, Peer, peer_of
from sparkopt.wire.limits import STRANGER_SECONDS

_EVERY: Final = 1.0
"""Seconds between two checks of the connections."""

_PRESSED: Final = 0.1
"""Seconds between two checks while there are too many strangers."""


class Sockets(Protocol):
    """The connections of a port."""

    def scan(self) -> list[AcceptedConnection]:
        """All of them, as of now."""

    def shut(self, accepted: AcceptedConnection) -> None:
        """End one."""


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection that has been seen.

    Attributes:
        accepted: its socket.
        since: when it was first seen, on the clock of the looks.
        looks: how often it has been seen.
        authorized: whether a right token has come over it.
        full: whether a token has come that is good for everything.
    """

    accepted: AcceptedConnection
    since: float
    looks: int = 0
    authorized: bool = False
    full: bool = False


class Connections:
    """The connections of a server. Used from its loop.

    Args:
        limits: how many there may be.
        clock: in seconds, never goes back.
    """

    def __init__(self, limits: ServiceLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._sockets: Sockets | None = None
        self._seen: dict[tuple[int, int, Peer], _Connection] = {}
        self._called: dict[str, bool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looked = 0.0
        self._now = 0.0

    def authorized(self, peer: str, full: bool) -> None:
        """A call with a right token has come.

        Args:
            peer: where it comes from, as gRPC has it.
            full: whether the token is good for everything.
        """
        self._called[peer] = full or self._called.get(peer, False)

    def begin(self, sockets: Sockets) -> None:
        """Look at the connections from time to time, until :meth:`end`."""
        self._sockets = sockets
        self._looked = self._clock()
        self._timer = asyncio.get_running_loop().call_later(_EVERY, self._look_again)

    def end(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        pressed = self.look()
        self._timer = asyncio.get_running_loop().call_later(_PRESSED if pressed else _EVERY, self._look_again)

    def look(self) -> bool:
        """Find the open connections, and close those of strangers that are too old or too many.

        Returns:
            Whether to look again soon: there are strangers enough to stand in others' way.
        """
        assert self._sockets is not None
        now = self._clock()
        # A loop that could not run has not heard of calls either: a long gap counts as a short one.
        self._now += min(now - self._looked, _EVERY)
        self._looked = now
        self._update(self._sockets.scan())
        connections = list(self._seen.values())
        strangers = [each for each in connections if not each.authorized]
        doomed = dict.fromkeys(each for each in strangers if self._now - each.since >= STRANGER_SECONDS)
        by_network: dict[str, list[_Connection]] = defaultdict(list)
        for each in strangers:
            by_network[_network(each.accepted.peer[0])].append(each)
        for group in by_network.values():
            doomed.update(dict.fromkeys(_beyond(group, self._limits.strangers)))
        doomed.update(dict.fromkeys(_beyond(strangers, self._limits.connections // 2)))
        # Of those that only look, who came first may stay.
        readers = [each for each in connections if each.authorized and not each.full]
        readers.sort(key=lambda each: each.since)
        doomed.update(dict.fromkeys(readers[self._limits.connections // 2 :]))
        for each in doomed:
            self._sockets.shut(each.accepted)
        return len(strangers) > self._limits.strangers

    def _update(self, found: Iterable[AcceptedConnection]) -> None:
        called: dict[Peer, bool] = {}
        for text, full in self._called.items():
            if (peer := peer_of(text)) is not None:
                called[peer] = full
        self._called.clear()
        before, self._seen = self._seen, {}
        for accepted in found:
            key = (accepted.fd, accepted.inode, accepted.peer)
            connection = self._seen[key] = before.get(key) or _Connection(accepted, self._now)
            connection.looks += 1
            if accepted.peer in called:
                connection.authorized = True
                connection.full |= called[accepted.peer]


def _beyond(strangers: list[_Connection], most: int) -> list[_Connection]:
    """The oldest of too many strangers. One that is seen for the first time has had no time for a call."""
    excess = len(strangers) - most
    if excess <= 0:
        return []
    return sorted((each for each in strangers if each.looks > 1), key=lambda each: each.since)[:excess]


def _network(address: str) -> str:
    """Whose address it is: of IPv6, everybody has 64 bits full of them."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network(f"{address}/64", strict=False).network_address)
