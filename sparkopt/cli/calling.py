"""Shared parts of the commands that call a control service: options, the client, and errors as exit codes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from sparkopt.cli.exits import EXIT_CODES, Exit
from sparkopt.cli.finding import ADDRESS, TOKEN_FILE, Service, find
from sparkopt.cli.printing import printable
from sparkopt.cli.seconds import Seconds
from sparkopt.client import ControlClient
from sparkopt.errors import ControlError, NotAuthorizedError, RefusedError, UnreachableError

_TOO_MANY_FAILURES: Final = "TOO_MANY_FAILURES"
"""The reason that the service gives for a wrong token after the first few."""

study_option = click.option("--study", metavar="NAME", help="Which study.  [default: the only one]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


class CallError(click.ClickException):
    """A call that failed, and the exit code that says why.

    Args:
        message: for a person.
        exit_code: for a script.
    """

    def __init__(self, message: str, exit_code: Exit) -> None:
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
            address: str | None, token_file: Path | None, ca_cert: Path | None, timeout: float, **more: Any
        ) -> None:
            _check_text(more)
            with errors_as_exits() as told:
                service, token = find_with_token(address, token_file, ca_cert, told)
                with ControlClient(
                    service.address, token=token, ca_cert=service.ca_cert, timeout=timeout
                ) as client:
                    function(client, **more)

        return click.command(name, epilog=EXIT_CODES)(service_options(command))

    return decorate


@contextmanager
def errors_as_exits() -> Iterator[list[str]]:
    """End the command with the exit code that says why a call has failed.

    What is put into the list that it gives is said of a token that is not good.
    """
    told: list[str] = []
    try:
        yield told
    except RefusedError as error:
        raise click.UsageError(printable(str(error))) from error
    except NotAuthorizedError as error:
        raise CallError(f"{error}{''.join(told)}", Exit.UNAUTHORIZED) from error
    except UnreachableError as error:
        raise CallError(str(error), Exit.UNREACHABLE) from error
    except ControlError as error:
        code = Exit.UNAUTHORIZED if error.reason == _TOO_MANY_FAILURES else Exit.REFUSED
        raise CallError(str(error), code) from error


def find_with_token(
    address: str | None, token_file: Path | None, ca_cert: Path | None, told: list[str]
) -> tuple[Service, str]:
    """Find the service that is meant, and its token.

    Args:
        address: see :func:`~sparkopt.cli.finding.find`.
        token_file: see there.
        ca_cert: see there.
        told: gets a word on where the token is from.
    """
    service = find(address, token_file, ca_cert)
    told.append(f" (the token is from {service.token_file})")
    return service, _token_of(service)


_OPTIONS: Final = (
    click.option(
        "--address",
        envvar="SPARKOPT_ADDRESS",
        show_envvar=True,
        metavar="HOST:PORT",
        help="Address of the pool's service.  [default: that of the only pool in `sparkopt pools`, else"
        f" {ADDRESS}]",
    ),
    click.option(
        "--token-file",
        envvar="SPARKOPT_TOKEN_FILE",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="File with the token of the service.  [default: the one in `sparkopt pools`, else"
        f" {TOKEN_FILE}]",
    ),
    click.option(
        "--ca-cert",
        envvar="SPARKOPT_CA_CERT",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="Certificate to trust (PEM); needed unless the service is on this host.  [default: the one in"
        " `sparkopt pools`]",
    ),
    click.option(
        "--timeout",
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        type=Seconds(min=0, min_open=True),
        help="Longest that a call may take.",
    ),
)


def service_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a service: address, token_file, ca_cert and timeout."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _check_text(options: dict[str, Any]) -> None:
    """Refuse text that nothing can be sent as: arguments of a command are bytes to begin with."""
    for name, value in options.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{name} is not text in UTF-8: {printable(value)}") from None


def _token_of(service: Service) -> str:
    try:
        return service.token()
    except RefusedError as error:
        hint = ""
        if not service.token_file.exists():
            hint = (
                ": name the file that has the service's token with --token-file. `sparkopt serve` writes one"
                " where it is started, and Control(token_file=...) has a search or a pool write one."
            )
        raise CallError(f"{error}{hint}", Exit.UNAUTHORIZED) from error
