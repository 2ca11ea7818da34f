"""What all questions have in common: their options, and what becomes of what they measured.

    measure(settings) ──▶ figures ──▶ Record ──▶ tables and limits on the terminal
                                         ├─────▶ a file (--json)
                                         ├─────▶ a picture (--plot)
                                         └─────▶ exit status: 1 if a limit is not met

Tables, limits and pictures are made from the record's settings and figures alone, so that they can be made
again from a file (report.py).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.peers import PEERS, Peer
from benchmarks.plots import Picture, draw
from benchmarks.record import Limit, Record
from benchmarks.tables import Table, wide_console

_ALL = "all"

Settings = dict[str, Any]
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How a question's figures are shown.

    Attributes:
        asks: the question, in words.
        tables: the figures, for people.
        limits: those that have to be met.
        picture: of them, where one helps.
        suits: which peers can be asked; None if there is nothing to compare with.
        tried: what was done and measured to meet the limits, and is to be known where one is missed.
    """

    asks: str
    tables: Callable[[Record], list[Table]]
    limits: Callable[[Settings, Figures], list[Limit]] = lambda settings, figures: []
    picture: Callable[[Record], Picture] | None = None
    suits: Callable[[Peer], bool] | None = None
    tried: Sequence[str] = ()


class Question(click.Command):
    """A question's command.

    Attributes:
        form: how its figures are shown.
    """

    form: Form

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let ``--against`` take several names: there are no arguments beside options."""
        expanded: list[str] = []
        peers = False
        for arg in args:
            if peers and not arg.startswith("-") and expanded[-1] != "--against":
                expanded.append("--against")
            peers = arg == "--against" or (peers and not arg.startswith("-"))
            expanded.append(arg)
        return super().parse_args(ctx, expanded)

    def invoke(self, ctx: click.Context) -> None:
        """Measure, and show what was measured."""
        path: Path | None = ctx.params.pop("path")
        pictures: Path | None = ctx.params.pop("pictures")
        # Paths of this machine are in no record.
        settings = {name: value for name, value in ctx.params.items() if not isinstance(value, Path)}
        missing: dict[str, str] = {}
        if self.form.suits is not None:
            asked = self._asked(ctx.params["against"])
            missing = {name: why for name in asked if (why := PEERS[name].missing()) is not None}
            present = [PEERS[name] for name in asked if name not in missing]
            settings["against"] = [peer.name for peer in present]
            ctx.params["against"] = present
        for name in ("hyperopt", "hyperopt-spark", "alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.ERROR)
        load, began = round(os.getloadavg()[0], 2), time.perf_counter()
        figures = super().invoke(ctx)
        seconds = round(time.perf_counter() - began, 1)
        assert self.name is not None
        limits = self.form.limits(settings, figures)
        record = Record(self.name, settings, figures, missing, limits, seconds, load)
        show(record, self.form)
        if path is not None:
            record.write(path)
        if pictures is not None and self.form.picture is not None:
            draw(self.form.picture(record), pictures / f"{self.name}.svg")
        if any(limit.met is False for limit in record.limits):
            ctx.exit(1)

    def _asked(self, names: Sequence[str]) -> list[str]:
        """The peers' names, each once, in the order of the table of peers."""
        suits = self.form.suits or (lambda peer: False)
        for name in names:
            if name != _ALL and not suits(PEERS[name]):
                able = ", ".join(each.name for each in PEERS.values() if suits(each))
                raise click.BadParameter(
                    f"{name} cannot answer this question; {able} can", param_hint="--against"
                )
        return [name for name, peer in PEERS.items() if name in names or (_ALL in names and suits(peer))]


def show(record: Record, form: Form) -> None:
    """Print a record: its tables, who was missing, and its limits."""
    console = wide_console()
    for table in form.tables(record):
        table.print(console)
    for name, why in record.missing.items():
        console.print(f"[yellow]missing[/yellow]: {PEERS[name].title}: {why}", highlight=False)
    for limit in record.limits:
        colour = {True: "green", False: "red", None: "yellow"}[limit.met]
        console.print(f"[{colour}]limit[/{colour}]: {limit.text}", highlight=False)


def question(form: Form) -> Callable[[Callable[..., Figures]], Question]:
    """Make a function that measures a question: its name is the command's, its docstring the help.

    Args:
        form: how its figures are shown.
    """

    def make(measure: Callable[..., Figures]) -> Question:
        command: Question = click.command(cls=Question)(measure)
        command.form = form
        if form.suits is not None:
            able = ", ".join(peer.name for peer in PEERS.values() if form.suits(peer))
            command.params.append(
                click.Option(
                    ["--against"],
                    type=click.Choice([*PEERS, _ALL]),
                    multiple=True,
                    metavar="PEER ...",
                    help=f"Whom to compare with: {able}; or {_ALL}.",
                )
            )
        file = click.Path(dir_okay=False, path_type=Path)
        directory = click.Path(file_okay=False, exists=True, path_type=Path)
        command.params += [
            click.Option(["--json", "path"], type=file, help="Write the record here as well."),
            click.Option(["--plot", "pictures"], type=directory, help="Draw a picture into this directory."),
        ]
        return command

    return make
