"""What does a trial cost beside its objective? A no-op objective, random search, one Spark session for all.

Sparkopt and its peers take turns, in rounds whose order is drawn anew each time, so that a machine whose
speed drifts does not favour any. What is reported is each one's median over the rounds, per trial, with the
start and the end of workers included, but for a Spark session or a Ray, which are up before. Everybody has
had a small search before the first round.

Where sparkopt's share goes is measured by one more search at the end, on workers that are up.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import click

from benchmarks.peers import PEERS, SPARKOPT, Peer, Search, local_session, run_sparkopt, title_of, turns
from benchmarks.plots import Bars, Picture
from benchmarks.processors import ROLES, processor_seconds
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, ratios
from benchmarks.tables import Table, ratio_cell, spread_cells
from sparkopt import WorkerPool

LIMIT: Final = 0.6
"""Milliseconds a trial."""

TRIALS: Final = 2000
"""With so many of them at least: start and end of the workers are in it."""

TIMES_LESS: Final = 1500
"""So many times less than SparkTrials."""

_TRIED: Final = (
    "uvloop instead of asyncio's own event loop, for the coordinator and for process A: an eighth less of the"
    " processors' time, a fifth less of the clock's. Kept.",
    "Random search and points of the space without hyperopt's walk through its expressions: a third and a"
    " tenth of its time, with the same draws. Kept.",
    "Launching workers by an RDD instead of a DataFrame: as slow. A schema that Spark need not parse, and"
    " sending workers away without a look for descendants: 10 and 15 ms less for a search. Kept.",
    "Waking the coordinator for a proposal only if a worker is free for it: a fifteenth less of the clock's"
    " time. Not kept: what is seen of a pool from outside would be up to a heartbeat old.",
    "Process A is at its floor: three quarters of its time are system calls, gRPC and the event loop, a tenth"
    " is code of ours.",
    "1,500 times less than a SparkTrials that proposes as many trials in each of its one-second turns as can"
    " run would be 0.4 ms here. The start and the end of workers are a tenth of a millisecond of each of"
    " 2,000 trials, and two cores need three tenths for a trial if neither ever waits for the other.",
)


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
    return [
        Table(f"overhead: no-op objective, random search, parallelism {parallelism}", columns, rows),
        _profile_table(record.figures["profile"]),
    ]


def _profile_table(profile: dict[str, Any]) -> Table:
    shares = profile["processors_ms_per_trial"]
    total = sum(shares.values())
    rows = [(role, f"{shares[role]:.3f}", f"{shares[role] / total:.0%}") for role in ROLES]
    title = f"overhead: where it goes, {profile['trials']:,} trials on workers that are up"
    notes = [
        f"All together {total:.3f} ms of the processors for a trial, which took"
        f" {profile['ms_per_trial']:.3f} ms. A search of {profile['few_trials']} trials, which is the start"
        f" and the end of workers and little else, took {profile['few_ms']:.0f} ms."
    ]
    return Table(title, ("", "ms of the processors a trial", "share"), rows, notes)


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


@question(
    Form(
        "What does a trial cost beside its objective?", _tables, _limits, _picture, lambda peer: True, _TRIED
    )
)
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
        profile = _profile(Search(trials, parallelism, max_queue_len, session, seed=rounds))
    finally:
        session.stop()
    return {"ms_per_trial": spent, "trials": sizes, "profile": profile}


def _profile(search: Search) -> dict[str, Any]:
    """What a trial costs whom, once the workers are up, and what it costs to have them."""
    few = dataclasses.replace(search, trials=search.parallelism)
    few_seconds = run_sparkopt(few).seconds
    with WorkerPool(search.parallelism, spark_session=search.session) as pool:
        run_sparkopt(few, pool=pool)
        before = processor_seconds()
        seconds = run_sparkopt(search, pool=pool).seconds
        after = processor_seconds()
    return {
        "trials": search.trials,
        "ms_per_trial": 1000 * seconds / search.trials,
        "processors_ms_per_trial": {
            role: 1000 * (after[role] - before[role]) / search.trials for role in ROLES
        },
        "few_trials": few.trials,
        "few_ms": 1000 * few_seconds,
    }
