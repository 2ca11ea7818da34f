"""Spaces, algorithms and what algorithms see: searches come out as under serial hyperopt."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hyperopt import anneal, hp, mix, rand, tpe
from hyperopt.base import miscs_update_idxs_vals
from hyperopt.exceptions import DuplicateLabel, InvalidAnnotatedParameter, InvalidTrial

from sparkopt.errors import RefusedError
from tests.hyperopt.compat.contract import (
    Scenarios,
    X,
    differences,
    plain,
    search,
    ship_by_value,
    shown,
    square,
    surface,
    ways,
)

ship_by_value(__name__)

SCENARIOS = Scenarios()


@pytest.fixture
def way(spark, tmp_path):
    return ways(spark, tmp_path)


# Spaces.


@SCENARIOS.add(trials=3)
def a_bare_node(way):
    return search(way, shown, X)


@SCENARIOS.add(trials=3)
def a_bare_node_with_its_point_returned(way):
    return search(way, shown, hp.quniform("q", 0, 9, 3), return_argmin=False)


@SCENARIOS.add(trials=4)
def a_dictionary(way):
    space = {
        "x": hp.normal("x", 0, 1),
        "n": hp.uniformint("n", 1, 9),
        "kept": [1, (2, None)],
        "inner": {"y": 2 * hp.loguniform("y", -3, 0)},
    }
    return search(way, shown, space, max_evals=4, return_argmin=False)


@SCENARIOS.add(trials=3)
def a_list(way):
    return search(way, shown, [X, hp.randint("n", 5), "kept"], return_argmin=False)


@SCENARIOS.add(trials=3)
def a_tuple(way):
    return search(way, shown, (X, {"n": hp.randint("n", 2, 9)}), return_argmin=False)


@SCENARIOS.add(trials=4)
def a_choice_returned_as_its_index(way):
    space = {"c": hp.choice("c", ["a", ("b", 2), None]), "p": hp.pchoice("p", [(0.1, 1.5), (0.9, 2.5)])}
    return search(way, shown, space, max_evals=4)


NESTED = hp.choice(
    "model",
    [
        {"kind": "linear", "c": hp.lognormal("c", 0, 1)},
        {"kind": "tree", "depth": hp.choice("depth", [None, hp.quniform("levels", 1, 9, 1)])},
    ],
)


@SCENARIOS.add(trials=6)
def a_conditional_space(way):
    return search(way, shown, NESTED, max_evals=6)


@SCENARIOS.add(trials=6)
def a_conditional_space_with_its_point_returned(way):
    return search(way, shown, NESTED, max_evals=6, return_argmin=False)


@SCENARIOS.add(trials=3)
def a_space_in_annotations(way):
    def objective(x, n):
        return x + n

    # In the signature they would be text in this module, and hyperopt wants nodes.
    objective.__annotations__ = {"x": hp.uniform("x", -1, 1), "n": hp.choice("n", [10, 20])}
    return search(way, objective, "annotated")


@SCENARIOS.add(trials=3)
def an_expression_used_twice(way):
    node = hp.uniform("x", 0, 1)
    return search(way, shown, {"x": node, "twice": node * 2})


# Algorithms.


def near_the_best(new_ids, domain, trials, seed):
    """A user's own algorithm, which looks at what there is."""
    random = np.random.default_rng(seed)
    documents = []
    for tid in new_ids:
        centre = trials.argmin["x"] + len(trials.losses()) / 100 if len(trials) else 0.0
        misc = {"tid": tid, "cmd": domain.cmd, "workdir": domain.workdir}
        miscs_update_idxs_vals([misc], {"x": [tid]}, {"x": [random.normal(centre, 1)]})
        documents += trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])
    return documents


ALGORITHMS = {
    "rand": rand.suggest,
    "tpe": partial(tpe.suggest, n_startup_jobs=4),
    "anneal": anneal.suggest,
    "mix": partial(mix.suggest, p_suggest=[(0.5, rand.suggest), (0.5, anneal.suggest)]),
    "the user's own": near_the_best,
    "none given": None,
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_propose_the_same(way, algorithm):
    def searched(each):
        return search(each, square, algo=ALGORITHMS[algorithm], max_evals=9)

    expected, found = searched(way["serial"]), searched(way["ours"])
    assert len(set(expected["vals"]["x"])) == 9
    assert plain(found) == plain(expected)


@SCENARIOS.add(trials=8)
def an_algorithm_sees_the_same(way):
    seen = []

    def algo(new_ids, domain, trials, seed):
        if trials.trials:
            seen.append((new_ids, seed, domain.params.keys(), surface(trials)))
        return rand.suggest(new_ids, domain, trials, seed)

    def objective(x):
        return x if x > 0 else {"status": "fail", "x": x}

    return {**search(way, objective, algo=algo, max_evals=8), "seen": seen}


@SCENARIOS.add(trials=12)
def tpe_among_failures(way):
    def objective(x):
        return {0: x * x, 1: {"status": "fail"}, 2: float("nan")}[int(abs(x) * 10) % 3]

    return search(way, objective, algo=partial(tpe.suggest, n_startup_jobs=4), max_evals=12)


@SCENARIOS.add(trials=3)
def an_algorithm_without_more_proposals(way):
    def algo(new_ids, domain, trials, seed):
        return [] if len(trials) == 3 else rand.suggest(new_ids, domain, trials, seed)

    return search(way, square, algo=algo, max_evals=9)


@SCENARIOS.add(trials=2, raises=LookupError)
def an_algorithm_that_raises(way):
    def algo(new_ids, domain, trials, seed):
        if len(trials) == 2:
            raise LookupError("no more ideas")
        return rand.suggest(new_ids, domain, trials, seed)

    return search(way, square, algo=algo, max_evals=9)


@SCENARIOS.add(trials=1, raises=InvalidTrial)
def an_algorithm_that_makes_no_documents(way):
    def algo(new_ids, domain, trials, seed):
        if len(trials) == 1:
            return [{"tid": new_ids[0]}]
        return rand.suggest(new_ids, domain, trials, seed)

    return search(way, square, algo=algo, max_evals=9)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_same_as_serial_hyperopt(way, scenario):
    assert differences(scenario, way["serial"], way["ours"]) == {}


# Differences that are meant: such spaces are refused before anything starts, and the message says why.


def annotated_by_a_type(x):
    return x


annotated_by_a_type.__annotations__ = {"x": float}

REFUSED = {
    "no label": (shown, {"kept": 3}, type(None), "no hyperparameter"),
    "an annotation that is no node": (annotated_by_a_type, "annotated", InvalidAnnotatedParameter, "'x'"),
    "a label given twice": (
        shown,
        [hp.uniform("x", 0, 1), hp.normal("x", 0, 1)],
        DuplicateLabel,
        "label 'x'",
    ),
}


@pytest.mark.parametrize(("fn", "space", "kind", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_spaces_that_are_refused_with_a_reason(way, fn, space, kind, said):
    expected = search(way["serial"], fn, space, max_evals=2, return_argmin=False)["raised"]
    assert (type(None) if expected is None else expected[0]) is kind
    found = search(way["ours"], fn, space, max_evals=2, return_argmin=False)
    raised, text = found["raised"]
    assert issubclass(raised, RefusedError)
    assert said in text
    assert found["documents"] == []
