"""Lessons that ``parallel_tpe`` draws from trials that end well, badly or early, and from those that run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hyperopt import base, hp, rand

from sparkopt.hyperopt.documents import PRUNED
from tests.hyperopt.parallel.played import PlayedSearch, point

LINE = hp.uniform("x", 0, 1)
SQUARE = {"x": hp.uniform("x", 0, 1), "y": hp.uniform("y", 0, 1)}
GRID = {"a": hp.choice("a", [0, 1, 2]), "b": hp.quniform("b", 0, 3, 1)}
TWELVE = set(itertools.product(range(3), range(4)))


def history(space, ends, seed=0, **keywords):
    """A search that knows the ends of some points: of each its loss, or how it ended otherwise."""
    search = PlayedSearch(space, seed, **keywords)
    for number, (values, end) in enumerate(ends):
        document = rand.suggest([number], search.domain, search.trials, number)[0]
        document["misc"]["vals"] = {label: [np.float64(value)] for label, value in values.items()}
        search.trials.insert_trial_docs([document])
        document = search.trials._dynamic_trials[-1]
        if isinstance(end, dict):
            document.update(end)
        else:
            search.settle(document, end)
    search.trials.refresh()
    return search


def share(search, inside, draws=60):
    """Share of proposals that are somewhere; each as the next one of the same history."""
    found = [point(search.algo([999], search.domain, search.trials, seed)[0]) for seed in range(draws)]
    return sum(map(inside, found)) / draws


def spread(count=20):
    """Points spread evenly over the line, the good ones around a quarter."""
    return [({"x": x}, abs(x - 0.25)) for x in np.linspace(0.02, 0.98, count)]


def test_good_trials_attract():
    assert share(history(LINE, spread()), lambda found: abs(found["x"] - 0.25) < 0.15) > 0.6


def test_parameters_are_learned_together():
    ends = [
        ({"x": x, "y": y}, abs(x - y) + abs(abs(x - 0.5) - 0.4))  # good in two corners
        for x, y in itertools.product(np.linspace(0.1, 0.9, 7), repeat=2)
    ]
    near = share(history(SQUARE, ends), lambda found: abs(found["x"] - found["y"]) < 0.3)
    assert near > 0.7


@pytest.mark.parametrize("finished", [4, 5])
def test_the_start_ends_with_the_trials_that_have_finished(finished):
    ends = [({"x": x}, abs(x - 0.05)) for x in np.linspace(0.05, 0.95, finished)]
    running = [({"x": 0.9}, {"state": base.JOB_STATE_RUNNING})] * 30
    other = [(values, -loss) for values, loss in ends]
    one, two = (history(LINE, given + running) for given in (ends, other))
    drawn = [
        [point(search.algo([99], search.domain, search.trials, seed)[0]) for seed in range(9)]
        for search in (one, two)
    ]
    assert (drawn[0] == drawn[1]) is (finished < 5)


def test_a_trial_that_runs_keeps_others_away():
    def beside(found):
        return 0.25 < found["x"] < 0.4

    running = [({"x": x}, {"state": base.JOB_STATE_RUNNING}) for x in np.linspace(0.26, 0.39, 9)]
    alone, with_them = (history(LINE, ends) for ends in (spread(), spread() + running))
    assert share(with_them, beside) < 0.75 * share(alone, beside)


@pytest.mark.parametrize(
    "end",
    [
        {"state": base.JOB_STATE_ERROR},
        {"state": base.JOB_STATE_DONE, "result": {"status": base.STATUS_FAIL, "loss": -1.0}},
        {"state": base.JOB_STATE_DONE, "result": {"status": base.STATUS_OK, "loss": float("nan")}},
        {"state": base.JOB_STATE_DONE, "result": {"status": base.STATUS_FAIL, PRUNED: True}},
        {"state": base.JOB_STATE_DONE, "result": {"status": base.STATUS_FAIL, PRUNED: True, "loss": 5.0}},
    ],
    ids=["failed", "status fail", "not a number", "pruned before any value", "pruned at a large value"],
)
def test_bad_trials_repel(end):
    def inside(found):
        return 0.25 < found["x"] < 0.45

    ends = [({"x": x}, end) for x in np.linspace(0.26, 0.44, 9)]
    assert share(history(LINE, spread() + ends), inside) < 0.75 * share(history(LINE, spread()), inside)


def test_a_pruned_trial_counts_with_its_last_value():
    result = {"status": base.STATUS_FAIL, PRUNED: True, "loss": -1.0}
    pruned = {"state": base.JOB_STATE_DONE, "result": result}
    ends = [({"x": x}, pruned) for x in (0.85, 0.87, 0.9)]
    assert share(history(LINE, spread() + ends), lambda found: found["x"] > 0.7) > 0.4


def test_a_cancelled_trial_teaches_nothing():
    cancelled = [({"x": x}, {"state": base.JOB_STATE_CANCEL}) for x in np.linspace(0.26, 0.44, 9)]
    with_them, without = (
        share(history(LINE, ends), lambda found: 0.25 < found["x"] < 0.45)
        for ends in (spread() + cancelled, spread())
    )
    assert with_them == without


def test_without_any_loss_points_stay_random():
    search = history(LINE, [({"x": x}, {"state": base.JOB_STATE_ERROR}) for x in np.linspace(0, 1, 30)])
    drawn = [point(search.algo([99], search.domain, search.trials, seed)[0])["x"] for seed in range(40)]
    assert min(drawn) < 0.2
    assert max(drawn) > 0.8


def test_a_branch_learns_from_its_own_trials():
    space = hp.choice("which", [{"x": hp.uniform("x", 0, 1)}, {"y": hp.uniform("y", 0, 1)}])
    search = PlayedSearch(space, n_startup_jobs=10)
    search.run(lambda found: abs(found["y"] - 0.7) if "y" in found else 1 + abs(found["x"] - 0.2), 60)
    late = search.points()[-20:]
    assert sum("y" in found for found in late) >= 14
    assert sum("y" in found and abs(found["y"] - 0.7) < 0.2 for found in late) >= 11


@pytest.mark.parametrize("at_once", [1, 4, 12])
def test_no_point_of_a_small_space_comes_twice_before_all_have_come(at_once):
    search = PlayedSearch(GRID, n_startup_jobs=3)
    while len(search.trials._dynamic_trials) < 12:
        for document in search.propose(at_once):
            search.settle(document, sum(point(document).values()))
    points = [(int(found["a"]), int(found["b"])) for found in search.points()]
    assert set(points) == TWELVE
    search.run(lambda found: 0.0, 3)  # and then some do
    assert len(search.points()) == 15


@pytest.mark.parametrize("model", [False, True])
def test_workers_that_become_free_at_once_get_different_points(model):
    search = PlayedSearch(GRID)
    if model:
        search = history(GRID, [({"a": 0, "b": b}, float(b)) for b in (0, 1, 2, 3) for _ in range(4)])
    one_by_one = [point(search.propose()[0]) for _ in range(3)]
    together = [point(document) for document in search.propose(3)]
    found = {tuple(values.items()) for values in (*one_by_one, *together)}
    assert len(found) == 6


def test_an_option_without_a_chance_that_somebody_has_tried():
    space = hp.pchoice("x", [(0.0, "never"), (0.5, "one"), (0.5, "other")])
    search = history(space, [({"x": option}, float(option)) for option in (0, 1, 2) for _ in range(4)])
    assert 0 <= share(search, lambda found: found["x"] == 0) <= 1
