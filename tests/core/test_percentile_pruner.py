"""Median and percentile stopping, against tables that were worked out by hand."""

from __future__ import annotations

import pytest

from sparkopt.core.pruning.percentile import MOST_INTERVALS, PercentilePruner
from sparkopt.core.pruning.pruner import Maximizing
from sparkopt.core.pruning.sorted_values import SortedValues
from sparkopt.core.states import Outcome
from tests.core.pruning_support import INF, NAN, finish, verdicts

CURVES = [
    # step  1    2    3    4
    (8.0, 6.0, 5.0, 4.0),
    (4.0, 4.0, 4.0, 4.0),
    (6.0, 2.0, 1.0, 1.0),
    (9.0, 8.0, 7.0, 0.0),
]
"""Sorted by step: 4 6 8 9, 2 4 6 8, 1 4 5 7, 0 1 4 4. So the medians are 7, 5, 4.5 and 2.5."""


def median(warmup=0, interval=1, min_trials=1):
    return PercentilePruner(50, warmup, interval, min_trials)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((7.0, 5.0, 4.5, 2.5), [False, False, False, False]),  # the median itself is good enough
        ((7.5, 5.0, 4.5, 2.5), [True, False, False, False]),
        ((7.0, 5.5, 4.5, 3.0), [False, True, False, True]),
        ((1.0, 9.0, 9.0, 9.0), [False, False, False, False]),  # the best so far counts, not the latest
        ((9.0, 9.0, 9.0, 1.0), [True, True, True, False]),
    ],
)
def test_a_trial_stops_where_its_best_value_is_worse_than_the_median(values, expected):
    pruner = median()
    finish(pruner, CURVES)
    assert verdicts(pruner, 1, values) == expected


@pytest.mark.parametrize(
    ("percent", "at_step_1"),
    [(0, 4.0), (25, 5.5), (50, 7.0), (75, 8.25), (100, 9.0)],
)
def test_a_percentile_is_on_the_line_between_two_values(percent, at_step_1):
    pruner = PercentilePruner(percent, 0, 1, 1)
    finish(pruner, CURVES)
    assert verdicts(pruner, 1, [at_step_1]) == [False]
    assert verdicts(pruner, 2, [at_step_1 + 0.125]) == [True]


def test_the_largest_values_are_the_best_of_a_maximizing_pruner():
    pruner = Maximizing(PercentilePruner(25, 0, 1, 1))
    finish(pruner, CURVES)
    # The best quarter of 4 6 8 9 begins at 8.25.
    assert [pruner.reported(tid, 1, value) for tid, value in enumerate((8.0, 8.25, 9.0))] == [
        True,
        False,
        False,
    ]


def test_nothing_stops_before_its_warm_up_or_before_enough_trials_have_finished():
    pruner = median(warmup=3, min_trials=3)
    finish(pruner, CURVES[:2])
    assert verdicts(pruner, 1, [99.0] * 4) == [False] * 4
    finish(pruner, CURVES[2:3])
    assert verdicts(pruner, 2, [99.0] * 4) == [False, False, True, True]
    # A value of the warm-up is one of those that the trial has reached.
    assert verdicts(pruner, 3, [0.0, 99.0, 99.0, 99.0]) == [False] * 4


def test_trials_are_compared_with_those_alone_that_ended_well():
    pruner = median()
    for tid, outcome in enumerate((Outcome.FAILED, Outcome.PRUNED, Outcome.CANCELLED, Outcome.LOST)):
        verdicts(pruner, tid, [0.0])
        pruner.settled(tid, outcome)
    assert verdicts(pruner, 9, [99.0]) == [False]
    finish(pruner, [[1.0]])
    assert verdicts(pruner, 10, [2.0]) == [True]


def test_a_trial_that_ended_well_without_a_report_is_one_of_those_that_have_finished():
    pruner = median(min_trials=2)
    finish(pruner, [[1.0]])
    assert verdicts(pruner, 1, [2.0]) == [False]
    pruner.settled(2, Outcome.OK)
    assert verdicts(pruner, 3, [2.0]) == [True]


def test_nothing_stops_at_a_step_that_no_finished_trial_has_reported():
    pruner = median()
    finish(pruner, CURVES)
    assert pruner.reported(1, 5, 99.0) is False


