"""The pace of calls: more at once where they wait, fewer where the store has too much to do."""

from __future__ import annotations

import pytest

from sparkopt.tracking.pace import Pace, pace_for


def answers(pace, count, seconds, busy=0.004, more=True, kind="log"):
    for _ in range(count):
        pace.answered(kind, seconds, busy, more)
    return pace.limit


def test_calls_that_wait_soon_have_company():
    pace = Pace(1, 16)
    assert answers(pace, 2, 0.05) == 1  # they say nothing yet
    assert answers(pace, 15, 0.05) == 16
    assert answers(pace, 50, 0.05) == 16


def test_calls_that_nobody_waits_for_need_no_company():
    assert answers(Pace(1, 16), 50, 0.05, more=False) == 1


@pytest.mark.parametrize("seconds", [0.005, 0.02])
def test_a_store_on_this_machine_has_one_call_at_a_time(seconds):
    assert answers(Pace(1, 16), 50, seconds) == 1


def test_what_takes_time_by_itself_needs_no_company():
    assert answers(Pace(1, 16), 50, 0.3, busy=0.29) == 1


def test_one_slow_call_among_fast_ones_changes_nothing():
    pace = Pace(1, 16)
    answers(pace, 10, 0.004)
    assert answers(pace, 1, 5.0) == 1


def test_a_store_that_has_become_fast_has_as_many_as_at_first():
    pace = Pace(2, 16)
    assert answers(pace, 30, 0.05) == 16
    assert answers(pace, 200, 0.005) == 2


def test_a_store_that_pushes_back_has_half_as_many_and_then_slowly_more():
    pace = Pace(4, 64)
    answers(pace, 100, 0.05)
    assert pace.limit == 64
    for limit in (32, 16, 8, 4, 2, 1, 1):
        pace.pushed_back()
        assert pace.limit == limit
    assert answers(pace, 4, 0.05) < 4
    assert answers(pace, 1000, 0.05) > 16


def test_calls_that_only_queue_up_at_the_store_are_no_help():
    pace = Pace(4, 64)
    answers(pace, 8, 0.05)
    before = pace.limit
    answers(pace, 4, 1.0)
    assert pace.limit < before + 4


def test_kinds_of_calls_are_not_compared_with_each_other():
    pace = Pace(1, 16)
    for _ in range(20):
        answers(pace, 1, 0.05, kind="create")
        answers(pace, 1, 0.5, kind="log")
    assert pace.limit == 16


@pytest.mark.parametrize(
    ("uri", "parallelism", "first", "most"),
    [
        ("sqlite:////tmp/mlflow.db", 8, 1, 16),
        ("file:///tmp/mlruns", 8, 1, 1),
        ("/tmp/mlruns", 8, 1, 1),
        ("postgresql://host/db", 8, 2, 10),
        ("mysql+pymysql://host/db", 64, 2, 10),
        ("http://host:5000", 1, 4, 4),
        ("https://host", 8, 4, 16),
        ("databricks", 128, 4, 64),
        ("databricks://profile", 8, 4, 16),
    ],
)
def test_the_pace_to_begin_with_suits_the_store(uri, parallelism, first, most):
    pace = pace_for(uri, parallelism)
    assert pace.limit == first
    assert answers(pace, 200, 0.05) == most
    assert answers(pace_for(uri, parallelism, 3), 200, 0.05) == 3
