"""What the benchmarks make of what they measured."""

from __future__ import annotations

import pytest

from benchmarks.compare import table
from benchmarks.growth import stretches
from benchmarks.statistics import Spread, covered, in_rounds, median_interval, percentile, ratio, ratios
from benchmarks.utilisation import shares


def test_a_spread_is_the_median_and_the_extremes():
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(median=2.0, low=1.0, high=5.0)
    assert Spread.of([4.0, 2.0]) == Spread(median=3.0, low=2.0, high=4.0)


def test_nothing_has_no_spread():
    with pytest.raises(ValueError, match="at least one value"):
        Spread.of([])


def test_a_ratio_is_taken_round_by_round():
    # The second round was slower by ten for both: the ratio does not move.
    assert ratio([2.0, 20.0, 6.0], [1.0, 10.0, 2.0]) == Spread(median=2.0, low=2.0, high=3.0)


def test_a_ratio_needs_the_same_rounds():
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


def test_everybody_is_compared_with_one():
    found = ratios({"own": [1.0, 2.0], "other": [3.0, 8.0]}, to="own")
    assert found == {"own": Spread(1.0, 1.0, 1.0), "other": Spread(3.5, 3.0, 4.0)}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1.0), (0.07, 7.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_a_percentile_is_the_smallest_value_that_covers_its_share(share, expected):
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_percentile_of_nothing_is_refused(values, share):
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_spans_count_as_far_as_they_lie_within():
    assert covered([(0.0, 2.0), (1.0, 5.0), (7.0, 9.0), (-5.0, -4.0)], begin=1.0, end=8.0) == 1.0 + 4.0 + 1.0


def test_everybody_has_one_turn_in_each_round_in_an_order_of_its_own():
    turns = list(in_rounds("abcdef", number=20, seed=1))
    by_round = ["".join(name for each, name in turns if each == number) for number in range(20)]
    assert all(sorted(order) == list("abcdef") for order in by_round)
    assert len(set(by_round)) > 15
    assert {order[0] for order in by_round} == set("abcdef")
    assert turns == list(in_rounds("abcdef", number=20, seed=1))


def test_a_stretch_costs_what_passes_between_ends():
    # The start of the workers, 100 s, is before the first end and does not count.
    ends = [100.0, 100.1, 100.2, 100.4, 100.6, 100.8]
    assert stretches(ends, 2) == pytest.approx([100.0, 200.0])


def test_too_few_trials_make_no_stretches():
    with pytest.raises(ValueError, match="at least 4 trials"):
        stretches([0.0, 1.0, 2.0], 2)


def test_shares_are_of_the_workers_time_and_of_the_whole_call():
    spans = [(10.0, 12.0), (10.0, 11.0), (12.0, 14.0)]
    working, whole = shares(spans, call=(5.0, 15.0), parallelism=2)
    assert working == pytest.approx(5.0 / (4.0 * 2))
    assert whole == pytest.approx(5.0 / (10.0 * 2))


def test_the_interval_of_a_median_holds_it_and_leaves_extremes_out():
    values = [*range(40, 61), 1000.0]
    low, high = median_interval(values)
    assert 40 < low < 50 < high < 60
    assert median_interval([3.0]) == (3.0, 3.0)
    assert median_interval(values) == (low, high)


def test_a_comparison_is_taken_launch_by_launch():
    before = [
        {"clock": 1.0, "A": 0.5, "B": 0.1, "idle": 0.0},
        {"clock": 10.0, "A": 4.0, "B": 0.0, "idle": 0.0},
    ]
    after = [
        {"clock": 2.0, "A": 0.5, "B": 0.1, "idle": 0.0},
        {"clock": 20.0, "A": 4.0, "B": 0.0, "idle": 0.0},
    ]
    found = table(before, after)
    assert [(row[0], row[3], row[4]) for row in found.rows] == [
        ("clock", "2.000", "2.000 to 2.000"),
        ("processors", "1.000", "1.000 to 1.000"),
        ("A", "1.000", "1.000 to 1.000"),
    ]
