"""What does the k-th trial cost, as the history grows? A no-op search of ten thousand trials.

Each trial notes when it ended. What a trial costs is the time between the ends of two in a row, on average
over a stretch of the search; the first stretch leaves the start of the workers out. Peers whose trials take
half a second and more are not asked: ten thousand of them would be hours.
"""

from __future__ import annotations

from statistics import median
from typing import Final

import click

from benchmarks.notes import notebook
from benchmarks.objectives import Noting
from benchmarks.peers import SPARKOPT, Peer, Search, local_session, title_of, turns
from benchmarks.plots import Lines, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, ratio
from benchmarks.tables import Table, ratio_cell

LIMIT: Final = 1.2
"""So many times the first tenth of the trials, the last tenth may cost."""

TRIALS: Final = 10_000
"""With so many of them at least."""

_STRETCHES: Final = 50

_SHOWN: Final = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Where in the search the table looks at the cost of a trial, as shares of all trials."""


def stretches(ends: list[float], number: int) -> list[float]:
    """Milliseconds a trial in each stretch of a search.

    Args:
        ends: when each trial ended, in seconds, in order.
        number: of stretches, each of as many trials.

    Raises:
        ValueError: if there are fewer trials than two for each stretch.
    """
    if len(ends) < 2 * number:
        raise ValueError(f"{number} stretches need at least {2 * number} trials, got {len(ends)}")
    size = len(ends) // number
    # A stretch begins when the one before it has ended; the first, with its own first trial.
    marks = [ends[0], *(ends[size * place - 1] for place in range(1, number + 1))]
    sizes = [size - 1, *[size] * (number - 1)]
    return [1000 * (marks[place + 1] - marks[place]) / sizes[place] for place in range(number)]


def _tenths(values: list[float]) -> tuple[float, float]:
    """Milliseconds a trial in the first tenth and in the last."""
    tenth = len(values) // 10
    return sum(values[:tenth]) / tenth, sum(values[-tenth:]) / tenth


def _last_to_first(figures: Figures, name: str) -> Spread:
    first, last = zip(*(_tenths(values) for values in figures["ms_per_trial"][name]), strict=True)
    return ratio(last, first)


def _middle(figures: Figures, name: str) -> list[float]:
    """Each stretch's median over the rounds."""
    return [median(values) for values in zip(*figures["ms_per_trial"][name], strict=True)]


def _tables(record: Record) -> list[Table]:
    figures, trials = record.figures, record.settings["trials"]
    columns = ["", *(f"trial {round(share * trials):,}" for share in _SHOWN), "last tenth / first tenth"]
    rows = []
    for name in figures["ms_per_trial"]:
        values = _middle(figures, name)
        shown = [values[max(0, round(share * len(values)) - 1)] for share in _SHOWN]
        cells = (f"{value:.3f}" for value in shown)
        rows.append((title_of(name), *cells, ratio_cell(_last_to_first(figures, name))))
    return [
        Table(
            f"growth: milliseconds that the k-th of {trials:,} no-op trials costs, random search",
            columns,
            rows,
        )
    ]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    enough = settings["trials"] >= TRIALS
    times = _last_to_first(figures, SPARKOPT.name).median if enough else None
    what = f"the last {TRIALS // 10:,} of {TRIALS:,} trials, times the first {TRIALS // 10:,}"
    return [Limit(what, LIMIT, times, unit="x")]


def _picture(record: Record) -> Picture:
    figures, trials = record.figures, record.settings["trials"]
    lines = {}
    for name in figures["ms_per_trial"]:
        values = _middle(figures, name)
        lines[title_of(name)] = [
            ((place + 0.5) * trials / len(values), value) for place, value in enumerate(values)
        ]
    return Lines("what the k-th trial costs", "k", "milliseconds", lines)


@question(
    Form(
        "What does the k-th trial cost, as the history grows?",
        _tables,
        _limits,
        _picture,
        lambda peer: peer.quick,
    )
)
@click.option("--trials", default=TRIALS, show_default=True, type=click.IntRange(min=2 * _STRETCHES))
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(min=1))
def growth(trials: int, parallelism: int, rounds: int, against: list[Peer]) -> Figures:
    """Milliseconds that the k-th trial costs, with an objective that does nothing but note that it ran."""
    contestants = [SPARKOPT, *against]
    figures: dict[str, list[list[float]]] = {peer.name: [] for peer in contestants}
    session = local_session(parallelism)
    try:
        for each, peer in turns(contestants, rounds, Search(parallelism, parallelism, 1, session, seed=0)):
            with notebook() as notes:
                peer.run(Search(trials, parallelism, 1, session, each, Noting(notes.place)))
                ends = [ended for _, ended in notes.spans()]
            figures[peer.name].append(stretches(ends, _STRETCHES))
    finally:
        session.stop()
    return {"ms_per_trial": figures}
