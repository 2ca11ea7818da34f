"""What does an objective cost that carries data? 100 MB with it, twenty trials, two at once.

The whole of the search is timed. Sparkopt ships an objective once to each worker, SparkTrials with each
trial, MlflowSparkStudy once to each task; Ray Tune is handed it in the way that its manual wants
(``with_parameters``).
"""

from __future__ import annotations

from typing import Final

import click

from benchmarks.objectives import Carrying
from benchmarks.peers import PEERS, SPARKOPT, Peer, Search, local_session, title_of, turns
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, ratios
from benchmarks.tables import Table, ratio_cell, spread_cells

TIMES_FASTER: Final = 20
"""So many times as fast as SparkTrials."""

_MB: Final = 10**6


def _tables(record: Record) -> list[Table]:
    figures, settings = record.figures["seconds"], record.settings
    compared = ratios(figures, SPARKOPT.name)
    rows = [
        (
            title_of(name),
            str(len(values)),
            *spread_cells(Spread.of(values), 2),
            "1" if name == SPARKOPT.name else ratio_cell(compared[name]),
        )
        for name, values in figures.items()
    ]
    title = (
        f"payload: {settings['trials']} trials of an objective that carries {settings['megabytes']} MB,"
        f" parallelism {settings['parallelism']}"
    )
    columns = ("", "rounds", "seconds, median", "min", "max", "times sparkopt (min to max)")
    return [Table(title, columns, rows)]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    compared = ratios(figures["seconds"], SPARKOPT.name)
    limits = []
    for name in ("sparktrials", "sparktrials-queued"):
        times = compared[name].median if name in compared else None
        what = f"{settings['trials']} trials by {PEERS[name].title}, times ours"
        limits.append(Limit(what, TIMES_FASTER, times, at_least=True, unit="x"))
    return limits


def _picture(record: Record) -> Picture:
    values = {title_of(name): Spread.of(spent) for name, spent in record.figures["seconds"].items()}
    return Bars("an objective that carries data", "seconds in all (logarithmic)", values, logarithmic=True)


@question(
    Form(
        "What does an objective cost that carries data?",
        _tables,
        _limits,
        _picture,
        lambda peer: peer.parallel,
    )
)
@click.option("--trials", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--megabytes", default=100, show_default=True, type=click.IntRange(min=1))
def payload(trials: int, parallelism: int, rounds: int, megabytes: int, against: list[Peer]) -> Figures:
    """Seconds for a search whose objective carries data."""
    contestants = [SPARKOPT, *against]
    spent: dict[str, list[float]] = {peer.name: [] for peer in contestants}
    objective = Carrying(megabytes * _MB)
    session = local_session(parallelism)
    try:
        for each, peer in turns(contestants, rounds, Search(parallelism, parallelism, 1, session, seed=0)):
            search = Search(trials, parallelism, 1, session, each, objective)
            spent[peer.name].append(peer.run(search).seconds)
    finally:
        session.stop()
    return {"seconds": spent}
