"""Trials of hyperopt's or a user's that a search continues: completed or refused before it starts."""

from __future__ import annotations

import copy
import importlib
import pickle
from fractions import Fraction

import hyperopt
import numpy as np
import pytest
from hyperopt import base, hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_NEW

from sparkopt import SparkTrials, fmin
from sparkopt.errors import ParallelismWarning, RefusedError, SparkoptWarning
from sparkopt.hyperopt.inherited import InheritedDocuments
from sparkopt.hyperopt.space import Space
from tests.support.study_tools import CASE, in_order, jobs

SPACE = {
    "step": hp.choice("step", [0.0, hp.loguniform("positive", -7, 4)]),
    "rate": hp.loguniform("rate", -9, 0),
    "n": hp.randint("n", 2, 5),
}
# hyperopt.fmin is a function as well.
prepared = importlib.import_module("hyperopt.fmin").generate_trials_to_calculate


def loss_of(point):
    return point["step"] + point["rate"]


def search(trials, evals, algo=tpe.suggest, space=SPACE, fn=loss_of):
    # pytest knows this module by its file's name, which workers cannot import.
    shipped = type(fn)(fn.__code__, {"__builtins__": __builtins__})
    rstate = np.random.default_rng(0)
    return fmin(shipped, space, algo, evals, trials=trials, rstate=rstate, verbose=False)


@pytest.fixture
def own(spark, monkeypatch):
    """Trials for two workers that go on from others."""
    monkeypatch.setattr("sparkopt.hyperopt.spark_trials.get_session", lambda *_: spark)

    def take_over(trials):
        with pytest.warns(ParallelismWarning):  # nobody has said how many workers
            return SparkTrials.of(trials)

    return take_over


@pytest.mark.parametrize("how", ["prepared", "loaded from a file", "with values that are not active"])
def test_tpe_goes_on_from_prepared_trials_of_a_conditional_space(own, tmp_path, how):
    points = [{"step": 0, "rate": 0.1, "n": 2}, {"step": 1.0, "positive": 2.0, "rate": 0.2, "n": np.int64(4)}]
    if how == "with values that are not active":
        points[0]["positive"] = 3.0
    given = prepared(points)
    if how == "loaded from a file":
        given = pickle.loads(pickle.dumps(given))
    trials = own(given)
    search(trials, 30)
    assert len(trials) == 30
    assert trials.losses()[:2] == [0.1, 2.2]
    first, second = (document["misc"] for document in trials.trials[:2])
    assert first["vals"] == {"step": [0], "positive": [], "rate": [0.1], "n": [2]}
    assert first["idxs"] == {"step": [0], "positive": [], "rate": [0], "n": [0]}
    assert second["vals"] == {"step": [1], "positive": [2.0], "rate": [0.2], "n": [4]}
    assert [type(value) for value in (second["vals"]["step"][0], second["vals"]["n"][0])] == [int, int]


def test_it_goes_on_from_a_search_of_a_smaller_space(own):
    smaller = {"step": 0.0, "rate": hp.loguniform("rate", -9, 0)}
    theirs = hyperopt.Trials()
    hyperopt.fmin(loss_of, smaller, hyperopt.rand.suggest, 21, trials=theirs, verbose=False)
    trials = own(theirs)
    search(trials, 25)
    assert len(trials) == 25
    assert trials.trials[0]["misc"]["idxs"] == {"rate": [0], "step": [], "positive": [], "n": []}


def test_new_trials_have_numbers_of_their_own(own):
    given = prepared([{"case": 7}, {"case": 8}])
    for document, tid in zip(given._dynamic_trials, (2, 4), strict=True):
        document["tid"] = document["misc"]["tid"] = tid
    given._dynamic_trials[1].update(state=JOB_STATE_ERROR)  # without a word of why
    trials = own(given)
    search(trials, 4, in_order, CASE, lambda case: case)
    assert [document["tid"] for document in trials._dynamic_trials] == [2, 4, 3, 5, 6]
    assert trials.losses() == [7, 3, 5, 6]
    assert trials.count_failed_trials() == 1
    assert trials.count_lost_trials() == 0


def done(document, **result):
    document.update(state=JOB_STATE_DONE, result={"status": "ok", **result})


def nan(document):
    document["misc"]["vals"]["rate"] = [np.nan]


def text(document):
    document["misc"]["vals"]["rate"] = ["0.1"]


def fraction(document):
    document["misc"]["vals"]["rate"] = [Fraction(1, 2)]


def negative(document):
    document["misc"]["vals"]["rate"] = [-0.1]


def beyond(document):
    document["misc"]["vals"]["n"] = [5]


def below(document):
    document["misc"]["vals"]["n"] = [1]


def half(document):
    document["misc"]["vals"]["step"] = [0.5]


def missing(document):
    del document["misc"]["vals"]["rate"]


