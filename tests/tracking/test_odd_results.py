"""Odd results: the search keeps each of them, every run ends, and MLflow has whatever it can store."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hyperopt import hp, rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import fmin
from sparkopt.errors import TrackingWarning
from sparkopt.hyperopt.readable import ReadableSpace
from tests.support.mlflow_parts import needs_pictures
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import all_runs, children, content, main_runs

ODD = 25


def make_objective(driver):
    def objective(case):
        import datetime
        import os
        from decimal import Decimal
        from fractions import Fraction

        import numpy as np

        class Bad:
            shape = ()

            def __float__(self):
                raise SystemExit(3) if os.getpid() == driver and case == 1 else ValueError("no number")

            def __repr__(self):
                raise RuntimeError("no text")

        class Own(dict):
            pass

        class Tensor:
            shape = ()

            def __float__(self):
                return 2.5

        cyclic = {}
        cyclic["itself"] = cyclic
        deep = []
        for _ in range(200):
            deep = [deep]
        values = {
            0: 10**400,
            1: Bad(),
            2: Bad(),
            3: Decimal("sNaN"),
            4: np.timedelta64(5, "s"),
            5: np.datetime64("2026-01-01"),
            6: 1j,
            7: np.complex128(1j),
            8: "\ud800" * 10,
            9: "x" * 1_000_000,
            10: b"\0\xff",
            11: cyclic,
            12: deep,
            13: Own(a=1),
            14: np.zeros(3),
            15: {1, 2},
            16: datetime.timedelta(1),
            17: None,
            18: True,
            19: np.float16("nan"),
            20: float("inf"),
            21: np.array(1.5),
            22: Fraction(1, 4),
            23: Decimal("0.25"),
            24: Tensor(),
        }
        return {"loss": float(case), "status": "ok", "odd": values[int(case)]}

    return objective


@pytest.fixture
def searched(tracked_trials, store):
    trials = tracked_trials()
    with pytest.warns(TrackingWarning, match="not everything could be recorded") as told:
        fmin(make_objective(os.getpid()), CASE, in_order, ODD, trials=trials, verbose=False)
    (main,) = main_runs(store)
    (unrecorded,) = [warning for warning in told if warning.category is TrackingWarning]
    return trials, main, children(store, main), str(unrecorded.message)


def test_odd_values_end_neither_the_search_nor_leave_a_run_open(searched, store):
    trials, main, found, told = searched
    states = [document["state"] for document in trials._dynamic_trials]
    assert states == [JOB_STATE_ERROR if case == 1 else JOB_STATE_DONE for case in range(ODD)]
    assert sorted(found) == list(range(ODD))
    assert {run.info.status for run in all_runs(store)} == {"FINISHED", "FAILED"}
    assert [tid for tid, run in found.items() if run.info.status == "FAILED"] == [1]
    assert all(run.data.metrics["loss"] == tid for tid, run in found.items() if tid != 1)
    assert main.info.status == "FINISHED"
    assert main.data.metrics["best_trial_loss"] == 0.0
    odd = {tid: run.data.metrics["odd"] for tid, run in found.items() if "odd" in run.data.metrics}
    assert np.isnan(odd.pop(19))
    assert odd.pop(20) > 1e300
    assert odd == {21: 1.5, 22: 0.25, 23: 0.25, 24: 2.5}
    for tid, why in [(0, "OverflowError"), (2, "no number"), (3, "ValueError")]:
        assert f"'odd' of trial {tid} is not a number" in told
        assert why in told


def test_names_arrive_under_names_that_mlflow_takes(tracked_trials, store):
    returned = {
        "a//b": 1,
        "a/b": 2,
        "/abs": 3,
        "./rel": 4,
        "..": 5,
        "": 6,
        "A/B": 7,
        "x" * 300: 8,
        "x" * 301: 9,
        "tab\t": 10,
        3: 11,
        "3": 12,
        b"bytes": 13,
        ("a", 1): 14,
        "seconds": 15,
        "attempt": 16,
        "trial_status": 17,
    }

    def objective(case):
        return {"loss": float(case), "status": "ok", **returned}

    fmin(objective, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    runs = children(store, main)
    for run in runs.values():
        metrics = dict(run.data.metrics)
        assert metrics.pop("loss") in (0.0, 1.0)
        assert 0 < metrics.pop("seconds") < 15
        assert sorted(metrics.values()) == list(range(1, 18))
        assert metrics["a/b"] == 1
        assert metrics["abs"] == 3
        assert metrics["rel"] == 4
        assert metrics["x" * 250] == 8
        assert (metrics["3 _int_"], metrics["3"]) == (11, 12)
        assert metrics["result.seconds"] == 15
        assert run.data.tags["attempt"] == "1"
        assert run.data.tags["trial_status"] == "success"
    assert runs[0].data.metrics.keys() == runs[1].data.metrics.keys()


def test_labels_arrive_under_names_that_mlflow_takes(tracked_trials, store):
    kinds = ["$\\short$", "y" * 9000, "\ud800"]
    space = {
        "one": hp.uniform("../lr", 1, 2),
        "two": hp.uniform("lr$\\?$", 2, 3),
        "three": hp.uniform("lr!_!!", 3, 4),
        "four": hp.choice("kind", kinds),
        "five": hp.uniform("kind.index", 5, 6),
        "six": hp.uniform("KIND", 6, 7),
    }
    fmin(lambda point: point["one"], space, rand.suggest, 3, trials=tracked_trials(1), verbose=False)
    (main,) = main_runs(store)
    for run in children(store, main).values():
        params = dict(run.data.params)
        assert len({key.casefold() for key in params}) == len(params) == 7
        assert 1 <= float(params.pop("__/lr")) <= 2
        assert 5 <= float(params.pop("kind.index")) <= 6
        assert params.pop("kind.index_") in ("0", "1", "2")
        (option,) = [key for key in params if key.startswith("kind")]
        assert params.pop(option) in ("$\\short$", f"{'y' * 249}…", "\\ud800")
        assert sorted(int(float(value)) for value in params.values()) == [2, 3, 6]
    assert len({key.casefold() for key in main.data.params if key.startswith("best.")}) == 7


@pytest.mark.parametrize(
    "place", ["the parameters", pytest.param("the pictures", marks=needs_pictures), "the best trial"]
)
def test_what_raises_while_it_is_recorded_costs_itself(tracked_trials, store, monkeypatch, place):
    def broken(*_, **__):
        raise ZeroDivisionError("by chance")

    if place == "the parameters":
        monkeypatch.setattr(ReadableSpace, "values", broken)
    elif place == "the pictures":
        monkeypatch.setattr("sparkopt.tracking.pictures.history", broken)
    else:
        monkeypatch.setattr("sparkopt.tracking.tracker.as_json", broken)
    trials = tracked_trials()
    with pytest.warns(TrackingWarning, match="ZeroDivisionError: by chance"):
        best = fmin(lambda case: case, CASE, in_order, 5, trials=trials, verbose=False)
    assert best == {"case": 0}
    (main,) = main_runs(store)
    assert {run.info.status for run in all_runs(store)} == {"FINISHED"}
    assert main.data.metrics["best_trial_loss"] == 0.0
    found = children(store, main)
    assert [found[tid].data.metrics["loss"] for tid in range(5)] == [0, 1, 2, 3, 4]


def test_a_point_that_json_has_no_words_for_is_there_as_text(tracked_trials, store):
    space = {("a", 1): hp.uniform("x", 0, 1)}
    fmin(lambda point: point["a", 1], space, rand.suggest, 2, trials=tracked_trials(1), verbose=False)
    (main,) = main_runs(store)
    assert b'"point": "{(\'a\', 1): ' in content(store, main, "fmin/best_trial.json")
