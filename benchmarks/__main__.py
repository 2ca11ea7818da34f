"""The command: ``python -m benchmarks QUESTION``."""

from __future__ import annotations

import click

from benchmarks.compare import compare
from benchmarks.everything import everything
from benchmarks.questions import QUESTIONS
from benchmarks.report import report


class _Questions(click.Group):
    """Commands whose names may be written as those of the functions, with underscores."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        return super().get_command(ctx, cmd_name.replace("_", "-"))


@click.group(cls=_Questions)
def main() -> None:
    """Measure sparkopt, and what could be used instead."""


for _command in (*QUESTIONS.values(), everything, report, compare):
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
