"""Cases of the question on tracking servers: which ones are asked, and with how many trials."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mlflow")

from benchmarks.record import Limit
from benchmarks.tracking_server import _DEFAULT, _HELD, _MATRIX, _cases, _trials_of, tracking_server

NOTHING = {"whole": False, "trials": 200, "span": 5.0, **dict.fromkeys(_MATRIX, ())}


def test_few_cases_are_asked_unless_more_are_wanted():
    assert _cases(NOTHING) == list(_DEFAULT)
    assert _HELD in _DEFAULT
    assert _cases({**NOTHING, "delay": (0, 200)}) == [(0, *_HELD[1:]), (200, *_HELD[1:])]
    assert len(_cases({**NOTHING, "whole": True})) == 108
    assert len(_cases({**NOTHING, "whole": True, "workers": (1, 8)})) == 72


@pytest.mark.parametrize(
    ("workers", "seconds", "trials"),
    [(1, 2.0, 2), (8, 0.25, 160), (64, 0.05, 200), (1, 20.0, 1), (2, 0.0, 200)],
)
def test_a_search_has_as_many_trials_as_its_workers_can_do_within_the_span(workers, seconds, trials):
    assert _trials_of((50, workers, seconds, "nothing"), NOTHING) == trials


def test_the_held_case_has_its_limits():
    took = {"seconds": [8.0, 9.0], "left": [0.5, 1.0], "cpu": [1.0, 1.0]}
    untracked = {"seconds": [7.0, 8.0], "left": [0.0, 0.0], "cpu": [0.5, 0.5]}
    figures = {json.dumps(_HELD): {"tracked": took, "untracked": untracked}}
    times, left = tracking_server.form.limits(NOTHING, figures)
    assert isinstance(times, Limit)
    assert (round(times.value, 3), left.value) == (1.036, 0.75)
