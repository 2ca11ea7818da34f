"""The command: ``python -m benchmarks QUESTION``."""

from __future__ import annotations

import click

from benchmarks.compare import compare
from benchmarks.everything import everything
from benchmarks.questions import QUESTIONS
from benchmarks.report import report


@click.group()
def main() -> None:
    """Measure sparkopt, and what could be used instead."""


for _command in (*QUESTIONS.values(), everything, report, compare):
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
