"""A study's thread-safe way in and out of the coordinator."""

from __future__ import annotations

import enum
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sparkopt.coordinator.channels.external_requests import ExternalRequest, Points, Stop
from sparkopt.coordinator.channels.gathered_values import AttemptValues, GatheredValues
from sparkopt.coordinator.channels.held_checkpoints import CheckpointKeeper, Checkpoints
from sparkopt.coordinator.channels.judge import Judge
from sparkopt.coordinator.channels.study_events import Reported, ReportedValues, Request, Settled, Started
from sparkopt.core.pruning.pruner import Pruner
from sparkopt.errors import JournalError, PrunerError, SparkoptError, SparkoptWarning, warn
from sparkopt.wire import forks
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES, INTERRUPT_SECONDS

T = TypeVar("T")
R = TypeVar("R")

_LOG = ActorLog("coordinator")


@dataclass(frozen=True, slots=True)
class _Report:
    """A report on its way to the study, and whom to tell when it is there."""

    reported: Reported
    taken: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Workers:
    """The number of workers in the pool, sent to the study when one has come.

    Attributes:
        present: how many.
    """

    present: int


class _ValuesCome(enum.Enum):
    """Trials have reported intermediate values since the study last looked at them."""

    COME = enum.auto()


class Recorder(CheckpointKeeper, Protocol):
    """Writes down what happens to a study's trials before the study hears of it, and keeps their checkpoints.

    Called in the coordinator's thread, except for checkpoints. What it returns is handed on.
    """

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""

    def reported(self, reported: Reported) -> Reported:
        """A running trial has sent a report."""

    def reported_values(self, reported: ReportedValues) -> None:
        """A trial has reported intermediate values. They count for good once it has settled."""

    def settled(self, settled: Settled) -> Settled:
        """A trial has settled."""


class StudyActions(Protocol):
    """Actions of the coordinator for one study. They may be called from any thread, and wait for nothing."""

    def submit(self, proposals: Sequence[tuple[int, bytes]], values: Sequence[Mapping[str, Any]]) -> None:
        """Have trials run; see :meth:`StudyChannel.submit`."""

    def end_submissions(self) -> None:
        """Say that no more trials will be submitted; workers may leave then."""

    def prune(self, tid: int, reason: str) -> None:
        """Have a trial that runs stop as pruned."""

    def cancel(self, tid: int | None, reason: str) -> None:
        """End a trial, or with None all of them."""

    def cancel_waiting(self, reason: str) -> None:
        """End the trials that wait for a worker."""

    def close(self, closed: Callable[[], None]) -> None:
        """Forget the study; ``closed`` is called after that, in the coordinator's thread."""

    def answer(self, request: Request, body: bytes | Path, failure: str | None) -> None:
        """Answer a request; a file is removed once it need not be kept any more."""


