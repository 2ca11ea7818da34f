"""Files of a module or package, as they go to workers."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

_COMPILED: Final = (*EXTENSION_SUFFIXES, ".so", ".pyd", ".dll", ".dylib")
_BYTECODE: Final = (".pyc", ".pyo")
_ENVIRONMENTS: Final = ("pyvenv.cfg", "conda-meta")
"""Names of files that only the directory of a virtual environment has."""

_FILES: Final = 20_000
"""Most files of a package that is sent: one with more is hardly meant to be sent."""

_SHOWN: Final = 3


class NotSentError(Exception):
    """A package is not sent to workers. The text says why, to follow its name: ``it holds compiled code``."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of a package.

    Attributes:
        name: its path in the archive, the package's name first.
        path: where it is.
        size: in bytes.
        changed: when it was changed last, in nanoseconds since the epoch.
    """

    name: str
    path: Path
    size: int
    changed: int

    @property
    def is_source(self) -> bool:
        """True if it is Python source."""
        return self.name.endswith(".py")


@dataclass(frozen=True, slots=True)
class PackageContent:
    """Content of a package.

    Attributes:
        digest: of all files, their paths included.
        files: each with its bytes.
    """

    digest: str
    files: tuple[tuple[PackageFile, bytes], ...] = field(compare=False)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(data) for _, data in self.files)


def files_of(name: str, places: list[Path]) -> list[PackageFile]:
    """Return the files of a package or module that go to workers.

    Hidden files, bytecode, and virtual environments stay behind.

    Args:
        name: of the top-level package or module.
        places: its directories, or its file.

    Raises:
        NotSentError: if it holds compiled code, or too many files.
        OSError: if it cannot be read.
    """
    found: dict[str, PackageFile] = {}
    for place in places:
        if place.is_file():
            entries = [_file(f"{name}{place.suffix}", place, place.stat())]
        else:
            entries = list(_walk(place, name, frozenset()))
        for entry in entries:
            if entry.name.endswith(_COMPILED):
                raise NotSentError(
                    f"it holds compiled code ({entry.path}), which runs only on machines like this one."
                    " Install it on the workers, or let `sparkopt pack` make an archive of this environment"
                )
            found.setdefault(entry.name, entry)
            if len(found) > _FILES:
                raise NotSentError(f"it has more than {_FILES:,} files")
    return [found[each] for each in sorted(found)]


@functools.lru_cache(maxsize=4)
def read(files: tuple[PackageFile, ...]) -> PackageContent:
    """Read a package. What was read is kept, for the next search: it is read again once a file has changed.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    contents = []
    for file in files:
        data = file.path.read_bytes()
        digest.update(f"{file.name}\0{file.path}\0{len(data)}\0".encode(errors="surrogateescape"))
        digest.update(data)
        contents.append((file, data))
    return PackageContent(digest.hexdigest(), tuple(contents))


def biggest(files: list[PackageFile]) -> str:
    """Name the biggest files."""
    largest = sorted(files, key=lambda file: -file.size)[:_SHOWN]
    return ", ".join(f"{file.path} ({in_mebibytes(file.size)})" for file in largest)


def in_mebibytes(size: int) -> str:
    """A number of bytes, as messages show it."""
    return f"{size / 2**20:,.1f} MiB"


def _walk(directory: Path, name: str, around: frozenset[str]) -> Iterator[PackageFile]:
    """Yield the files below a directory.

    Args:
        directory: the directory.
        name: its path in the archive.
        around: the directories that it is in, as a link may lead back to one of them.
    """
    real = os.path.realpath(directory)
    if real in around or any((directory / mark).exists() for mark in _ENVIRONMENTS):
        return
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name == "__pycache__" or entry.name.endswith(_BYTECODE):
            continue
        if entry.is_dir():
            yield from _walk(directory / entry.name, f"{name}/{entry.name}", around | {real})
        elif entry.is_file():
            yield _file(f"{name}/{entry.name}", directory / entry.name, entry.stat())


def _file(name: str, path: Path, status: os.stat_result) -> PackageFile:
    return PackageFile(name, path, status.st_size, status.st_mtime_ns)
