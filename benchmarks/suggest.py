"""What does a suggestion cost, as the history and the space grow? Ours and hyperopt's own, without Spark.

The history is a made-up one of a search that is getting somewhere: half of its points are anywhere, the
others are close to the best one. Before each suggestion another trial ends, as in a search, so that ours has
something new to read; what it takes to read a long history for the first time is not in the figures. Both are
asked for the same suggestion, in turns, and whether they give the same answer is a part of the result. Where
hyperopt takes long it is asked less often: as often as fits into a time, three times at least.

A suggestion waits for nothing but the processor. So what is compared, and held against the limits, is the
time that it had the processor; the record has the time that passed as well, which is more where the machine
has other things to do.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np
from hyperopt import Trials, base, hp, rand, tpe
from rich.console import Console
from rich.table import Table

from benchmarks.record import Record
from sparkopt.suggest import accelerated

ALGORITHMS: Final = {"random": rand.suggest, "tpe": tpe.suggest}

LIMITS: Final = {
    ("random", 10, 3_000): 0.15,
    ("random", 10, 10_000): 0.15,
    ("tpe", 10, 3_000): 3.0,
    ("tpe", 10, 10_000): 8.0,
}
"""Milliseconds that a suggestion may cost, by algorithm, dimensions and trials."""

_LEAST: Final = 3

Suggest = Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured of one algorithm on one space with one history.

    Attributes:
        algorithm: its name.
        dimensions: how many parameters.
        trials: how many there had been.
        ours: milliseconds of each suggestion, of the processor's time.
        theirs: of hyperopt's; of the first ones only, if it takes long.
        passed: milliseconds that passed meanwhile, for ours.
        differences: how many of these were not the same.
    """

    algorithm: str
    dimensions: int
    trials: int
    ours: list[float]
    theirs: list[float]
    passed: list[float]
    differences: int

    @property
    def limit(self) -> float | None:
        """Milliseconds that a suggestion may cost; None if nobody has said so."""
        return LIMITS.get((self.algorithm, self.dimensions, self.trials))

    @property
    def is_slow(self) -> bool:
        """Whether it has missed its limit."""
        return self.limit is not None and median(self.ours) > self.limit

    @property
    def ratios(self) -> list[float]:
        """How many times as long hyperopt takes, round by round."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=False)]


class History:
    """A search that grows.

    Args:
        dimensions: how many parameters, all uniform.
    """

    def __init__(self, dimensions: int) -> None:
        self.labels = [f"x{number}" for number in range(dimensions)]
        self.domain = base.Domain(None, {label: hp.uniform(label, -5, 5) for label in self.labels})
        self.trials = Trials()
        self._rng = np.random.default_rng(dimensions)
        self._best = self._rng.uniform(-4, 4, dimensions)

    def grow(self, trials: int) -> None:
        """Let as many trials end that there are so many."""
        missing = trials - len(self.trials)
        if missing <= 0:
            return
        shape = (missing, len(self.labels))
        points = self._rng.uniform(-5, 5, shape)
        close = self._rng.random(missing) < 0.5
        points[close] = np.clip(self._best + self._rng.normal(0, 0.5, shape), -5, 5)[close]
        losses = ((points - self._best) ** 2).sum(axis=1)
        tids = self.trials.new_trial_ids(missing)
        miscs = [
            {
                "tid": tid,
                "cmd": self.domain.cmd,
                "workdir": self.domain.workdir,
                "idxs": {label: [tid] for label in self.labels},
                "vals": {label: [value] for label, value in zip(self.labels, point, strict=True)},
            }
            for tid, point in zip(tids, points.tolist(), strict=True)
        ]
        results = [{"status": base.STATUS_OK, "loss": loss} for loss in losses.tolist()]
        documents = self.trials.new_trial_docs(tids, [None] * missing, results, miscs)
        for document in documents:
            document["state"] = base.JOB_STATE_DONE
        self.trials.insert_trial_docs(documents)
        self.trials.refresh()

    def measure(self, name: str, trials: int, rounds: int, seconds: float, order: random.Random) -> Cell:
        """Ask for some suggestions.

        Args:
            name: of the algorithm.
            trials: how many have ended before the first one.
            rounds: how often.
            seconds: that hyperopt may take altogether.
            order: says whose turn it is first.
        """
        self.grow(trials)
        theirs = ALGORITHMS[name]
        ours = accelerated(theirs, self.domain)
        self._ask(ours, 0)
        cell = Cell(name, len(self.labels), trials, [], [], [], 0)
        same = []
        for number in range(rounds):
            self.grow(len(self.trials) + 1)
            asked = [ours]
            if number < _LEAST or sum(cell.theirs) < 1000 * seconds:
                asked.append(theirs)
                order.shuffle(asked)
            answers = []
            for suggest in asked:
                needed, passed, answer = self._ask(suggest, number)
                answers.append(answer)
                if suggest is ours:
                    cell.ours.append(needed)
                    cell.passed.append(passed)
                else:
                    cell.theirs.append(needed)
            same.append(all(answer == answers[0] for answer in answers))
        return replace(cell, differences=same.count(False))

    def _ask(self, suggest: Suggest, seed: int) -> tuple[float, float, str]:
        ids = [len(self.trials)]
        began, began_to_compute = time.perf_counter(), time.thread_time()
        documents = suggest(ids, self.domain, self.trials, seed)
        needed, passed = time.thread_time() - began_to_compute, time.perf_counter() - began
        return 1000 * needed, 1000 * passed, repr(documents)


@click.command()
@click.option(
    "--dimensions", default=(1, 10, 50), show_default=True, type=click.IntRange(min=1), multiple=True
)
@click.option(
    "--trials",
    "counts",
    default=(100, 1_000, 3_000, 10_000),
    show_default=True,
    type=click.IntRange(min=25),
    multiple=True,
    help="How long the histories are; may be repeated.",
)
@click.option("--rounds", default=31, show_default=True, type=click.IntRange(min=_LEAST), help="Suggestions.")
@click.option("--seconds", default=1.0, show_default=True, help="For hyperopt's, of each kind.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the record here as well.")
def suggest(
    dimensions: tuple[int, ...], counts: tuple[int, ...], rounds: int, seconds: float, path: Path | None
) -> None:
    """Milliseconds a suggestion of random search and TPE, and whether it is hyperopt's."""
    logging.getLogger("hyperopt").setLevel(logging.ERROR)
    cells = list(_measure(sorted(dimensions), sorted(counts), rounds, seconds))
    _print(cells)
    if path is not None:
        settings = {"dimensions": dimensions, "trials": counts, "rounds": rounds, "seconds": seconds}
        Record("suggest", settings, _figures(cells)).write(path)
    if any(cell.is_slow or cell.differences for cell in cells):
        sys.exit(1)


