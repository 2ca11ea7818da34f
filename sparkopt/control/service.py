"""ControlService: calls to events, and what there is to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from sparkopt.control.evaluating import Requests, evaluate
from sparkopt.core import events
from sparkopt.wire.statuses import answering
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc

if TYPE_CHECKING:
    from sparkopt.control.evaluations import Evaluations
    from sparkopt.coordinator import Coordinator

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ControlService(control_pb2_grpc.ControlServiceServicer):
    """The calls of a scheduler; see control.proto.

    Args:
        coordinator: whose pool it is.
        evaluations: its studies that are evaluated from outside.
    """

    def __init__(self, coordinator: Coordinator, evaluations: Evaluations) -> None:
        self._coordinator = coordinator
        self._evaluations = evaluations

    async def Pause(self, request: control_pb2.PauseRequest, context: Context) -> control_pb2.PoolStatus:
        """Lease nothing more until Resume."""
        self._coordinator.step(events.Paused())
        return control_pb2.PoolStatus(paused=self._coordinator.machine.paused)

    async def Evaluate(  # type: ignore[override]  # it writes to its context rather than yield
        self, requests: Requests, context: Context
    ) -> None:
        """Take points in, and send their outcomes out, in the order in which they complete."""
        async with answering(context):
            await evaluate(self._evaluations, requests, context)
