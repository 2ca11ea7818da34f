"""Points as messages, and as the values that they mean."""

from __future__ import annotations

import json
import math

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from sparkopt.control.values import struct_of, values_of
from sparkopt.errors import BadRequestError
from sparkopt.wire.v1 import control_pb2

VALUES = {
    "a": 1,
    "b": 1.5,
    "c": "x",
    "d": True,
    "e": None,
    "f": [1, [2.5, "y"], {}],
    "g": {"h": {"i": False}},
}


def test_a_struct_comes_back_as_it_was():
    assert values_of(control_pb2.Point(struct=struct_of(VALUES))) == VALUES


def test_json_comes_back_as_it_was():
    assert values_of(control_pb2.Point(json=json.dumps(VALUES))) == VALUES


@pytest.mark.parametrize(
    ("number", "value"),
    [(1.0, 1), (-0.0, 0), (2.0**53, 2**53), (-(2.0**53), -(2**53)), (2.0**53 + 2, 2.0**53 + 2), (0.5, 0.5)],
)
def test_whole_numbers_of_a_struct_are_integers_as_far_as_they_are_exact(number, value):
    point = control_pb2.Point(struct=Struct(fields={"x": Value(number_value=number)}))
    found = values_of(point)["x"]
    assert (found, type(found)) == (value, type(value))


def test_what_a_struct_has_not_finite_stays_a_number():
    found = values_of(control_pb2.Point(struct=Struct(fields={"x": Value(number_value=math.nan)})))
    assert math.isnan(found["x"])


def test_a_value_that_is_nothing_is_none():
    point = control_pb2.Point(struct=Struct(fields={"x": Value(), "y": Value(null_value=NULL_VALUE)}))
    assert values_of(point) == {"x": None, "y": None}


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (10**400, "1" + "0" * 400)],
)
def test_numbers_that_json_or_a_double_cannot_hold_are_text(value, said):
    struct = struct_of({"x": value, "y": [value]})
    assert json.loads(MessageToJson(struct)) == {"x": said, "y": [said]}


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"x": value}
    return value


def test_values_nest_so_deep_and_no_deeper():
    struct = struct_of(nested(32))
    again = control_pb2.EvaluateResponse()
    again.evaluation.trial.values.CopyFrom(struct)
    assert control_pb2.EvaluateResponse.FromString(again.SerializeToString()) == again
    for too_deep in (nested(33), {"x": json.loads("[" * 40 + "]" * 40)}):
        with pytest.raises(BadRequestError, match="nested more than 32"):
            struct_of(too_deep)


@pytest.mark.parametrize("text", ['{"x": 1', '{"x": Infinity}', "3", '{"x": "\\udc00"}', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(BadRequestError) as raised:
        values_of(control_pb2.Point(json=text))
    assert raised.value.reason == "BAD_POINT"


def test_half_a_surrogate_pair_in_a_name_is_refused():
    with pytest.raises(BadRequestError):
        values_of(control_pb2.Point(json='{"\\ud800": 1}'))
    assert values_of(control_pb2.Point(json='{"\\ud83d\\ude00": 1}')) == {"\U0001f600": 1}
