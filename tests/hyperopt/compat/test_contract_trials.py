"""What trials offer besides a search: all that hyperopt's two kinds do, with the same signatures."""

from __future__ import annotations

import inspect
import pickle

import hyperopt
import numpy as np
import pytest
from hyperopt import hp

import sparkopt
from tests.hyperopt.compat.contract import (
    LATER_ATTRIBUTES,
    LATER_PARAMETERS,
    SINCE_0_3,
    Scenarios,
    attempt,
    differences,
    plain,
    search,
    ship_by_value,
    square,
    surface,
    ways,
)

ship_by_value(__name__)

SCENARIOS = Scenarios()


@pytest.fixture
def way(spark, tmp_path):
    return ways(spark, tmp_path)


# After a search.


@SCENARIOS.add(trials=3)
def views(way):
    trials = way.new_trials()
    outcome = search(way, square, trials=trials)
    other = trials.view(exp_key="another experiment")
    view = trials.view()
    view.attachments["by the view"] = 1
    return {**outcome, "view": surface(view), "other": surface(other), "attachments": trials.attachments}


@SCENARIOS.add(trials=2)
def all_deleted_and_searched_again(way):
    trials = way.new_trials()
    search(way, lambda x: {"status": "ok", "loss": x, "attachments": {"a": 1}}, trials=trials)
    trials.delete_all()
    empty = surface(trials)
    return {"empty": empty, **search(way, square, trials=trials, max_evals=2)}


@SCENARIOS.add(trials=2)
def attachments_by_the_user(way):
    trials = way.new_trials()
    objective = lambda x: {"status": "ok", "loss": x, "attachments": {"model": b"weights"}}  # noqa: E731
    search(way, objective, trials=trials, max_evals=2)
    first, second = (trials.trial_attachments(trial) for trial in trials.trials)
    first["note"] = "by hand"
    del second["model"]
    held = [name in each for each in (first, second) for name in ("model", "note")]
    found = [first["note"], first["model"], attempt(lambda: second["model"])]
    return {"raised": None, "held": held, "found": found, **surface(trials)}


@SCENARIOS.add(trials=3)
def what_documents_can_be_made_of(way):
    trials = way.new_trials()
    outcome = search(way, square, trials=trials)
    copied = hyperopt.trials_from_docs(trials.trials)
    ids = trials.new_trial_ids(2)
    miscs = [{"tid": tid, "cmd": None, "idxs": {}, "vals": {}} for tid in ids]
    new = trials.new_trial_docs(ids, [None] * 2, [{"status": "new"}] * 2, miscs)
    sourced = trials.source_trial_docs(ids, [None] * 2, [{"status": "ok"}] * 2, miscs, trials.trials[:2])
    indexed = attempt(lambda: trials[0])
    name = trials.aname(trials.trials[1], "model")
    made = {"copied": surface(copied), "new": new, "sourced": sourced, "indexed": indexed, "name": name}
    return {**outcome, **made}


@SCENARIOS.add(trials=3)
def the_best_point_evaluated_by_hand(way):
    space = {"kind": hp.choice("kind", ["a", ("b", hp.uniform("y", 0, 1))])}
    trials = way.new_trials()
    outcome = search(way, lambda point: len(point["kind"]), space, trials=trials)
    return {**outcome, "point": hyperopt.space_eval(space, trials.argmin)}


@SCENARIOS.add(trials=3)
def pickled_and_loaded(way):
    trials = way.new_trials()
    outcome = search(way, lambda x: {"status": "ok", "loss": x, "attachments": {"a": b"1"}}, trials=trials)
    loaded = pickle.loads(pickle.dumps(trials))
    assert type(loaded) is type(trials)
    assert loaded._dynamic_trials == trials._dynamic_trials
    return {**outcome, "loaded": surface(loaded)}


@SCENARIOS.add(trials=5)
def loaded_and_searched_on(way):
    trials = way.new_trials()
    search(way, square, trials=trials)
    return search(way, square, trials=pickle.loads(pickle.dumps(trials)), max_evals=5)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_same_as_serial_hyperopt(way, scenario):
    assert differences(scenario, way["serial"], way["ours"]) == {}


# hyperopt.SparkTrials' own.

COUNTS = ("count_successful_trials", "count_failed_trials", "count_cancelled_trials", "count_total_trials")


def counts(trials):
    return [getattr(trials, name)() for name in COUNTS]


