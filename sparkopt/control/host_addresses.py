"""Names and addresses by which others reach this host."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import psutil

from sparkopt.wire.addresses import is_loopback

_ELSEWHERE: Final = "192.0.2.1"
"""An address that is nobody's (RFC 5737). Nothing is sent there."""


def names() -> list[str]:
    """Everything that a client on this host or another one may call this host by."""
    found = ["localhost", socket.gethostname(), socket.getfqdn(), *addresses()]
    return [name for name in dict.fromkeys(found) if name]


def addresses() -> list[str]:
    """The addresses of this host's interfaces, of loopback as well."""
    found = []
    for interface in psutil.net_if_addrs().values():
        for address in interface:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                found.append(address.address.partition("%")[0])
    return found


def outside(preferred: str) -> str:
    """An address of this host that others can reach, as far as that can be known from here.

    Args:
        preferred: taken, unless it is of loopback.
    """
    if not is_loopback(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE, 9))  # only looks up the route
            return str(probe.getsockname()[0])
        except OSError:
            pass  # no route leads anywhere: its other addresses have to do
    others = (ipaddress.ip_address(address) for address in addresses())
    usable = [str(ip) for ip in others if not (ip.is_loopback or ip.is_link_local)]
    return usable[0] if usable else socket.gethostname()
