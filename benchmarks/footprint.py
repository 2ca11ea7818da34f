"""Memory of a worker's processes, and how late the last of many workers runs its first trial.

Spark's own tasks that do nothing are the measure: so much memory and time Spark takes for as many Python
processes. They and the two kinds of pools take turns, each time on a cold session in a process of its own
(waiting_crowd.py), so the ratio of their times is taken within a round.

    memory    of all Python processes below Spark's JVM, minus that of as many tasks, for each worker
    time      from the call until the last worker runs a trial, as a ratio to that of the last task

On a machine with few cores the time is the processors', which the table tells by the processes' roles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

import click

from benchmarks.plots import Bars, Picture
from benchmarks.python_processes import ROLES
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, in_rounds, median_interval, ratio
from benchmarks.tables import Table
from benchmarks.waiting_crowd import KINDS

MIB: Final = 45.0
"""MiB of a worker's processes beyond Spark's own."""

LATE: Final = 1.2
"""Times as late as Spark's own last task the last worker may run its first trial."""

_TITLES: Final = {"tasks": "Spark's own tasks", "barrier": "a barrier pool", "elastic": "an elastic pool"}

_POOLS: Final = ("barrier", "elastic")

_TRIED: Final = (
    "Done: the bootstrap is compiled on the driver; the versions of packages are read from the names of their"
    " directories, as importlib.metadata took as long to import as all else of a worker in Spark's process;"
    " importlib.invalidate_caches is not called in evaluators, where it read Spark's zip file once for each"
    " package in it.",
    "What is left of the time is imports: grpc, protobuf, asyncio with ssl, and our own modules. Workers"
    " cannot be forked from a process that has them: Spark forks its Python processes itself, and one in"
    " which grpc has started cannot be forked.",
    "Executors without sparkopt import it from a zip file that has compiled modules: to unpack and compile it"
    " took each worker that began with others 0.12 s of a processor's time more. This question's executors"
    " have it.",
    "The workers of an elastic pool have a Spark job each, which takes the JVM's time: see decision 12.",
    "gc.freeze in process A spares an evaluator that collects all its garbage a few MiB of copies. But to see"
    " whether a trial has frozen something itself takes milliseconds then, after each trial.",
)

_SECONDS: Final = 600
"""Most that one measurement may take."""


def _measure(kind: str, number: int, compiled: str) -> dict[str, Any]:
    # Modules are compiled beforehand, as those of an installed package are.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.waiting_crowd", kind, "--number", str(number)],
        check=False,
        text=True,
        capture_output=True,
        timeout=_SECONDS,
        env={**environment, "PYTHONPYCACHEPREFIX": compiled},
    )
    if done.returncode:
        raise click.ClickException(f"the measurement of {_TITLES[kind]} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _medians(figures: Figures, when: str, what: str, factor: float, digits: int) -> list[tuple[str, ...]]:
    """Rows of what the processes of each role use for each task or worker: the median over rounds."""
    rows = []
    for role in ROLES:
        cells = []
        for kind in KINDS:
            used = median(each[when][role][what] for each in figures[kind]) / figures["number"]
            cells.append(f"{factor * used:,.{digits}f}" if figures[kind][0][when][role]["processes"] else "")
        rows.append((role, *cells))
    return rows


def _beyond(figures: Figures, pool: str) -> list[float]:
    """MiB of a worker beyond Spark's own, round by round."""
    rounds = zip(figures[pool], figures["tasks"], strict=True)
    return [(_total(one["memory"]) - _total(other["memory"])) / figures["number"] for one, other in rounds]


def _total(used: Mapping[str, Mapping[str, float]]) -> float:
    return sum(each["mib"] for each in used.values())


def _late(figures: Figures, pool: str) -> tuple[Spread, tuple[float, float]]:
    """Ratio of the last worker's time to that of Spark's own last task, and the median's interval."""
    times = {kind: [each["seconds"] for each in figures[kind]] for kind in (pool, "tasks")}
    each = [own / spark for own, spark in zip(times[pool], times["tasks"], strict=True)]
    return ratio(times[pool], times["tasks"]), median_interval(each)


def _tables(record: Record) -> list[Table]:
    figures = record.figures
    number = figures["number"]
    columns = ("", *(_TITLES[kind] for kind in KINDS))
    whole = {kind: median(_total(each["memory"]) for each in figures[kind]) / number for kind in KINDS}
    beyond = ("", *(f"{median(_beyond(figures, pool)):.1f}" for pool in _POOLS))
    memory = Table(
        f"footprint: MiB a task or worker, of {number} on one machine",
        columns,
        [
            *_medians(figures, "memory", "mib", 1, 1),
            ("all", *(f"{each:.1f}" for each in whole.values())),
            ("beyond Spark's own", *beyond),
        ],
        ["A page that several processes share is divided among them (proportional set size)."],
        sections=(len(ROLES),),
    )
    seconds = [Spread.of([each["seconds"] for each in figures[kind]]).median for kind in KINDS]
    late = [_late(figures, pool) for pool in _POOLS]
    ratios = [f"{each.median:.2f} ({low:.2f} to {high:.2f})" for each, (low, high) in late]
    java = [1000 * median(each["java_seconds"] for each in figures[kind]) / number for kind in KINDS]
    time = Table(
        f"footprint: from the call until the last of {number} runs, on a cold session",
        columns,
        [
            ("seconds", *(f"{each:.1f}" for each in seconds)),
            ("ratio to Spark's own, with its 95% interval", "", *ratios),
            *(
                (f"{role}, CPU, ms each", *cells)
                for role, *cells in _medians(figures, "started", "seconds", 1000, 0)
            ),
            ("Spark's JVM, CPU, ms each", *(f"{each:,.0f}" for each in java)),
        ],
        ["The processors' time of a process is known to 10 ms."],
        sections=(2,),
    )
    return [memory, time]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    return [
        limit
        for pool in _POOLS
        for limit in (
            Limit(
                f"{_TITLES[pool]}: a worker beyond Spark's own",
                MIB,
                median(_beyond(figures, pool)),
                unit="MiB",
            ),
            Limit(
                f"{_TITLES[pool]}: the last worker's first trial, to Spark's last task",
                LATE,
                _late(figures, pool)[0].median,
                unit="x",
            ),
        )
    ]


def _picture(record: Record) -> Picture:
    values = {_TITLES[pool]: Spread.of(_beyond(record.figures, pool)) for pool in _POOLS}
    return Bars("memory of a worker beyond Spark's own Python process", "MiB", values)


@question(
    Form(
        "What do a worker's processes cost, in memory and in time to start?",
        _tables,
        _limits,
        _picture,
        tried=_TRIED,
    )
)
@click.option("--number", default=64, show_default=True, type=click.IntRange(min=2), help="Of workers.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
def footprint(number: int, rounds: int) -> Figures:
    """Memory of a worker's processes, and time until many workers run."""
    figures: dict[str, Any] = {"number": number, **{kind: [] for kind in KINDS}}
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as compiled:
        _measure("barrier", 2, compiled)
        for _, kind in in_rounds(KINDS, rounds):
            figures[kind].append(_measure(kind, number, compiled))
    return figures
