"""With one worker, the study that Optuna runs alone."""

from __future__ import annotations

import warnings

import optuna
import pytest

import sparkopt
from tests.optuna.studies import facts, shipped, states

TRIALS = 30


def winding(trial):
    """Conditions, loops, a repeated name, reports, attributes, pruned trials and failures."""
    import optuna

    x = trial.suggest_float("x", -5, 5)
    kind = trial.suggest_categorical("kind", ["plain", "deep", None, 3, True, 1.0])
    loss = x * x
    if kind == "deep":
        for layer in range(trial.suggest_int("layers", 1, 3)):
            loss += trial.suggest_int(f"units{layer}", 4, 64, log=True) / 100
    assert trial.suggest_float("x", -5, 5) == x
    loss += trial.suggest_float("stepped", 0, 1, step=0.25) + trial.suggest_float("small", 1e-5, 1, log=True)
    trial.set_user_attr("kind", [kind])
    for step in range(4):
        trial.report(loss / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    if trial.number % 7 == 3:
        raise ZeroDivisionError(f"trial {trial.number}")
    return None if trial.number % 11 == 5 else loss


def several(trial):
    """Two objectives."""
    x, y = trial.suggest_float("x", 0, 2), trial.suggest_int("y", 0, 9)
    trial.set_user_attr("c", x - 1)
    return x, float(y) - x


def constrained(trial):
    """Constraints of a sampler, from what the objective has noted."""
    return [trial.user_attrs["c"]]


def new(sampler, pruner=optuna.pruners.MedianPruner, **arguments):
    """A study whose sampler and pruner no other has: they may have a state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(sampler=sampler(), pruner=pruner(), study_name="the same", **arguments)


def nsga():
    return optuna.samplers.NSGAIISampler(seed=5, population_size=8, constraints_func=constrained)


def grouped():
    return optuna.samplers.TPESampler(seed=5, multivariate=True, group=True, n_startup_trials=6)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:.constraints_func. has been deprecated:FutureWarning")
def test_one_worker_makes_the_study_of_optuna_alone(alone):
    cases = [
        (lambda: optuna.samplers.TPESampler(seed=5, n_startup_trials=6), winding, {"direction": "maximize"}),
        (grouped, winding, {"pruner": optuna.pruners.SuccessiveHalvingPruner}),
        (lambda: optuna.samplers.RandomSampler(seed=5), winding, {"pruner": optuna.pruners.NopPruner}),
        (nsga, several, {"directions": ["minimize", "maximize"]}),
    ]
    for sampler, objective, arguments in cases:
        remote, local = new(sampler, **arguments), new(sampler, **arguments)
        for study in (remote, local):
            study.enqueue_trial({"x": 1.5}, user_attrs={"from": "a queue"})
            study.add_trial(optuna.create_trial(values=[4.0] * len(study.directions)))

        sparkopt.optuna.optimize(remote, shipped(objective), TRIALS, pool=alone, catch=[ZeroDivisionError])
        local.optimize(objective, TRIALS, catch=[ZeroDivisionError])

        assert facts(remote) == facts(local)
        assert len(remote.trials) == TRIALS + 1
        assert {"COMPLETE", "FAIL", "PRUNED"} >= set(states(remote))
