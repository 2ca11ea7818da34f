"""Names that a request's Host header may call the server by.

A page of anybody's can have its own name lead to 127.0.0.1, and then reads what answers there as if it were
its own (DNS rebinding). The Host header still says that name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from sparkopt.control import host_addresses
from sparkopt.wire import addresses


class HostNames:
    """The names of one server.

    Attributes:
        is_local: whether only this machine reaches it.

    Args:
        host: that it listens at.
        more: names that it is reached by as well, through a proxy for example.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        given = [_plain(name) for name in more]
        self.is_local = addresses.is_loopback(host)
        own = () if self.is_local else (host, *host_addresses.names())
        self._names = {"localhost", *given, *map(_plain, own)}

    def has(self, header: str) -> bool:
        """Returns whether a Host header is one of ours. Its port may be a tunnel's."""
        host = _without_port(header)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return _plain(host) in self._names
        # Nobody's name leads to a page with an address for its name.
        return address.is_loopback or not self.is_local or _plain(host) in self._names


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if ":" in header else header


def _plain(name: str) -> str:
    return name.lower().rstrip(".")