def _measure(dimensions: list[int], counts: list[int], rounds: int, seconds: float) -> Iterator[Cell]:
    order = random.Random(0)
    for size in dimensions:
        history = History(size)
        for count in counts:
            for name in ALGORITHMS:
                yield history.measure(name, count, rounds, seconds, order)


def _figures(cells: list[Cell]) -> dict[str, Any]:
    return {
        "suggestions": [
            {
                "algorithm": cell.algorithm,
                "dimensions": cell.dimensions,
                "trials": cell.trials,
                "ms": {"sparkopt": cell.ours, "hyperopt": cell.theirs},
                "passed_ms": {"sparkopt": cell.passed},
                "ratio": {"median": median(cell.ratios), "least": min(cell.ratios), "most": max(cell.ratios)},
                "differences": cell.differences,
                "limit": cell.limit,
            }
            for cell in cells
        ],
        "same_as_hyperopt": not any(cell.differences for cell in cells),
        "limits_met": not any(cell.is_slow for cell in cells),
    }


def _print(cells: list[Cell]) -> None:
    table = Table(title="milliseconds of the processor that a suggestion takes: median (least to most)")
    for column in ("", "dimensions", "trials", "sparkopt", "hyperopt", "of so many", "ratio", "limit"):
        table.add_column(column, justify="left" if not column else "right")
    for cell in cells:
        limit = "" if cell.limit is None else f"{cell.limit:g} {'missed' if cell.is_slow else 'met'}"
        table.add_row(
            cell.algorithm,
            f"{cell.dimensions}",
            f"{cell.trials:,}",
            _spread(cell.ours, 3),
            _spread(cell.theirs, 2),
            f"{len(cell.ours)}, {len(cell.theirs)}",
            _spread(cell.ratios, 1),
            limit,
        )
    console = Console(width=150)
    console.print(table)
    compared = sum(len(cell.theirs) for cell in cells)
    different = sum(cell.differences for cell in cells)
    if different:
        console.print(f"Of {compared:,} suggestions that were compared, {different:,} are not hyperopt's.")
    else:
        console.print(f"All {compared:,} suggestions that were compared are hyperopt's, value for value.")
    missed = [cell for cell in cells if cell.is_slow]
    for cell in missed:
        console.print(
            f"{cell.algorithm} with {cell.dimensions} dimensions and {cell.trials:,} trials takes"
            f" {median(cell.ours):.2f} ms: its limit of {cell.limit:g} ms is missed."
        )
    if not missed and any(cell.limit is not None for cell in cells):
        console.print("Every limit is met.")


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
