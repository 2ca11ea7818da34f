"""The server of a pool's ControlService, on the coordinator's loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc

from sparkopt.control.credentials import Tokens, users_certificate
from sparkopt.control.evaluations import Evaluations
from sparkopt.control.options import Control
from sparkopt.control.service import ControlService
from sparkopt.coordinator.authentication import TokenInterceptor
from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.limits import server_options
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import control_pb2_grpc, worker_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator import Coordinator, Settled

_CUT_SECONDS: Final = 0.5
"""How long calls may take to end when the server stops."""


class ControlServer:
    """Serves a pool's ControlService, as its coordinator's observer.

    Args:
        control: where to listen, and who may call.

    Attributes:
        address: ``host:port`` that it listens at, once it has started.
        token: what a call must carry that may do anything.
        read_only_token: what a call must carry that may look only.
        evaluations: the studies that are evaluated from outside, once it has started.
        certificate: what a client has to trust, PEM; None where there is no TLS.

    Raises:
        RefusedError: if a file of ``control`` will not do.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self.address = ""
        tokens = Tokens.of(control)
        self.token, self.read_only_token = tokens.control, tokens.read_only
        self._own = users_certificate(control)
        self.certificate = None if self._own is None else self._own.certificate

    async def start(self, coordinator: Coordinator) -> None:
        """Listen.

        Raises:
            OSError: if the port cannot be had.
        """
        self.evaluations = Evaluations(coordinator)
        self._server = grpc.aio.server(interceptors=[TokenInterceptor(self.token)], options=server_options())
        control_pb2_grpc.add_ControlServiceServicer_to_server(
            ControlService(coordinator, self.evaluations), self._server
        )
        host, _, _ = self._control.listen.rpartition(":")
        port = self._server.add_insecure_port(self._control.listen)
        await self._server.start()
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        """End what is served."""
        await self._server.stop(_CUT_SECONDS)

    def study_opened(self, study: str) -> None:
        """Trials of this study may come."""

    def study_closed(self, study: str) -> None:
        """No more of them will."""

    def trials_submitted(self, study: str, tids: Sequence[int], values: Sequence[Mapping[str, Any]]) -> None:
        """These wait for a worker."""

    def attempt_started(self, lease: Lease, worker: str) -> None:
        """This attempt was sent to this worker."""

    def reported(self, trial: TrialKey, kind: ReportKind, name: str) -> None:
        """A trial that runs has said something."""

    def trial_settled(self, study: str, settled: Settled) -> None:
        """A trial has its final state."""

    def worker_joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello."""

    def workers_changed(self, worker: str | None = None) -> None:
        """This worker, or any, may have left, have come out of reach or be back."""

    def limits_changed(self) -> None:
        """Something may have changed in how many trials may run."""
