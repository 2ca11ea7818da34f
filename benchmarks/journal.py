"""What does the journal cost a trial? The same no-op search with a journal and without, on one Spark session.

Beside the file of SQLite's there are a directory, and S3 with puts of 0, 50 and 100 ms, where moto's server
stands in for it, on the same processors. These pay as well for the end of the search, which waits for the
last put.

All take turns, in an order that is drawn for each round, so that a machine whose speed drifts favours
none. What is reported is the median over the rounds, per trial, of each and of the difference within a
round; the same difference in the driver's CPU time, which other programs on the machine disturb less; and how
long the calls took that write to the journal, of which a part is hidden behind what workers do meanwhile.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

import click

from benchmarks.peers import Search, local_session, run_sparkopt
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, in_rounds
from benchmarks.tables import Table, spread_cells
from sparkopt.study.journal import Journal as RealJournal
from sparkopt.study.journal import places
from tests.support.object_storage import object_storage

_PUTS: Final = (0, 50, 100)
"""Milliseconds that a put to S3 takes, beside what moto's server does."""

_KINDS: Final = ("without", "with", "directory", *(f"s3_{delay}" for delay in _PUTS))

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


def _differences(figures: dict[str, list[float]]) -> list[float]:
    return [mine - other for mine, other in zip(figures["with"], figures["without"], strict=True)]


_ROWS: Final = {
    "without": "without journal",
    "with": "with journal",
    "difference": "difference",
    "cpu": "difference in the driver's CPU time",
    "writes": "inside the journal's writes",
    "directory": "with journal in a directory",
    **{f"s3_{delay}": f"with journal in S3, puts of {delay} ms" for delay in _PUTS},
}


def _tables(record: Record) -> list[Table]:
    figures, settings = record.figures["ms_per_trial"], record.settings
    title = f"journal: no-op objective, random search, {settings['rounds']} x {settings['trials']:,} trials"
    rows = [(name, *spread_cells(Spread.of(figures[key]))) for key, name in _ROWS.items() if key in figures]
    return [Table(title, ("", "ms a trial, median", "min", "max"), rows)]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    more = Spread.of(figures["ms_per_trial"]["difference"]).median
    return [Limit("what a journal adds to a trial", LIMIT, more, unit="ms")]


def _place(kind: str, number: int, directory: Path, address: Callable[[str], str]) -> str | Path | None:
    """Returns the place of a journal that is not there yet."""
    if kind == "with":
        return directory / f"{number}.journal"
    if kind == "directory":
        return f"file://{directory}/logs/{number}"
    return None if kind == "without" else address(f"put-{kind.removeprefix('s3_')}-ms/{number}")


@question(Form("What does a journal add to a trial?", _tables, _limits))
@click.option("--trials", default=2000, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
def journal(trials: int, parallelism: int, rounds: int) -> Figures:
    """Milliseconds a trial with a journal, of several kinds, and without; the objective does nothing."""
    session = local_session(parallelism)
    figures: dict[str, list[float]] = {kind: [] for kind in (*_KINDS, "writes")}
    cpu: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    try:
        run_sparkopt(Search(parallelism, parallelism, 1, session, seed=0))  # the session's own first time
        with (
            tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
            mock.patch.object(places, "Journal", Journal),
            object_storage() as address,
        ):
            (Path(directory) / "logs").mkdir()
            for each, kind in in_rounds(_KINDS, rounds):
                asked = Search(trials, parallelism, 1, session, seed=each)
                Journal.seconds = 0.0
                place = _place(kind, each, Path(directory), address)
                began = time.process_time()
                figures[kind].append(1000 * run_sparkopt(asked, place).seconds / trials)
                cpu[kind].append(1000 * (time.process_time() - began) / trials)
                if kind == "with":
                    figures["writes"].append(1000 * Journal.seconds / trials)
    finally:
        session.stop()
    figures["difference"] = _differences(figures)
    figures["cpu"] = _differences(cpu)
    return {"ms_per_trial": figures}
