"""Whole searches by ``parallel_tpe`` on workers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hyperopt import base

import sparkopt
from sparkopt.errors import ArgumentValueError
from tests.hyperopt.test_parity import NESTED

QUICK = partial(sparkopt.parallel_tpe, n_startup_jobs=4)


def sized(found):
    """A loss for any point of the space; some fail."""
    if found.get("depth", 0) is None:
        raise ValueError("no depth")
    return float(len(str(found)))


def search(trials, algo=QUICK, **arguments):
    sparkopt.fmin(
        sized, NESTED, algo, trials=trials, verbose=False, rstate=np.random.default_rng(5), **arguments
    )
    return [document["misc"]["vals"] for document in trials._dynamic_trials]


@pytest.mark.filterwarnings("ignore::sparkopt.errors.FailedTrialsWarning")
def test_one_worker_gives_the_same_search_again(new_trials):
    first, second = (search(new_trials(parallelism=1), max_evals=15) for _ in range(2))
    assert first == second


@pytest.mark.filterwarnings("ignore::sparkopt.errors.FailedTrialsWarning")
@pytest.mark.parametrize("queue", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_two_workers_and_a_queue_get_different_points(new_trials, queue):
    trials = new_trials(parallelism=2)
    vals = search(trials, max_evals=20, max_queue_len=queue)
    states = [document["state"] for document in trials._dynamic_trials]
    assert len({str(found) for found in vals}) == len(vals)
    assert set(states) <= {base.JOB_STATE_DONE, base.JOB_STATE_ERROR}
    assert len(states) == 20


def test_a_keyword_that_makes_no_sense_is_refused_before_anything_starts(new_trials):
    trials = new_trials(parallelism=1)
    with pytest.raises(ArgumentValueError, match="gamma must be a number above 0 and below 1, got 2"):
        search(trials, partial(sparkopt.parallel_tpe, gamma=2), max_evals=3)
    assert not trials._dynamic_trials
