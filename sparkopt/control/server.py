"""The server of a pool's ControlService, on the coordinator's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sparkopt.control import host_addresses, messages
from sparkopt.control.book import Book
from sparkopt.control.book_records import StudyDescription
from sparkopt.control.credentials import Tokens, users_certificate
from sparkopt.control.evaluations import Evaluations
from sparkopt.control.feed import Feed
from sparkopt.control.options import Control
from sparkopt.control.read_only_calls import ReadOnlyCalls
from sparkopt.control.service import LOG, ControlService
from sparkopt.control.standard_services import StandardServices
from sparkopt.control.steering_calls import SteeringCalls
from sparkopt.control.story_call import StoryCall
from sparkopt.coordinator.channels.channel import StudyChannel
from sparkopt.coordinator.channels.studies import Values
from sparkopt.coordinator.observer import Observer
from sparkopt.coordinator.transport.authentication import Grant
from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.coordinator.transport.guarded_server import GuardedServer
from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.core.states import Lease, TrialKey
from sparkopt.errors import ControlWarning, RefusedError, warn
from sparkopt.wire import addresses
from sparkopt.wire.limits import (
    CONTROL_CONNECTIONS,
    CONTROL_REQUEST_BYTES,
    CONTROL_STRANGERS,
    CONTROL_STREAMS,
    EVALUATE_BYTES,
    server_options,
)
from sparkopt.wire.listing import Listing
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc, worker_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator import Coordinator, Settled

_READ_ONLY_CALLS: Final = frozenset(
    {
        "/sparkopt.v1.ControlService/GetStatus",
        "/sparkopt.v1.ControlService/ListTrials",
        "/sparkopt.v1.ControlService/ListWorkers",
        "/sparkopt.v1.ControlService/WatchEvents",
        "/sparkopt.v1.ControlService/GetStory",
        "/sparkopt.v1.ControlService/GetSpace",
        "/grpc.health.v1.Health/",
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
    }
)
"""Calls that the read-only token is good for."""

_CUT_SECONDS: Final = 0.5
"""Seconds that calls may take to end when the server stops."""

_SERVICE: Final = control_pb2.DESCRIPTOR.services_by_name["ControlService"].full_name

_LIMITS: Final = ServiceLimits(
    connections=CONTROL_CONNECTIONS,
    strangers=CONTROL_STRANGERS,
    streams=CONTROL_STREAMS,
    request_bytes={
        f"/{_SERVICE}/SubmitTrials": CONTROL_REQUEST_BYTES,
        f"/{_SERVICE}/Evaluate": EVALUATE_BYTES,
    },
    patient=frozenset({f"/{_SERVICE}/SubmitTrials"}),
    unread=frozenset({f"/{_SERVICE}/SubmitTrials"}),
)


class ControlServer(Observer):
    """Serves a pool's ControlService, as its coordinator's observer.

    Args:
        control: where to listen, and who may call.

    Attributes:
        address: ``host:port`` that it listens at, once it has started.
        token: what a call must carry that may do anything.
        read_only_token: what a call must carry that may look only.
        evaluations: the studies that are evaluated from outside, once it has started.
        book: what there is in the pool, once it has started.
        feed: what happens in it.
        certificate: what a client has to trust, PEM; None where there is no TLS.

    Raises:
        RefusedError: if a file of ``control`` will not do.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._server: GuardedServer | None = None
        self._listing: Listing | None = None
        self._described: dict[str, StudyDescription] = {}
        self.address = ""
        tokens = Tokens.of(control)
        self.token, self.read_only_token = tokens.control, tokens.read_only
        self.feed = Feed()
        self._own = users_certificate(control)
        self.certificate = None if self._own is None else self._own.trusted

    async def start(self, coordinator: Coordinator) -> None:
        """Listen.

        Raises:
            RefusedError: if it cannot listen there.
        """
        self._coordinator = coordinator
        grants = [Grant(self.token), Grant(self.read_only_token, _READ_ONLY_CALLS)]
        options = server_options(connections=_LIMITS.connections, request_bytes=CONTROL_REQUEST_BYTES)
        server = GuardedServer(grants, _LIMITS, options)
        self.evaluations = Evaluations(coordinator, server.time_slices)
        self.book = Book(coordinator.machine, self.feed)
        looking = ReadOnlyCalls(self.book, self.feed, coordinator.machine, server.time_slices)
        stories = StoryCall(coordinator, self.book, looking, server.time_slices)
        steering = SteeringCalls(coordinator, self.book, looking, self.evaluations, server.time_slices)
        control_pb2_grpc.add_ControlServiceServicer_to_server(
            ControlService(looking, stories, steering, self.evaluations), server.grpc
        )
        self._beside = StandardServices(server.grpc, _SERVICE)
        await self._beside.add()
        host, port = self._listen(server, coordinator.host)
        await server.start()
        self._server = server
        self.address = addresses.join(host, port)
        LOG.info("control service listens", address=self.address, tls=self.certificate is not None)

    def _listen(self, server: GuardedServer, driver: str) -> tuple[str, int]:
        """Take the port, with TLS or without; says how others reach it.

        Args:
            server: that is to listen.
            driver: the address that workers reach this host by.
        """
        listen = self._control.listen
        host, _ = addresses.split(listen)
        certificate = self._own
        if certificate is None and not addresses.is_loopback(host):
            certificate = new_certificate([host, driver, *host_addresses.names()])
        try:
            port = server.take_port(listen, certificate)
        except RuntimeError:
            raise RefusedError(
                f"cannot listen at {listen}: the port is taken, or the host is not this one"
            ) from None
        self.certificate = None if certificate is None else certificate.trusted
        return (host_addresses.outside(driver) if addresses.is_unspecified(host) else host), port

    def enlist(self) -> None:
        """Have this user's commands find it, once it has started, unless ``control`` says otherwise.

        It writes files, so it is not for the coordinator's loop.
        """
        if not self._control.listed:
            return
        try:
            self._listing = Listing(self.address, self.token, self.certificate)
        except OSError as error:
            warn(
                f"`sparkopt` does not find the pool at {self.address} by itself: its token cannot be"
                f" kept in a file for this user alone ({error}). Fix that, or give the pool a"
                " Control(token_file=...) and the command --address and --token-file; Control(listed=False)"
                " makes no such file.",
                ControlWarning,
            )

    def delist(self) -> None:
        """Remove the pool from the list of open pools. Idempotent."""
        if self._listing is not None:
            self._listing.remove()

    def closing(self) -> None:
        """Tell clients that check its health that the pool is closing."""
        if self._server is not None:
            self._ill = asyncio.ensure_future(self._beside.closing())

    async def stop(self) -> None:
        """End what is served. Clients that watch are sent the rest of the events first."""
        self.feed.close()
        if self._server is not None:
            self.book.close()
            await self._beside.closing()
            await self._server.stop(_CUT_SECONDS)
            self._server = None
            LOG.info("control service ended", address=self.address)

    def describe_study(
        self, study: str, space: Sequence[Mapping[str, Any]] = (), directions: Sequence[str] = ()
    ) -> None:
        """Take in what clients are told of a study that is about to be opened. From any thread.

        Args:
            study: its name.
            space: its hyperparameters, each as :meth:`~sparkopt.study.trial_description.Dimension.to_plain`
                describes it; none if they are not known.
            directions: ``minimize`` or ``maximize`` for each number that its objective returns; none if it
                returns a loss.
        """
        self._described[study] = StudyDescription(
            messages.space_of(study, space) if space else None,
            tuple(messages.DIRECTIONS[direction] for direction in directions),
        )

    # What the coordinator tells.

    def study_opened(self, study: str) -> None:
        """Trials of this study may come."""
        is_search = isinstance(self._coordinator.studies.subscriber_of(study), StudyChannel)
        self.book.study_opened(study, is_search, self._described.pop(study, StudyDescription()))

    def study_closed(self, study: str) -> None:
        """No more of them will."""
        self.book.study_closed(study)

    def trials_submitted(self, study: str, tids: Sequence[int], values: Sequence[Values]) -> None:
        """These wait for a worker."""
        evaluated = self.evaluations.get(study)
        self.book.trials_submitted(
            study, tids, values, _no_request if evaluated is None else evaluated.request_id
        )

    def attempt_started(self, lease: Lease, worker: str) -> None:
        """This attempt was sent to this worker."""
        self.book.attempt_started(lease, worker)

    def reported(self, trial: TrialKey, kind: ReportKind, name: str) -> None:
        """A trial that runs has said something."""
        self.book.reported(trial, kind, name)

    def values_reported(self, lease: Lease, steps: Sequence[int], values: Sequence[float]) -> None:
        """An attempt that runs has reported intermediate values."""
        self.book.values_reported(lease, steps, values)

    def trial_settled(self, study: str, settled: Settled) -> None:
        """A trial has its final state."""
        self.book.trial_settled(study, settled)

    def worker_joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello."""
        self.book.worker_joined(hello)

    def workers_changed(self, worker: str | None = None, reason: str = "") -> None:
        """This worker, or any, may have left, have come out of reach or be back."""
        self.book.workers_changed(worker, reason)

    def limits_changed(self) -> None:
        """Something may have changed in how many trials may run."""
        self.book.limits_changed()


def _no_request(tid: int) -> str:
    """Trials of a search come from no client."""
    return ""
