"""StudySpec: everything about a study that is known before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StopReasons:
    """Reasons that a study gives for trials that it cancels, in the front end's words.

    Attributes:
        timeout: the study's time is up.
        user: somebody has stopped the study.
        error: the study ended with an error.
    """

    timeout: str = "the study's timeout"
    user: str = "the study was stopped"
    error: str = "the study ended with an error"


@dataclass(frozen=True, slots=True)
class StudySpec:
    """A study before it begins. A front end makes it and changes nothing afterwards.

    Attributes:
        objective: the pickled objective, a :class:`~sparkopt.worker.shipped.ShippedObjective`.
        trials: number of trials to ask the proposer for, beside those that are queued already; None for as
            many as it has.
        deadline: when to cancel what runs, on the monotonic clock; None for never.
        ahead: number of trials that are proposed at once, and that wait for a worker while all are busy. A
            single worker has one less, so that each of its trials is proposed when the one before has
            settled.
        max_attempts: number of workers that may be lost while they run a trial before the trial is lost.
        trial_timeout: seconds that a trial may take; None for any.
        may_idle: whether the study may wait although no trial runs, because somebody outside can have it
            evaluate points or stop.
        reasons: for trials that the study cancels.
    """

    objective: bytes
    trials: int | None = None
    deadline: float | None = None
    ahead: int = 1
    max_attempts: int = 3
    trial_timeout: float | None = None
    may_idle: bool = False
    reasons: StopReasons = field(default=StopReasons())
