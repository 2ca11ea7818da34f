"""Accepted connections are found among the file descriptors of the process, and nothing else is touched."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from sparkopt.coordinator.transport import sockets
from sparkopt.coordinator.transport.sockets import AcceptedSockets, peer_of


class Server:
    """Listens, and accepts what comes."""

    def __init__(self, host: str, stack: contextlib.ExitStack) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        dual = family is socket.AF_INET6
        self._stack = stack
        self._socket = stack.enter_context(
            socket.create_server((host, 0), family=family, dualstack_ipv6=dual and host == "::")
        )
        self.port = self._socket.getsockname()[1]

    def connect(self, host: str) -> socket.socket:
        """A client's end of a new connection."""
        return self._stack.enter_context(socket.create_connection((host, self.port)))

    def accept(self, host: str) -> tuple[socket.socket, socket.socket]:
        """A new connection: the client's end, and this one."""
        client = self.connect(host)
        return client, self._stack.enter_context(self._socket.accept()[0])

    def accept_as(self, descriptor: int) -> None:
        """Accept a connection that waits, with a descriptor that is free."""
        accepted = self._socket.accept()[0].detach()
        if accepted != descriptor:
            os.dup2(accepted, descriptor, inheritable=False)
            os.close(accepted)
        self._stack.callback(os.close, descriptor)


def descriptors() -> set[str]:
    """Those of this process, and the one that they are listed by."""
    return {path.name for path in Path("/dev/fd").iterdir()}


@pytest.fixture
def listen():
    with contextlib.ExitStack() as stack:
        yield lambda host: Server(host, stack)


@pytest.mark.parametrize(
    ("bound", "host", "seen"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("::", "::1", "::1"),
    ],
)
def test_those_of_a_port_are_found(listen, bound, host, seen):
    server, other = listen(bound), listen(bound)
    client, accepted = server.accept(host)
    other.accept(host)
    found = AcceptedSockets(server.port).scan()
    assert [(each.fd, each.peer) for each in found] == [(accepted.fileno(), (seen, client.getsockname()[1]))]


def test_they_are_the_same_at_each_scan_until_they_are_closed(listen):
    server = listen("127.0.0.1")
    accepted = AcceptedSockets(server.port)
    assert accepted.scan() == []
    _, first = server.accept("127.0.0.1")
    _, second = server.accept("127.0.0.1")
    found = accepted.scan()
    assert len(found) == 2
    assert accepted.scan() == found
    server.connect("127.0.0.1")
    gone = first.fileno()
    first.close()
    assert [each.fd for each in accepted.scan()] == [second.fileno()]
    # Another one has its descriptor, and is another one.
    server.accept_as(gone)
    again = accepted.scan()
    assert {each.fd for each in again} == {gone, second.fileno()}
    assert not set(again) <= set(found)


def test_one_that_is_shut_is_ended_for_both_ends(listen):
    server = listen("127.0.0.1")
    client, ours = server.accept("127.0.0.1")
    stays, _ = server.accept("127.0.0.1")
    accepted = AcceptedSockets(server.port)
    (found,) = [each for each in accepted.scan() if each.fd == ours.fileno()]
    before = descriptors()
    accepted.shut(found)
    assert client.recv(1) == b""
    assert ours.recv(1) == b""
    assert descriptors() == before
    stays.setblocking(False)
    with pytest.raises(BlockingIOError):
        stays.recv(1)


def test_what_has_a_descriptor_by_now_is_not_shut_in_place_of_another(listen, tmp_path):
    server = listen("127.0.0.1")
    _, ours = server.accept("127.0.0.1")
    client, other = server.accept("127.0.0.1")
    accepted = AcceptedSockets(server.port)
    (found,) = [each for each in accepted.scan() if each.fd == ours.fileno()]
    os.dup2(other.fileno(), ours.fileno(), inheritable=False)
    accepted.shut(found)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    ours.close()
    accepted.shut(found)  # nobody has it


def test_a_socket_that_blocks_goes_on_blocking(listen):
    server = listen("127.0.0.1")
    _, ours = server.accept("127.0.0.1")
    socket.setdefaulttimeout(5.0)
    try:
        assert AcceptedSockets(server.port).scan()
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(ours.fileno())


def test_without_a_list_of_descriptors_their_numbers_are_tried(listen, monkeypatch):
    server = listen("127.0.0.1")
    _, ours = server.accept("127.0.0.1")

    def none(_path):
        raise OSError("too many open files")

    monkeypatch.setattr(sockets.os, "listdir", none)
    assert [each.fd for each in AcceptedSockets(server.port).scan()] == [ours.fileno()]


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("ipv4:127.0.0.1:4711", ("127.0.0.1", 4711)),
        ("ipv6:%5B::1%5D:4711", ("::1", 4711)),
        ("ipv6:[2001:0db8::0001]:4711", ("2001:db8::1", 4711)),
        ("ipv6:%5B::ffff:10.0.0.1%5D:4711", ("10.0.0.1", 4711)),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", ("fe80::1", 4711)),
        ("unix:/tmp/socket", None),
        ("ipv4:127.0.0.1:", None),
        ("ipv4:nonsense:1", None),
        ("", None),
    ],
)
def test_peers_as_grpc_writes_them(text, peer):
    assert peer_of(text) == peer
