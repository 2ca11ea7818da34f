"""What is said of where a search's time went."""

from __future__ import annotations

import logging

import pytest

from sparkopt.hyperopt.search import _log_ending
from sparkopt.study.timings import Timings

SLOW_TRIALS = Timings(
    pool_start=1.0, suggesting=2.0, suggested=100, busy=72.0, waiting=0.5, total=11.0, workers=8
)
SLOW_SUGGESTIONS = Timings(
    pool_start=1.0, suggesting=9.0, suggested=100, busy=8.0, waiting=60.0, total=11.0, workers=8
)


def test_shares_are_of_the_workers_time_once_they_were_up():
    assert (SLOW_TRIALS.available, SLOW_TRIALS.busy_share, SLOW_TRIALS.waiting_share) == (80, 0.9, 0.00625)


def test_a_search_that_never_ran_has_shares_too():
    assert (Timings().available, Timings().busy_share, Timings().waiting_share) == (0, 0, 0)
    assert not Timings().outpaced


@pytest.mark.parametrize(
    ("timings", "outpaced"),
    [
        (SLOW_TRIALS, False),
        (SLOW_SUGGESTIONS, True),
        # Not worth a word.
        (Timings(suggesting=0.09, suggested=100, busy=0.08, waiting=0.6, total=0.1, workers=8), False),
        # Slow ones that were asked for ahead of time, and workers that waited for the rest of the machine.
        (Timings(suggesting=9.0, suggested=9, busy=8.0, waiting=0.1, total=10.0, workers=8), False),
        (Timings(suggesting=0.5, suggested=9, busy=8.0, waiting=70.0, total=10.0, workers=8), False),
    ],
)
def test_suggestions_that_are_slower_than_trials(timings, outpaced):
    assert timings.outpaced is outpaced
    assert ("slower than trials" in timings.summary()) is outpaced


def test_the_figures_are_there():
    said = SLOW_SUGGESTIONS.summary()
    for figure in ("9.00 s", "8.00 s (10%", "60.00 s (75%", "90.00 ms each", "8 workers", "every 10.00 ms"):
        assert figure in said


@pytest.mark.parametrize(
    ("timings", "level"), [(SLOW_TRIALS, logging.INFO), (SLOW_SUGGESTIONS, logging.WARNING)]
)
def test_the_summary_closes_the_search(new_trials, caplog, timings, level):
    trials = new_trials(1)
    trials.take_ending(None, timings)
    with caplog.at_level(logging.INFO, "sparkopt.study"):
        _log_ending(trials)
    assert (caplog.records[-1].levelno, caplog.records[-1].getMessage()) == (level, timings.summary())
