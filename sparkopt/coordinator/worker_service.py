"""WorkerService: messages to events, commands to messages.

A worker's stream is two tasks: this handler, which reads, and a writer, which sends what is in the
stream's queue. What the messages mean is for the coordinator to say.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc

from sparkopt.coordinator.step_log import LOG
from sparkopt.coordinator.transport.calls import first_of
from sparkopt.core import events
from sparkopt.core.states import Lease
from sparkopt.errors import ProtocolError, SparkoptError
from sparkopt.wire.convert import to_attempt, to_lease, to_outcome, to_report_kind
from sparkopt.wire.statuses import refuse
from sparkopt.wire.v1 import trial_pb2, worker_pb2, worker_pb2_grpc

if TYPE_CHECKING:
    from sparkopt.coordinator.coordinator import Coordinator

_NAME_CHARACTERS: Final = 200
_HOST_CHARACTERS: Final = 1000
_GPUS: Final = 64

_UNSENT: Final = 1000
"""Most unread messages for a worker. While more are waiting, the service reads nothing from that worker."""

_FULL_NAME: Final = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class _Outgoing:
    """Messages that wait to be sent, for one task that sends them.

    An asyncio.Queue does the same for any number of tasks, and takes three times as long.
    """

    def __init__(self) -> None:
        self._messages: deque[worker_pb2.CoordinatorMessage | None] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: worker_pb2.CoordinatorMessage | None) -> None:
        """Have a message sent; None ends the stream behind it."""
        self._messages.append(message)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self) -> worker_pb2.CoordinatorMessage | None:
        """Wait for the next message."""
        while not self._messages:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._messages.popleft()


class WorkerStream:
    """The coordinator's end of one worker's stream."""

    def __init__(self, hello: worker_pb2.Hello) -> None:
        self.hello = hello
        self.worker = hello.worker
        self.host = hello.host
        self.cores = hello.cores
        self.gpus = tuple(hello.gpus)
        self.acknowledged = 0
        self.idle_since = time.monotonic()
        self._outgoing = _Outgoing()
        self._sent = asyncio.Event()

    def welcome(self, heartbeat: float, grace: float, untaken: Iterable[int]) -> None:
        """Take the worker in, and tell it which of its reports no study has taken yet."""
        welcome = worker_pb2.Welcome(heartbeat=heartbeat, grace=grace, untaken=untaken)
        self._send(worker_pb2.CoordinatorMessage(welcome=welcome))

    def answer_heartbeat(self) -> None:
        """Show the worker that this end is alive."""
        self._send(worker_pb2.CoordinatorMessage(heartbeat=worker_pb2.HeartbeatReply()))

    def taken(self, sequences: Iterable[int]) -> None:
        """Tell the worker that these reports are taken, so that it may send as many more."""
        self._send(worker_pb2.CoordinatorMessage(taken=sequences))

    def assign(
        self, lease: Lease, objective: trial_pb2.Blob, argument: trial_pb2.Payload, timeout: float
    ) -> None:
        """Have the worker run an attempt."""
        assignment = worker_pb2.Assignment(
            attempt=to_attempt(lease), objective=objective, argument=argument, timeout=timeout
        )
        self._send(worker_pb2.CoordinatorMessage(assignment=assignment))

    def cancel(self, lease: Lease, reason: str) -> None:
        """Have the worker end an attempt."""
        cancellation = worker_pb2.Cancellation(attempt=to_attempt(lease), reason=reason)
        self._send(worker_pb2.CoordinatorMessage(cancellation=cancellation))

    def prune(self, lease: Lease, grace: float | None) -> None:
        """Have the worker's objective stop early, and end it if it goes on for ``grace`` more seconds."""
        self._send(
            worker_pb2.CoordinatorMessage(prune=worker_pb2.Prune(attempt=to_attempt(lease), grace=grace))
        )

    def confirm_values(self, lease: Lease, count: int) -> None:
        """Tell the worker how many intermediate values of an attempt have come."""
        receipt = worker_pb2.ValuesReceipt(attempt=to_attempt(lease), count=count)
        self._send(worker_pb2.CoordinatorMessage(receipt=receipt))

    def reply(self, reply: trial_pb2.Reply) -> None:
        """Answer a request."""
        self._send(worker_pb2.CoordinatorMessage(reply=reply))

    def expel(self, reason: str, again: bool = False) -> None:
        """Send the worker away, for good or to come again. The worker ends the stream then."""
        expulsion = worker_pb2.Expulsion(reason=reason, again=again)
        self._send(worker_pb2.CoordinatorMessage(expulsion=expulsion))

    def end(self) -> None:
        """End the stream from this side, once what was sent is out."""
        self._outgoing.put(None)

    def _send(self, message: worker_pb2.CoordinatorMessage) -> None:
        message.acknowledged = self.acknowledged
        self._outgoing.put(message)

    async def write_to(self, context: Context) -> None:
        """Send what is queued, until the stream ends."""
        while (message := await self._outgoing.next()) is not None:
            await context.write(message)
            self._sent.set()

    def is_behind(self) -> bool:
        """Returns whether the worker leaves too much unread."""
        return len(self._outgoing) > _UNSENT

    async def catch_up(self) -> None:
        """Wait until the worker has read enough."""
        while self.is_behind():
            self._sent.clear()
            await self._sent.wait()


