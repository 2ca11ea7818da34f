"""``sparkopt dashboard``: a page that follows a running search, or shows a journal."""

from __future__ import annotations

import hashlib
import ssl
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkopt.cli.calling import errors_as_exits, find_with_token, service_options
from sparkopt.cli.exits import EXIT_CODES
from sparkopt.cli.printing import printable
from sparkopt.client import ControlClient
from sparkopt.errors import JournalError

if TYPE_CHECKING:
    from sparkopt.dashboard.dashboards import Dashboard

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=EXIT_CODES)
@service_options
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen at; port 0 takes a free one. Off loopback it speaks TLS only, and reading takes"
    " the token or the printed link.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Name that browsers reach it by besides this machine's own, as through a proxy. Reading takes"
    " the token then, on loopback as well. May be given several times.",
)
@click.option("--tls-cert", type=_FILE, help="Your own certificate (PEM). Needs --tls-key.")
@click.option("--tls-key", type=_FILE, help="Its private key, PEM, not encrypted.")
@click.option(
    "--journal",
    metavar="ADDRESS",
    help="Show the journal of a search, a path or an address such as s3://bucket/search, instead of a running"
    " one.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="With --journal: unpickle the values and results of trials, without which there are no losses to"
    " draw. That runs code of whoever could write to the journal.",
)
def dashboard(
    address: str | None,
    token_file: Path | None,
    ca_cert: Path | None,
    timeout: float,
    listen: str,
    allow_hosts: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    journal: str | None,
    trust: bool,
) -> None:
    """Serve a page of a search: plots, trials and workers.

    It prints a link, and runs until it is interrupted (Ctrl-C). Optuna Dashboard draws the plots. The link
    has a key: whoever opens it may pause, stop and cancel, as far as the token in --token-file permits. On
    loopback everybody on this machine may look without it.

    Needs optuna-dashboard (pip install 'sparkopt[dashboard]').
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both, or none")
    if trust and journal is None:
        raise click.UsageError("--trust is about a journal: name one with --journal")
    if journal is not None and (address, token_file, ca_cert) != (None, None, None):
        raise click.UsageError(
            "--journal shows a search that has ended, and --address one that is running: give one of them"
        )
    try:
        from sparkopt.dashboard.dashboards import Dashboard, Listen
    except ModuleNotFoundError as error:
        raise click.ClickException(_lacking(error)) from error
    where = Listen(listen, allow_hosts, tls_cert, tls_key)
    try:
        with errors_as_exits() as told:
            service, token = None, ""
            if journal is None:
                service, token = find_with_token(address, token_file, ca_cert, told)
            with closing(Dashboard(where)) as shown:
                if journal is not None:
                    _show_journal(shown, journal, trust)
                else:
                    assert service is not None
                    client = ControlClient(
                        service.address, token=token, ca_cert=service.ca_cert, timeout=timeout
                    )
                    shown.follow(service.address, client, token)
                    click.echo(f"Following the pool at {service.address}")
                if shown.certificate is not None:
                    click.echo(f"Its certificate was made just now; SHA-256 {fingerprint(shown.certificate)}")
                click.echo(f"Dashboard: {shown.link}")
                shown.serve()
    except ModuleNotFoundError as error:
        raise click.ClickException(_lacking(error)) from error
    except JournalError as error:
        raise click.ClickException(printable(str(error))) from error


def _show_journal(shown: Dashboard, journal: str, trust: bool) -> None:
    from sparkopt.dashboard.journal_mirror import mirror_journal

    click.echo(f"{mirror_journal(shown.mirror, journal, trust):,} trials in {printable(journal)}")
    if not trust:
        click.echo("Without --trust there are neither losses nor values of parameters.")


def fingerprint(certificate: bytes) -> str:
    """Fingerprint of a certificate in PEM, as browsers show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _lacking(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    if package not in ("optuna", "optuna_dashboard", "cheroot"):
        raise error
    return f"a dashboard needs {package}, which is not installed: pip install 'sparkopt[dashboard]'"
