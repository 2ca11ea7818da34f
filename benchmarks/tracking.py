"""What does tracking cost? A no-op search with it and without, and the same runs by MlflowClient alone.

All take turns on one Spark session, and the store is a new SQLite file each time. The writer works beside the
search, on the same cores: what is compared with a search that is not tracked is the time that was not spent
in the writer's calls of the store. And what do objectives pay that log themselves: a thousand metrics in each
of a few trials, all of whose time counts.

    git worktree add ../before fcb4254
    python -m benchmarks tracking --before ../before      the tracked searches of both, in turns, as well
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final
from unittest import mock

import click
from hyperopt import rand
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from pyspark.sql import SparkSession

from benchmarks.checkouts import ROOT, Searches
from benchmarks.objectives import thousand_metrics
from benchmarks.peers import SPACE, Search, local_session, run_sparkopt
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit
from benchmarks.record import Record as Measured
from benchmarks.statistics import Spread, in_rounds, ratio
from benchmarks.tables import Table, ratio_cell, spread_cells
from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, Record
from sparkopt.tracking.store import Store

BESIDE: Final = 1.5
"""So many times an untracked search, a tracked one may take outside of the store's writer."""

IN_ALL: Final = 1.2
"""So many times as long as MlflowClient alone, it may take in all."""

THOUSAND: Final = 500.0
"""Milliseconds that a trial may take that logs a thousand metrics."""

_LOGGING_TRIALS: Final = 6

_TRIED: Final = (
    "A run that has ended by the time it is written takes three calls, the fewest there are. Kept.",
    "Letting a busy search go first, as both together took several times as long: from 1.3 times to 1.2, and"
    " the search takes as long as one that is not tracked. Kept.",
    "Several calls at once: SQLite has one writer and Python one interpreter, so that lanes make one call at"
    " a time there, and only stores whose calls wait get more (decision 17).",
    "What remains is the start of the workers, a tenth of such a search, in which there is nothing to write"
    " yet (the last row is without it); the study's own run; and its two pictures. The library that draws"
    " them is loaded while workers start. As SVG, or in less compressed PNG: no better.",
    "Without garbage collection: no better. Objectives of 10 ms: no better.",
    "A writer in a process of its own was not tried: importing MLflow there takes longer than all of this.",
)


class TimedStore(Store):
    """A store that knows how long its writes took: seconds by what was written."""

    seconds: ClassVar[dict[str, float]] = defaultdict(float)

    def write(self, record: Record, again: bool = False) -> None:
        """Write a record, and note how long that took."""
        began = time.perf_counter()
        try:
            super().write(record, again)
        finally:
            TimedStore.seconds[_part(record)] += time.perf_counter() - began


def _part(record: Record) -> str:
    if record.run is None:
        return "study"
    return {Create: "create", Log: "log", LogArtifact: "put", End: "end"}[type(record)]


def _search(asked: Search, place: Path, pool: WorkerPool | None = None) -> float:
    _new_store(place)
    with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": _uri(place)}):
        return run_sparkopt(asked, tracking=True, pool=pool).seconds


def _search_on_a_pool(asked: Search, place: Path) -> float:
    """The same without the start and the end of workers."""
    with WorkerPool(asked.parallelism, spark_session=asked.session) as pool:
        run_sparkopt(dataclasses.replace(asked, trials=asked.parallelism), pool=pool)
        return _search(asked, place, pool)


def _thousand_metrics(session: SparkSession, place: Path) -> list[float]:
    """Milliseconds of each trial that logs a thousand metrics, but for the first, which imports MLflow."""
    client = _new_store(place)
    with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": _uri(place)}):
        trials = SparkTrials(1, spark_session=session, tracking=True)
        fmin(thousand_metrics, SPACE, rand.suggest, _LOGGING_TRIALS, trials=trials, verbose=False)
    runs = client.search_runs(["0"], "attributes.run_name LIKE 'trial %'")
    seconds = {int(run.data.tags["tid"]): run.data.metrics["seconds"] for run in runs}
    return [1000 * seconds[tid] for tid in range(1, _LOGGING_TRIALS)]


def _client_alone(trials: int, like: Run, place: Path) -> dict[str, float]:
    """Seconds for what a search writes for its trials, without a search: three calls for each, the fewest.

    Args:
        trials: how many.
        like: a run that a search has written: the others get as many tags, parameters and metrics.
        place: of the new store.
    """
    client = _new_store(place)
    name = like.data.tags[MLFLOW_RUN_NAME]
    tags = {key: value for key, value in like.data.tags.items() if key != MLFLOW_RUN_NAME}
    seconds: dict[str, float] = defaultdict(float)
    for number in range(trials):
        began = time.perf_counter()
        run = client.create_run("0", tags={**tags, "tid": str(number)}, run_name=f"{name}-{number}")
        created = time.perf_counter()
        metrics = [Metric(key, value, 0, 0) for key, value in like.data.metrics.items()]
        params = [Param(key, value) for key, value in like.data.params.items()]
        client.log_batch(run.info.run_id, metrics, params)
        logged = time.perf_counter()
        client.set_terminated(run.info.run_id)
        seconds["create"] += created - began
        seconds["log"] += logged - created
        seconds["end"] += time.perf_counter() - logged
    return seconds


def _a_run_of(place: Path) -> Run:
    """A trial's run from the store of a search that is over."""
    runs = MlflowClient(_uri(place)).search_runs(["0"], "attributes.run_name LIKE 'trial %'", max_results=1)
    return runs[0]


def _new_store(place: Path) -> MlflowClient:
    """A store that has its tables."""
    place.mkdir()
    client = MlflowClient(_uri(place))
    client.search_experiments()
    return client


