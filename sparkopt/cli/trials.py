"""``sparkopt trials``: a pool's trials as a table, as JSON or as CSV."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
from rich.table import Table

from sparkopt.cli.calling import calling, json_option
from sparkopt.cli.printing import in_a_line, is_terminal, number, print_json, print_table, printable
from sparkopt.client import ControlClient, TrialInfo, TrialState

_COLUMNS: Final = (
    *("tid", "study", "state", "loss", "seconds", "attempt", "worker", "host"),
    *("submitted", "started", "settled", "reason", "request_id"),
)
"""The columns of CSV before the labels. They are attributes of a trial."""

_SORTED_BY: Final = _COLUMNS[:-2]


@calling("trials")
@click.option("--study", metavar="NAME", help="Study whose trials to list.  [default: all studies]")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in TrialState if state is not TrialState.UNKNOWN]),
    help="List only trials in this state; may be given several times.",
)
@click.option(
    "--sort",
    type=click.Choice(_SORTED_BY),
    help="Column to sort by; trials without a value come last.  [default: as they were submitted]",
)
@click.option("--desc", is_flag=True, help="Sort in descending order.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="List only the first N.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a column for each label at the end.")
@click.option(
    "--intermediate-values",
    is_flag=True,
    help="With --json: add the values that trials have reported, by step.",
)
@json_option
def trials(
    client: ControlClient,
    study: str | None,
    states: tuple[str, ...],
    sort: str | None,
    desc: bool,
    limit: int | None,
    as_csv: bool,
    intermediate_values: bool,
    as_json: bool,
) -> None:
    """List the trials of a pool.

    They are listed in the order in which they were submitted. The best ten: sparkopt trials --state ok --sort
    loss --limit 10

    CSV has the columns that --sort names, reason and request_id, and then the labels in alphabetical order; a
    label with the name of a column gets the prefix `values.`. Texts are unchanged, other values of labels are
    JSON, and a cell is empty if the trial has no value for the label.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json were both given: give one of them")
    if intermediate_values and not as_json:
        raise click.UsageError("--intermediate-values was given without --json: give both")
    listed = client.trials(study, states=states, intermediate_values=intermediate_values)
    found = itertools.islice(_ordered(listed, sort, desc), limit)
    if as_json:
        for trial in found:
            print_json(trial)
    elif as_csv:
        _print_csv(list(found))
    else:
        _print_table(found)


def _ordered(found: Iterable[TrialInfo], sort: str | None, desc: bool) -> Iterable[TrialInfo]:
    """Trials in the order that is wanted; those that are alike as they were submitted."""
    if sort is None:
        return reversed(list(found)) if desc else found
    trials = list(found)
    have = [trial for trial in trials if _value(trial, sort) not in (None, "")]
    rest = [trial for trial in trials if _value(trial, sort) in (None, "")]
    return [*sorted(have, key=lambda trial: _value(trial, sort), reverse=desc), *rest]


def _value(trial: TrialInfo, column: str) -> Any:
    if column == "seconds" and trial.settled is None:
        return None  # it is 0 then
    return getattr(trial, column)


def _print_table(found: Iterable[TrialInfo]) -> None:
    table = Table("trial", "is")
    table.add_column("worker", overflow="fold", min_width=8)
    for heading in ("attempt", "seconds", "loss"):
        table.add_column(heading, justify="right")
    table.add_column("values, and why it ended", overflow="fold", min_width=16)
    for trial in found:
        table.add_row(*_row(trial))
    print_table(table)


def _row(trial: TrialInfo) -> list[str]:
    name = f"{printable(trial.study)}/{trial.tid}"
    seconds = "" if trial.settled is None else f"{trial.seconds:.3f}"
    # Of several objectives there is no loss.
    loss = ", ".join(map(number, trial.objective_values)) if trial.loss is None else number(trial.loss)
    numbers = [str(trial.attempt) if trial.attempt else "", seconds, loss]
    about = f"{json.dumps(trial.values, ensure_ascii=False)} {trial.reason}".rstrip()
    return [name, trial.state, printable(trial.worker), *numbers, in_a_line(about)]


def _print_csv(found: list[TrialInfo]) -> None:
    # On a terminal nothing of it may steer that; in a file it is what it is.
    shown = printable if is_terminal() else str
    labels = sorted({label for trial in found for label in trial.values})
    headings = [f"values.{label}" if label in _COLUMNS else label for label in labels]
    for row in itertools.chain([[*_COLUMNS, *headings]], _csv_rows(found, labels)):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        click.echo(shown(line.getvalue()), nl=False)


def _csv_rows(found: list[TrialInfo], labels: list[str]) -> Iterator[list[str]]:
    for trial in found:
        about = [_cell(_value(trial, column)) for column in _COLUMNS]
        yield [*about, *(_cell(trial.values[label]) if label in trial.values else "" for label in labels)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)
