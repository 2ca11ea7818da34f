"""How long until the first trial runs? On a cold session, on a warm one, on a pool that is there.

Each measurement has a process of its own (first_trial.py), because a session is cold only once: nothing has
run on it yet, no Python worker has been started. Then come searches on the same session, and for sparkopt
searches on one pool of workers, of which the first is not counted. The peers' processes take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import click

from benchmarks.peers import SPARKOPT, Peer, title_of
from benchmarks.plots import Bars, Picture
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread, in_rounds
from benchmarks.tables import Table, spread_cells

WARM: Final = 1.0
"""Seconds to the first trial on a warm session."""

SECOND: Final = 0.050
"""Seconds to the first trial of a second study on the same pool."""

_KINDS: Final = {"cold": "cold session", "warm": "warm session", "second": "second study on the same pool"}

_SECONDS: Final = 180
"""That a process may take."""


def _measure(peer: Peer, parallelism: int, again: int) -> dict[str, Any]:
    options = ["--parallelism", str(parallelism), "--again", str(again)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.first_trial", peer.name, *options],
        check=False,
        text=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise click.ClickException(f"the measurement of {peer.name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _tables(record: Record) -> list[Table]:
    rows, sections = [], []
    for kind, words in _KINDS.items():
        for name, figures in record.figures["seconds"].items():
            if values := figures[kind]:
                rows.append(
                    (f"{words}: {title_of(name)}", str(len(values)), *spread_cells(Spread.of(values)))
                )
        sections.append(len(rows))
    title = f"startup: from the call until the first trial runs, parallelism {record.settings['parallelism']}"
    return [Table(title, ("", "times", "seconds, median", "min", "max"), rows, sections=sections)]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    own = figures["seconds"][SPARKOPT.name]
    warm, second = (Spread.of(own[kind]).median if own[kind] else None for kind in ("warm", "second"))
    return [
        Limit("first trial on a warm session", WARM, warm, unit="s"),
        Limit(
            "first trial of a second study on the same pool",
            1000 * SECOND,
            None if second is None else 1000 * second,
            unit="ms",
        ),
    ]


def _picture(record: Record) -> Picture:
    values = {}
    for kind, words in (("second", "second study"), ("warm", "warm"), ("cold", "cold")):
        for name, figures in record.figures["seconds"].items():
            if figures[kind]:
                values[f"{title_of(name)}, {words}"] = Spread.of(figures[kind])
    return Bars("from the call until the first trial runs", "seconds (logarithmic)", values, logarithmic=True)


@question(
    Form(
        "How long from the call of fmin until the first trial runs?",
        _tables,
        _limits,
        _picture,
        lambda peer: peer.parallel and peer.name not in ("sparktrials-queued", "ray-actor"),
    )
)
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--again", default=2, show_default=True, type=click.IntRange(min=1), help="Warm searches in each round."
)
def startup(parallelism: int, rounds: int, again: int, against: list[Peer]) -> Figures:
    """Seconds from the call of fmin until the first trial runs."""
    contestants = [SPARKOPT, *against]
    seconds: dict[str, dict[str, list[float]]] = {
        peer.name: {kind: [] for kind in _KINDS} for peer in contestants
    }
    for _, peer in in_rounds(contestants, rounds):
        for kind, values in _measure(peer, parallelism, again).items():
            # One figure for a round, so that each counts as much as any other.
            if values:
                seconds[peer.name][kind].append(Spread.of(values).median if kind != "cold" else values)
    return {"seconds": seconds}
