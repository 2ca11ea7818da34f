"""Finds the service that a command is for: by what the command was told, else in the list of open pools."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from sparkopt.errors import RefusedError, UnreachableError
from sparkopt.wire import addresses
from sparkopt.wire.listing import Listed, listed
from sparkopt.wire.token_files import read_token

ADDRESS: Final = "127.0.0.1:7727"
"""The address of a `sparkopt serve` by default."""

TOKEN_FILE: Final = Path("sparkopt.token")
"""The file of its token by default, in the directory that it was started in."""


@dataclass(frozen=True, slots=True)
class Service:
    """The place of a service, and the files that it takes to call it.

    Attributes:
        address: ``host:port``.
        token_file: holds the token.
        ca_cert: holds what to trust; None for a service that speaks no TLS.
    """

    address: str
    token_file: Path
    ca_cert: Path | None

    def token(self) -> str:
        """The token that calls must carry.

        Raises:
            RefusedError: if the file will not do.
        """
        return read_token(self.token_file)


def find(address: str | None, token_file: Path | None, ca_cert: Path | None) -> Service:
    """The service to call. Arguments count first; what is left out comes from the list, or is the default.

    Args:
        address: ``host:port``; None for the only pool that this user has open.
        token_file: holds its token; None for what is listed, or else :data:`TOKEN_FILE`.
        ca_cert: holds what to trust; None for what is listed.

    Raises:
        RefusedError: if ``address`` is not an address.
        click.UsageError: if several pools are open, and none was named.
        UnreachableError: if no pool is open.
    """
    if address is not None:
        try:
            addresses.split(address)
        except ValueError as error:
            raise RefusedError(f"there is no service at {address!r}: {error}") from None
    pools = [pool for pool in listed() if pool.is_reachable]
    if address is not None:
        # Exactly this one: under another name of this host it may be somebody else who gets the token.
        pools = [pool for pool in pools if pool.address == address]
    elif len(pools) > 1:
        raise click.UsageError(_choice(pools))
    if len(pools) == 1:
        pool = pools[0]
        return Service(address or pool.address, token_file or pool.token_file, ca_cert or pool.ca_cert)
    if address is None and token_file is None and not TOKEN_FILE.exists():
        raise UnreachableError(_nothing())
    return Service(address or ADDRESS, token_file or TOKEN_FILE, ca_cert)


def _choice(pools: list[Listed]) -> str:
    listing = "\n".join(
        f"  --address {pool.address}  ({pool.program or 'python'}, process {pool.pid})" for pool in pools
    )
    return f"{len(pools)} pools of yours are open to control; say which one is meant:\n{listing}"


def _nothing() -> str:
    others = sorted({pool.host for pool in listed()} - {socket.gethostname()})
    elsewhere = f" There are some on {', '.join(others)}: look there." if others else ""
    return (
        "no pool of yours is open to control on this machine. SparkTrials(control=True) opens a search, and"
        f" control='{ADDRESS}' does so at a fixed address; `sparkopt serve` is open too. For a pool of"
        f" another user or machine, give --address and --token-file.{elsewhere}"
    )
