"""Points to evaluate, save files and objectives with a Ctrl: as under serial hyperopt."""

from __future__ import annotations

import dataclasses
import pickle
from functools import partial

import hyperopt
import numpy as np
import pytest
from hyperopt import fmin_pass_expr_memo_ctrl, hp, pyll, rand, tpe
from hyperopt.exceptions import AllTrialsFailed
from hyperopt.fmin import generate_trials_to_calculate

import sparkopt
from sparkopt.errors import ParallelismWarning
from tests.hyperopt.compat.contract import (
    CASE,
    Scenarios,
    X,
    differences,
    numbered,
    plain,
    search,
    ship_by_value,
    square,
    surface,
    ways,
)

ship_by_value(__name__)

SCENARIOS = Scenarios()

POINTS = [{"x": 2.5, "n": 1}, {"x": -1.0, "n": 0}]
FLAT = {"x": X, "n": hp.choice("n", [0.0, 10.0])}
NESTED = {"x": X, "deeper": hp.choice("deeper", [None, hp.uniform("y", 0, 1)])}


@pytest.fixture
def way(spark, tmp_path):
    return ways(spark, tmp_path)


def total(point):
    return sum(value or 0.0 for value in point.values())


# Points to evaluate.


def until(count, algo):
    """An algorithm that ends the search at so many trials, however ``max_evals`` counts."""

    def limited(new_ids, domain, trials, seed):
        return [] if len(trials) == count else algo(new_ids, domain, trials, seed)

    return limited


def with_points(way, points, space, algo, max_evals=99, **arguments):
    """Search from points. Serial hyperopt takes them only when it makes the trials itself."""
    file = way.directory / f"{way.name}.pickle"
    trials = None if way.name == "serial" else way.new_trials()
    found = way.fmin(
        total,
        space,
        algo=algo,
        max_evals=max_evals,
        trials=trials,
        points_to_evaluate=points,
        trials_save_file=str(file),
        rstate=np.random.default_rng(4),
        verbose=False,
        **arguments,
    )
    return {"returned": found, "raised": None, **surface(pickle.loads(file.read_bytes()))}


@SCENARIOS.add(trials=5)
def points_and_then_chance(way):
    return with_points(way, POINTS, FLAT, until(5, rand.suggest))


@SCENARIOS.add(trials=10)
def points_and_then_tpe(way):
    algo = until(10, partial(tpe.suggest, n_startup_jobs=4))
    return with_points(way, POINTS, FLAT, algo, return_argmin=False)


@SCENARIOS.add(trials=4)
def no_points(way):
    return with_points(way, [], FLAT, rand.suggest, 4)


@SCENARIOS.add(trials=5)
def points_come_on_top_of_max_evals(way):
    return with_points(way, POINTS, FLAT, rand.suggest, 3)


def test_points_of_a_conditional_space(way):
    """A difference that is meant: labels without a value have empty lists, without which TPE fails."""
    points = [{"x": 2.5, "deeper": 0}, {"x": 2.0, "deeper": 1, "y": 0.5}]
    algo = until(4, partial(tpe.suggest, n_startup_jobs=1))
    with pytest.raises(KeyError, match="y"):
        with_points(way["serial"], points, NESTED, algo)
    found = with_points(way["ours"], points, NESTED, algo)
    assert found["length"] == 4
    assert found["miscs"][0]["vals"] == {"x": [2.5], "deeper": [0], "y": []}
    assert found["miscs"][0]["idxs"] == {"x": [0], "deeper": [0], "y": []}
    expected = with_points(way["serial"], points, NESTED, until(4, rand.suggest))
    assert expected["miscs"][0]["vals"] == {"x": [2.5], "deeper": [0]}
    assert found["losses"][:2] == expected["losses"][:2] == [2.5, 2.5]


def test_points_alone(way):
    """A difference that is meant: serial hyperopt evaluates none of them if nothing is to come after."""
    with pytest.raises(AllTrialsFailed):
        with_points(way["serial"], POINTS, FLAT, rand.suggest, 0)
    found = with_points(way["ours"], POINTS, FLAT, rand.suggest, 0)
    assert found["losses"] == [12.5, -1.0]
    assert found["returned"] == {"x": -1.0, "n": 0}
    assert plain(found["miscs"]) == plain(generate_trials_to_calculate(POINTS).view().miscs)


def test_points_without_trials(way):
    algo = until(5, rand.suggest)
    expected = with_points(way["serial"], POINTS, FLAT, algo)
    with pytest.warns(ParallelismWarning, match="Spark's default parallelism"):
        found = with_points(dataclasses.replace(way["ours"], new_trials=lambda: None), POINTS, FLAT, algo)
    # What chance proposes does not depend on how many run at once.
    assert plain(found) == plain(expected)


