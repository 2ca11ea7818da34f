"""Warnings that save a day."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from hyperopt import anneal, mix, rand, tpe

from sparkopt import fmin, parallel_tpe
from sparkopt.errors import CrowdedHostWarning, LargeObjectiveWarning, ParallelismWarning
from sparkopt.hyperopt.advice import MEASURED, advise_on_parallelism
from tests.support.study_tools import CASE, in_order


class TestParallelism:
    @pytest.mark.parametrize("algo", [tpe.suggest, partial(tpe.suggest, gamma=0.3), anneal.suggest])
    @pytest.mark.parametrize(("parallelism", "trials"), [(8, 8), (8, 3), (2, 2)])
    def test_random_search_in_disguise(self, algo, parallelism, trials):
        with pytest.warns(
            ParallelismWarning,
            match=rf"all {trials} .* {parallelism} run at once: hyperopt\.(tpe|anneal) learns",
        ):
            advise_on_parallelism(parallelism, trials, algo)

    @pytest.mark.parametrize(
        ("algo", "parallelism", "start_up"),
        [
            (tpe.suggest, 20, 20),
            (tpe.suggest, 64, 20),
            (partial(tpe.suggest, n_startup_jobs=5), 5, 5),
            (partial(partial(tpe.suggest, n_startup_jobs=90), n_startup_jobs=4), 8, 4),
        ],
    )
    def test_more_at_once_than_tpe_starts_with(self, algo, parallelism, start_up):
        with pytest.warns(
            ParallelismWarning, match=rf"TPE starts with {start_up} random ones.*less than {start_up}"
        ):
            advise_on_parallelism(parallelism, 1000, algo)

    @pytest.mark.parametrize("algo", [parallel_tpe, partial(parallel_tpe, gamma=0.2)])
    def test_no_algorithm_learns_from_trials_that_have_not_finished(self, algo):
        with pytest.warns(ParallelismWarning, match="all 8 .* run at once: parallel_tpe learns from none"):
            advise_on_parallelism(8, 8, algo)

    @pytest.mark.parametrize(
        ("parallelism", "nearest", "serial"),
        [
            (2, 8, r" \(60% if they run one by one\)"),
            (20, 32, r" \(60% if they run one by one\)"),
            (64, 32, r" \(60% if they run one by one\)"),
            (128, 128, ""),
        ],
    )
    def test_what_was_measured_is_said(self, parallelism, nearest, serial):
        measured = MEASURED[nearest]
        said = (
            f"with {nearest} at once and {measured.trials} trials, TPE is left with {measured.tpe:.0%} of"
            f" the regret of random search{serial}, and"
            f" sparkopt.parallel_tpe with {measured.parallel_tpe:.0%}"
        )
        with pytest.warns(ParallelismWarning, match=said):
            advise_on_parallelism(parallelism, 1000, partial(tpe.suggest, n_startup_jobs=2))

    @pytest.mark.parametrize(
        ("algo", "parallelism", "trials"),
        [
            (parallel_tpe, 32, 33),
            (tpe.suggest, 19, 20),
            (tpe.suggest, 1, 1),
            (partial(tpe.suggest, n_startup_jobs=64), 32, 1000),
            (anneal.suggest, 20, 1000),
            (rand.suggest, 50, 20),
            (partial(rand.suggest), 50, 20),
            (partial(mix.suggest, p_suggest=[(1.0, tpe.suggest)]), 20, 1000),
            (in_order, 50, 20),
        ],
    )
    def test_nothing_is_said_otherwise(self, algo, parallelism, trials):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            advise_on_parallelism(parallelism, trials, algo)

    def test_a_search_says_it_at_the_users_line(self, new_trials):
        trials = new_trials()
        with pytest.warns(ParallelismWarning, match="all 2 trials") as caught:
            fmin(lambda case: case, CASE, tpe.suggest, 2, trials=trials, verbose=False)
        assert caught[0].filename == __file__

    def test_a_search_with_a_history_does_not(self, new_trials):
        trials = new_trials(parallelism=1)
        fmin(lambda case: case, CASE, tpe.suggest, 2, trials=trials, verbose=False)
        trials.parallelism = 2
        fmin(lambda case: case, CASE, tpe.suggest, 4, trials=trials, verbose=False)
        assert len(trials) == 4


class TestLargeObjectives:
    def test_the_largest_parts_are_named(self, new_trials):
        table, other, small = np.zeros(10_000_000), np.zeros(4_000_000), np.zeros(10)
        nested = {"weights": [other], "small": small}

        def objective(case):
            return float(table[0] + nested["weights"][0][0])

        trials = new_trials(parallelism=1)
        with pytest.warns(LargeObjectiveWarning) as caught:
            fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
        text = str(caught[0].message)
        assert "the objective pickles to 107 MiB" in text
        assert (
            "most of it is the captured variable 'table', a numpy.ndarray (76 MiB), the captured variable"
            " 'nested', the entry 'weights', the item 0, a numpy.ndarray (31 MiB)."
        ) in text
        assert "broadcast" in text
        assert caught[0].filename == __file__
        assert trials.losses() == [0.0]


class TestCrowdedHosts:
    def test_more_threads_than_cores_are_warned_of_once(self, new_trials):
        def objective(case):
            import numpy as np
            import threadpoolctl

            threadpoolctl.threadpool_limits(64)
            np.ones(2) @ np.ones(2)
            return case

        trials = new_trials()
        with pytest.warns(CrowdedHostWarning) as caught:
            fmin(objective, CASE, in_order, 6, trials=trials, verbose=False)
        said = [str(each.message) for each in caught if each.category is CrowdedHostWarning]
        assert len(said) == 1
        assert said[0].startswith("2 workers on ")
        assert "with 64 BLAS or OpenMP threads each" in said[0]

    def test_a_worker_alone_may_use_what_there_is(self, new_trials):
        def objective(case):
            import threadpoolctl

            threadpoolctl.threadpool_limits(64)
            return case

        trials = new_trials(parallelism=1)
        fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
        assert trials.losses() == [0, 1]
