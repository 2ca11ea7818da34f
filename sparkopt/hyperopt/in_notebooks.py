"""Trials as notebooks show them, and what an interrupted cell says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparkopt.hyperopt.trial_counts import TrialCounts
from sparkopt.hyperopt.trials_html import trials_html
from sparkopt.notebook.interrupts import show_in_a_line
from sparkopt.notebook.markup import counted

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials


class NotebookTrials(TrialCounts):
    """Trials that a notebook shows as a table of the best, with counts and a curve of the losses."""

    def _repr_html_(self: Any) -> str:
        return trials_html(self)


@contextmanager
def interruptible(
    trials: SparkTrials, advice: str = "fmin with the same trials goes on from there"
) -> Iterator[None]:
    """Have IPython show an interrupt of a search in one line, which says what there is by then.

    Args:
        trials: of the search.
        advice: how to go on.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        finished = trials.count_total_trials() - trials.count_cancelled_trials()
        show_in_a_line(interrupt, f"fmin was interrupted after {counted(finished, 'trial')}; {advice}.")
        raise