@pytest.mark.parametrize("arguments", [{}, {"points_to_evaluate": POINTS}], ids=["plain", "points"])
def test_with_hyperopts_own_trials_the_search_is_hyperopts_own(way, arguments):
    def searched(fmin):
        trials = hyperopt.Trials()
        seed = np.random.default_rng(4)
        fmin(total, FLAT, rand.suggest, 3, trials=trials, rstate=seed, verbose=False, **arguments)
        return trials

    expected, found = searched(way["serial"].fmin), searched(sparkopt.fmin)
    assert type(found) is hyperopt.Trials
    assert plain(surface(found)) == plain(surface(expected))


# Save files.


def saved(way, path, max_evals, trials=None):
    """Search with a save file; what it holds afterwards."""
    way.fmin(
        square,
        X,
        rand.suggest,
        max_evals,
        trials=trials,
        rstate=np.random.default_rng(max_evals),
        verbose=False,
        trials_save_file=str(path),
    )
    return surface(pickle.loads(path.read_bytes()))


@SCENARIOS.add(trials=5)
def a_search_that_goes_on_from_its_file(way):
    path = way.directory / f"{way.name}.pickle"
    trials = way.new_trials()
    first = saved(way, path, 3, trials)
    assert plain(first) == plain(surface(trials))
    return {"first": first, "raised": None, **saved(way, path, 5)}


@SCENARIOS.add(trials=3)
def a_file_that_has_enough_already(way):
    path = way.directory / f"{way.name}.pickle"
    saved(way, path, 3, way.new_trials())
    return {"raised": None, **saved(way, path, 2)}


@SCENARIOS.add(trials=2)
def a_file_that_is_there_and_trials_that_are_given(way):
    path = way.directory / f"{way.name}.pickle"
    saved(way, path, 4, way.new_trials())
    return {"raised": None, **saved(way, path, 2, way.new_trials())}


def test_a_file_of_serial_hyperopts_is_taken_over(way):
    theirs, ours = (way["ours"].directory / name for name in ("theirs.pickle", "ours.pickle"))
    saved(way["serial"], theirs, 3, hyperopt.Trials())
    ours.write_bytes(theirs.read_bytes())
    before = pickle.loads(ours.read_bytes())
    with pytest.warns(ParallelismWarning, match="Spark's default parallelism"):
        found = saved(way["ours"], ours, 6)
    assert type(pickle.loads(ours.read_bytes())) is sparkopt.SparkTrials
    assert found["documents"][:3] == before.trials
    assert plain(found) == plain(saved(way["serial"], theirs, 6))


# Objectives that get the expression, the values and a Ctrl.


@SCENARIOS.add(trials=3)
def an_objective_with_a_ctrl(way):
    @fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        seen = {node.arg["label"].obj: repr(value) for node, value in memo.items()}
        point = pyll.rec_eval(expr, memo=memo)
        current = {key: value for key, value in ctrl.current_trial.items() if not key.endswith("_time")}
        times = [type(ctrl.current_trial[key]) for key in ("book_time", "refresh_time")]
        ctrl.checkpoint()
        ctrl.checkpoint({"status": "running", "loss": 100.0})
        checkpoint = ctrl.current_trial["result"]
        ctrl.attachments["kept"] = {"weights": [point["x"]]}
        ctrl.attachments["gone"] = b"in between"
        held = ["gone" in ctrl.attachments, ctrl.attachments["gone"], "none" in ctrl.attachments]
        del ctrl.attachments["gone"]
        held.append("gone" in ctrl.attachments)
        try:
            ctrl.attachments["gone"]
        except KeyError as error:
            held.append(str(error))
        return {
            "status": "ok",
            "loss": point["x"],
            "attachments": {"returned": 3},
            "seen": (seen, point, current, times, checkpoint, held),
        }

    trials = way.new_trials()
    outcome = search(way, objective, NESTED, trials=trials, return_argmin=False)
    kept = [trials.trial_attachments(trial)["kept"] for trial in trials.trials]
    return {**outcome, "kept": kept}


@SCENARIOS.add(trials=3)
def a_ctrl_by_the_argument_and_what_failures_leave(way):
    def objective(expr, memo, ctrl):
        case = pyll.rec_eval(expr, memo=memo)
        ctrl.attachments["before"] = case
        ctrl.checkpoint({"status": "suspended", "so far": case})
        if case < 2:
            raise ValueError(case)
        return float(case)

    return search(way, objective, CASE, numbered, pass_expr_memo_ctrl=True, **way.lenient)


@SCENARIOS.add(trials=5)
def a_ctrl_that_injects_results(way):
    @fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        case = pyll.rec_eval(expr, memo=memo)
        if case == 1:
            miscs = [{"idxs": {"case": [tid]}, "vals": {"case": [9]}, "cmd": None} for tid in (2, 3)]
            results = [{"status": "ok", "loss": -1.0}, {"status": "fail"}]
            for each, misc in zip(results, miscs, strict=True):
                ctrl.inject_results([None], [each], [misc])
        return float(case)

    return search(way, objective, CASE, numbered)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_same_as_serial_hyperopt(way, scenario):
    assert differences(scenario, way["serial"], way["ours"]) == {}
