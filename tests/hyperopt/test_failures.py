"""Reports of failed trials: at once, in the progress bar, in counts, at the end and in errors."""

from __future__ import annotations

import importlib
import logging
import threading
import warnings

import hyperopt
import numpy as np
import pytest
from hyperopt import STATUS_FAIL

from sparkopt import fmin
from sparkopt.errors import AllTrialsFailedError, FailedTrialsWarning, RemoteTraceback
from sparkopt.study.failures import Failures, gist
from tests.support.study_tools import CASE, in_order


def searched(trials, objective, max_evals, **more):
    """Runs a search; returns its result or exception, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            end = fmin(objective, CASE, in_order, max_evals, trials=trials, **{"verbose": False, **more})
        except AllTrialsFailedError as error:
            end = error
    return end, [each for each in caught if issubclass(each.category, FailedTrialsWarning)]


def test_the_first_failure_is_told_at_once_and_all_at_the_end(new_trials):
    def objective(case):
        if case in (3, 4, 5):
            raise ZeroDivisionError(f"case {case}")
        return {"status": STATUS_FAIL} if case == 7 else case

    told = []

    def early_stop(trials):
        told.append(len(caught))
        return False, []

    trials = new_trials(parallelism=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fmin(objective, CASE, in_order, 10, trials=trials, early_stop_fn=early_stop, verbose=False)
    first, last = caught
    assert [each.category for each in caught] == [FailedTrialsWarning] * 2
    assert first.filename == last.filename == __file__
    assert str(first.message).startswith("trial 3 failed: ZeroDivisionError: case 3 (")
    assert str(last.message) == (
        "4 of 10 trials failed: 3 \u00d7 ZeroDivisionError: case 3 (first: trial 3); 1 \u00d7 the objective"
        " returned the status 'fail' (first: trial 7)"
    )
    # It was said before the next trial had ended.
    assert told == [0, 0, 0, 1, 1, 1, 1]


def test_a_search_without_failures_warns_of_none(new_trials):
    _, told = searched(new_trials(parallelism=1), float, 3)
    assert told == []


def test_a_second_search_tells_of_its_own_failures_only(new_trials):
    def objective(case):
        if case in (1, 3):
            raise ValueError(case)
        return case

    trials = new_trials(parallelism=1)
    searched(trials, objective, 2)
    _, told = searched(trials, objective, 3)
    assert [str(each.message).partition(":")[0] for each in told] == [
        "trial 3 failed",
        "1 of 2 trials failed",
    ]
    assert trials.count_failed_trials() == 2


def test_a_journals_failures_are_told_at_the_end(new_trials, tmp_path):
    def objective(case):
        if case == 1:
            raise ValueError("one")
        return case

    file = tmp_path / "journal"
    searched(new_trials(parallelism=1, journal=file), objective, 2)
    _, told = searched(new_trials(parallelism=1, journal=file), objective, 3)
    assert [str(each.message).partition(":")[0] for each in told] == ["1 of 3 trials failed"]


class TestStatuses:
    def test_another_status_than_ok_is_a_failure(self, new_trials):
        def objective(case):
            results = [1.0, {"status": "fail", "loss": -9.0}, {"status": "suspended"}, float("nan")]
            return results[int(case)]

        trials = new_trials(parallelism=1)
        best, _ = searched(trials, objective, 4)
        assert best == {"case": 0}
        counts = trials.count_successful_trials(), trials.count_failed_trials(), trials.count_total_trials()
        assert counts == (2, 2, 4)

    def test_a_loss_beside_a_failure_is_not_the_bars_best(self, new_trials):
        postfixes = []

        class Bar:
            def __init__(self, initial, total):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def update(self, count):
                assert count == 1

            def __setattr__(self, name, value):
                postfixes.append(value)

        def objective(case):
            return {"status": "fail", "loss": -100.0} if case == 0 else case

        searched(new_trials(parallelism=1), objective, 3, verbose=True, show_progressbar=Bar)
        # Before them it says how many workers have come.
        assert postfixes[-3:] == [
            "best loss: ?, 1 failed",
            "best loss: 1.0, 1 failed",
            "best loss: 1.0, 1 failed",
        ]


class TestNoLoss:
    @pytest.mark.parametrize("return_argmin", [True, False])
    def test_all_are_nan(self, new_trials, return_argmin):
        trials = new_trials()
        error, _ = searched(trials, lambda case: float("nan"), 4, return_argmin=return_argmin)
        assert isinstance(error, hyperopt.exceptions.AllTrialsFailed)
        assert "of 4 trials 4 returned a loss that is NaN" in str(error)
        with pytest.raises(
            hyperopt.exceptions.AllTrialsFailed, match="of 4 trials 4 returned a loss that is NaN"
        ):
            _ = trials.argmin

    def test_all_say_fail(self, new_trials):
        error, _ = searched(new_trials(), lambda case: {"status": "fail"}, 4)
        assert isinstance(error, hyperopt.exceptions.AllTrialsFailed)
        assert "of 4 trials 4 returned another status than 'ok'" in str(error)
        assert "4 \u00d7 the objective returned the status 'fail'" in str(error)

    def test_some_of_each(self, new_trials):
        def objective(case):
            if case == 2:
                raise ValueError("two")
            return {"status": "fail"} if case == 1 else np.nan

        error, _ = searched(new_trials(parallelism=1), objective, 4)
        assert (
            "of 4 trials 2 returned a loss that is NaN, 1 returned another status than 'ok', 1 raised an"
        ) in str(error)
        assert "1 \u00d7 ValueError: two (first: trial 2)" in str(error)
        assert isinstance(error.__cause__, RemoteTraceback)
        assert "ValueError: two" in str(error.__cause__)

    def test_all_raise(self, new_trials):
        def objective(case):
            raise ValueError("never")

        error, _ = searched(new_trials(parallelism=1), objective, 3)
        assert "of 3 trials 3 failed and 0 were cancelled: 3 \u00d7 ValueError: never" in str(error)

    def test_no_trial_at_all(self, new_trials):
        with pytest.raises(AllTrialsFailedError, match="none has ended"):
            _ = new_trials().best_trial


NO_RESULTS = {
    "None": (lambda: None, "returned None: did it forget to return its loss?"),
    "text": (lambda: "0.5", "returned '0.5' (str): it must return a number"),
    "a tuple": (lambda: (0.5, {"acc": 1}), "returned (0.5, {'acc': 1}) (tuple)"),
    "a complex number": (lambda: 1 + 2j, "returned (1+2j) (complex)"),
    "numpy's complex number": (lambda: np.complex64(1), "(complex64)"),
    "an array": (lambda: np.array([1.0]), "An array of one number becomes one with float(...)"),
    "no status": (lambda: {"loss": 1.0}, "a dictionary without 'status', with ['loss']"),
    "another status": (lambda: {"status": "OK", "loss": 1.0}, "with the status 'OK' (str)"),
    "no loss": (lambda: {"status": "ok"}, "with the status 'ok' and without 'loss'"),
    "a loss of None": (lambda: {"status": "ok", "loss": None}, "with the loss None, which is not a number"),
    "a loss of text": (lambda: {"status": "ok", "loss": "low"}, "with the loss 'low' (str)"),
    "a loss of a list": (lambda: {"status": "ok", "loss": [1.0]}, "with the loss [1.0] (list)"),
    "a complex loss": (lambda: {"status": "ok", "loss": np.complex128(1)}, "(complex128)"),
    "a function": (lambda: len, "returned <built-in function len>"),
    "attachments in a list": (
        lambda: {"status": "ok", "loss": 1.0, "attachments": [1]},
        "with the attachments [1] (list), which are not a dictionary",
    ),
    "a generator": (lambda: (each for each in ()), "returned a generator, which cannot be pickled"),
    "a lock": (
        lambda: {"status": "ok", "loss": 1.0, "guard": threading.Lock()},
        "returned a dictionary whose 'guard' (lock) cannot be pickled",
    ),
}


def test_what_is_no_result_is_told_what_is(new_trials):
    makers = [make for make, _ in NO_RESULTS.values()]

    def objective(case):
        return makers[int(case)]()

    trials = new_trials()
    searched(trials, objective, len(makers), return_argmin=False)
    for document, (name, (_, said)) in zip(trials._dynamic_trials, NO_RESULTS.items(), strict=True):
        first = document["misc"]["error"][1].partition("\n")[0]
        assert said in first, name
        assert "such as {'status': 'ok', 'loss': 0.5}" in first, name


def test_an_objective_that_finds_out_on_the_worker_that_it_needs_spark_is_told_where_it_belongs(new_trials):
    def objective(case):
        sql = importlib.import_module("pyspark.sql")  # as a module does that the objective calls
        return sql.SparkSession.builder.getOrCreate().range(int(case)).count()

    error, _ = searched(new_trials(parallelism=1), objective, 1)
    assert "trials=hyperopt.Trials()" in str(error)
    assert "CONTEXT_ONLY_VALID_ON_DRIVER" in str(error.__cause__)


def test_what_spark_trials_say_at_the_end_is_said_there(new_trials, caplog):
    def objective(case):
        if case == 1:
            raise ValueError("one")
        return case

    with caplog.at_level(logging.INFO, "hyperopt-spark"):
        searched(new_trials(parallelism=1), objective, 3, early_stop_fn=lambda trials: (len(trials) == 2, []))
    said = [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "hyperopt-spark"]
    assert said == [
        ("WARNING", "fmin cancelled because of early stopping condition"),
        ("WARNING", "fmin is cancelled, so new trials will not be launched."),
        ("INFO", "Total Trials: 3: 2 succeeded, 1 failed, 0 cancelled."),
    ]


class TestFailures:
    @pytest.mark.parametrize(
        ("kind", "text", "said"),
        [
            (
                "ValueError",
                'Traceback (most recent call last):\n  File "a", line 1\nValueError: bad',
                "ValueError: bad",
            ),
            (
                "ValueError",
                "Traceback (most recent call last):\nValueError: bad\nand worse\n",
                "ValueError: bad",
            ),
            ("__main__.Own", "Traceback (most recent call last):\nOwn: bad\n", "Own: bad"),
            ("KeyError", "Traceback (most recent call last):\nKeyError\n", "KeyError"),
            (
                "sparkopt.errors.TrialLostError",
                "the worker went\nand more",
                "TrialLostError: the worker went",
            ),
            (
                "TypeError",
                "the objective returned None\n\nTraceback",
                "TypeError: the objective returned None",
            ),
            ("ValueError", "", "ValueError"),
        ],
    )
    def test_the_gist(self, kind, text, said):
        assert gist(f"<class '{kind}'>", text) == said

    def test_alike_ones_are_counted_together_and_many_kinds_are_bounded(self):
        failures = Failures()
        for tid in range(500):
            failures.raised(tid, "<class 'ValueError'>", f"case {tid} at 0x{tid:x}")
        for tid in range(500, 800):
            failures.raised(tid, "<class 'KeyError'>", "".join(chr(97 + int(digit)) for digit in str(tid)))
        said = failures.summary()
        assert said.startswith(
            "500 \u00d7 ValueError: case 0 at 0x0 (first: trial 0); 1 \u00d7 KeyError: faa"
        )
        assert said.endswith("296 \u00d7 something else")
        assert (failures.count, failures.errors) == (800, 800)

    def test_the_place_is_that_of_the_innermost_frame(self):
        failures = Failures()
        text = (
            'Traceback (most recent call last):\n  File "train.py", line 3, in objective\n    return fit()\n'
            '           ^^^^^\n  File "lib.py", line 9, in fit\n    return 1 / 0\nZeroDivisionError: none\n'
        )
        failures.raised(5, "<class 'ZeroDivisionError'>", text)
        assert failures.latest == "trial 5 failed: ZeroDivisionError: none (lib.py, line 9: return 1 / 0)"
