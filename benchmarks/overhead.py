"""What does a trial cost beside its objective? A no-op objective, random search, one Spark session for all.

Sparkopt and its peers take turns, so that a machine whose speed drifts does not favour any; what is
reported is each one's median over the rounds, per trial, with the pool's start and end included.
"""

from __future__ import annotations

import logging
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from benchmarks.peers import PEERS, Search, local_session, run_sparkopt
from benchmarks.record import Record


@click.command()
@click.option("--trials", default=2000, show_default=True, type=click.IntRange(min=1), help="For sparkopt.")
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--max-queue-len", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Of sparkopt.")
@click.option("--against", type=click.Choice(sorted(PEERS)), multiple=True, help="A peer; may be repeated.")
@click.option(
    "--baseline-trials", default=20, show_default=True, type=click.IntRange(min=1), help="For each peer."
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the record here as well.")
def overhead(
    trials: int,
    parallelism: int,
    max_queue_len: int,
    rounds: int,
    against: tuple[str, ...],
    baseline_trials: int,
    path: Path | None,
) -> None:
    """Milliseconds a trial, with an objective that does nothing."""
    logging.getLogger("hyperopt").setLevel(logging.ERROR)
    logging.getLogger("hyperopt-spark").setLevel(logging.ERROR)
    session = local_session(parallelism)
    try:
        run_sparkopt(Search(parallelism, parallelism, 1, session, seed=0))  # the session's own first time
        ours: list[float] = []
        theirs: dict[str, list[float]] = {name: [] for name in against}
        for number in range(rounds):
            search = Search(trials, parallelism, max_queue_len, session, seed=number)
            ours.append(1000 * run_sparkopt(search) / trials)
            if number == 0:  # a peer's trial takes a second and more: once is enough
                for name in against:
                    fewer = Search(baseline_trials, parallelism, max_queue_len, session, seed=number)
                    theirs[name].append(1000 * PEERS[name](fewer) / baseline_trials)
    finally:
        session.stop()
    figures = {"sparkopt": ours, **theirs}
    _print(figures, {"sparkopt": trials, **dict.fromkeys(against, baseline_trials)})
    if path is not None:
        settings = {
            "trials": trials,
            "parallelism": parallelism,
            "max_queue_len": max_queue_len,
            "baseline_trials": baseline_trials,
        }
        Record("overhead", settings, {"ms_per_trial": figures, "ratio": _ratios(figures)}).write(path)


def _ratios(figures: dict[str, list[float]]) -> dict[str, float]:
    own = median(figures["sparkopt"])
    return {name: median(values) / own for name, values in figures.items()}


def _print(figures: dict[str, list[float]], trials: dict[str, int]) -> None:
    table = Table(title="overhead of a trial: no-op objective, random search")
    for column in ("", "trials", "ms a trial, median", "min", "max", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for name, ratio in _ratios(figures).items():
        values = figures[name]
        low, high = min(values), max(values)
        table.add_row(
            name,
            f"{len(values)} x {trials[name]}",
            f"{median(values):,.3f}",
            f"{low:,.3f}",
            f"{high:,.3f}",
            f"{ratio:,.0f}",
        )
    Console().print(table)
