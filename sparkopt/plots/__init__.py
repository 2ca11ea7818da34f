"""Figures of a search: what it found, what mattered, and what its workers did. They need Matplotlib.

searches.py       what is drawn: trials and dimensions of whatever describes itself
figures.py        a Matplotlib figure that notebooks show
loss_figures.py   history, and slices along each hyperparameter
relations.py      parallel coordinates, and importances
workers.py        a timeline of workers

Each function takes ``SparkTrials`` and returns a :class:`matplotlib.figure.Figure`: a notebook shows it,
``savefig`` writes it, ``mlflow.log_figure`` stores it. Nothing here uses pyplot, so that no figure stays
open, and threads may draw.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sparkopt.plots.loss_figures import history, slices
    from sparkopt.plots.relations import importances, parallel_coordinates
    from sparkopt.plots.workers import timeline

__all__ = ["history", "importances", "parallel_coordinates", "slices", "timeline"]

_HOMES: Final = {
    "history": "loss_figures",
    "slices": "loss_figures",
    "importances": "relations",
    "parallel_coordinates": "relations",
    "timeline": "workers",
}


if not TYPE_CHECKING:  # which would believe that any name is here

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if importlib.util.find_spec("matplotlib") is None:
            raise ModuleNotFoundError(
                f"sparkopt.plots needs Matplotlib, and {sys.executable} has none: pip install"
                " 'sparkopt[plots]'",
                name="matplotlib",
            )
        found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return [*__all__]
