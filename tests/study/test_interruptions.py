"""Trials that are interrupted again and again for no fault of their own: the user is told, once."""

from __future__ import annotations

import warnings

import pytest

from sparkopt.errors import SparkoptWarning
from sparkopt.study.interruptions import InterruptionListener
from sparkopt.study.trial_record import Proposal, TrialRecord


def starts(listener, tid, attempts):
    """What is said while a trial begins so many attempts."""
    record = TrialRecord(Proposal(tid, {}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for attempt in range(1, attempts + 1):
            record.attempt = attempt
            listener.started(record)
    assert all(each.category is SparkoptWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_ten_interruptions_at_least_are_worth_a_warning(max_attempts):
    # All attempts but the last one were interrupted, and one less than the trial may lose was charged.
    assert starts(InterruptionListener(max_attempts), 0, max_attempts + 9) == []
    (said,) = starts(InterruptionListener(max_attempts), 0, max_attempts + 10)
    assert said.startswith(f"trial 0 begins its attempt {max_attempts + 10}: its executors are taken away")


def test_one_trial_of_a_search_is_named():
    listener = InterruptionListener(1)
    assert len(starts(listener, 4, 30)) == 1
    assert starts(listener, 5, 30) == []
