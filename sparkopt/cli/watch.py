"""``sparkopt watch``: events as they happen, as lines, as JSON, or below a live table."""

from __future__ import annotations

import click

from sparkopt.cli.calling import calling, json_option
from sparkopt.cli.event_lines import line
from sparkopt.cli.printing import console, is_terminal, print_json
from sparkopt.client import ControlClient


@calling("watch")
@click.option("--study", metavar="NAME", help="Whose events.  [default: those of all studies]")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    help="Begin behind the event of this number, with 0 at the first.  [default: now]",
)
@click.option(
    "--values/--no-values",
    default=None,
    help="Show intermediate values of running trials, of each the newest, at most ten a second."
    "  [default: in the live table alone]",
)
@click.option("--plain", is_flag=True, help="Print lines on a terminal too, rather than a live table.")
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

    On a terminal: a live table of the workers and what they run, the best loss, trials per second and the
    workers' idle share. Elsewhere, or with --plain: a line for each event. With --json: an object for each
    event; who comes back with the `sequence` of the last one (--after) misses nothing. A connection that is
    lost is made again.
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
