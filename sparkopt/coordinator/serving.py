"""WorkerService, listening: with its token, its certificate and its limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sparkopt.coordinator.transport.authentication import Grant
from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.coordinator.transport.guarded_server import GuardedServer
from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.coordinator.worker_service import WorkerService
from sparkopt.core.records import Policy
from sparkopt.errors import RefusedError
from sparkopt.wire import addresses
from sparkopt.wire.limits import (
    MESSAGE_BYTES,
    PUSH_BYTES,
    WORKER_CONNECTIONS,
    WORKER_STRANGERS,
    WORKER_STREAMS,
    server_options,
)
from sparkopt.wire.tokens import new_token
from sparkopt.wire.v1 import worker_pb2, worker_pb2_grpc
from sparkopt.worker.spec import Endpoint

if TYPE_CHECKING:
    from sparkopt.coordinator.coordinator import Coordinator

_FULL_NAME: Final = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name


def _limits_for(workers: int) -> ServiceLimits:
    """The limits of WorkerService, made for the usual cap of workers and lifted with it.

    Args:
        workers: how many there may be.
    """
    lifted = math.ceil(workers / Policy().cap)
    return ServiceLimits(
        connections=lifted * WORKER_CONNECTIONS,
        strangers=lifted * WORKER_STRANGERS,
        streams=lifted * WORKER_STREAMS,
        request_bytes={f"/{_FULL_NAME}/Work": MESSAGE_BYTES, f"/{_FULL_NAME}/Push": PUSH_BYTES},
    )


async def serve_workers(coordinator: Coordinator, listen: str) -> tuple[GuardedServer, Endpoint]:
    """Listen for a coordinator's workers.

    Args:
        coordinator: knows what their messages mean.
        listen: the address or name of this machine to listen at. If it and the coordinator's host are
            loopback addresses, no other machine can connect, and no TLS is needed; otherwise the server
            speaks TLS only.

    Returns:
        The server, which has started, and where workers find it.

    Raises:
        RefusedError: if it cannot listen there.
    """
    token, policy = new_token(), coordinator.machine.policy
    limits = _limits_for(policy.cap)
    server = GuardedServer([Grant(token)], limits, server_options(policy.grace, limits.connections))
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerService(coordinator), server.grpc)
    near = all(addresses.is_loopback(place) for place in (coordinator.host, listen))
    certificate = None if near else new_certificate()
    try:
        port = server.take_port(addresses.join(listen, 0), certificate)
    except RuntimeError:
        await server.stop(0)
        raise RefusedError(
            f"cannot listen for workers at {listen!r}: it is not an address or name of this machine"
        ) from None
    await server.start()
    trusted = None if certificate is None else certificate.trusted
    return server, Endpoint(addresses.join(coordinator.host, port), token, trusted)
