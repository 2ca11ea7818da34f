"""All questions, one after another, each in a process of its own and with every peer that can answer it.

A question that fails leaves no record: an older one is removed before it is asked, so that RESULTS.md does
not show what was measured another day as if it were new.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.questions import QUESTIONS
from benchmarks.report import PLOTS, RECORDS, RESULTS, write_results


@click.command(name="all")
@click.option(
    "--only",
    type=click.Choice(list(QUESTIONS)),
    multiple=True,
    help="A question; all others keep their records.",
)
def everything(only: tuple[str, ...]) -> None:
    """Ask all questions, and write RESULTS.md."""
    for directory in (RECORDS, PLOTS):
        directory.mkdir(exist_ok=True)
    failed, took = [], {}
    for name in only or QUESTIONS:
        path = RECORDS / f"{name}.json"
        path.unlink(missing_ok=True)
        click.echo(f"\n== {name}")
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "benchmarks", name, *_options(name, path)], check=False)
        took[name] = time.monotonic() - began
        if not path.exists():
            failed.append(name)
    records = write_results()
    times = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in took.items())
    click.echo(f"\n== {sum(took.values()) / 60:.1f} minutes: {times}")
    click.echo(f"{RESULTS.name} is written.")
    missed = [
        f"{name}: {limit.text}"
        for name in took
        if name in records
        for limit in records[name].limits
        if limit.met is False
    ]
    for line in (*(f"{name} has failed; see above" for name in failed), *missed):
        click.echo(f"- {line}")
    if failed or missed:
        raise SystemExit(1)


def _options(name: str, path: Path) -> list[str]:
    options = ["--json", str(path)]
    return options if QUESTIONS[name].form.suits is None else [*options, "--against", "all"]
