"""The suggestions of random search are hyperopt's, value for value and document for document."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hyperopt import Trials, hp, rand
from hyperopt.base import Domain
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkopt.hyperopt.suggest import accelerated
from sparkopt.hyperopt.suggest.random_search import RandomSearch
from tests.support.spaces import SHARED, SPACES, UNUSUAL, nested, seeds, typed

unhurried = settings(deadline=None)

ids = st.lists(st.integers(0, 10**6), min_size=1, max_size=4, unique=True)


def check(space, new_ids, seed):
    domain, trials = Domain(None, space), Trials()
    suggest = accelerated(rand.suggest, domain)
    assert isinstance(suggest, RandomSearch)
    for _ in range(2):  # the second time as the first: nothing is left over
        assert typed(suggest(new_ids, domain, trials, seed)) == typed(
            rand.suggest(new_ids, domain, trials, seed)
        )


@pytest.mark.parametrize("kind", SPACES)
@unhurried
@given(data=st.data(), new_ids=ids, seed=seeds)
def test_every_distribution(kind, data, new_ids, seed):
    check(data.draw(SPACES[kind]), new_ids, seed)


@unhurried
@given(nested(), ids, seeds)
def test_spaces_that_branch(space, new_ids, seed):
    check(space, new_ids, seed)


@unhurried
@given(st.data(), ids, seeds)
def test_many_parameters_at_once(data, new_ids, seed):
    rest = data.draw(nested())
    check([hp.uniform("first", 0, 1), rest, hp.normal("last", 0, 1), hp.randint("count", 5)], new_ids, seed)


SPECIAL = {
    **UNUSUAL,
    "a parameter that bounds another": hp.choice("c", [hp.uniform("upto", 0, SHARED), 1]),
}


@pytest.mark.parametrize("space", SPECIAL.values(), ids=list(SPECIAL))
def test_unusual_spaces(space):
    for seed in range(30):
        check(space, [seed, 100 + seed], seed)


def test_what_is_taken_for_hyperopts_random_search():
    domain = Domain(None, SHARED)
    bound = functools.partial(rand.suggest, seed=3)

    def own(new_ids, domain, trials, seed):
        return rand.suggest(new_ids, domain, trials, seed)

    for algo in (own, bound, rand.suggest_batch, functools.partial(rand.suggest, [0])):
        assert accelerated(algo, domain) is algo
    assert isinstance(accelerated(functools.partial(rand.suggest), domain), RandomSearch)


def test_an_exception_of_the_space_is_raised():
    domain = Domain(None, hp.uniform("x", 0, np.inf))
    with pytest.raises(OverflowError) as theirs:
        rand.suggest([0], domain, Trials(), 0)
    with pytest.raises(OverflowError) as ours:
        accelerated(rand.suggest, domain)([0], domain, Trials(), 0)
    assert str(ours.value) == str(theirs.value)
