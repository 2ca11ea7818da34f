"""Masking of secrets in addresses: the only place that decides which parts of a URI are shown.

A tracking store's URI may hold a password (``http://user:password@host``) or a token (``?token=...``). What
is raised or printed about the store may quote all of it, a part of it, or the text around it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import Any, Final, TextIO
from urllib.parse import quote, unquote, unquote_plus

MASK: Final = "***"

_PASSWORD: Final = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@'\"<>\[]*):"
    # A number is a port. Passwords of databases may hold slashes.
    r"(?!\d*(?:[/?#'\"\s]|$))(?P<secret>[^\s'\"<>]*)@"
)
_USER: Final = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://)(?P<secret>[^\s:/?#@'\"<>]+)@")
_PARAMETER: Final = re.compile(
    r"(?P<before>(?:^|(?<=[\s?&;,'\"({]))[\w.%-]*(?:passw|pwd|passphrase|token|secret|credential|signature|apikey"
    r"|api_key|api-key|access_key|accesskey|(?<=[?&])sig|(?<=[?&])key)[\w.-]*(?:=|%3[dD]))(?P<secret>[^&;\s'\"<>]+)",
    re.IGNORECASE,
)
_ODBC: Final = re.compile(r"odbc_connect=(?P<secret>[^&\s'\"<>]+)", re.IGNORECASE)
_HEADER: Final = re.compile(r"\b(?P<before>Basic|Bearer)\s+(?P<secret>[A-Za-z0-9+/=._~-]{4,})")

_SHORTEST: Final = 3
"""Characters of a secret that is looked for wherever it may stand: a shorter one is in every other word."""


class HiddenCauseError(Exception):
    """Text of an error, in place of an error that quotes a secret."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text}"


def mask(text: str, uri: str = "") -> str:
    """A text in which no password or token of an address can be read.

    Args:
        text: that may hold addresses, whole or in part.
        uri: an address whose secrets are hidden wherever they stand in the text.
    """
    for secret in sorted({*_secrets(uri)}, key=len, reverse=True):
        for written in {secret, unquote(secret), unquote_plus(secret), quote(unquote(secret), safe="")}:
            if len(written) >= _SHORTEST:
                text = text.replace(written, MASK)
    text = _PASSWORD.sub(rf"\g<before>:{MASK}@", text)
    text = _USER.sub(_user, text)
    text = _ODBC.sub(f"odbc_connect={MASK}", text)
    text = _PARAMETER.sub(rf"\g<before>{MASK}", text)
    return _HEADER.sub(rf"\g<before> {MASK}", text)


def _user(found: re.Match[str]) -> str:
    """A name alone is a token, except in schemes where it is a place: ``abfss://container@account``."""
    place = found["before"].lower().startswith(("abfs", "wasb", "ssh:", "sftp:"))
    return found[0] if place else f"{found['before']}{MASK}@"


def is_secret(uri: str) -> bool:
    """Returns whether a URI holds something that must not be shown."""
    return mask(uri) != uri


def _secrets(uri: str) -> Iterator[str]:
    for pattern in (_PASSWORD, _ODBC, _PARAMETER):
        for found in pattern.finditer(uri):
            yield found["secret"]
    for found in _USER.finditer(uri):
        if _user(found) != found[0]:
            yield found["secret"]


def shown_cause(error: BaseException, uri: str) -> BaseException:
    """Returns an error that is safe to raise from: the same one, or one with its text and no secrets."""
    text = "".join(traceback.format_exception(error))
    masked = mask(text, uri)
    return error if masked == text else HiddenCauseError(masked)


class MaskedStream:
    """A text stream on which nothing secret of an address is written.

    Args:
        stream: where the rest goes.
        uri: the address.
    """

    def __init__(self, stream: TextIO, uri: str) -> None:
        self._stream = stream
        self._uri = uri

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(mask(text, self._uri))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
