"""Connections that this process has accepted at a port, found among its file descriptors.

gRPC accepts the connections of its servers itself and shows none of them before a call comes. All of them are
file descriptors of this process, however, and the operating system tells whose they are.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import resource
import socket
import stat
import sys
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

_ADDRESS_BYTES: Final = 128
"""Enough for any ``sockaddr``."""

_libc: Final = ctypes.CDLL(None)

Peer = tuple[str, int]
"""An address, IPv4 or IPv6 without its zone, and a port."""


@dataclass(frozen=True, slots=True)
class AcceptedConnection:
    """A connection that was accepted.

    Attributes:
        fd: its file descriptor.
        inode: tells it from others that have had or will have that descriptor; 0 on systems without.
        peer: the other end.
    """

    fd: int
    inode: int
    peer: Peer


class AcceptedSockets:
    """The connections that were accepted at one port.

    No file descriptor of anybody else's is copied, changed or closed on the way.

    Args:
        port: of this process.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._known: dict[int, tuple[int, AcceptedConnection | None]] = {}

    def scan(self) -> list[AcceptedConnection]:
        """All of them, as of now."""
        known, self._known = self._known, {}
        found = []
        for fd in _descriptors():
            try:
                status = os.fstat(fd)
            except OSError:  # closed meanwhile
                continue
            if not stat.S_ISSOCK(status.st_mode):
                continue
            inode, accepted = known.get(fd, (0, None))
            if not inode or inode != status.st_ino:
                accepted = self._look_at(fd, status.st_ino)
            self._known[fd] = status.st_ino, accepted
            if accepted is not None:
                found.append(accepted)
        return found

    def _look_at(self, fd: int, inode: int) -> AcceptedConnection | None:
        own = _address(_libc.getsockname, fd)
        if own is None or own[1] != self._port:
            return None
        peer = _address(_libc.getpeername, fd)
        return None if peer is None else AcceptedConnection(fd, inode, peer)

    @staticmethod
    def shut(accepted: AcceptedConnection) -> None:
        """Shut a connection down. The owner of its descriptor then reads its end, and closes it."""
        try:
            copy = os.dup(accepted.fd)
        except OSError:  # closed meanwhile
            return
        status = os.fstat(copy)
        # The descriptor may be another's by now; the copy stays what it is.
        if status.st_ino == accepted.inode and _address(_libc.getpeername, copy) == accepted.peer:
            _libc.shutdown(copy, socket.SHUT_RDWR)
        # A file that took its place stays open: closing a copy would give up its owner's locks (fcntl(2)).
        if stat.S_ISSOCK(status.st_mode):
            os.close(copy)


def _descriptors() -> list[int]:
    """The numbers that file descriptors of this process may have."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - a Path each would take ten times as long
    except OSError:  # there is no such place, or no descriptor is left to read it with
        return list(range(min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)))


def _address(function: Any, fd: int) -> Peer | None:
    """One end of a socket; None if it has no address of the internet.

    Not by Python's own socket objects: to make one of a descriptor may change whether that blocks.
    """
    buffer = ctypes.create_string_buffer(_ADDRESS_BYTES)
    size = ctypes.c_uint32(_ADDRESS_BYTES)
    if function(fd, buffer, ctypes.byref(size)) != 0:
        return None
    data = buffer.raw
    family = data[1] if sys.platform == "darwin" else int.from_bytes(data[:2], sys.byteorder)
    port = int.from_bytes(data[2:4], "big")
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(data[4:8])), port
    if family == socket.AF_INET6:
        return _written(ipaddress.IPv6Address(data[8:24])), port
    return None


def peer_of(text: str) -> Peer | None:
    """Parse gRPC's name of a peer; None if it is not an internet address.

    Args:
        text: such as ``ipv4:127.0.0.1:1234`` or ``ipv6:%5Bfe80::1%25eth0%5D:1234``.
    """
    kind, _, rest = text.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    try:
        return _written(ipaddress.ip_address(host.strip("[]").partition("%")[0])), int(port)
    except ValueError:
        return None


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as text, the same for an IPv4 address whichever way it has come."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(address if mapped is None else mapped)
