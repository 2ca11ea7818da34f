"""Output of the commands: JSON, tables, numbers and text from elsewhere."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import sys
from pathlib import Path
from typing import Any, Final, TextIO

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_WIDTH: Final = 1000
"""Columns of a table that goes into a file or a pipe: a row is a line there."""


def print_json(value: Any) -> None:
    """Print a view as JSON on a line of its own; times are ISO 8601, in UTC."""
    click.echo(to_json(dataclasses.asdict(value)))


def to_json(value: Any) -> str:
    """JSON in a line. Numbers that it cannot hold are text, as they are everywhere in the control API."""
    try:
        return json.dumps(value, default=_for_json, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=_for_json, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def _for_json(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} in a view")


def is_terminal() -> bool:
    """True if output goes to a terminal."""
    out: TextIO | None = sys.stdout  # None if the shell has closed it
    return out is not None and out.isatty()


def console() -> Console:
    """A console for tables: as wide as the terminal, or wide enough. Text in them is text and no markup."""
    return _Console(width=None if is_terminal() else _WIDTH, markup=False, highlight=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the code that gives every end of a command its exit code."""
        raise BrokenPipeError


def print_table(table: Table) -> None:
    """Print a table; if the terminal is too narrow for it, each row as lines of `heading: cell`."""
    out = console()
    if _least_width(table) <= out.width:
        out.print(table)
        return
    headings = [str(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        click.echo(
            "\n".join(f"{heading}: {cell}" for heading, cell in zip(headings, row, strict=True) if cell)
        )
        click.echo()


def _least_width(table: Table) -> int:
    """Number of columns in which a table cuts no word, except in those of its columns that may be cut."""
    total = 1
    for column in table.columns:
        words = [word for cell in (column.header, *column.cells) for word in str(cell).split()]
        total += 3 + (column.min_width or max(map(cell_len, words), default=0))
    return total


def local(time: datetime.datetime) -> str:
    """A time as the clock on the wall shows it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Text from elsewhere, such that it cannot steer a terminal."""
    return "".join(
        part if part.isprintable() or part == "\n" else part.encode("unicode_escape").decode()
        for part in text
    )


def in_a_line(text: str) -> str:
    """The same, of any number of lines."""
    return printable(" ".join(text.split("\n")))


def number(value: float | None, digits: int = 6) -> str:
    """A number for a table; nothing if there is none."""
    return "" if value is None else f"{value:.{digits}g}"
