"""``sparkopt journal``: what a journal holds, whether it is whole, and copies of it; from anywhere."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Table

from sparkopt.cli.exits import EXIT_CODES, Commands
from sparkopt.cli.printing import in_a_line, local, number, print_json, print_table, printable, to_json
from sparkopt.errors import RefusedError, SparkoptError

if TYPE_CHECKING:
    from sparkopt.hyperopt.journal_reading import JournalTrial

T = TypeVar("T")

_REASON = 60
"""Characters of a reason in a table."""

_trust = click.option(
    "--trust",
    is_flag=True,
    help="Unpickle the values and results of trials, to show values and losses. That runs code of whoever"
    " could write to the journal.",
)


@click.group("journal", cls=Commands, epilog=EXIT_CODES)
def journal() -> None:
    """Look at the journal of a search.

    ADDRESS is a path, or an address such as s3://bucket/search. A search may be writing to it meanwhile.
    Nothing there changes, and nothing is unpickled without --trust.
    """


def _tried(call: Callable[[], T]) -> T:
    try:
        return call()
    except RefusedError as error:
        raise click.UsageError(printable(str(error))) from error
    except SparkoptError as error:
        raise click.ClickException(printable(str(error))) from error


@journal.command(epilog=EXIT_CODES)
@click.argument("address")
@_trust
def show(address: str, trust: bool) -> None:
    """Show the trials of a journal as a table."""
    from sparkopt.hyperopt.journal_reading import look, rows_of

    contents = _tried(lambda: look(address))
    rows = _tried(lambda: list(rows_of(contents, trust)))
    meta = contents.content.meta
    for key in ("objective", "algorithm"):
        click.echo(f"{key}: {in_a_line(meta.get(key, 'not known'))}")
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    told = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
    click.echo(f"trials: {len(rows):,}{f' ({told})' if told else ''}\n")
    if rows:
        print_table(_table(rows, trust))
    for each in contents.damage:
        click.echo(f"damaged: {in_a_line(each)}", err=True)


def _table(rows: Iterable[JournalTrial], trust: bool) -> Table:
    headings = ["tid", "state", *(["loss"] if trust else []), "started", "settled", "bytes", "reports"]
    table = Table(*headings, *(["values"] if trust else []), "reason", box=None)
    for row in rows:
        reason = row.reason.strip().split("\n")[-1]
        table.add_row(
            *(str(row.tid), row.state, *([number(row.loss)] if trust else [])),
            *("" if time is None else local(time) for time in (row.started, row.settled)),
            *(f"{row.result_bytes:,}", f"{row.reports:,}"),
            *([in_a_line(" ".join(f"{k}={v}" for k, v in row.values.items()))] if trust else []),
            in_a_line(reason if len(reason) <= _REASON else f"{reason[: _REASON - 3]}..."),
        )
    return table


@journal.command(epilog=EXIT_CODES)
@click.argument("address")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a column for each label at the end.")
@_trust
def export(address: str, as_csv: bool, trust: bool) -> None:
    """Print the trials of a journal as JSON, one a line, or as CSV.

    In Python, sparkopt.read_journal returns a data frame.
    """
    from sparkopt.hyperopt.journal_reading import look, rows_of

    rows = _tried(lambda: list(rows_of(look(address), trust)))
    if not as_csv:
        for row in rows:
            print_json(row)
        return
    labels = sorted({label for row in rows for label in row.values})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ("tid", "state", "started", "settled", "reason", "result_bytes", "reports", "loss")
    writer.writerow([*columns, *(f"values.{label}" for label in labels)])
    for row in rows:
        fixed = [_cell(getattr(row, column)) for column in columns]
        writer.writerow([*fixed, *(_cell(row.values.get(label)) for label in labels)])
    click.echo(out.getvalue(), nl=False)


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    try:
        return json.dumps(value)
    except TypeError:
        return str(value)


@journal.command(epilog=EXIT_CODES)
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(address: str, as_json: bool) -> None:
    """Check that everything in a journal is as it was written.

    That includes its large results. The exit code is 1 if something is not.
    """
    from sparkopt.hyperopt.journal_reading import look

    contents = _tried(lambda: look(address))
    wrong = _tried(contents.verify)
    if as_json:
        click.echo(to_json({"trials": len(contents.content.trials), "wrong": wrong}))
    else:
        for each in wrong:
            click.echo(in_a_line(each))
    if wrong:
        raise click.ClickException(f"{len(wrong)} things are not as they were written")
    if not as_json:
        click.echo(f"{len(contents.content.trials):,} trials, all as they were written")


@journal.command(name="copy", epilog=EXIT_CODES)
@click.argument("address")
@click.argument("target")
def copy_command(address: str, target: str) -> None:
    """Copy a journal to TARGET, where nothing is yet.

    TARGET is a path or an address, and the copy may be of the other kind. A search goes on from it as from
    the original.
    """
    from sparkopt.hyperopt.journal_reading import copy

    contents = _tried(lambda: copy(address, target))
    for each in contents.damage:
        click.echo(f"damaged, and not copied: {in_a_line(each)}", err=True)
    click.echo(f"{len(contents.content.trials):,} trials copied")
