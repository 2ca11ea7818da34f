"""Directories as tar archives, which the next attempt of a trial unpacks, maybe on another machine.

A link stays a link as long as it leads to something in the directory, also if it is written with an absolute
path. Of a link that leads out of the directory, what it leads to is packed in its place. A link that leads
nowhere stays what it is.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class _Entry:
    """Entry of an archive.

    Attributes:
        path: of what is packed.
        name: within the archive.
        link: where it leads, if it is packed as a link.
    """

    path: Path
    name: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class _Root:
    """A directory that is packed with everything below it: the first one, or one that a link leads to."""

    path: Path
    name: str


def size_of(directory: Path) -> int:
    """Returns how many bytes the files of a directory have that :func:`pack` would pack."""
    sizes = {}
    for entry in _entries(directory):
        if entry.link is None and entry.path.is_file():
            status = entry.path.stat()
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def pack(directory: Path, output: Any) -> None:
    """Write a directory to a stream.

    Args:
        directory: to be packed.
        output: with a method ``write``.

    Raises:
        OSError: if a file cannot be read, or the stream does not take it.
    """
    import tarfile  # which few trials need

    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in _entries(directory):
            if entry.link is None:
                archive.add(entry.path, entry.name, recursive=False)
            else:
                info = archive.gettarinfo(entry.path, entry.name)
                info.linkname = entry.link
                archive.addfile(info)


def unpack(file: IO[bytes], directory: Path) -> None:
    """Make what was packed, in a directory.

    Raises:
        OSError: if the disk does not take it.
    """
    import tarfile

    with tarfile.open(fileobj=file, mode="r|") as archive:
        # It is the search's own: its links and permissions are to be what they were.
        archive.extraction_filter = lambda member, path: member
        archive.extractall(directory)


def _entries(directory: Path) -> Iterator[_Entry]:
    top = directory.resolve()  # not a link to it, such as `latest`
    yield from _walk(top, ".", (_Root(top, "."),))


def _walk(path: Path, name: str, roots: tuple[_Root, ...]) -> Iterator[_Entry]:
    if path.is_symlink():
        link, target = _followed(path, name, roots)
        if target is None:
            yield _Entry(path, name, link)
            return
        path, roots = target, (*roots, _Root(target, name))
    yield _Entry(path, name)
    if path.is_dir():
        for child in sorted(path.iterdir()):
            yield from _walk(child, f"{name}/{child.name}", roots)


def _followed(path: Path, name: str, roots: tuple[_Root, ...]) -> tuple[str, Path | None]:
    """Returns where a link leads in the archive, and None; or what is to be packed in its place."""
    leads = path.readlink()
    link = str(leads)
    if not leads.is_absolute() and _is_in(Path(os.path.normpath(path.parent / leads)), roots[-1].path):
        return link, None
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return link, None
    for root in reversed(roots):
        if _is_in(target, root.path):
            there = posixpath.normpath(posixpath.join(root.name, target.relative_to(root.path).as_posix()))
            return posixpath.relpath(there, posixpath.dirname(name)), None
    return link, target


def _is_in(path: Path, directory: Path) -> bool:
    return path == directory or directory in path.parents
