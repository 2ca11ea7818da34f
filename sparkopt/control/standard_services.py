"""Health checking and reflection beside ControlService, where the extra ``control`` is installed."""

from __future__ import annotations

import importlib.util
from typing import Final

import grpc

from sparkopt.control.service import LOG

_PACKAGES: Final = {"grpc_health": "grpcio-health-checking", "grpc_reflection": "grpcio-reflection"}


class StandardServices:
    """Services that gRPC's tools look for in a server.

    Their packages are optional, as their releases are tied to those of grpcio and protobuf: the newest would
    replace the ones that a cluster has.

    Args:
        server: to serve them at, which has not started.
        service: the service whose health is told.
    """

    def __init__(self, server: grpc.aio.Server, service: str) -> None:
        self._server = server
        self._service = service

    async def add(self) -> None:
        """Add what there is to the server."""
        missing = [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]
        self._health = None
        if missing:
            LOG.debug("health checking and reflection are not served", missing=", ".join(missing))
            return
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
        from grpc_reflection.v1alpha import reflection

        self._health = health.aio.HealthServicer()
        await self._health.set(self._service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [self._service, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)

    async def closing(self) -> None:
        """Tell clients that check the server's health that it is closing. Idempotent."""
        if self._health is not None:
            await self._health.enter_graceful_shutdown()
