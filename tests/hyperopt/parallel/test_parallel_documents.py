"""Documents that ``parallel_tpe`` makes, for spaces of every kind: hyperopt could have drawn each of them."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hyperopt import Trials, base, hp, rand, space_eval
from hyperopt.base import Domain

import sparkopt
from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.hyperopt.space import Space
from tests.hyperopt.parallel.played import PlayedSearch, point
from tests.hyperopt.test_parity import FLAT, NESTED
from tests.support.spaces import UNUSUAL

DEPENDENT = {"low": hp.uniform("low", 0, 1), "above": hp.normal("above", hp.uniform("least", 2, 3), 4)}
SWITCHED = base.pyll.scope.switch(hp.randint("n", 2) * 1, hp.uniform("a", 0, 1), hp.uniform("b", 2, 3))
WHOLE = {**UNUSUAL, "nested": NESTED, "flat": FLAT, "dependent": DEPENDENT, "switched": SWITCHED}


def check(search, space, documents):
    """Each document has what hyperopt's own have, and its values are active and in range."""
    domain = search.domain
    for document in documents:
        like = rand.suggest([document["tid"]], domain, Trials(), 0)[0]
        assert document.keys() == like.keys()
        misc = document["misc"]
        assert misc.keys() == like["misc"].keys()
        assert misc["idxs"].keys() == misc["vals"].keys() == like["misc"]["vals"].keys()
        known = Space(domain)
        values = point(document)
        needed = known.checked(values).keys()
        assert needed == values.keys() - {"least"}  # those that are active, and no others
        space_eval(space, values)
        for label, found in values.items():
            assert misc["idxs"][label] == [document["tid"]]
            assert isinstance(found, (np.int64, np.float64))


@pytest.mark.parametrize("name", WHOLE)
def test_whole_spaces(name):
    space, losses = WHOLE[name], np.random.default_rng(3)
    search = PlayedSearch(space, n_startup_jobs=3)
    for _ in range(25):
        (document,) = search.propose()
        check(search, space, [document])
        search.settle(document, float(losses.random()))


def test_an_infinite_scale_is_left_where_good_trials_are_outside():
    search = PlayedSearch(hp.normal("x", 0, 1))
    search.run(lambda found: (found["x"] - 6) ** 2, 80)
    assert min(abs(found["x"] - 6) for found in search.points()) < 1


def test_a_call_without_memory_gives_the_same():
    search = PlayedSearch(NESTED)
    search.run(lambda found: sum(found.values()), 30)
    plain = functools.partial(sparkopt.parallel_tpe, n_EI_candidates=64)
    (again,) = plain([99], search.domain, search.trials, 7)
    (once,) = search.algo([99], search.domain, search.trials, 7)
    assert again["misc"]["vals"] == once["misc"]["vals"]


def test_the_seed_decides():
    first, second, third = (PlayedSearch(FLAT, seed) for seed in (1, 1, 2))
    for search in (first, second, third):
        search.run(lambda found: found["uniform"], 25)
    assert first.points() == second.points() != third.points()


def test_trials_that_were_exchanged_are_read_again():
    search = PlayedSearch(hp.uniform("x", 0, 1))
    search.run(lambda found: found["x"], 40)
    fresh = PlayedSearch(hp.uniform("x", 0, 1))
    fresh.run(lambda found: -found["x"], 40)
    (one,) = search.algo([99], search.domain, fresh.trials, 5)
    (other,) = fresh.algo([99], fresh.domain, fresh.trials, 5)
    assert point(one) == point(other)


def test_trials_of_another_experiment_do_not_count():
    space = hp.uniform("x", 0, 1)
    search = PlayedSearch(space)
    search.run(lambda found: found["x"], 30)
    trials = Trials(exp_key="mine")
    trials._dynamic_trials = search.trials._dynamic_trials
    domain = Domain(None, space)
    (alone,) = sparkopt.parallel_tpe([0], domain, Trials(), 5)
    (beside,) = sparkopt.parallel_tpe([0], domain, trials, 5)
    assert point(alone) == point(beside)


@pytest.mark.parametrize(
    ("keywords", "kind", "said"),
    [
        ({"verbose": True}, ArgumentTypeError, "takes the keywords n_startup_jobs, .*, got verbose"),
        (
            {"n_startup_jobs": 0},
            ArgumentValueError,
            "n_startup_jobs must be a whole number, at least 1",
        ),
        ({"n_EI_candidates": 2.5}, ArgumentTypeError, "n_EI_candidates must be a whole number"),
        ({"gamma": 1.0}, ArgumentValueError, "gamma must be a number above 0 and below 1, got 1.0"),
        ({"gamma": float("nan")}, ArgumentValueError, "gamma must be"),
        ({"prior_weight": "1"}, ArgumentTypeError, "prior_weight must be a number above 0, got '1'"),
        ({"prior_weight": 0}, ArgumentValueError, "prior_weight must be a number above 0, got 0"),
        ({"prior_weight": float("inf")}, ArgumentValueError, "prior_weight must be"),
    ],
)
def test_keywords_that_make_no_sense(keywords, kind, said):
    with pytest.raises(kind, match=said):
        sparkopt.parallel_tpe([0], Domain(None, hp.uniform("x", 0, 1)), Trials(), 0, **keywords)
