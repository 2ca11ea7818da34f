"""``sparkopt replay``."""

from __future__ import annotations

from pathlib import Path

import click

from sparkopt.cli.exits import EXIT_CODES
from sparkopt.errors import SparkoptError


@click.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--tracking-uri",
    help="Address of the store, with its password.  [default: the address in FILE; if it has a password,"
    " MLFLOW_TRACKING_URI]",
)
def replay(file: Path, tracking_uri: str | None) -> None:
    """Write to MLflow what a search could not write.

    Its tracking store was out of reach. FILE is the one that the search's warning named
    (sparkopt-mlflow-RUN.jsonl). It is removed once everything in it is written; if the store fails again, or
    refuses something, it keeps the rest. What is there already is not written twice.
    """
    from sparkopt.tracking.installed import is_installed

    if not is_installed():
        raise click.ClickException("this needs MLflow: pip install 'sparkopt[mlflow]'")
    from sparkopt.tracking.record_replay import replay as write

    try:
        done = write(file, tracking_uri)
    except SparkoptError as error:
        raise click.ClickException(str(error)) from error
    there = (
        f"; {done.found} runs and {done.known} values were there already" if done.found + done.known else ""
    )
    click.echo(f"{done.records} records written, {done.runs} runs created{there}")
