"""Cost of tracking to a server: searches over http, to MLflow's own server behind a proxy that adds delay.

For each delay, number of workers, length of trials and kind of logging: the search that is not tracked, the
same one tracked, how long it waits at its end for what is left to write, and the driver's processor time for
each trial. Beside it the same runs by MlflowClient alone, one after the other; and, with ``--before``, the
searches of another checkout, in turns with this one's. The proxy and the server are processes of their own.

    git worktree add /tmp/before HEAD~1
    python -m benchmarks tracking-server --before /tmp/before
    python -m benchmarks tracking-server --delay 0 --delay 50 --delay 200 --workers 1 --workers 8 --workers 64
        --seconds 0.05 --seconds 0.25 --seconds 2 --logging nothing --logging metrics --logging artifacts
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
from typing import Any, Final

import click
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

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

_HELD: Final = (50, 8, 0.25, "nothing")
"""Delay in milliseconds, workers, seconds and logging of what is held against these limits."""

_ROOT: Final = Path(__file__).resolve().parents[1]


class _Searches:
    """A process that runs searches of a checkout."""

    def __init__(self, checkout: Path, slots: int) -> None:
        python = checkout / ".venv" / "bin" / "python"
        script = str(_ROOT / "benchmarks" / "tracked_search.py")
        self._process = subprocess.Popen(
            [str(python) if python.exists() else sys.executable, script, str(checkout), str(slots)],
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def run(self, **asked: Any) -> dict[str, float]:
        """Run a search, and return what it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        took: dict[str, float] = json.loads(self._answer())
        return took

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException("a process that runs searches has ended")
        return line


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
        cwd=_ROOT,
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
    """Seconds for runs like those of a search, three calls each, one after the other."""
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"alone-{time.time_ns()}")
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(trials):
        run_id = client.create_run(experiment, tags={"tid": str(number)}).info.run_id
        client.log_batch(run_id, [Metric("loss", 1.0, 0, 0), Metric("seconds", 1.0, 0, 0)], [Param("x", "1")])
        client.update_run(run_id, "FINISHED")
    return {"seconds": time.perf_counter() - began, "left": 0.0, "cpu": time.process_time() - cpu}


def _rows(record: Record) -> Iterator[tuple[str, ...]]:
    for name, found in record.figures.items():
        delay, workers, seconds, logging = json.loads(name)
        untracked = found["untracked"]["seconds"]
        for kind, took in found.items():
            until = [whole - left for whole, left in zip(took["seconds"], took["left"], strict=True)]
            share = ratio(until, untracked) if kind in ("tracked", "before") else None
            yield (
                f"{delay} ms, {workers} workers, {seconds} s, {logging}",
                kind,
                f"{Spread.of(took['seconds']).median:.2f}",
                f"{share.median:.2f} ({share.low:.2f} to {share.high:.2f})" if share is not None else "",
                f"{Spread.of(took['left']).median:.2f}" if share is not None else "",
                f"{1000 * Spread.of(took['cpu']).median / record.settings['trials']:.1f}",
            )


def _tables(record: Record) -> list[Table]:
    title = f"tracking-server: {record.settings['rounds']} x {record.settings['trials']} trials, over http"
    columns = (
        "",
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
@click.option(
    "--delay", multiple=True, default=(50,), show_default=True, type=click.IntRange(min=0), help="In ms."
)
@click.option("--workers", multiple=True, default=(8,), show_default=True, type=click.IntRange(min=1))
@click.option("--seconds", multiple=True, default=(0.25,), show_default=True, type=float, help="Of a trial.")
@click.option(
    "--logging",
    multiple=True,
    default=("nothing",),
    show_default=True,
    type=click.Choice(["nothing", "metrics", "artifacts"]),
    help="By the objective.",
)
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--before", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Another checkout."
)
def tracking_server(
    delay: tuple[int, ...],
    workers: tuple[int, ...],
    seconds: tuple[float, ...],
    logging: tuple[str, ...],
    trials: int,
    rounds: int,
    before: Path | None,
) -> Figures:
    """Seconds of a search that is tracked by a server behind a delay, and of one that is not."""
    figures: Figures = {}
    with ExitStack() as stack:
        server = stack.enter_context(_server())
        checkouts = {"tracked": _ROOT, **({} if before is None else {"before": before.resolve()})}
        searches = {kind: _Searches(checkout, max(workers)) for kind, checkout in checkouts.items()}
        for each in searches.values():
            stack.callback(each.close)
            each.run(workers=1, seconds=0.0, logging="nothing", trials=2, uri=server.uri, seed=0)
        for case in itertools.product(delay, workers, seconds, logging):
            uri = stack.enter_context(_proxy(server.port, case[0] / 1000))
            found: dict[str, dict[str, list[float]]] = {}
            asked = {"workers": case[1], "seconds": case[2], "logging": case[3], "trials": trials}
            for number, kind in in_rounds(("untracked", *searches, "MlflowClient alone"), rounds):
                if kind == "MlflowClient alone":
                    took = _client_alone(uri, trials)
                elif kind == "untracked":
                    plain = {**asked, "logging": "nothing"}
                    took = searches["tracked"].run(**plain, uri="", seed=number)
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
