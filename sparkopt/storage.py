"""A SQLite file that outlives crashes: opened for one writer, and what can be had of a damaged one."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sparkopt.errors import JournalWarning, RefusedError, warn

_HEADER: Final = b"SQLite format 3\0"

_LONGEST: Final = 2**40
"""A header that claims more bytes than this is damaged itself."""

_MISSES: Final = 1000
"""How many rows in a row may be unreadable before the rest of a table is given up."""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a journal's file, or make it. A damaged one is moved aside, and what is whole in it copied over.

    Args:
        path: of the file.
        schema: of a new one.

    Raises:
        RefusedError: if the file is something else, another process has it, or nothing in it can be read.
        sqlite3.Error: if the disk does not take it.
    """
    new = not path.exists() or path.stat().st_size == 0
    if not new:
        with path.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise RefusedError(f"journal {path} is no journal: name another file, or move that one away")
    elif not path.parent.is_dir():
        raise RefusedError(f"journal {path} cannot be made: there is no directory {path.parent}")
    try:
        database = _connect(path)
        damage = "" if new else _damage(database)
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise RefusedError(
            f"journal {path} is in use by another search: wait for its end, or name another file"
        ) from error
    if new:
        database.executescript(schema)
    if not damage:
        return database
    database.close()
    return _mended(path, schema, damage)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=0.1, isolation_level=None, check_same_thread=False)
    try:
        # Before the log is first touched: whoever has the file keeps it.
        database.execute("pragma locking_mode = exclusive")
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        # What is in the log is moved to the database, which waits for the disk, after so many pages of 4 KiB.
        database.execute("pragma wal_autocheckpoint = 10000")
    except sqlite3.OperationalError:
        database.close()
        raise
    except sqlite3.DatabaseError:
        pass  # damaged: seen below
    return database


def _damage(database: sqlite3.Connection) -> str:
    """What is wrong with a database; empty if nothing is."""
    try:
        (said,) = database.execute("pragma quick_check(1)").fetchone()
        database.execute("select count(*) from meta, trials, reports where 0").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            database.close()
            raise
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else " ".join(str(said).split())


def _mended(path: Path, schema: str, damage: str) -> sqlite3.Connection:
    """A new database at this path with what can be read of the one that is there."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-journal-") as directory:
        copy = Path(directory, "journal")
        for suffix in ("", "-wal"):
            if (part := path.with_name(path.name + suffix)).exists():
                shutil.copyfile(part, f"{copy}{suffix}")
        _lengthen(copy)
        tables = _read(copy)
    if not tables["meta"]:
        raise RefusedError(
            f"journal {path} is damaged ({damage}) and nothing in it can be read: move it away to start anew"
        )
    aside = _unused(path)
    for suffix in ("", "-wal"):
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(f"{aside}{suffix}")
    database = _connect(path)
    database.executescript(schema)
    with database:
        database.execute("begin")
        for table, rows in tables.items():
            if rows:
                places = ", ".join("?" * len(rows[0]))
                database.executemany(f"insert into {table} values ({places})", rows)
    trials = tables["trials"]
    settled = sum(row[_OUTCOME] is not None for row in trials)
    missing = sorted(set(range(max((row[0] for row in trials), default=-1) + 1)) - {row[0] for row in trials})
    warn(
        f"journal {path} was damaged ({damage}). {len(trials)} trials could be recovered, {settled} of them"
        f" with their outcomes{f'; trials {missing} could not' if missing else ''}; trials after the last of"
        f" these, if there were any, could not either. The damaged file is kept as {aside}.",
        JournalWarning,
    )
    return database


def _lengthen(path: Path) -> None:
    """Make a truncated database as long as its header says: SQLite reads nothing of it otherwise."""
    with path.open("r+b") as file:
        header = file.read(100)
        page = int.from_bytes(header[16:18], "big")
        pages = int.from_bytes(header[28:32], "big")
        whole = pages * (page if page > 1 else 65536)
        if path.stat().st_size < whole < _LONGEST:
            file.truncate(whole)


_DOCUMENT, _CHECKSUM, _OUTCOME, _BODY, _BODY_CHECKSUM = 1, 2, 5, 10, 12
"""Where columns of a trial stand."""


def _read(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table that are whole."""
    database = sqlite3.connect(path)
    try:
        trials = [
            _without_broken_result(row)
            for row in _rows(database, "trials", "tid")
            if zlib.crc32(row[_DOCUMENT]) == row[_CHECKSUM]
        ]
        return {
            "meta": list(_rows(database, "meta", None)),
            "trials": trials,
            "reports": list(_rows(database, "reports", "number")),
        }
    finally:
        database.close()


def _without_broken_result(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row, with its outcome forgotten if its result is not what was written."""
    if row[_BODY] is None or zlib.crc32(row[_BODY]) == row[_BODY_CHECKSUM]:
        return row
    return (*row[:_OUTCOME], *[None] * (len(row) - _OUTCOME))


def _rows(database: sqlite3.Connection, table: str, key: str | None) -> Iterator[tuple[Any, ...]]:
    """A table's rows, as far as they can be read."""
    last, misses = -1, 0
    after = f" where {key} > ? order by {key}" if key is not None else ""
    while misses < _MISSES:
        try:
            for row in database.execute(f"select * from {table}{after}", (last,) if key is not None else ()):
                yield row
                if key is not None:
                    last, misses = row[0], 0
        except sqlite3.DatabaseError:
            if key is None:
                return
            last, misses = last + 1, misses + 1
        else:
            return


def _unused(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
