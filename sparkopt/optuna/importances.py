"""Importances of hyperparameters, by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna

from sparkopt.optuna.study_mirror import study_of
from sparkopt.study.trial_description import Dimension, TrialDescription


def importances_of(
    trials: Sequence[TrialDescription], dimensions: Sequence[Dimension], maximizes: bool = False
) -> dict[str, float]:
    """Return the share that each hyperparameter has in reaching the best losses, by PED-ANOVA.

    Args:
        trials: that have a loss; at least two.
        dimensions: the hyperparameters; each trial has all of them.
        maximizes: whether the largest loss is the best.

    Returns:
        Shares that sum up to 1, by label; all of them 0 if no hyperparameter mattered.
    """
    labels = [dimension.label for dimension in dimensions]
    if not labels:
        return {}
    directions = ["maximize" if maximizes else "minimize"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(
            optuna.importance.get_param_importances(
                study_of(trials, dimensions, directions=directions), evaluator=evaluator, params=labels
            )
        )
