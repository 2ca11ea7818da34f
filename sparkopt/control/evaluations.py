"""Studies that are evaluated from outside: what they were asked, by which stream, and what became of it.

    EvaluateStream ──▶ ask ──▶ its own queue ──▶ in turns, as many as keep workers busy ──▶ coordinator
    EvaluateStream ◀── answer ◀────────────────── put_settled ◀─────────────────────────────────┘
      └──▶ sent ──▶ KeptAnswers, for a client that asks again

Everything here runs on the coordinator's loop: a point takes no hop to another thread. Points wait here
rather than in the core, which knows studies only, so that streams take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparkopt.control.evaluate_responses import answer_of
from sparkopt.control.kept_answers import KeptAnswers, Point
from sparkopt.control.messages import fill_intermediate
from sparkopt.control.newest_values import NewestValue, NewestValues
from sparkopt.control.values import PointRead, read_point
from sparkopt.coordinator.channels.held_checkpoints import Checkpoints
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.core import events
from sparkopt.core.states import Lease, Outcome, TrialKey, TrialState
from sparkopt.errors import (
    BadRequestError,
    MissingModuleError,
    NotFoundError,
    PoolClosedError,
    RefusedError,
    SparkoptError,
    StudyStoppedError,
    UnreachableError,
    WrongStateError,
)
from sparkopt.wire.lanes import Lane
from sparkopt.wire.modules.missing_modules import missing
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.control.evaluate_call import EvaluateStream
    from sparkopt.coordinator import (
        Coordinator,
        ObjectiveSpec,
        Payload,
        Reported,
        ReportedValues,
        Request,
        Settled,
        Started,
    )

SILENCE_SECONDS: Final = 30.0
"""Seconds for which a stream may say nothing at all."""

_ID_CHARACTERS: Final = 200

_AT_ONCE: Final = 16 * 1024
"""Up to this size, in bytes, a point is read at once: another thread would take longer."""

Argument = Callable[[Mapping[str, Any]], bytes]
"""Makes the objective's pickled argument of a point, in any thread; raises RefusedError for a bad point."""

Ended = Callable[[SparkoptError | None], None]
"""Told once that nothing of a study runs any more, and why, if it was not stopped."""


class Evaluations:
    """Evaluations of a pool, by name. On the coordinator's loop only.

    Attributes:
        parallelism: how many trials may ever run at once.
        silence: seconds that a stream may take to send its first point.

    Args:
        coordinator: runs their trials.
        time_slices: for points that take long to read.
    """

    def __init__(self, coordinator: Coordinator, time_slices: TimeSlices) -> None:
        self._coordinator = coordinator
        self._time_slices = time_slices
        self.silence = SILENCE_SECONDS
        self.parallelism = coordinator.machine.limit
        self._studies: dict[str, EvaluatedStudy] = {}

    def open(
        self,
        name: str,
        objective: ObjectiveSpec,
        argument: Argument,
        on_end: Ended,
    ) -> EvaluatedStudy:
        """Begin a study.

        Args:
            name: unique within the pool.
            objective: such that its results come home as JSON.
            argument: makes its argument of a point.
            on_end: told of its end.
        """
        study = EvaluatedStudy(self._coordinator, self._time_slices, name, argument, self.parallelism, on_end)
        self._studies[name] = study
        self._coordinator.add_study(name, study, objective)
        return study

    def get(self, name: str) -> EvaluatedStudy | None:
        """The study of this name, whether or not it goes on; None if it is not an evaluation."""
        return self._studies.get(name)

    def to_ask(self, name: str) -> EvaluatedStudy:
        """The study that a client means.

        Args:
            name: empty for the only study that is open.

        Raises:
            NotFoundError: if there is none.
            WrongStateError: if there are several, or this one is a search.
            StudyStoppedError: if it was stopped.
            UnreachableError: if the pool is closing.
        """
        if self._coordinator.studies.failure is not None:
            raise unreachable(self._coordinator.studies.failure)
        open_ = list(self._coordinator.studies)
        if not name:
            if not open_:
                raise NotFoundError("no study is open in this pool", "NO_STUDY")
            if len(open_) > 1:
                raise WrongStateError(f"name one of the studies: {', '.join(open_)}", "STUDY_NOT_NAMED")
            (name,) = open_
        study = self._studies.get(name)
        if study is None and name in open_:
            raise WrongStateError(
                f"{name} is a search, whose algorithm proposes: have it evaluate points with SubmitTrials"
                " (`sparkopt submit`)",
                "NOT_EVALUATED",
            )
        if study is None:
            raise NotFoundError(f"there is no study {name[:_ID_CHARACTERS]!r} in this pool", "NO_STUDY")
        if study.stopping:
            raise study.stopped()
        return study


