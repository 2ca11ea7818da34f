"""What does tracking cost? A no-op search with it and without, and the same runs by MlflowClient alone.

All take turns on one Spark session, and the store is a new SQLite file each time. The writer works beside the
search, on the same cores: what is compared with a search that is not tracked is the time that was not spent
in the writer's calls of the store. And what do objectives pay that log themselves: a thousand metrics in each
of a few trials, all of whose time counts.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest import mock

import click
from hyperopt import rand
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.objectives import thousand_metrics
from benchmarks.peers import SPACE, Search, local_session, run_sparkopt
from benchmarks.record import Record
from sparkopt import SparkTrials, fmin
from sparkopt.tracking.store import Store

_LOGGING_TRIALS: Final = 6


class TimedStore(Store):
    """A store that knows how long its writes took, all together."""

    seconds = 0.0

    def write(self, *arguments: Any) -> None:
        """Write a record, and note how long that took."""
        began = time.perf_counter()
        try:
            super().write(*arguments)
        finally:
            TimedStore.seconds += time.perf_counter() - began


@click.command()
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the record here as well.")
def tracking(trials: int, parallelism: int, rounds: int, path: Path | None) -> None:
    """Milliseconds a trial with MLflow tracking and without, with an objective that does nothing."""
    for name in ("hyperopt", "alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    session = local_session(parallelism)
    figures: dict[str, list[float]] = {"without": [], "with": [], "own": [], "client": []}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
            mock.patch("sparkopt.tracking.tracker.Store", TimedStore),
        ):
            _search(Search(parallelism, parallelism, 1, session, seed=0), Path(directory, "first"))
            for number in range(rounds):
                asked = Search(trials, parallelism, 1, session, seed=number)
                figures["without"].append(1000 * run_sparkopt(asked) / trials)
                TimedStore.seconds = 0.0
                seconds = _search(asked, Path(directory, f"search-{number}"))
                figures["with"].append(1000 * seconds / trials)
                figures["own"].append(1000 * (seconds - TimedStore.seconds) / trials)
                figures["client"].append(
                    1000 * _client_alone(trials, Path(directory, f"client-{number}")) / trials
                )
            figures["thousand"] = _thousand_metrics(session, Path(directory, "thousand"))
    finally:
        session.stop()
    _print(figures, trials)
    if path is not None:
        settings = {"trials": trials, "parallelism": parallelism, "rounds": rounds}
        Record("tracking", settings, {"ms_per_trial": figures, "ratio": _ratios(figures)}).write(path)


def _search(asked: Search, place: Path) -> float:
    _new_store(place)
    with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": _uri(place)}):
        return run_sparkopt(asked, tracking=True)


def _thousand_metrics(session: SparkSession, place: Path) -> list[float]:
    """Milliseconds of each trial that logs a thousand metrics, but for the first, which imports MLflow."""
    client = _new_store(place)
    with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": _uri(place)}):
        trials = SparkTrials(1, spark_session=session, tracking=True)
        fmin(thousand_metrics, SPACE, rand.suggest, _LOGGING_TRIALS, trials=trials, verbose=False)
    runs = client.search_runs(["0"], "attributes.run_name LIKE 'trial %'")
    seconds = {int(run.data.tags["tid"]): run.data.metrics["seconds"] for run in runs}
    return [1000 * seconds[tid] for tid in range(1, _LOGGING_TRIALS)]


def _client_alone(trials: int, place: Path) -> float:
    """What a search writes for its trials, without a search: three calls for each, the cheapest there are."""
    client = _new_store(place)
    names = (
        *(
            MLFLOW_PARENT_RUN_ID,
            MLFLOW_USER,
            MLFLOW_SOURCE_NAME,
            MLFLOW_SOURCE_TYPE,
            "fmin_uuid",
            "runSource",
        ),
        *("trial_status", "worker", "worker_host", "attempt"),
    )
    began = time.perf_counter()
    for number in range(trials):
        tags = {**dict.fromkeys(names, "value"), "tid": str(number)}
        run = client.create_run("0", tags=tags, run_name=f"trial {number}")
        metrics = [Metric("loss", 0.0, 0, 0), Metric("seconds", 0.0, 0, 0)]
        client.log_batch(run.info.run_id, metrics, [Param("x", str(number))])
        client.set_terminated(run.info.run_id)
    return time.perf_counter() - began


def _new_store(place: Path) -> MlflowClient:
    """A store that has its tables."""
    place.mkdir()
    client = MlflowClient(_uri(place))
    client.search_experiments()
    return client


def _uri(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


def _ratios(figures: dict[str, list[float]]) -> dict[str, float]:
    def ratio(mine: str, other: str) -> float:
        return median(one / two for one, two in zip(figures[mine], figures[other], strict=True))

    return {"own": ratio("own", "without"), "with": ratio("with", "client")}


def _print(figures: dict[str, list[float]], trials: int) -> None:
    rounds, ratios = len(figures["with"]), _ratios(figures)
    table = Table(title=f"tracking to SQLite: no-op objective, random search, {rounds} x {trials} trials")
    for column in ("", "ms a trial, median", "min", "max", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {
        "without": ("not tracked", ""),
        "own": ("tracked, outside of the store's writer", f"{ratios['own']:.2f} x not tracked (limit 1.5)"),
        "client": ("the same runs by MlflowClient alone", ""),
        "with": ("tracked, in all", f"{ratios['with']:.2f} x MlflowClient alone (limit 1.2)"),
    }
    for key, (name, ratio) in rows.items():
        values = figures[key]
        table.add_row(name, *(f"{value:,.3f}" for value in (median(values), min(values), max(values))), ratio)
    Console().print(table)
    thousand = figures["thousand"]
    Console().print(
        f"A trial that logs 1,000 metrics takes {median(thousand):,.0f} ms ({min(thousand):,.0f} to"
        f" {max(thousand):,.0f}; limit 500)."
    )
