"""What does a fault cost? A search on a standalone cluster, with faults drawn from a seed while trials run.

    seed ──▶ some trials harm their own process            objectives.py, on the workers
      └────▶ workers, executors and links are struck       strikes.py, one time after the other
    each trial's own file (append-only), what was settled, the documents ──▶ the table

A fault from outside has struck the gangs that had a worker at its place, and is over when each of these has
settled a trial that was sent to it afterwards. The next one comes some time later, so that what runs again
has one cause. A fault that a trial brings upon itself is over when the trial has settled as failed; those
that meet one from outside are not timed.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
from hyperopt import hp, rand

from benchmarks.objectives import Faulty
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.strikes import (
    OWN,
    Fault,
    Injector,
    Run,
    Strike,
    Watch,
    WatchedPool,
    gang_of,
    runs_of,
)
from benchmarks.tables import Table
from benchmarks.usage import Sample, Sampler
from sparkopt import SparkTrials, fmin
from sparkopt.coordinator.channels.study_events import Settled
from sparkopt.core.states import Outcome
from sparkopt.spark.session import get_session
from tests.support.cluster import Cluster

HEARTBEAT = 0.5
GRACE = 3.0
SPARE_ATTEMPTS = 10
"""So many workers may be lost with a trial: the question is what a fault costs, not how often it may come."""

BOUND = 2.0
"""Seconds within which the failure of a trial is to be known on the driver."""

_SHARE = 0.15
"""How many of the trials harm themselves."""

_BUSY = 0.55
"""The share of the time in which workers run trials; what is left goes by while they are away."""

TITLES = {
    Fault.SEGFAULT: "trial: segfault",
    Fault.SIGKILL: "trial: SIGKILL",
    Fault.EXIT: "trial: os._exit",
    Fault.EXCEPTION: "trial: exception",
    Fault.UNPICKLABLE: "trial: unpicklable",
    Fault.HANG: "trial: hangs",
    Fault.WORKER_KILLED: "worker killed",
    Fault.EXECUTOR_KILLED: "executor killed",
    Fault.EXECUTOR_STOPPED: "executor stopped",
    Fault.LINK_CUT_SHORT: "link cut, short",
    Fault.LINK_CUT_LONG: "link cut, long",
}


@dataclass(frozen=True, slots=True)
class Setup:
    """A search to be disturbed.

    Attributes:
        seed: what the faults are drawn from.
        trials: how many.
        seconds: about how long it is to take.
        gang_size: workers in a gang.
        daemons: Spark's worker daemons, each with an executor.
        cores: workers on each executor.
    """

    seed: int
    trials: int
    seconds: float
    gang_size: int
    daemons: int = 2
    cores: int = 2

    @property
    def work(self) -> float:
        """Seconds that a trial takes."""
        return _BUSY * self.seconds * self.daemons * self.cores / self.trials

    @property
    def pause(self) -> float:
        """Seconds between two faults from outside, at most."""
        return 2 * max(1.0, self.work)

    @property
    def timeout(self) -> float:
        """Seconds that a trial may take."""
        return 2 * self.work + 1

    def own_faults(self) -> dict[int, Fault]:
        """Which trials harm themselves, and how: each way as often as any other."""
        draw = random.Random(f"own {self.seed}")
        number = max(len(OWN), int(_SHARE * self.trials))
        tids = draw.sample(range(self.trials), min(number, self.trials))
        return {tid: OWN[place % len(OWN)] for place, tid in enumerate(tids)}


@dataclass(slots=True)
class Row:
    """What the faults of one kind have cost.

    Attributes:
        injected: how often it happened.
        settled: trials that settled: its own, or those between it and the next.
        again: runs of trials that had run before.
        lost: trials that settled as lost.
        twice: trials that settled more than once.
        seconds: to recover, one each.
    """

    injected: int = 0
    settled: int = 0
    again: int = 0
    lost: int = 0
    twice: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """Result of a search.

    Attributes:
        rows: by kind of fault; None for what no fault explains.
        missing: trials whose document has no final state, or that settled as something else than their plan.
        seconds: how long the search took.
        samples: what the driver used.
        strikes: the faults from outside.
    """

    rows: dict[Fault | None, Row]
    missing: list[int]
    seconds: float
    samples: list[Sample]
    strikes: list[Strike]

    def figures(self) -> dict[str, Any]:
        """All of it, for a record."""
        fields = ("injected", "settled", "again", "lost", "twice", "seconds")
        return {
            "faults": {
                "none" if kind is None else kind.value: {name: getattr(row, name) for name in fields}
                for kind, row in self.rows.items()
            },
            "strikes": [
                {
                    "kind": each.kind.value,
                    "time": each.time,
                    "gangs": sorted(each.gangs),
                    "recovered": each.recovered,
                }
                for each in self.strikes
            ],
            "missing": self.missing,
            "seconds": self.seconds,
            "samples": [
                {name: getattr(sample, name) for name in Sample.__slots__} for sample in self.samples
            ],
        }


def disturb(setup: Setup) -> Result:
    """Run the search with its faults."""
    plan = setup.own_faults()
    watch = Watch()
    with contextlib.ExitStack() as ends:
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        cluster = ends.enter_context(Cluster(setup.daemons, setup.cores))
        session = get_session(settings=cluster.settings())
        ends.callback(session.stop)
        workers = setup.daemons * setup.cores
        pool = WatchedPool(
            workers, spark_session=session, gang_size=setup.gang_size, heartbeat=HEARTBEAT, grace=GRACE
        )
        pool.watch = watch
        ends.enter_context(pool)
        injector = Injector(setup.seed, setup.pause, GRACE, cluster, pool, place)
        sampler = Sampler(lambda: watch.pause(setup.seconds / 200))
        threads = [threading.Thread(target=each.run) for each in (injector, sampler)]
        began = time.time()
        for thread in threads:
            thread.start()
        trials = SparkTrials(
            pool=pool, trial_timeout=setup.timeout, max_attempts=SPARE_ATTEMPTS, tracking=False
        )
        objective = Faulty(str(place), {tid: fault.value for tid, fault in plan.items()}, setup.work)
        space = hp.uniformint("number", 0, setup.trials)
        try:
            fmin(objective, space, in_order, setup.trials, trials=trials, verbose=False)
        finally:
            seconds = time.time() - began
            watch.end()
            for thread in threads:
                thread.join()
        if injector.error is not None:
            raise injector.error
        runs = {tid: runs_of(place, tid) for tid in range(setup.trials)}
    return _count(setup, plan, watch, injector.strikes, runs, trials, seconds, sampler.samples)


def in_order(new_ids: Sequence[int], domain: Any, trials: Any, seed: int) -> list[dict[str, Any]]:
    """An algorithm that proposes each trial's own number."""
    documents: list[dict[str, Any]] = rand.suggest(new_ids, domain, trials, seed)
    for document in documents:
        document["misc"]["vals"]["number"] = [document["tid"]]
    return documents


