"""Losses of a search: over its trials, and along each of its hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from sparkopt.plots.figures import MARKS, SearchFigure, drawable, scale
from sparkopt.plots.searches import DescribesItself, dimensions_in, goal_of, loss_of, places, with_loss

_COLUMNS: Final = 4
_MOST_PANELS: Final = 40
_INCHES: Final = 2.6


def history(trials: DescribesItself) -> SearchFigure:
    """Draw the loss of each trial in the order of their numbers, and the best so far.

    Args:
        trials: of a search, such as ``SparkTrials``. Failed trials, and those without a finite loss, are left
            out; pruned ones are marked where their last value is a loss.

    Example:
        >>> sparkopt.plots.history(trials).savefig("history.png")
    """
    described = trials.described()
    figure = SearchFigure(8, 4.5)
    axes = figure.add_subplot()
    finished = with_loss(described)
    tids, losses = [trial.tid for trial in finished], [loss_of(trial) for trial in finished]
    goal = goal_of(trials)
    best = accumulate(losses, max if goal.maximizes else min)
    axes.plot(tids, losses, "o", markersize=3.5, alpha=0.6, label=goal.name)
    axes.step(tids, [*best], where="post", label="best so far")
    pruned = [trial for trial in described if trial.state == "pruned" and math.isfinite(loss_of(trial))]
    if pruned:
        stopped = [trial.tid for trial in pruned], [loss_of(trial) for trial in pruned]
        axes.plot(*stopped, "x", markersize=3.5, alpha=0.6, label="pruned")
    axes.set_xlabel("trial")
    axes.set_ylabel(goal.name)
    # Finding the best place for the legend, and many tick marks, take most of the time of such a figure.
    axes.legend(loc="upper right")
    axes.locator_params(nbins=MARKS)
    return figure


def slices(trials: DescribesItself, labels: Sequence[str] | None = None) -> SearchFigure:
    """Draw a panel for each hyperparameter: its values, and the loss of the trials that had them.

    A panel has the axis of the distribution: logarithmic for a log-uniform one, the options of a choice.

    Args:
        trials: of a search, such as ``SparkTrials``. Those without a finite loss are left out.
        labels: which hyperparameters; by default the first 40.

    Raises:
        RefusedError: if there is no hyperparameter of a name.

    Example:
        >>> sparkopt.plots.slices(trials).savefig("slices.png")
    """
    finished = with_loss(trials.described())
    dimensions = dimensions_in(trials, labels)[:_MOST_PANELS]
    columns = max(1, min(_COLUMNS, len(dimensions)))
    rows = max(1, math.ceil(len(dimensions) / columns))
    width, height = _INCHES * columns + 1, _INCHES * rows + 0.7
    figure = SearchFigure(width, height)
    # In inches: a layout that is computed takes longer than all the rest of the figure.
    figure.subplots_adjust(0.8 / width, 0.8 / height, 1 - 0.2 / width, 1 - 0.3 / height, 0.35, 0.6)
    for index, dimension in enumerate(dimensions):
        axes: Any = figure.add_subplot(rows, columns, index + 1)
        known = [trial for trial in finished if dimension.label in trial.params]
        found = places(dimension, [trial.params[dimension.label] for trial in known])
        axes.plot(found, [loss_of(trial) for trial in known], "o", markersize=3.5, alpha=0.6)
        axes.locator_params(axis="y", nbins=4)
        scale(axes, dimension)
        axes.set_title(drawable(dimension.label), fontsize="small", parse_math=False)
        if index % columns == 0:
            axes.set_ylabel(goal_of(trials).name)
    return figure
