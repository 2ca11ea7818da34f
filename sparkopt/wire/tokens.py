"""The token that every call carries, in its metadata, as ``authorization: Bearer TOKEN``."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

HEADER: Final = "authorization"

_SCHEME: Final = "Bearer "

_TOKEN: Final = re.compile(r"[!-~]{1,1024}")


def new_token() -> str:
    """A token that nobody can guess: 256 bits, safe in a header."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Returns whether a header can carry it: 1 to 1,024 visible ASCII characters, and no space."""
    return _TOKEN.fullmatch(text) is not None


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with this token."""
    return ((HEADER, f"{_SCHEME}{token}"),)


def is_authorized(metadata: Iterable[tuple[str, str | bytes]] | None, token: str) -> bool:
    """Returns whether a call's metadata carry the token; compared in constant time."""
    expected = f"{_SCHEME}{token}".encode()
    for key, value in metadata or ():
        if key == HEADER:
            given = value.encode() if isinstance(value, str) else value
            return hmac.compare_digest(given, expected)
    return False