def _count(
    setup: Setup,
    plan: dict[int, Fault],
    watch: Watch,
    strikes: list[Strike],
    runs: dict[int, list[Run]],
    trials: SparkTrials,
    seconds: float,
    samples: list[Sample],
) -> Result:
    rows: dict[Fault | None, Row] = {kind: Row() for kind in (*Fault, None)}
    for strike in strikes:
        row = rows[strike.kind]
        row.injected += 1
        if strike.recovered is not None:
            row.seconds.append(strike.recovered - strike.time)

    def strike_before(end: float) -> Strike | None:
        return next((each for each in reversed(strikes) if each.time < end), None)

    times = Counter(settled.tid for _, settled in watch.outcomes)
    for at, settled in watch.outcomes:
        own = plan.get(settled.tid)
        last = strike_before(at)
        row = rows[own if own is not None else last.kind if last is not None else None]
        row.settled += 1
        row.lost += settled.outcome is Outcome.LOST
        row.twice += times[settled.tid] > 1
        if own is not None:
            row.injected += sum(run.fault is not None for run in runs[settled.tid])
            row.seconds += _time_to_settle(own, runs[settled.tid][-1], at, settled, strikes, setup)
    for tid, each in runs.items():
        for before, after in itertools.pairwise(each):
            cause = strike_before(after.began)
            # A worker that was stopped may still begin what it was sent before it sees that this is too late.
            if cause is None or (cause.recovered is not None and cause.recovered < before.began):
                rows[plan.get(tid)].again += 1
            else:
                rows[cause.kind].again += 1
    final = {each["tid"]: each for each in trials._dynamic_trials}
    done = {each["tid"] for each in trials.trials}
    as_planned = {
        tid
        for tid in range(setup.trials)
        if tid in final and times[tid] and (tid in done) == (tid not in plan)
    }
    missing = sorted(set(range(setup.trials)) - as_planned)
    return Result(rows, missing, seconds, samples, strikes)


