"""Points to evaluate first, and documents that wait for a search."""

from __future__ import annotations

import hyperopt
import numpy as np
import pytest
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_NEW, JOB_STATE_RUNNING
from study_tools import CASE, in_order

from sparkopt import fmin
from sparkopt.errors import RefusedError

NESTED = hp.choice("model", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.uniform("b", 0, 1)}])


def test_they_come_first_and_on_top(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"case": 7}, {"case": 5}]
    best = fmin(lambda case: case, CASE, in_order, 2, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [7, 5, 2, 3]
    assert trials.tids == [0, 1, 2, 3]
    assert best == {"case": 2}
    assert [type(value) for value in trials.vals["case"]] == [int] * 4


def test_tpe_goes_on_from_points_of_a_conditional_space(new_trials):
    points = [{"model": 1, "b": 0.5}, {"model": 0, "a": 0.25}, {"model": 0, "a": 0.75}]
    trials = new_trials(parallelism=1)
    best = fmin(
        lambda point: point["a"] if "a" in point else point["b"] + 1,
        NESTED,
        tpe.suggest,
        30,
        trials=trials,
        rstate=np.random.default_rng(3),
        points_to_evaluate=points,
        verbose=False,
    )
    assert trials.losses()[:3] == [1.5, 0.25, 0.75]
    assert trials.trials[0]["misc"]["vals"] == {"model": [1], "a": [], "b": [0.5]}
    assert trials.trials[0]["misc"]["idxs"] == {"model": [0], "a": [], "b": [0]}
    assert len(trials) == 33
    assert best["model"] == 0
    assert trials.argmin == best


def test_points_alone(new_trials):
    trials = new_trials()
    points = [{"case": number} for number in (4, 3, 2, 1)]
    fmin(lambda case: case, CASE, in_order, 0, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [4, 3, 2, 1]


def test_points_of_a_second_search_go_on_counting(new_trials):
    trials = new_trials(parallelism=1)
    fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)
    points = [{"case": 50}]
    fmin(lambda case: case, CASE, in_order, 4, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [0, 1, 50, 3, 4]


def test_a_point_that_is_none_of_the_space_starts_nothing(new_trials):
    trials = new_trials(parallelism=1)
    with pytest.raises(RefusedError, match=r"points_to_evaluate\[1\] is no point of the space"):
        fmin(
            lambda point: 0.0,
            NESTED,
            tpe.suggest,
            3,
            trials=trials,
            points_to_evaluate=[{"model": 0, "a": 1}, {"model": 1, "a": 1}],
            verbose=False,
        )
    assert trials._dynamic_trials == []


@pytest.mark.parametrize("state", [JOB_STATE_NEW, JOB_STATE_RUNNING])
def test_documents_that_an_earlier_search_left_are_evaluated_first(new_trials, state):
    trials = new_trials(parallelism=1)
    waiting = in_order([0, 1], hyperopt.base.Domain(lambda case: case, CASE), trials, 1)
    for document in waiting:
        document["misc"]["vals"]["case"] = [30 + document["tid"]]
        document.update(state=state, result={"status": "running", "loss": -1.0})
    trials.insert_trial_docs(waiting)
    fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
    assert trials.losses() == [30, 31, 2]
    assert {document["state"] for document in trials.trials} == {JOB_STATE_DONE}
    assert all(document["book_time"] is not None for document in trials.trials)


def test_those_that_never_came_to_run_are_cancelled_with_the_search(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"case": number} for number in range(5)]

    def stop(trials):
        return True, []

    fmin(
        lambda case: case,
        CASE,
        in_order,
        0,
        trials=trials,
        points_to_evaluate=points,
        early_stop_fn=stop,
        verbose=False,
    )
    assert trials.losses() == [0]
    assert trials.count_cancelled_trials() == 4
