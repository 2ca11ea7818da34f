"""Plain values that a client is shown, without gRPC or protobuf in them.

Times are in UTC; None stands for what has not happened, or is not there. What a newer service says and this
client has no word for is ``unknown``.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Word(str, enum.Enum):
    """A word of the service's. A member is its text, in comparisons, f-strings and JSON alike."""

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]


class StudyKind(Word):
    """Origin of a study's trials."""

    SEARCH = "search"
    """An ``fmin``: an algorithm on the driver proposes."""
    EVALUATION = "evaluation"
    """Points come from outside, through ``evaluate``."""
    UNKNOWN = "unknown"


class TrialState(Word):
    """State of a trial."""

    PENDING = "pending"
    """Waits for a worker."""
    LEASED = "leased"
    """A worker has it."""
    PRUNING = "pruning"
    """A worker has it, and was told to stop it, as it will not win."""
    CANCELLING = "cancelling"
    """A worker has it, and was told to end it."""
    OK = "ok"
    """Settled: the objective returned."""
    FAILED = "failed"
    """Settled: the objective raised, or its process ended."""
    PRUNED = "pruned"
    """Settled: it was stopped, as its reports showed that it would not win."""
    CANCELLED = "cancelled"
    """Settled: somebody asked for it to end."""
    LOST = "lost"
    """Settled: it took too many workers down."""
    UNKNOWN = "unknown"


class WorkerState(Word):
    """State of a worker."""

    IDLE = "idle"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    """Out of reach, and not given up yet."""
    DRAINING = "draining"
    """Runs its last trial."""
    GONE = "gone"
    """Only in events and answers: it has left."""
    UNKNOWN = "unknown"


