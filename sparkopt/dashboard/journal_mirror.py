"""Searches from their journals, after the fact: read once, into the mirror."""

from __future__ import annotations

import datetime
import math
import os
from typing import Final

from sparkopt.dashboard.mirror import Mirror
from sparkopt.hyperopt.journal_reading import JournalTrial, look, rows_of
from sparkopt.study.journal import without_secrets
from sparkopt.study.journal.rows import VALUES
from sparkopt.study.trial_description import DescribedState, TrialDescription, plain_value
from sparkopt.wire.value_series import ValueSeries

_JOURNAL: Final = "journal"
_STATES: Final[dict[str, DescribedState]] = {
    "submitted": "pending",
    "started": "running",
    "ok": "ok",
    "failed": "failed",
    "pruned": "pruned",
    "cancelled": "cancelled",
    "lost": "lost",
}


def mirror_journal(mirror: Mirror, place: str | os.PathLike[str], trust: bool) -> int:
    """Have a mirror show the trials of a journal; returns how many there are.

    Args:
        mirror: shows them.
        place: path or address of the journal.
        trust: whether to unpickle values and results, as :func:`sparkopt.read_journal` does.

    Raises:
        RefusedError: if there is no journal.
        JournalError: if it cannot be read.
    """
    contents = look(place)
    rows = [*rows_of(contents, trust)]
    study = str(without_secrets(os.fspath(place)))
    dimensions = contents.dimensions()
    by_index = frozenset(each.label for each in dimensions if each.kind == "choice")
    mirror.add_study(_JOURNAL, study, dimensions, by_index)
    for row, trial in zip(rows, contents.trials(), strict=True):
        reports: dict[int, float] = {}
        for report in contents.reports(trial):
            if report.kind == VALUES and report.value.body is not None:
                reports.update(ValueSeries.from_bytes(report.value.body))
        mirror.describe(_JOURNAL, study, _described(row, reports))
    mirror.refresh()
    return len(rows)


def _described(row: JournalTrial, reports: dict[int, float]) -> TrialDescription:
    loss = None if row.loss is None or math.isnan(row.loss) else [row.loss]
    lines = row.reason.strip().splitlines()
    return TrialDescription(
        row.tid,
        _STATES.get(row.state, "running"),
        {label: plain_value(value) for label, value in row.values.items()},
        loss,
        reports,
        started=_seconds(row.started),
        settled=_seconds(row.settled),
        error=lines[-1] if lines else "",
    )


def _seconds(moment: datetime.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
