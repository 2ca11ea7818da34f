"""Searches on a virtual clock: when proposals are made, and what comes of them."""

from __future__ import annotations

import pytest

from benchmarks.searches.analytic import CONDITIONAL, FAILING, HARTMANN, MIXED, NESTED, ROSENBROCK, STYBLINSKI
from benchmarks.searches.contestants import CONTESTANTS, Contestant
from benchmarks.searches.parameters import SearchSpace, uniform
from benchmarks.searches.problems import Problem
from benchmarks.searches.searching import Kept, searches
from benchmarks.searches.significance import geometric_mean, holm, mean_ranks, worse
from benchmarks.searches.virtual_clock import play

LINE = Problem("line", SearchSpace([uniform("x", 0, 1)]), lambda point: point["x"])
BEST = [
    (HARTMANN, [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]),
    (ROSENBROCK, [1.0] * 10),
    (FAILING, [1.0] * 5),
    (STYBLINSKI, [-2.903534] * 6),
]


class Counting:
    """A search that notes how many trials had settled when each proposal was made."""

    def __init__(self, *_):
        self.settled, self.known, self.proposed = 0, [], 0

    def propose(self):
        self.known.append(self.settled)
        self.proposed += 1
        return {"x": 1 / self.proposed}

    def settle(self, number, loss):
        self.settled += 1


@pytest.mark.parametrize(("workers", "known"), [(1, [0, 1, 2, 3, 4, 5]), (3, [0, 0, 0, 0, 1, 2])])
def test_proposals_are_made_one_ahead(workers, known):
    search = Counting()
    play(LINE, search, workers, [6], 0)
    assert search.known == known
    assert search.settled == 6


def test_the_regret_of_each_budget_is_that_of_the_best_trial_so_far():
    played = play(LINE, Counting(), 2, [2, 4], 0)
    assert played.regrets == pytest.approx([0.5 / LINE.scale, 0.25 / LINE.scale])
    assert LINE.scale == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("problem", "values"), BEST, ids=[each.name for each, _ in BEST])
def test_the_optimum_is_where_it_is_said_to_be(problem, values):
    point = {f"x{number}": value for number, value in enumerate(values)}
    assert problem.loss(point) == pytest.approx(problem.optimum, abs=1e-5)


@pytest.mark.parametrize("problem", [CONDITIONAL, MIXED, NESTED], ids=lambda each: each.name)
def test_hyperopt_and_optuna_draw_points_of_one_space(problem):
    for name in ("random", "optuna"):
        search = CONTESTANTS[name].begin(problem.space, 3)
        for _ in range(40):
            point = search.propose()
            assert problem.loss(point) >= problem.optimum
            assert all(0 <= unit <= 3 for unit in problem.space.units(point).values())


def test_a_tenth_of_a_space_fails():
    search = CONTESTANTS["random"].begin(FAILING.space, 1)
    fails = [FAILING.fails(search.propose()) for _ in range(2000)]
    assert 0.08 < sum(fails) / 2000 < 0.12


def test_searches_that_were_kept_are_not_run_again(tmp_path):
    begun = []

    def begin(space, seed):
        begun.append(seed)
        return CONTESTANTS["random"].begin(space, seed)

    cell = ("one", Contestant("one", begin), "hartmann 6", 2, [3])
    first, again = (searches(*cell, range(2), Kept(tmp_path)) for _ in range(2))
    assert again == first
    assert begun == [0, 1]


def test_holm():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_comparisons():
    assert geometric_mean([1, 4]) == pytest.approx(2)
    assert mean_ranks([{"a": [1.0, 2.0], "b": [2.0, 2.0]}]) == {"a": 1.25, "b": 1.75}
    assert worse([3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 1.5, 0.5]) < 0.05 < worse([1.0, 2.0], [1.5, 2.5])
    assert worse([1.0, 1.0], [1.0, 1.0]) == 1.0
