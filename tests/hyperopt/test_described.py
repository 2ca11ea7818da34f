"""Spaces and documents of hyperopt as plain descriptions."""

from __future__ import annotations

import datetime
import json
import math
import pickle

import numpy as np
import pytest
from hyperopt import base, hp
from hyperopt.pyll import scope

from sparkopt.errors import TrialLostError
from sparkopt.hyperopt.described import DescribedSpace, TrialRun, description_of
from sparkopt.study.trial_description import Dimension, TrialDescription

E = math.e
SPACE = {
    "lr": hp.loguniform("lr", -5, 0),
    "int": hp.uniformint("int", 1, 9),
    "tens": scope.int(hp.quniform("tens", 10, 50, 10)),
    "quarters": hp.quniform("quarters", 0, 1, 0.25),
    "count": hp.qloguniform("count", 0, 5, 1),
    "whole_count": scope.int(hp.qloguniform("whole_count", 0, 5, 1)),
    "upper": hp.randint("upper", 5),
    "between": hp.randint("between", 3, 7),
    "normal": hp.normal("normal", 1, 2),
    "lognormal": hp.lognormal("lognormal", 0, 1),
    "fives": hp.qnormal("fives", 0, 10, 5),
    "from_zero": hp.qlognormal("from_zero", 0, 1, 1),
    "model": hp.choice("model", [{"type": "svm", "C": hp.uniform("C", 0, 1)}, {"type": "rf"}]),
    "constants": hp.choice("constants", ["relu", None, 2]),
    "alike": hp.pchoice("alike", [(0.2, True), (0.8, 1)]),
    "same": hp.choice("same", [{"a": 1}, {"a": 1}]),
    "calculated": hp.uniform("calculated", 0, hp.uniform("most", 1, 2)),
}
EXPECTED = [
    Dimension("lr", "float", E**-5, 1, logarithmic=True),
    Dimension("int", "int", 1, 9, 1),
    Dimension("tens", "int", 10, 50, 10),
    Dimension("quarters", "float", 0, 1, 0.25),
    Dimension("count", "float", 1, 148, 1, True),
    Dimension("whole_count", "int", 1, 148, 1, True),
    Dimension("upper", "int", 0, 4, 1),
    Dimension("between", "int", 3, 6, 1),
    Dimension("normal", "float", -7, 9),
    Dimension("lognormal", "float", E**-4, E**4, logarithmic=True),
    Dimension("fives", "float", -40, 40, 5),
    Dimension("from_zero", "float", 0, 55, 1),
    Dimension("model", "choice", options=("svm", "rf")),
    Dimension("C", "float", 0, 1),
    Dimension("constants", "choice", options=("relu", None, 2)),
    Dimension("alike", "choice", options=("True", "1")),
    Dimension("same", "choice", options=("1 [0]", "1 [1]")),
    Dimension("calculated", "float", 0),
    Dimension("most", "float", 1, 2),
]


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda dimension: dimension.label)
def test_each_distribution_is_a_dimension(expected):
    found = DescribedSpace.of(SPACE).dimensions[expected.label]
    bounds = [found.low, found.high]
    assert bounds == [pytest.approx(expected.low), pytest.approx(expected.high)]
    assert (found.kind, found.step, found.logarithmic, found.options) == (
        *(expected.kind, expected.step, expected.logarithmic, expected.options),
    )


def test_a_space_is_described_whole_and_as_plain_data():
    space = DescribedSpace.of(SPACE)
    assert set(space.dimensions) == {dimension.label for dimension in EXPECTED}
    plain = json.loads(json.dumps([each.to_plain() for each in space.dimensions.values()], allow_nan=False))
    assert [Dimension.of_plain(each) for each in plain] == [*space.dimensions.values()]
    assert pickle.loads(pickle.dumps(space)).dimensions == space.dimensions


def test_values_are_evaluated():
    drawn = {"lr": np.float64(0.5), "int": 3.0, "model": np.int64(1), "constants": 1, "alike": 0, "upper": 2}
    assert DescribedSpace.of(SPACE).params(drawn) == {
        "lr": 0.5,
        "int": 3,
        "model": "rf",
        "constants": None,
        "alike": "True",
        "upper": 2,
    }
    assert type(DescribedSpace.of(SPACE).params(drawn)["int"]) is int
    assert DescribedSpace().params(drawn) == {**drawn, "lr": 0.5}
    assert DescribedSpace.of(SPACE).params({"model": 7, "unknown": 1}) == {"model": 7, "unknown": 1}


def document(state, result, **misc):
    return {
        "tid": 4,
        "state": state,
        "result": result,
        "misc": {"vals": {"model": [1], "C": []}, **misc},
        "book_time": datetime.datetime(2026, 1, 1),
        "refresh_time": datetime.datetime(2026, 1, 1, 0, 0, 2),
    }


AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("found", "state", "values", "error"),
    [
        (document(base.JOB_STATE_NEW, {"status": "new"}), "pending", None, ""),
        (document(base.JOB_STATE_RUNNING, {"status": "new"}), "running", None, ""),
        (document(base.JOB_STATE_DONE, {"status": "ok", "loss": np.float32(0.5)}), "ok", (0.5,), ""),
        (document(base.JOB_STATE_DONE, {"status": "fail", "loss": 1}), "failed", None, "status 'fail'"),
        (
            document(base.JOB_STATE_DONE, {"status": "fail", "pruned": True, "loss": 2}),
            *("pruned", (2.0,), ""),
        ),
        (document(base.JOB_STATE_ERROR, {}, error=("<class 'E'>", "no")), "failed", None, "no"),
        (document(base.JOB_STATE_ERROR, {}, error=(str(TrialLostError), "gone")), "lost", None, "gone"),
        (document(base.JOB_STATE_CANCEL, {}, error=("<class 'E'>", "enough")), "cancelled", None, "enough"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_state_of_a_document_is_described(found, state, values, error):
    described = description_of(found, DescribedSpace.of(SPACE))
    has_ended = state not in ("pending", "running")
    assert described == TrialDescription(
        *(4, state, {"model": "rf"}, values), started=AT, settled=AT + 2 if has_ended else None, error=error
    )


def test_reports_and_the_last_attempt_are_described():
    result = {"status": "ok", "loss": 1.0, "intermediate": {0: 3, 2: 1.5}}
    run = TrialRun(2, "w-1", "host", AT + 0.5, AT + 1.5, 0.75)
    described = description_of(document(base.JOB_STATE_DONE, result), DescribedSpace(), run)
    assert described == TrialDescription(
        *(4, "ok", {"model": 1}, (1.0,), {0: 3.0, 2: 1.5}, AT + 0.5, AT + 1.5, 0.75, 2, "w-1", "host")
    )
    result["intermediate"] = "something of the user's"
    assert description_of(document(base.JOB_STATE_DONE, result), DescribedSpace()).reports == {}
