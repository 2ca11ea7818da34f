"""Time of a verdict, from the report that decides it, and the number of reports that are carried.

Eight workers report at a given rate, together 2,000 a second. The last report of each trial is one that the
pruner stops; the trial asks from then on whether it is to stop, and returns how long that took. Once with
random search, whose driver has little to do, and once with an algorithm that has hyperopt's TPE propose again
and again, which holds the interpreter's lock: of that search those trials count that came to their end while
it proposed. It models from the first trial on. Its start-up is random draws, one after another, and a thread
that draws in a loop keeps the lock from every other thread for as long as it does so (decision 16). Then the
workers report as fast as they can.

All of it runs on the cores of one machine, the workers too: what a trial waits for them is in its time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, Final

import click
from hyperopt import rand, tpe

from benchmarks.peers import SPACE, local_session
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import percentile
from benchmarks.tables import Table
from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core.states import Outcome

_ENOUGH: Final = 100
"""So many verdicts say something about one in a hundred."""

_SLOWEST: Final = {"between": 5.0, "proposing": 15.0}
"""Milliseconds within which 99 of 100 verdicts have to be there."""

_TITLES: Final = {"between": "random search", "proposing": "while TPE proposes"}

_BAD: Final = 9.0
_GOOD: Final = 0.0
"""Values that are reported, of which the first is stopped."""


class CountingPruner:
    """Stops what reports a bad value, and counts what it hears.

    Attributes:
        count: how many values it has heard of.
        first: when the first came, on the monotonic clock.
        last: when the last came.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0.0

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Tell if a trial is to stop."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        return value == _BAD

    def settled(self, tid: int, outcome: Outcome) -> None:
        """Learn nothing."""

    @property
    def rate(self) -> float:
        """Values a second, from the first to the last."""
        return self.count / max(self.last - self.first, 1e-9)


def _make_objective(reports: int, rate: float) -> Callable[[Any], dict[str, Any]]:
    """An objective that reports so often, at so many a second (0 for any), and waits for its verdict."""
    bad, good = _BAD, _GOOD

    def objective(point: Any) -> dict[str, Any]:
        import time

        import sparkopt

        began = time.monotonic()
        for step in range(1, reports):
            sparkopt.report(good, step)
            if rate:
                time.sleep(max(0.0, began + step / rate - time.monotonic()))
        at = time.monotonic()
        try:
            sparkopt.report(bad, reports)
            while not sparkopt.should_prune():
                time.sleep(0.0001)
        except sparkopt.TrialPruned:  # it was there before report had returned
            pass
        return {"status": "ok", "loss": 0.0, "at": at, "ms": 1000 * (time.monotonic() - at)}

    return objective


def _make_busy(seconds: float, spans: list[tuple[float, float]]) -> Callable[..., Any]:
    """An algorithm that has TPE propose for so many seconds each time, and notes when."""

    def suggest(new_ids: Any, domain: Any, trials: Any, seed: int) -> Any:
        began = time.monotonic()
        while True:
            documents = tpe.suggest(new_ids, domain, trials, seed, n_startup_jobs=1)
            if time.monotonic() - began >= seconds:
                break
        spans.append((began, time.monotonic()))
        return documents

    return suggest


def _search(pool: WorkerPool, algo: Any, trials: int, objective: Any) -> tuple[list[dict[str, Any]], float]:
    """Results of a search, and how many reports a second its driver has taken in."""
    pruner = CountingPruner()
    found = SparkTrials(pool=pool, tracking=False, pruner=pruner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fmin(objective, SPACE, algo, trials, trials=found, verbose=False)
    return found.results, pruner.rate


def _milliseconds(ms: list[float], rate: float) -> dict[str, Any]:
    return {
        "verdicts": len(ms),
        "ms": {f"p{share}": percentile(ms, share / 100) for share in (50, 90, 99, 100)} if ms else {},
        "reports_per_second": rate,
    }


def _tables(record: Record) -> list[Table]:
    rows = []
    for name, title in _TITLES.items():
        found = record.figures[name]
        cells = [f"{value:.2f}" for value in found["ms"].values()] or ["-"] * 4
        rows.append((title, f"{found['verdicts']:,}", f"{found['reports_per_second']:,.0f}", *cells))
    workers = record.settings["workers"]
    columns = ("", "verdicts", "reports a second", "ms, median", "90 of 100", "99 of 100", "slowest")
    most = record.figures["most_reports_per_second"]
    note = f"As fast as {workers} workers can, {most:,.0f} reports a second were taken in."
    return [Table(f"verdicts: {workers} workers, from a report to its verdict", columns, rows, [note])]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    limits = []
    for name, bound in _SLOWEST.items():
        found = figures[name]
        value = found["ms"]["p99"] if found["verdicts"] >= _ENOUGH else None
        limits.append(Limit(f"99 of 100 verdicts, {_TITLES[name]}", bound, value, unit="ms"))
    return limits


@question(Form("How long does a verdict take, and how many reports are carried?", _tables, _limits))
@click.option("--workers", default=8, show_default=True, type=click.IntRange(min=1))
@click.option("--rate", default=2000, show_default=True, type=click.IntRange(min=1), help="Of all together.")
@click.option("--trials", default=480, show_default=True, type=click.IntRange(min=1))
@click.option("--reports", default=100, show_default=True, type=click.IntRange(min=1), help="Of a trial.")
@click.option(
    "--busy-seconds", default=0.2, show_default=True, type=float, help="For which TPE proposes each time."
)
@click.option(
    "--flood", default=20_000, show_default=True, type=click.IntRange(min=1), help="As fast as can be."
)
def verdicts(workers: int, rate: int, trials: int, reports: int, busy_seconds: float, flood: int) -> Figures:
    """Measure the time from a report to its verdict, and how many reports are carried."""
    spans: list[tuple[float, float]] = []
    with WorkerPool(workers, spark_session=local_session(workers)) as pool:
        _search(pool, rand.suggest, 2 * workers, _make_objective(10, rate / workers))  # to warm up
        between, between_rate = _search(pool, rand.suggest, trials, _make_objective(reports, rate / workers))
        # Longer trials, as one is proposed every so many seconds only.
        longer = max(reports, int(busy_seconds * rate) + reports)
        busy = _make_busy(busy_seconds, spans)
        proposing, proposing_rate = _search(pool, busy, trials, _make_objective(longer, rate / workers))
        _, most = _search(pool, rand.suggest, workers, _make_objective(flood, 0))
    meanwhile = [each["ms"] for each in proposing if any(a <= each["at"] < b for a, b in spans)]
    return {
        "between": _milliseconds([each["ms"] for each in between], between_rate),
        "proposing": _milliseconds(meanwhile, proposing_rate),
        "most_reports_per_second": most,
    }
