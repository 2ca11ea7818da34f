"""The trial that an objective has on a worker: Optuna's interface, checks and errors, and no more."""

from __future__ import annotations

import datetime

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import sparkopt
from tests.optuna.studies import shipped, states

HAS_CONSTRAINTS = hasattr(optuna.trial.BaseTrial, "set_constraint")


def curious(trial):
    """Notes what it sees."""
    import optuna

    x = trial.suggest_float("x", 0, 1)
    assert trial.suggest_categorical("type", ["t", "u"]) in ("t", "u")
    trial.suggest_int("n", 1, 8, step=2)
    trial.set_user_attr("attribute", {"a": [1]})
    seen = {
        "is one": isinstance(trial, optuna.trial.BaseTrial),
        "number": trial.number,
        "params": trial.params,
        "distributions": trial.distributions,
        "user_attrs": trial.user_attrs,
        "started": trial.datetime_start,
        "name": trial.study.study_name,
        "direction": trial.study.direction,
        "directions": trial.study.directions,
        "study's": trial.study.user_attrs,
    }
    trial.set_user_attr("seen", seen)
    return x


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:Inconsistent parameter values")
def test_the_interface_of_a_trial(pool):
    study = optuna.create_study(study_name="watched", direction="maximize")
    study.set_user_attr("of", "the study")
    study.enqueue_trial({"x": 0.5}, user_attrs={"queued": True})
    with pytest.warns(UserWarning, match="not divisible by `step`"):
        sparkopt.optuna.optimize(study, shipped(curious), 1, pool=pool)
    (trial,) = study.trials
    seen = trial.user_attrs["seen"]
    assert seen.pop("started") == trial.datetime_start
    assert isinstance(trial.datetime_start, datetime.datetime)
    assert seen == {
        "is one": True,
        "number": 0,
        "params": trial.params,
        "distributions": {
            "x": FloatDistribution(0, 1),
            "type": CategoricalDistribution(("t", "u")),
            "n": IntDistribution(1, 7, step=2),
        },
        "user_attrs": {"queued": True, "attribute": {"a": [1]}},
        "name": "watched",
        "direction": optuna.study.StudyDirection.MAXIMIZE,
        "directions": [optuna.study.StudyDirection.MAXIMIZE],
        "study's": {"of": "the study"},
    }
    assert trial.params["x"] == 0.5


def test_errors_and_warnings_are_optunas(pool):
    """Each case raises the same on a worker as in Optuna's own loop."""
    cases = {
        "low above high": lambda trial: trial.suggest_float("x", 2, 1),
        "log of a negative": lambda trial: trial.suggest_float("x", -1, 1, log=True),
        "step and log": lambda trial: trial.suggest_float("x", 1, 2, step=0.5, log=True),
        "int of a wrong step": lambda trial: trial.suggest_int("x", 1, 2, step=0),
        "no choices": lambda trial: trial.suggest_categorical("x", []),
        "another kind": lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_int("x", 0, 1)),
        "other choices": lambda trial: (
            trial.suggest_categorical("x", [1]),
            trial.suggest_categorical("x", [2]),
        ),
        "a report of text": lambda trial: trial.report("much", 1),
        "a negative step": lambda trial: trial.report(1.0, -1),
        "no method": lambda trial: trial.suggest_nothing("x"),
    }

    def raised(case, trial):
        try:
            case(trial)
        except Exception as error:
            return type(error).__name__, str(error)
        return None

    def objective(trial):
        name = sorted(cases)[trial.number]
        trial.set_user_attr("raised", [name, raised(cases[name], trial)])
        return 1.0

    remote, local = optuna.create_study(), optuna.create_study()
    sparkopt.optuna.optimize(remote, objective, len(cases), pool=pool)
    local.optimize(objective, len(cases))
    said, expected = (dict(trial.user_attrs["raised"] for trial in study.trials) for study in (remote, local))
    assert said.pop("no method")[0] == expected.pop("no method")[0] == "AttributeError"
    assert said == expected
    assert None not in expected.values()

    def twice(trial):
        trial.suggest_float("x", 0, 1)
        return trial.suggest_float("x", 0, 2)

    with pytest.warns(RuntimeWarning, match="Inconsistent parameter values"):
        sparkopt.optuna.optimize(optuna.create_study(), twice, 1, pool=pool)

    def reporting(trial):
        trial.report(1, 1)
        return 1, 2

    both = optuna.create_study(directions=["minimize"] * 2)
    with pytest.raises(NotImplementedError):
        sparkopt.optuna.optimize(both, reporting, 1, pool=pool)


def test_objects_are_what_they_were_and_names_of_the_driver_are_refused(pool):
    class Option:
        pass

    options = [Option(), Option(), 1, True, float("nan"), "1"]

    def objective(trial):
        chosen = trial.suggest_categorical("option", options)
        assert any(chosen is each for each in options)
        refused = []
        for name in ("storage", "_trial_id", "relative_params"):
            try:
                getattr(trial, name)
            except AttributeError as error:
                refused.append(str(error))
        for name in ("best_value", "_storage", "trials", "tell"):
            try:
                getattr(trial.study, name)
            except AttributeError as error:
                refused.append(str(error))
        trial.set_user_attr("refused", refused)
        return options.index(chosen)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    with pytest.warns(UserWarning, match="Choices for a categorical distribution"):
        sparkopt.optuna.optimize(study, objective, 12, pool=pool)
    assert states(study) == ["COMPLETE"] * 12
    for trial in study.trials:
        assert len(trial.user_attrs["refused"]) == 7
        assert all("cannot be used on a worker" in text for text in trial.user_attrs["refused"])


def test_a_worker_can_call_nothing_but_the_trials_interface(pool):
    def objective(trial):
        refused = []
        for method in ("__class__", "study", "storage", "__init__", "_suggest", "suggest_float.__func__"):
            try:
                trial._line.call(method)
            except AttributeError as error:
                refused.append(str(error))
        trial.set_user_attr("refused", refused)
        return 1

    study = optuna.create_study()
    sparkopt.optuna.optimize(study, objective, 1, pool=pool)
    assert len(study.trials[0].user_attrs["refused"]) == 6


@pytest.mark.skipif(not HAS_CONSTRAINTS, reason="Optuna has constraints from 5.0 on")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_constraints_of_a_trial(pool):
    def objective(trial):
        trial.set_constraint("c", 0.5)
        return trial.constraints["c"]

    study = optuna.create_study()
    sparkopt.optuna.optimize(study, objective, 2, pool=pool)
    assert [trial.constraints for trial in study.trials] == [{"c": 0.5}] * 2