def unknown(document):
    document["misc"]["vals"]["raet"] = [1.0]


def several(document):
    document["misc"]["vals"]["rate"] = [0.1, 0.2]


def no_list(document):
    document["misc"]["vals"]["rate"] = 0.1


def no_misc(document):
    del document["misc"]["vals"]


def no_dictionary(document):
    document["misc"]["vals"] = [1]


def state(document):
    document["state"] = 17


def tid_of_another(document):
    document["tid"] = document["misc"]["tid"] = 0


def tid_of_text(document):
    document["tid"] = document["misc"]["tid"] = "1"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (nan, r"of trial 1 has nan for 'rate': it must be a finite number"),
        (text, r"of trial 1 has '0.1' for 'rate': it must be a finite number"),
        (fraction, r"of trial 1 has Fraction\(1, 2\) for 'rate': it must be a finite number"),
        (negative, r"it has -0.1 for 'rate', which must be positive"),
        (beyond, r"it has 5 for 'n', which must be a whole number from 2 to 4"),
        (below, r"it has 1 for 'n', which must be a whole number from 2 to 4"),
        (half, r"it has 0.5 for 'step', which must be a whole number from 0 to 1; .* index of the option"),
        (missing, r"is not a point of the space .* no value for \['positive', 'rate'\]"),
        (unknown, r"has \['raet'\], which the space does not have"),
        (several, r"has \[0.1, 0.2\] for 'rate': a list of one value"),
        (no_list, r"has 0.1 for 'rate': a list of one value"),
        (no_misc, r"place 1 is not one of hyperopt's documents: it lacks \['vals'\]"),
        (no_dictionary, r"place 1 .* not dictionaries"),
        (state, r"place 1 .* has the state 17"),
        (tid_of_another, r"trial 0, which waits to be evaluated, needs an int as its tid that no other has"),
        (tid_of_text, r"trial 1, which waits .* needs an int"),
        (lambda document: done(document), "of trial 1 is done, and its loss is None"),
        (lambda document: done(document, loss="low"), "of trial 1 is done, and its loss is 'low'"),
        (lambda document: done(document, loss=10**400), "which no float can hold"),
        (lambda document: done(document, loss=1.0, status="good"), "no status of hyperopt's"),
        (lambda document: (done(document, loss=1.0), beyond(document)), "whole number from 2 to 4"),
    ],
)
def test_what_no_search_can_go_on_from_is_refused(new_trials, spark, spoil, why):
    trials = new_trials()
    points = [{"step": 0, "rate": 0.1, "n": 2}, {"step": 0, "rate": 0.2, "n": 3}]
    trials.insert_trial_docs(prepared(points)._dynamic_trials)
    trials.refresh()
    spoil(trials._dynamic_trials[1])
    before, documents = jobs(spark), copy.deepcopy(trials._dynamic_trials)
    with pytest.raises(RefusedError, match=f"^trials: .*{why}"):
        search(trials, 30)
    assert jobs(spark) == before
    # A NaN is not equal to itself, but to its copy it prints the same.
    assert repr(trials._dynamic_trials) == repr(documents)


def test_what_lacks_nothing_is_left_as_it_is(new_trials):
    trials = new_trials()
    search(trials, 3)
    before = [(id(document["misc"]["idxs"]), id(document["misc"]["vals"])) for document in trials.trials]
    InheritedDocuments(trials, Space(base.Domain(loss_of, SPACE))).complete()
    after = [(id(document["misc"]["idxs"]), id(document["misc"]["vals"])) for document in trials.trials]
    assert after == before


def test_what_is_no_trial_to_hyperopt_is_refused(own):
    given = hyperopt.Trials()
    given._dynamic_trials = [{"tid": 1, "state": JOB_STATE_NEW}]
    with pytest.raises(RefusedError, match="trials cannot be taken over"):
        own(given)


def test_injected_documents_are_completed_or_warned_of(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        if ctrl.current_trial["tid"] == 1:
            misc = {"idxs": {}, "vals": {"rate": [0.5]}, "cmd": None}
            ctrl.inject_results([None], [{"status": "ok", "loss": 2.0}], [misc])
            misc["vals"] = {"rate": ["0.5"]}
            ctrl.inject_results([None], [{"status": "ok", "loss": 2.0}], [misc])
        return 1.0

    trials = new_trials(parallelism=1)
    with pytest.warns(
        SparkoptWarning, match="trial 1 sent an injection that cannot be taken.*'0.5' for 'rate'"
    ):
        fmin(objective, SPACE, tpe.suggest, 25, trials=trials, rstate=np.random.default_rng(0), verbose=False)
    (injected,) = [document for document in trials.trials if document["result"]["loss"] == 2.0]
    assert injected["misc"]["vals"] == {"rate": [0.5], "step": [], "positive": [], "n": []}
    assert injected["misc"]["idxs"]["rate"] == [injected["tid"]]
