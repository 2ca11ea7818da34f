"""A study of Optuna's as descriptions of its trials and of the dimensions of its space."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from sparkopt.study.trial_description import (
    DescribedState,
    Dimension,
    TrialDescription,
    plain_value,
)

_STATES: Final[dict[TrialState, DescribedState]] = {
    TrialState.WAITING: "pending",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "ok",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def descriptions_of(study: optuna.Study) -> tuple[Sequence[TrialDescription], Iterable[Dimension]]:
    """Describe the trials of a study, and the dimensions that they were suggested from.

    Args:
        study: Optuna's. A pruned trial has the value that it reported last.
    """
    trials = study.get_trials(deepcopy=False)
    dimensions: dict[str, Dimension] = {}
    for trial in trials:
        for label, distribution in trial.distributions.items():
            if label not in dimensions and (found := _dimension(label, distribution)) is not None:
                dimensions[label] = found
    return [_described(trial) for trial in trials], dimensions.values()


def _described(trial: FrozenTrial) -> TrialDescription:
    reports = trial.intermediate_values
    values = trial.values
    if trial.state is TrialState.PRUNED and reports:
        values = [reports[max(reports)]]
    return TrialDescription(
        trial.number,
        _STATES[trial.state],
        {label: plain_value(value) for label, value in trial.params.items()},
        values,
        reports,
        _seconds(trial.datetime_start),
        _seconds(trial.datetime_complete),
    )


def _seconds(time: datetime.datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _dimension(label: str, distribution: BaseDistribution) -> Dimension | None:
    if isinstance(distribution, CategoricalDistribution):
        return Dimension(label, "choice", options=tuple(map(plain_value, distribution.choices)))
    if isinstance(distribution, FloatDistribution):
        return Dimension(
            label,
            "float",
            distribution.low,
            distribution.high,
            distribution.step,
            distribution.log,
        )
    if isinstance(distribution, IntDistribution):
        low, high = float(distribution.low), float(distribution.high)
        return Dimension(label, "int", low, high, distribution.step, distribution.log)
    return None