def _time_to_settle(
    own: Fault, run: Run, at: float, settled: Settled, strikes: list[Strike], setup: Setup
) -> list[float]:
    """Seconds from a trial's own fault to its being settled; none if another fault struck its gang then."""
    # A trial that hangs is at fault when its time is up; A's clock may start a moment before the trial's.
    fault = run.began + setup.timeout if own is Fault.HANG else run.fault
    if fault is None:
        return []
    gang = gang_of(settled.worker)
    struck = any(gang in each.gangs and each.time < at and fault < (each.recovered or at) for each in strikes)
    return [] if struck else [max(0.0, at - fault)]


def _rows(figures: Figures) -> dict[Fault | None, Row]:
    return {kind: Row(**figures["faults"]["none" if kind is None else kind.value]) for kind in (*Fault, None)}


def _tables(record: Record) -> list[Table]:
    settings = record.settings
    setup = Setup(*(settings[name] for name in ("seed", "trials", "seconds", "gang_size")))
    rows = _rows(record.figures)
    counts = ("injected", "settled", "again", "lost", "twice")
    total = Row(*(sum(getattr(row, name) for row in rows.values()) for name in counts))
    cells = [(TITLES[kind], *_cells(row)) for kind, row in rows.items() if kind is not None]
    own = [second for kind in OWN for second in rows[kind].seconds]
    notes = [
        "median, max: until the gangs that were struck have settled a trial again; for a trial's own fault,"
        " until its failure is settled on the driver."
    ]
    if own:
        notes.append(f"For a trial that is {median(own):.3f} s, {max(own):.3f} s at most.")
    return [
        Table(
            f"faults, seed {setup.seed}: {setup.trials} trials of {setup.work:.2f} s on"
            f" {setup.daemons * setup.cores} workers in gangs of {setup.gang_size},"
            f" {record.figures['seconds']:.0f} s in all",
            ("fault", "faults", "settled", "run again", "lost", "twice", "median", "max"),
            [*cells, ("all", *_cells(total))],
            notes,
            sections=(len(OWN), len(Fault)),
        )
    ]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    rows = _rows(figures)
    unsound = len(figures["missing"]) + rows[None].again + sum(row.lost + row.twice for row in rows.values())
    own = [second for kind in OWN for second in rows[kind].seconds]
    return [
        Limit("trials that have not settled once and as planned", 0, unsound),
        Limit("until a trial's own fault is known on the driver", BOUND, max(own, default=None), unit="s"),
    ]


@question(Form("What does a fault cost?", _tables, _limits))
@click.option("--seed", default=0, show_default=True, help="What the faults are drawn from.")
@click.option("--trials", default=200, show_default=True, type=click.IntRange(min=20))
@click.option(
    "--seconds", default=90.0, show_default=True, type=click.FloatRange(min=10), help="About how long."
)
@click.option(
    "--gang-size", default=1, show_default=True, type=click.IntRange(min=1), help="Workers in a gang."
)
def faults(seed: int, trials: int, seconds: float, gang_size: int) -> Figures:
    """What a fault costs: on a cluster of two executors, with faults of every kind."""
    return disturb(Setup(seed, trials, seconds, gang_size)).figures()


def _cells(row: Row) -> list[str]:
    numbers = [f"{value:,}" for value in (row.injected, row.settled, row.again, row.lost, row.twice)]
    if not row.seconds:
        return [*numbers, "", ""]
    return [*numbers, f"{median(row.seconds):.2f} s", f"{max(row.seconds):.2f} s"]
