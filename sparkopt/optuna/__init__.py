"""Front end for Optuna: ``optimize``, which runs an Optuna study on workers.

optimizing.py       optimize: checked, put together and run
loop_arguments.py   arguments of Optuna's loop, checked
study_in_objective.py  objectives that use their study, refused
optuna_threads.py   Optuna's own loop, in the caller's thread or in one that Ctrl-C can leave
remote_trials.py    the study's proposer: each thread of Optuna's serves one remote trial
trial_desk.py       what a trial on a worker may ask of Optuna's trial
tracked_study.py    a study in MLflow
worker_trial.py     the trial that an objective gets on a worker
returned_values.py  what an objective returns, for both ends; imports no Optuna
study_mirror.py     studies that show a search of any front end, for Optuna's plots
sampled_study.py    such a study whose sampler another front end asks for points
versions.py         private parts of Optuna
quiet.py            has Optuna write nothing of such a study

The only room that imports Optuna: only its public names, except in ``versions.py``. ``optimize`` is loaded
when it is first asked for, so that neither ``import sparkopt`` nor a worker of another front end needs
Optuna.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkopt.optuna.optimizing import optimize

__all__ = ["optimize"]


if not TYPE_CHECKING:  # which would believe that any name is here

    def __getattr__(name: str) -> Any:
        if name != "optimize":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if importlib.util.find_spec("optuna") is None:
            raise ModuleNotFoundError(
                f"sparkopt.optuna needs Optuna, and {sys.executable} has none: pip install"
                " 'sparkopt[optuna]'. Workers need it as well",
                name="optuna",
            )
        from sparkopt.optuna.optimizing import optimize

        globals()[name] = optimize
        return optimize


def __dir__() -> list[str]:
    return [*__all__]
