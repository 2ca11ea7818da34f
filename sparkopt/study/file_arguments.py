"""Arguments that name a file to write to: checked before anything is started."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from sparkopt.errors import RefusedError

_URI: Final = re.compile(r"file:|[A-Za-z][A-Za-z0-9+.-]+:/")

_KINDS: Final = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_TEMPORARY: Final = 10
"""Bytes by which the name of a file's temporary copy is longer than the file's own name."""


def kind_of(mode: int) -> str:
    """Names the kind of file at a path, in words.

    Args:
        mode: the ``st_mode`` of the file's status.
    """
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def file_path(value: object, argument: str) -> Path:
    """The path that an argument gives, if it can be one.

    Args:
        value: what was given.
        argument: its name.

    Raises:
        RefusedError: if it is not a path of this machine's file system; the message names the argument.
    """
    given = value
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    if not isinstance(given, str):
        raise RefusedError(
            f"{argument} must be the path of a file, as text or os.PathLike of text; got {value!r:.100},"
            f" a {type(value).__name__}"
        )
    if not given or given.isspace():
        raise RefusedError(f"{argument} is an empty path: name a file")
    if "\0" in given:
        raise RefusedError(f"{argument} {given!r:.200} holds a null character: name a file without one")
    if given == ":memory:":
        raise RefusedError(f"{argument} {given!r} would be gone with this process: name a file")
    if _URI.match(given):
        raise RefusedError(
            f"{argument} {given!r:.200} is a URI; the path of a file is expected, as this machine's file"
            " system has it"
        )
    if given.startswith(f"~{os.sep}") and not os.path.lexists("~"):
        raise RefusedError(
            f"{argument} {given!r:.200}: ~ is not a directory here: give os.path.expanduser({given!r:.200})"
        )
    if given.endswith(os.sep):
        raise RefusedError(f"{argument} {given!r:.200} names a directory: name a file in it")
    return Path(given)


def writable_file(value: object, argument: str, longer: int = _TEMPORARY) -> Path:
    """The file that an argument names, links followed, if it is one, or can be made, and can be written.

    Nothing is made or opened to find out.

    Args:
        value: what was given.
        argument: its name.
        longer: most bytes that are added to its name for the files that will be made beside it.

    Raises:
        RefusedError: if it is not; the message begins with the argument's name and path.
    """
    path = file_path(value, argument)
    what = f"{argument} {path}"
    try:
        target = _followed(path, what)
        status = target.stat() if os.path.lexists(target) else None
        parent = target.parent.stat()
    except FileNotFoundError:
        raise RefusedError(
            f"{what} cannot be made: there is no directory {path.parent}. Make it, or name another file."
        ) from None
    except OSError as error:
        raise RefusedError(f"{what} cannot be used: {error.strerror or error}. Name another file.") from error
    if not stat.S_ISDIR(parent.st_mode):
        raise RefusedError(f"{what} cannot be made: {path.parent} is not a directory. Name another file.")
    if status is not None and not stat.S_ISREG(status.st_mode):
        where = " in it" if stat.S_ISDIR(status.st_mode) else ""
        raise RefusedError(f"{what} is {kind_of(status.st_mode)}: name a file{where}")
    most = _longest_name(target.parent)
    if len(os.fsencode(target.name)) + longer > most:
        raise RefusedError(
            f"{what} has too long a name: {most - longer} bytes are possible in {target.parent}, as the names"
            " of the files beside it are longer. Name another file."
        )
    if status is not None and not os.access(target, os.R_OK | os.W_OK):
        raise RefusedError(
            f"{what} cannot be written: you may not read and write that file. Name another one."
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise RefusedError(
            f"{what} cannot be written: you may not make files in {target.parent}. Name a file in a directory"
            " that you may write to."
        )
    return target


def _longest_name(directory: Path) -> int:
    """Returns the most bytes that a file's name may have in a directory."""
    try:
        return os.pathconf(directory, "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255


def _followed(path: Path, what: str) -> Path:
    """Resolves a path; raises :class:`RefusedError` for a symbolic link that leads nowhere."""
    if not path.is_symlink():
        return path.parent.resolve(strict=True) / path.name
    try:
        return path.resolve(strict=True)
    except (FileNotFoundError, RuntimeError):  # the latter for a loop of links, before Python 3.13
        raise RefusedError(
            f"{what} is a symbolic link that leads nowhere ({path.readlink()}): fix it, or name another file"
        ) from None
