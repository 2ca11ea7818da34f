"""What an objective returns or raises becomes what it becomes under hyperopt, for every kind of result."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR
from hyperopt.exceptions import AllTrialsFailed

from sparkopt.errors import AllTrialsFailedError
from tests.hyperopt.compat.contract import (
    CASE,
    Scenarios,
    differences,
    numbered,
    plain,
    search,
    ship_by_value,
    ways,
)

ship_by_value(__name__)


def raise_value_error():
    raise ValueError("seven and eight")


def raise_own_error():
    class OwnError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one}, {two}")

    raise OwnError("nine", "ten")


RESULTS = {
    "float": lambda: 1.5,
    "int": lambda: 3,
    "bool": lambda: True,
    "numpy float32": lambda: np.float32(0.1),
    "numpy float64": lambda: np.float64(2.25),
    "numpy int64": lambda: np.int64(4),
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: -np.inf,
    "dictionary": lambda: {"status": "ok", "loss": 1.0},
    "ordered dictionary": lambda: OrderedDict(status="ok", loss=1.0),
    "pairs": lambda: [("status", "ok"), ("loss", 1.0)],
    "loss of an int": lambda: {"status": "ok", "loss": 1},
    "loss of numpy": lambda: {"status": "ok", "loss": np.float32(0.1)},
    "loss of nan": lambda: {"status": "ok", "loss": np.nan},
    "loss of a number in text": lambda: {"status": "ok", "loss": "1.5"},
    "variance and true loss": lambda: {"status": "ok", "loss": 1.0, "loss_variance": 0.5, "true_loss": 0.75},
    "other keys": lambda: {
        "status": "ok",
        "loss": 2.0,
        "inner": {"a": [1, (2, None)], 3: b"c"},
        "array": np.arange(3, dtype=np.int16),
        "scalar": np.float32(0.5),
    },
    "attachments": lambda: {"status": "ok", "loss": 3.0, "attachments": {"a": b"x", "b": {"c": [1]}}},
    "fail": lambda: {"status": "fail"},
    "fail with a loss": lambda: {"status": "fail", "loss": -100, "why": "it diverged"},
    "fail with a loss of None": lambda: {"status": "fail", "loss": None},
    "fail with attachments": lambda: {"status": "fail", "attachments": {"log": "lines"}},
    "new": lambda: {"status": "new", "loss": -2.0},
    "running": lambda: {"status": "running"},
    "suspended": lambda: {"status": "suspended", "loss": -3.0},
}
FAILURES = {
    "None": lambda: None,
    "text": lambda: "no loss",
    "no text": lambda: "",
    "list": lambda: [1.0],
    "numpy bool": lambda: np.bool_(True),
    "array": lambda: np.array(1.0),
    "no status": lambda: {"loss": 1.0},
    "unknown status": lambda: {"status": "fine", "loss": 1.0},
    "status of None": lambda: {"status": None, "loss": 1.0},
    "no loss": lambda: {"status": "ok"},
    "loss of None": lambda: {"status": "ok", "loss": None},
    "loss of text": lambda: {"status": "ok", "loss": "little"},
    "loss of a list": lambda: {"status": "ok", "loss": [1.0]},
    "an exception": raise_value_error,
    "its own exception": raise_own_error,
}
KINDS = {**RESULTS, **FAILURES}
SHORT = ["float", "an exception", "None", "fail", "nan"]
"""Of both sorts, and few enough for hyperopt.SparkTrials."""


def results_of(*kinds):
    """An objective whose trials have these results in turn."""
    makers = [KINDS[kind] for kind in kinds]
    return lambda case: makers[int(case)]()


def run_through(way, *kinds, **arguments):
    """Search with one trial of each kind."""
    arguments = {**way.lenient, **arguments}
    return search(way, results_of(*kinds), CASE, numbered, len(kinds), **arguments)


@pytest.fixture
def way(spark, tmp_path):
    return ways(spark, tmp_path)


@pytest.fixture(scope="module")
def every_kind(spark, tmp_path_factory):
    """One search over every kind, under serial hyperopt and under ours."""
    made = ways(spark, tmp_path_factory.mktemp("files"))
    return run_through(made["serial"], *KINDS), run_through(made["ours"], *KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_hyperopts(every_kind, kind):
    expected, found = (outcome["documents"][list(KINDS).index(kind)] for outcome in every_kind)
    assert expected["state"] == (JOB_STATE_DONE if kind in RESULTS else JOB_STATE_ERROR)
    assert plain(found) == plain(expected)


@pytest.mark.parametrize("kind", FAILURES)
def test_the_text_of_an_error_has_hyperopts_in_it_and_is_a_traceback(every_kind, kind):
    (_, expected), (_, found) = (
        outcome["documents"][list(KINDS).index(kind)]["misc"]["error"] for outcome in every_kind
    )
    assert expected in found
    assert "Traceback (most recent call last)" in found


def test_all_else_is_the_same(every_kind):
    expected, found = every_kind
    assert expected["length"] == len(RESULTS)
    assert expected["argmin"] == {"case": list(KINDS).index("minus infinity")}
    assert plain(found) == plain(expected)


def test_as_under_hyperopts_sparktrials(way):
    expected, found = run_through(way["theirs"], *SHORT), run_through(way["ours"], *SHORT)
    assert expected["unsynced"] == [0, 0, 3, 2, 0]
    for theirs, ours in zip(expected["documents"], found["documents"], strict=True):
        # Theirs is the traceback of a worker as well: the same last line.
        assert _last_line(ours) == _last_line(theirs)
    assert plain(found) == plain(expected)


def _last_line(document):
    _, text = document["misc"].get("error", ("", ""))
    return text.rstrip().rpartition("\n")[2]


SCENARIOS = Scenarios()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_same_as_serial_hyperopt(way, scenario):
    assert differences(scenario, way["serial"], way["ours"]) == {}


@SCENARIOS.add(trials=3, raises=AllTrialsFailed)
def no_loss_is_a_number(way):
    return run_through(way, "nan", "loss of nan", "nan")


@SCENARIOS.add(trials=2, raises=AllTrialsFailed)
def no_loss_is_a_number_and_the_point_is_wanted(way):
    return run_through(way, "nan", "loss of nan", return_argmin=False)


@SCENARIOS.add(trials=3, raises=AllTrialsFailed)
def every_status_is_fail(way):
    return run_through(way, "fail", "fail with a loss", "fail with a loss of None")


@SCENARIOS.add(trials=2, raises=AllTrialsFailed)
def every_status_is_fail_and_the_point_is_wanted(way):
    return run_through(way, "fail", "fail with a loss", return_argmin=False)


@SCENARIOS.add(trials=2)
def all_raise_and_the_point_is_wanted(way):
    return run_through(way, "an exception", "None", return_argmin=False)


@SCENARIOS.add(trials=3)
def exceptions_are_to_be_caught(way):
    return run_through(way, "an exception", "int", "its own exception", catch_eval_exceptions=True)


@SCENARIOS.add(trials=4)
def uncertain_losses(way):
    return run_through(way, "float", "variance and true loss", "dictionary", "other keys")


@SCENARIOS.add(trials=5)
def a_status_fail_may_have_the_least_loss(way):
    calls = []

    def stop(trials):
        calls.append((trials.losses(), trials.statuses()))
        return False, []

    kinds = ["float", "fail with a loss", "suspended", "new", "int"]
    return {**run_through(way, *kinds, early_stop_fn=stop), "calls": calls}


def test_a_status_fail_is_not_good_enough(way):
    """A difference that is meant: a trial that says that it has failed ends no search by its loss."""
    kinds = ["float", "fail with a loss", "int"]
    found = {name: run_through(way[name], *kinds, loss_threshold=-50) for name in ("serial", "ours")}
    assert [len(found[name]["documents"]) for name in ("serial", "ours")] == [2, 3]


def test_a_trial_that_raises_ends_serial_hyperopts_search_and_not_ours(way):
    """The one difference that is meant: as with hyperopt.SparkTrials, the search goes on."""
    kinds = ["int", "an exception", "float"]
    strict = search(way["serial"], results_of(*kinds), CASE, numbered, len(kinds))
    assert strict["raised"] == (ValueError, "seven and eight")
    assert len(strict["documents"]) == 2
    lenient, ours = run_through(way["serial"], *kinds), run_through(way["ours"], *kinds)
    assert plain(ours["documents"][:2]) == plain(strict["documents"])
    assert plain(ours) == plain(lenient)


def test_all_raise(way):
    kinds = ["an exception", "None"]
    expected = run_through(way["serial"], *kinds)
    theirs = run_through(way["theirs"], *kinds)
    ours = run_through(way["ours"], *kinds)
    kind, text = expected.pop("raised")
    assert kind is Exception
    assert "There are no evaluation tasks" in text
    assert theirs.pop("raised") == (kind, text)
    own_kind, own_text = ours.pop("raised")
    assert own_kind is AllTrialsFailedError
    assert own_text.startswith(text.rstrip("."))
    assert plain(ours) == plain(expected) == plain(theirs)


NO_NUMBERS = ["little", [1.0], {"a": 1}]


@pytest.mark.parametrize("loss", NO_NUMBERS, ids=repr)
def test_a_status_fail_with_a_loss_that_is_no_number(way, loss):
    """It ends serial hyperopt's search, in hyperopt's own look for the best loss; ours goes on."""
    result = {"status": "fail", "loss": loss}

    def objective(case):
        return result if case == 0 else 1.0

    expected = search(way["serial"], objective, CASE, numbered, 2)
    assert expected["raised"][0] is TypeError
    assert expected["documents"][0]["result"] == result
    found = search(way["ours"], objective, CASE, numbered, 2)
    assert found["raised"] is None
    assert found["documents"][1]["result"] == {"status": "ok", "loss": 1.0}
    assert found["documents"][0]["state"] == JOB_STATE_ERROR
    assert "not a number that a float can hold" in found["documents"][0]["misc"]["error"][1]


def test_an_early_stop_sees_the_trials_that_the_trials_have(way):
    seen = []

    def objective(case):
        return {"status": "fail", "loss": "none"} if case == 0 else case

    def stop(view):
        seen.append((view.tids, trials.tids))
        return False, []

    trials = way["ours"].new_trials()
    search(way["ours"], objective, CASE, numbered, 3, trials=trials, early_stop_fn=stop)
    assert seen
    assert [tids for tids, _ in seen] == [tids for _, tids in seen]