def test_its_own_surface_after_a_search(way):
    def objective(point):
        if point["n"] == 2:
            raise ValueError("two")
        return point["n"]

    space = {"n": hp.choice("n", [0, 1, 2]), "c": hp.choice("c", ["a", ("b", hp.uniform("y", 0, 1))])}
    serial = search(way["serial"], objective, space, return_argmin=False, **way["serial"].lenient)
    own = {}
    for name in ("theirs", "ours"):
        trials = way[name].new_trials()
        assert counts(trials) == [0, 0, 0, 0]
        assert plain(search(way[name], objective, space, trials=trials, return_argmin=False)) == plain(serial)
        if name == "ours" or SINCE_0_3:
            assert str(trials) == f"SparkTrials(trials={trials.trials})"
        own[name] = counts(trials), getattr(trials, "fmin_cancelled_reason", None)
    assert own["ours"] == own["theirs"] == ([2, 1, 0, 3], None)


LIMITS = {"parallelism": 2, "timeout": 60, "loss_threshold": -1.5}


@pytest.mark.parametrize("arguments", [{}, LIMITS], ids=["defaults", "limits"])
def test_its_own_attributes(way, arguments):
    theirs, ours = (way[name].new_trials(**arguments) for name in ("theirs", "ours"))
    public = [name for name in dir(theirs) if not name.startswith("_")]
    assert [name for name in LATER_ATTRIBUTES if name in public] == []
    assert {*public, "fmin_cancelled_reason", "user_specified_parallelism"} - set(dir(ours)) == set()
    assert ours.user_specified_parallelism == arguments.get("parallelism", 1)
    expected, found = (
        {name: value for name in public if not callable(value := attempt(getattr, each, name))}
        for each in (theirs, ours)
    )
    assert {"MAX_CONCURRENT_JOBS_ALLOWED", "argmin", "asynchronous", "parallelism"} <= expected.keys()
    assert plain(found) == plain(expected)


def test_limits_given_to_fmin_stay_with_the_trials(way):
    for name in ("theirs", "ours"):
        trials = way[name].new_trials()
        search(way[name], square, trials=trials, max_evals=0, timeout=50, loss_threshold=-1)
        assert (trials.timeout, trials.loss_threshold) == (50, -1)


def parameters(function):
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def test_fmin_has_hyperopts_signature():
    assert parameters(sparkopt.fmin) == parameters(hyperopt.fmin)


def test_making_trials_has_hyperopts_signature_and_more_by_name_only():
    expected, found = parameters(hyperopt.SparkTrials), parameters(sparkopt.SparkTrials)
    assert found[: len(expected)] == expected
    later, more = found[len(expected) :][: len(LATER_PARAMETERS)], found[len(expected + LATER_PARAMETERS) :]
    assert later == LATER_PARAMETERS
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in more)
    assert all(default is not inspect.Parameter.empty for _, _, default in more)


def test_the_trials_own_fmin_has_hyperopts_signature():
    expected, found = parameters(hyperopt.Trials.fmin), parameters(sparkopt.SparkTrials.fmin)
    assert found[: len(expected)] == expected
    names = [name for name, _, _ in parameters(hyperopt.SparkTrials.fmin)]
    assert [name for name, _, _ in found][: len(names)] == names


METHODS = [
    name
    for name, _ in inspect.getmembers(hyperopt.SparkTrials, inspect.isfunction)
    if not name.startswith("_") and name != "fmin"
]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_hyperopts_signature(name):
    """Its names and their order; a default may be there as well."""
    expected, found = (
        parameters(getattr(kind, name)) for kind in (hyperopt.SparkTrials, sparkopt.SparkTrials)
    )
    assert found == expected


# What the comparisons themselves are worth.


def test_a_difference_is_seen(way):
    def searched(seed):
        return plain(search(way["serial"], square, rstate=np.random.default_rng(seed)))

    assert searched(1) == searched(1)
    one, other = searched(1), searched(2)
    assert {
        "['next seed']",
        "['returned']['x']",
        "['documents'][2]['misc']['vals']['x'][0]",
        "['losses'][0]",
    } <= {path for path in one if one[path] != other[path]}
    assert plain({"loss": 1.0}) != plain({"loss": np.float64(1.0)}) != plain({"loss": 1})
    assert plain([1]) != plain((1,))
    assert plain(float("nan")) == plain(float("nan"))
    texts = [plain({"error": ("kind", text)}) for text in ("one", "other")]
    assert texts[0] == texts[1] != plain({"error": ("another kind", "one")})
