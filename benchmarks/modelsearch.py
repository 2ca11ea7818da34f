"""What is left of all this in a real search? The demo's, over four kinds of scikit-learn models, with TPE.

The same space, objective, seed and number of trials for all; wall clock from the call to its return, and the
best loss. With several trials at once TPE does not know the same results at the same moment each time, so
that losses differ from run to run, whoever runs the search. Peers that do not take hyperopt's spaces are not
asked: a space written anew for them would be another search.
"""

from __future__ import annotations

import click
from hyperopt import tpe

from benchmarks.peers import SPARKOPT, Peer, Search, local_session, title_of, turns
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, question
from benchmarks.record import Record
from benchmarks.statistics import Spread, ratios
from benchmarks.tables import Table, ratio_cell, spread_cells
from sparkopt.cli import model_search as demo


def _tables(record: Record) -> list[Table]:
    settings, seconds, losses = record.settings, record.figures["seconds"], record.figures["best"]
    compared = ratios(seconds, SPARKOPT.name)
    rows = []
    for name, values in seconds.items():
        best = Spread.of(losses[name])
        rows.append(
            (
                title_of(name),
                *spread_cells(Spread.of(values), 1),
                "1" if name == SPARKOPT.name else ratio_cell(compared[name]),
                f"{best.median:.4f} ({best.low:.4f} to {best.high:.4f})",
            )
        )
    title = (
        f"modelsearch: {settings['trials']} trials of the demo's search, TPE, parallelism"
        f" {settings['parallelism']}, {settings['seeds']} seeds"
    )
    columns = ("", "seconds, median", "min", "max", "times sparkopt (min to max)", "best error (min to max)")
    return [Table(title, columns, rows)]


def _picture(record: Record) -> Picture:
    values = {title_of(name): Spread.of(spent) for name, spent in record.figures["seconds"].items()}
    return Bars("the demo's search, end to end", "seconds", values)


@question(
    Form(
        "How long does the demo's search take, end to end, and what does it find?",
        _tables,
        picture=_picture,
        suits=lambda peer: peer.hyperopt,
    )
)
@click.option("--trials", default=24, show_default=True, type=click.IntRange(min=1))
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--seeds", default=2, show_default=True, type=click.IntRange(min=1), help="A round for each.")
def modelsearch(trials: int, parallelism: int, seeds: int, against: list[Peer]) -> Figures:
    """Seconds for the demo's search, and the best loss."""
    contestants = [SPARKOPT, *against]
    seconds: dict[str, list[float]] = {peer.name: [] for peer in contestants}
    best: dict[str, list[float]] = {peer.name: [] for peer in contestants}
    session = local_session(parallelism)

    def search(number: int, seed: int) -> Search:
        return Search(number, parallelism, 1, session, seed, demo.objective, demo.space(), tpe.suggest)

    try:
        for seed, peer in turns(contestants, seeds, search(parallelism, 0)):
            ran = peer.run(search(trials, seed))
            seconds[peer.name].append(ran.seconds)
            best[peer.name].append(ran.best)
    finally:
        session.stop()
    return {"seconds": seconds, "best": best}
