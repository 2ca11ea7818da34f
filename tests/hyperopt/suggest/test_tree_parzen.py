"""The suggestions of TPE are hyperopt's, value for value and document for document, whatever has happened."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hyperopt import anneal, hp, mix, rand, tpe
from hyperopt.base import Domain
from hyperopt.pyll import scope
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkopt.hyperopt.suggest import accelerated, known
from sparkopt.hyperopt.suggest.tree_parzen import TreeParzen
from tests.hyperopt.suggest.histories import History, filled
from tests.support.spaces import SHARED, SPACES, UNUSUAL, nested, seeds

OUTSIDE = ("checkpoint", "inject", "copies", "change", "cut", "clear", "shuffle", "in_place")

algorithms = st.builds(
    lambda keywords: functools.partial(tpe.suggest, **keywords),
    st.fixed_dictionaries(
        {"n_startup_jobs": st.sampled_from([0, 1, 5, 20])},
        optional={
            "prior_weight": st.floats(0.05, 3),
            "n_EI_candidates": st.sampled_from([1, 2, 24, 60]),
            "gamma": st.sampled_from([0.0, 0.25, 1.0, 4.0]),
            "verbose": st.booleans(),
        },
    ),
)

# A suggestion of hyperopt's takes up to fifty milliseconds.
few = settings(deadline=None, max_examples=15)


def search(space, algo, seed, happens=(), rounds=3):
    """Compare suggestions at several times of a search."""
    history = History(space, algo, seed, happens)
    for number in range(rounds):
        history.go_on(int(history.rng.integers(1, 60)))
        history.check(count=1 + number % 2)
        history.check(adopt=True)


@pytest.mark.parametrize("kind", sorted(set(SPACES) - {"randint"}))
@few
@given(data=st.data(), algo=algorithms, seed=seeds)
def test_every_distribution(kind, data, algo, seed):
    search(data.draw(SPACES[kind]), algo, seed)


@few
@given(algo=algorithms, seed=seeds, high=st.integers(1, 1000))
def test_randint(algo, seed, high):
    search(hp.randint("x", high), algo, seed)


@few
@given(space=nested(), algo=algorithms, seed=seeds)
def test_spaces_that_branch(space, algo, seed):
    search(space, algo, seed)


@few
@given(data=st.data(), algo=algorithms, seed=seeds)
def test_many_parameters_at_once(data, algo, seed):
    rest = data.draw(nested())
    search([hp.uniform("first", 0, 1), rest, hp.normal("last", 0, 1), hp.randint("count", 5)], algo, seed)


@pytest.mark.parametrize("happens", OUTSIDE)
@few
@given(seed=seeds)
def test_whatever_else_happens(happens, seed):
    space = hp.choice("kind", [hp.uniform("x", 0, 1), hp.lognormal("y", 0, 1)])
    search(space, functools.partial(tpe.suggest, n_startup_jobs=1), seed, [happens], rounds=6)


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_everything_together(seed):
    space = [hp.uniform("x", 0, 1), hp.choice("kind", [hp.quniform("y", 0, 9, 1), hp.randint("n", 2, 9)])]
    search(space, functools.partial(tpe.suggest, n_startup_jobs=1), seed, OUTSIDE, rounds=8)


SPECIAL = {
    **UNUSUAL,
    "keywords": [
        hp.uniform("x", low=0, high=1),
        hp.normal("y", mu=0, sigma=2),
        hp.uniformint("z", 1, high=4),
    ],
    "a randint by keywords": hp.randint("x", low=2, high=9),
    "a branch by chance": scope.switch(scope.randint(2), SHARED, hp.normal("n", 0, 1)),
    "whole numbers": [hp.uniform("x", 0, 10), hp.normal("y", 0, 3), hp.quniform("z", 0, 10, 2)],
    "far from zero": [hp.uniform("x", 1e9, 1e9 + 1), hp.loguniform("y", 50.0, 50.001)],
    "very small": [hp.uniform("x", 0, 1e-11), hp.normal("y", 0, 1e-13), hp.loguniform("z", -700, -690)],
}


@pytest.mark.parametrize("space", SPECIAL.values(), ids=list(SPECIAL))
def test_unusual_spaces(space):
    for seed in range(8):
        search(space, functools.partial(tpe.suggest, n_startup_jobs=3), seed)


UNKNOWN = {
    "a parameter that bounds another": hp.choice("c", [hp.normal("about", SHARED, 1), 1]),
    "no spread at all": hp.normal("x", 0, 0),
    "a centre that is computed": hp.normal("x", scope.float(0), 1),
    "bounds that are infinite": hp.uniform("x", 0, np.inf),
}


@pytest.mark.parametrize("space", UNKNOWN.values(), ids=list(UNKNOWN))
def test_spaces_that_are_left_to_hyperopt(space):
    assert accelerated(tpe.suggest, Domain(None, space)) is tpe.suggest


# Long histories, for which there are shortcuts.

LONG = {
    "uniform": (hp.uniform("x", -5, 5), lambda rng, count: rng.uniform(-5, 5, count)),
    "close together": (hp.uniform("x", -5, 5), lambda rng, count: np.clip(rng.normal(1, 0.05, count), -5, 5)),
    "two heaps": (hp.uniform("x", -5, 5), lambda rng, count: rng.choice([-4, 4], count) + rng.random(count)),
    "at the bounds": (hp.uniform("x", 0, 1), lambda rng, count: np.sqrt(rng.random(count)) * 0.9999),
    "equal ones": (hp.uniform("x", 0, 1), lambda rng, count: np.round(rng.random(count), 2)),
    "outside": (hp.uniform("x", 0, 1), lambda rng, count: rng.normal(0, 50, count)),
    "loguniform": (hp.loguniform("x", -9, 2), lambda rng, count: np.exp(rng.uniform(-9, 2, count))),
    "normal": (hp.normal("x", 3, 2), lambda rng, count: rng.normal(3, 2, count)),
    "lognormal": (hp.lognormal("x", 0, 1), lambda rng, count: np.exp(rng.normal(0, 1, count))),
    "quniform": (hp.quniform("x", 0, 50, 1), lambda rng, count: np.round(rng.uniform(0, 50, count))),
    "qlognormal": (hp.qlognormal("x", 2, 1, 1), lambda rng, count: np.round(np.exp(rng.normal(2, 1, count)))),
    "randint": (hp.randint("x", 2, 90), lambda rng, count: rng.integers(2, 90, count)),
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("count", [150, 1000, 2500])
def test_long_histories(kind, count):
    space, drawn = LONG[kind]
    for seed in range(1 if kind.startswith("q") else 3):  # steps take hyperopt a tenth of a second
        values = drawn(np.random.default_rng(seed), count).tolist()
        history = filled(space, tpe.suggest, {"x": values}, seed, losses=np.abs(np.asarray(values) - 1))
        for _ in range(6):
            history.check(adopt=True)
            history.settle()


def test_a_long_history_of_a_branch():
    rng = np.random.default_rng(0)
    space = hp.choice("which", [hp.uniform("x", 0, 1), 1, hp.normal("y", 0, 1)])
    which = rng.integers(3, size=4000).tolist()
    values = {
        "which": which,
        "x": [float(rng.random()) if chosen == 0 else None for chosen in which],
        "y": [float(rng.normal()) if chosen == 2 else None for chosen in which],
    }
    history = filled(space, tpe.suggest, values, 0)
    for _ in range(20):
        history.check(adopt=True)
        history.settle()


# What is taken for hyperopt's.

BOUND = functools.partial(tpe.suggest, gamma=0.3)


def own(new_ids, domain, trials, seed):
    return tpe.suggest(new_ids, domain, trials, seed)


@pytest.mark.parametrize(
    "algo",
    [
        own,
        anneal.suggest,
        functools.partial(mix.suggest, p_suggest=[(1.0, tpe.suggest)]),
        functools.partial(tpe.suggest, [0]),
        functools.partial(tpe.suggest, seed=1),
        functools.partial(tpe.suggest, gamma=-1),
        functools.partial(tpe.suggest, n_EI_candidates=0),
        functools.partial(tpe.suggest, n_EI_candidates=24.0),
        functools.partial(tpe.suggest, prior_weight=0),
        functools.partial(tpe.suggest, prior_weight="1"),
        functools.partial(tpe.suggest, unheard_of=1),
    ],
)
def test_what_is_not_taken_for_hyperopts_tpe(algo):
    assert accelerated(algo, Domain(None, SHARED)) is algo


def test_partial_functions_of_partial_functions():
    outer = functools.partial(functools.partial(own), seed=1)
    assert accelerated(outer, Domain(None, SHARED)) is outer

    class Named(functools.partial):
        """Not merged with what is inside."""

    inner = Named(tpe.suggest, gamma=0.9, n_startup_jobs=2)
    algo = Named(inner, gamma=0.1, n_EI_candidates=3)
    ours = accelerated(algo, Domain(None, SHARED))
    assert isinstance(ours, TreeParzen)
    assert (ours.settings.gamma, ours.settings.n_startup_jobs, ours.settings.n_EI_candidates) == (0.1, 2, 3)
    search(SHARED, algo, 0)


def test_another_hyperopt_makes_its_own_suggestions(monkeypatch):
    assert known.is_known(), f"the sources of the installed hyperopt are new: {known.digest()}"
    known.is_known.cache_clear()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(known, "DIGESTS", frozenset())
            for algo in (tpe.suggest, rand.suggest):
                assert accelerated(algo, Domain(None, SHARED)) is algo
    finally:
        known.is_known.cache_clear()


STRANGE = {
    "a value that is text": lambda document: document["misc"]["vals"].update(shared=["high"]),
    "a value in single precision": lambda document: document["misc"]["vals"].update(shared=[np.float32(0.3)]),
    "a value that is infinite": lambda document: document["misc"]["vals"].update(shared=[np.inf]),
    "a value that is a truth": lambda document: document["misc"]["vals"].update(shared=[True]),
    "no value": lambda document: document["misc"]["vals"].update(shared=[]),
    "two values": lambda document: document["misc"]["vals"].update(shared=[0.1, 0.2]),
    "another trial's value": lambda document: document["misc"]["idxs"].update(shared=[77]),
    "no such label": lambda document: document["misc"]["vals"].pop("shared"),
    "an array": lambda document: document["misc"]["idxs"].update(shared=np.array([7])),
    "a loss that is text": lambda document: document["result"].update(loss="0.5"),
    "a loss that is no number": lambda document: document["result"].update(loss="low"),
    "no result": lambda document: document.update(result=None),
    "a tid that is half": lambda document: document.update(tid=7.5),
    "a tid in a trial that is text": lambda document: document["misc"].update(from_tid="7"),
}


@pytest.mark.parametrize("make_strange", STRANGE.values(), ids=list(STRANGE))
def test_strange_documents_are_left_to_hyperopt(make_strange):
    history = History(SHARED, functools.partial(tpe.suggest, n_startup_jobs=2), 0)
    history.go_on(30)
    history.check()
    document = history.trials.trials[3]
    document["state"] = 0
    make_strange(document)
    history.trials._trials = list(history.trials._trials)
    history.ours = accelerated(history.algo, history.domain)
    for _ in range(2):
        history.check()
    history.trials._dynamic_trials.remove(document)
    history.trials.refresh()
    history.check()


class Watched(dict):
    """A document that counts how often it is looked into."""

    looks = 0

    def __getitem__(self, key):
        self.looks += 1
        return super().__getitem__(key)


def test_a_trial_that_is_done_is_read_once():
    history = filled(SHARED, tpe.suggest, {"shared": np.random.default_rng(0).random(60).tolist()}, 0)
    documents = [Watched(document) for document in history.trials._trials]
    history.trials._dynamic_trials, history.trials._trials = documents, list(documents)
    history.ours([100], history.domain, history.trials, 0)
    assert all(document.looks for document in documents)
    for document in documents:
        document.looks = 0
    history.trials._trials.pop(7)
    history.trials._trials = list(history.trials._trials)
    history.ours([101], history.domain, history.trials, 0)
    assert not any(document.looks for document in documents)
