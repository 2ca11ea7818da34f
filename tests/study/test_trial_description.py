"""Dimensions: what values suggest, and what holds them."""

import json
import math

import numpy as np
import pytest

from sparkopt.study.trial_description import Dimension, TrialDescription, dimensions_of, plain_value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], Dimension("x", "int", 1, 3, 1)),
        ([3, 1.5], Dimension("x", "float", 1.5, 3)),
        ([0.001, 1.0], Dimension("x", "float", 0.001, 1, logarithmic=True)),
        ([-0.001, 1.0], Dimension("x", "float", -0.001, 1)),
        (["a", None, "a", 2], Dimension("x", "choice", options=("a", None, 2))),
        ([True, 1, 1.0], Dimension("x", "choice", options=(True, 1, 1.0))),
        ([math.nan, 1.0, math.nan], Dimension("x", "choice", options=(math.nan, 1.0))),
    ],
)
def test_dimension_that_values_suggest(values, expected):
    found = Dimension.inferred("x", values)
    assert found == expected
    assert [*map(type, found.options)] == [*map(type, expected.options)]


def test_dimension_holds_what_it_was_made_for_unchanged():
    for dimension, values in [
        (Dimension("x", "float", 0, 1), [0.0, 0.5, 1.0]),
        (Dimension("x", "float", 0, 1, 0.1), [0.1, 0.30000000000000004]),
        (Dimension("x", "int", 1, 9, 2), [1, 5]),
        (Dimension("x", "choice", options=("a", "b")), ["b"]),
        (Dimension("x", "float", 0.1, 10, logarithmic=True), [0.1, 10.0]),
    ]:
        assert dimension.holding(values) is dimension or dimension.holding(values) == dimension


@pytest.mark.parametrize(
    ("dimension", "values", "expected"),
    [
        (Dimension("x", "float", 0, 1), [2.0], Dimension("x", "float", 0, 2)),
        (Dimension("x"), [2.0, 3.0], Dimension("x", "float", 2, 3)),
        (Dimension("x"), [], Dimension("x", "float", 0, 0)),
        (Dimension("x", "float", 0, 1, 0.1), [0.25], Dimension("x", "float", 0, 1)),
        (Dimension("x", "float", 1, 9, logarithmic=True), [0.0], Dimension("x", "float", 0, 9)),
        (Dimension("x", "int", 1, 9, 2), [2], Dimension("x", "int", 1, 9, 1)),
        (Dimension("x", "int", 1, 9, 1), [2.5], Dimension("x", "float", 1, 9)),
        (Dimension("x", "choice", options=("a",)), ["b"], Dimension("x", "choice", options=("a", "b"))),
        (Dimension("x", "float", 0, 1), ["b"], Dimension("x", "choice", options=("b",))),
    ],
)
def test_dimension_grows_to_hold_values(dimension, values, expected):
    assert dimension.holding(values) == expected


def test_dimensions_of_trials_are_those_described_and_those_inferred():
    trials = [TrialDescription(0, "ok", {"x": 2.0}), TrialDescription(1, "ok", {"y": "a"})]
    assert dimensions_of(trials, [Dimension("x", "float", 0, 1), Dimension("z", "float", 5, 6)]) == {
        "x": Dimension("x", "float", 0, 2),
        "y": Dimension("y", "choice", options=("a",)),
        "z": Dimension("z", "float", 5, 6),
    }


def test_dimension_goes_through_json():
    for dimension in (
        Dimension("x", "float", 0.1, 2.5, logarithmic=True),
        Dimension("x"),
        Dimension("x", "choice", options=("a", None, 1, True)),
    ):
        assert Dimension.of_plain(json.loads(json.dumps(dimension.to_plain(), allow_nan=False))) == dimension
    of_numpy = Dimension("x", "float", np.int64(0), np.float32(4), np.int64(2))
    assert Dimension.of_plain(json.loads(json.dumps(of_numpy.to_plain()))) == of_numpy


def test_values_of_parameters_are_plain():
    import numpy as np

    assert [plain_value(each) for each in (np.int64(3), np.float32(0.5), None, True, "a", [1])] == [
        *(3, 0.5, None, True, "a", "[1]"),
    ]
    assert type(plain_value(np.int64(3))) is int
