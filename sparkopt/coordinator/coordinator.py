"""Actor that owns the machine and the clock: turns what happens into events, and carries out commands.

Everything here runs on one asyncio loop in one thread, so nothing needs a lock. Other threads come in
through :meth:`Coordinator.post`, and studies get their answers from their channels. The loop sleeps until
a message comes or the machine's earliest deadline is due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sparkopt.coordinator.arrivals import Arrivals, ArrivedOutcome, ArrivedReport, ArrivedRequest
from sparkopt.coordinator.attendance import Attendance
from sparkopt.coordinator.blobs import BlobStore
from sparkopt.coordinator.channels.channel import Recorder, StudyChannel
from sparkopt.coordinator.channels.objective_spec import ObjectiveSpec
from sparkopt.coordinator.channels.posted_actions import PostedActions
from sparkopt.coordinator.channels.requests import Requests, refusal
from sparkopt.coordinator.channels.studies import Studies, StudySubscriber, Values
from sparkopt.coordinator.channels.study_events import Reported, Request, Started
from sparkopt.coordinator.channels.untaken import UntakenReports
from sparkopt.coordinator.clock import Alarm, FairClock
from sparkopt.coordinator.cpu_sharing import oversubscription_of
from sparkopt.coordinator.loop_thread import LoopThread
from sparkopt.coordinator.observer import Observer, look_at_limits, look_at_workers
from sparkopt.coordinator.running_attempts import RunningAttempts
from sparkopt.coordinator.serving import serve_workers
from sparkopt.coordinator.step_log import LOG, log_step
from sparkopt.coordinator.task_watch import TaskWatch
from sparkopt.coordinator.transport.guarded_server import GuardedServer
from sparkopt.coordinator.transport.identities import Identities
from sparkopt.coordinator.worker_service import WorkerStream
from sparkopt.core import commands, events
from sparkopt.core.machine import Machine
from sparkopt.core.records import Elastic, Policy
from sparkopt.core.states import Lease
from sparkopt.errors import PoolClosedError, PoolError
from sparkopt.wire import forks
from sparkopt.wire.convert import to_lane
from sparkopt.wire.limits import HEARTBEAT_SECONDS
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker.spec import Endpoint

_CUT_SECONDS: Final = 0.5
"""Seconds that streams may take to end when the server stops."""

_LOSSES: Final = (events.GangEnded, events.WorkerGone, events.LossExplained)
"""Events after which workers may be gone."""


class Coordinator:
    """The driver's end of a pool.

    Args:
        limit: how many trials may run at once.
        host: the address that workers reach the driver by.
        relaunch: called from the coordinator's thread to launch a gang again, an elastic one also at first:
            gang, generation, size.
        explain: called from there to word the failure of the pool: the machine's reason, and whether any
            worker ever joined.
        policy: the machine's other limits.
        heartbeat: seconds between the heartbeats of a worker.
        observer: looks at the pool from outside.
        listen: the address or name of this machine to listen at; by default the host.
        elastic: for a pool whose workers come and go one by one.
        withdraw: called from the coordinator's thread to end a launch that is not needed: gang, generation.
        watch: hears of workers that come and go.

    Attributes:
        host: the address that workers reach the driver by.
        machine: knows which worker runs which trial. Read it from the coordinator's thread only.
        identities: which worker is which.
        attendance: which of them have said hello, and which have to wait.
        blobs: what travels in chunks.
        studies: those that go on.
        streams: of the workers that are connected, by their names.
        attempts: what running attempts say that is not for the machine.
    """

    def __init__(
        self,
        limit: int,
        host: str,
        relaunch: Callable[[int, int, int], None],
        explain: Callable[[str, bool], PoolError],
        policy: Policy | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
        observer: Observer | None = None,
        listen: str | None = None,
        elastic: Elastic | None = None,
        withdraw: Callable[[int, int], None] = lambda gang, generation: None,
        watch: TaskWatch | None = None,
    ) -> None:
        self.blobs = BlobStore()
        self.studies = Studies(self.blobs)
        self._requests = Requests(self.blobs)
        self._arrivals = Arrivals()
        self.machine = Machine(limit, policy, elastic)
        self.identities = Identities(self.machine)
        self.attendance = Attendance(self.machine, self._join)
        self._observer = observer or Observer()
        self.host = host
        self._listen_at = listen or host
        self._server: GuardedServer | None = None
        self._relaunch, self._withdraw = relaunch, withdraw
        self._watch = watch or TaskWatch()
        self._explain = explain
        self._any_joined = False
        self._heartbeat = heartbeat
        self._thread = LoopThread("sparkopt-coordinator", self._main, self.studies.fail_by_bug)
        self._clock = FairClock(self._thread.loop, heartbeat)
        self.streams: dict[str, WorkerStream] = {}
        self._untaken = UntakenReports()
        self.attempts = RunningAttempts(self.machine, self.studies, self._observer)
        self._alarm = Alarm(self._thread.loop, self._tick)
        self._listening = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._closing = False

    # From other threads.

    def start(self) -> Endpoint:
        """Start the thread and the server.

        Returns:
            Where workers find it.

        Raises:
            RefusedError: if it cannot listen there, or the observer cannot be served.
        """
        forks.hold()
        self._thread.start()
        return self._thread.call(self._listen())

    def expel_all(self, error: PoolError | None = None) -> None:
        """End running trials, send every worker away, and whoever joins from now on as well.

        Args:
            error: what studies are told; by default that the pool was closed under them.
        """
        why = error or PoolClosedError("the pool was closed while the study was running")
        self.post(lambda: self._expel_all(why))

    def close(self) -> None:
        """Stop the server and end the thread; streams that are still open are cut. Idempotent.

        A thread that does not come back from the user's code is left behind.
        """
        self.post(self._stopping.set)
        if not self._thread.join():
            LOG.warning("coordinator's thread is left behind: it is in a call that does not return")
        self.blobs.close()

    def post(self, action: Callable[[], None]) -> bool:
        """Have the coordinator's thread do something soon, and return whether that thread is still there."""
        return self._thread.post(action)

    def now(self) -> float:
        """Seconds on the machine's clock. On the loop only."""
        return self._clock.now()

    def post_event(self, event: events.Event) -> None:
        """Have the coordinator's thread :meth:`step` with an event."""
        self.post(lambda: self.step(event))

    def open_study(
        self,
        name: str,
        objective: ObjectiveSpec,
        recorder: Recorder | None = None,
        alone: bool = False,
    ) -> StudyChannel:
        """Make a study known to the pool.

        Args:
            name: unique within the pool.
            objective: what runs for each of its trials.
            recorder: hears of everything before the study does, in the coordinator's thread.
            alone: whether there will be no other study: workers that it cannot need any more are sent away.
        """
        channel = StudyChannel(PostedActions(self, name, alone), recorder)
        if not self.post(lambda: self.add_study(name, channel, objective)):
            channel.put_failure(PoolClosedError("the pool was closed before the study began"))
        return channel

    # The thread.

    async def _main(self) -> None:
        await self._stopping.wait()
        await self._wind_up()

    async def _listen(self) -> Endpoint:
        async with self._listening:
            self._server, endpoint = await serve_workers(self, self._listen_at)
            self._clock.start()
            await self._observer.start(self)
            return endpoint

    def _expel_all(self, error: PoolError) -> None:
        self._closing = True
        self.studies.fail(error)
        if self._server is None:  # it has not begun: nobody is there, and nobody looks
            return
        self._observer.closing()
        for study in self.studies:
            self.step(events.CancelRequested(study, None, "the pool is closing"))
        self.step(events.DrainRequested(None, "the pool is closing"))
        for stream in self.streams.values():
            stream.expel("the pool is closing")

    async def _wind_up(self) -> None:
        async with self._listening:  # whoever waited for that may have been interrupted
            await self._observer.stop()
            if self._server is not None:
                # Streams that have ended need a moment to be told so; what is still open then is cut.
                await self._server.stop(_CUT_SECONDS)
                self._server = None
        self._clock.stop()
        self._alarm.stop()

    # The machine.

    def step(self, event: events.Event) -> None:
        """Tell the machine of something that happened, and carry out what it commands. On the loop only."""
        machine = self.machine
        try:
            decided = machine.step(event, self._clock.now())
            log_step(machine, event, decided)
            look_at_limits(self._observer, event)  # before what comes of it
            for command in decided:
                self._carry_out(command)
        except Exception as error:
            self.studies.fail_by_bug(error, type(event).__name__)
            raise
        if isinstance(event, _LOSSES):
            present = machine.present()
            self.blobs.drop_all_but(present)
            self.studies.put_workers(len(present))
            self.attendance.admit_waiting()
        look_at_workers(self._observer, event)
        if machine.next_deadline is not None:
            self._alarm.set(self._clock.loop_time(machine.next_deadline))

    def _tick(self) -> None:
        self.step(events.Tick())
        self.attendance.admit_waiting()

    def _carry_out(self, command: commands.Command) -> None:
        match command:
            case commands.Assign(worker, lease):
                self._assign(worker, lease)
            case commands.CancelAttempt(worker, lease, reason):
                if (stream := self.streams.get(worker)) is not None:
                    stream.cancel(lease, reason)
            case commands.PruneAttempt(worker, lease):
                if (stream := self.streams.get(worker)) is not None:
                    stream.prune(lease, self.studies.prune_grace(lease.trial.study))
            case commands.Settle():
                self._settle(command)
            case commands.DeliverReport():
                self._deliver(command)
            case commands.DeliverRequest():
                self._ask(command)
            case commands.Expel(worker, reason, again):
                self.blobs.drop_all_but(self.machine.present())
                if (stream := self.streams.get(worker)) is not None:
                    stream.expel(reason, again)
                self._observer.workers_changed(worker, reason)
                self._watch.cut(worker)
            case commands.LaunchGang(gang, generation, size):
                self._relaunch(gang, generation, size)
            case commands.WithdrawGang(gang, generation):
                self._withdraw(gang, generation)
            case commands.ShutDown(reason, failed):
                if failed:
                    self.studies.fail(self._explain(reason, self._any_joined))

    def _assign(self, worker: str, lease: Lease) -> None:
        self._requests.forget(lease.trial)  # those of an attempt that was lost
        stream, waited = self.streams.get(worker), 0.0
        if stream is not None:
            stream.assign(lease, *self.studies.assignment(lease))
            waited = self.studies.waited(lease.trial, stream.idle_since)
        subscriber = self.studies.subscriber_of(lease.trial.study)
        if subscriber is not None:
            now, monotonic = time.time(), time.monotonic()
            subscriber.put_started(Started(lease.trial.tid, lease.attempt, now, monotonic, waited))
        self._observer.attempt_started(lease, worker)

    def _settle(self, command: commands.Settle) -> None:
        trial = command.trial
        self._requests.forget(trial)
        self.attempts.forget(trial)
        arrived = self._arrivals.outcomes.get(trial)
        if arrived is not None and arrived.attempt != command.attempt:
            arrived = None
        self._observer.trial_settled(trial.study, self.studies.settle(command, arrived))

    def _deliver(self, command: commands.DeliverReport) -> None:
        subscriber = self.studies.subscriber_of(command.lease.trial.study)
        if subscriber is None:
            return
        worker, sequence, trial = command.worker, command.sequence, command.lease.trial
        arrived = self._arrivals.reports[worker, sequence]

        def taken() -> None:
            self.post(lambda: self._report_taken(worker, sequence))

        self._untaken.add(worker, sequence, trial.study)
        kind, name = arrived.kind, arrived.message.name
        body = self.studies.claimed(arrived.message.body)
        subscriber.put_report(Reported(trial.tid, kind, name, body), taken)
        self._observer.reported(trial, kind, name)

    def _report_taken(self, worker: str, sequence: int) -> None:
        self._untaken.remove(worker, sequence)
        self._send_taken(worker, [sequence])

    def _send_taken(self, worker: str, taken: Sequence[int]) -> None:
        stream = self.streams.get(worker)
        if stream is not None:  # else it hears when it is back
            stream.taken(taken)

    def _ask(self, command: commands.DeliverRequest) -> None:
        arrived = self._arrivals.requests[command.worker, command.sequence]
        lease, lane, message = command.lease, arrived.lane, arrived.message
        self._requests.add(lease, lane, command.worker, message.id)
        subscriber = self.studies.subscriber_of(lease.trial.study)
        if subscriber is None:
            self.answer(lease, message.id, b"", "its study has ended")
            return
        body = self.studies.claimed(message.body)
        taken = body.body if body is not None else b""
        request = Request(lease.trial.tid, lease.attempt, command.worker, message.id, arrived.method, taken)
        if not subscriber.take_request(lane, request):
            if isinstance(taken, Path):
                taken.unlink()
            refused = f"nobody on the driver answers the {lane.value} requests of this study"
            self.answer(lease, message.id, b"", refused)

    def answer(self, lease: Lease, number: int, body: bytes | Path, failure: str | None) -> None:
        """Answer a request of an attempt; without effect if the attempt has ended."""
        answered = self._requests.answer(lease, number, body, failure)
        if answered is not None:
            worker, reply = answered
            stream = self.streams.get(worker)
            if stream is not None:  # else it is sent when the worker is back
                stream.reply(reply)

    # Studies; on the loop only.

    def add_study(self, name: str, subscriber: StudySubscriber, objective: ObjectiveSpec) -> None:
        """Make a study known; see :meth:`open_study`."""
        self.studies.open(name, subscriber, objective)
        LOG.info("study opened", study=name)
        self._observer.study_opened(name)
        if self._any_joined:
            subscriber.put_workers(len(self.machine.present()))

    def submit(self, name: str, proposals: Sequence[tuple[int, bytes]], values: Sequence[Values]) -> None:
        """Have a study's trials run; see :attr:`StudyChannel.submit`."""
        event = self.studies.submitted(name, proposals)
        self._observer.trials_submitted(name, event.tids, values)
        self.step(event)

    def cancel_waiting(self, name: str, reason: str) -> None:
        """Cancel those trials of a study that wait for a worker, or for what has become of their last one."""
        held = [key for key in self.machine.losses.held if key.study == name]
        for key in [*self.machine.queues.get(name, ()), *held]:
            self.step(events.CancelRequested(name, key.tid, reason))

    def close_study(self, name: str) -> None:
        """Forget a study, and cancel what it has not heard of. Idempotent."""
        if self.studies.close(name):
            self.step(events.CancelRequested(name, None, "its study has ended"))
            for worker, sequences in self._untaken.remove_all_of(name).items():
                self._send_taken(worker, sequences)
            LOG.info("study ended", study=name)
            self._observer.study_closed(name)

    # Streams; called by the service.

    def stream_opened(self, stream: WorkerStream, joined: events.WorkerJoined) -> None:
        """A worker said hello."""
        before = self.streams.get(stream.worker)
        if before is not None:
            before.end()
            stream.acknowledged = before.acknowledged
        self.streams[stream.worker] = stream
        self.attendance.note(joined)
        if self._closing:
            stream.expel("the pool is closing")
            return
        self._any_joined = True
        untaken = self._untaken.of_worker(stream.worker)
        stream.welcome(self._heartbeat, self.machine.policy.grace, untaken)
        self._observer.worker_joined(stream.hello)
        self._watch.joined(stream.hello)
        self.attendance.admit(stream, joined)

    def _join(self, stream: WorkerStream, joined: events.WorkerJoined) -> None:
        self.step(joined)
        self.studies.put_workers(len(self.machine.present()))
        self.identities.bind(stream.hello)
        if joined.holding is not None:
            for reply in self._requests.replies_to(joined.holding, stream.worker):
                stream.reply(reply)

    def stream_closed(self, stream: WorkerStream) -> None:
        """A worker's stream has ended, whichever side ended it."""
        if self.streams.get(stream.worker) is not stream:
            return
        del self.streams[stream.worker]
        self.attendance.forget(stream.worker)
        self._watch.cut(stream.worker)
        self.step(events.StreamLost(stream.worker))
        self.attendance.admit_waiting()

    def heartbeat_arrived(self, stream: WorkerStream) -> None:
        """A worker is alive."""
        self.step(events.Heartbeat(stream.worker))
        stream.answer_heartbeat()

    def outcome_arrived(
        self, stream: WorkerStream, event: events.OutcomeArrived, message: trial_pb2.Outcome
    ) -> None:
        """A worker says how an attempt ended."""
        if message.HasField("values"):
            self.attempts.values_arrived(stream, event.lease, message.values)
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        stream.idle_since = time.monotonic()
        oversubscription = oversubscription_of(self.streams.values(), stream, message.threads)
        trial = event.lease.trial
        self._arrivals.outcomes[trial] = ArrivedOutcome(
            event.lease.attempt, message, stream.host, stream.gpus, oversubscription
        )
        try:
            self.step(event)
        finally:
            del self._arrivals.outcomes[trial]
        self._drop_unclaimed(stream.worker, message.result, message.failure.exception)

    def report_arrived(
        self,
        stream: WorkerStream,
        event: events.ReportArrived,
        kind: ReportKind,
        message: trial_pb2.Report,
    ) -> None:
        """A worker says something in the middle of an attempt."""
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        number = event.worker, event.sequence
        self._arrivals.reports[number] = ArrivedReport(kind, message)
        try:
            self.step(event)
        finally:
            del self._arrivals.reports[number]
        self._drop_unclaimed(stream.worker, message.body)
        if not self._untaken.holds(event.worker, event.sequence):
            stream.taken([event.sequence])  # no study wants it, or one has had it before a cut

    def request_arrived(
        self, stream: WorkerStream, event: events.RequestArrived, message: trial_pb2.Request
    ) -> None:
        """A worker asks for something in the middle of an attempt.

        Raises:
            ProtocolError: if the request has no lane.
        """
        lane, method = to_lane(message.method)
        stream.acknowledged = max(stream.acknowledged, event.sequence)
        number = event.worker, event.sequence
        self._arrivals.requests[number] = ArrivedRequest(lane, method, message)
        try:
            self.step(event)
        finally:
            del self._arrivals.requests[number]
        self._drop_unclaimed(stream.worker, message.body)
        if not self._requests.knows(event.lease, stream.worker, message.id):
            stream.reply(refusal(message.attempt, message.id))

    def _drop_unclaimed(self, worker: str, *payloads: trial_pb2.Payload) -> None:
        """Remove what a message brought with it, unless a study has claimed it by now."""
        for payload in payloads:
            if payload.HasField("blob"):
                self.blobs.drop(payload.blob.id, worker)
