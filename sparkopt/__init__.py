"""Hyperparameter search with hyperopt on Spark barrier workers, without a Spark job for every trial.

from sparkopt import fmin, SparkTrials          # the only line that changes

The public names are loaded when they are first asked for: workers import this package too, and must not pay
for hyperopt.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import sparkopt.wire.forks  # noqa: F401 - it has to be there before this process is forked

if TYPE_CHECKING:
    from sparkopt import optuna, plots
    from sparkopt.client import ControlClient
    from sparkopt.control.options import Control
    from sparkopt.errors import TrialPruned
    from sparkopt.hyperopt.fmin import fmin
    from sparkopt.hyperopt.journal_reading import read_journal
    from sparkopt.hyperopt.journal_study import journal_to_optuna
    from sparkopt.hyperopt.parallel import parallel_tpe
    from sparkopt.hyperopt.space_evaluation import WorkerPool
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.study.pruning_rules import (
        ASHA,
        Hyperband,
        MedianStopping,
        PercentileStopping,
        ThresholdStopping,
    )
    from sparkopt.tracking.tracking_settings import Tracking
    from sparkopt.worker.checkpoints import load_checkpoint, save_checkpoint
    from sparkopt.worker.intermediate_values import report, should_prune
    from sparkopt.worker.trial_info import TrialInfo, trial_info

__version__ = "0.2.0"

__all__ = [
    "ASHA",
    "Control",
    "ControlClient",
    "Hyperband",
    "MedianStopping",
    "PercentileStopping",
    "SparkTrials",
    "ThresholdStopping",
    "Tracking",
    "TrialInfo",
    "TrialPruned",
    "WorkerPool",
    "fmin",
    "journal_to_optuna",
    "load_checkpoint",
    "optuna",
    "parallel_tpe",
    "plots",
    "read_journal",
    "report",
    "save_checkpoint",
    "should_prune",
    "trial_info",
]

_HOMES = {
    "ASHA": "sparkopt.study.pruning_rules",
    "Control": "sparkopt.control.options",
    "ControlClient": "sparkopt.client",
    "Hyperband": "sparkopt.study.pruning_rules",
    "MedianStopping": "sparkopt.study.pruning_rules",
    "PercentileStopping": "sparkopt.study.pruning_rules",
    "SparkTrials": "sparkopt.hyperopt.spark_trials",
    "ThresholdStopping": "sparkopt.study.pruning_rules",
    "Tracking": "sparkopt.tracking.tracking_settings",
    "TrialInfo": "sparkopt.worker.trial_info",
    "TrialPruned": "sparkopt.errors",
    "WorkerPool": "sparkopt.hyperopt.space_evaluation",
    "fmin": "sparkopt.hyperopt.fmin",
    "journal_to_optuna": "sparkopt.hyperopt.journal_study",
    "load_checkpoint": "sparkopt.worker.checkpoints",
    "parallel_tpe": "sparkopt.hyperopt.parallel",
    "read_journal": "sparkopt.hyperopt.journal_reading",
    "report": "sparkopt.worker.intermediate_values",
    "save_checkpoint": "sparkopt.worker.checkpoints",
    "should_prune": "sparkopt.worker.intermediate_values",
    "trial_info": "sparkopt.worker.trial_info",
}


if not TYPE_CHECKING:  # which would believe that any name is here

    def __getattr__(name: str) -> Any:
        if name in ("hyperopt", "optuna", "plots"):  # rooms with names of their own, some of extras
            return importlib.import_module(f"sparkopt.{name}")
        if name not in _HOMES:
            # With both, Python asks whether a name that is alike was meant.
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[__name__])
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
