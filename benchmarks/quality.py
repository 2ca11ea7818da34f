"""Quality of searches in which many trials run at once, by our algorithms, hyperopt's and Optuna's.

Searches are played on a virtual clock (searches/virtual_clock.py), on objectives whose optimum is known. Half
of the objectives have decided what ``parallel_tpe`` is; the other half was kept aside
(searches/catalogue.py).

    regret     how far the trial whose loss looks best is from the optimum, without noise; 1 is the median of
               random points
    relative   the median regret over seeds, divided by that of hyperopt's TPE; of several objectives the
               geometric mean
    worse      of how many objectives the regrets of ``parallel_tpe`` are larger than those of another
               algorithm, by Mann and Whitney's test with Holm's correction over the objectives, at the level
               of 0.05
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import click

from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.searches.catalogue import ALL, DECIDING, KEPT, problem
from benchmarks.searches.contestants import CONTESTANTS, PARALLEL, TPE
from benchmarks.searches.searching import Kept, searches
from benchmarks.searches.significance import geometric_mean, holm, mean_ranks, worse
from benchmarks.suggest import History
from benchmarks.tables import Table
from sparkopt import parallel_tpe
from sparkopt.hyperopt.algorithms import algorithm_for

BUDGETS: Final[Mapping[int, tuple[int, ...]]] = {1: (50, 100), 8: (50, 100), 32: (50, 100), 128: (200, 500)}
"""Numbers of trials by numbers of workers."""

GOALS: Final[Mapping[tuple[int, int], float]] = {
    (8, 100): 0.6,
    (32, 100): 0.75,
    (128, 500): 0.8,
    (1, 100): 0.7,
}
"""Largest regret of ``parallel_tpe`` relative to that of hyperopt's TPE, by workers and trials."""

MOST: Final = 1.2
"""Largest relative regret on a single objective there."""

MILLISECONDS: Final[Mapping[int, float]] = {1_000: 5.0, 10_000: 15.0}
"""Most milliseconds of a processor for a suggestion in ten dimensions, by the number of trials."""

_LONG: Final = 100
"""Trials of a search that takes Optuna's samplers seconds."""

_DEFAULT: Final = ("random", TPE, PARALLEL, "optuna-joint")
"""Optuna's default is the same as its joint sampler but where parameters hang on others."""

_SUGGESTIONS: Final = 21

_LEVEL: Final = 0.05
_HALVES: Final = {"deciding": DECIDING, "kept aside": KEPT}


def _regrets(
    figures: Figures, workers: str, place: int, names: Sequence[str]
) -> list[dict[str, list[float]]]:
    """For each objective, by contestant and seed."""
    cells: Mapping[str, Any] = figures["regrets"][workers]
    return [
        {contestant: [row[place] for row in rows] for contestant, rows in cells[name].items()}
        for name in names
        if name in cells
    ]


def _relative(regrets: Sequence[Mapping[str, Sequence[float]]], name: str) -> list[float]:
    return [median(of[name]) / median(of[TPE]) for of in regrets]


def _tables(record: Record) -> list[Table]:
    found, figures = [], record.figures
    for workers, budgets in figures["budgets"].items():
        for place, budget in enumerate(budgets):
            for half, names in _HALVES.items():
                regrets = _regrets(figures, workers, place, list(names))
                if regrets:
                    found.append(_table(record, workers, budget, half, regrets))
        found.append(_by_objective(record, workers, len(budgets) - 1))
    absent = [f"Missing: {_title(name)}: {why}." for name, why in figures["absent"].items()]
    return [replace(found[0], notes=absent), *found[1:]]


def _title(name: str) -> str:
    return CONTESTANTS[name].title if name in CONTESTANTS else name


def _table(
    record: Record, workers: str, budget: int, half: str, regrets: list[dict[str, list[float]]]
) -> Table:
    ranks = mean_ranks(regrets)
    rows = []
    for name in regrets[0]:
        relative = _relative(regrets, name)
        cost = mean(record.figures["milliseconds"][workers][name])
        rows.append(
            (
                CONTESTANTS[name].title,
                f"{geometric_mean(relative):.2f}",
                f"{max(relative):.2f}",
                f"{ranks[name]:.2f}",
                "" if name == PARALLEL else _comparison(regrets, name),
                f"{cost:.1f}",
            )
        )
    columns = ("", "regret, relative", "worst objective", "mean rank", "parallel_tpe is worse, better", "ms")
    title = f"quality: {workers} at once, {budget} trials, objectives {half} ({len(regrets)})"
    return Table(title, columns, rows)


def _comparison(regrets: list[dict[str, list[float]]], other: str) -> str:
    """Counts of the objectives on which ``parallel_tpe`` is worse than another algorithm, and better."""
    numbered = {str(number): of for number, of in enumerate(regrets)}
    counts = []
    for one, two in ((PARALLEL, other), (other, PARALLEL)):
        found = holm({number: worse(of[one], of[two]) for number, of in numbered.items()})
        counts.append(sum(probability < _LEVEL for probability in found.values()))
    return f"{counts[0]}, {counts[1]}"


