"""Connections without a right token are closed: those that are old, and those that are too many."""

from __future__ import annotations

import itertools

import pytest

from sparkopt.coordinator.transport.connections import _EVERY, Connections
from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.coordinator.transport.sockets import AcceptedConnection
from sparkopt.wire.limits import STRANGER_SECONDS

MOST, STRANGERS = 20, 4
LOOKS = int(STRANGER_SECONDS / _EVERY)


class Door:
    """Sockets that the test opens, and the looks at them."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], AcceptedConnection] = {}
        self.now = 1000.0
        self._numbers = itertools.count(100)
        self.connections = Connections(ServiceLimits(MOST, STRANGERS, streams=1), lambda: self.now)
        self.connections._sockets = self
        self.connections._looked = self.now

    def come(self, host="10.0.0.1", port=None):
        number = next(self._numbers)
        peer = host, port or number
        self.open[peer] = AcceptedConnection(number, 1000 + number, peer)
        return peer

    def call(self, peer, full=True):
        host, port = peer
        text = f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
        self.connections.authorized(text, full)

    def look(self, times=1, after=_EVERY):
        for _ in range(times):
            self.now += after
            pressed = self.connections.look()
        return pressed

    # As the operating system does it.

    def scan(self):
        return list(self.open.values())

    def shut(self, accepted):
        del self.open[accepted.peer]


@pytest.fixture
def door():
    return Door()


def test_a_stranger_is_closed_when_its_time_is_up(door):
    peer = door.come()
    door.look(LOOKS)
    assert peer in door.open
    door.look()
    assert door.open == {}


@pytest.mark.parametrize("full", [True, False])
def test_one_call_with_a_right_token_keeps_a_connection(door, full):
    peer = door.come()
    door.look()
    door.call(peer, full)
    door.look(3 * LOOKS)
    assert peer in door.open


def test_a_call_counts_that_comes_before_the_connection_is_seen(door):
    peer = door.come()
    door.call(peer)
    door.look(3 * LOOKS)
    assert peer in door.open


def test_a_call_that_came_over_an_earlier_connection_of_the_same_port_does_not_count(door):
    peer = door.come(port=7)
    door.call(peer)
    door.look()
    del door.open[peer]
    door.come(port=7)
    door.look(LOOKS + 1)
    assert door.open == {}


def test_the_oldest_strangers_of_an_address_make_room(door):
    old = [door.come() for _ in range(STRANGERS)]
    assert not door.look()
    new = [door.come() for _ in range(2)]
    assert door.look()
    assert set(door.open) == set(old[2:] + new)
    assert not door.look()


def test_a_connection_has_time_for_its_first_call_however_many_come(door):
    flood = [door.come() for _ in range(MOST // 2)]
    client = door.come()
    door.look()
    assert {*flood, client} == set(door.open)
    door.call(client)
    door.look()
    assert client in door.open
    assert len(door.open) == STRANGERS + 1
    door.look(3 * LOOKS)
    assert set(door.open) == {client}


def test_strangers_at_other_addresses_do_not_count(door):
    peers = [door.come(f"10.0.0.{number}") for number in range(STRANGERS * 2)]
    assert door.look() is True
    door.look()
    assert set(door.open) == set(peers)


def test_in_all_strangers_have_half_of_the_connections(door):
    for number in range(MOST):
        door.come(f"10.0.{number}.1")
    door.look(2)
    assert len(door.open) == MOST // 2


def test_of_ipv6_an_address_is_a_network_of_64_bits(door):
    for number in range(1, 10):
        door.come(f"2001:db8::{number}")
    other = door.come("2001:db8:0:1::1")
    door.look(2)
    assert len(door.open) == STRANGERS + 1
    assert other in door.open


def test_those_that_only_look_have_half_of_the_connections(door):
    first = [door.come() for _ in range(MOST // 2)]
    for peer in first:
        door.call(peer, full=False)
    door.look()
    late = door.come()
    door.call(late, full=False)
    steers = door.come()
    door.call(steers, full=False)
    door.call(steers, full=True)
    door.look(2)
    assert set(door.open) == {*first, steers}


def test_a_loop_that_could_not_run_counts_one_look(door):
    peer = door.come()
    door.look()
    door.look(after=1000.0)
    assert peer in door.open
    door.call(peer)
    door.look(after=1000.0)
    assert peer in door.open


@pytest.mark.parametrize("peer", ["unix:", "unix:/tmp/socket", "vsock:1:2", "ipv4:", "ipv6:%5B%5D:x", ""])
def test_a_call_from_elsewhere_than_the_internet_keeps_nothing(door, peer):
    door.connections.authorized(peer, True)
    door.come()
    door.look(LOOKS + 1)
    assert door.open == {}
