"""Properties of every pruner: order, mode, scale, and what it knows again after a restart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkopt.core.pruning.sorted_values import SortedValues
from sparkopt.core.states import Outcome
from sparkopt.study.pruning_rules import (
    ASHA,
    Hyperband,
    MedianStopping,
    PercentileStopping,
    ThresholdStopping,
)

COMPARING = [
    MedianStopping(warmup_steps=2, min_trials=2),
    MedianStopping(warmup_steps=0, min_trials=0, interval_steps=3),
    PercentileStopping(percentile=20, warmup_steps=1, min_trials=1),
    ASHA(max_steps=12, reduction_factor=2),
    ASHA(max_steps=12, min_steps=3),
    Hyperband(max_steps=12, reduction_factor=2),
]
"""Rules that compare trials with one another."""

RULES = [*COMPARING, ThresholdStopping(lower=-2, upper=2, warmup_steps=1, interval_steps=2)]
VALUES = st.one_of(st.integers(-4, 4).map(float), st.sampled_from([math.nan, math.inf, -math.inf]))
CURVES = st.lists(st.lists(VALUES, min_size=1, max_size=12), min_size=2, max_size=10)
ENDS = st.sampled_from(Outcome)

every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


def fed(pruner, curves, outcomes):
    for tid, curve in enumerate(curves):
        for step, value in enumerate(curve, 1):
            pruner.reported(tid, step, value)
    for tid, outcome in enumerate(outcomes):
        pruner.settled(tid, outcome)
    return pruner


def verdicts(pruner, curve, tid=99):
    return [pruner.reported(tid, step, value) for step, value in enumerate(curve, 1)]


@every_rule
@settings(max_examples=25, deadline=None)
@given(CURVES, st.data())
def test_one_that_is_fed_with_a_journal_decides_as_the_one_before_would_have(rule, curves, data):
    outcomes = [data.draw(ENDS) for _ in curves[:-1]]
    order = data.draw(st.permutations([(t, s) for t, curve in enumerate(curves) for s in range(len(curve))]))
    before, after = rule.make("min"), rule.make("min")
    live = dict.fromkeys(range(len(curves)), 0)
    for tid, _ in order:  # side by side, each trial's own steps in order
        step = live[tid] = live[tid] + 1
        before.reported(tid, step, curves[tid][step - 1])
    for tid in data.draw(st.permutations(range(len(outcomes)))):
        before.settled(tid, outcomes[tid])
    fed(after, curves, outcomes)
    new = data.draw(st.lists(VALUES, max_size=12))
    assert verdicts(before, new) == verdicts(after, new)
    # The last of them has not ended, and goes on.
    last = len(curves) - 1
    steps = range(len(curves[last]) + 1, 13)
    more = [data.draw(VALUES) for _ in steps]
    on = list(zip(steps, more, strict=True))
    assert [before.reported(last, *each) for each in on] == [after.reported(last, *each) for each in on]


@pytest.mark.parametrize("rule", COMPARING, ids=repr)
@settings(max_examples=25, deadline=None)
@given(CURVES, st.data())
def test_to_maximize_is_to_minimize_the_opposite(rule, curves, data):
    outcomes = [data.draw(ENDS) for _ in curves[:-1]]
    least = fed(rule.make("min"), curves, outcomes)
    most = fed(rule.make("max"), [[-value for value in curve] for curve in curves], outcomes)
    new = data.draw(st.lists(VALUES, max_size=12))
    assert verdicts(least, new) == verdicts(most, [-value for value in new])


@pytest.mark.parametrize("rule", COMPARING, ids=repr)
@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-4, 4).map(float), min_size=12, max_size=12), min_size=2, max_size=10))
def test_a_trial_that_is_nowhere_worse_than_any_other_goes_on(rule, curves):
    pruner = fed(rule.make("min"), curves, [Outcome.OK for _ in curves])
    assert not any(verdicts(pruner, [min(step) for step in zip(*curves, strict=True)]))


@pytest.mark.parametrize("rule", COMPARING, ids=repr)
@settings(max_examples=25, deadline=None)
@given(CURVES)
def test_trials_that_report_alike_all_go_on(rule, curves):
    curve = [value if value == value else 0.0 for value in curves[0]]
    pruner = rule.make("min")
    for tid in range(10):
        assert not any(verdicts(pruner, curve, tid))
        pruner.settled(tid, Outcome.OK)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-100, 100).map(float), min_size=1, max_size=60), st.integers(2, 5))
def test_at_a_rung_those_go_on_that_fewer_are_better_than_may_go_on(values, factor):
    pruner = ASHA(max_steps=2, reduction_factor=factor).make("min")
    goes_on = [not pruner.reported(tid, 1, value) for tid, value in enumerate(values)]
    for place, (value, going) in enumerate(zip(values, goes_on, strict=True)):
        better = sum(other < value for other in values[:place])
        assert going == (better < max(1, (place + 1) // factor))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1), st.lists(st.integers(0, 30)), st.floats(0, 100))
def test_sorted_values_are_a_sorted_list(values, removed, percent):
    ours, plain = SortedValues(), list(values)
    for value in values:
        ours.add(value)
    for place in removed:
        if place < len(plain) and len(plain) > 1:
            ours.remove(plain.pop(place))
    plain.sort()
    assert len(ours) == len(plain)
    assert [ours.smallest(rank + 1) for rank in range(len(plain))] == plain
    below, above = (rounding((len(plain) - 1) * percent / 100) for rounding in (math.floor, math.ceil))
    assert plain[below] <= ours.percentile(percent) <= plain[above]
