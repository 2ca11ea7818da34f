"""What the commands that call a control service share: how it is found, what is printed, how they end."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from sparkopt.client import ControlClient
from sparkopt.errors import ControlError, NotAuthorizedError, RefusedError, UnreachableError
from sparkopt.wire.token_files import read_token

ADDRESS: Final = "127.0.0.1:7727"
"""Where a service listens by default."""

TOKEN_FILE: Final = "sparkopt.token"  # noqa: S105 - its name
"""Where a service's token is by default, in the directory that it was started in."""

REFUSED: Final = 1
UNREACHABLE: Final = 3
UNAUTHORIZED: Final = 4
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\b
Exit codes: 0 done, 1 the service refused it, 2 wrong usage, 3 nobody answers,
4 the token is missing, wrong or good for reading only, 130 interrupted.
"""

_TOO_MANY_FAILURES: Final = "TOO_MANY_FAILURES"
"""What the service says of a wrong token after the first few."""

_WIDTH: Final = 200
"""Columns of a table that goes into a file or a pipe."""

study_option = click.option("--study", metavar="NAME", help="Which study.  [default: the only one]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


class CallError(click.ClickException):
    """A call that failed, and the exit code that says why.

    Args:
        message: for a person.
        exit_code: for a script.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(printable(message))
        self.exit_code = exit_code  # type: ignore[misc]  # as click has it, whatever its types say


def calling(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that gets a client, and what further options it has.

    Args:
        name: of the command.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def command(
            address: str, token_file: Path, ca_cert: Path | None, timeout: float, **more: Any
        ) -> None:
            try:
                token = _token_of(token_file)
                with ControlClient(address, token=token, ca_cert=ca_cert, timeout=timeout) as client:
                    function(client, **more)
            except RefusedError as error:
                raise click.UsageError(str(error)) from error
            except NotAuthorizedError as error:
                raise CallError(f"{error} (the token is from {token_file})", UNAUTHORIZED) from error
            except UnreachableError as error:
                raise CallError(str(error), UNREACHABLE) from error
            except ControlError as error:
                code = UNAUTHORIZED if error.reason == _TOO_MANY_FAILURES else REFUSED
                raise CallError(str(error), code) from error
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                sys.exit(INTERRUPTED)

        found: Callable[..., None] = command
        for option in reversed(_OPTIONS):
            found = option(found)
        return click.command(name, epilog=EXIT_CODES)(found)

    return decorate


_OPTIONS: Final = (
    click.option(
        "--address",
        default=ADDRESS,
        show_default=True,
        metavar="HOST:PORT",
        help="Where the service listens.",
    ),
    click.option(
        "--token-file",
        default=TOKEN_FILE,
        show_default=True,
        type=click.Path(path_type=Path),
        help="Holds the token that the service asks for.",
    ),
    click.option(
        "--ca-cert",
        type=click.Path(path_type=Path),
        help="Who is believed to be the service, PEM; needed off this host.",
    ),
    click.option(
        "--timeout",
        default=30.0,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds that a call may take.",
    ),
)


def _token_of(path: Path) -> str:
    try:
        return read_token(path)
    except RefusedError as error:
        raise CallError(
            f"{error}. `sparkopt serve` makes one where it is started; name it with --token-file.",
            UNAUTHORIZED,
        ) from error


def print_json(value: Any) -> None:
    """Print a view as JSON on a line of its own; times are ISO 8601, in UTC."""
    click.echo(json.dumps(dataclasses.asdict(value), default=_for_json))


def _for_json(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a view")


def console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough. Text in them is text and no markup."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH, markup=False, highlight=False)


def printable(text: str) -> str:
    """Text from elsewhere, such that it cannot steer a terminal."""
    return "".join(
        part if part.isprintable() or part == "\n" else part.encode("unicode_escape").decode()
        for part in text
    )


def number(value: float | None, digits: int = 6) -> str:
    """A number for a table; nothing if there is none."""
    return "" if value is None else f"{value:.{digits}g}"
