"""GuardedServer of one service: listens, lets in those with a right token, and limits what they may cost.

connection ──▶ Connections         strangers are closed
call ─────────▶ TokenInterceptor   refused before anything of the request is read
──▶ Calls             limits of streams, calls and bytes
──▶ the service
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from sparkopt.coordinator.transport.authentication import Grant, TokenInterceptor
from sparkopt.coordinator.transport.calls import Calls
from sparkopt.coordinator.transport.certificates import Certificate
from sparkopt.coordinator.transport.connections import Connections
from sparkopt.coordinator.transport.peers import Peers
from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.coordinator.transport.sockets import AcceptedSockets
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.wire.limits import Options


class GuardedServer:
    """A gRPC server of ours. On the coordinator's loop only.

    Args:
        grants: the tokens, and what each is good for.
        limits: of its service.
        options: of its channel.

    Attributes:
        grpc: the server that services are added to, before it starts.
        peers: counts streams and calls.
        time_slices: for work that grows with a request.
    """

    def __init__(self, grants: Sequence[Grant], limits: ServiceLimits, options: Options) -> None:
        self.time_slices = TimeSlices()
        self._connections = Connections(limits)
        self.peers = Peers(limits.streams)
        calls = Calls(limits, self.peers, self._connections)
        self.grpc = grpc.aio.server(
            interceptors=[TokenInterceptor(grants, self.peers, calls)], options=options
        )
        self._port = 0

    def take_port(self, address: str, certificate: Certificate | None) -> int:
        """Listen at an address, and at no other.

        gRPC has IPv6 sockets for IPv4 addresses too where the machine has IPv6: one that listens at 10.0.0.5
        is shown as ``::ffff:10.0.0.5``, and takes IPv4 to that address alone.

        Args:
            address: ``host:port``; port 0 takes a free one. Of a name, every address that it stands for and
                that this machine has.
            certificate: for TLS, and nothing but TLS; None for none.

        Returns:
            The port.

        Raises:
            RuntimeError: if the port is taken, or this machine does not have the host.
        """
        if certificate is None:
            self._port = self.grpc.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
            self._port = self.grpc.add_secure_port(address, credentials)
        return self._port

    async def start(self) -> None:
        """Serve, at the port that was taken."""
        await self.grpc.start()
        self._connections.begin(AcceptedSockets(self._port))

    async def stop(self, grace: float) -> None:
        """Take no more calls, and cut those that have not ended when the grace is over; in seconds."""
        self._connections.end()
        await self.grpc.stop(grace)
