"""What does tracking cost? A no-op search with it and without, and the same runs by MlflowClient alone.

All take turns on one Spark session, and the store is a new SQLite file each time. The writer works beside the
search, on the same cores: what is compared with a search that is not tracked is the time that was not spent
in the writer's calls of the store. And what do objectives pay that log themselves: a thousand metrics in each
of a few trials, all of whose time counts.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
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

from benchmarks.objectives import thousand_metrics
from benchmarks.peers import SPACE, Search, local_session, run_sparkopt
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, in_rounds, ratio
from benchmarks.tables import Table, ratio_cell, spread_cells
from sparkopt import SparkTrials, fmin
from sparkopt.tracking.store import Store

BESIDE: Final = 1.5
"""So many times an untracked search, a tracked one may take outside of the store's writer."""

IN_ALL: Final = 1.2
"""So many times as long as MlflowClient alone, it may take in all."""

THOUSAND: Final = 500.0
"""Milliseconds that a trial may take that logs a thousand metrics."""

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


def _search(asked: Search, place: Path) -> float:
    _new_store(place)
    with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": _uri(place)}):
        return run_sparkopt(asked, tracking=True).seconds


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


def _ratios(figures: dict[str, list[float]]) -> dict[str, Spread]:
    return {
        "own": ratio(figures["own"], figures["without"]),
        "with": ratio(figures["with"], figures["client"]),
    }


_ROWS: Final = {
    "without": "not tracked",
    "own": "tracked, outside of the store's writer",
    "client": "the same runs by MlflowClient alone",
    "with": "tracked, in all",
}

_COMPARED: Final = {"own": "not tracked", "with": "MlflowClient alone"}


def _tables(record: Record) -> list[Table]:
    figures, settings = record.figures["ms_per_trial"], record.settings
    found = _ratios(figures)
    rows = []
    for key, name in _ROWS.items():
        compared = f"{ratio_cell(found[key])} x {_COMPARED[key]}" if key in found else ""
        rows.append((name, *spread_cells(Spread.of(figures[key])), compared))
    title = (
        f"tracking: to SQLite, no-op objective, random search, {settings['rounds']} x"
        f" {settings['trials']:,} trials"
    )
    thousand = Spread.of(figures["thousand"])
    note = (
        f"A trial that logs 1,000 metrics takes {thousand.median:,.0f} ms ({thousand.low:,.0f} to"
        f" {thousand.high:,.0f})."
    )
    return [Table(title, ("", "ms a trial, median", "min", "max", "ratio (min to max)"), rows, [note])]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    spent = figures["ms_per_trial"]
    found = _ratios(spent)
    return [
        Limit(
            "a tracked search outside of the store's writer, times one that is not",
            BESIDE,
            found["own"].median,
            unit="x",
        ),
        Limit("a tracked search in all, times MlflowClient alone", IN_ALL, found["with"].median, unit="x"),
        Limit("a trial that logs 1,000 metrics", THOUSAND, Spread.of(spent["thousand"]).median, unit="ms"),
    ]


@question(Form("What does MLflow tracking cost?", _tables, _limits))
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
def tracking(trials: int, parallelism: int, rounds: int) -> Figures:
    """Milliseconds a trial with MLflow tracking and without, with an objective that does nothing."""
    session = local_session(parallelism)
    figures: dict[str, list[float]] = {"without": [], "with": [], "own": [], "client": []}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
            mock.patch("sparkopt.tracking.tracker.Store", TimedStore),
        ):
            _search(Search(parallelism, parallelism, 1, session, seed=0), Path(directory, "first"))
            for each, kind in in_rounds(("without", "with", "client"), rounds):
                asked = Search(trials, parallelism, 1, session, seed=each)
                if kind == "without":
                    seconds = run_sparkopt(asked).seconds
                elif kind == "client":
                    seconds = _client_alone(trials, Path(directory, f"client-{each}"))
                else:
                    TimedStore.seconds = 0.0
                    seconds = _search(asked, Path(directory, f"search-{each}"))
                    figures["own"].append(1000 * (seconds - TimedStore.seconds) / trials)
                figures[kind].append(1000 * seconds / trials)
            figures["thousand"] = _thousand_metrics(session, Path(directory, "thousand"))
    finally:
        session.stop()
    return {"ms_per_trial": figures}
