"""One worker and no queue: the search is serial hyperopt's, value for value and document for document."""

from __future__ import annotations

import math
from functools import partial

import hyperopt
import numpy as np
import pytest
from hyperopt import anneal, hp, mix, rand, tpe

import sparkopt

TRIALS = 45
"""More than twice the trials that TPE draws at random."""

FLAT = {
    "uniform": hp.uniform("uniform", -3, 3),
    "quniform": hp.quniform("quniform", 0, 10, 2),
    "uniformint": hp.uniformint("uniformint", 1, 9),
    "loguniform": hp.loguniform("loguniform", -5, 1),
    "qloguniform": hp.qloguniform("qloguniform", 0, 4, 1),
    "normal": hp.normal("normal", 0, 2),
    "qnormal": hp.qnormal("qnormal", 0, 5, 1),
    "lognormal": hp.lognormal("lognormal", 0, 0.5),
    "qlognormal": hp.qlognormal("qlognormal", 1, 0.5, 1),
    "randint": hp.randint("randint", 7),
    "randint_from": hp.randint("randint_from", 3, 9),
    "choice": hp.choice("choice", [0.5, 1.5, (2.5, 3.5)]),
    "pchoice": hp.pchoice("pchoice", [(0.2, "left"), (0.8, "right")]),
}

NESTED = hp.choice(
    "model",
    [
        {"name": "linear", "c": hp.lognormal("c", 0, 1)},
        {
            "name": "forest",
            "depth": hp.choice("depth", [None, hp.quniform("levels", 1, 12, 1)]),
            "split": hp.pchoice("split", [(0.3, ("gini",)), (0.7, ("entropy", hp.uniform("weight", 0, 1)))]),
        },
        {"name": "boosted", "rate": hp.loguniform("rate", -4, 0), "rounds": 10 + hp.randint("rounds", 90)},
    ],
)

ALGORITHMS = {
    "rand": rand.suggest,
    "tpe": tpe.suggest,
    "anneal": anneal.suggest,
    "mix": partial(mix.suggest, p_suggest=[(0.4, rand.suggest), (0.6, tpe.suggest)]),
}
SPACES = {"flat": FLAT, "nested": NESTED}


def objective(point):
    def size(value):
        if isinstance(value, dict):
            return sum(size(item) for item in value.values())
        if isinstance(value, (tuple, list)):
            return sum(size(item) for item in value)
        if value is None or isinstance(value, str):
            return len(value or "")
        return math.cos(float(value)) + 0.01 * abs(float(value))

    loss = size(point)
    return {"loss": loss, "status": "ok", "point": point, "halved": [loss / 2]}


def plain(value):
    """A document without its times, with the type of everything in it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in ("book_time", "refresh_time")}
    if isinstance(value, (list, tuple)):
        return type(value), [plain(item) for item in value]
    return type(value), value


def shipped():
    """The objective as a worker can get it: it is not able to import this module."""
    scope = {"math": math, "__name__": "__main__"}
    return type(objective)(objective.__code__, scope, "objective")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_as_serial_hyperopt(new_trials, algorithm, space):
    arguments = {
        "fn": shipped(),
        "space": SPACES[space],
        "algo": ALGORITHMS[algorithm],
        "max_evals": TRIALS,
        "verbose": False,
        "return_argmin": space == "flat",
    }
    theirs = hyperopt.Trials()
    expected = hyperopt.fmin(**arguments, trials=theirs, rstate=np.random.default_rng(11))
    ours = new_trials(parallelism=1)
    found = sparkopt.fmin(**arguments, trials=ours, rstate=np.random.default_rng(11))

    assert len(ours) == TRIALS
    for mine, other in zip(ours.trials, theirs.trials, strict=True):
        assert plain(mine) == plain(other)
        assert mine.keys() == other.keys()
    assert plain(found) == plain(expected)
    assert plain(ours.argmin) == plain(theirs.argmin)
    assert ours.losses() == theirs.losses()
    assert ours.statuses() == theirs.statuses()
    assert plain(ours.vals) == plain(theirs.vals)
    assert plain(ours.best_trial) == plain(theirs.best_trial)


def unreliable(point):
    """An objective that fails in every way."""
    x = point["x"]
    if x < 0.1:
        raise ValueError("too small")
    if x < 0.2:
        return {"status": "fail"}
    return math.nan if x < 0.3 else abs(x - 0.7) + abs(point.get("y", 1.0))


def test_a_long_search_is_hyperopts_although_trials_fail(new_trials):
    x = hp.uniform("x", 0, 1)
    arguments = {
        "fn": type(unreliable)(unreliable.__code__, {"math": math, "__name__": "__main__"}, "unreliable"),
        "space": hp.choice("kind", [{"x": x}, {"x": x, "y": hp.normal("y", 0, 1)}]),
        "algo": partial(partial(tpe.suggest, gamma=0.5), n_startup_jobs=5, n_EI_candidates=10),
        "max_evals": 250,
        "verbose": False,
    }
    theirs = hyperopt.Trials()
    expected = hyperopt.fmin(
        **arguments, trials=theirs, rstate=np.random.default_rng(5), catch_eval_exceptions=True
    )
    ours = new_trials(parallelism=1)
    assert sparkopt.fmin(**arguments, trials=ours, rstate=np.random.default_rng(5)) == expected
    points = [[document["misc"]["vals"] for document in trials._dynamic_trials] for trials in (ours, theirs)]
    assert plain(points[0]) == plain(points[1])
    raised, said = theirs.count_by_state_unsynced(hyperopt.JOB_STATE_ERROR), theirs.statuses().count("fail")
    assert min(raised, said) > 0
    assert ours.count_failed_trials() == raised + said


def test_same_by_way_of_hyperopts_own_fmin(new_trials):
    arguments = {"fn": shipped(), "space": FLAT, "algo": rand.suggest, "max_evals": 10, "verbose": False}
    theirs, ours = hyperopt.Trials(), new_trials(parallelism=1)
    expected = hyperopt.fmin(**arguments, trials=theirs, rstate=np.random.default_rng(3))
    found = hyperopt.fmin(**arguments, trials=ours, rstate=np.random.default_rng(3))
    assert plain(found) == plain(expected)
    assert plain(ours.trials) == plain(theirs.trials)


def test_times_are_in_order_and_as_coarse_as_hyperopts(new_trials):
    trials = new_trials()
    sparkopt.fmin(shipped(), FLAT, rand.suggest, max_evals=6, trials=trials, verbose=False)
    for document in trials.trials:
        book, refresh = document["book_time"], document["refresh_time"]
        assert book <= refresh
        assert book.tzinfo is None
        assert refresh.tzinfo is None
        assert book.microsecond % 1000 == 0
        assert refresh.microsecond % 1000 == 0


def test_several_proposals_at_once(new_trials):
    asked = []

    def algo(new_ids, domain, trials, seed):
        asked.append(len(new_ids))
        return rand.suggest(new_ids, domain, trials, seed)

    trials = new_trials()
    sparkopt.fmin(shipped(), FLAT, algo, max_evals=18, max_queue_len=4, trials=trials, verbose=False)
    assert [document["tid"] for document in trials.trials] == list(range(18))
    assert trials.count_successful_trials() == 18
    assert max(asked) == 4
    assert sum(asked) == 18
