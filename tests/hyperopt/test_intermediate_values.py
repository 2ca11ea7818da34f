"""Intermediate values in hyperopt's documents and in a search that goes on from a journal."""

from __future__ import annotations

import math

import pytest
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import fmin, report
from tests.support.study_tools import CASE, in_order


def objective(case):
    for epoch in range(3):
        report(case / (epoch + 1), epoch)
    if case == 1:
        raise ValueError("no good")
    if case == 2:
        return {"status": "ok", "loss": case, "intermediate": "mine"}
    return case


def of_case(case):
    return {0: case, 1: case / 2, 2: case / 3}


def test_they_are_in_the_documents_also_in_a_search_that_goes_on(new_trials, tmp_path):
    for evals in (3, 4):
        trials = new_trials(parallelism=1, journal=tmp_path / "journal")
        fmin(objective, CASE, in_order, evals, trials=trials, verbose=False)
    documents = trials._dynamic_trials
    assert [each["state"] for each in documents] == [
        *(JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_DONE, JOB_STATE_DONE)
    ]
    found = [each["result"]["intermediate"] for each in documents]
    assert found == [of_case(0), of_case(1), "mine", of_case(3)]
    assert trials.losses() == [0, 2, 3]


def test_an_objective_runs_alone():
    assert objective(3) == 3


def test_values_that_are_not_finite_and_steps_that_repeat(new_trials):
    def objective(case):
        report(math.nan)
        report(math.inf)
        report(5.0, 9)
        report(4.0, 9)
        report(3.0, 0)
        return case

    trials = new_trials(parallelism=1)
    fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
    found = trials.results[0]["intermediate"]
    assert [*found] == [0, 1, 2, 9]
    assert [found[0], found[2], found[9]] == [3.0, math.inf, 4.0]
    assert math.isnan(found[1])


@pytest.mark.parametrize("result", [{"status": "ok", "loss": 1.0}, 1.0])
def test_a_trial_that_reports_nothing_has_no_such_field(new_trials, result):
    trials = new_trials(parallelism=1)
    fmin(lambda case: result, CASE, in_order, 1, trials=trials, verbose=False)
    assert trials.results == [{"status": "ok", "loss": 1.0}]
