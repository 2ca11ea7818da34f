"""The files beside a journal: their names, and a look at whether they are what a journal has there.

SQLite and the journal open them by these names. So whatever else lies there is told of before that: it would
be written to, or waited for.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from sparkopt.errors import RefusedError
from sparkopt.study.file_arguments import kind_of

LONGER: Final = 20
"""Bytes reserved for suffixes of a journal's name: enough for ``.damaged-100-wal``, and some to spare."""

_FILES: Final = ("-wal", "-shm", "-lock")
_DIRECTORY: Final = "-files"
_ROLLBACK: Final = "-journal"


def check(path: Path) -> None:
    """Refuse what lies in the place of a file of a journal's and cannot be one.

    Args:
        path: of the journal, links followed.

    Raises:
        RefusedError: naming it.
    """
    for suffix in _FILES:
        beside = path.with_name(path.name + suffix)
        if os.path.lexists(beside) and not stat.S_ISREG(mode := beside.lstat().st_mode):
            raise _in_the_way(path, beside, kind_of(mode), "a file")
    files = path.with_name(path.name + _DIRECTORY)
    if os.path.lexists(files) and not files.is_dir():
        raise _in_the_way(path, files, kind_of(files.lstat().st_mode), "a directory")


def belongs(file: Path, journal: Path) -> bool:
    """Returns whether a path is that of a journal, or one that the journal uses.

    Args:
        file: the path, links followed.
        journal: the path of the journal, which may be a directory, links followed.
    """
    names = {journal.name + suffix for suffix in ("", *_FILES, _DIRECTORY, _ROLLBACK)}
    directories = {journal, journal.with_name(f"{journal.name}{_DIRECTORY}")}
    return not directories.isdisjoint(file.parents) or (file.parent == journal.parent and file.name in names)


def _in_the_way(path: Path, beside: Path, kind: str, expected: str) -> RefusedError:
    return RefusedError(
        f"beside the journal {path} is {beside.name}, {kind}, where the journal has {expected} of its own:"
        " move it away, then run the same fmin again"
    )
