"""Everything that can happen to a pool, as the machine hears of it.

Events carry names and numbers, never payloads: results, arguments and reports stay in the shell, which
finds them again by their attempt. Times are not in events either; ``step`` is told the time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkopt.core.states import Lease, Outcome


@dataclass(frozen=True, slots=True)
class GangLaunched:
    """A barrier job of ``size`` workers was asked for, for the first time."""

    gang: int
    size: int


@dataclass(frozen=True, slots=True)
class GangProgressed:
    """Spark has started more of the tasks of a gang that was launched."""

    gang: int
    generation: int


@dataclass(frozen=True, slots=True)
class GangEnded:
    """A gang's job ended: all its workers are gone at once.

    ``lost`` names the workers whose loss has ended it, as far as that is known. If none is named, the workers
    that could not be reached when it ended count as lost. With ``preempted`` the job has ended for no fault
    of its
    tasks: their executor was taken away, or the launch was withdrawn. That is charged to no trial, and counts
        toward no
    limit on relaunches. It is None if that is not known yet, and a :class:`LossExplained` may follow.
    """

    gang: int
    generation: int
    reason: str
    lost: tuple[str, ...] = ()
    preempted: bool | None = False


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker said hello, for the first time or again after a cut.

    ``holding`` is the attempt that it runs or whose outcome it has not seen acknowledged. ``formerly`` is the
    name that it had before it was given up, gave itself up because nobody could be reached, or lost its
    process; or that of the worker that its task was before Spark started the task again. ``task_attempt`` is
    the number that Spark gives to this start of the task, from 0.
    """

    worker: str
    gang: int
    generation: int
    holding: Lease | None = None
    formerly: str | None = None
    task_attempt: int = 0


@dataclass(frozen=True, slots=True)
class StreamLost:
    """A worker's stream was cut."""

    worker: str


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker is known to be gone: its task ended."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class LossExplained:
    """Spark says why a worker was lost; it is gone, if that was not known before.

    With ``preempted`` its executor was taken away, for no fault of the task, and the trial that it ran is not
    charged for it.
    """

    worker: str
    preempted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker is alive."""

    worker: str


@dataclass(frozen=True, slots=True)
class TrialsSubmitted:
    """A study proposes trials. A trial is lost once ``max_attempts`` workers were lost while they ran it."""

    study: str
    tids: tuple[int, ...]
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class SubmissionsEnded:
    """Nothing more will be submitted: workers that no trial can need leave. The next submission undoes it."""


@dataclass(frozen=True, slots=True)
class OutcomeArrived:
    """A worker says how an attempt ended."""

    worker: str
    lease: Lease
    outcome: Outcome
    sequence: int


@dataclass(frozen=True, slots=True)
class ReportArrived:
    """A worker reports something in the middle of an attempt."""

    worker: str
    lease: Lease
    sequence: int


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A worker asks for something in the middle of an attempt."""

    worker: str
    lease: Lease
    sequence: int


@dataclass(frozen=True, slots=True)
class PruneRequested:
    """A trial is to stop if it runs, as its reports show that it will not win."""

    study: str
    tid: int
    reason: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants a trial to end, or with ``tid`` None every trial of the study."""

    study: str
    tid: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """The parallelism is another one now. A shrink lets running trials finish."""

    limit: int


@dataclass(frozen=True, slots=True)
class Paused:
    """No new leases until :class:`Resumed`."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Leases again."""


@dataclass(frozen=True, slots=True)
class DrainRequested:
    """No new lease for this worker, which leaves when it is free; with ``worker`` None, for the pool."""

    worker: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: a deadline may be due."""


Message = OutcomeArrived | ReportArrived | RequestArrived
"""Numbered messages of a worker about an attempt."""

Event = (
    GangLaunched
    | GangProgressed
    | GangEnded
    | WorkerJoined
    | StreamLost
    | WorkerGone
    | LossExplained
    | Heartbeat
    | TrialsSubmitted
    | SubmissionsEnded
    | OutcomeArrived
    | ReportArrived
    | RequestArrived
    | PruneRequested
    | CancelRequested
    | LimitChanged
    | Paused
    | Resumed
    | DrainRequested
    | Tick
)
