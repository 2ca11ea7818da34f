"""Each sampler and pruner of Optuna's, with one worker and with four; and a search whose workers die."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import warnings

import optuna
import psutil
import pytest

import sparkopt
from sparkopt import WorkerPool
from sparkopt.spark.session import get_session
from tests.faults.driver_process import driver_process
from tests.optuna.studies import facts, shipped, states

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

GRID = {"x": [-4.0, -1.0, 0.5, 3.0], "n": [1, 2, 3, 4, 5]}
TRIALS = 20

SAMPLERS = {
    "random": lambda: optuna.samplers.RandomSampler(seed=1),
    "tpe": lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=5),
    "tpe, multivariate": lambda: optuna.samplers.TPESampler(seed=1, n_startup_trials=5, multivariate=True),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=1, population_size=5),
    "nsga3": lambda: optuna.samplers.NSGAIIISampler(seed=1, population_size=5),
    "qmc": lambda: optuna.samplers.QMCSampler(seed=1),
    "brute force": lambda: optuna.samplers.BruteForceSampler(seed=1),
    "grid": lambda: optuna.samplers.GridSampler(GRID, seed=1),
    "partly fixed": lambda: optuna.samplers.PartialFixedSampler(
        {"n": 3}, optuna.samplers.RandomSampler(seed=1)
    ),
    "cma-es": lambda: optuna.samplers.CmaEsSampler(seed=1, n_startup_trials=3),
    "gp": lambda: optuna.samplers.GPSampler(seed=1, n_startup_trials=15),
}
NEEDS = {"cma-es": "cmaes", "gp": "torch"}

PRUNERS = {
    "none": optuna.pruners.NopPruner,
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=2),
    "percentile": lambda: optuna.pruners.PercentilePruner(40.0, n_startup_trials=2),
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": lambda: optuna.pruners.HyperbandPruner(max_resource=4),
    "patient": lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(2), patience=1),
    "threshold": lambda: optuna.pruners.ThresholdPruner(upper=5.0),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(n_startup_steps=2),
}


def objective(trial):
    import optuna

    x = trial.suggest_float("x", -5, 5, step=0.5)
    n = trial.suggest_int("n", 1, 5)
    for step in range(4):
        trial.report(abs(x) + n / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return abs(x) + n


PAIRS = [
    *((sampler, "median") for sampler in SAMPLERS),
    *(("random", pruner) for pruner in PRUNERS if pruner != "median"),
]


def new(sampler, pruner):
    """A study whose sampler and pruner no other has."""
    return optuna.create_study(sampler=SAMPLERS[sampler](), pruner=PRUNERS[pruner](), study_name="one")


def is_absent(sampler):
    """True if a package that a sampler needs is not installed."""
    return sampler in NEEDS and importlib.util.find_spec(NEEDS[sampler]) is None


def test_every_class_has_its_turn():
    for module, kind, made in ((optuna.samplers, "Sampler", SAMPLERS), (optuna.pruners, "Pruner", PRUNERS)):
        theirs = {name for name in module.__all__ if name.endswith(kind) and not name.startswith("Base")}
        assert {type(make()).__name__ for make in made.values()} == theirs


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_sampler_and_a_pruner_with_one_worker(spark, sampler, pruner):
    if is_absent(sampler):
        pytest.skip(f"{NEEDS[sampler]} is not installed")
    remote, local = new(sampler, pruner), new(sampler, pruner)
    sparkopt.optuna.optimize(remote, shipped(objective), TRIALS, parallelism=1, spark_session=spark)
    local.optimize(objective, TRIALS)
    assert facts(remote) == facts(local)


@pytest.mark.timeout(600)
def test_all_samplers_and_pruners_with_four_workers():
    pairs = [(sampler, pruner) for sampler, pruner in PAIRS if not is_absent(sampler)]
    settings = {
        "spark.master": "local[4]",
        "spark.ui.enabled": "false",
        "spark.log.level": "OFF",
        "spark.pyspark.python": sys.executable,
        "spark.databricks.mlflow.trackHyperopt.enabled": "false",
    }
    with driver_process(settings, 60) as driver:
        ended = driver.submit(on_four_workers, pairs).result(600)
    for (sampler, pruner), trials in zip(pairs, ended, strict=True):
        assert {state for _, state in trials} <= {"COMPLETE", "PRUNED"}, (sampler, pruner)
        assert [number for number, _ in trials] == [*range(len(trials))]
        assert len(trials) == TRIALS or sampler == "grid"


def on_four_workers(pairs):
    """Run each pair's study on four workers; the numbers and states of its trials that have ended."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.simplefilter("ignore")
    ended = []
    with WorkerPool(4, spark_session=get_session()) as pool:
        for pair in pairs:
            study = new(*pair)
            sparkopt.optuna.optimize(study, shipped(objective), TRIALS, pool=pool)
            ended.append(
                [(each.number, each.state.name) for each in study.trials if each.state.is_finished()]
            )
    return ended


def test_500_trials_whose_workers_are_killed_are_each_told_once(spark, workers_of_spark, tmp_path):
    killed = []

    def kill(_, trial):
        if trial.number % 25 == 24:
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                victim = workers_of_spark()[trial.number % 2].children()[0]
                victim.kill()
                killed.append(victim.pid)

    def lasting(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("twice", 2 * x)
        return trial.suggest_float("y", 0, 1) + x

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
    sparkopt.optuna.optimize(
        study, lasting, 500, parallelism=2, spark_session=spark, max_attempts=20, callbacks=[kill]
    )
    assert len(killed) > 5
    assert states(study) == ["COMPLETE"] * 500
    for trial in study.trials:
        assert trial.value == trial.params["x"] + trial.params["y"]
        assert trial.user_attrs == {"twice": 2 * trial.params["x"]}
