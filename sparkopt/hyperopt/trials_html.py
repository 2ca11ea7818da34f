"""Trials as HTML: counts, a curve of the losses, a table of the best, and why others failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base, pyll

from sparkopt.hyperopt.ranking import ranked, with_losses
from sparkopt.hyperopt.readable import ReadableSpace
from sparkopt.hyperopt.summary_line import counts_in_words
from sparkopt.notebook import markup
from sparkopt.notebook.loss_curve import loss_curve
from sparkopt.study.failures import Failures

if TYPE_CHECKING:
    from sparkopt.hyperopt.documents import Document
    from sparkopt.hyperopt.spark_trials import SparkTrials

_BEST: Final = 5
_LABELS: Final = 12
"""Most parameters that have a column."""


def trials_html(trials: SparkTrials) -> str:
    """Trials as HTML for a notebook. What comes from users is escaped, and cut where it is long."""
    counts = trials.count_by_status()
    unsettled = len(trials._dynamic_trials) - sum(counts.values())
    said = counts_in_words(counts)
    timings = trials.timings
    times = [f"last search {markup.duration(timings.total)}"] if timings.total else []
    if timings.available:
        times.append(f"workers busy {timings.busy_share:.0%} of their time")
    if trials.fmin_cancelled_reason is not None:
        times.append(f"ended early: {trials.fmin_cancelled_reason}")
    return markup.block(
        markup.listed(
            [
                markup.strong(f"SparkTrials: {markup.counted(len(trials._dynamic_trials), 'trial')}"),
                markup.escaped(said),
                markup.escaped(f"{unsettled:,} not settled") if unsettled else "",
                *map(markup.quiet, times),
            ]
        ),
        loss_curve([loss for _, loss in with_losses(trials)]),
        _table(trials),
        _failures(trials),
    )


def _table(trials: SparkTrials) -> str:
    best = ranked(trials, _BEST)
    if not best:
        return ""
    words = _words(trials)
    points = [words(_drawn(document)) for document, _ in best]
    labels = sorted({label for point in points for label in point})
    shown, more = labels[:_LABELS], len(labels) - _LABELS
    rows = [
        [
            document["tid"],
            markup.number(loss),
            _seconds(document),
            *(point.get(label, "") for label in shown),
            *(["…"] if more > 0 else []),
        ]
        for (document, loss), point in zip(best, points, strict=True)
    ]
    headings = ["trial", "loss", "seconds", *shown, *([f"{more} more"] if more > 0 else [])]
    return markup.table(headings, rows, right=3)


def _drawn(document: Document) -> dict[str, Any]:
    return {label: values[0] for label, values in document["misc"]["vals"].items() if len(values)}


def _words(trials: SparkTrials) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """Returns what makes text of drawn values: options of choices where the space is known, else indices."""
    options: Mapping[str, list[str]] = {}
    if isinstance(trials._space, (pyll.Apply, dict, list, tuple)):
        options = ReadableSpace(pyll.as_apply(trials._space)).options

    def words(values: Mapping[str, Any]) -> dict[str, str]:
        return {label: _text(value, options.get(label, ())) for label, value in values.items()}

    return words


def _text(value: Any, options: Sequence[str]) -> str:
    if options and value in range(len(options)):
        return str(options[int(value)])
    if isinstance(value, np.generic):
        value = value.item()
    return markup.number(value) if isinstance(value, float) else str(value)


def _seconds(document: Document) -> str:
    begun, ended = document["book_time"], document["refresh_time"]
    return "" if begun is None or ended is None else f"{(ended - begun).total_seconds():.1f}"


def _failures(trials: SparkTrials) -> str:
    failures = Failures()
    for document in [*trials._dynamic_trials]:
        error = document["misc"].get("error")
        if document["state"] == base.JOB_STATE_ERROR and error:
            failures.raised(document["tid"], str(error[0]), str(error[1]))
    if not failures.count:
        return ""
    return markup.coloured(f"failed: {failures.summary()}", markup.RED)
