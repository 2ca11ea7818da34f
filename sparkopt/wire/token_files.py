"""Files that hold a token: one line, for their owner's eyes only."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from sparkopt.errors import RefusedError
from sparkopt.wire.tokens import is_token, new_token

_MOST_BYTES: Final = 4096
"""More than any token has."""


def read_token(path: str | os.PathLike[str]) -> str:
    """The token in a file.

    Raises:
        RefusedError: if there is no such file, if others than its owner can read it, or if it holds no token.
    """
    try:
        return _read(Path(path))
    except FileNotFoundError:
        raise RefusedError(f"there is no token file {os.fspath(path)}") from None


def read_or_make_token(path: str | os.PathLike[str]) -> str:
    """The token in a file; if there is no such file, it is made with a new token, for its owner's eyes only.

    Raises:
        RefusedError: if it cannot be made, if others than its owner can read it, or if it holds no token.
    """
    path = Path(path)
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
    try:
        return _read(path)
    except FileNotFoundError:
        raise RefusedError(f"the token file {path} was removed as soon as it was made") from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RefusedError(f"the token file {path} cannot be read: {error.strerror or error}") from None
    if status.st_uid not in (os.geteuid(), 0):
        raise RefusedError(
            f"the token file {path} belongs to another user, who knows what is in it: use a file of your own"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise RefusedError(
            f"others can read or write the token file {path} (mode {stat.S_IMODE(status.st_mode):04o}). If"
            f" nobody has: chmod 600 {path}. If somebody may have: give it a new token."
        )
    token = data.decode("utf-8", "replace").strip()
    if not token:
        raise RefusedError(f"the token file {path} is empty: put a token into it, or remove it")
    if not is_token(token):
        raise RefusedError(
            f"what is in the token file {path} is not a token: one line of at most 1,024 visible ASCII"
            " characters, without a space, is expected"
        )
    return token


def _make(path: Path) -> None:
    """Make the file, whole when it appears; if somebody else is quicker, theirs stays."""
    try:
        # Readable by its owner only from its first moment on: that is how temporary files are made.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{new_token()}\n")
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(name)
        finally:
            Path(name).unlink()
    except FileExistsError:
        return
    except OSError as error:
        raise RefusedError(f"the token file {path} cannot be made: {error.strerror or error}") from None