def test_of_each_interval_the_first_report_is_judged_and_compared():
    pruner = median(warmup=10, interval=10)
    finish(pruner, [[1.0, 7.0, 7.0]], first=12)  # 1.0 is the value of steps 10 to 19
    assert pruner.reported(1, 15, 2.0) is True
    assert pruner.reported(2, 15, 1.0) is False
    assert pruner.reported(2, 16, 9.0) is False
    assert pruner.reported(3, 9, 9.0) is False
    assert pruner.reported(3, 20, 9.0) is False  # nobody else was there


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((NAN, NAN), [True, True]),
        ((1.0, NAN), [False, False]),  # it has been good enough
        ((NAN, 1.0), [True, False]),
        ((INF, INF), [True, True]),
        ((-INF, NAN), [False, False]),
    ],
)
def test_nan_is_no_value_and_infinities_are_the_worst_and_the_best(values, expected):
    pruner = median()
    finish(pruner, CURVES)
    assert verdicts(pruner, 1, values) == expected


@pytest.mark.parametrize(
    ("finished", "stops", "goes_on"),
    [
        ((NAN, NAN, 3.0), 4.0, 3.0),
        ((INF, 3.0, INF), None, INF),
        ((INF, 3.0), None, INF),
        ((-INF, 3.0), 4.0, 3.0),
        ((-INF, -INF, INF), 3.0, -INF),
        ((NAN,), None, INF),
    ],
)
def test_values_of_finished_trials_that_are_not_finite(finished, stops, goes_on):
    pruner = median()
    finish(pruner, [[value] for value in finished])
    assert verdicts(pruner, 1, [goes_on]) == [False]
    if stops is not None:
        assert verdicts(pruner, 2, [stops]) == [True]


def test_another_attempt_is_judged_by_its_own_values_up_to_the_step():
    pruner = median()
    finish(pruner, CURVES)
    assert verdicts(pruner, 1, [0.0, 0.0, 0.0]) == [False] * 3
    assert verdicts(pruner, 1, [9.0, 9.0, 9.0]) == [True] * 3
    pruner.settled(1, Outcome.OK)
    # Its last values are those that others are compared with: 4 6 8 9 9 at step 1.
    assert verdicts(pruner, 2, [8.0]) == [False]
    assert verdicts(pruner, 3, [8.5]) == [True]


def test_steps_that_come_out_of_order_count_where_they_belong():
    pruner = median()
    finish(pruner, CURVES)
    assert pruner.reported(1, 4, 9.0) is True
    assert pruner.reported(1, 2, 1.0) is False
    assert pruner.reported(1, 1, 9.0) is True
    assert pruner.reported(1, 3, 9.0) is False  # for the 1.0 at step 2
    assert pruner.reported(1, 4, 9.0) is False


def test_intervals_grow_with_the_steps_and_their_number_does_not():
    pruner = median()
    steps = range(1, 100_001)
    for step in steps:
        pruner.reported(1, step, -float(step))
    pruner.settled(1, Outcome.OK)
    assert len(pruner._finished) <= MOST_INTERVALS
    # The first step of each 256, and what was there.
    assert pruner.reported(2, 51_200, -51_200.0) is False
    assert pruner.reported(3, 51_200, -51_199.0) is True
    assert pruner.reported(4, 51_201, -51_200.0) is False
    assert pruner.reported(4, 51_202, 0.0) is False


def test_steps_that_lie_far_apart_are_as_few_intervals():
    pruner = median()
    for step in range(2 * MOST_INTERVALS):
        pruner.reported(1, 1_000_003 * step, 1.0)
    pruner.settled(1, Outcome.OK)
    assert MOST_INTERVALS / 2 <= len(pruner._finished) <= MOST_INTERVALS
    assert pruner.reported(2, 0, 2.0) is True


def test_trials_that_report_at_steps_of_their_own_are_bounded_too():
    pruner = median()
    for tid in range(20):
        for step in range(100):
            pruner.reported(tid, 1 + tid + 20 * step, 1.0)
        pruner.settled(tid, Outcome.OK)
    assert len(pruner._finished) <= MOST_INTERVALS
    assert pruner.reported(99, 1001, 2.0) is True


def test_values_in_order():
    values = SortedValues()
    for value in (3.0, 1.0, 2.0, 1.0, INF, -INF):
        values.add(value)
    assert [values.smallest(rank) for rank in range(1, 7)] == [-INF, 1.0, 1.0, 2.0, 3.0, INF]
    values.remove(1.0)
    values.remove(INF)
    assert [values.smallest(rank) for rank in range(1, len(values) + 1)] == [-INF, 1.0, 2.0, 3.0]