class EventKind(Word):
    """Kind of an event; control.proto says more of each."""

    STUDY_OPENED = "study_opened"
    STUDY_ENDED = "study_ended"
    SUBMITTED = "submitted"
    STARTED = "started"
    REPORTED = "reported"
    VALUE = "value"
    """An intermediate value of a trial that runs, in a watch that has asked for them."""
    REQUEUED = "requeued"
    """An attempt was lost with its worker, and the trial waits for another."""
    SETTLED = "settled"
    WORKER_JOINED = "worker_joined"
    WORKER_UNREACHABLE = "worker_unreachable"
    WORKER_RETURNED = "worker_returned"
    WORKER_LEFT = "worker_left"
    LIMIT_CHANGED = "limit_changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """Numbers of trials, by what has become of them."""

    submitted: int
    pending: int
    leased: int
    ok: int
    failed: int
    cancelled: int
    lost: int
    pruned: int = 0


class Direction(Word):
    """Direction in which a number that an objective returns is optimized."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """A study.

    Attributes:
        name: unique within the pool.
        kind: where its trials come from.
        opened: when it began.
        ended: when it ended; None while it goes on.
        trials: how many there are.
        best_loss: the smallest loss so far.
        best_tid: the number of the trial that has it.
        directions: ``minimize`` or ``maximize`` for each number in its trials' ``objective_values``; empty if
            its objective returns a loss, which is minimized.
    """

    name: str
    kind: StudyKind
    opened: datetime.datetime | None
    ended: datetime.datetime | None
    trials: TrialCounts
    best_loss: float | None
    best_tid: int | None
    directions: tuple[Direction, ...] = ()

    @property
    def best_value(self) -> float | None:
        """The best value so far as the objective returned it: of a study that maximizes the largest one."""
        if self.best_loss is None or self.directions != (Direction.MAXIMIZE,):
            return self.best_loss
        return -self.best_loss


class HyperparameterKind(Word):
    """Kind of a hyperparameter's values."""

    FLOAT = "float"
    INT = "int"
    CHOICE = "choice"
    """One of a few options."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter of a search's space.

    Attributes:
        label: its name.
        kind: of its values.
        low: the least value; None if there is none, or it is not known. Points from outside may lie beyond.
        high: the largest value, included.
        step: the distance between values; None for any number between.
        logarithmic: whether values are spread evenly over orders of magnitude.
        options: of a choice, in the order of their indices, which are the values of trials: constants, and
            others in words.
    """

    label: str
    kind: HyperparameterKind
    low: float | None
    high: float | None
    step: float | None
    logarithmic: bool
    options: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """State of a pool and its studies.

    Attributes:
        pool: unique for each pool, also for those that listen at the same address one after another.
        version: the sparkopt that serves it.
        opened: when it was.
        parallelism: how many trials may run at once, now.
        max_parallelism: the most that this can be set to.
        paused: whether no trial is leased to a worker for now.
        workers: how many can be given a trial or run one.
        trials: over all studies, those that have ended included.
        idle_share: of the workers' time, how much was spent without a trial; 0 to 1.
        trials_per_second: trials settled in the last ten seconds, per second.
        last_event: the number of the last event.
        studies: in the order in which they were opened.
    """

    pool: str
    version: str
    opened: datetime.datetime | None
    parallelism: int
    max_parallelism: int
    paused: bool
    workers: int
    trials: TrialCounts
    idle_share: float
    trials_per_second: float
    last_event: int
    studies: tuple[StudyInfo, ...]


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """A trial.

    Attributes:
        study: its study's name.
        tid: its number there.
        state: where it is on its way.
        values: the point, a value by label. Whole numbers are integers, whatever they were on the driver.
        attempt: the number of the attempt that runs or has decided it; 0 if there was none.
        worker: the worker that has or had that attempt; empty if there is none.
        host: where that worker runs.
        submitted: when it was.
        started: when that attempt was sent to its worker.
        settled: when it got its final state.
        seconds: in the objective.
        loss: less is better: where a study maximizes, it is the negated value. None if the result has none
            that is a number.
        reason: why it failed, or was pruned, cancelled or lost: a line.
        request_id: the client's id, of a trial that came through ``evaluate``.
        objective_values: what the objective returned, a number for each of its study's directions.
        intermediate_values: what the objective has reported, by step, in lists that asked for it.
    """

    study: str
    tid: int
    state: TrialState
    values: Mapping[str, Any]
    attempt: int
    worker: str
    host: str
    submitted: datetime.datetime | None
    started: datetime.datetime | None
    settled: datetime.datetime | None
    seconds: float
    loss: float | None
    reason: str
    request_id: str
    objective_values: tuple[float, ...] = ()
    intermediate_values: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker.

    Attributes:
        name: unique within the pool.
        state: what it is doing.
        host: where it runs.
        pid: of its process there.
        gang: which barrier job it belongs to.
        generation: how many times that has been launched.
        joined: when it was first heard of.
        study: of the trial that it runs; empty if it runs none.
        tid: that trial's number.
        trials: how many of its trials have settled.
        busy_seconds: in which a trial was leased to it.
        gpus: addresses of the GPUs that its trials see; empty if Spark gave it none.
    """

    name: str
    state: WorkerState
    host: str
    pid: int
    gang: int
    generation: int
    joined: datetime.datetime | None
    study: str
    tid: int | None
    trials: int
    busy_seconds: float
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened in a pool.

    Attributes:
        sequence: its number, one more than that of the event before.
        kind: what has happened.
        time: when.
        study: as it was then, of events about a study.
        trial: as it was then, of events about a trial.
        worker: as it was then, of events about a worker.
        report: of a REPORTED event.
        value: of a VALUE event, whose ``sequence`` is that of the event before it.
        parallelism: of a LIMIT_CHANGED event.
        reason: why a worker has left.
    """

    sequence: int
    kind: EventKind
    time: datetime.datetime | None
    study: StudyInfo | None = None
    trial: TrialInfo | None = None
    worker: WorkerInfo | None = None
    report: Report | None = None
    value: IntermediateValue | None = None
    parallelism: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Something that an objective said while it ran.

    Attributes:
        study: the name of the trial's study.
        tid: the trial's number.
        kind: checkpoint, attachment, detachment or injection.
        name: of the attachment, if it is about one.
    """

    study: str
    tid: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class IntermediateValue:
    """Value that an objective has reported while it runs.

    Attributes:
        study: the name of the trial's study.
        tid: the trial's number.
        attempt: the number of its attempt; a later attempt's values take the place of an earlier one's.
        step: of the value.
        value: a number; NaN or infinite, perhaps.
    """

    study: str
    tid: int
    attempt: int
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class StoryLine:
    """An event or a command in a pool's record.

    Attributes:
        time: when; earlier than this if the driver has stood still since.
        text: the event or command with its values, for people.
        command: whether the pool commanded it; otherwise it happened.
    """

    time: datetime.datetime | None
    text: str
    command: bool


@dataclass(frozen=True, slots=True)
class Story:
    """Story of a trial or a worker: events and commands that a pool has recorded.

    Attributes:
        study: the trial's study; empty for a worker.
        tid: the trial's number; None for a worker.
        worker: the worker's name; empty for a trial.
        lines: events, and the commands that followed from each; oldest first.
        since: what happened before is not kept any more; None while everything is.
        left_out: how many lines were left out, the oldest of the story.
    """

    study: str
    tid: int | None
    worker: str
    lines: tuple[StoryLine, ...]
    since: datetime.datetime | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed.

    Attributes:
        type: the exception's qualified type name, or the name of what ended the process.
        message: the exception's.
        traceback: from the worker; empty if the process died.
    """

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Outcome of a point.

    Attributes:
        id: the point's.
        point: as it was given.
        trial: settled; None of a point that was rejected.
        result: what the objective returned, as far as JSON can say it: a number or a dictionary; None unless
            the trial is ok.
        failure: of a trial that failed.
        rejected: why the point was not evaluated (BAD_POINT, BAD_ID, ID_REUSED); empty if it was.
        message: the rejection in words.
    """

    id: str
    point: Mapping[str, Any]
    trial: TrialInfo | None
    result: Any = None
    failure: Failure | None = None
    rejected: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        """True if the objective returned."""
        return self.trial is not None and self.trial.state is TrialState.OK

    @property
    def loss(self) -> float | None:
        """The trial's loss, if the objective returned one."""
        return None if self.trial is None else self.trial.loss
