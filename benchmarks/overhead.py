"""What does a trial cost beside its objective? A no-op objective, random search, one Spark session for all.

Sparkopt and its peers take turns, in rounds whose order is drawn anew each time, so that a machine whose
speed drifts does not favour any. What is reported is each one's median over the rounds, per trial, with the
start and the end of workers included, but for a Spark session or a Ray, which are up before. Everybody has
had a small search before the first round.
"""

from __future__ import annotations

from typing import Final

import click

from benchmarks.peers import PEERS, SPARKOPT, Peer, Search, local_session, title_of, turns
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, ratios
from benchmarks.tables import Table, ratio_cell, spread_cells

LIMIT: Final = 0.6
"""Milliseconds a trial."""

TRIALS: Final = 2000
"""With so many of them at least: start and end of the workers are in it."""

TIMES_LESS: Final = 1500
"""So many times less than SparkTrials."""


def _tables(record: Record) -> list[Table]:
    figures, trials = record.figures["ms_per_trial"], record.figures["trials"]
    compared = ratios(figures, SPARKOPT.name)
    rows = []
    for name, values in figures.items():
        size = f"{len(values)} x {trials[name]:,}"
        ratio = "1" if name == SPARKOPT.name else ratio_cell(compared[name])
        rows.append((title_of(name), size, *spread_cells(Spread.of(values)), ratio))
    columns = ("", "trials", "ms a trial, median", "min", "max", "times sparkopt (min to max)")
    parallelism = record.settings["parallelism"]
    return [Table(f"overhead: no-op objective, random search, parallelism {parallelism}", columns, rows)]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    spent = figures["ms_per_trial"]
    enough = settings["trials"] >= TRIALS
    own = Spread.of(spent[SPARKOPT.name]).median if enough else None
    compared = ratios(spent, SPARKOPT.name)
    limits = [Limit(f"overhead of a trial, with {TRIALS:,} of them", LIMIT, own, unit="ms")]
    for name in ("sparktrials", "sparktrials-queued"):
        times = compared[name].median if enough and name in compared else None
        what = f"overhead of {PEERS[name].title}, times ours"
        limits.append(Limit(what, TIMES_LESS, times, at_least=True, unit="x"))
    return limits


def _picture(record: Record) -> Picture:
    figures = record.figures["ms_per_trial"]
    values = {title_of(name): Spread.of(spent) for name, spent in figures.items()}
    return Bars("overhead of a trial", "milliseconds a trial (logarithmic)", values, logarithmic=True)


@question(Form("What does a trial cost beside its objective?", _tables, _limits, _picture, lambda peer: True))
@click.option(
    "--trials",
    default=TRIALS,
    show_default=True,
    type=click.IntRange(min=1),
    help="For sparkopt, and for peers whose trials take milliseconds.",
)
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--max-queue-len", default=1, show_default=True, type=click.IntRange(min=1), help="Sparkopt's.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--baseline-trials", default=10, show_default=True, type=click.IntRange(min=1), help="For other peers."
)
def overhead(
    trials: int, parallelism: int, max_queue_len: int, rounds: int, baseline_trials: int, against: list[Peer]
) -> Figures:
    """Milliseconds a trial, with an objective that does nothing."""
    contestants = [SPARKOPT, *against]
    sizes = {peer.name: trials if peer.quick else baseline_trials for peer in contestants}
    spent: dict[str, list[float]] = {peer.name: [] for peer in contestants}
    session = local_session(parallelism)
    try:
        for each, peer in turns(contestants, rounds, Search(parallelism, parallelism, 1, session, seed=0)):
            search = Search(sizes[peer.name], parallelism, max_queue_len, session, seed=each)
            spent[peer.name].append(1000 * peer.run(search).seconds / search.trials)
    finally:
        session.stop()
    return {"ms_per_trial": spent, "trials": sizes}
