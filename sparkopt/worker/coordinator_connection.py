"""The stream to the coordinator: opens it, keeps it alive, and opens it again after a cut.

A cut costs nothing as long as it is shorter than the grace period: the agent above keeps its attempt, and
says hello again with what it holds. After the grace period the coordinator will have given the attempt to
another worker, so this one gives it up by then. It goes on knocking and comes again with empty hands, because
a task that ended with an error would take its whole gang along. Only when the coordinator could never be
reached, or for several times the grace, is it an error.

    contact ──grace / 3──▶ the stream is opened again ──grace──▶ the attempt is given up ──4 graces──▶ error
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias, cast

import grpc

from sparkopt.errors import SparkoptError
from sparkopt.wire.codes import FINAL_CODES
from sparkopt.wire.limits import CERTIFICATE_NAME, channel_options
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import worker_pb2, worker_pb2_grpc
from sparkopt.worker.spec import Endpoint, WorkerSpec
from sparkopt.worker.worker_log import LOG

_Call: TypeAlias = "grpc.aio.StreamStreamCall[worker_pb2.WorkerMessage, worker_pb2.CoordinatorMessage]"

_FIRST_BACKOFF: Final = 0.05
_LAST_BACKOFF: Final = 1.0

_PATIENCE: Final = 4
"""How many times the grace a worker goes on knocking at a coordinator that it has once reached."""


class CoordinatorUnreachableError(SparkoptError):
    """The coordinator could not be reached for too long, or it refused this worker."""


def open_channel(endpoint: Endpoint, grace: float) -> grpc.aio.Channel:
    """A channel to the coordinator: TLS if the endpoint has a certificate, else plain (loopback only)."""
    options = channel_options(grace)
    if endpoint.certificate is None:
        return grpc.aio.insecure_channel(endpoint.address, options)
    credentials = grpc.ssl_channel_credentials(endpoint.certificate)
    named = [*options, ("grpc.ssl_target_name_override", CERTIFICATE_NAME)]
    return grpc.aio.secure_channel(endpoint.address, credentials, named)


class CoordinatorConnection:
    """A worker's end of the conversation.

    Args:
        spec: where the coordinator is, and the timing.
        greet: makes the hello of a new stream, and what must be sent again after it.
        receive: takes each message of the coordinator.
        give_up: called when there was no contact for the grace period, once each time.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        greet: Callable[[], list[worker_pb2.WorkerMessage]],
        receive: Callable[[worker_pb2.CoordinatorMessage], None],
        give_up: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._greet = greet
        self._receive = receive
        self._give_up = give_up
        self._heartbeat = spec.heartbeat
        self._grace = spec.grace
        self._metadata = bearer(spec.endpoint.token)
        self._channel = open_channel(spec.endpoint, spec.grace)
        self._outgoing: asyncio.Queue[worker_pb2.WorkerMessage] | None = None
        self._call: _Call | None = None
        self._opened = self._last_contact = self._loop.time()
        self._reached = False
        self._given_up = False
        self._asleep = 0.0
        self._closing = asyncio.Event()
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        # The generator makes one class for both kinds of channel, and describes it twice.
        self.stub = cast("worker_pb2_grpc.WorkerServiceAsyncStub", stub)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata that every call must carry."""
        return self._metadata

    def send(self, message: worker_pb2.WorkerMessage) -> None:
        """Send a message on the current stream; if there is none, the next hello makes up for it."""
        if self._outgoing is not None:
            self._outgoing.put_nowait(message)

    def renew(self) -> None:
        """End the current stream; the next one begins with another hello."""
        if self._call is not None:
            self._call.cancel()

    def close(self) -> None:
        """End the conversation; :meth:`run` returns."""
        self._closing.set()

    def fail(self, error: BaseException) -> None:
        """End the conversation; :meth:`run` raises this."""
        self._failure = error
        self._closing.set()

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the connection is closed."""
        closing = self._loop.create_task(self._closing.wait())
        await asyncio.wait([closing], timeout=seconds)
        closing.cancel()

    async def run(self) -> None:
        """Converse until :meth:`close`.

        Raises:
            CoordinatorUnreachableError: if the coordinator could not be reached for too long, or said that it
                never will have this worker.
            BaseException: what :meth:`fail` was given.
        """
        backoff = _FIRST_BACKOFF
        self._beat(due=self._loop.time())
        try:
            while not self._closing.is_set():
                started = self._last_contact
                cause = await self._converse()
                LOG.info("stream ended", address=self._spec.endpoint.address, cause=cause)
                if self._closing.is_set():
                    break
                # A process that was stopped, and knows it by a late timer, has not tried meanwhile.
                silent = self._loop.time() - self._last_contact - self._asleep
                if silent > (_PATIENCE if self._reached else 1) * self._grace:
                    raise CoordinatorUnreachableError(
                        f"no contact with the coordinator at {self._spec.endpoint.address} for {silent:.0f} s"
                        f" ({cause}). Executors must be able to reach the driver at that address."
                    )
                backoff = _FIRST_BACKOFF if self._last_contact > started else min(2 * backoff, _LAST_BACKOFF)
                await self.pause(backoff)
            if self._failure is not None:
                raise self._failure
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._channel.close()

    async def _converse(self) -> str:
        """One stream from its beginning to its end; says why it ended."""
        outgoing: asyncio.Queue[worker_pb2.WorkerMessage] = asyncio.Queue()
        for message in self._greet():
            outgoing.put_nowait(message)
        self._outgoing = outgoing
        call = self._call = self.stub.Work(_drain(outgoing), metadata=self._metadata)
        self._opened = self._loop.time()
        closing = self._loop.create_task(self._closing.wait())
        reading = self._loop.create_task(self._read(call))
        try:
            await asyncio.wait([closing, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return "closed"
            # A call that the heartbeat gave up ends its reader as a cancelled task.
            return "the coordinator fell silent" if reading.cancelled() else reading.result()
        finally:
            self._outgoing = self._call = None
            for task in (closing, reading):
                task.cancel()
            call.cancel()

    async def _read(self, call: _Call) -> str:
        try:
            async for message in call:
                self._last_contact = self._loop.time()
                self._reached, self._given_up, self._asleep = True, False, 0.0
                if message.HasField("welcome"):
                    self._heartbeat = message.welcome.heartbeat
                    self._grace = message.welcome.grace
                self._receive(message)
        except grpc.aio.AioRpcError as error:
            cause = f"{error.code().name}: {error.details()}"
            if error.code() in FINAL_CODES:
                raise CoordinatorUnreachableError(f"the coordinator refused this worker: {cause}") from None
            return cause
        return "the coordinator ended the stream"

    def _beat(self, due: float) -> None:
        """At every heartbeat, whether or not there is a stream."""
        now = self._loop.time()
        self._timer = self._loop.call_at(now + self._heartbeat, self._beat, now + self._heartbeat)
        self._asleep += max(0.0, now - due - self._heartbeat)
        if self._reached and not self._given_up and now - self._last_contact > self._grace:
            self._given_up = True
            self._give_up()
        if self._call is None or self._outgoing is None:
            return
        # A stream that is new has yet to be answered, which takes several round trips.
        if now - max(self._last_contact, self._opened) > max(self._grace / 3, 3 * self._heartbeat):
            self._call.cancel()
        else:
            self._outgoing.put_nowait(worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat()))


async def _drain(
    outgoing: asyncio.Queue[worker_pb2.WorkerMessage],
) -> AsyncIterator[worker_pb2.WorkerMessage]:
    while True:
        yield await outgoing.get()
