"""Pictures of a search that its run gets at the end: figures of :mod:`sparkopt.plots`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Final

from sparkopt.plots.figures import SearchFigure
from sparkopt.plots.loss_figures import history, slices
from sparkopt.plots.relations import importances, parallel_coordinates
from sparkopt.plots.searches import DescribedSearch, Goal, dimensions_in, with_loss
from sparkopt.plots.workers import timeline
from sparkopt.study.search_summary import SearchSummary

LONG: Final = 30.0
"""Seconds from which a search gets all pictures: they take some tenths, and loading Optuna takes a second."""

A_TRIAL: Final = 0.03
"""Seconds that its trials must have taken on average for that: all pictures take a millisecond a trial."""

_FEW: Final = 2


def pictures_of(
    summary: SearchSummary, name: str, maximizes: bool, seconds: float
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the names of the pictures that a search gets, and functions that draw them as PNG.

    Args:
        summary: of the search. One without a trial that has a result gets no pictures.
        name: of the result, such as loss.
        maximizes: whether the largest result is the best.
        seconds: that the search took.
    """
    trials, known = summary.described()
    search = DescribedSearch(trials, [*known], Goal(name, maximizes))
    finished = with_loss(trials)
    if not finished:
        return
    yield f"{name}_over_trials.png", partial(_drawn, history, search)
    yield f"{name}_by_parameter.png", partial(_drawn, slices, search)
    if seconds < max(LONG, A_TRIAL * len(trials)):
        return
    if len(dimensions_in(search)) >= _FEW:
        yield "parallel_coordinates.png", partial(_drawn, parallel_coordinates, search)
        if len(finished) >= _FEW and find_spec("optuna") is not None:
            yield "parameter_importances.png", partial(_drawn, importances, search)
    if any(trial.worker for trial in trials):
        yield "workers.png", partial(_drawn, timeline, search)


def _drawn(figure: Callable[[DescribedSearch], SearchFigure], search: DescribedSearch) -> bytes:
    return figure(search).to_png()
