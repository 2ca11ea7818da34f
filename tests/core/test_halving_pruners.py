"""Successive halving, Hyperband and thresholds, against tables that were worked out by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from sparkopt.core.pruning.halving import HalvingPruner, rungs
from sparkopt.core.pruning.hyperband import HyperbandPruner
from sparkopt.core.pruning.pruner import Maximizing
from sparkopt.core.pruning.threshold import ThresholdPruner
from sparkopt.core.states import Outcome
from tests.core.pruning_support import INF, NAN, verdicts


@pytest.mark.parametrize(
    ("first", "end", "factor", "expected"),
    [
        (1, 27, 3, [1, 3, 9]),  # at 27 a trial ends anyway
        (1, 28, 3, [1, 3, 9, 27]),
        (5, 100, 2, [5, 10, 20, 40, 80]),
        (1, 2, 10, [1]),
    ],
)
def test_rungs(first, end, factor, expected):
    assert rungs(first, end, factor) == expected


ARRIVALS = [
    # value, goes on    those that came to the rung, in order        the third of them
    (5.0, True),  # 5                                                the best, as long as there is no third
    (6.0, False),  # 5 6
    (4.0, True),  # 4 5 6                                            1
    (4.5, False),  # 4 4.5 5 6                                       1
    (4.0, True),  # 4 4 4.5 5 6                                      1: as good as the best
    (4.25, False),  # 4 4 4.25 4.5 5 6                               2: 4 4
    (3.0, True),  # 3 4 4 4.25 4.5 5 6                               2: 3 4
    (3.5, True),  # 3 3.5 4 4 4.25 4.5 5 6                           2: 3 3.5
    (4.0, True),  # 3 3.5 4 4 4 4.25 4.5 5 6                         3: 3 3.5 4
    (4.125, False),
]


def test_at_a_rung_the_best_third_goes_on():
    pruner = HalvingPruner([1, 3, 9], 3)
    assert [pruner.reported(tid, 1, value) for tid, (value, _) in enumerate(ARRIVALS)] == [
        not goes_on for _, goes_on in ARRIVALS
    ]


def test_the_largest_values_are_the_best_of_a_maximizing_pruner():
    pruner = Maximizing(HalvingPruner([1, 3, 9], 3))
    assert [pruner.reported(tid, 1, -value) for tid, (value, _) in enumerate(ARRIVALS)] == [
        not goes_on for _, goes_on in ARRIVALS
    ]


def test_between_rungs_and_before_the_first_nothing_stops():
    pruner = HalvingPruner([3, 9], 3)
    for tid in range(3):
        verdicts(pruner, tid, [0.0] * 12)
    assert verdicts(pruner, 9, [9.0] * 12) == [step in (3, 9) for step in range(1, 13)]


def test_each_rung_compares_those_that_have_come_there():
    pruner = HalvingPruner([1, 3], 2)
    assert [pruner.reported(tid, 1, value) for tid, value in enumerate((3.0, 2.0, 1.0))] == [False] * 3
    assert pruner.reported(0, 3, 3.0) is False
    assert pruner.reported(1, 3, 5.0) is True
    assert pruner.reported(2, 3, 2.0) is False


def test_the_first_report_after_a_rung_stands_for_it_and_of_several_rungs_the_last_counts():
    pruner = HalvingPruner([1, 3, 9], 3)
    assert pruner.reported(0, 5, 1.0) is False
    assert pruner.reported(1, 5, 2.0) is True
    assert pruner.reported(1, 6, 2.0) is False  # that rung is behind it
    assert pruner.reported(2, 1, 2.0) is False  # nobody was at the first one
    assert pruner.reported(2, 12, 2.0) is False


def test_a_value_at_a_rung_that_comes_again_replaces_the_one_before():
    pruner = HalvingPruner([1, 3, 9], 3)
    assert verdicts(pruner, 0, [1.0, 1.0, 1.0]) == [False] * 3
    assert verdicts(pruner, 1, [2.0]) == [True]
    # Another attempt at trial 0 is worse: 3, 2 are those that have come to step 1.
    assert verdicts(pruner, 0, [3.0]) == [True]
    assert verdicts(pruner, 1, [2.0]) == [False]
    assert verdicts(pruner, 2, [2.5]) == [True]  # and not 3 of 4, of which it would be the best third


def test_an_attempt_that_reports_nearer_to_the_rung_is_judged_by_that():
    pruner = HalvingPruner([3, 9], 3)
    assert pruner.reported(0, 5, 1.0) is False
    assert pruner.reported(0, 4, 9.0) is False  # alone
    assert pruner.reported(1, 3, 8.0) is False
    assert pruner.reported(0, 6, 0.0) is False


def test_values_stay_at_their_rungs_however_the_trial_ended():
    for outcome in Outcome:
        pruner = HalvingPruner([1], 2)
        pruner.reported(0, 1, 1.0)
        pruner.settled(0, outcome)
        pruner.settled(7, outcome)  # which said nothing
        assert pruner.reported(1, 1, 2.0) is True


def test_nan_stops_a_trial_at_a_rung_and_is_forgotten():
    pruner = HalvingPruner([2, 4], 2)
    assert verdicts(pruner, 0, [NAN, NAN, NAN]) == [False, True, False]
    assert verdicts(pruner, 1, [9.0, 9.0]) == [False, False]  # the first that has a value
    assert verdicts(pruner, 0, [1.0, 1.0]) == [False, False]  # another attempt
    assert verdicts(pruner, 2, [5.0, 5.0]) == [False, True]


def test_infinities_compare_as_floats_do():
    pruner = HalvingPruner([1], 3)
    assert [pruner.reported(tid, 1, value) for tid, value in enumerate((INF, INF, 0.0, INF, -INF))] == [
        *(False, False, False, True, False)
    ]


@pytest.mark.parametrize(
    ("first", "end", "factor", "expected"),
    [
        (1, 27, 3, [[1, 3, 9], [3, 9], [9], []]),
        (1, 10, 3, [[1, 3, 9], [3, 9], [9]]),
        (4, 5, 2, [[4]]),
        (3, 27, 3, [[3, 9], [9], []]),
    ],
)
def test_brackets_of_hyperband(first, end, factor, expected):
    pruner = HyperbandPruner(first, end, factor)
    assert [bracket._steps for bracket in pruner.brackets] == expected


def test_each_bracket_gets_its_share_of_any_run_of_trials():
    # ceil(4 * 27 / 4), ceil(4 * 9 / 3), ceil(4 * 3 / 2), 4: 27, 12, 6 and 4 of 49.
    pruner = HyperbandPruner(1, 27, 3)
    for first in (0, 1, 1000, 123_456_789):
        counts = Counter(pruner.bracket_of(tid) for tid in range(first, first + 490))
        assert all(abs(counts[bracket] - 10 * size) <= 3 for bracket, size in enumerate((27, 12, 6, 4)))


def test_a_trial_competes_within_its_bracket():
    pruner = HyperbandPruner(1, 9, 3)
    of_bracket = {bracket: [t for t in range(99) if pruner.bracket_of(t) == bracket] for bracket in range(3)}
    first, second, last = (of_bracket[bracket] for bracket in range(3))
    assert verdicts(pruner, first[0], [1.0] * 9) == [False] * 9
    assert verdicts(pruner, second[0], [2.0] * 9) == [False] * 9
    assert verdicts(pruner, last[0], [3.0] * 9) == [False] * 9
    assert verdicts(pruner, first[1], [2.0] * 9) == [step in (1, 3) for step in range(1, 10)]
    assert verdicts(pruner, second[1], [3.0] * 9) == [step == 3 for step in range(1, 10)]
    assert verdicts(pruner, last[1], [99.0] * 9) == [False] * 9
    for tid in (first[0], second[0], last[0]):
        pruner.settled(tid, Outcome.OK)


@pytest.mark.parametrize(
    ("value", "stops"),
    [
        (0.0, False),
        (1.0, False),
        (0.5, False),
        (-0.5, True),
        (1.5, True),
        (NAN, True),
        (INF, True),
        (-INF, True),
    ],
)
def test_a_value_out_of_bounds_stops_its_trial(value, stops):
    assert ThresholdPruner(0.0, 1.0, 0, 1).reported(0, 1, value) is stops


def test_an_infinite_bound_is_none():
    assert ThresholdPruner(-INF, 1.0, 0, 1).reported(0, 1, -INF) is False
    assert ThresholdPruner(0.0, INF, 0, 1).reported(0, 1, INF) is False


def test_a_threshold_is_looked_at_once_in_each_interval_after_the_warm_up():
    pruner = ThresholdPruner(0.0, 1.0, warmup=3, interval=3)
    assert verdicts(pruner, 0, [9.0] * 9) == [step in (3, 6, 9) for step in range(1, 10)]
    assert verdicts(pruner, 0, [9.0] * 3) == [False, False, True]  # another attempt
    pruner.settled(0, Outcome.PRUNED)
    pruner.settled(1, Outcome.OK)
