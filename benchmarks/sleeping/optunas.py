"""Searches by Optuna's default sampler, as MlflowSparkStudy and Ray Tune run them."""

from __future__ import annotations

import logging
import tempfile
import warnings
from functools import partial
from typing import Any, Final

from benchmarks.peers.mlflow_spark import new_store, own_job_group
from benchmarks.searches.parameters import SearchSpace
from benchmarks.sleeping.objective import Sleeping
from benchmarks.sleeping.task import Task

_MOST: Final = 400
"""Trials that Ray Tune is given: as many as there is time for. What begins after the end takes no time."""

_NO_LOSS: Final = 1e30


class _Over(Exception):
    """Ends a search that has no other way to end."""


def run_mlflow(prunes: bool, task: Task, objective: Sleeping) -> None:
    """MlflowSparkStudy, with a new SQLite file as its store.

    Args:
        prunes: whether successive halving stops trials, from a ninth of the steps on.
        task: the search.
        objective: of it.
    """
    import mlflow
    import optuna
    from mlflow.exceptions import ExecutionException
    from mlflow.optuna.storage import MlflowStorage
    from mlflow.pyspark.optuna.study import MlflowSparkStudy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("mlflow", "alembic"):  # MLflow has set them when it was imported
        logging.getLogger(name).setLevel(logging.ERROR)
    least = task.objective.steps // 9
    pruner = optuna.pruners.SuccessiveHalvingPruner(least, 3) if prunes else optuna.pruners.NopPruner()
    with new_store() as uri, own_job_group(task.session), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(uri)
        try:
            storage = MlflowStorage(experiment_id=mlflow.create_experiment("search"))
            study = MlflowSparkStudy(
                "search", storage, optuna.samplers.TPESampler(seed=task.seed), pruner, uri
            )
            study.optimize(
                partial(_evaluate, objective, task.objective.space, prunes),
                n_trials=task.trials,
                n_jobs=task.parallelism,
                callbacks=[partial(_end, objective)],
            )
        except ExecutionException:
            if not objective.over:
                raise
        finally:
            mlflow.set_tracking_uri("")


def _evaluate(objective: Sleeping, space: SearchSpace, prunes: bool, trial: Any) -> float:
    import optuna

    def report(loss: float, step: int) -> None:
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    loss = objective.run(space.of_optuna(trial), report if prunes else None)
    if loss is None:
        raise optuna.TrialPruned
    return loss


def _end(objective: Sleeping, study: Any, trial: Any) -> None:
    if objective.over:
        raise _Over


def run_ray(prunes: bool, task: Task, objective: Sleeping) -> None:
    """Ray Tune's OptunaSearch, with actors that are used again.

    Args:
        prunes: whether ASHA stops trials, from a ninth of the steps on.
        task: the search.
        objective: of it.
    """
    import optuna
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    steps, space = task.objective.steps, task.objective.space
    asked = {"metric": "loss", "mode": "min"}
    halving = {"time_attr": "step", "max_t": steps, "grace_period": steps // 9, "reduction_factor": 3}

    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner = tune.Tuner(
            tune.with_parameters(_tuned, objective=objective, prunes=prunes),
            tune_config=tune.TuneConfig(
                num_samples=min(task.trials, _MOST),
                max_concurrent_trials=task.parallelism,
                reuse_actors=True,
                search_alg=OptunaSearch(
                    partial(_suggest, space), sampler=optuna.samplers.TPESampler(seed=task.seed), **asked
                ),
                scheduler=ASHAScheduler(**asked, **halving) if prunes else None,
            ),
            run_config=tune.RunConfig(storage_path=directory, verbose=0),
        )
        tuner.fit()


def _suggest(space: SearchSpace, trial: Any) -> None:
    space.of_optuna(trial)


def _tuned(config: dict[str, Any], objective: Sleeping, prunes: bool) -> None:
    from ray import tune

    def report(loss: float, step: int) -> None:
        tune.report({"loss": loss, "step": step})

    loss = objective.run(config, report if prunes else None)
    if loss is None:
        report(_NO_LOSS, 1)  # Tune wants a number, although the search is over
    elif not prunes:
        report(loss, 1)
