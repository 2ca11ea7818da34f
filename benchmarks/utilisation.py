"""What share of the workers' time is spent in objectives? Trials of 0.2 to 0.8 seconds, eight at once.

Each trial notes when it began and when it ended. The workers' time is counted from the first beginning to the
last end, times the parallelism: how long the workers take to come up is a question of its own (startup.py),
but the end, where fewer and fewer trials are left to run, is in it. The other share is that of the whole
call, from its beginning to its return.
"""

from __future__ import annotations

import time
from typing import Final

import click

from benchmarks.notes import notebook
from benchmarks.objectives import Noting
from benchmarks.peers import SPARKOPT, Peer, Search, local_session, title_of, turns
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, covered
from benchmarks.tables import Table

LIMIT: Final = 0.97
"""The share of the workers' time that has to be spent in objectives, at least."""


def shares(
    spans: list[tuple[float, float]], call: tuple[float, float], parallelism: int
) -> tuple[float, float]:
    """The shares of time spent in objectives.

    Args:
        spans: when each trial began and ended.
        call: when the search was called, and when it returned.
        parallelism: how many trials could have run at once.

    Returns:
        Of the time from the first beginning to the last end, and of the whole call.
    """
    begin, end = min(first for first, _ in spans), max(last for _, last in spans)
    busy = covered(spans, begin, end)
    return busy / ((end - begin) * parallelism), busy / ((call[1] - call[0]) * parallelism)


def _tables(record: Record) -> list[Table]:
    settings = record.settings
    rows = []
    for name, figures in record.figures["shares"].items():
        working, whole = Spread.of(figures["working"]), Spread.of(figures["whole"])
        seconds = Spread.of(figures["seconds"])
        size = f"{len(figures['working'])} x {record.figures['trials'][name]:,}"
        spread = f"{working.median:.3f} ({working.low:.3f} to {working.high:.3f})"
        rows.append((title_of(name), size, spread, f"{whole.median:.3f}", f"{seconds.median:.1f}"))
    title = (
        f"utilisation: objectives of {settings['least']:g} to {settings['most']:g} s, parallelism"
        f" {settings['parallelism']}"
    )
    columns = ("", "trials", "share of workers' time", "share of the whole call", "seconds in all")
    return [Table(title, columns, rows)]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    own = Spread.of(figures["shares"][SPARKOPT.name]["working"]).median
    return [Limit("share of the workers' time spent in objectives", LIMIT, own, at_least=True)]


def _picture(record: Record) -> Picture:
    shares = record.figures["shares"]
    values = {title_of(name): Spread.of(figures["working"]) for name, figures in shares.items()}
    return Bars("utilisation", "share of the workers' time spent in objectives", values)


@question(
    Form(
        "What share of the workers' time is spent in objectives?",
        _tables,
        _limits,
        _picture,
        lambda peer: peer.parallel,
    )
)
@click.option(
    "--trials",
    default=320,
    show_default=True,
    type=click.IntRange(min=1),
    help="For sparkopt, and for peers whose trials take milliseconds beside their objectives.",
)
@click.option("--parallelism", default=8, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--baseline-trials", default=24, show_default=True, type=click.IntRange(min=1), help="For other peers."
)
@click.option("--least", default=0.2, show_default=True, help="Seconds that an objective takes at least.")
@click.option("--most", default=0.8, show_default=True, help="Seconds that it takes at most.")
def utilisation(
    trials: int,
    parallelism: int,
    rounds: int,
    baseline_trials: int,
    least: float,
    most: float,
    against: list[Peer],
) -> Figures:
    """The share of the workers' time that is spent in objectives."""
    contestants = [SPARKOPT, *against]
    sizes = {peer.name: trials if peer.quick else baseline_trials for peer in contestants}
    figures: dict[str, dict[str, list[float]]] = {
        peer.name: {"working": [], "whole": [], "seconds": []} for peer in contestants
    }
    session = local_session(parallelism)
    try:
        for each, peer in turns(contestants, rounds, Search(parallelism, parallelism, 1, session, seed=0)):
            with notebook() as notes:
                objective = Noting(notes.place, least, most)
                search = Search(sizes[peer.name], parallelism, 1, session, each, objective)
                began = time.time()
                peer.run(search)
                call = (began, time.time())
                working, whole = shares(notes.spans(), call, parallelism)
            found = {"working": working, "whole": whole, "seconds": call[1] - call[0]}
            for what, value in found.items():
                figures[peer.name][what].append(value)
    finally:
        session.stop()
    return {"shares": figures, "trials": sizes}
