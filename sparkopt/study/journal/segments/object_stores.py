"""Stores of whole objects: put, get, list, delete. A directory is one, whatever its file system cannot do.

Nothing here is appended to, renamed or locked, and nothing is put on condition that it is not there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from sparkopt.study.journal.segments.object_format import LARGE

Pieces = Callable[[], Iterable[bytes]]
"""Makes the pieces of an object's bytes; again, each time that it is called."""


class ObjectStore(Protocol):
    """A place for objects, by names of letters, digits, ``-`` and one ``/``. Thread-safe.

    Every method raises OSError, or what its library raises, if the store cannot be reached or refuses.
    """

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Put an object, in place of one of the same name. Whole and safe once this returns."""

    def get(self, name: str) -> bytes | None:
        """Return an object's bytes; None if it is not there."""

    def fetch(self, name: str, target: IO[bytes]) -> bool:
        """Write an object's bytes to a file; false if it is not there."""

    def list(self) -> Sequence[str]:
        """Return the names of all objects, except large ones."""

    def list_large(self) -> Sequence[str]:
        """Return the names of those that are large, without their prefix."""

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""

    def prepare(self) -> None:
        """Make what has to be there before something is put."""


_PIECE: Final = 2**20

_WHOLE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC

_NO_SUCH_CALL: Final = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTTY}
"""Errors of file systems in user space that have no ``fsync``."""

_OWNERS_FILE: Final = 0o600
_OWNERS_DIRECTORY: Final = 0o700
"""Permissions from the moment they are made: some of these file systems cannot change any."""


class DirectoryStore:
    """A directory whose files are the objects.

    Args:
        directory: made when something is to be put; the directory that it is in must be there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directory."""
        for directory in (self._directory, self._directory / LARGE):
            directory.mkdir(_OWNERS_DIRECTORY, exist_ok=True)

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file, and wait for the disk to have it."""
        with os.fdopen(os.open(self._directory / name, _WHOLE, _OWNERS_FILE), "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _NO_SUCH_CALL:  # it may be here that a full disk is told
                    raise

    def get(self, name: str) -> bytes | None:
        """Read a file."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, name: str, target: IO[bytes]) -> bool:
        """Copy a file."""
        try:
            with (self._directory / name).open("rb") as file:
                while piece := file.read(_PIECE):
                    target.write(piece)
        except FileNotFoundError:
            return False
        return True

    def list(self) -> Sequence[str]:
        """The names of the files."""
        return [name for name in self._names(self._directory) if name != LARGE.rstrip("/")]

    def list_large(self) -> Sequence[str]:
        """The names of the files of large objects."""
        return self._names(self._directory / LARGE)

    def _names(self, directory: Path) -> Sequence[str]:
        try:
            with os.scandir(directory) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """Remove a file."""
        path = self._directory / name
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(path.lstat().st_mode):
                path.unlink()
