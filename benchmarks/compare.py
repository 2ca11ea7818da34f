"""Comparison of a trial that does nothing with the same trial in another checkout, such as an earlier commit.

Both are up at the same time, each with a pool of its own, and take turns search by search: so a machine whose
speed drifts, or that others use, slows both halves of a pair. One launch of the same code is up to a tenth
faster than the next, for as long as it lives, so both are launched several times; the interval is that of the
median over launches.

    git worktree add /tmp/before HEAD~1
    python -m benchmarks compare /tmp/before
    python -m benchmarks compare --journal /tmp/before
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import click
from rich.console import Console

from benchmarks.statistics import Spread, median_interval, ratio
from benchmarks.tables import Table

_HERE = Path(__file__).resolve().parents[1]
_SHARE = 0.01
"""Rows whose median is below this share of the whole are left out."""


class _Contender:
    def __init__(self, checkout: Path, trials: int, journal: bool) -> None:
        self._journals = tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-")
        python = checkout / ".venv" / "bin" / "python"
        command = [
            str(python) if python.exists() else sys.executable,
            str(_HERE / "benchmarks" / "contender.py"),
            str(checkout),
            str(trials),
            *([self._journals.name] if journal else []),
        ]
        # Spark's workers import what is in the working directory first.
        self._process = subprocess.Popen(
            command,
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()  # ready

    def search(self) -> dict[str, float]:
        """Milliseconds a trial, by what has spent them."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._answer())
        return found

    def close(self) -> None:
        """End its pool and its session."""
        self._process.communicate()
        self._journals.cleanup()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException(f"the search of a contender failed; by hand: {self._process.args!r}")
        return line.strip()


@click.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option(
    "--launches", default=8, show_default=True, type=click.IntRange(min=2), help="Of both checkouts."
)
@click.option(
    "--pairs", default=4, show_default=True, type=click.IntRange(min=1), help="Of searches, a launch."
)
@click.option("--trials", default=1000, show_default=True, type=click.IntRange(min=1), help="Of each search.")
@click.option("--journal", is_flag=True, help="Each search has a journal in a file of its own.")
def compare(other: Path, launches: int, pairs: int, trials: int, journal: bool) -> None:
    """Compare the cost of a trial with that of the checkout in OTHER, which comes first in each ratio."""
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for launch in range(launches):
        for each, figures in zip(found, _launch(other, pairs, trials, launch, journal), strict=True):
            each.append({name: median(figure[name] for figure in figures) for name in figures[0]})
    table(*found).print(Console())


def _launch(
    other: Path, pairs: int, trials: int, number: int, journal: bool
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """The figures of both checkouts in one launch, pair by pair."""
    contenders = (_Contender(other, trials, journal), _Contender(_HERE, trials, journal))
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for pair in range(pairs):
        for side in (0, 1) if (pair + number) % 2 else (1, 0):
            found[side].append(contenders[side].search())
    for contender in contenders:
        contender.close()
    return found


def table(before: list[dict[str, float]], after: list[dict[str, float]]) -> Table:
    """The comparison, from the figures of both, launch by launch."""
    columns = {name: ([each[name] for each in before], [each[name] for each in after]) for name in before[0]}
    clock = Spread.of(columns["clock"][0]).median
    together = (
        [sum(each.values()) - each["clock"] for each in before],
        [sum(each.values()) - each["clock"] for each in after],
    )
    rows = []
    for name, (old, new) in {"clock": columns.pop("clock"), "processors": together, **columns}.items():
        if Spread.of(old).median < _SHARE * clock or min(old) <= 0:
            continue  # too little to be measured
        low, high = median_interval([one / other for one, other in zip(new, old, strict=True)])
        rows.append(
            (
                name,
                f"{Spread.of(old).median:.3f}",
                f"{Spread.of(new).median:.3f}",
                f"{ratio(new, old).median:.3f}",
                f"{low:.3f} to {high:.3f}",
            )
        )
    return Table(
        title=f"milliseconds a trial that does nothing, {len(before)} launches",
        columns=("of", "before", "after", "ratio", "95 % of its median"),
        rows=rows,
    )