def _uri_of_new(place: Path) -> str:
    _new_store(place)
    return _uri(place)


def _uri(place: Path) -> str:
    return f"sqlite:///{place}/mlflow.db"


def _ratios(figures: dict[str, list[float]]) -> dict[str, Spread]:
    paired = {"here": ratio(figures["here"], figures["before"])} if "before" in figures else {}
    return {
        **paired,
        "own": ratio(figures["own"], figures["without"]),
        "with": ratio(figures["with"], figures["client"]),
        "pooled": ratio(figures["pooled"], figures["client"]),
    }


_ROWS: Final = {
    "without": "not tracked",
    "own": "tracked, outside of the store's writer",
    "client": "the same runs by MlflowClient alone",
    "with": "tracked, in all",
    "pooled": "tracked, in all, on workers that are up",
    "here": "tracked, in all, in a process of its own",
    "before": "the same of another checkout (--before)",
}

_PARTS: Final = {
    "create": "to create the trial's run",
    "log": "to log to it",
    "put": "artifacts of it",
    "end": "to end it",
    "study": "the study's own run",
    "rest": "the writer has nothing to write",
}

_COMPARED: Final = {
    "own": "not tracked",
    "with": "MlflowClient alone",
    "pooled": "MlflowClient alone",
    "here": "the other checkout",
}


def _tables(record: Measured) -> list[Table]:
    figures, settings = record.figures["ms_per_trial"], record.settings
    found = _ratios(figures)
    rows = []
    for key, name in _ROWS.items():
        if key not in figures:
            continue
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
    columns = ("", "ms a trial, median", "min", "max", "ratio (min to max)")
    return [Table(title, columns, rows, [note]), _parts_table(record.figures["parts_ms_per_trial"])]


def _parts_table(parts: dict[str, list[dict[str, float]]]) -> Table:
    rows = []
    for part, name in _PARTS.items():
        cells = []
        for kind in ("with", "client"):
            values = [each.get(part, 0.0) for each in parts[kind]]
            cells.append(f"{Spread.of(values).median:,.2f}" if any(values) else "")
        rows.append((name, *cells))
    title = "tracking: where it goes, in ms a trial, median"
    return Table(title, ("", "tracked search", "MlflowClient alone"), rows)


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


@question(Form("What does MLflow tracking cost?", _tables, _limits, tried=_TRIED))
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--before",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout, whose tracked searches take turns with this one's.",
)
def tracking(trials: int, parallelism: int, rounds: int, before: Path | None) -> Figures:
    """Milliseconds a trial with MLflow tracking and without, with an objective that does nothing."""
    figures = _measure(trials, parallelism, rounds)
    if before is not None:
        figures["ms_per_trial"] |= _in_pairs(trials, parallelism, rounds, before.resolve())
    return figures


def _in_pairs(trials: int, parallelism: int, rounds: int, before: Path) -> dict[str, list[float]]:
    """Milliseconds a trial of tracked searches of this checkout and of another, in turns."""
    figures: dict[str, list[float]] = {"here": [], "before": []}
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory, ExitStack() as stack:
        searches = {}
        for kind, checkout in (("here", ROOT), ("before", before)):
            searches[kind] = Searches(checkout, parallelism)
            stack.callback(searches[kind].close)
        asked = {"workers": parallelism, "seconds": 0.0, "logging": "nothing", "trials": trials}
        for kind in figures:  # the first search of a process imports what it needs
            searches[kind].run(**asked, uri=_uri_of_new(Path(directory, kind)), seed=0)
        for each, kind in in_rounds(list(figures), rounds):
            uri = _uri_of_new(Path(directory, f"{kind}-{each}"))
            took = searches[kind].run(**asked, uri=uri, seed=each)
            figures[kind].append(1000 * took["seconds"] / trials)
    return figures


def _measure(trials: int, parallelism: int, rounds: int) -> Figures:
    session = local_session(parallelism)
    figures: dict[str, list[float]] = {kind: [] for kind in ("without", "with", "own", "client", "pooled")}
    parts: dict[str, list[dict[str, float]]] = {"with": [], "client": []}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
            mock.patch("sparkopt.tracking.tracker.Store", TimedStore),
        ):
            first = Path(directory, "first")
            _search(Search(parallelism, parallelism, 1, session, seed=0), first)
            like = _a_run_of(first)
            for each, kind in in_rounds(("without", "with", "client", "pooled"), rounds):
                asked = Search(trials, parallelism, 1, session, seed=each)
                if kind == "without":
                    seconds = run_sparkopt(asked).seconds
                elif kind == "client":
                    spent = _client_alone(trials, like, Path(directory, f"client-{each}"))
                    seconds = sum(spent.values())
                    parts["client"].append(_per_trial(spent, trials))
                elif kind == "pooled":
                    seconds = _search_on_a_pool(asked, Path(directory, f"pooled-{each}"))
                else:
                    TimedStore.seconds.clear()
                    seconds = _search(asked, Path(directory, f"search-{each}"))
                    rest = seconds - sum(TimedStore.seconds.values())
                    figures["own"].append(1000 * rest / trials)
                    parts["with"].append(_per_trial({**TimedStore.seconds, "rest": rest}, trials))
                figures[kind].append(1000 * seconds / trials)
            figures["thousand"] = _thousand_metrics(session, Path(directory, "thousand"))
    finally:
        session.stop()
    return {"ms_per_trial": figures, "parts_ms_per_trial": parts}


def _per_trial(seconds: Mapping[str, float], trials: int) -> dict[str, float]:
    return {part: 1000 * spent / trials for part, spent in seconds.items()}
