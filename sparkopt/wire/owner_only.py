"""Files and directories that only their owner can read, from the moment they are made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Final

_FILE: Final = 0o600
_DIRECTORY: Final = 0o700
_OTHERS: Final = 0o077


def create(path: Path) -> IO[bytes]:
    """Make a file, or empty the one that is there, for writing bytes.

    Raises:
        OSError: if the disk does not take it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE)
    restrict(path)
    return os.fdopen(descriptor, "wb")


def make_directory(path: Path) -> None:
    """Make a directory, or take the one that is there.

    Raises:
        OSError: if the disk does not take it, or something else has that name.
    """
    path.mkdir(_DIRECTORY, exist_ok=True)
    restrict(path)


def restrict(path: Path) -> None:
    """Remove all permissions of others than the owner from an existing file or directory."""
    mode = path.stat().st_mode
    if mode & _OTHERS:
        with contextlib.suppress(PermissionError):  # another user's, who has let us write to it
            path.chmod(mode & ~_OTHERS & 0o7777)
