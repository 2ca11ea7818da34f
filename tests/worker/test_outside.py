"""What leaves a worker as JSON: what can be said, and what cannot."""

from __future__ import annotations

import array
import json
import math
from collections import OrderedDict, UserDict
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sparkopt.errors import ResultError
from sparkopt.wire.limits import RESULT_BYTES
from sparkopt.worker.outside import OutsideObjective, to_json


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (0.1, "0.1"),
        (3, "3"),
        (2**70, str(2**70)),
        (True, "true"),
        (None, "null"),
        ("ä", '"\\u00e4"'),
        ({"loss": 1.0, "status": "ok"}, '{"loss": 1.0, "status": "ok"}'),
        ((1, [2, {"a": ()}]), '[1, [2, {"a": []}]]'),
        (math.nan, '"NaN"'),
        ([math.inf, -math.inf], '["Infinity", "-Infinity"]'),
        (np.float64(0.5), "0.5"),
        (np.float32(0.5), "0.5"),
        (np.float32("nan"), '"NaN"'),
        (np.int64(3), "3"),
        (np.uint8(3), "3"),
        (np.bool_(True), "true"),
        (np.str_("x"), '"x"'),
        (np.arange(6).reshape(2, 3), "[[0, 1, 2], [3, 4, 5]]"),
        (np.array([1.5, np.inf]), '[1.5, "Infinity"]'),
        (np.array(2.5), "2.5"),
        (np.array([{"a": np.int8(1)}], dtype=object), '[{"a": 1}]'),
        (array.array("d", [1.5]), "[1.5]"),
        (pd.Series([1, 2]), "[1, 2]"),
        (Fraction(1, 2), "0.5"),
        (OrderedDict(b=np.int8(1)), '{"b": 1}'),
        (UserDict(b=1), '{"b": 1}'),
        ({3: "a", np.int64(2): "b", None: "c", True: "d"}, '{"3": "a", "2": "b", "null": "c", "true": "d"}'),
        ({math.nan: 1, np.float32(1.5): 2}, '{"NaN": 1, "1.5": 2}'),
    ],
)
def test_what_json_can_say(result, said):
    text = to_json(result)
    assert text == said
    json.loads(text, parse_constant=pytest.fail)


def cyclic():
    value = {"a": []}
    value["a"].append(value)
    return value


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


class BadNumbers:
    def tolist(self):
        return {1, 2}


@pytest.mark.parametrize(
    ("result", "named"),
    [
        ({1, 2}, "the result is a set"),
        (b"x", "the result is a bytes"),
        ({"a": [0, SimpleNamespace()]}, "the result['a'][1] is a types.SimpleNamespace"),
        ({"a": np.array([1j])}, "the result['a'][0] is a complex"),
        (np.array(["2020-01-01"], dtype="datetime64[s]"), "the result[0] is a datetime.datetime"),
        (pd.DataFrame({"a": [1]}), "the result is a pandas"),
        (np.ndarray, "the result is a type"),
        (BadNumbers(), "the result is a set"),
        ({(1, 2): 3}, "a key of the result is a tuple, (1, 2)"),
        (cyclic(), "the result['a'][0] contains itself"),
        (deep(), "nested too deeply"),
    ],
)
def test_what_json_cannot_say_is_named(result, named):
    with pytest.raises(ResultError) as raised:
        to_json(result)
    assert named in str(raised.value)
    assert "Return numbers, text, lists and dictionaries" in str(raised.value)


def test_the_same_value_twice_is_not_within_itself():
    twice = [np.int8(1)]
    assert to_json([twice, {"again": twice}]) == '[[1], {"again": [1]}]'


def test_what_is_too_large_is_refused_with_its_size():
    objective = OutsideObjective(len)
    assert objective.fn([1, 2]) == 2
    assert len(objective.pack("x" * (RESULT_BYTES - 2))) == RESULT_BYTES
    with pytest.raises(ResultError, match=f"{RESULT_BYTES + 1:,} bytes"):
        objective.pack("x" * (RESULT_BYTES - 1))
