"""Hyperparameter search with hyperopt on Spark barrier workers, without a Spark job for every trial.

from sparkopt import fmin, SparkTrials          # the only line that changes
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sparkopt.forks  # noqa: F401 - it has to be there before this process is forked

if TYPE_CHECKING:
    from sparkopt.client import ControlClient
    from sparkopt.control.options import Control
    from sparkopt.fmin import fmin
    from sparkopt.pool import WorkerPool
    from sparkopt.trials import SparkTrials

__version__ = "0.1.0"

__all__ = ["Control", "ControlClient", "SparkTrials", "WorkerPool", "fmin"]

_HOMES = {
    "Control": "sparkopt.control.options",
    "ControlClient": "sparkopt.client",
    "SparkTrials": "sparkopt.trials",
    "WorkerPool": "sparkopt.pool",
    "fmin": "sparkopt.fmin",
}


class _Package(ModuleType):
    """This package: loads its public names when they are first asked for.

    Workers import it too, and must not pay for hyperopt.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system would put the module of the same name in the place of fmin.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*__all__, "__version__"]


sys.modules[__name__].__class__ = _Package