class WorkerService(worker_pb2_grpc.WorkerServiceServicer):
    """The three calls of a worker.

    Args:
        coordinator: knows what the messages mean.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def Work(  # type: ignore[override]  # it writes to its context rather than yield
        self, requests: AsyncIterator[worker_pb2.WorkerMessage], context: Context
    ) -> None:
        """Converse with one worker; see worker.proto."""
        tasks: list[asyncio.Task[None]] = []
        try:
            first = await self._first(requests)
            self._coordinator.identities.check(first.hello)
            stream = WorkerStream(first.hello)
            holding = to_lease(first.hello.holding) if first.hello.HasField("holding") else None
            tasks = [
                asyncio.create_task(stream.write_to(context)),
                asyncio.create_task(self._read(stream, requests)),
            ]
            hello = first.hello
            formerly = hello.formerly or None
            joined = events.WorkerJoined(
                *(hello.worker, hello.gang, hello.generation, holding, formerly, hello.task_attempt)
            )
            self._coordinator.stream_opened(stream, joined)
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._coordinator.stream_closed(stream)
            # The status goes out behind what was sent: grpc refuses one that meets a write under way.
            stream.end()
            await asyncio.wait(tasks[:1])
            try:
                for task in done:
                    task.result()
            except ProtocolError as error:
                # Nothing that it says from now on could be relied on: its trial is another worker's at once.
                gone = f"{stream.worker} sent what makes no sense ({error})"
                self._coordinator.step(events.WorkerGone(stream.worker, gone))
                raise
        except Exception as error:  # noqa: BLE001 - every exception has its status
            await refuse(context, error, LOG)
        finally:
            for task in tasks:
                task.cancel()

    @staticmethod
    async def _first(requests: AsyncIterator[worker_pb2.WorkerMessage]) -> worker_pb2.WorkerMessage:
        """The hello that a stream begins with.

        Raises:
            LimitExceededError: if it does not come in time (NOTHING_SENT).
            ProtocolError: if the first message is no hello.
        """
        first = await first_of(requests, "hello")
        if first is None or not first.HasField("hello") or not first.hello.worker:
            raise ProtocolError("the first message of a stream must be a hello with the worker's name")
        hello = first.hello
        if max(map(len, (hello.worker, hello.formerly, hello.key))) > _NAME_CHARACTERS:
            raise ProtocolError(f"a worker's name and key have at most {_NAME_CHARACTERS} characters")
        if len(hello.host) > _HOST_CHARACTERS:
            raise ProtocolError(f"the name of a worker's host has at most {_HOST_CHARACTERS} characters")
        if len(hello.gpus) > _GPUS or any(len(each) > _NAME_CHARACTERS for each in hello.gpus):
            raise ProtocolError(f"a worker has at most {_GPUS} GPUs, each of {_NAME_CHARACTERS} characters")
        return first

    async def _read(self, stream: WorkerStream, requests: AsyncIterator[worker_pb2.WorkerMessage]) -> None:
        async for message in requests:
            if stream.is_behind():
                await stream.catch_up()
            try:
                self._take(stream, message)
            except SparkoptError:
                raise
            except Exception as error:  # the worker would come again with the same message, and again
                self._coordinator.studies.fail_by_bug(error, f"a worker's {message.WhichOneof('body')}")
                raise

    def _take(self, stream: WorkerStream, message: worker_pb2.WorkerMessage) -> None:
        body = message.WhichOneof("body")
        if body == "outcome":
            outcome = message.outcome
            event = events.OutcomeArrived(
                stream.worker, to_lease(outcome.attempt), to_outcome(outcome.kind), message.sequence
            )
            fresh = self._is_fresh(event, outcome.result, outcome.failure.exception)
            self._coordinator.outcome_arrived(stream, event, outcome)
            if fresh:
                self._coordinator.blobs.drop_rest_of(stream.worker)
        elif body == "values":
            values = message.values
            self._coordinator.attempts.values_arrived(stream, to_lease(values.attempt), values)
        elif body == "report":
            report = message.report
            reported = events.ReportArrived(stream.worker, to_lease(report.attempt), message.sequence)
            self._is_fresh(reported, report.body)
            self._coordinator.report_arrived(stream, reported, to_report_kind(report.kind), report)
        elif body == "request":
            request = message.request
            asked = events.RequestArrived(stream.worker, to_lease(request.attempt), message.sequence)
            self._is_fresh(asked, request.body)
            self._coordinator.request_arrived(stream, asked, request)
        elif body == "begun":
            begun = message.begun
            self._coordinator.attempts.begun_arrived(stream, to_lease(begun.attempt), begun.seconds)
        elif body == "heartbeat":
            self._coordinator.heartbeat_arrived(stream)
        else:
            raise ProtocolError(f"{body or 'an empty message'} has no place in the middle of a stream")

    def _is_fresh(self, event: events.Message, *payloads: trial_pb2.Payload) -> bool:
        """Returns whether a message is about the worker's live attempt, and not one that was sent again.

        Raises:
            ProtocolError: if no worker of ours would send it. Its stream ends, and the trial runs again.
        """
        worker = self._coordinator.machine.workers.get(event.worker)
        last = 0 if worker is None else worker.sequence
        # A worker that comes under another name goes on with the numbers that it had.
        if event.sequence == 0 or (last and event.sequence > last + 1):
            raise ProtocolError(f"message {event.sequence} is not the one behind {last}")
        if worker is None or event.sequence <= last or event.lease != worker.lease:
            return False
        for payload in payloads:
            if payload.HasField("blob") and not self._coordinator.blobs.is_of(payload.blob.id, event.worker):
                raise ProtocolError(f"{event.worker} has pushed no blob {payload.blob.id[:100]!r}")
        return True

    async def Fetch(
        self, request: worker_pb2.FetchRequest, context: Context
    ) -> AsyncIterator[worker_pb2.Chunk]:
        """Send a blob in chunks; see worker.proto."""
        try:
            for data in self._coordinator.blobs.read(request.blob):
                yield worker_pb2.Chunk(data=data)
        except Exception as error:  # noqa: BLE001
            await refuse(context, error, LOG)

    async def Push(self, requests: AsyncIterator[worker_pb2.Chunk], context: Context) -> trial_pb2.Blob:
        """Take in what is too large for a message; see worker.proto."""
        metadata = dict(context.invocation_metadata() or ())
        worker = str(metadata.get("sparkopt-worker", ""))
        try:
            self._coordinator.identities.check_call(worker, str(metadata.get("sparkopt-key", "")))
            return await self._coordinator.blobs.receive(worker, requests)
        except Exception as error:  # noqa: BLE001
            await refuse(context, error, LOG)
