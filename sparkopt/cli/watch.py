"""``sparkopt watch``: events as they happen, as lines, as JSON, or below a live table."""

from __future__ import annotations

import click

from sparkopt.cli.calling import calling, json_option
from sparkopt.cli.event_lines import line
from sparkopt.cli.printing import console, is_terminal, print_json
from sparkopt.client import ControlClient


@calling("watch")
@click.option("--study", metavar="NAME", help="Study whose events to show.  [default: all studies]")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    help="Begin after the event of this number; 0 begins at the first.  [default: now]",
)
@click.option(
    "--values/--no-values",
    default=None,
    help="Show the newest intermediate value of each running trial, at most ten a second."
    "  [default: only in the live table]",
)
@click.option("--plain", is_flag=True, help="Print lines instead of a live table, also on a terminal.")
@json_option
def watch(
    client: ControlClient,
    study: str | None,
    after: int | None,
    values: bool | None,
    plain: bool,
    as_json: bool,
) -> None:
    """Show what happens, until the pool closes.

    On a terminal it shows a live table of the workers and what they run, the best loss, trials per second and
    the workers' idle share. Elsewhere, or with --plain, it prints a line for each event. With --json it
    prints an object for each event; a later `watch` with the `sequence` of the last one as --after misses
    nothing. If the connection is lost, it is made again.
    """
    out = console()
    if not (as_json or plain) and is_terminal() and not out.is_dumb_terminal:
        from sparkopt.cli.live import show

        show(client, study, after, out, values is not False)
        return
    with client.watch(after, study, values is True) as events:
        for event in events:
            if as_json:
                print_json(event)
            else:
                click.echo(line(event))
