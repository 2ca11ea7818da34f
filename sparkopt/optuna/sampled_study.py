"""Optuna studies whose sampler another front end asks for points.

    front end: descriptions of trials ──▶ take ──▶ study ◀── sampler ◀── ask ◀── front end: which dimensions

The front end walks through its space and asks for one dimension after the other, as an objective of Optuna's
asks its trial. So the sampler sees what it would see in a study of Optuna's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from sparkopt.optuna import versions
from sparkopt.optuna.study_mirror import StudyMirror, distribution_of
from sparkopt.study.trial_description import Dimension
from sparkopt.wire.arguments import refuse_type

T = TypeVar("T")

_PLACES: Final = 2**32
"""Trials of one seed, each with a seed of its own."""


class SampledStudy(StudyMirror):
    """A study that follows a search, and whose sampler is asked for the search's next points.

    Attributes:
        exhausted: whether the sampler has said that there is nothing left to try, as grids do.

    Args:
        sampler: any sampler of Optuna's. A copy of it is used, so that each search has it as it was given.
        dimensions: of the space, with their bounds.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler, dimensions: Iterable[Dimension]) -> None:
        self._sampler = copy.deepcopy(sampler)
        super().__init__(dimensions, sampler=self._sampler)
        self.exhausted = False

    def seed(self, seed: int, place: int) -> None:
        """Have the sampler draw what nobody has drawn before.

        The seed that a sampler was made with counts. One that has none is given a seed. One that has one, in
        a search that goes on, would propose again what it proposed first: its place in the search counts too.

        Args:
            seed: for a sampler without one.
            place: the number of the first trial that it is asked for; 0 at the begin of a search.
        """
        own = versions.own_seed(self._sampler)
        if own is None:
            versions.reseed(self._sampler, int(seed))
        elif place:
            versions.reseed(self._sampler, own * _PLACES + int(place))

    def ask(self, tid: int, walk: Callable[[Callable[[Dimension], Any]], T]) -> T:
        """Ask for a point. Its trial runs from then on.

        Args:
            tid: the trial's number in the search.
            walk: called with a function that returns the value of a dimension.

        Returns:
            What ``walk`` returns.
        """
        trial = self.study.ask()
        point = walk(lambda dimension: _suggested(trial, dimension))
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
        self._known[tid] = trial_id, self._storage.get_trial(trial_id)
        return point

    def _settle(self, trial_id: int, now: FrozenTrial) -> None:
        number = self._storage.get_trial_number_from_id(trial_id)
        values = now.values if now.state is TrialState.COMPLETE else None
        try:
            self.study.tell(number, values, now.state)
        except RuntimeError as error:
            if not versions.is_stop(error):
                raise
            self.exhausted = True  # the trial has its state all the same


def check_sampler(sampler: Any) -> None:
    """Refuse what is not a sampler.

    Raises:
        ArgumentTypeError: saying what one is.
    """
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        refuse_type("sampler", sampler, "a sampler of Optuna's, as optuna.samplers.TPESampler() is")


def _suggested(trial: optuna.trial.Trial, dimension: Dimension) -> Any:
    label, found = dimension.label, distribution_of(dimension)
    if isinstance(found, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(label, found.choices)
    if isinstance(found, optuna.distributions.IntDistribution):
        return trial.suggest_int(label, found.low, found.high, step=found.step, log=found.log)
    assert isinstance(found, optuna.distributions.FloatDistribution)
    return trial.suggest_float(label, found.low, found.high, step=found.step, log=found.log)
