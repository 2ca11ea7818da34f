"""``optimize`` on two workers: what Optuna's loop promises, and what becomes of errors and lost workers."""

from __future__ import annotations

import datetime
import functools
import math
import os
import signal
import threading
from collections import Counter

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

import sparkopt
from sparkopt.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    EvaluatorDiedError,
    ObjectiveError,
    RefusedError,
    RemoteTraceback,
    SparkoptError,
    TrialTimeoutError,
)
from tests.optuna.studies import shipped, states


def parabola(trial):
    return (trial.suggest_float("x", -5, 5) - 1) ** 2


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_trials_callbacks_and_ends_are_those_of_optunas_loop(pool):
    objective = shipped(parabola)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, constant_liar=True))
    heard = []

    def hear(same, trial):
        assert same is study
        heard.append((trial.number, trial.state, trial.value == (trial.params["x"] - 1) ** 2))

    sparkopt.optuna.optimize(study, objective, 12, pool=pool, callbacks=[hear], gc_after_trial=True)
    assert sorted(heard) == [(number, TrialState.COMPLETE, True) for number in range(12)]

    # It goes on, until a callback of Optuna's or of ours, or an objective, stops it.
    sparkopt.optuna.optimize(
        study, objective, None, pool=pool, callbacks=[MaxTrialsCallback(20, states=None)]
    )
    assert 20 <= len(study.trials) <= 21
    sparkopt.optuna.optimize(study, objective, 50, pool=pool, callbacks=[lambda study, _: study.stop()])
    assert 21 <= len(study.trials) <= 24

    def stopping(trial):
        trial.study.stop()
        return 0

    sparkopt.optuna.optimize(study, stopping, pool=pool)
    assert 22 <= len(study.trials) <= 27
    sparkopt.optuna.optimize(study, objective, timeout=0.0, pool=pool)
    assert set(states(study)) == {"COMPLETE"}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_storage_and_only_the_driver_touches_it(pool, tmp_path):
    database = f"sqlite:///{tmp_path / 'study.db'}"
    storages = [database, JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))]
    for storage in storages:
        study = optuna.create_study(storage=storage, study_name="kept", directions=["minimize", "maximize"])

        def objective(trial):
            trial.set_user_attr("pid", os.getpid())
            return trial.suggest_float("x", 0, 1), trial.suggest_categorical("k", ["a", "b"]) == "a"

        sparkopt.optuna.optimize(study, shipped(objective), 6, pool=pool)
        again = optuna.load_study(storage=storage, study_name="kept")
        assert states(again) == ["COMPLETE"] * 6
        assert os.getpid() not in {trial.user_attrs["pid"] for trial in again.trials}
        assert all(trial.values[0] == trial.params["x"] for trial in again.trials)


