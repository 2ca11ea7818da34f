"""Return values of the user's functions: proposals, whether to stop, and progress bars."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hyperopt import base

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.errors import ArgumentTypeError, RefusedError
from tests.support.study_tools import CASE, in_order


@pytest.mark.parametrize(
    "answer",
    [True, None, "no", (False, 3), (False, None), (np.array([True, False]), []), (False, [], [])],
    ids=repr,
)
def test_an_early_stop_that_answers_something_else(new_trials, answer):
    trials = new_trials(1)
    with pytest.raises(ArgumentTypeError, match=r"early_stop_fn must return whether to stop and .* got "):
        fmin(float, CASE, in_order, 3, early_stop_fn=lambda *_: answer, trials=trials, verbose=False)
    assert trials.losses() == [0]


@contextlib.contextmanager
def without_a_bar(initial, total):
    yield None


@pytest.mark.parametrize(
    ("bar", "said"), [(without_a_bar, "it was None"), (lambda initial, total: 5, "it returned 5 (int)")]
)
def test_a_bar_that_is_none(new_trials, bar, said):
    with pytest.raises(ArgumentTypeError, match="show_progressbar must, when it is called, return") as caught:
        fmin(float, CASE, in_order, 3, show_progressbar=bar, trials=new_trials(1))
    assert said in str(caught.value)


def remade(change):
    """An algorithm as it should be, and what it returns changed."""
    return lambda ids, domain, trials, seed: change(in_order(ids, domain, trials, seed))


def edited(**fields):
    return remade(lambda documents: [{**document, **fields} for document in documents])


PROPOSALS = [
    (remade(lambda documents: None), "it returned None"),
    (remade(lambda documents: documents[0]), "(dict)"),
    (remade(iter), "(list_iterator)"),
    (remade(lambda documents: "documents"), "it returned 'documents' (str)"),
    (remade(lambda documents: [3]), "among what it returned is 3 (int)"),
    (remade(lambda documents: documents * 2), "it got 1 and returned 2"),
    (lambda ids, *given: in_order([0], *given), "whose tid, 0, another trial has"),
    (lambda ids, *given: in_order([-1], *given), "whose tid is -1"),
    (lambda ids, *given: in_order([2**63], *given), "whose tid is 9223372036854775808"),
    (lambda ids, *given: in_order([0.5], *given), "whose tid is 0.5 (float)"),
    (edited(misc=None), "TypeError"),
    (edited(state=base.JOB_STATE_DONE), "whose state is 2"),
]


ALGORITHMS = [
    in_order,
    remade(tuple),
    lambda ids, *given: in_order(np.array(ids), *given),
    lambda ids, *given: in_order([int(ids[0]) + 50], *given),
    lambda ids, domain, trials, seed: in_order(trials.new_trial_ids(1), domain, trials, seed),
]


def test_what_algorithms_may_return_and_what_not(spark):
    with WorkerPool(1, spark_session=spark) as pool:
        for algo, said in PROPOSALS:
            trials = SparkTrials(pool=pool, tracking=False)
            with pytest.raises(RefusedError, match="algo must return a list of new documents") as caught:
                fmin(float, CASE, algo, 3, trials=trials, verbose=False)
            assert isinstance(caught.value, (TypeError, ValueError))
            assert said in str(caught.value)
            assert len(trials) <= 1
        # Other searches on the pool go on.
        for algo in ALGORITHMS:
            trials = SparkTrials(pool=pool, tracking=False)
            fmin(lambda case: 1.0, CASE, algo, 3, trials=trials, verbose=False)
            assert trials.losses() == [1, 1, 1]
            assert len(set(trials.tids)) == 3
