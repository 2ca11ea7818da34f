"""Trials that report nothing, of a search that prunes by reports: the user is told, once."""

from __future__ import annotations

import warnings

import pytest

from sparkopt.core.states import Outcome
from sparkopt.errors import SparkoptWarning
from sparkopt.study.trial_record import Proposal, TrialRecord
from sparkopt.study.unreported import UnreportedListener
from sparkopt.wire.value_series import ValueSeries


def told(listener, *outcomes, reports=None):
    """What is said while trials with these outcomes settle."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for tid, outcome in enumerate(outcomes):
            record = TrialRecord(Proposal(tid, {}))
            record.outcome, record.reports = outcome, reports
            listener.settled(record)
    assert all(each.category is SparkoptWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize(
    ("metric", "remedy"), [(None, r"call sparkopt.report(value, step)"), ("val", "log the metric 'val'")]
)
def test_three_trials_without_a_report_are_told_once_with_what_to_do(metric, remedy):
    listener = UnreportedListener(metric)
    assert told(listener, Outcome.OK, Outcome.FAILED, Outcome.CANCELLED, Outcome.OK, Outcome.LOST) == []
    (said,) = told(listener, Outcome.OK)
    assert said.startswith("3 trials have succeeded, and none has reported a value")
    assert remedy in said
    assert told(listener, *[Outcome.OK] * 9) == []


def test_one_that_has_reported_is_enough():
    series = ValueSeries()
    series.extend([1], [0.5])
    record = TrialRecord(Proposal(9, {}))
    running, settled = UnreportedListener(None), UnreportedListener(None)
    running.reported(record, series)
    assert told(settled, Outcome.OK, reports=series) == []
    for listener in (running, settled):
        assert told(listener, *[Outcome.OK] * 9) == []
