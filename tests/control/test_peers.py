"""What is counted by peer: an address, whatever its port."""

from __future__ import annotations

import pytest

from sparkopt.coordinator.transport.peers import _REMEMBERED, Peers, address_of
from sparkopt.errors import LimitExceededError
from sparkopt.wire.limits import FAILED_CALLS, FAILED_CALLS_SECONDS


class Call:
    """As much of a call as counts here."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._done = []

    def peer(self) -> str:
        return self._peer

    def add_done_callback(self, callback) -> None:
        self._done.append(callback)

    def end(self) -> None:
        for callback in self._done:
            callback(self)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("ipv6:[2001:db8::1]:4711", "2001:db8::1"),
        ("unix:/tmp/socket", "unix"),
    ],
)
def test_a_peer_is_an_address(peer, address):
    assert address_of(peer) == address


def test_streams_are_counted_until_they_end():
    peers = Peers(streams=2)
    first, second, third = (Call(f"ipv4:10.0.0.1:{port}") for port in range(3))
    peers.open_stream(first, True)
    peers.open_stream(second, True)
    with pytest.raises(LimitExceededError, match="2 streams") as caught:
        peers.open_stream(third, True)
    assert caught.value.reason == "TOO_MANY_STREAMS"
    peers.open_stream(Call("ipv4:10.0.0.2:1"), True)
    first.end()
    peers.open_stream(third, True)
    second.end()
    third.end()
    assert "10.0.0.1" not in peers._streams


def test_failures_are_forgotten_one_by_one():
    clock = Clock()
    peers, call = Peers(1, clock), Call("ipv4:10.0.0.1:1")
    for _ in range(FAILED_CALLS):
        peers.failed(call)
    for _ in range(3):
        with pytest.raises(LimitExceededError) as caught:
            peers.failed(call)
    assert caught.value.reason == "TOO_MANY_FAILURES"
    peers.failed(Call("ipv4:10.0.0.2:1"))
    assert caught.value.retry_after == FAILED_CALLS_SECONDS / FAILED_CALLS
    clock.now += caught.value.retry_after
    peers.failed(call)
    with pytest.raises(LimitExceededError):
        peers.failed(call)
    clock.now += FAILED_CALLS_SECONDS
    for _ in range(FAILED_CALLS):
        peers.failed(call)


def test_only_so_many_peers_are_remembered():
    peers = Peers(1)
    for number in range(2 * _REMEMBERED):
        peers.failed(Call(f"ipv4:10.0.{number >> 8}.{number & 255}:1"))
    assert len(peers._forgotten) == _REMEMBERED
