"""Records of each study, trial, attempt and worker, as the control service shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.wire.v1 import control_pb2, worker_pb2


@dataclass(slots=True, eq=False)
class WorkerRecord:
    """A worker, whether or not it is still there.

    Attributes:
        hello: what it said of itself.
        joined: when, in seconds since the epoch.
        since: the same on the monotonic clock.
        reachable: whether it was so when it was last looked at.
        trials: how many of its trials have settled.
        busy: seconds in which a trial was leased to it, without the lease that it has now.
        lease: what is leased to it.
        leased: since when, on the monotonic clock.
        left: when it left, on the monotonic clock; None while it is there.
    """

    hello: worker_pb2.Hello
    joined: float
    since: float
    reachable: bool = True
    trials: int = 0
    busy: float = 0.0
    lease: Lease | None = None
    leased: float = 0.0
    left: float | None = None

    def busy_by(self, now: float) -> float:
        """Seconds in which a trial was leased to it."""
        return self.busy + (now - self.leased if self.lease is not None else 0.0)

    def free(self, now: float) -> None:
        """Note that the lease has ended."""
        self.busy, self.lease = self.busy_by(now), None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a trial.

    Attributes:
        number: of the attempt, from 1.
        worker: the worker that it was sent to.
        started: when, in seconds since the epoch.
    """

    number: int
    worker: WorkerRecord
    started: float


@dataclass(slots=True, eq=False)
class TrialRecord:
    """A trial.

    Attributes:
        study: the study that it belongs to.
        tid: its id within the study.
        place: among all trials of the pool, in the order in which they were submitted.
        values: what it was proposed with, as it came: values by label, or a Struct's bytes.
        submitted: when, in seconds since the epoch.
        request_id: a client's id for it.
        attempt: the last one that was sent to a worker and not lost.
        outcome: how it settled; None if it has not.
        settled: when, in seconds since the epoch.
        seconds: spent in the objective.
        loss: if the result has one that is a number.
        reason: why it failed, was cancelled or lost.
        objective_values: numbers that its objective returned, where its study has directions for them.
    """

    study: StudyRecord
    tid: int
    place: int
    values: Mapping[str, Any] | bytes
    submitted: float
    request_id: str = ""
    attempt: Attempt | None = None
    outcome: Outcome | None = None
    settled: float = 0.0
    seconds: float = 0.0
    loss: float | None = None
    reason: str = ""
    objective_values: tuple[float, ...] = ()

    @property
    def key(self) -> TrialKey:
        """Its name within the pool."""
        return TrialKey(self.study.name, self.tid)


@dataclass(frozen=True, slots=True)
class StudyDescription:
    """Words of a front end on a study.

    Attributes:
        space: its hyperparameters; None if they are not known.
        directions: how the numbers that its objective returns are optimized; none if it returns a loss.
    """

    space: control_pb2.Space | None = None
    directions: tuple[control_pb2.Direction.ValueType, ...] = ()


@dataclass(slots=True, eq=False)
class StudyRecord:
    """A study.

    Attributes:
        name: unique within the pool.
        is_search: whether an algorithm on the driver proposes.
        opened: when, in seconds since the epoch.
        ended: the same; None while it goes on.
        trials: in the order in which they were submitted.
        by_tid: the same, by their ids.
        outcomes: how many settled how.
        best: the trial with the smallest loss.
        about: its hyperparameters and directions, as far as somebody has described them.
    """

    name: str
    is_search: bool
    opened: float
    ended: float | None = None
    trials: list[TrialRecord] = field(default_factory=list)
    by_tid: dict[int, TrialRecord] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    best: TrialRecord | None = None
    about: StudyDescription = field(default_factory=StudyDescription)
