"""Cost of executors that come and go: the same search on elastic workers and on those of a barrier job.

On a standalone cluster, for each kind of pool and each misfortune a session of its own. The elastic pool
begins with no executor, and Spark has all of them back soon after its end; the barrier pool has its
executors all the time. A misfortune meets one executor after the other:

    none        the search is left alone
    killed      an executor is killed every few seconds, without a warning
    preempted   an executor is decommissioned, and killed a second later, as a spot machine is

    a trial's runs (append-only files) ──▶ first trial, full width, busy share, runs again
    how much longer than without,      ──▶ worker-seconds that one executor's end costs
    from the first trial's beginning
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import click
from hyperopt import hp

from benchmarks.faults import in_order
from benchmarks.objectives import Faulty
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, covered
from benchmarks.strikes import Run, runs_of
from benchmarks.tables import Table
from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import Session, get_session
from tests.support.cluster import Cluster

EXECUTORS: Final = 4
"""Most executors, with one slot each."""

POOLS: Final = {"elastic": "elastic workers", "barrier": "a barrier job"}

MISFORTUNES: Final = {"none": "left alone", "killed": "executors killed", "preempted": "executors preempted"}


BACK: Final = 40.0
"""Seconds after a search's end within which all executors of an elastic pool are given back."""

_NOTICE: Final = 1.0
"""Seconds between an executor's decommission and its end."""

_ATTEMPTS: Final = 100
"""So many workers may be lost with a trial: the question is what that costs, not how often it may come."""

_START: Final = 300.0
"""Seconds that a search may be without a worker: a machine with other work starts executors slowly."""


class Misfortunes:
    """Ends one executor after the other, from a search's first trial on and for as long as it lasts.

    Args:
        kind: which misfortune it is.
        cluster: whose executors meet it.
        pause: seconds between two.
        place: a directory that is empty until the first trial runs.

    Attributes:
        number: how many executors have met it.
    """

    def __init__(self, kind: str, cluster: Cluster, pause: float, place: Path) -> None:
        self.number = 0
        self._kind, self._cluster, self._pause, self._place = kind, cluster, pause, place
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Misfortunes:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        if self._kind == "none":
            return
        while not any(self._place.iterdir()):
            if self._over.wait(0.1):
                return
        for turn in itertools.count():
            if self._over.wait(self._pause):
                return
            executors = self._cluster.executors()
            if not executors:
                continue
            executor = executors[turn % len(executors)]
            if self._kind == "preempted":
                executor.decommission()
                self._over.wait(_NOTICE)
            executor.kill()
            self.number += 1


def _search(cluster: Cluster, pool: str, misfortune: str, trials: int, work: float, pause: float) -> Figures:
    """One search on a session of its own."""
    if pool == "elastic":
        settings = cluster.elastic_settings()
    else:  # said although it is the default, as a process keeps what an earlier session of it had
        settings = {**cluster.settings(), "spark.dynamicAllocation.enabled": "false"}
    session = get_session(settings=settings)
    with contextlib.ExitStack() as ends:
        ends.callback(session.stop)
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-")))
        found = SparkTrials(
            EXECUTORS,
            spark_session=session,
            elastic=pool == "elastic",
            max_attempts=_ATTEMPTS,
            start_timeout=_START,
            tracking=False,
        )
        began = time.time()
        with Misfortunes(misfortune, cluster, pause, place) as met:
            space = hp.uniformint("number", 0, trials)
            fmin(Faulty(str(place), {}, work), space, in_order, trials, trials=found, verbose=False)
        ended = time.time()
        back = _seconds_until_none_is_left(cluster) if pool == "elastic" else None
        runs = [runs_of(place, tid) for tid in range(trials)]
        came = _executors_came(session)
    return {
        **_figures(runs, work, began),
        "joining": _joining(came, runs) if (pool, misfortune) == ("elastic", "none") else None,
        "seconds": ended - began,
        "ended_executors": met.number,
        "back": back,
        "failed": trials - found.count_successful_trials(),
    }


def _figures(runs: list[list[Run]], work: float, began: float) -> dict[str, Any]:
    """Figures of a search, from the runs of each trial."""
    beginnings = sorted(run.began for each in runs for run in each)
    done = [(each[-1].began, each[-1].began + work) for each in runs]
    first, last = beginnings[0], max(end for _, end in done)
    wide = next(
        (now for now in beginnings if sum(now - work < other <= now for other in beginnings) >= EXECUTORS),
        None,
    )
    return {
        "first": first - began,
        "span": last - first,
        "wide": None if wide is None else wide - began,
        "busy": covered(done, first, last) / ((last - first) * EXECUTORS),
        "again": sum(len(each) - 1 for each in runs),
    }


