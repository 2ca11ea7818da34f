"""The stream to the coordinator: opens it, keeps it alive, and opens it again after a cut.

A cut costs nothing as long as it is shorter than the grace period: the agent above keeps its attempt, and
says hello again with what it holds. After the grace period the coordinator will have given the attempt to
another worker, so this one must be gone by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias, cast

import grpc

from sparkopt.errors import SparkoptError
from sparkopt.wire.limits import CERTIFICATE_NAME, channel_options
from sparkopt.wire.statuses import FINAL_CODES
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import worker_pb2, worker_pb2_grpc
from sparkopt.worker.spec import Endpoint, WorkerSpec

_Call: TypeAlias = "grpc.aio.StreamStreamCall[worker_pb2.WorkerMessage, worker_pb2.CoordinatorMessage]"

_FIRST_BACKOFF: Final = 0.05
_LAST_BACKOFF: Final = 1.0


class CoordinatorUnreachableError(SparkoptError):
    """The coordinator could not be reached for the whole grace period, or it refused this worker."""


def open_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """A channel to the coordinator: TLS if the endpoint has a certificate, else plain (loopback only)."""
    options = channel_options()
    if endpoint.certificate is None:
        return grpc.aio.insecure_channel(endpoint.address, options)
    credentials = grpc.ssl_channel_credentials(endpoint.certificate)
    named = [*options, ("grpc.ssl_target_name_override", CERTIFICATE_NAME)]
    return grpc.aio.secure_channel(endpoint.address, credentials, named)


class Link:
    """A worker's end of the conversation.

    Args:
        spec: where the coordinator is, and the timing.
        greet: makes the hello of a new stream, and what must be sent again after it.
        receive: takes each message of the coordinator.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        greet: Callable[[], list[worker_pb2.WorkerMessage]],
        receive: Callable[[worker_pb2.CoordinatorMessage], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._greet = greet
        self._receive = receive
        self._heartbeat = spec.heartbeat
        self._grace = spec.grace
        self._metadata = bearer(spec.endpoint.token)
        self._channel = open_channel(spec.endpoint)
        self._outgoing: asyncio.Queue[worker_pb2.WorkerMessage] | None = None
        self._last_contact = self._loop.time()
        self._closing = asyncio.Event()
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        # The generator makes one class for both kinds of channel, and describes it twice.
        self.stub = cast("worker_pb2_grpc.WorkerServiceAsyncStub", stub)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call must carry."""
        return self._metadata

    def send(self, message: worker_pb2.WorkerMessage) -> None:
        """Send a message on the stream of the moment; if there is none, the next hello makes up for it."""
        if self._outgoing is not None:
            self._outgoing.put_nowait(message)

    def close(self) -> None:
        """End the conversation; :meth:`run` returns."""
        self._closing.set()

    def fail(self, error: BaseException) -> None:
        """End the conversation; :meth:`run` raises this."""
        self._failure = error
        self._closing.set()

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the link is closed."""
        closing = self._loop.create_task(self._closing.wait())
        await asyncio.wait([closing], timeout=seconds)
        closing.cancel()

    async def run(self) -> None:
        """Converse until :meth:`close`.

        Raises:
            CoordinatorUnreachableError: if the coordinator could not be reached for the grace period, or
                said that it never will have this worker.
            BaseException: what :meth:`fail` was given.
        """
        backoff = _FIRST_BACKOFF
        try:
            while not self._closing.is_set():
                started = self._last_contact
                cause = await self._converse()
                if self._closing.is_set():
                    break
                silent = self._loop.time() - self._last_contact
                if silent > self._grace:
                    raise CoordinatorUnreachableError(
                        f"no contact with the coordinator at {self._spec.endpoint.address} for {silent:.0f} s"
                        f" ({cause}). Executors must be able to reach the driver at that address."
                    )
                backoff = _FIRST_BACKOFF if self._last_contact > started else min(2 * backoff, _LAST_BACKOFF)
                await self.pause(backoff)
            if self._failure is not None:
                raise self._failure
        finally:
            await self._channel.close()

    async def _converse(self) -> str:
        """One stream from its beginning to its end; says why it ended."""
        outgoing: asyncio.Queue[worker_pb2.WorkerMessage] = asyncio.Queue()
        for message in self._greet():
            outgoing.put_nowait(message)
        self._outgoing = outgoing
        call = self.stub.Work(_drain(outgoing), metadata=self._metadata)
        self._timer = self._loop.call_later(self._heartbeat, self._beat, call, outgoing)
        closing = self._loop.create_task(self._closing.wait())
        reading = self._loop.create_task(self._read(call))
        try:
            await asyncio.wait([closing, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return "closed"
            # A call that the heartbeat gave up ends its reader as a cancelled task.
            return "the coordinator fell silent" if reading.cancelled() else reading.result()
        finally:
            self._outgoing = None
            self._timer.cancel()
            for task in (closing, reading):
                task.cancel()
            call.cancel()

    async def _read(self, call: _Call) -> str:
        try:
            async for message in call:
                self._last_contact = self._loop.time()
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

    def _beat(self, call: _Call, outgoing: asyncio.Queue[worker_pb2.WorkerMessage]) -> None:
        if self._loop.time() - self._last_contact > max(self._grace / 3, 3 * self._heartbeat):
            call.cancel()
            return
        outgoing.put_nowait(worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat()))
        self._timer = self._loop.call_later(self._heartbeat, self._beat, call, outgoing)


async def _drain(
    outgoing: asyncio.Queue[worker_pb2.WorkerMessage],
) -> AsyncIterator[worker_pb2.WorkerMessage]:
    while True:
        yield await outgoing.get()
