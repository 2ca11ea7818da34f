"""Way from hyperopt's front end to Optuna's, the only file that takes it: studies, and samplers.

What goes over is plain data. Optuna is loaded when the first of these functions is called.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkopt.optuna.sampled_study import SampledStudy
    from sparkopt.optuna.study_mirror import Study
    from sparkopt.study.trial_description import Dimension, TrialDescription


def study_of(trials: Iterable[TrialDescription], dimensions: Iterable[Dimension]) -> Study:
    """Return a study that shows trials; see :func:`sparkopt.optuna.study_mirror.study_of`.

    Raises:
        ModuleNotFoundError: if there is no Optuna.
    """
    _check_there()
    from sparkopt.optuna import study_mirror

    return study_mirror.study_of(trials, dimensions)


def sampled_study(sampler: Any, dimensions: Iterable[Dimension]) -> SampledStudy:
    """Return a study whose sampler can be asked; see :class:`sparkopt.optuna.sampled_study.SampledStudy`."""
    from sparkopt.optuna.sampled_study import SampledStudy

    return SampledStudy(sampler, dimensions)


def check_sampler(sampler: Any) -> None:
    """Refuse what is not a sampler of Optuna's.

    Raises:
        ModuleNotFoundError: if there is no Optuna.
        RefusedError: saying what a sampler is.
    """
    _check_there()
    from sparkopt.optuna import sampled_study

    sampled_study.check_sampler(sampler)


def _check_there() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise ModuleNotFoundError(
            f"Optuna is needed for this, and {sys.executable} has none: pip install 'sparkopt[optuna]'",
            name="optuna",
        )
