"""SparkTrials beside its searches: kept, loaded, looked at, shared, and refused where it cannot work."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import cloudpickle
import hyperopt
import pytest
from hyperopt import hp, rand, tpe
from hyperopt.early_stop import no_progress_loss

from sparkopt import SparkTrials, fmin
from sparkopt.errors import RefusedError, SparkoptError, SparkoptWarning
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at, wait_at

SPACE = {"x": hp.uniform("x", 0, 1), "kind": hp.choice("kind", ["small", "large"])}

LOOK = """
import pickle, sys
trials = pickle.load(sys.stdin.buffer)
from pyspark import SparkContext
assert SparkContext._active_spark_context is None
said = {
    "losses": trials.losses(), "argmin": trials.argmin, "best": trials.best_params,
    "counts": [trials.count_successful_trials(), trials.count_total_trials()],
    "attachment": trials.trial_attachments(trials.trials[0])["a"],
}
sys.stdout.buffer.write(pickle.dumps(said))
"""


@pytest.fixture
def searched(new_trials):
    trials = new_trials(parallelism=1)

    def objective(point):
        return {"status": "ok", "loss": point["x"], "attachments": {"a": "kept"}}

    fmin(objective, SPACE, rand.suggest, 4, trials=trials, verbose=False)
    return trials


class TestBestParams:
    def test_values_where_argmin_has_indices(self, searched):
        best = searched.best_params
        assert best == hyperopt.space_eval(SPACE, searched.argmin)
        assert best["kind"] in ("small", "large")
        assert searched.argmin["kind"] in (0, 1)

    def test_none_before_a_search(self, new_trials):
        with pytest.raises(SparkoptError, match=r"no search has run .*hyperopt\.space_eval"):
            _ = new_trials().best_params

    def test_none_without_a_result(self, new_trials):
        trials = new_trials(parallelism=1)
        fmin(lambda case: None, CASE, in_order, 1, trials=trials, return_argmin=False, verbose=False)
        with pytest.raises(hyperopt.exceptions.AllTrialsFailed):
            _ = trials.best_params


class TestPickling:
    def test_a_pickle_is_looked_at_without_spark(self, searched):
        done = subprocess.run(
            [sys.executable, "-c", LOOK], input=pickle.dumps(searched), capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        assert pickle.loads(done.stdout) == {
            "losses": searched.losses(),
            "argmin": searched.argmin,
            "best": searched.best_params,
            "counts": [4, 4],
            "attachment": "kept",
        }

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda trials: pickle.loads(pickle.dumps(trials))])
    def test_a_copy_searches_on(self, searched, duplicate):
        again = duplicate(searched)
        assert again._dynamic_trials == searched._dynamic_trials
        fmin(lambda point: -point["x"], SPACE, rand.suggest, 6, trials=again, verbose=False)
        assert (len(again), len(searched)) == (6, 4)
        assert again.parallelism == 1
        assert again.best_params == hyperopt.space_eval(SPACE, again.argmin)

    def test_options_that_do_not_pickle_are_left_out(self, new_trials):
        trials = new_trials(parallelism=1)
        space = hp.choice("function", [lambda: 1, lambda: 2])
        fmin(lambda function: function(), space, rand.suggest, 2, trials=trials, verbose=False)
        again = pickle.loads(pickle.dumps(trials))
        assert again.argmin == trials.argmin
        with pytest.raises(SparkoptError, match="best_params needs the space"):
            _ = again.best_params
        assert trials.best_params() == again.argmin["function"] + 1

    def test_an_objective_may_hold_trials(self, searched):
        data = cloudpickle.dumps(lambda point: searched.losses())
        assert pickle.loads(data)(0) == searched.losses()


class TestEarlyStop:
    def test_the_newest_finished_trial_is_the_last(self, new_trials, tmp_path):
        make_fifos(tmp_path, "go")
        place = str(tmp_path)

        def objective(case):
            if case == 0:
                wait_at(f"{place}/go")
            return float(case)

        seen = []

        def early_stop(trials):
            seen.append([each["tid"] for each in trials.trials])
            assert trials.losses()[-1] is not None
            trials.refresh()
            if len(seen) == 3:
                signal_at(tmp_path / "go")
            return False, []

        trials = new_trials()
        fmin(objective, CASE, in_order, 4, early_stop_fn=early_stop, trials=trials, verbose=False)
        # Trial 0 ends last or last but one, whatever the other worker does meanwhile.
        assert seen[:3] == [[1], [1, 2], [1, 2, 3]]
        assert seen[3:] == [[1, 2, 3, 0]]
        assert [each["tid"] for each in trials.trials] == [0, 1, 2, 3]

    def test_hyperopts_own_works_while_others_run(self, new_trials):
        trials = new_trials()
        fmin(
            lambda case: 1.0,
            CASE,
            in_order,
            100,
            early_stop_fn=no_progress_loss(5),
            trials=trials,
            verbose=False,
        )
        # It says so when it hears of the fifth; what had arrived by then is kept.
        assert 5 <= trials.count_successful_trials() <= 8
        assert trials.fmin_cancelled_reason == "early stopping condition"


class TestLimits:
    def test_a_trial_that_takes_too_long_has_failed(self, new_trials, tmp_path):
        make_fifos(tmp_path, "never")
        path = str(tmp_path / "never")

        def objective(case):
            return wait_at(path) if case == 1 else case

        trials = new_trials(trial_timeout=0.5)
        fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
        assert trials.losses() == [0, 2, 3]
        kind, text = trials._dynamic_trials[1]["misc"]["error"]
        assert kind == "<class 'sparkopt.errors.TrialTimeoutError'>"
        assert text.startswith("the objective took longer than trial_timeout=0.5 s")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"trial_timeout": 0}, "trial_timeout must be None or a positive number of seconds, got 0"),
            ({"trial_timeout": -1.5}, "trial_timeout must be .* got -1.5"),
            ({"max_attempts": 0}, "max_attempts must be a whole number, at least 1, got 0"),
        ],
    )
    def test_nonsense_is_refused(self, new_trials, arguments, message):
        with pytest.raises(RefusedError, match=message):
            new_trials(**arguments)


class TestOneSearchAtATime:
    def test_a_second_one_on_the_same_trials_is_refused(self, new_trials):
        trials = new_trials(parallelism=1)
        refused = []

        def early_stop(_):
            def second():
                with pytest.raises(
                    RefusedError, match="a search is running on these trials already"
                ) as caught:
                    fmin(lambda case: case, CASE, in_order, 9, trials=trials, verbose=False)
                refused.append(caught.value)

            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            return False, []

        fmin(lambda case: case, CASE, in_order, 2, trials=trials, early_stop_fn=early_stop, verbose=False)
        assert len(refused) == 2
        assert trials.losses() == [0, 1]
        fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
        assert trials.losses() == [0, 1, 2]

    def test_one_inside_an_objective_is_refused(self, new_trials):
        def objective(case):
            from hyperopt import hp, rand

            import sparkopt

            space = hp.uniform("y", 0, 1)
            return sparkopt.fmin(lambda y: y, space, rand.suggest, 2, verbose=False)["y"]

        trials = new_trials(parallelism=1)
        fmin(objective, CASE, in_order, 1, trials=trials, return_argmin=False, verbose=False)
        kind, text = trials._dynamic_trials[0]["misc"]["error"]
        assert kind == "<class 'sparkopt.errors.RefusedError'>"
        assert "inside a Spark task" in text
        assert "hyperopt.fmin(..., trials=hyperopt.Trials())" in text

    def test_hyperopts_own_inside_an_objective_works(self, new_trials):
        def objective(case):
            import hyperopt

            space = hyperopt.hp.uniform("y", 0, 1)
            return hyperopt.fmin(lambda y: y, space, hyperopt.rand.suggest, 2, verbose=False)["y"]

        trials = new_trials(parallelism=1)
        fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
        assert 0 <= trials.losses()[0] <= 1


def test_a_view_has_the_trials_own_surface(searched):
    view = searched.view()
    assert view.trials == searched.trials
    assert view.count_total_trials() == 4
    assert view.parallelism == 1
    assert view.best_params == searched.best_params


def test_delete_all_and_a_new_search(searched):
    searched.delete_all()
    assert (len(searched), searched.attachments) == (0, {})
    fmin(lambda point: point["x"], SPACE, tpe.suggest, 2, trials=searched, verbose=False)
    assert len(searched) == 2


def test_trials_of_hyperopts_become_ours(spark, searched):
    theirs = hyperopt.trials_from_docs(searched._dynamic_trials)
    with pytest.warns(SparkoptWarning, match="default parallelism"):
        ours = SparkTrials.of(theirs)
    assert ours.trials == searched.trials
    assert SparkTrials.of(searched) is searched
