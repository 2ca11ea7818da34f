"""The command: ``python -m benchmarks QUESTION``."""

from __future__ import annotations

import click

from benchmarks.control import control
from benchmarks.faults import faults
from benchmarks.journal import journal
from benchmarks.overhead import overhead
from benchmarks.suggest import suggest
from benchmarks.tracking import tracking


@click.group()
def main() -> None:
    """Measure sparkopt, and what could be used instead."""


main.add_command(control)
main.add_command(faults)
main.add_command(journal)
main.add_command(overhead)
main.add_command(suggest)
main.add_command(tracking)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
