"""What does the journal cost a trial? The same no-op search with a journal and without, on one Spark session.

Both take turns, and turns at being first, so that a machine whose speed drifts favours neither. What is
reported is the median over the rounds, per trial, of each and of the difference within a round; the same
difference in the driver's CPU time, which other programs on the machine disturb less; and how long the calls
took that write to the journal, of which a part is hidden behind what workers do meanwhile.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest import mock

import click
from rich.console import Console
from rich.table import Table

from benchmarks.peers import Search, local_session, run_sparkopt
from benchmarks.record import Record
from sparkopt import search
from sparkopt.journal import Journal as RealJournal

LIMIT: Final = 0.2
"""Milliseconds that a journal may cost a trial."""


class Journal(RealJournal):
    """A journal that knows how long its writes took, all together."""

    seconds = 0.0


def _timed(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def timed(*args: Any) -> Any:
        began = time.perf_counter()
        try:
            return write(*args)
        finally:
            Journal.seconds += time.perf_counter() - began

    return timed


for _name in ("submitted", "started", "reported", "settled"):
    setattr(Journal, _name, _timed(getattr(RealJournal, _name)))


@click.command()
@click.option("--trials", default=2000, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the record here as well.")
def journal(trials: int, parallelism: int, rounds: int, path: Path | None) -> None:
    """Milliseconds a trial with a journal and without, with an objective that does nothing."""
    logging.getLogger("hyperopt").setLevel(logging.ERROR)
    session = local_session(parallelism)
    figures: dict[str, list[float]] = {"without": [], "with": [], "writes": []}
    cpu: dict[str, list[float]] = {"without": [], "with": []}
    try:
        run_sparkopt(Search(parallelism, parallelism, 1, session, seed=0))  # the session's own first time
        with (
            tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
            mock.patch.object(search, "Journal", Journal),
        ):
            for number in range(rounds):
                asked = Search(trials, parallelism, 1, session, seed=number)
                for kind in ("without", "with") if number % 2 == 0 else ("with", "without"):
                    Journal.seconds = 0.0
                    file = Path(directory, f"{number}.journal") if kind == "with" else None
                    began = time.process_time()
                    figures[kind].append(1000 * run_sparkopt(asked, file) / trials)
                    cpu[kind].append(1000 * (time.process_time() - began) / trials)
                    if file is not None:
                        figures["writes"].append(1000 * Journal.seconds / trials)
    finally:
        session.stop()
    figures["difference"] = _differences(figures)
    figures["cpu"] = _differences(cpu)
    _print(figures, trials)
    if path is not None:
        settings = {"trials": trials, "parallelism": parallelism, "rounds": rounds, "limit": LIMIT}
        Record("journal", settings, {"ms_per_trial": figures}).write(path)


def _differences(figures: dict[str, list[float]]) -> list[float]:
    return [mine - other for mine, other in zip(figures["with"], figures["without"], strict=True)]


def _print(figures: dict[str, list[float]], trials: int) -> None:
    rounds = len(figures["with"])
    table = Table(title=f"what a journal costs: no-op objective, random search, {rounds} x {trials} trials")
    for column in ("", "ms a trial, median", "min", "max"):
        table.add_column(column, justify="left" if not column else "right")
    names = {
        "without": "without journal",
        "with": "with journal",
        "difference": f"difference (limit {LIMIT:g})",
        "cpu": "difference in the driver's CPU time",
        "writes": "inside the journal's writes",
    }
    for key, name in names.items():
        values = figures[key]
        table.add_row(name, *(f"{value:,.3f}" for value in (median(values), min(values), max(values))))
    Console().print(table)
