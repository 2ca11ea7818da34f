"""Port of a server of ours, with TLS or without."""

from __future__ import annotations

import grpc

from sparkopt.coordinator.certificates import Certificate


def take_port(server: grpc.aio.Server, address: str, certificate: Certificate | None) -> int:
    """Have a server listen at an address, and at no other.

    gRPC has IPv6 sockets for IPv4 addresses too where the machine has IPv6: one that listens at 10.0.0.5 is
    shown as ``::ffff:10.0.0.5``, and takes IPv4 to that address alone.

    Args:
        server: that has not started.
        address: ``host:port``; port 0 takes a free one. Of a name, every address that it stands for and that
            this machine has.
        certificate: for TLS, and nothing but TLS; None for none.

    Returns:
        The port.

    Raises:
        RuntimeError: if the port is taken, or the host is none of this machine.
    """
    if certificate is None:
        return server.add_insecure_port(address)
    credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
    return server.add_secure_port(address, credentials)