class StudyChannel:
    """Way of one study to the coordinator and back, from the study's own thread.

    Attributes:
        on_report: called from that thread, in :meth:`next_settled`, with each report of a running trial.
        on_values: called from that thread, in :meth:`next_settled`, with the intermediate values that an
            attempt has reported since the last call; with all of them before its trial settles.
        on_workers: called from the study's thread, in :meth:`next_settled`, with how many workers there are,
            when one has come; returns whether the study has to look at what to do next.
        on_begun: called from the coordinator's thread, where it must not wait for anything, with the id of a
            trial whose objective runs, and when it began, in seconds since the epoch. Not for one that ends
            at once.
        on_external_request: called from the study's thread, in :meth:`next_settled`, with what a client of
            the control service wants of the study; returns whether the study has to look at what to do next.
        stop: the request to end the study, as soon as one has come; :attr:`on_external_request` gets it too.

    Args:
        actions: what the coordinator does for the study.
        recorder: hears of everything before the study does.
    """

    def __init__(self, actions: StudyActions, recorder: Recorder | None = None) -> None:
        self._actions = actions
        self.on_report: Callable[[Reported], None] = lambda reported: None
        self.on_values: Callable[[AttemptValues], None] = lambda values: None
        self.on_workers: Callable[[int], bool] = lambda present: False
        self.on_begun: Callable[[int, float], None] = lambda tid, time: None
        self.on_external_request: Callable[[ExternalRequest], bool] = _refuse
        self.stop: Stop | None = None
        self._checkpoints = Checkpoints(self.reply, recorder)
        self._parties: dict[Lane, Callable[[Request], None]] = {Lane.CHECKPOINT: self._checkpoints.take}
        self._recorder = recorder
        self._inbox: queue.SimpleQueue[
            Settled | _Report | _ValuesCome | Workers | Stop | Points | SparkoptError | None
        ] = queue.SimpleQueue()
        self._values = GatheredValues()
        self._judged_by: Judge | None = None
        self._warned = False
        self._started: deque[Started] = deque()

    def submit(
        self, proposals: Sequence[tuple[int, bytes]], values: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Have trials run.

        Args:
            proposals: tids, new within the study, with the pickled arguments of the objective.
            values: the proposed values of each, by label, as the control service shows them.
        """
        self._actions.submit(proposals, values)

    def end_submissions(self) -> None:
        """Say that no more trials will be submitted; workers may leave then."""
        self._actions.end_submissions()

    def cancel(self, tid: int | None, reason: str) -> None:
        """End a trial, or with ``tid`` None all of the study's."""
        self._actions.cancel(tid, reason)

    def cancel_waiting(self, reason: str) -> None:
        """End the trials that wait for a worker."""
        self._actions.cancel_waiting(reason)

    def close(self) -> None:
        """Have the coordinator forget the study, and cancel what has not settled."""
        judge = self._judged_by
        if judge is not None and not judge.end_call():  # the coordinator can do nothing before that
            warn(
                f"the pruner {judge.name} does not return, as it waits outside of Python: the search ends"
                " without its thread, which stays until the call returns or this process ends",
                SparkoptWarning,
            )
        self._actions.close(self._refuse_points)
        self._checkpoints.close()

    def next_settled(self, deadline: float | None = None) -> Settled | None:
        """Wait for the next trial to settle.

        Args:
            deadline: on the monotonic clock; None waits for as long as it takes.

        Returns:
            The trial, or None at the deadline, or earlier if the study has to look at what it has to do.

        Raises:
            PoolError: if the pool can settle nothing any more.
            RefusedError: in a process that was forked meanwhile.
            SparkoptError: what the recorder has raised meanwhile.
        """
        forks.check("a search that runs")  # a callback of the study may have forked
        looked = False
        while True:
            left = math.inf if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                item = self._inbox.get(timeout=min(left, INTERRUPT_SECONDS))
            except queue.Empty:
                if left:  # else the study is on its way out
                    self._warn_of_a_slow_pruner()
                if left > INTERRUPT_SECONDS:
                    continue
                return None
            if item is None:
                return None
            if isinstance(item, SparkoptError):
                raise item
            if isinstance(item, Settled):
                return item
            if item is _ValuesCome.COME:
                # At once: behind the end of a trial its values would come too late.
                for values in self._values.take():
                    self.on_values(values)
                if looked and left == 0:
                    return None  # Trials may report without end; what had come by the deadline was taken.
                looked = left == 0
                continue
            if isinstance(item, Workers):
                if self.on_workers(item.present):
                    return None
                continue
            if isinstance(item, (Stop, Points)):
                if self.on_external_request(item):
                    return None
                continue
            try:
                self.on_report(item.reported)
            finally:
                item.taken()

    def _warn_of_a_slow_pruner(self) -> None:
        judge = self._judged_by
        if judge is not None and not self._warned and (seconds := judge.slow_for()):
            self._warned = True
            warn(
                f"the pruner {judge.name} has been in one call for {seconds:.0f} s, and does not return: no"
                " trial of the pool can begin or end meanwhile. Its methods are called in the coordinator's"
                " thread, and must not wait. Ctrl-C ends the search",
                SparkoptWarning,
            )

    def wake(self) -> None:
        """Have the study look at what it has to do. From any thread."""
        self._inbox.put(None)

    def judge_by(self, pruner: Pruner | None) -> None:
        """Have a pruner decide which trials stop, in the coordinator's thread. What it raises ends the study.

        To be called before trials are submitted.
        """
        self._judged_by = None if pruner is None else Judge(pruner, self._actions.prune)

    def register(self, lane: Lane, take: Callable[[Request], None]) -> None:
        """Have the requests of a lane answered. Those of a lane that nobody has registered for are refused.

        To be called before trials are submitted.

        Args:
            lane: which requests.
            take: called from the coordinator's thread, where it must not wait for anything, with each request
                of a running trial. Each is to be answered with :meth:`reply`, sometime, from any thread.

        Raises:
            ValueError: if the lane has a party already.
        """
        if lane in self._parties:
            raise ValueError(f"somebody answers this study's {lane.value} requests already")
        self._parties[lane] = take

    def reply(self, request: Request, body: bytes | Path | None = None, failure: str | None = None) -> None:
        """Answer a request. From any thread; without effect if its attempt has ended.

        Args:
            request: the request.
            body: the answer; a file is removed once it need not be kept any more.
            failure: why there is no answer.
        """
        if isinstance(body, Path) and body.stat().st_size <= INLINE_BYTES:
            path, body = body, body.read_bytes()
            path.unlink()
        self._actions.answer(request, b"" if body is None else body, failure)

    def started(self) -> list[Started]:
        """The attempts that were sent to workers since the last call."""
        items = []
        while self._started:
            items.append(self._started.popleft())
        return items

    # The coordinator's end.

    def put_started(self, started: Started) -> None:
        """Note an attempt. Wakes nobody: a study looks before it does anything that depends on it."""
        if self._recorder is not None:
            self._attempt(self._recorder.started, started)
        self._started.append(started)

    def put_workers(self, present: int) -> None:
        """Say how many workers there are."""
        self._inbox.put(Workers(present))

    def put_begun(self, tid: int, time: float) -> None:
        """Note when a trial's objective began to run, in seconds since the epoch."""
        self.on_begun(tid, time)

    def put_report(self, reported: Reported, taken: Callable[[], None]) -> None:
        """Hand a report over. Those of a trial come before it is settled.

        Args:
            reported: what a trial says.
            taken: called from the study's thread once the study has taken it.
        """
        if self._recorder is not None:
            reported = self._attempt(self._recorder.reported, reported) or reported
        self._inbox.put(_Report(reported, taken))

    def put_values(self, reported: ReportedValues) -> None:
        """Hand intermediate values over. Those of a trial come before it is settled.

        The study sees them when it looks; nobody waits for that. A verdict waits for nobody.
        """
        if self._judged_by is not None:
            self._judge(self._judged_by.reported, reported)
        if self._recorder is not None:
            self._attempt(self._recorder.reported_values, reported)
        if self._values.add(reported):
            self._inbox.put(_ValuesCome.COME)

    def put_settled(self, settled: Settled) -> None:
        """Hand a settled trial over."""
        if self._judged_by is not None:
            self._judge(self._judged_by.settled, settled)
        if self._recorder is not None:
            settled = self._attempt(self._recorder.settled, settled) or settled
        self._checkpoints.settled(settled)
        self._inbox.put(settled)

    def take_request(self, lane: Lane, request: Request) -> bool:
        """Hand a request over, if somebody has registered for its lane."""
        take = self._parties.get(lane)
        if take is None:
            return False
        try:
            take(request)
        except Exception as error:  # noqa: BLE001 - the trial waits for an answer
            _LOG.error("bug met", error, after=request.method, trial=request.tid)
            self.reply(request, failure=f"{type(error).__name__}: {error}")
        return True

    def _judge(self, say: Callable[[T], None], happened: T) -> None:
        """Have the pruner hear of something. If it fails, the study is told, and the pruner hears no more."""
        try:
            say(happened)
        except BaseException as error:  # noqa: BLE001 - the user's code; SystemExit would end this thread's loop
            self._judged_by = None
            self._inbox.put(error if isinstance(error, PrunerError) else PrunerError.of(error))

    def _attempt(self, record: Callable[[T], R], happened: T) -> R | None:
        """Have something recorded; if that fails, the study is told, and still hears of what happened."""
        try:
            return record(happened)
        except SparkoptError as error:
            self._inbox.put(error)
        except Exception as error:  # noqa: BLE001 - it ends this study, and none of the pool's other ones
            _LOG.error("bug met", error, after=type(happened).__name__)
            why = f"the journal met a bug ({type(error).__name__}: {error}). Please report it."
            self._inbox.put(JournalError(f"{why} What it holds is intact."))
        return None

    def put_stop(self, finish_running: bool) -> None:
        """Have the study end."""
        self.stop = Stop(finish_running)
        self._inbox.put(self.stop)

    def put_points(self, points: Points) -> None:
        """Have the study evaluate points; it answers, or its end does."""
        self._inbox.put(points)

    def refuse_external_requests(self) -> None:
        """Have the study asked for nothing more, except for what is in the inbox."""
        self.on_external_request = _refuse

    def _refuse_points(self) -> None:
        """Refuse the points in the inbox: the study takes nothing more from there."""
        while True:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, Points):
                item.refuse()

    def put_failure(self, error: SparkoptError) -> None:
        """Say that nothing will settle any more."""
        self._inbox.put(error)


def _refuse(request: ExternalRequest) -> bool:
    """Nobody takes points."""
    if isinstance(request, Points):
        request.refuse()
    return False
