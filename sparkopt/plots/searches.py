"""Searches as plots see them: descriptions of trials, and the dimensions that they span."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sparkopt.errors import RefusedError
from sparkopt.study.trial_description import Dimension, TrialDescription, dimensions_of


class Space(Protocol):
    """Dimensions of a space, as far as they are known."""

    dimensions: dict[str, Dimension]


class DescribesItself(Protocol):
    """Trials that describe themselves, as ``SparkTrials`` do."""

    def described(self) -> list[TrialDescription]:
        """Return descriptions of the trials."""

    def described_space(self) -> Any:
        """Return a :class:`Space`."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Goal of a search.

    Attributes:
        name: of what its trials return.
        maximizes: whether the largest is the best.
    """

    name: str = "loss"
    maximizes: bool = False


@dataclass(frozen=True, slots=True)
class DescribedSearch:
    """A search that has been described already.

    Attributes:
        trials: of the search.
        space: its dimensions, as far as they are known.
        goal: of the search.
    """

    trials: Sequence[TrialDescription]
    space: Iterable[Dimension] = ()
    goal: Goal = Goal()

    def described(self) -> list[TrialDescription]:
        """Return the trials."""
        return [*self.trials]

    def described_space(self) -> Any:
        """Return the space."""
        return _Known({dimension.label: dimension for dimension in self.space})


@dataclass(frozen=True, slots=True)
class _Known:
    dimensions: dict[str, Dimension]


def dimensions_in(search: DescribesItself, labels: Sequence[str] | None = None) -> list[Dimension]:
    """Return the dimensions that hold the values of a search.

    Args:
        search: the search that the trials belong to.
        labels: which, in this order; by default those that any trial has, in the order of the space.

    Raises:
        RefusedError: if there is no hyperparameter of a name.
    """
    trials = search.described()
    found = dimensions_of(trials, search.described_space().dimensions.values())
    if labels is None:
        used = {label for trial in trials for label in trial.params}
        return [dimension for label, dimension in found.items() if label in used]
    if strangers := [label for label in labels if label not in found]:
        raise RefusedError(f"the search has no hyperparameters {strangers}; it has {[*found]}")
    return [found[label] for label in labels]


def goal_of(search: DescribesItself) -> Goal:
    """Return the goal of a search: to minimize the loss, unless it says otherwise."""
    return search.goal if isinstance(search, DescribedSearch) else Goal()


def with_loss(trials: Iterable[TrialDescription]) -> list[TrialDescription]:
    """Return the trials that ended well with a finite loss, in the order of their numbers."""
    finished = (trial for trial in trials if trial.state == "ok" and math.isfinite(loss_of(trial)))
    return sorted(finished, key=lambda trial: trial.tid)


def loss_of(trial: TrialDescription) -> float:
    """Return the loss of a trial; NaN if it has none."""
    return trial.values[0] if trial.values else math.nan


def places(dimension: Dimension, values: Sequence[Any]) -> list[float]:
    """Return where values are on the axis of their dimension: options of a choice by their place."""
    if dimension.kind != "choice":
        return [float(value) for value in values]
    order = {repr(option): float(place) for place, option in enumerate(dimension.options)}
    return [order[repr(value)] for value in values]