def test_errors_are_the_objectives_own(pool):
    class OwnError(Exception):
        pass

    class UnsendableError(Exception):
        def __init__(self, text):
            super().__init__(text)
            self.lock = threading.Lock()

    def objective(trial):
        case = trial.suggest_categorical("case", ["own", "unsendable"])
        raise OwnError("not here") if case == "own" else UnsendableError("nor here")

    for case, expected in (("own", OwnError), ("unsendable", ObjectiveError)):
        study = optuna.create_study()
        study.enqueue_trial({"case": case})
        with pytest.raises(expected, match="here") as caught:
            sparkopt.optuna.optimize(study, objective, 1, pool=pool)
        assert states(study) == ["FAIL"]
        if case == "own":
            assert isinstance(caught.value.__cause__, RemoteTraceback)
        study.enqueue_trial({"case": case})
        sparkopt.optuna.optimize(study, objective, 1, pool=pool, catch=expected)
        assert states(study) == ["FAIL", "FAIL"]

    class FailingSampler(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            raise ZeroDivisionError

    # Optuna's own n_jobs says nothing of errors in the last trials.
    with pytest.raises(SparkoptError, match="2 of 2 trials did not begin"):
        sparkopt.optuna.optimize(optuna.create_study(sampler=FailingSampler()), parabola, 2, pool=pool)
    study = optuna.create_study()
    study.enqueue_trial({"case": "own"})
    with pytest.raises(OwnError):
        sparkopt.optuna.optimize(study, objective, 2, pool=pool, catch=[ObjectiveError, ValueError])
    with pytest.raises(KeyError, match="callback"):
        sparkopt.optuna.optimize(study, lambda _: 1, 2, pool=pool, callbacks=[lambda *_: {}["callback"]])
    sparkopt.optuna.optimize(study, lambda _: "no number", 2, pool=pool)
    assert states(study)[-2:] == ["FAIL", "FAIL"]


def test_what_a_trial_does_to_its_process_fails_that_trial_alone(pool):
    def objective(trial):
        if trial.number == 0:
            os._exit(7)
        while trial.number == 1:
            signal.pause()
        return 1.0

    study, heard = optuna.create_study(), []

    def hear(_, trial):
        heard.append(trial.state)

    sparkopt.optuna.optimize(study, objective, 5, pool=pool, trial_timeout=1, callbacks=[hear])
    assert states(study) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert Counter(heard) == {TrialState.FAIL: 2, TrialState.COMPLETE: 3}
    assert issubclass(EvaluatorDiedError, sparkopt.errors.TrialError)
    assert issubclass(TrialTimeoutError, sparkopt.errors.TrialError)


def test_a_lost_attempt_runs_again_with_the_same_suggestions(pool):
    """Process A is killed, with all that its trial had suggested and noted."""

    def objective(trial):
        import os
        import signal

        import psutil

        import sparkopt

        attempt = sparkopt.trial_info().attempt
        x = trial.suggest_float("x", 0, 1)
        k = trial.suggest_categorical("k", ["a", "b", "c"])
        assert trial.params == {"x": x, "k": k}
        if attempt == 1 and trial.number == 2:
            trial.set_user_attr("first", [x, k])
            trial.report(x, 0)
            os.kill(psutil.Process().parent().ppid(), signal.SIGKILL)
            signal.pause()
        trial.report(x + attempt, 0)
        trial.set_user_attr("attempt", attempt)
        return x

    study, heard = optuna.create_study(), []
    with pytest.warns(UserWarning, match="already reported"):
        sparkopt.optuna.optimize(
            study, objective, 6, pool=pool, callbacks=[lambda _, trial: heard.append(trial.number)]
        )
    assert states(study) == ["COMPLETE"] * 6
    assert sorted(heard) == [*range(6)]
    lost = study.trials[2]
    assert lost.user_attrs == {"first": [lost.params["x"], lost.params["k"]], "attempt": 2}
    assert lost.intermediate_values == {0: lost.params["x"]}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_cancels_what_runs_and_leaves_an_ended_study(spark, workers):
    driver = os.getpid()

    def objective(trial):
        import os
        import signal

        if trial.number == 3:
            os.kill(driver, signal.SIGINT)
        while trial.number >= 3:
            signal.pause()
        return trial.number

    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt):
        sparkopt.optuna.optimize(study, objective, parallelism=workers, spark_session=spark)
    ended = states(study)
    assert 1 <= ended.count("FAIL") <= workers
    assert len(ended) <= 3 + workers
    assert set(ended) == {"COMPLETE", "FAIL"}


def test_arguments_that_make_no_sense_are_refused_before_anything_starts(pool):
    study = optuna.create_study()
    optimize = sparkopt.optuna.optimize
    for refused, arguments in (
        (ArgumentTypeError, {"study": "a study"}),
        (ArgumentTypeError, {"objective": 3}),
        (ArgumentTypeError, {"objective": lambda trial: (yield)}),
        (ArgumentValueError, {"n_trials": -1}),
        (RefusedError, {"pool": pool, "parallelism": 2}),
        (ArgumentTypeError, {"pool": 2}),
        (ArgumentValueError, {"max_attempts": 0}),
        (ArgumentTypeError, {"timeout": datetime.timedelta(seconds=1)}),
        (ArgumentValueError, {"timeout": math.nan}),
        (ArgumentTypeError, {"catch": "ValueError"}),
        (ArgumentTypeError, {"catch": [ValueError, 3]}),
        (ArgumentTypeError, {"catch": ValueError()}),
        (ArgumentTypeError, {"callbacks": lambda study, trial: None}),
        (ArgumentTypeError, {"callbacks": [lambda trial: None]}),
        (ArgumentTypeError, {"callbacks": [3]}),
    ):
        with pytest.raises(refused, match=f"{[*arguments][-1]}"):
            optimize(**{"study": study, "objective": parabola, "n_trials": 1, **arguments})
    with pytest.raises(ArgumentTypeError, match="no argument 'n_jobs': did you mean 'parallelism'"):
        optimize(study, parabola, 1, pool=pool, n_jobs=2)
    for uses in (
        lambda trial: study.best_value + parabola(trial),
        functools.partial(lambda trial, same: parabola(trial), same=study),
        lambda trial: (lambda: study.stop())() or parabola(trial),
    ):
        with pytest.raises(RefusedError, match=r"trial\.study"):
            optimize(study, uses, 1, pool=pool)
    other = optuna.create_study()
    other.add_trial(optuna.create_trial(value=1.0))
    optimize(optuna.create_study(), lambda trial: other.best_value, 1, pool=pool)
    optimize(study, parabola, 0, pool=pool)
    assert study.trials == []

    def again(same, _):
        optimize(same, parabola, 1, pool=pool)

    with pytest.raises(RuntimeError, match="callback"):
        optimize(study, shipped(parabola), 2, pool=pool, callbacks=[again])
