"""Owns the machine, the clock and the thread: turns what happens into events, and carries commands out.

Everything here runs on one asyncio loop in one thread, so nothing needs a lock. Other threads come in
through :meth:`Coordinator.post`, and studies get their answers from their channels. The loop sleeps until
a message comes or the machine's earliest deadline is due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

import grpc

from sparkopt.coordinator.authentication import TokenInterceptor
from sparkopt.coordinator.blobs import BlobStore
from sparkopt.coordinator.certificates import new_certificate
from sparkopt.coordinator.channel import (
    Crowding,
    Payload,
    Recorder,
    Reported,
    Request,
    Settled,
    Started,
    StudyChannel,
)
from sparkopt.coordinator.clock import FairClock
from sparkopt.coordinator.requests import Requests, refusal
from sparkopt.coordinator.service import WorkerService, WorkerStream
from sparkopt.coordinator.untaken import UntakenReports
from sparkopt.core import commands, events
from sparkopt.core.machine import Machine
from sparkopt.core.records import Policy
from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.errors import PoolClosedError, PoolError, PoolLostError
from sparkopt.wire.limits import HEARTBEAT_SECONDS, INLINE_BYTES, server_options
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.tokens import new_token
from sparkopt.wire.v1 import trial_pb2, worker_pb2_grpc
from sparkopt.worker.spec import Endpoint

_CUT_SECONDS: Final = 0.5
"""How long streams may take to end when the server stops."""


@dataclass(slots=True)
class _Study:
    """What the coordinator keeps for a study."""

    channel: StudyChannel
    objective: trial_pb2.Blob
    max_attempts: int
    trial_timeout: float | None


@dataclass(frozen=True, slots=True)
class _Arrived:
    """An outcome on its way through the machine: kept if the machine settles a trial with it."""

    trial: TrialKey
    attempt: int
    message: trial_pb2.Outcome
    stream: WorkerStream


@dataclass(frozen=True, slots=True)
class _Told:
    """A report on its way through the machine: delivered if the machine says that it is fresh."""

    kind: ReportKind
    message: trial_pb2.Report


class Coordinator:
    """The driver's end of a pool.

    Args:
        limit: how many trials may run at once.
        host: the address that workers reach the driver by. Loopback means that nobody else can, and that
            no TLS is needed; on any other the coordinator listens on every interface and speaks TLS only.
        relaunch: called from the coordinator's thread to launch a gang again: gang, generation, size.
        explain: called from there to word the failure of the pool: the machine's reason, and whether any
            worker ever joined.
        policy: the machine's other limits.
        heartbeat: seconds between the heartbeats of a worker.
    """

    def __init__(
        self,
        limit: int,
        host: str,
        relaunch: Callable[[int, int, int], None],
        explain: Callable[[str, bool], PoolError],
        policy: Policy | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.blobs = BlobStore()
        self._requests = Requests(self.blobs)
        self._machine = Machine(limit, policy)
        self._host = host
        self._relaunch = relaunch
        self._explain = explain
        self._any_joined = False
        self._heartbeat = heartbeat
        self._loop = asyncio.new_event_loop()
        self._clock = FairClock(self._loop, heartbeat)
        self._thread = Thread(target=self._run, name="sparkopt-coordinator", daemon=True)
        self._streams: dict[str, WorkerStream] = {}
        self._studies: dict[str, _Study] = {}
        self._arguments: dict[TrialKey, trial_pb2.Payload] = {}
        self._untaken = UntakenReports()
        self._timer: asyncio.TimerHandle | None = None
        self._failure: PoolError | None = None
        self._stopping = asyncio.Event()
        self._closing = False

    # From other threads.

    def start(self) -> Endpoint:
        """Start the thread and the server.

        Returns:
            Where workers find it.

        Raises:
            OSError: if no port can be had.
        """
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def expel_all(self, error: PoolError | None = None) -> None:
        """End running trials, send every worker away, and whoever joins from now on as well.

        Args:
            error: what studies are told; by default that the pool was closed under them.
        """
        why = error or PoolClosedError("the pool was closed while the study was running")
        self.post(lambda: self._expel_all(why))

    def close(self) -> None:
        """Stop the server and end the thread; streams that are still open are cut. Idempotent."""
        if self._thread.is_alive():
            self.post(self._stopping.set)
            self._thread.join()
        self._loop.close()  # done already, unless the thread never started
        self.blobs.close()

    def post(self, action: Callable[[], None]) -> bool:
        """Have the coordinator's thread do something soon, and say whether there still is one."""
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed: asyncio has no exception of its own for it
            return False
        return True

    def tell(self, event: events.Event) -> None:
        """Tell the machine of something that happened."""
        self.post(lambda: self._step(event))

    def open_study(
        self,
        name: str,
        objective: bytes,
        max_attempts: int,
        trial_timeout: float | None = None,
        recorder: Recorder | None = None,
    ) -> StudyChannel:
        """Make a study known to the pool.

        Args:
            name: unique within the pool.
            objective: pickled; sent once to each worker that runs a trial of the study.
            max_attempts: how many workers a trial may take down before it settles as lost.
            trial_timeout: seconds that a trial may take before it is killed and fails; None for any.
            recorder: hears of everything before the study does, in the coordinator's thread.
        """

        def submit(proposals: Sequence[tuple[int, bytes]]) -> None:
            self.post(lambda: self._submit(name, proposals))

        def cancel(tid: int | None, reason: str) -> None:
            self.tell(events.CancelRequested(name, tid, reason))

        def close() -> None:
            self.post(lambda: self._close_study(name))

        def answer(request: Request, body: bytes | Path, failure: str | None) -> None:
            lease = Lease(TrialKey(name, request.tid), request.attempt)
            if not self.post(lambda: self._answer(lease, request.id, body, failure)) and isinstance(
                body, Path
            ):
                body.unlink(missing_ok=True)

        channel = StudyChannel(submit, cancel, close, answer, recorder)
        if not self.post(lambda: self._open_study(name, channel, objective, max_attempts, trial_timeout)):
            channel.put_failure(PoolClosedError("the pool was closed before the study began"))
        return channel

    # The thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._stopping.wait())
            self._loop.run_until_complete(self._wind_up())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _listen(self) -> Endpoint:
        token = new_token()
        options = server_options(self._machine.policy.grace)
        self._server = grpc.aio.server(interceptors=[TokenInterceptor(token)], options=options)
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerService(self), self._server)
        if _is_loopback(self._host):
            port = self._server.add_insecure_port(f"{self._host}:0")
            certificate = None
        else:
            own = new_certificate()
            certificate = own.certificate
            credentials = grpc.ssl_server_credentials([(own.key, own.certificate)])
            port = self._server.add_secure_port("0.0.0.0:0", credentials)
        if port == 0:
            raise OSError(f"no port to listen on at {self._host}")
        await self._server.start()
        self._clock.start()
        return Endpoint(f"{self._host}:{port}", token, certificate)

    def _expel_all(self, error: PoolError) -> None:
        self._closing = True
        self._fail(error)
        for study in list(self._studies):
            self._step(events.CancelRequested(study, None, "the pool is closing"))
        self._step(events.DrainRequested(None, "the pool is closing"))
        for stream in self._streams.values():
            stream.expel("the pool is closing")

    async def _wind_up(self) -> None:
        # Streams that have ended need a moment to be told so; what is still open then is cut.
        await self._server.stop(_CUT_SECONDS)
        del self._server
        self._clock.stop()
        if self._timer is not None:
            self._timer.cancel()

    # The machine.

    def _step(
        self,
        event: events.Event,
        arrived: _Arrived | None = None,
        told: _Told | trial_pb2.Request | None = None,
    ) -> None:
        machine = self._machine
        try:
            for command in machine.step(event, self._clock.now()):
                if isinstance(command, commands.DeliverReport):
                    assert told is not None
                    if isinstance(told, _Told):
                        self._deliver(command, told)
                    else:
                        self._ask(command, told)
                else:
                    self._carry_out(command, arrived)
        except Exception as error:
            # Nobody may wait for a coordinator that has lost its thread.
            why = f"the coordinator met a bug ({type(error).__name__}: {error}). Please report it."
            self._fail(PoolLostError(f"{why} Finished trials are kept."))
            raise
        if machine.next_deadline is None:
            return
        deadline = self._clock.loop_time(machine.next_deadline)
        if self._timer is None or deadline < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._step(events.Tick())

    def _carry_out(self, command: commands.Command, arrived: _Arrived | None) -> None:
        match command:
            case commands.Assign(worker, lease):
                self._requests.forget(lease.trial)  # those of an attempt that was lost
                study = self._studies[lease.trial.study]
                stream = self._streams.get(worker)
                if stream is not None:
                    argument = self._arguments[lease.trial]
                    stream.assign(lease, study.objective, argument, study.trial_timeout or 0.0)
                now, monotonic = time.time(), time.monotonic()
                study.channel.put_started(Started(lease.trial.tid, lease.attempt, now, monotonic))
            case commands.CancelAttempt(worker, lease, reason):
                stream = self._streams.get(worker)
                if stream is not None:
                    stream.cancel(lease, reason)
            case commands.Settle():
                self._settle(command, arrived)
            case commands.Expel(worker, reason, again):
                self.blobs.drop_all_of(worker)
                stream = self._streams.get(worker)
                if stream is not None:
                    stream.expel(reason, again)
            case commands.RelaunchGang(gang, generation, size):
                self._relaunch(gang, generation, size)
            case commands.ShutDown(reason, failed):
                if failed:
                    self._fail(self._explain(reason, self._any_joined))

    def _deliver(self, command: commands.DeliverReport, told: _Told) -> None:
        study = self._studies.get(command.lease.trial.study)
        if study is None:
            return
        worker, sequence, trial = command.worker, command.sequence, command.lease.trial

        def taken() -> None:
            self.post(lambda: self._report_taken(worker, sequence))

        self._untaken.add(worker, sequence, trial.study)
        body = self._claimed(told.message.body)
        study.channel.put_report(Reported(trial.tid, told.kind, told.message.name, body), taken)

    def _report_taken(self, worker: str, sequence: int) -> None:
        self._untaken.remove(worker, sequence)
        self._make_room(worker, [sequence])

    def _make_room(self, worker: str, taken: Sequence[int]) -> None:
        stream = self._streams.get(worker)
        if stream is not None:  # else it hears when it is back
            stream.taken(taken)

    def _ask(self, command: commands.DeliverReport, request: trial_pb2.Request) -> None:
        lease = command.lease
        self._requests.add(lease, command.worker, request.id)
        study = self._studies.get(lease.trial.study)
        if study is None:
            self._answer(lease, request.id, b"", "its study has ended")
        elif study.channel.on_request is None:
            self._answer(lease, request.id, b"", "nobody on the driver takes requests: tracking is off")
        else:
            body = self._claimed(request.body)
            taken = body.body if body is not None else b""
            study.channel.on_request(
                Request(lease.trial.tid, lease.attempt, command.worker, request.id, request.method, taken)
            )

    def _answer(self, lease: Lease, number: int, body: bytes | Path, failure: str | None) -> None:
        answered = self._requests.answer(lease, number, body, failure)
        if answered is not None:
            worker, reply = answered
            stream = self._streams.get(worker)
            if stream is not None:  # else it is sent when the worker is back
                stream.reply(reply)

    def _settle(self, command: commands.Settle, arrived: _Arrived | None) -> None:
        self._requests.forget(command.trial)
        argument = self._arguments.pop(command.trial)
        if argument.HasField("blob"):
            self.blobs.withdraw(argument.blob.id)
        study = self._studies.get(command.trial.study)
        if study is None:
            return
        outcome = trial_pb2.Outcome()
        if arrived is not None and (arrived.trial, arrived.attempt) == (command.trial, command.attempt):
            outcome = arrived.message
        ok, failed = command.outcome is Outcome.OK, command.outcome is Outcome.FAILED
        failure = outcome.failure if failed else None
        study.channel.put_settled(
            Settled(
                tid=command.trial.tid,
                attempt=command.attempt,
                outcome=command.outcome,
                worker=command.worker,
                host=arrived.stream.host if arrived is not None else "",
                reason=command.reason,
                result=self._claimed(outcome.result) if ok else None,
                failure=failure,
                exception=self._claimed(failure.exception) if failure is not None else None,
                seconds=outcome.seconds,
                crowding=self._crowding(arrived.stream, outcome.threads) if arrived is not None else None,
            )
        )

    def _crowding(self, stream: WorkerStream, threads: int) -> Crowding | None:
        """Whether the workers of a host use more threads than it has cores, if each uses as many as this."""
        workers = sum(each.host == stream.host for each in self._streams.values())
        if workers < 2 or threads < 2 or workers * threads <= stream.cores:
            return None
        return Crowding(stream.host, workers, threads, stream.cores)

    def _claimed(self, payload: trial_pb2.Payload) -> Payload | None:
        if payload.HasField("blob"):
            return Payload(self.blobs.claim(payload.blob.id))
        return Payload(payload.inline) if payload.inline else None

    def _fail(self, error: PoolError) -> None:
        if self._failure is None:
            self._failure = error
            for study in self._studies.values():
                study.channel.put_failure(error)

    # Studies.

    def _open_study(
        self,
        name: str,
        channel: StudyChannel,
        objective: bytes,
        max_attempts: int,
        trial_timeout: float | None,
    ) -> None:
        self._studies[name] = _Study(channel, self.blobs.offer(objective), max_attempts, trial_timeout)
        if self._failure is not None:
            channel.put_failure(self._failure)

    def _submit(self, name: str, proposals: Sequence[tuple[int, bytes]]) -> None:
        study = self._studies[name]
        for tid, argument in proposals:
            small = len(argument) <= INLINE_BYTES
            payload = (
                trial_pb2.Payload(inline=argument)
                if small
                else trial_pb2.Payload(blob=self.blobs.offer(argument))
            )
            self._arguments[TrialKey(name, tid)] = payload
        self._step(events.TrialsSubmitted(name, tuple(tid for tid, _ in proposals), study.max_attempts))

    def _close_study(self, name: str) -> None:
        study = self._studies.pop(name, None)
        if study is not None:
            self._step(events.CancelRequested(name, None, "its study has ended"))
            self.blobs.withdraw(study.objective.id)
            for worker, sequences in self._untaken.remove_all_of(name).items():
                self._make_room(worker, sequences)

    # Streams; called by the service.

    def stream_opened(self, stream: WorkerStream, joined: events.WorkerJoined) -> None:
        """A worker said hello."""
        before = self._streams.get(stream.worker)
        if before is not None:
            before.end()
            stream.acknowledged = before.acknowledged
        self._streams[stream.worker] = stream
        if self._closing:
            stream.expel("the pool is closing")
            return
        self._any_joined = True
        untaken = self._untaken.of_worker(stream.worker)
        stream.welcome(self._heartbeat, self._machine.policy.grace, untaken)
        self._step(joined)
        if joined.holding is not None:
            reply = self._requests.reply_to(joined.holding, stream.worker)
            if reply is not None:
                stream.reply(reply)

    def stream_closed(self, stream: WorkerStream) -> None:
        """A worker's stream has ended, whichever side ended it."""
        if self._streams.get(stream.worker) is not stream:
            return
        del self._streams[stream.worker]
        self._step(events.StreamLost(stream.worker))

    def heartbeat_arrived(self, stream: WorkerStream) -> None:
        """A worker is alive."""
        self._step(events.Heartbeat(stream.worker))
        stream.answer_heartbeat()

    def outcome_arrived(
        self, stream: WorkerStream, event: events.OutcomeArrived, message: trial_pb2.Outcome
    ) -> None:
        """A worker says how an attempt ended."""
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        self._step(event, arrived=_Arrived(event.lease.trial, event.lease.attempt, message, stream))
        self._drop_unclaimed(message.result, message.failure.exception)

    def report_arrived(
        self,
        stream: WorkerStream,
        event: events.ReportArrived,
        kind: ReportKind,
        message: trial_pb2.Report,
    ) -> None:
        """A worker says something in the middle of an attempt."""
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        self._step(event, told=_Told(kind, message))
        self._drop_unclaimed(message.body)
        if not self._untaken.holds(event.worker, event.sequence):
            stream.taken([event.sequence])  # no study wants it, or one has had it before a cut

    def request_arrived(
        self, stream: WorkerStream, event: events.ReportArrived, message: trial_pb2.Request
    ) -> None:
        """A worker asks for something in the middle of an attempt."""
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        self._step(event, told=message)
        self._drop_unclaimed(message.body)
        if not self._requests.knows(event.lease, stream.worker, message.id):
            stream.reply(refusal(message.attempt, message.id))

    def _drop_unclaimed(self, *payloads: trial_pb2.Payload) -> None:
        """Remove what a message brought with it, unless a study has claimed it by now."""
        for payload in payloads:
            if payload.HasField("blob"):
                self.blobs.drop(payload.blob.id)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
