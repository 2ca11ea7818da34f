"""Mirror of searches: their trials in an Optuna storage in memory, and those that run now.

    take, report ──▶ description of a trial, constant time ──▶ refresh ──▶ storage, as much as has changed

Optuna's storage learns of what has changed when somebody looks, or when much has changed. It is made anew
only if the range of a parameter that nobody has told has to grow.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sparkopt.client import IntermediateValue, TrialInfo, TrialState
from sparkopt.dashboard.roomy_dimensions import RoomyDimensions
from sparkopt.optuna.plots_application import new_storage
from sparkopt.optuna.study_mirror import StudyMirror
from sparkopt.study.trial_description import DescribedState, Dimension, TrialDescription, plain_value

_STATES: Final[dict[str, DescribedState]] = {
    TrialState.PENDING: "pending",
    TrialState.OK: "ok",
    TrialState.FAILED: "failed",
    TrialState.PRUNED: "pruned",
    TrialState.CANCELLED: "cancelled",
    TrialState.LOST: "lost",
}
"""Those that are not here run."""

_UNSETTLED: Final = frozenset({"pending", "running"})

_LOSS: Final = ("minimize",)
"""Directions of a study whose objective returns a loss."""

_MANY: Final = 200
"""Number of changed trials at which the storage is brought up to date, also if nobody looks."""

_REMAKE_SECONDS: Final = 5.0
"""Least seconds between two times that the storage is made anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that a worker has.

    Attributes:
        trial: as its search has told it.
        value: its newest intermediate value; None if there is none.
    """

    trial: TrialInfo
    value: IntermediateValue | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StudySummary:
    """Numbers of a study.

    Attributes:
        counts: of trials, by state.
        best_value: the best that an objective has returned; None if there is none, or several objectives.
        best_tid: the number of the trial that has it.
    """

    counts: Mapping[str, int]
    best_value: float | None
    best_tid: int | None


class MirroredStudy:
    """One study.

    Attributes:
        name: in the mirror, where each has a name of its own.
        directions: of its trials' values.

    Args:
        name: in the mirror.
        dimensions: of its space, as far as they are told.
        by_index: labels whose values are the indices of options.
        directions: ``minimize`` or ``maximize`` for each value of a trial.
    """

    def __init__(
        self,
        name: str,
        dimensions: Iterable[Dimension] = (),
        by_index: frozenset[str] = frozenset(),
        directions: Sequence[str] = _LOSS,
    ) -> None:
        self.name = name
        self.directions = tuple(directions)
        self._by_index = by_index
        self._dimensions = RoomyDimensions(dimensions)
        self._trials: dict[int, TrialDescription] = {}
        self._changed: dict[int, None] = {}
        self._shown: StudyMirror | None = None
        self._is_outgrown = False

    def take(self, trial: TrialDescription) -> None:
        """Take in a trial as it is now; one that has settled stays as it is."""
        if self.has_settled(trial.tid):
            return
        known, count = self._trials.get(trial.tid), len(self._trials)
        if known is not None and 0 < (trial.attempt or 0) < (known.attempt or 0):
            return  # of an attempt before
        if known is None and count & (count - 1) == 0 and self._guess():  # there are twice as many
            self._is_outgrown = True
        # An Optuna trial has more parameters each time that its objective asks for one.
        if known is None or len(trial.params) > len(known.params):
            params: Mapping[str, Any] = self._in_words(trial)
            if self._dimensions.add(params):
                self._is_outgrown = True
        else:
            params = known.params
        reports = trial.reports
        if known is not None and not reports and trial.attempt in (known.attempt, 0):
            reports = known.reports
        trial = dataclasses.replace(trial, params=params, reports=reports)
        self._trials[trial.tid] = trial
        self._changed[trial.tid] = None

    def has_settled(self, tid: int) -> bool:
        """Returns whether a trial has its final state."""
        known = self._trials.get(tid)
        return known is not None and known.state not in _UNSETTLED

    def report(self, tid: int, attempt: int, step: int, value: float) -> None:
        """Take in an intermediate value of a trial that runs."""
        known = self._trials.get(tid)
        if known is None or known.state not in _UNSETTLED or (known.attempt or 0) > attempt:
            return
        # Nobody else has this dictionary: Optuna gets a copy.
        reports = known.reports if known.attempt == attempt and isinstance(known.reports, dict) else {}
        reports[step] = value
        self._trials[tid] = dataclasses.replace(known, attempt=attempt, reports=reports)
        self._changed[tid] = None

    def end(self, why: str) -> None:
        """Have what has not settled cancelled: nobody will tell how it ended."""
        for trial in [*self._trials.values()]:
            if trial.state in _UNSETTLED:
                self.take(dataclasses.replace(trial, state="cancelled", error=why))

    def summary(self) -> StudySummary:
        """Number of its trials in each state, and the best of them."""
        counts: Counter[str] = Counter(trial.state for trial in self._trials.values())
        if len(self.directions) > 1:
            return StudySummary(counts, None, None)
        values = [
            (trial.values[0], trial.tid)
            for trial in self._trials.values()
            if trial.state == "ok" and trial.values is not None and not math.isnan(trial.values[0])
        ]
        sign = -1 if self.directions == ("maximize",) else 1
        best = min(values, key=lambda each: (sign * each[0], each[1]), default=(None, None))
        return StudySummary(counts, *best)

    @property
    def changes(self) -> int:
        """Number of trials that Optuna's storage does not have as they are."""
        return len(self._changed)

    @property
    def is_outgrown(self) -> bool:
        """True if trials have values that its distributions have no room for."""
        return self._is_outgrown and self._shown is not None

    def show(self, storage: Any, anew: bool) -> None:
        """Have Optuna's storage show what has changed, or everything in a new storage."""
        if anew or self._shown is None:
            self._guess()
            dimensions = [*self._dimensions.known.values()]
            self._shown = StudyMirror(dimensions, name=self.name, directions=self.directions, storage=storage)
            self._changed = dict.fromkeys(self._trials)
            self._is_outgrown = False
        self._shown.take([self._trials[tid] for tid in self._changed])
        self._changed.clear()

    def _guess(self) -> bool:
        return self._dimensions.guess(trial.params for trial in self._trials.values())

    def _in_words(self, trial: TrialDescription) -> dict[str, Any]:
        """Its values, with the option instead of an option's index."""
        params: dict[str, Any] = {}
        for label, value in trial.params.items():
            if label in self._by_index and isinstance(value, int):
                options = self._dimensions.known[label].options
                value = options[value] if 0 <= value < len(options) else value
            params[label] = plain_value(value)
        return params


