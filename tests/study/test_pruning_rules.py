"""Settings of pruning rules: what they accept, what they refuse, and what they make."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from sparkopt.core.pruning.pruner import Pruner
from sparkopt.core.states import Outcome
from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.study.pruning_rules import (
    ASHA,
    Hyperband,
    MedianStopping,
    PercentileStopping,
    ThresholdStopping,
    check_mode,
    check_pruner,
    make_pruner,
)
from tests.core.pruning_support import verdicts

RULES = [
    MedianStopping(warmup_steps=3),
    PercentileStopping(percentile=25, warmup_steps=3),
    ASHA(max_steps=27),
    Hyperband(max_steps=27),
    ThresholdStopping(upper=1),
]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)


@every_rule
def test_a_rule_makes_a_new_pruner_for_each_search(rule):
    first, second = rule.make("min"), make_pruner(rule, "min")
    assert isinstance(first, Pruner)
    assert first is not second
    for tid in range(9):
        verdicts(first, tid, [0.0] * 9)
        first.settled(tid, Outcome.OK)
    # The second knows nothing of that.
    assert verdicts(second, 99, [0.5] * 9) == [False] * 9


@every_rule
def test_a_rule_pickles_and_does_not_change(rule):
    assert pickle.loads(pickle.dumps(rule)) == rule
    with pytest.raises(AttributeError):
        setattr(rule, dataclasses.fields(rule)[0].name, 9)


def test_numbers_of_numpys_and_whole_floats_are_plain_numbers():
    rule = ASHA(max_steps=np.int64(81), min_steps=3.0, reduction_factor=np.int32(4))
    assert repr(rule) == "ASHA(max_steps=81, min_steps=3, reduction_factor=4)"
    assert ThresholdStopping(upper=np.float32(0.5)).upper == 0.5
    assert type(PercentileStopping(percentile=25, warmup_steps=0).percentile) is float


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MedianStopping(warmup_steps=-1), "warmup_steps must be a step: a whole number, at least 0"),
        (
            lambda: MedianStopping(warmup_steps=1, min_trials=-1),
            "min_trials must be a whole number of trials",
        ),
        (lambda: MedianStopping(warmup_steps=1, interval_steps=0), "interval_steps must be a whole number"),
        (
            lambda: PercentileStopping(percentile=101, warmup_steps=1),
            "percentile must be a number between 0 and",
        ),
        (
            lambda: ASHA(max_steps=1),
            "max_steps must be a whole number of steps, more than min_steps, which is 1",
        ),
        (lambda: ASHA(max_steps=9, min_steps=0), "min_steps must be a whole number, at least 1, got 0"),
        (
            lambda: ASHA(max_steps=9, reduction_factor=1),
            "reduction_factor must be a whole number, at least 2",
        ),
        (lambda: Hyperband(max_steps=3, min_steps=3), "max_steps must be .* more than min_steps, which is 3"),
        (lambda: ThresholdStopping(lower=2, upper=1), "lower must be at most upper, which is 1.0, got 2.0"),
        (lambda: ThresholdStopping(upper=float("nan")), "upper must be None or a number, got nan"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(ArgumentValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MedianStopping(warmup_steps=None), "warmup_steps must be a step: .*, got None"),
        (lambda: MedianStopping(warmup_steps=2.5), "warmup_steps must be a step: .*, got 2.5"),
        (lambda: ASHA(max_steps="27"), "max_steps must be a whole number of steps"),
        (lambda: PercentileStopping(percentile="25", warmup_steps=1), "percentile must be a number between"),
        (lambda: ASHA(max_step=27), r"ASHA\(\) has no argument 'max_step': did you mean 'max_steps'\?"),
        (lambda: MedianStopping(warm_up=2), r"MedianStopping\(\) has no argument 'warm_up'"),
    ],
)
def test_what_is_no_number_or_no_argument_is_refused(make, message):
    with pytest.raises(ArgumentTypeError, match=message):
        make()


class Own:
    """A pruner of the user's."""

    def reported(self, tid, step, value):
        return value > 1

    def settled(self, tid, outcome):
        pass


def test_a_pruner_of_the_users_is_used_as_it_is():
    own = Own()
    assert check_pruner(own) is own
    assert make_pruner(own, "max") is own
    assert check_pruner(None) is None
    assert check_pruner(RULES[0]) is RULES[0]


def test_a_class_in_the_place_of_a_rule_is_refused():
    with pytest.raises(
        ArgumentTypeError, match=r"pruner must be .*, got the class ASHA: make one: ASHA\(...\)"
    ):
        check_pruner(ASHA)


def test_a_pruner_of_optunas_is_refused_with_the_reason():
    optuna = pytest.importorskip("optuna")
    with pytest.raises(ArgumentTypeError, match="those of Optuna need its study"):
        check_pruner(optuna.pruners.MedianPruner())


@pytest.mark.parametrize("pruner", ["median", 3, lambda tid, step, value: False])
def test_anything_else_is_refused(pruner):
    with pytest.raises(
        ArgumentTypeError, match="pruner must be None, MedianStopping, PercentileStopping, ASHA"
    ):
        check_pruner(pruner)


class OneArgument(Own):
    def settled(self, tid):
        pass


class Asynchronous(Own):
    async def reported(self, tid, step, value):
        return False


@pytest.mark.parametrize(
    ("pruner", "said"),
    [
        (
            OneArgument(),
            r"pruner's settled must be a method \(tid, outcome\), got .*signature is \(tid\)",
        ),
        (
            Asynchronous(),
            r"pruner's reported must be a method \(tid, step, value\), got .*to be awaited",
        ),
    ],
)
def test_methods_that_cannot_be_called_so_are_refused_before_anything_starts(pruner, said):
    with pytest.raises(ArgumentTypeError, match=said):
        check_pruner(pruner)


def test_modes():
    assert check_mode("min") == "min"
    assert check_mode("max") == "max"
    with pytest.raises(ArgumentValueError, match="mode must be 'min' or 'max', got 'minimize'"):
        check_mode("minimize")
    with pytest.raises(ArgumentTypeError, match="mode must be 'min' or 'max', got None"):
        check_mode(None)
