"""The directory beside a journal in which its large results and reports are kept, each as a file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sparkopt.study.journal.rows import Stored
from sparkopt.wire import owner_only

_PIECE: Final = 2**20
"""Bytes of a file that are read at once."""


class KeptFiles:
    """The files of one journal.

    Args:
        directory: that they are in; made with the first of them.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, source: Path, name: str) -> Stored:
        """Have a file here, in place of one of that name, and nowhere else.

        Raises:
            OSError: if the disk does not take it, or a directory has that name.
        """
        owner_only.make_directory(self.directory)
        target = self.directory / name
        if target.is_dir() and not target.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        target.unlink(missing_ok=True)
        shutil.move(source, target)
        return Stored(file=name, digest=_digest(target))

    def has(self, stored: Stored) -> bool:
        """Returns whether what is stored is there as it was written.

        Raises:
            OSError: if the disk does not give it.
        """
        if stored.file is None:
            return True
        path = self.directory / stored.file
        return path.is_file() and (stored.digest is None or _digest(path) == stored.digest)

    def remove(self, stored: Stored) -> None:
        """Remove the file of what is stored, if it has one that is there and can be removed."""
        if stored.file is not None:
            with contextlib.suppress(OSError):
                (self.directory / stored.file).unlink()

    def remove_all_but(self, pattern: str, names: Collection[str | None]) -> None:
        """Remove files that nothing refers to, as their driver was killed.

        Args:
            pattern: of their names.
            names: those that something refers to.
        """
        for path in self.directory.glob(pattern):
            if path.name not in names:
                self.remove(Stored(file=path.name))

    def digested(self, stored: Stored) -> Stored:
        """Returns a record with the digest of its file, which journals of the first format lack.

        Raises:
            OSError: if the disk does not give it.
        """
        if stored.file is None or stored.digest is not None:
            return stored
        return dataclasses.replace(stored, digest=_digest(self.directory / stored.file))


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.digest()
