"""Cost of tracking to a server: searches over http, to MLflow's own server behind a proxy that adds delay.

For each delay, number of workers, length of trials and kind of logging: the search that is not tracked, the
same one tracked, how long it waits at its end for what is left to write, and the driver's processor time for
each trial. Beside it the same runs by MlflowClient alone, one after the other (twenty are written); and, with
``--before``, the searches of another checkout, in turns with this one's. The proxy and the server are
processes of their own.

    python -m benchmarks tracking-server                                  four cases, some four minutes
    python -m benchmarks tracking-server --whole --rounds 1               all combinations, more than an hour
    python -m benchmarks tracking-server --delay 50 --workers 1 --workers 64 --before ../another/checkout
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import click
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from benchmarks.checkouts import ROOT, Searches
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, in_rounds, ratio
from benchmarks.tables import Table
from tests.support.store_proxy import StoreProxy
from tests.tracking.server import Server

TRACKED: Final = 1.15
"""So many times an untracked search, a tracked one may take until its last trial has settled."""

LEFT: Final = 3.0
"""Seconds that such a search may wait at its end for what is left to write."""

_Case: TypeAlias = "tuple[int, int, float, str]"
"""Delay in milliseconds, workers, seconds of a trial, and what the objective logs."""

_HELD: Final = (50, 8, 0.25, "nothing")
"""The case that is held against these limits."""

_DEFAULT: Final[tuple[_Case, ...]] = (
    (0, 8, 0.25, "nothing"),
    _HELD,
    (50, 8, 0.25, "both"),
    (200, 8, 0.25, "nothing"),
)

_MATRIX: Final[dict[str, tuple[Any, ...]]] = {
    "delay": (0, 50, 200),
    "workers": (1, 8, 64),
    "seconds": (0.05, 0.25, 2.0),
    "logging": ("nothing", "metrics", "artifacts", "both"),
}

_MOST_ALONE: Final = 20
"""So many runs by MlflowClient alone stand for all: each takes as long as the next."""


@contextmanager
def _server() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
        make: Any = Server
        server = make(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def _proxy(port: int, delay: float) -> Iterator[str]:
    """A proxy in a process of its own, for as long as a block lasts; yields its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tracking_server", str(port), str(delay)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()


def _client_alone(uri: str, trials: int) -> dict[str, float]:
    """Seconds for runs like those of a search, three calls each, one after the other; most are reckoned."""
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"alone-{time.time_ns()}")
    made = min(trials, _MOST_ALONE)
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(made):
        run_id = client.create_run(experiment, tags={"tid": str(number)}).info.run_id
        client.log_batch(run_id, [Metric("loss", 1.0, 0, 0), Metric("seconds", 1.0, 0, 0)], [Param("x", "1")])
        client.update_run(run_id, "FINISHED")
    share = trials / made
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": share * seconds, "left": 0.0, "cpu": share * cpu}


def _trials_of(case: _Case, settings: Settings) -> int:
    """The number of a case's trials: as many as its workers can do within the span, up to the most."""
    _, workers, seconds, _ = case
    most: int = settings["trials"]
    return max(1, min(most, round(settings["span"] * workers / seconds))) if seconds else most


def _cases(settings: Settings) -> list[_Case]:
    """The cases that are asked for: the default ones, the matrix, or all combinations of what is given."""
    given = {name: tuple(settings[name]) for name in _MATRIX if settings[name]}
    if settings["whole"]:
        return list(itertools.product(*{**_MATRIX, **given}.values()))
    if not given:
        return list(_DEFAULT)
    held = dict(zip(_MATRIX, ((each,) for each in _HELD), strict=True))
    return list(itertools.product(*{**held, **given}.values()))


