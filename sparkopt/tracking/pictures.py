"""Two pictures of a search: its result over its trials, and against each hyperparameter."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLUMNS: Final = 4
_MOST_PANELS: Final = 40
_INCHES: Final = 2.6
_MARKS: Final = 6
_PANEL_MARKS: Final = 4
"""Into how many parts an axis is divided, at most."""

_DECADES: Final = 100.0
"""Values that are further apart than by this factor are drawn on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Point:
    """A finished trial.

    Attributes:
        tid: its number within the study.
        result: its loss, or what else the search is about.
        values: what was drawn, by label.
    """

    tid: int
    result: float
    values: Mapping[str, float]


def result_over_trials(points: Sequence[Point], name: str, maximizes: bool) -> bytes:
    """A PNG of each trial's result, in the order of the ids, and the best so far.

    Args:
        points: the finished trials.
        name: of the result, such as loss.
        maximizes: whether the largest result is the best.
    """
    figure = Figure(figsize=(8, 4.5))
    axes = figure.add_subplot()
    ordered = sorted(points, key=lambda point: point.tid)
    tids = [point.tid for point in ordered]
    best = accumulate((point.result for point in ordered), max if maximizes else min)
    axes.plot(tids, [point.result for point in ordered], "o", markersize=3.5, alpha=0.6, label=name)
    axes.step(tids, list(best), where="post", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(name)
    # Finding the best place for the legend, and many tick marks, take most of the time of such a picture.
    axes.legend(loc="upper right")
    axes.locator_params(nbins=_MARKS)
    return _png(figure)


def result_by_parameter(points: Sequence[Point], name: str, options: Mapping[str, Sequence[str]]) -> bytes:
    """A PNG with a panel for each hyperparameter: its values, and the results of the trials that had them.

    Args:
        points: the finished trials.
        name: of the result, such as loss.
        options: of the hyperparameters that are choices, in words.
    """
    labels = sorted({label for point in points for label in point.values})[:_MOST_PANELS]
    columns = max(1, min(_COLUMNS, len(labels)))
    rows = max(1, math.ceil(len(labels) / columns))
    width, height = _INCHES * columns + 1, _INCHES * rows + 0.5
    figure = Figure(figsize=(width, height))
    # In inches: a layout that is computed takes longer than all the rest of the picture.
    figure.subplots_adjust(0.8 / width, 0.6 / height, 1 - 0.2 / width, 1 - 0.3 / height, 0.35, 0.6)
    for index, label in enumerate(labels):
        axes: Any = figure.add_subplot(rows, columns, index + 1)
        known = [point for point in points if label in point.values]
        values = [point.values[label] for point in known]
        axes.plot(values, [point.result for point in known], "o", markersize=3.5, alpha=0.6)
        axes.locator_params(nbins=_PANEL_MARKS)
        if label not in options and min(values) > 0 and max(values) > _DECADES * min(values):
            axes.set_xscale("log")
        # A dollar sign is one, and begins no formula.
        axes.set_title(label, fontsize="small", parse_math=False)
        if label in options:
            words = [_short(option) for option in options[label]]
            axes.set_xticks(
                range(len(words)), words, rotation=30, ha="right", fontsize="x-small", parse_math=False
            )
        if index % columns == 0:
            axes.set_ylabel(name)
    return _png(figure)


def _short(words: str, most: int = 18) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