class Mirror:
    """The studies of all searches that are followed. Any thread may use it.

    Attributes:
        generation: grows when the storage is another one.
        changed: when something has changed for the last time, on the monotonic clock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._studies: dict[tuple[str, str], MirroredStudy] = {}
        self._running: dict[tuple[str, str, int], RunningTrial] = {}
        self._storage = new_storage()
        self._made = 0.0
        self.generation, self.changed = 0, time.monotonic()

    # What feeds it.

    def knows(self, pool: str, study: str) -> bool:
        """Returns whether a study is there."""
        return (pool, study) in self._studies

    def add_study(
        self,
        pool: str,
        name: str,
        dimensions: Iterable[Dimension] = (),
        by_index: frozenset[str] = frozenset(),
        directions: Sequence[str] = _LOSS,
    ) -> None:
        """Have a study, unless it is there."""
        with self._lock:
            if (pool, name) in self._studies:
                return
            taken = {study.name for study in self._studies.values()}
            shown, number = name, 1
            while shown in taken:
                number += 1
                shown = f"{name} ({number})"
            self._studies[pool, name] = MirroredStudy(shown, dimensions, by_index, directions)

    def take(self, pool: str, trial: TrialInfo) -> None:
        """Take in a trial as its search tells it."""
        key = (pool, trial.study, trial.tid)
        with self._lock:
            described = described_of(trial, self._studies[key[:2]].directions)
            if described.state == "running" and not self._studies[key[:2]].has_settled(trial.tid):
                before = self._running.get(key)
                same = before is not None and before.trial.attempt == trial.attempt
                newest = before.value if before is not None and same else _newest(trial)
                self._running[key] = RunningTrial(trial, newest)
            else:
                self._running.pop(key, None)
            self.describe(pool, trial.study, described)

    def describe(self, pool: str, study: str, trial: TrialDescription) -> None:
        """Take in a trial."""
        with self._lock:
            self.changed = time.monotonic()
            self._studies[pool, study].take(trial)
            if self._studies[pool, study].changes >= _MANY:
                self.refresh()

    def report(self, pool: str, value: IntermediateValue) -> None:
        """Take in an intermediate value."""
        with self._lock:
            study = self._studies.get((pool, value.study))
            if study is None:
                return
            self.changed = time.monotonic()
            study.report(value.tid, value.attempt, value.step, value.value)
            key = (pool, value.study, value.tid)
            running = self._running.get(key)
            if running is not None and running.trial.attempt == value.attempt:
                self._running[key] = RunningTrial(running.trial, value)

    def ended(self, pool: str) -> None:
        """Settle the trials of a pool that is gone."""
        with self._lock:
            for key in [key for key in self._running if key[0] == pool]:
                del self._running[key]
            self.changed = time.monotonic()
            for (owner, _), study in self._studies.items():
                if owner == pool:
                    study.end("its pool has gone")

    # What reads it.

    def running(self, pool: str) -> dict[tuple[str, int], RunningTrial]:
        """The trials of a pool that a worker has, by study and number."""
        with self._lock:
            return {(key[1], key[2]): running for key, running in self._running.items() if key[0] == pool}

    def studies_of(self, pool: str) -> list[str]:
        """Names of a pool's studies, in the order in which they came."""
        with self._lock:
            return [key[1] for key in self._studies if key[0] == pool]

    def summary(self, pool: str, study: str) -> StudySummary:
        """Numbers of a study."""
        with self._lock:
            return self._studies[pool, study].summary()

    def shown_name(self, pool: str, study: str) -> str | None:
        """Name of a study in Optuna's storage; None if it is not known."""
        with self._lock:
            known = self._studies.get((pool, study))
            return None if known is None else known.name

    def refresh(self) -> None:
        """Have Optuna's storage show everything as it is now."""
        with self._lock:
            now = time.monotonic()
            anew = now >= self._made + _REMAKE_SECONDS and any(
                each.is_outgrown for each in self._studies.values()
            )
            if anew:
                self._storage, self._made = new_storage(), now
                self.generation += 1
            for study in self._studies.values():
                study.show(self._storage, anew)

    @property
    def storage(self) -> Any:
        """The storage that shows them, until :attr:`generation` grows."""
        return self._storage

    def number_of(self, shown_name: str) -> int | None:
        """Optuna's number of a study; None if its storage does not have it yet."""
        with self._lock:
            names = [study.name for study in self._studies.values()]
            return names.index(shown_name) if shown_name in names else None


def described_of(trial: TrialInfo, directions: Sequence[str]) -> TrialDescription:
    """Describe a trial of a control service.

    Args:
        trial: as its service tells it.
        directions: of its study.
    """
    state = _STATES.get(trial.state, "running")
    values = [*trial.objective_values]
    if not values and trial.loss is not None and len(directions) == 1:
        values = [-trial.loss if directions[0] == "maximize" else trial.loss]
    return TrialDescription(
        trial.tid,
        state,
        trial.values,
        values or None,
        dict(trial.intermediate_values),
        started=_seconds(trial.started),
        settled=_seconds(trial.settled),
        seconds=trial.seconds if state not in _UNSETTLED else None,
        attempt=trial.attempt,
        worker=trial.worker,
        host=trial.host,
        error=trial.reason,
    )


def _newest(trial: TrialInfo) -> IntermediateValue | None:
    """The last of the intermediate values that came with a trial."""
    if not trial.intermediate_values:
        return None
    step, value = [*trial.intermediate_values.items()][-1]
    return IntermediateValue(trial.study, trial.tid, trial.attempt, step, value)


def _seconds(moment: datetime.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
