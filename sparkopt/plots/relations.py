"""Relations between hyperparameters and the loss: parallel coordinates, and importances."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.collections import LineCollection

from sparkopt.errors import RefusedError
from sparkopt.plots.figures import SearchFigure, drawable, short
from sparkopt.plots.searches import DescribesItself, dimensions_in, goal_of, loss_of, places, with_loss
from sparkopt.study.trial_description import Dimension

_MARKS: Final = 5
_LEAST_TRIALS: Final = 2


def parallel_coordinates(trials: DescribesItself, labels: Sequence[str] | None = None) -> SearchFigure:
    """Draw a line for each trial across an axis for each hyperparameter; the darker, the better its loss.

    Axes are those of the distributions: logarithmic for a log-uniform one, the options of a choice. A line
    has a gap where a hyperparameter was not active.

    Args:
        trials: of a search, such as ``SparkTrials``. Those without a finite loss are left out.
        labels: which hyperparameters, in this order; by default all.

    Raises:
        RefusedError: if there is no hyperparameter of a name.

    Example:
        >>> sparkopt.plots.parallel_coordinates(trials).savefig("parallel_coordinates.png")
    """
    finished = with_loss(trials.described())
    dimensions = dimensions_in(trials, labels)
    figure = SearchFigure(max(6.0, 1.6 * len(dimensions) + 2), 4.5)
    axes = figure.add_subplot()
    heights = [_heights(dimension, finished) for dimension in dimensions]
    # The best last, so that it is on top. Ranks, as a few large losses would make the rest look alike.
    goal = goal_of(trials)
    worst_first = sorted(finished, key=loss_of, reverse=not goal.maximizes)
    segments, ranks = [], []
    for rank, trial in enumerate(worst_first):
        line = [
            (float(place), height[trial.tid]) for place, height in enumerate(heights) if trial.tid in height
        ]
        for begin, end in itertools.pairwise(line):
            if end[0] - begin[0] == 1:
                segments.append([begin, end])
                ranks.append(float(rank))
    lines = LineCollection(segments, cmap="Blues", linewidths=0.8, alpha=0.7)
    lines.set_array(ranks)
    axes.add_collection(lines)
    for place, dimension in enumerate(dimensions):
        axes.axvline(place, color="0.6", linewidth=0.8)
        for height, words in _marks(dimension):
            axes.text(place + 0.03, height, words, fontsize="x-small", va="center", parse_math=False)
    names = [drawable(dimension.label) for dimension in dimensions]
    axes.set_xticks(range(len(names)), names, fontsize="small", parse_math=False)
    axes.set_xlim(-0.1, max(1, len(names) - 1) + 0.4)
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([])
    if finished:
        best, worst = loss_of(worst_first[-1]), loss_of(worst_first[0])
        axes.set_title(f"{goal.name} from {best:.4g} (dark) to {worst:.4g}", fontsize="small")
    return figure


def importances(trials: DescribesItself, labels: Sequence[str] | None = None) -> SearchFigure:
    """Draw how much each hyperparameter mattered for reaching the best losses. It needs Optuna.

    The shares are those of Optuna's PED-ANOVA evaluator, and sum up to 1.

    Args:
        trials: of a search, such as ``SparkTrials``. Those without a finite loss are left out.
        labels: which hyperparameters; by default those that every trial with a loss has.

    Raises:
        ModuleNotFoundError: if there is no Optuna.
        RefusedError: if there is no hyperparameter of a name, or fewer than two trials have a loss.

    Example:
        >>> sparkopt.plots.importances(trials, ["x"]).savefig("importances.png")
    """
    if importlib.util.find_spec("optuna") is None:
        raise ModuleNotFoundError(
            f"importances need Optuna, and {sys.executable} has none: pip install 'sparkopt[plots]'",
            name="optuna",
        )
    # Found by name: that room knows this one, by way of tracking.
    importances_of = importlib.import_module("sparkopt.optuna.importances").importances_of

    finished = with_loss(trials.described())
    if len(finished) < _LEAST_TRIALS:
        raise RefusedError(
            f"importances need at least {_LEAST_TRIALS} trials with a loss, got {len(finished)}"
        )
    dimensions = dimensions_in(trials, labels)
    if labels is None:
        dimensions = [each for each in dimensions if all(each.label in trial.params for trial in finished)]
    shares = importances_of(finished, dimensions, goal_of(trials).maximizes)
    names = sorted(shares, key=lambda label: shares[label])
    figure = SearchFigure(8, max(2.0, 0.4 * len(names) + 1))
    axes: Any = figure.add_subplot()
    axes.barh(range(len(names)), [shares[label] for label in names])
    axes.set_yticks(range(len(names)), [drawable(name) for name in names], parse_math=False)
    axes.set_xlabel("importance")
    figure.subplots_adjust(left=0.25, bottom=0.5 / figure.get_figheight() + 0.05)
    return figure


def _heights(dimension: Dimension, finished: Sequence[Any]) -> dict[int, float]:
    """Heights of trials on an axis, from 0 to 1, by their numbers."""
    known = [trial for trial in finished if dimension.label in trial.params]
    found = places(dimension, [trial.params[dimension.label] for trial in known])
    return {trial.tid: _height(dimension, value) for trial, value in zip(known, found, strict=True)}


def _height(dimension: Dimension, value: float) -> float:
    low, high = dimension.low, dimension.high
    if dimension.kind == "choice":
        low, high = 0.0, float(len(dimension.options) - 1)
    elif dimension.logarithmic:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5


def _marks(dimension: Dimension) -> list[tuple[float, str]]:
    """Places and labels of the ticks of an axis."""
    if dimension.kind == "choice":
        return [
            (_height(dimension, float(place)), short(option))
            for place, option in enumerate(dimension.options)
        ]
    marks = []
    for part in range(_MARKS):
        share = part / (_MARKS - 1)
        low, high = dimension.low, dimension.high
        if dimension.logarithmic:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        marks.append((_height(dimension, value), f"{value:.3g}"))
    return marks if dimension.high > dimension.low else marks[:1]
