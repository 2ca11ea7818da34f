"""StudySpec: everything about a study that is known before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkopt.study.pruning_rules import make_pruner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparkopt.coordinator import ObjectiveSpec
    from sparkopt.core.pruning.pruner import Pruner
    from sparkopt.study.journal import Entry
    from sparkopt.study.pruning_rules import Mode, PruningRule


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
        objective: what runs for each trial, how many workers a trial may take down, and how long it may take.
            The pickle is that of a function of the argument, or of a
            :class:`~sparkopt.worker.shipped.ShippedObjective` if it takes a reporter or returns more than a
            number.
        name: of the study, unique within its pool; None for a new one.
        trials: number of trials to ask the proposer for, besides those that are queued already; None for as
            many as it has.
        deadline: when to cancel running trials, on the monotonic clock; None for never.
        ahead: number of trials that wait for a worker while all are busy, so that workers + ahead are
            outstanding at most. The proposer is asked for as many at once. A single worker has one less, so
            that each of its trials is proposed when the one before has settled.
        may_idle: whether the study may wait although no trial runs, because somebody outside can have it
            evaluate points or stop, or its front end wakes it.
        pruner: rule by which trials stop early, or a pruner of its own; None for none.
        mode: whether the smallest or the largest of the values that trials report is the best.
        reasons: for trials that the study cancels.
    """

    objective: ObjectiveSpec
    name: str | None = None
    trials: int | None = None
    deadline: float | None = None
    ahead: int = 1
    may_idle: bool = False
    pruner: PruningRule | Pruner | None = None
    mode: Mode = "min"
    reasons: StopReasons = field(default=StopReasons())

    def make_pruner(self, entries: Iterable[Entry]) -> Pruner | None:
        """Returns the study's pruner, which has heard of what a journal has; None if there is to be none."""
        return None if self.pruner is None else make_pruner(self.pruner, self.mode, entries)
