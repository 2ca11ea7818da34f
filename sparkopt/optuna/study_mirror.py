"""Optuna studies that show a search of any front end, for Optuna's plots and importances.

    descriptions of trials and dimensions (numbers and texts) ──▶ StudyMirror ──▶ optuna.Study in memory

``study_of`` makes a study of a search that has ended. A ``StudyMirror`` follows one that runs: it takes a
trial again each time that the trial has changed, and Optuna's storage shows its newest state. The study's
sampler is never used.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study as Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sparkopt.optuna.quiet import without_information
from sparkopt.study.trial_description import Dimension, TrialDescription, dimensions_of

_DIRECTIONS: Final = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}
_STATES: Final = {
    "pending": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "ok": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "lost": TrialState.FAIL,
    "cancelled": TrialState.FAIL,
}

_SLACK: Final = 1e-8
"""Part of a step by which Optuna lets a value differ from a multiple of the step."""


def study_of(
    trials: Iterable[TrialDescription],
    dimensions: Iterable[Dimension] = (),
    *,
    name: str | None = None,
    directions: Sequence[str] = ("minimize",),
) -> Study:
    """Make an Optuna study of a search.

    Args:
        trials: of the search, in the order of their numbers.
        dimensions: of its space, as far as they are known. Each is widened to hold the values of all trials,
            and those that are missing are inferred from the values.
        name: of the study; by default one that Optuna makes up.
        directions: ``minimize`` or ``maximize``, for each value of a trial.

    Returns:
        A study in memory. Its trials have the user attributes that :class:`StudyMirror` names.
    """
    described = list(trials)
    mirror = StudyMirror(dimensions_of(described, dimensions).values(), name=name, directions=directions)
    mirror.take(described)
    return mirror.study


class StudyMirror:
    """An Optuna study that follows a search, which may still run.

    A trial of the study has the search's number as its user attribute ``tid``, and as far as they are known
    ``state`` (the search's word for it), ``attempt``, ``worker``, ``host``, ``seconds`` and ``error``.
    To Optuna, cancelled and lost trials are failed ones, and so are those that ended well without a number.

    Attributes:
        study: the study, to be read.

    Args:
        dimensions: of the space, as far as they are known. What is missing is inferred from the first values
            that come; a value beyond its dimension widens that of its own trial.
        name: of the study; by default one that Optuna makes up.
        directions: ``minimize`` or ``maximize``, for each value of a trial.
        storage: where the study goes; by default memory of its own.
        sampler: of the study; by default Optuna's default one.
    """

    def __init__(
        self,
        dimensions: Iterable[Dimension] = (),
        *,
        name: str | None = None,
        directions: Sequence[str] = ("minimize",),
        storage: optuna.storages.BaseStorage | None = None,
        sampler: optuna.samplers.BaseSampler | None = None,
    ) -> None:
        self._storage = optuna.storages.InMemoryStorage() if storage is None else storage
        with without_information():
            self._id = self._storage.create_new_study([_DIRECTIONS[each] for each in directions], name)
            name = self._storage.get_study_name_from_id(self._id)
            self.study = optuna.load_study(study_name=name, storage=self._storage, sampler=sampler)
        self._dimensions = {dimension.label: dimension for dimension in dimensions}
        self._distributions: dict[Dimension, BaseDistribution] = {}
        self._known: dict[int, tuple[int, FrozenTrial]] = {}

    def take(self, trials: Iterable[TrialDescription]) -> None:
        """Show these trials as they are now.

        Args:
            trials: new ones, and those that may have changed. One that has settled does not change any more.
        """
        trials = list(trials)
        new = [trial for trial in trials if self._has_news(trial)]
        for label, dimension in dimensions_of(new).items():
            self._dimensions.setdefault(label, dimension)
        for trial in trials:
            known = self._known.get(trial.tid)
            if known is None:
                frozen = self._frozen(trial)
                trial_id = self._storage.create_new_trial(self._id, template_trial=frozen)
                self._known[trial.tid] = trial_id, frozen
            elif not known[1].state.is_finished():
                self._change(known[0], known[1], trial)

    def _has_news(self, trial: TrialDescription) -> bool:
        """Returns whether a trial is new, or has more parameters than before."""
        known = self._known.get(trial.tid)
        return known is None or len(trial.params) > len(known[1].params)

    def _change(self, trial_id: int, before: FrozenTrial, trial: TrialDescription) -> None:
        now, storage = self._frozen(trial), self._storage
        if before.state is TrialState.WAITING and now.state is not TrialState.WAITING:
            storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        for key, value in now.user_attrs.items():
            if before.user_attrs.get(key) != value:
                storage.set_trial_user_attr(trial_id, key, value)
        for step, value in now.intermediate_values.items():
            if before.intermediate_values.get(step) != value:
                storage.set_trial_intermediate_value(trial_id, step, value)
        # A storage in memory gives its own object, and sets times to those of the call. It does not forget
        # values, such as those of an attempt before, and refuses a parameter whose range differs from that of
        # another trial's.
        shown = storage.get_trial(trial_id)
        shown.intermediate_values = now.intermediate_values
        if now.params:  # a description without any leaves those that were suggested here
            shown.params, shown.distributions = now.params, now.distributions
        if now.state.is_finished():
            self._settle(trial_id, now)
            shown = storage.get_trial(trial_id)
        shown.datetime_start, shown.datetime_complete = now.datetime_start, now.datetime_complete
        self._known[trial.tid] = trial_id, now

    def _settle(self, trial_id: int, now: FrozenTrial) -> None:
        self._storage.set_trial_state_values(trial_id, now.state, now.values)

    def _frozen(self, trial: TrialDescription) -> FrozenTrial:
        state, values = _outcome(trial, len(self.study.directions))
        dimensions = {
            label: self._dimensions[label].holding([value]) for label, value in trial.params.items()
        }
        params = {label: _external(dimensions[label], value) for label, value in trial.params.items()}
        frozen = create_trial(
            state=state,
            values=values,
            params=params,
            distributions={label: self._distribution(each) for label, each in dimensions.items()},
            user_attrs=_attributes(trial),
            intermediate_values={int(step): float(value) for step, value in trial.reports.items()},
        )
        started = trial.started if trial.started is not None else trial.settled
        if started is not None and state is not TrialState.WAITING:
            frozen.datetime_start = _local(started)
        if trial.settled is not None and state.is_finished():
            frozen.datetime_complete = _local(trial.settled)
        return frozen

    def _distribution(self, dimension: Dimension) -> BaseDistribution:
        found = self._distributions.get(dimension)
        if found is None:
            found = self._distributions[dimension] = distribution_of(dimension)
        return found


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Return the distribution of Optuna's that comes closest to a dimension.

    Args:
        dimension: its bounds must be known.
    """
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.kind == "choice":
        return CategoricalDistribution([_external(dimension, option) for option in dimension.options])
    if step is not None:
        high = _multiple(low, step, math.floor((high - low) / step + _SLACK))  # Optuna wants a multiple
    if dimension.kind == "int":
        if dimension.logarithmic and step in (None, 1):
            return IntDistribution(int(low), int(high), log=True)
        return IntDistribution(int(low), int(high), step=int(step or 1))
    if dimension.logarithmic:
        return FloatDistribution(low, high, log=True)  # which takes no steps
    return FloatDistribution(low, high, step=step)


def _external(dimension: Dimension, value: Any) -> Any:
    """A parameter as its distribution takes it."""
    if dimension.kind == "choice":
        # To Optuna 1, 1.0 and True are the same.
        alike = len(set(dimension.options)) < len(dimension.options)
        return repr(value) if alike else value
    if dimension.kind == "int":
        return int(value)
    if dimension.step is not None and not dimension.logarithmic:
        return _multiple(dimension.low, dimension.step, round((value - dimension.low) / dimension.step))
    return float(value)


def _multiple(low: float, step: float, count: int) -> float:
    """A value some steps above the least, as Optuna calculates it: 0.3 for three of 0.1."""
    return float(Decimal(str(low)) + count * Decimal(str(step)))


def _outcome(trial: TrialDescription, goals: int) -> tuple[TrialState, list[float] | None]:
    """The state and the values that Optuna takes."""
    state = _STATES[trial.state]
    values = None if trial.values is None else [float(value) for value in trial.values]
    is_whole = values is not None and len(values) == goals and not any(map(math.isnan, values))
    if state is TrialState.COMPLETE and not is_whole:
        return TrialState.FAIL, None
    if state is TrialState.PRUNED and not is_whole and goals == 1:
        newest = trial.reports[max(trial.reports)] if trial.reports else math.nan
        return state, None if math.isnan(newest) else [float(newest)]
    return state, values if is_whole and state in (TrialState.COMPLETE, TrialState.PRUNED) else None


def _attributes(trial: TrialDescription) -> dict[str, Any]:
    said = {
        "attempt": trial.attempt,
        "worker": trial.worker or None,
        "host": trial.host or None,
        "seconds": trial.seconds,
        "error": trial.error or None,
    }
    return {
        "tid": trial.tid,
        "state": trial.state,
        **{key: value for key, value in said.items() if value is not None},
    }


def _local(seconds: float) -> datetime.datetime:
    """A time as Optuna has it: local, without a time zone."""
    return datetime.datetime.fromtimestamp(seconds)
