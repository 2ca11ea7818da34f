"""``sparkopt pools``: what there is to be watched, without asking anybody."""

from __future__ import annotations

import click
from rich.table import Table

from sparkopt.cli.calling import json_option
from sparkopt.cli.exits import EXIT_CODES
from sparkopt.cli.printing import local, print_json, print_table, printable
from sparkopt.wire.listing import listed


@click.command(epilog=EXIT_CODES)
@json_option
def pools(as_json: bool) -> None:
    """List your pools that are open to control on this machine.

    Searches of SparkTrials(control=...), pools of WorkerPool(control=...) and every `sparkopt serve` are
    listed while they run, unless they were told not to be. The other commands need no --address when only one
    is listed.

    With --json each has the file of its token and that of its certificate too, for other programs.
    """
    found = [pool for pool in listed() if pool.is_reachable]
    if as_json:
        for pool in found:
            print_json(pool)
        return
    if not found:
        click.echo("no pool of yours is open to control on this machine", err=True)
        return
    table = Table("address", "since", "program", "pid", "in")
    for pool in found:
        cells = [pool.address, local(pool.opened), pool.program, str(pool.pid), pool.directory]
        table.add_row(*map(printable, cells))
    print_table(table)