def _rows(record: Record) -> Iterator[tuple[str, ...]]:
    for name, found in record.figures.items():
        case = delay, workers, seconds, logging = json.loads(name)
        trials = _trials_of(case, record.settings)
        untracked = found["untracked"]["seconds"]
        for kind, took in found.items():
            until = [whole - left for whole, left in zip(took["seconds"], took["left"], strict=True)]
            share = ratio(until, untracked) if kind in ("tracked", "before") else None
            yield (
                f"{delay} ms, {trials} x {seconds} s on {workers}, {logging}",
                kind,
                f"{Spread.of(took['seconds']).median:.2f}",
                f"{share.median:.2f} ({share.low:.2f} to {share.high:.2f})" if share is not None else "",
                f"{Spread.of(took['left']).median:.2f}" if share is not None else "",
                f"{1000 * Spread.of(took['cpu']).median / trials:.1f}",
            )


def _tables(record: Record) -> list[Table]:
    title = f"tracking-server: over http, {record.settings['rounds']} rounds, median"
    columns = (
        "delay of a call, trials on workers, logging",
        "",
        "s in all",
        "x untracked, without the end",
        "s left at the end",
        "driver's CPU, ms a trial",
    )
    return [Table(title, columns, list(_rows(record)))]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    found = figures.get(json.dumps(_HELD))
    if found is None:
        return []
    took = found["tracked"]
    until = [whole - left for whole, left in zip(took["seconds"], took["left"], strict=True)]
    times = ratio(until, found["untracked"]["seconds"]).median
    what = "trials of 0.25 s on 8 workers, 50 ms a call"
    return [
        Limit(f"{what}: times the search that is not tracked", TRACKED, times, unit="x"),
        Limit(f"{what}: left to write at the end", LEFT, Spread.of(took["left"]).median, unit="s"),
    ]


@question(Form("What does tracking to a server cost that takes its time?", _tables, _limits))
@click.option("--whole", is_flag=True, help="All combinations: 108 cases, hours with several rounds.")
@click.option(
    "--delay", multiple=True, type=click.IntRange(min=0), help="In ms a call; several may be given."
)
@click.option("--workers", multiple=True, type=click.IntRange(min=1), help="Likewise.")
@click.option("--seconds", multiple=True, type=float, help="Of a trial; likewise.")
@click.option(
    "--logging",
    multiple=True,
    type=click.Choice(_MATRIX["logging"]),
    help="By the objective: nothing, 20 metrics, a file, or both; likewise.",
)
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=1), help="At most.")
@click.option("--span", default=5.0, show_default=True, help="Seconds that a search may last by its trials.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--before", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Another checkout."
)
def tracking_server(rounds: int, before: Path | None, **settings: Any) -> Figures:
    """Seconds of a search that is tracked by a server behind a delay, and of one that is not."""
    figures: Figures = {}
    cases = _cases(settings)
    with ExitStack() as stack:
        server = stack.enter_context(_server())
        checkouts = {"tracked": ROOT, **({} if before is None else {"before": before.resolve()})}
        slots = max(workers for _, workers, *_ in cases)
        searches = {kind: Searches(checkout, slots) for kind, checkout in checkouts.items()}
        for each in searches.values():
            stack.callback(each.close)
            each.run(workers=1, seconds=0.0, logging="nothing", trials=2, uri=server.uri, seed=0)
        for case in cases:
            delay, workers, seconds, logging = case
            trials = _trials_of(case, settings)
            found: dict[str, dict[str, list[float]]] = {}
            asked = {"workers": workers, "seconds": seconds, "logging": logging, "trials": trials}
            with _proxy(server.port, delay / 1000) as uri:
                for number, kind in in_rounds(("untracked", *searches, "MlflowClient alone"), rounds):
                    if kind == "MlflowClient alone":
                        took = _client_alone(uri, trials)
                    elif kind == "untracked":
                        took = searches["tracked"].run(**{**asked, "logging": "nothing"}, uri="", seed=number)
                    else:
                        took = searches[kind].run(**asked, uri=uri, seed=number)
                    for name, value in took.items():
                        found.setdefault(kind, {}).setdefault(name, []).append(value)
            figures[json.dumps(case)] = found
    return figures


if __name__ == "__main__":
    proxy = StoreProxy(int(sys.argv[1]), float(sys.argv[2]))
    os.write(1, f"{proxy.uri}\n".encode())
    sys.stdin.read()
    proxy.stop()
