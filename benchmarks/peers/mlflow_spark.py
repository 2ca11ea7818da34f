"""MLflow's MlflowSparkStudy: Optuna on Spark, with an MLflow store as what the tasks share.

Each Spark task runs its share of the trials, one after another. There is no doing without the store; it is a
new SQLite file for each search, on this machine.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from pyspark.sql import SparkSession

from benchmarks.peers.peer import HIGH, LOW, Peer, Ran, Search, timed


def _run(search: Search) -> Ran:
    import mlflow
    import optuna
    from mlflow.optuna.storage import MlflowStorage
    from mlflow.pyspark.optuna.study import MlflowSparkStudy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)

    def run() -> tuple[int, float]:
        storage = MlflowStorage(experiment_id=mlflow.create_experiment("search"))
        sampler = search.sampler or optuna.samplers.RandomSampler(search.seed)
        study = MlflowSparkStudy("search", storage, sampler, mlflow_tracking_uri=mlflow.get_tracking_uri())
        objective = functools.partial(_evaluate, search.objective)
        study.optimize(objective, n_trials=search.trials, n_jobs=search.parallelism)
        return study.completed_trials_count, study.best_value

    with new_store() as uri, own_job_group(search.session), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(uri)
        try:
            return timed(search, run)
        finally:
            mlflow.set_tracking_uri("")


def _evaluate(objective: Callable[..., Any], trial: Any) -> float:
    return float(objective(trial.suggest_float("x", LOW, HIGH)))


@contextlib.contextmanager
def new_store() -> Iterator[str]:
    """A store that has its tables, which take seconds to make."""
    import mlflow

    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
        uri = f"sqlite:///{Path(directory, 'mlflow.db')}"
        artifacts = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ARTIFACT_ROOT": directory}
        with mock.patch.dict(os.environ, artifacts):
            mlflow.MlflowClient(uri).search_experiments()
            yield uri


@contextlib.contextmanager
def own_job_group(session: SparkSession) -> Iterator[None]:
    """It leaves its job group set, which would be that of everybody's jobs after it."""
    context = session.sparkContext
    try:
        yield
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
            context.setLocalProperty(name, None)  # type: ignore[arg-type]  # which removes it


PEER = Peer(
    "mlflow-spark",
    "MlflowSparkStudy (Optuna on Spark)",
    _run,
    ("mlflow", "optuna"),
    on_spark=True,
    optuna=True,
)
