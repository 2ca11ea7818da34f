"""Addresses as ``host:port``, where an IPv6 host is in brackets."""

from __future__ import annotations

import ipaddress


def split(address: str) -> tuple[str, int]:
    """The host, without brackets, and the port.

    Raises:
        ValueError: if it is not an address; the message says why.
    """
    if "://" in address:
        raise ValueError("it must be host:port, without a scheme such as http://")
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        raise ValueError("it must be host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if _ip(host) is None or ":" not in host:
            raise ValueError(f"{host!r} in brackets is not an IPv6 address")
    elif ":" in host or "[" in host or "]" in host:
        raise ValueError("it must be host:port, and an IPv6 address in brackets: [::1]:50051")
    if not host.isprintable() or any(letter in " /%@" for letter in host):
        raise ValueError(f"{host!r} is not a host")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("the port must be a number from 0 to 65535")
    return host, int(port)


def join(host: str, port: int) -> str:
    """Host and port as one address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Returns whether only this host can reach it. Of names, that is true of ``localhost`` only."""
    ip = _ip(host)
    return host == "localhost" if ip is None else ip.is_loopback


def is_unspecified(host: str) -> bool:
    """Returns whether it means every interface: 0.0.0.0 or ::."""
    ip = _ip(host)
    return ip is not None and ip.is_unspecified


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