class EvaluatedStudy:
    """A study whose points come from outside, as the coordinator's end of it.

    Attributes:
        name: unique within the pool.
        stopping: whether it takes no more points.

    Args:
        coordinator: runs its trials.
        time_slices: for points that take long to read.
        name: of the study.
        argument: makes the objective's argument of a point.
        parallelism: how many of its trials may ever run at once.
        on_end: told of its end.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        time_slices: TimeSlices,
        name: str,
        argument: Argument,
        parallelism: int,
        on_end: Ended,
    ) -> None:
        self.name = name
        self.stopping = False
        self._coordinator = coordinator
        self._time_slices = time_slices
        self._argument = argument
        # Behind each that runs there is one more, so that a worker that becomes free has its next at once.
        self._most = 2 * parallelism
        self._on_end = on_end
        self._checkpoints = Checkpoints(self._reply)
        self._tids = itertools.count()
        self._points: dict[str, Point] = {}
        self._turns: deque[deque[Point]] = deque()
        self._trials: dict[int, Point] = {}
        self._askers: dict[EvaluateStream, None] = {}
        self._kept = KeptAnswers(self._forget)
        self._loop = asyncio.get_running_loop()
        self._going_on = False
        self._patience: asyncio.TimerHandle | None = None
        self._ended = False
        self._has_results = False
        self._fatal: MissingModuleError | None = None
        self._values: NewestValues[Point] = NewestValues(self._tell_value)

    def request_id(self, tid: int) -> str:
        """The client's id of a trial that has not settled; empty if there is no such trial."""
        point = self._trials.get(tid)
        return "" if point is None else point.id

    # Streams.

    def join(self, asker: EvaluateStream) -> None:
        """A stream has begun."""
        self._askers[asker] = None

    def leave(self, asker: EvaluateStream) -> None:
        """A stream has ended. Its points go on."""
        self._askers.pop(asker, None)
        for point in asker.owed:
            point.asker = None
        for point in asker.unsent():
            self.sent(point)

    async def ask(self, asker: EvaluateStream, request: control_pb2.EvaluateRequest) -> None:
        """A stream wants to know what a point comes to."""
        try:
            if request.ByteSize() <= _AT_ONCE:
                point = self._point(request, read_point(request.point))
            else:
                point = self._point(request, *await self._time_slices.in_thread(self._prepare, request.point))
        except BadRequestError as error:
            rejection = control_pb2.Rejection(reason=error.reason, message=str(error))
            asker.reject(control_pb2.EvaluateResponse(id=request.id, rejected=rejection))
            return
        if self.stopping:  # since the point was read
            asker.drop()
        elif point.answer is not None:
            self._kept.take(point)
            point.unsent += 1
            asker.answer(point)
        elif point.asker is not asker:
            if point.asker is not None:
                point.asker.release(point)
            point.asker = asker
            asker.owe(point)
            if point.id not in self._points:
                self._points[point.id] = point
                if not asker.waiting:
                    self._turns.append(asker.waiting)
                asker.waiting.append(point)
                self._feed()

    def sent(self, point: Point) -> None:
        """An answer is out, or its stream has ended."""
        point.unsent -= 1
        if not point.unsent:
            self._keep(point)

    def _prepare(self, point: control_pb2.Point) -> tuple[PointRead, bytes]:
        """Read a point and make the objective's argument of it, in another thread.

        Raises:
            BadRequestError: if it is not a point.
        """
        said = read_point(point)
        return said, self._argument_of(said)

    def _argument_of(self, said: PointRead) -> bytes:
        try:
            return self._argument(said.values)
        except RefusedError as error:
            raise BadRequestError(f"the point {error}", "BAD_POINT") from error

    def _point(
        self, request: control_pb2.EvaluateRequest, said: PointRead, argument: bytes | None = None
    ) -> Point:
        """The point of a request, known or new.

        Raises:
            BadRequestError: if it is not a point, or differs from one of the same id.
        """
        name = request.id
        if not 0 < len(name) <= _ID_CHARACTERS:
            raise BadRequestError(f"an id has 1 to {_ID_CHARACTERS} characters, not {len(name)}", "BAD_ID")
        known = self._points.get(name)
        if known is None:
            made = self._argument_of(said) if argument is None else argument
            return Point(name, said.digest, request.ByteSize(), said.struct, made)
        if known.digest != said.digest:
            raise BadRequestError(f"{name!r} is the id of another point", "ID_REUSED")
        return known

    # The coordinator.

    def _feed(self) -> None:
        """Make trials of the points that have waited longest, a stream's after another's."""
        fed: list[Point] = []
        while self._turns and len(self._trials) < self._most:
            waiting = self._turns.popleft()
            point = waiting.popleft()
            if waiting:
                self._turns.append(waiting)
            point.tid, point.submitted = next(self._tids), time.time()
            self._trials[point.tid] = point
            fed.append(point)
        if fed:
            proposals = [(point.tid, point.argument or b"") for point in fed]
            self._coordinator.submit(self.name, proposals, [point.struct for point in fed])

    def put_started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        point = self._trials.get(started.tid)
        if point is not None:
            point.started = started.time

    def put_workers(self, present: int) -> None:
        """Nobody waits for workers here; the book has them."""

    def put_begun(self, tid: int, time: float) -> None:
        """Nobody asks when an objective was loaded."""

    def put_report(self, reported: Reported, taken: Callable[[], None]) -> None:
        """Nobody listens to what an objective says while it runs."""
        if reported.body is not None:
            _remove(reported.body)
        taken()

    def put_values(self, reported: ReportedValues) -> None:
        """An attempt has reported intermediate values: the stream that waits for the point may want them."""
        point = self._trials.get(reported.tid)
        if point is not None and point.asker is not None and point.asker.wants_values:
            self._values.put(point, reported.attempt, reported.steps[-1], reported.values[-1])

    def _tell_value(self, point: Point, newest: NewestValue) -> None:
        if point.asker is not None:
            message = control_pb2.EvaluateResponse(id=point.id)
            fill_intermediate(TrialKey(self.name, point.tid), newest, message.value)
            point.asker.put_value(point, message)

    def take_request(self, lane: Lane, request: Request) -> bool:
        """Nobody answers what an objective asks for, except for its checkpoints."""
        if lane is Lane.CHECKPOINT:
            self._checkpoints.take(request)
        return lane is Lane.CHECKPOINT

    def _reply(self, request: Request, body: bytes | Path | None = None, failure: str | None = None) -> None:
        lease = Lease(TrialKey(self.name, request.tid), request.attempt)
        self._coordinator.answer(lease, request.id, b"" if body is None else body, failure)

    def put_settled(self, settled: Settled) -> None:
        """A trial has its final state."""
        self._checkpoints.settled(settled)
        point = self._trials.pop(settled.tid)
        self._values.end(point)
        asker = point.asker
        if settled.exception is not None:
            _remove(settled.exception)  # its text is what can be told
        self._has_results = self._has_results or settled.outcome is Outcome.OK
        failure = settled.failure
        if failure is not None and self._fatal is None:
            self._fatal = missing(failure.type, failure.traceback or failure.message, self._has_results)
        result = None if settled.result is None else settled.result.body
        point.settled(answer_of(self.name, point, settled), result if isinstance(result, Path) else None)
        if asker is None:
            self._keep(point)
        else:
            point.unsent += 1
            asker.settle(point)
        if not self._going_on:
            # The machine is in the middle of a step.
            self._going_on = True
            self._loop.call_soon(self._go_on)

    def put_failure(self, error: SparkoptError) -> None:
        """Nothing will settle any more."""
        self.stopping = True
        for asker in self._askers:
            asker.fail(unreachable(error))
        self._end(error)

    def _go_on(self) -> None:
        self._going_on = False
        if self._fatal is not None and not self.stopping:
            self.stop()
        elif not self.stopping:
            self._feed()
        elif not self._trials and not self._ended:
            self._coordinator.close_study(self.name)
            self._end(self._fatal)

    # The end.

    def stop(self, finish_running: bool = False, grace: float | None = None) -> None:
        """Take no more points, and end once nothing runs. May be called again, with less patience.

        Args:
            finish_running: whether running trials may finish; else they are cancelled.
            grace: seconds that they may take for that; None for as long as it takes.
        """
        if self._ended:
            return
        self.stopping = True
        self._drop_waiting()
        for asker in list(self._askers):
            asker.fail(self.stopped(), when_answered=True)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        reason = "the study was stopped"
        if not finish_running:
            self._coordinator.step(events.CancelRequested(self.name, None, reason))
        else:
            for tid in list(self._trials):
                trial = self._coordinator.machine.trials.get(TrialKey(self.name, tid))
                if trial is not None and trial.state in (TrialState.PENDING, TrialState.HELD):
                    self._coordinator.step(events.CancelRequested(self.name, tid, reason))
            if grace is not None:
                self._patience = self._loop.call_later(grace, self.stop)
        self._go_on()

    def stopped(self) -> StudyStoppedError:
        """Error that clients get once it stops."""
        why = "it takes no more points" if self._fatal is None else str(self._fatal)
        return StudyStoppedError(f"{self.name} was stopped: {why}", "STUDY_STOPPED")

    def _drop_waiting(self) -> None:
        for waiting in self._turns:
            for point in waiting:
                del self._points[point.id]
                if point.asker is not None:
                    point.asker.release(point, dropped=True)
            waiting.clear()
        self._turns.clear()

    def _end(self, error: SparkoptError | None) -> None:
        if self._ended:
            return
        self._ended = True
        if self._patience is not None:
            self._patience.cancel()
        self._drop_waiting()
        self._kept.clear()
        self._values.clear()
        self._checkpoints.close()
        self._points.clear()
        self._on_end(error)

    def _keep(self, point: Point) -> None:
        if self._ended:
            point.remove_file()
        else:
            self._kept.add(point)

    def _forget(self, point: Point) -> None:
        del self._points[point.id]


def _remove(payload: Payload) -> None:
    """Leave a payload unread."""
    if isinstance(payload.body, Path):
        with contextlib.suppress(OSError):  # whoever cleans up temporary files may have been quicker
            payload.body.unlink()


def unreachable(error: SparkoptError) -> UnreachableError:
    """Error that clients get when a pool has closed or lost its workers."""
    why = "the pool is closing" if isinstance(error, PoolClosedError) else str(error)
    return UnreachableError(why, "POOL_CLOSED")
