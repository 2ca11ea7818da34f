"""Callbacks of optuna-integration that take a trial, on a worker: their studies are those of Optuna alone."""

from __future__ import annotations

import importlib.util

import optuna
import pytest

import sparkopt
from tests.optuna.studies import facts, shipped, states

TRIALS = 12
ROUNDS = 6

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # of these libraries, which are not ours
]


def needs(*packages):
    """Skip where one of these packages is not installed."""
    absent = [each for each in packages if importlib.util.find_spec(each) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def lightgbm(trial):
    """Reads the direction of the trial's study."""
    import lightgbm
    from optuna_integration import LightGBMPruningCallback
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    X, y = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(X, y, random_state=0)
    train = lightgbm.Dataset(train_x, train_y)
    test = lightgbm.Dataset(test_x, test_y, reference=train)
    params = {
        "objective": "binary",
        "metric": "auc",
        "learning_rate": trial.suggest_float("rate", 1e-4, 0.5, log=True),
        "num_leaves": trial.suggest_int("leaves", 2, 16),
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
    }
    callbacks = [LightGBMPruningCallback(trial, "auc")]
    booster = lightgbm.train(params, train, ROUNDS, valid_sets=[test], callbacks=callbacks)
    return booster.best_score["valid_0"]["auc"]


def xgboost(trial):
    """Reports the loss of each round."""
    import xgboost
    from optuna_integration import XGBoostPruningCallback
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    X, y = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(X, y, random_state=0)
    train, test = xgboost.DMatrix(train_x, train_y), xgboost.DMatrix(test_x, test_y)
    params = {
        "objective": "binary:logistic",
        "eval_metric": "auc",
        "eta": trial.suggest_float("rate", 1e-4, 0.5, log=True),
        "max_depth": trial.suggest_int("depth", 1, 4),
        "nthread": 1,
        "seed": 0,
    }
    seen = {}
    callbacks = [XGBoostPruningCallback(trial, "test-auc")]
    xgboost.train(
        params,
        train,
        ROUNDS,
        evals=[(test, "test")],
        evals_result=seen,
        callbacks=callbacks,
        verbose_eval=False,
    )
    return seen["test"]["auc"][-1]


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(lightgbm, marks=needs("lightgbm", "optuna_integration")),
        pytest.param(xgboost, marks=needs("xgboost", "optuna_integration")),
    ],
    ids=lambda objective: objective.__name__,
)
def test_callbacks_report_and_prune(spark, objective):
    def new():
        return optuna.create_study(
            direction="maximize",
            study_name="one",
            sampler=optuna.samplers.RandomSampler(seed=1),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        )

    remote, local, several = new(), new(), new()
    sparkopt.optuna.optimize(remote, shipped(objective), TRIALS, parallelism=1, spark_session=spark)
    local.optimize(objective, TRIALS)
    assert facts(remote) == facts(local)
    assert {*states(local)} == {"COMPLETE", "PRUNED"}
    sparkopt.optuna.optimize(several, shipped(objective), TRIALS, parallelism=2, spark_session=spark)
    assert {*states(several)} <= {"COMPLETE", "PRUNED"}
    assert all(trial.intermediate_values for trial in several.trials)


@needs("lightgbm", "optuna_integration")
def test_a_callback_sees_that_the_directions_of_its_study_and_its_metric_differ(alone):
    study = optuna.create_study(direction="minimize")
    with pytest.raises(ValueError, match="inconsistent with the objective values"):
        sparkopt.optuna.optimize(study, shipped(lightgbm), 1, pool=alone)
    assert states(study) == ["FAIL"]
