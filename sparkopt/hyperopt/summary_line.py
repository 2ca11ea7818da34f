"""Summary of a search in a line of text: counts, time, the best loss, and how busy the workers were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sparkopt.hyperopt.ranking import ranked
from sparkopt.notebook.markup import counted, duration, number
from sparkopt.study.trial_record import Status

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials

_WORDS: Final[Mapping[Status, str]] = {
    "success": "ok",
    "failure": "failed",
    "pruned": "pruned",
    "cancelled": "cancelled",
}

_MINUTE: Final = 60.0


def summary_line(trials: SparkTrials, before: Mapping[Status, int]) -> str:
    """Sums up the last search of some trials.

    Args:
        trials: of the search.
        before: how many of them had ended before it, by how they had.
    """
    now = trials.count_by_status()
    own = {status: count - before.get(status, 0) for status, count in now.items()}
    seconds = trials.timings.total
    took = f"{seconds:.1f} s" if seconds < _MINUTE else duration(seconds)
    more = f", {sum(now.values()):,} with earlier ones" if any(before.values()) else ""
    ended = counted(sum(own.values()), "trial")
    said = f"{ended} in {took}: {counts_in_words(own) or 'none has ended'}{more}."
    for best, loss in ranked(trials, 1):
        said += f" Best loss {number(loss)} (trial {best['tid']})."
    if trials.timings.available:
        said += f" The workers were busy {trials.timings.busy_share:.0%} of their time."
    if trials.fmin_cancelled_reason is not None:
        said += f" Ended early: {trials.fmin_cancelled_reason}."
    return said


def counts_in_words(counts: Mapping[Status, int]) -> str:
    """Returns counts of trials as a list of those that are not 0."""
    return ", ".join(f"{counts[status]:,} {word}" for status, word in _WORDS.items() if counts[status])
