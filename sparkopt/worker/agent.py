"""Process A: holds at most one attempt, has B run it, and sees its outcome home.

    assignment ──▶ fetch objective (once) ──▶ supervisor.run ──▶ outcome ──▶ outbox
    report, request ──▶ questions.py ◀── reply
    intermediate value ──▶ values_under_way.py ──▶ stream, or the outcome
    prune ──▶ supervisor.stop_early; after the grace supervisor.cancel ──▶ outcome: pruned
    cancellation, timeout ──▶ supervisor.cancel ──▶ outcome: cancelled or failed, or what was quicker
    expulsion ──▶ leave, or start over
    no contact for the grace period ──▶ start over: end the attempt, say hello under another name

One message at a time changes its state; the only thing that runs beside is the attempt itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc

from sparkopt.core.states import Lease
from sparkopt.errors import StorageError
from sparkopt.wire.actor_log import values_of
from sparkopt.wire.convert import to_lease
from sparkopt.wire.modules.objective_archive import digests_in
from sparkopt.wire.v1 import trial_pb2, worker_pb2
from sparkopt.worker import verdicts, worker_log
from sparkopt.worker.blob_files import BlobFiles
from sparkopt.worker.coordinator_connection import CoordinatorConnection
from sparkopt.worker.frames import Frame, Kind
from sparkopt.worker.greeting import Greeting
from sparkopt.worker.nursery_handle import NurseryHandle
from sparkopt.worker.outbox import Outbox
from sparkopt.worker.questions import Questions
from sparkopt.worker.spec import Birth, WorkerSpec
from sparkopt.worker.supervisor import EvaluatorEnded, RunCancelled, Supervisor
from sparkopt.worker.values_under_way import ValuesUnderWay
from sparkopt.worker.worker_log import LOG

try:
    from uvloop import run as run_loop
except ImportError:  # asyncio's own loop does the same, and takes longer
    from asyncio import run as run_loop  # type: ignore[assignment]  # its other arguments are not ours

_TOLD_AFTER_SECONDS: Final = 0.1
"""Seconds that an objective must have run before the driver is told. A shorter run is not worth a message."""


@dataclass(slots=True)
class _Attempt:
    """The attempt that this worker holds."""

    assignment: worker_pb2.Assignment
    lease: Lease
    task: asyncio.Task[None] | None = None
    cancelled: bool = False
    overdue: bool = False
    pruned: bool = False
    timer: asyncio.TimerHandle | None = None
    prune_timer: asyncio.TimerHandle | None = None
    began: float = 0.0
    told: bool = False
    questions: Questions | None = None
    values: ValuesUnderWay | None = None


class Agent:
    """A worker's process A, from its event loop's point of view.

    Args:
        spec: the gang's description.
        slot: which of the gang's workers this is.
        birth: by which the coordinator knows it again.
        directory: for payloads too large for a message; somebody else removes it.
        nursery: forked before grpc was loaded.
        report: a pipe that takes signs of life.
        gpus: addresses of those that Spark gave the task.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        slot: int,
        birth: Birth,
        directory: Path,
        nursery: NurseryHandle,
        report: int,
        gpus: Sequence[str] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._greeting = Greeting(spec, slot, birth, gpus)
        self._greeted = False
        self._report_pipe = report
        self._sign: asyncio.TimerHandle | None = None
        self._supervisor = Supervisor(nursery)
        self._connection = CoordinatorConnection(spec, self._greet, self._receive, self._start_over)
        self._blobs = BlobFiles(self._connection, directory, self._greeting)
        self._outbox = Outbox(self._connection.send)
        self._attempt: _Attempt | None = None
        self._notice: asyncio.TimerHandle | None = None
        self._loaded: tuple[int | None, str] = (None, "")
        self._modules: Mapping[str, str] = {}
        self.trials = 0

    async def run(self, leash: int) -> None:
        """Work until the coordinator expels this worker, or the barrier task is gone.

        Args:
            leash: a pipe that reads empty when the barrier task's process is gone.

        Raises:
            CoordinatorUnreachableError: if the coordinator cannot be reached for too long.
            NurseryEndedError: if there can be no more evaluators.
        """
        self._loop.add_reader(leash, self._connection.close)
        try:
            await self._connection.run()
        finally:
            self._loop.remove_reader(leash)
            for timer in (self._sign, self._notice):
                if timer is not None:
                    timer.cancel()
            self._supervisor.close()
            if self._attempt is not None and self._attempt.task is not None:
                self._attempt.task.cancel()
                await asyncio.wait([self._attempt.task])

    @property
    def _name(self) -> str:
        return self._greeting.name

    def _give_sign(self) -> None:
        """Tell the task, again and again, that this process lives, and in which of the worker's lives."""
        # A task that reads nothing has signs enough in its pipe; one that has gone says so by the leash.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._report_pipe, b"[%d, %d]\n" % (self._greeting.life, self.trials))
        self._sign = self._loop.call_later(self._spec.heartbeat, self._give_sign)

    # Messages.

    def _greet(self) -> list[worker_pb2.WorkerMessage]:
        self._greeted = True
        hello = self._greeting.hello()
        if self._attempt is not None:
            hello.holding.CopyFrom(self._attempt.assignment.attempt)
        elif self._outbox.outcome is not None:
            hello.holding.CopyFrom(self._outbox.outcome.attempt)
        under_way = None if self._attempt is None else self._attempt.values
        values = [] if under_way is None else under_way.without_receipt
        return [worker_pb2.WorkerMessage(hello=hello), *values, *self._outbox.unacknowledged]

    def _receive(self, message: worker_pb2.CoordinatorMessage) -> None:
        self._outbox.acknowledged(message.acknowledged)
        self._outbox.taken(message.taken)
        body = message.WhichOneof("body")
        if body == "welcome":
            LOG.info("welcomed", worker=self._name)
            self._outbox.taken_but(message.welcome.untaken)
            if self._sign is None:
                self._give_sign()
        elif body == "assignment":
            self._assigned(message.assignment)
        elif body == "cancellation":
            attempt = self._attempt
            if attempt is not None and attempt.lease == to_lease(message.cancellation.attempt):
                self._end(attempt)
        elif body == "prune":
            self._prune(message.prune)
        elif body == "receipt":
            if self._attempt is not None and self._attempt.values is not None:
                self._attempt.values.received(message.receipt)
        elif body == "reply":
            if self._attempt is not None and self._attempt.questions is not None:
                self._attempt.questions.answer(message.reply)
        elif body == "expulsion":
            LOG.info(
                "expelled",
                worker=self._name,
                reason=message.expulsion.reason,
                again=message.expulsion.again,
            )
            if message.expulsion.again:
                self._start_over()
            else:
                self._connection.close()
        if self._attempt is not None and self._attempt.questions is not None:
            self._attempt.questions.look_for_room()

    def _start_over(self) -> None:
        """The attempt is another worker's by now: end it, and come again as a new worker."""
        held = {} if self._attempt is None else values_of(self._attempt.lease)
        LOG.info("starts over", worker=self._name, **held)
        if self._attempt is not None:
            self._end(self._attempt)
        if self._greeted:  # else it is starting over already: it saw the clock first, and then an expulsion
            self._greeted = False
            self._greeting.begin_next_life()
        self._connection.renew()

    def _prune(self, prune: worker_pb2.Prune) -> None:
        attempt = self._attempt
        if attempt is None or attempt.pruned or attempt.lease != to_lease(prune.attempt):
            return
        attempt.pruned = True
        self._supervisor.stop_early()
        if prune.HasField("grace"):
            attempt.prune_timer = self._loop.call_later(prune.grace, self._supervisor.cancel)

    def _end(self, attempt: _Attempt) -> None:
        attempt.cancelled = True
        self._supervisor.cancel()

    def _assigned(self, assignment: worker_pb2.Assignment) -> None:
        kept = self._outbox.outcome
        before = self._attempt
        if before is not None and before.assignment.attempt == assignment.attempt:
            return
        if kept is not None and kept.attempt == assignment.attempt:
            return
        attempt = self._attempt = _Attempt(assignment, to_lease(assignment.attempt))
        if LOG.is_on(logging.DEBUG):
            LOG.debug("attempt assigned", **values_of(attempt.lease), worker=self._name)
        attempt.task = self._loop.create_task(self._run(attempt, before))
        attempt.task.add_done_callback(self._attempt_ended)

    def _attempt_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._connection.fail(error)

    # The attempt.

    async def _run(self, attempt: _Attempt, before: _Attempt | None) -> None:
        if before is not None and before.task is not None:
            # It was cancelled as stale; its evaluator is on its way out.
            await asyncio.wait([before.task])
        try:
            outcome = await self._outcome(attempt)
            if attempt.questions is not None:
                # They were asked before the outcome, so they have to arrive before it.
                await attempt.questions.sent()
        finally:
            for timer in (attempt.timer, attempt.prune_timer):
                if timer is not None:
                    timer.cancel()
            if attempt.questions is not None:
                attempt.questions.close()
                if attempt.questions.load_checkpoint:
                    self._blobs.remove_unpacked()
        if LOG.is_on(logging.DEBUG):
            kind = trial_pb2.OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_").lower()
            LOG.debug("attempt ended", **values_of(attempt.lease), outcome=kind, seconds=outcome.seconds)
        outcome.attempt.CopyFrom(attempt.assignment.attempt)
        if attempt.values is not None and (rest := attempt.values.rest()).steps:
            outcome.values.CopyFrom(rest)
        self.trials += 1
        if self._attempt is attempt:
            self._attempt = None
        self._outbox.put_outcome(outcome)

    def _hear(self, attempt: _Attempt, frame: Frame) -> None:
        """Take what the evaluator says while it runs the objective."""
        if frame.kind is Kind.VALUE:
            if attempt.values is None:
                attempt.values = ValuesUnderWay(attempt.assignment.attempt, self._connection.send)
            attempt.values.take(frame.header["step"], frame.header["value"])
        elif frame.kind is Kind.STARTED:
            self._begin(attempt)
            if attempt.timer is not None:
                attempt.timer.cancel()
            if attempt.assignment.timeout > 0:
                attempt.timer = self._loop.call_later(attempt.assignment.timeout, self._overrun, attempt)
        else:
            if attempt.questions is None:
                attempt.questions = Questions(
                    *(attempt.assignment.attempt, self._outbox, self._supervisor.say),
                    *(self._blobs.payload, self._blobs.fetch_reply, self._attempt_ended),
                )
            attempt.questions.take(frame)

    def _begin(self, attempt: _Attempt) -> None:
        """The objective is loaded, and runs."""
        attempt.began = self._loop.time()
        # One timer for many attempts, most of which have ended before it is due.
        if self._notice is None:
            self._notice = self._loop.call_later(_TOLD_AFTER_SECONDS, self._on_notice)

    def _on_notice(self) -> None:
        """Tell that the current attempt has begun, once it has run for long enough."""
        self._notice = None
        attempt = self._attempt
        if attempt is None or not attempt.began or attempt.told:
            return
        seconds = self._loop.time() - attempt.began
        if seconds < _TOLD_AFTER_SECONDS:
            self._notice = self._loop.call_later(_TOLD_AFTER_SECONDS - seconds, self._on_notice)
        else:
            attempt.told = True
            self._say_begun(attempt, seconds)

    def _say_begun(self, attempt: _Attempt, seconds: float) -> None:
        begun = worker_pb2.Begun(attempt=attempt.assignment.attempt, seconds=seconds)
        self._connection.send(worker_pb2.WorkerMessage(begun=begun))

    def _overrun(self, attempt: _Attempt) -> None:
        attempt.overdue = True
        self._supervisor.cancel()

    async def _outcome(self, attempt: _Attempt) -> trial_pb2.Outcome:
        assignment = attempt.assignment
        argument = assignment.argument
        name = assignment.objective.id
        # Loading an objective may take long, and an evaluator keeps the one that it has run.
        loads = self._supervisor.evaluator is None or self._loaded != (self._supervisor.evaluator, name)
        timed, loading = assignment.timeout > 0 or loads, max(assignment.timeout, self._spec.loading)
        lease = attempt.lease
        header: dict[str, Any] = {
            "objective": name,
            "timed": timed,
            "trial": (lease.trial.tid, lease.attempt, self._name),
        }
        try:
            if loads:
                self._blobs.forget_what_is_gone()
            objective = await self._blobs.fetched(assignment.objective)
            header["objective_file"] = str(objective)
            if loads:
                self._modules = digests_in(objective)
            if argument.HasField("blob"):
                header["argument_file"] = str(await self._blobs.fetched(argument.blob))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            # Withdrawn: its study has ended meanwhile. The cancellation that says so may come after this.
            return trial_pb2.Outcome(kind=trial_pb2.OUTCOME_KIND_CANCELLED)
        except StorageError as error:
            return verdicts.failed(verdicts.failure(StorageError, str(error)))
        try:
            if attempt.cancelled:
                raise RunCancelled
            frame, hear = Frame(Kind.RUN, header, argument.inline), partial(self._hear, attempt)
            if not timed:
                self._begin(attempt)
            if loads and assignment.timeout > 0:
                attempt.timer = self._loop.call_later(loading, self._overrun, attempt)
            answer = await self._supervisor.run(frame, _label(attempt.lease), hear, self._modules)
        except RunCancelled:
            if attempt.pruned and not attempt.cancelled:
                return verdicts.pruned(self._loop.time() - attempt.began)
            if attempt.overdue and not attempt.cancelled:
                return verdicts.overdue(assignment.timeout, loading, loaded=attempt.began > 0)
            return trial_pb2.Outcome(kind=trial_pb2.OUTCOME_KIND_CANCELLED)
        except EvaluatorEnded as ended:
            return verdicts.failed(verdicts.death(ended))
        finally:
            if argument.HasField("blob"):
                self._blobs.remove(argument.blob)
        self._loaded = (self._supervisor.evaluator, name)
        seconds = answer.header["seconds"]
        if answer.kind is Kind.PRUNED:
            return verdicts.pruned(seconds)
        try:
            payload = await self._blobs.payload(answer)
        except StorageError as error:
            if answer.kind is Kind.RESULT:
                return verdicts.failed(verdicts.failure(StorageError, str(error)), seconds)
            payload = trial_pb2.Payload()  # the exception's text has to do
        if answer.kind is Kind.RESULT:
            return trial_pb2.Outcome(
                kind=trial_pb2.OUTCOME_KIND_OK,
                result=payload,
                seconds=seconds,
                threads=answer.header["threads"],
                loss=answer.header["loss"],
                fault=answer.header["fault"],
                objective_values=answer.header.get("values", ()),
            )
        failure = trial_pb2.Failure(
            type=answer.header["type"],
            message=answer.header["message"],
            traceback=answer.header["traceback"],
            exception=payload,
        )
        return verdicts.failed(failure, seconds)


def _label(lease: Lease) -> str:
    """An attempt's name in the executor's log."""
    again = f", attempt {lease.attempt}" if lease.attempt > 1 else ""
    return f"trial {lease.trial.tid}{again}"


def main(
    spec: WorkerSpec,
    slot: int,
    birth: Birth,
    directory: Path,
    nursery: NurseryHandle,
    leash: int,
    report: int,
    gpus: Sequence[str] = (),
) -> dict[str, Any]:
    """Run process A to its end, and return what it did."""
    worker_log.write_to(nursery.output, spec.log_level)

    async def run() -> int:
        agent = Agent(spec, slot, birth, directory, nursery, report, gpus)
        await agent.run(leash)
        return agent.trials

    return {"trials": run_loop(run())}