def _executors_came(session: Session) -> list[float]:
    """Times at which Spark had its executors, in order, in seconds since the epoch."""
    store = session.sparkContext._jsc.sc().statusStore()
    found = store.executorList(False)
    executors = [found.apply(index) for index in range(found.size())]
    return sorted(each.addTime().getTime() / 1000 for each in executors if each.id() != "driver")


def _joining(came: list[float], runs: list[list[Run]]) -> float:
    """Most seconds from an executor being there to its worker's first trial.

    Of a search whose executors have a slot each and are left alone: the first one to come is that of the
    first worker to run a trial, and so on.
    """
    firsts: dict[int, float] = {}
    for run in sorted((run for each in runs for run in each), key=lambda run: run.began):
        firsts.setdefault(run.nursery, run.began)
    return max(first - there for there, first in zip(came, firsts.values(), strict=False))


def _seconds_until_none_is_left(cluster: Cluster) -> float:
    began = time.monotonic()
    while cluster.executors() and time.monotonic() < began + 3 * BACK:
        time.sleep(0.1)
    return time.monotonic() - began


def _cost(figures: Figures, pool: str, misfortune: str) -> float | None:
    """Worker-seconds that the end of one executor costs: how much longer the trials take for it.

    Counted from the first trial on, as the start of the executors' JVMs takes now longer, now less long.
    """
    rounds = zip(figures[pool]["none"], figures[pool][misfortune], strict=True)
    costs = [
        (hurt["span"] - alone["span"]) * EXECUTORS / hurt["ended_executors"]
        for alone, hurt in rounds
        if hurt["ended_executors"]
    ]
    return Spread.of(costs).median if costs else None


def _median(figures: list[Figures], name: str, digits: int = 1) -> str:
    values = [each[name] for each in figures if each.get(name) is not None]
    return f"{Spread.of(values).median:,.{digits}f}" if values else ""


def _tables(record: Record) -> list[Table]:
    settings, rows = record.settings, []
    for pool, misfortune in itertools.product(POOLS, MISFORTUNES):
        found = record.figures[pool][misfortune]
        cost = None if misfortune == "none" else _cost(record.figures, pool, misfortune)
        rows.append(
            (
                f"{POOLS[pool]}, {MISFORTUNES[misfortune]}",
                *(_median(found, name) for name in ("first", "wide", "seconds")),
                _median(found, "busy", 2),
                *(_median(found, name, 0) for name in ("ended_executors", "again")),
                "" if cost is None else f"{cost:,.1f}",
                _median(found, "back"),
                _median(found, "joining"),
            )
        )
    title = (
        f"elastic: {settings['trials']} trials of {settings['work']:g} s on at most {EXECUTORS} executors, of"
        f" which one ends every {settings['pause']:g} s"
    )
    columns = (
        *("", "s to the first trial", f"s until {EXECUTORS} run", "s in all", "busy share"),
        *("executors ended", "trials run again", "worker-seconds lost, each", "s until all are given back"),
        "s from an executor to its first trial, at most",
    )
    notes = ["An elastic pool begins with no executor; a barrier job's executors are there before it begins."]
    return [Table(title, columns, rows, notes, sections=(len(MISFORTUNES),))]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    elastic = figures["elastic"]
    failed = sum(each["failed"] for pool in POOLS for kind in MISFORTUNES for each in figures[pool][kind])
    back = max(each["back"] for kind in MISFORTUNES for each in elastic[kind])
    return [
        Limit("trials that have no result", 0, failed),
        Limit("until all executors are given back", BACK, back, unit="s"),
    ]


def _picture(record: Record) -> Picture:
    values = {
        f"{POOLS[pool]}, {MISFORTUNES[misfortune]}": Spread.of(
            [each["busy"] for each in record.figures[pool][misfortune]]
        )
        for pool, misfortune in itertools.product(POOLS, MISFORTUNES)
    }
    return Bars("executors that come and go", "share of the slots' time that results come from", values)


@question(Form("What do executors that come and go cost?", _tables, _limits, _picture))
@click.option("--trials", default=100, show_default=True, type=click.IntRange(min=EXECUTORS))
@click.option(
    "--work", default=1.5, show_default=True, type=click.FloatRange(min=0.1), help="Seconds a trial."
)
@click.option(
    "--pause", default=8.0, show_default=True, type=click.FloatRange(min=2), help="Seconds between two ends."
)
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1))
def elastic(trials: int, work: float, pause: float, rounds: int) -> Figures:
    """Cost of executors that come and go, on elastic workers and in a barrier job."""
    figures: dict[str, dict[str, list[Figures]]] = {
        pool: {misfortune: [] for misfortune in MISFORTUNES} for pool in POOLS
    }
    for _ in range(rounds):
        for misfortune, pool in itertools.product(MISFORTUNES, POOLS):
            with Cluster(EXECUTORS, 1) as cluster:
                found = _search(cluster, pool, misfortune, trials, work, pause)
            figures[pool][misfortune].append(found)
    return figures
