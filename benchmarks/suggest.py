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

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

import click
import numpy as np
from hyperopt import Trials, base, hp, rand, tpe

from benchmarks.plots import Lines, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.tables import Table
from sparkopt.hyperopt.suggest import accelerated

ALGORITHMS: Final = {"random": rand.suggest, "tpe": tpe.suggest}

LIMITS: Final = {
    ("random", 10, 3_000): 0.15,
    ("random", 10, 10_000): 0.15,
    ("tpe", 10, 3_000): 3.0,
    ("tpe", 10, 10_000): 8.0,
}
"""Milliseconds that a suggestion may cost, by algorithm, dimensions and trials."""

_LEAST: Final = 3

_PICTURED: Final = 10
"""The space of which there is a picture, in dimensions."""

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
    def figures(self) -> Figures:
        """The same for a record."""
        return {
            "algorithm": self.algorithm,
            "dimensions": self.dimensions,
            "trials": self.trials,
            "ms": {"sparkopt": self.ours, "hyperopt": self.theirs},
            "passed_ms": {"sparkopt": self.passed},
            "differences": self.differences,
        }


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


def _ratios(cell: Figures) -> list[float]:
    """How many times as long hyperopt takes, round by round."""
    return [
        theirs / ours for ours, theirs in zip(cell["ms"]["sparkopt"], cell["ms"]["hyperopt"], strict=False)
    ]


def _tables(record: Record) -> list[Table]:
    cells = record.figures["suggestions"]
    rows = [
        (
            f"{cell['algorithm']}, {cell['dimensions']} dimensions, {cell['trials']:,} trials",
            _spread(cell["ms"]["sparkopt"], 3),
            _spread(cell["ms"]["hyperopt"], 2),
            f"{len(cell['ms']['sparkopt'])}, {len(cell['ms']['hyperopt'])}",
            _spread(_ratios(cell), 1),
        )
        for cell in cells
    ]
    compared = sum(len(cell["ms"]["hyperopt"]) for cell in cells)
    different = sum(cell["differences"] for cell in cells)
    said = (
        f"Of {compared:,} suggestions that were compared, {different:,} are not hyperopt's."
        if different
        else f"All {compared:,} suggestions that were compared are hyperopt's, value for value."
    )
    title = "suggest: milliseconds of the processor that a suggestion takes, median (least to most)"
    return [Table(title, ("", "sparkopt", "hyperopt", "of so many", "ratio"), rows, [said])]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    cells = {
        (cell["algorithm"], cell["dimensions"], cell["trials"]): median(cell["ms"]["sparkopt"])
        for cell in figures["suggestions"]
    }
    limits = [
        Limit(
            f"a suggestion, {algorithm}, {dimensions} dimensions, {trials:,} trials",
            bound,
            cells.get((algorithm, dimensions, trials)),
            unit="ms",
        )
        for (algorithm, dimensions, trials), bound in LIMITS.items()
    ]
    different = sum(cell["differences"] for cell in figures["suggestions"])
    return [*limits, Limit("suggestions that are not hyperopt's", 0, different)]


def _picture(record: Record) -> Picture:
    cells = [cell for cell in record.figures["suggestions"] if cell["algorithm"] == "tpe"]
    dimensions = (
        _PICTURED if any(cell["dimensions"] == _PICTURED for cell in cells) else cells[0]["dimensions"]
    )
    lines = {
        name: [
            (cell["trials"], median(cell["ms"][name])) for cell in cells if cell["dimensions"] == dimensions
        ]
        for name in ("sparkopt", "hyperopt")
    }
    title = f"what a suggestion of TPE takes, {dimensions} dimensions"
    return Lines(title, "trials so far", "milliseconds of the processor", lines, logarithmic=True)


@question(Form("What does a suggestion cost, as the history and the space grow?", _tables, _limits, _picture))
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
def suggest(dimensions: tuple[int, ...], counts: tuple[int, ...], rounds: int, seconds: float) -> Figures:
    """Milliseconds a suggestion of random search and TPE, and whether it is hyperopt's."""
    cells = _measure(sorted(dimensions), sorted(counts), rounds, seconds)
    return {"suggestions": [cell.figures for cell in cells]}


def _measure(dimensions: list[int], counts: list[int], rounds: int, seconds: float) -> Iterator[Cell]:
    order = random.Random(0)
    for size in dimensions:
        history = History(size)
        for count in counts:
            for name in ALGORITHMS:
                yield history.measure(name, count, rounds, seconds, order)


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