def _by_objective(record: Record, workers: str, place: int) -> Table:
    cells: Mapping[str, Any] = record.figures["regrets"][workers]
    names = list(next(iter(cells.values())))
    rows = [
        (objective, *(f"{median(row[place] for row in found[name]):.4f}" for name in names))
        for objective, found in cells.items()
    ]
    budget = record.figures["budgets"][workers][place]
    title = f"quality: median regret, {workers} at once, {budget} trials"
    return Table(title, ("", *(CONTESTANTS[name].title for name in names)), rows)


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    found = []
    for workers, budgets in figures["budgets"].items():
        for place, budget in enumerate(budgets):
            most = GOALS.get((int(workers), budget))
            for half, names in _HALVES.items():
                regrets = _regrets(figures, workers, place, list(names))
                if most is not None and regrets and {PARALLEL, TPE} <= set(regrets[0]):
                    relative = _relative(regrets, PARALLEL)
                    where = f"{workers} at once, {budget} trials, {half}"
                    found.append(Limit(f"regret, {where}", most, geometric_mean(relative)))
                    found.append(Limit(f"worst objective, {where}", MOST, max(relative)))
    for trials, most in MILLISECONDS.items():
        cost = median(figures["costs"][str(trials)])
        found.append(Limit(f"a suggestion, 10 dimensions, {trials:,} trials", most, cost, unit="ms"))
    return found


def _short(figure: float) -> float:
    return float(f"{figure:.4g}")


def _costs() -> dict[str, list[float]]:
    """Milliseconds of the processor's time for suggestions of ``parallel_tpe``, by the number of trials."""
    found = {}
    for trials in MILLISECONDS:
        history = History(10)
        algo = algorithm_for(parallel_tpe, history.domain)
        spent = []
        for number in range(_SUGGESTIONS + 1):
            history.grow(trials + number)
            began = time.process_time()
            algo([-1], history.domain, history.trials, number)
            spent.append(1000 * (time.process_time() - began))
        found[str(trials)] = spent[1:]  # the first one reads the whole history
    return found


@question(
    Form(
        "How good are searches in which many trials run at once?",
        _tables,
        _limits,
        tried=("docs/decisions has what was tried for parallel_tpe, with the figures of each variant",),
    )
)
@click.option(
    "--workers",
    default=tuple(map(str, BUDGETS)),
    type=click.Choice([*map(str, BUDGETS)]),
    multiple=True,
    show_default=True,
    help="How many trials run at once; may be repeated.",
)
@click.option(
    "--seeds", default=20, show_default=True, type=click.IntRange(min=2), help="Searches of each kind."
)
@click.option(
    "--half",
    type=click.Choice(["deciding", "kept", "both"]),
    default="both",
    show_default=True,
    help="Which objectives.",
)
@click.option(
    "--of",
    "names",
    default=_DEFAULT,
    type=click.Choice(list(CONTESTANTS)),
    multiple=True,
    show_default=True,
    help="Algorithms; may be repeated.",
)
@click.option(
    "--optuna-seeds",
    default=10,
    show_default=True,
    type=click.IntRange(min=2),
    help="Searches of each kind by Optuna's samplers, at most.",
)
@click.option(
    "--long-seeds",
    default=20,
    show_default=True,
    type=click.IntRange(min=2),
    help=f"Searches of each kind that have more than {_LONG} trials, at most.",
)
@click.option("--patient", is_flag=True, help="Have Optuna run the long searches too, which takes hours.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of searches of the other algorithms; those that are there are not run again.",
)
def quality(
    workers: Sequence[str],
    seeds: int,
    half: str,
    names: Sequence[str],
    optuna_seeds: int,
    long_seeds: int,
    patient: bool,
    keep: Path | None,
) -> Figures:
    """Regret of searches in which many trials run at once, relative to hyperopt's TPE."""
    objectives = {"deciding": DECIDING, "kept": KEPT, "both": ALL}[half]
    absent = {name: why for name in names if (why := CONTESTANTS[name].missing()) is not None}
    present = [name for name in CONTESTANTS if name in names and name not in absent]
    readable = []
    for name in objectives:
        try:
            problem(name)
            readable.append(name)
        except ImportError as error:
            absent[name] = str(error)
    kept = Kept(keep)
    regrets: dict[str, Any] = {}
    milliseconds: dict[str, Any] = {}
    for at_once in map(str, workers):
        regrets[at_once], milliseconds[at_once] = {}, {name: [] for name in present}
        for objective in readable:
            of = regrets[at_once][objective] = {}
            budgets = BUDGETS[int(at_once)]
            for name in present:
                if CONTESTANTS[name].is_slow and budgets[-1] > _LONG and not patient:
                    continue
                most = min(
                    seeds,
                    optuna_seeds if CONTESTANTS[name].is_slow else seeds,
                    long_seeds if budgets[-1] > _LONG else seeds,
                )
                found = searches(name, CONTESTANTS[name], objective, int(at_once), budgets, range(most), kept)
                of[name] = [[_short(regret) for regret in row] for row in found.regrets]
                milliseconds[at_once][name] += map(_short, found.milliseconds)
    return {
        "budgets": {at_once: BUDGETS[int(at_once)] for at_once in map(str, workers)},
        "regrets": regrets,
        "milliseconds": milliseconds,
        "costs": _costs(),
        "absent": absent,
    }
