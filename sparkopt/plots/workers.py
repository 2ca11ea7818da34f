"""Timeline of a search's workers."""

from __future__ import annotations

import time
from typing import Any, Final

from sparkopt.plots.figures import MARKS, SearchFigure, drawable
from sparkopt.plots.searches import DescribesItself
from sparkopt.study.trial_description import TrialDescription

_COLORS: Final = {
    "ok": "tab:blue",
    "pruned": "tab:orange",
    "failed": "tab:red",
    "lost": "tab:purple",
    "cancelled": "0.6",
    "running": "tab:green",
}
_MOST_NAMES: Final = 40
"""Workers beyond this number have no names beside their rows."""


def timeline(trials: DescribesItself) -> SearchFigure:
    """Draw a row for each worker, with a bar for each trial's last attempt, coloured by how it ended.

    Args:
        trials: of a search, such as ``SparkTrials``. Trials whose worker is not known are left out: those
            that have not settled, never ran, or ran before this process went on from a journal.

    Example:
        >>> sparkopt.plots.timeline(trials).savefig("timeline.png")
    """
    now = time.time()
    shown = [trial for trial in trials.described() if trial.worker and trial.started is not None]
    shown.sort(key=lambda trial: trial.started or 0.0)
    rows = {worker: place for place, worker in enumerate(dict.fromkeys(trial.worker for trial in shown))}
    begin = min((trial.started or 0.0 for trial in shown), default=0.0)
    figure = SearchFigure(9, min(12.0, 0.3 * len(rows) + 1.6))
    axes: Any = figure.add_subplot()
    for state, color in _COLORS.items():
        found = [trial for trial in shown if trial.state == state]
        if found:
            axes.barh(
                [rows[trial.worker] for trial in found],
                [_seconds(trial, now) for trial in found],
                left=[(trial.started or 0.0) - begin for trial in found],
                height=0.7,
                color=color,
                edgecolor="white",
                linewidth=0.3,
                label=state,
            )
    if len(rows) <= _MOST_NAMES:
        axes.set_yticks(
            range(len(rows)), [drawable(row) for row in rows], fontsize="x-small", parse_math=False
        )
    else:
        axes.set_ylabel(f"{len(rows)} workers")
    axes.invert_yaxis()
    axes.set_xlabel("seconds since the first trial began")
    axes.locator_params(axis="x", nbins=MARKS)
    if shown:
        axes.legend(loc="upper right", fontsize="x-small")
    figure.subplots_adjust(left=0.2, bottom=0.5 / figure.get_figheight() + 0.05)
    return figure


def _seconds(trial: TrialDescription, now: float) -> float:
    end = now if trial.settled is None else trial.settled
    return max(0.0, end - (trial.started or 0.0))
