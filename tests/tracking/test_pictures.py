"""Pictures that a search gets in its run at the end."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("matplotlib")

from sparkopt.study.search_summary import SearchSummary
from sparkopt.study.trial_description import Dimension, TrialDescription
from sparkopt.tracking.pictures import A_TRIAL, LONG, pictures_of

SPACE = [Dimension("rate", "float", 0, 1), Dimension("layers", "int", 1, 9, 1)]
ALWAYS = ["loss_over_trials.png", "loss_by_parameter.png"]


def trial(tid, state="ok", worker="worker-0", **params):
    return TrialDescription(
        tid, state, params, [tid / 2] if state == "ok" else None, started=float(tid), worker=worker
    )


def names(*trials, seconds=LONG):
    summary = SearchSummary({}, described=lambda: (trials, SPACE))
    return [name for name, _ in pictures_of(summary, "loss", False, seconds)]


def test_a_search_without_a_result_has_no_pictures():
    assert names() == names(trial(0, "failed", rate=0.5)) == []


def test_a_short_search_has_two():
    both = [trial(tid, rate=tid / 9, layers=3) for tid in range(2)]
    assert names(*both, seconds=LONG - 1) == ALWAYS


def test_a_search_of_very_many_short_trials_has_two():
    trials = [trial(tid, rate=0.5, layers=3) for tid in range(1500)]
    assert names(*trials, seconds=1500 * A_TRIAL - 1) == ALWAYS
    assert "workers.png" in names(*trials, seconds=1500 * A_TRIAL)


def test_pictures_are_those_that_can_show_something():
    assert names(trial(0, rate=0.5)) == [*ALWAYS, "workers.png"]
    assert names(trial(0, worker="", rate=0.5, layers=3)) == [*ALWAYS, "parallel_coordinates.png"]
    importances = ["parameter_importances.png"] if find_spec("optuna") else []
    both = [trial(tid, worker="", rate=tid / 9, layers=3) for tid in range(2)]
    assert names(*both) == [*ALWAYS, "parallel_coordinates.png", *importances]


def test_each_picture_is_drawn():
    trials = [trial(tid, rate=tid / 9, layers=3) for tid in range(5)]
    summary = SearchSummary({}, described=lambda: (trials, SPACE))
    drawn = {name: picture() for name, picture in pictures_of(summary, "value", True, LONG)}
    assert {"value_over_trials.png", "value_by_parameter.png", "workers.png"} <= drawn.keys()
    assert all(data.startswith(b"\x89PNG") for data in drawn.values())
