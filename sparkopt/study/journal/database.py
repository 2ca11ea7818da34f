"""A journal's file, made and opened for the one search that writes to it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from sparkopt.errors import RefusedError
from sparkopt.study.journal import pages
from sparkopt.study.journal.inspection import log_of
from sparkopt.study.journal.rows import (
    APPLICATION_ID,
    FORMAT,
    META_COLUMNS,
    REPORT_COLUMNS,
    SCHEMA,
    TRIAL_COLUMNS,
    Counts,
    Report,
    Row,
    Sealer,
    Trial,
)
from sparkopt.wire import owner_only


def make(
    path: Path,
    sealer: Sealer,
    meta: Mapping[str, str],
    trials: Iterable[Trial] = (),
    reports: Iterable[Report] = (),
    *,
    keep: bool = False,
) -> Path | None:
    """Put a journal at a path, whole as soon as it is there, in place of whatever is.

    Args:
        path: of its file, links followed.
        sealer: of its seals.
        meta: about its search.
        trials: that it is to hold.
        reports: of these.
        keep: whether what is there is kept under another name.

    Returns:
        That name.

    Raises:
        OSError: if the disk does not take it.
        sqlite3.Error: the same.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        with closing(sqlite3.connect(name, isolation_level=None)) as database:
            for pragma in (
                f"page_size = {pages.PAGE}",
                "journal_mode = off",
                "synchronous = off",
                f"application_id = {APPLICATION_ID}",
                f"user_version = {FORMAT}",
            ):
                database.execute(f"pragma {pragma}")
            database.executescript(SCHEMA)
            database.execute("begin")
            for table in ("meta", "meta_again"):
                _insert(database, table, META_COLUMNS, sealer.meta(meta))
            _insert(database, "trials", TRIAL_COLUMNS, map(sealer.trial, trials))
            _insert(database, "reports", REPORT_COLUMNS, map(sealer.report, reports))
            database.execute("commit")
        with Path(name).open("rb") as file:
            os.fsync(file.fileno())
        aside = _set_aside(path) if keep else None
        Path(name).replace(path)
        for sidecar in (log_of(path), path.with_name(f"{path.name}-shm")):
            sidecar.unlink(missing_ok=True)
        return aside
    finally:
        Path(name).unlink(missing_ok=True)


def _insert(database: sqlite3.Connection, table: str, columns: int, rows: Iterable[Row]) -> None:
    database.executemany(f"insert into {table} values ({', '.join('?' * columns)})", rows)


def connect(path: Path) -> sqlite3.Connection:
    """Open an undamaged journal for writing, and move the contents of its log into it.

    Raises:
        RefusedError: if another program has it open.
        sqlite3.Error: if the disk does not take it.
    """
    for file in (path, log_of(path)):
        if file.exists():
            owner_only.restrict(file)
    database = sqlite3.connect(path, timeout=0.1, isolation_level=None, check_same_thread=False)
    try:
        # Before the log is first touched: whoever has the file keeps it, and shared memory is not used.
        database.execute("pragma locking_mode = exclusive")
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        # What is in the log is moved to the database, which waits for the disk, after so many pages of 4 KiB.
        database.execute("pragma wal_autocheckpoint = 10000")
    except sqlite3.OperationalError as error:
        database.close()
        if "locked" not in str(error):
            raise
        raise RefusedError(
            f"journal {path} is in use by another program: wait for its end, or name another file"
        ) from error
    except BaseException:
        database.close()
        raise
    return database


def write_counts(
    database: sqlite3.Connection,
    sealer: Sealer,
    meta: dict[str, str],
    counts: Counts,
    more: Collection[str] = (),
) -> None:
    """Write the journal's counts and whether it is closed, and move everything into the file itself.

    The log of one that is not closed keeps its bytes: if it is empty, what was in it is lost.

    Args:
        database: the journal's.
        sealer: of its seals.
        meta: about its search; gets the counts.
        counts: of what it holds.
        more: keys of what else is written of that.

    Raises:
        sqlite3.Error: if the disk does not take it.
    """
    meta["counts"] = counts.to_text()
    rows = [row for row in sealer.meta(meta) if row[1] == "counts" or row[1] in more]
    database.execute("begin immediate")
    for table in ("meta", "meta_again"):
        database.executemany(f"insert or replace into {table} values (?, ?, ?, ?)", rows)
    database.execute("commit")
    database.execute(f"pragma wal_checkpoint({'truncate' if counts.closed else 'passive'})")


def _set_aside(path: Path) -> Path:
    """Copy a damaged journal to another name, and return that. What is in its log stays there.

    Raises:
        OSError: if the disk does not take it.
    """
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    if path.exists():
        try:
            # So that there is a journal at its path at every moment.
            aside.hardlink_to(path)
        except OSError:
            path.rename(aside)
        owner_only.restrict(aside)
    if log_of(path).exists():
        log_of(path).rename(log_of(aside))
        owner_only.restrict(log_of(aside))
    return aside
