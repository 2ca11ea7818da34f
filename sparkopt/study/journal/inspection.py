"""Inspection of a file before a journal is written to it: is it a journal, and which parts are intact.

the file's first bytes ──▶ none of ours: refused, nothing was opened by SQLite
        │
        ▼
SQLite, on the file itself if there is no log, which it then cannot change, or else on a copy of both
        │  every row's seals, SQLite's own check of the structure, how much of the log it took
        ├──▶ all is whole
        ▼
pages.py on both files ──▶ what can be read, and what was wrong
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from sparkopt.errors import JournalError, RefusedError
from sparkopt.study.journal import first_format, pages
from sparkopt.study.journal.rows import (
    APPLICATION_ID,
    FORMAT,
    MARK,
    META_COLUMNS,
    REPORT_COLUMNS,
    SCHEMA,
    TRIAL_COLUMNS,
    Content,
    Sealer,
)

_MAGIC: Final = b"SQLite format 3\0"
_APPLICATION: Final = slice(68, 72)
_ID: Final = re.compile(MARK + rb"[0-9a-f]{32}")
_HEAD: Final = 4 * pages.PAGE
_LOG_HEAD: Final = 32 * pages.PAGE
_LOG_ORDERS: Final = {b"\x37\x7f\x06\x82": "<", b"\x37\x7f\x06\x83": ">"}
"""The order of bytes in which a log's checksums are made, by its first four bytes."""

EMPTY_LOG: Final = b"nothing is in this log\n"
"""A log where all is in the file itself: shorter than a header, so that SQLite takes nothing of it."""

_VERSIONS: Final = (b"\1\1", b"\2\2")
"""Read and write versions in SQLite's header: without and with support for write-ahead logs."""

_TABLES: Final = {name: f"select * from {name}" for name in ("meta", "meta_again", "trials", "reports")}


_STATEMENTS: Final = (
    "select type, name, sql from sqlite_master where type != 'index' or sql like 'create unique %'"
)
_COMMENT: Final = re.compile(r"--[^\n]*")


@dataclass(slots=True)
class Found:
    """Result of inspecting a journal's path.

    Attributes:
        content: what can be read; None if there is no journal.
        sealer: of the journal's seals; None if it has none.
        damage: what is wrong; empty if nothing is.
    """

    content: Content | None = None
    sealer: Sealer | None = None
    damage: str = ""


class _DamagedError(Exception):
    """Something is not as it was written."""


def log_of(path: Path) -> Path:
    """Returns the path of a database's write-ahead log."""
    return path.with_name(f"{path.name}-wal")


def inspect(path: Path) -> Found:
    """Look at what there is. Writes nothing.

    Args:
        path: of the journal, links followed.

    Raises:
        RefusedError: if there is something else.
        JournalError: if nothing can be read of it.
        OSError: if the disk does not give it.
    """
    size, log_size = _size(path), _size(log_of(path))
    if not size and log_size <= pages.LOG_HEADER:
        emptied = "it is empty" if path.exists() else ""
        return Found(damage=emptied)
    _check_rollback(path)
    head, log_head = _first(path, _HEAD), _first(log_of(path), _LOG_HEAD)
    if not _is_journal(head, log_head):
        if not size:
            raise RefusedError(
                f"journal {path} is {'empty' if path.exists() else 'not there'}, and beside it lies"
                f" {log_of(path).name}, which is nothing without it: put the journal back, or move that one"
                " away to start anew"
            )
        what = "another program's SQLite database" if head.startswith(_MAGIC) else "not a journal"
        raise RefusedError(f"journal {path} is {what}: name another file, or move that one away")
    first = first_format.MARK in head + log_head and MARK not in head + log_head
    try:
        return _read_first(path, log_size) if first else _read(path, log_size, head)
    except (_DamagedError, sqlite3.Error, TypeError, ValueError, OverflowError) as error:
        damage = " ".join(str(error).split())
    found = _look_through(path, first)
    found.damage = damage
    return found


def _check_rollback(path: Path) -> None:
    """Refuse a file of SQLite's that a journal never has, and that SQLite would act on.

    Raises:
        JournalError: if there is one.
    """
    rollback = path.with_name(f"{path.name}-journal")
    if os.path.lexists(rollback):
        raise JournalError(
            f"beside the journal {path} is a file {rollback.name} that is not the journal's: SQLite would"
            " change the journal by it. Move it away, then run the same fmin again."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _first(path: Path, size: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def _is_journal(head: bytes, log_head: bytes) -> bool:
    if head.startswith(_MAGIC) and any(head[_APPLICATION]) and _application(head) != APPLICATION_ID:
        # Another program's, unless a bit of ours has changed.
        return _ID.search(head) is not None
    said = head + log_head
    return _application(head) == APPLICATION_ID or MARK in said or first_format.MARK in said


def _application(head: bytes) -> int:
    return int.from_bytes(head[_APPLICATION], "big")


@contextmanager
def _opened(path: Path, log_size: int) -> Iterator[sqlite3.Connection]:
    """A connection that can look at a database and changes nothing of it."""
    if not log_size:
        with closing(
            sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", uri=True)
        ) as database:
            yield database
        return
    with tempfile.TemporaryDirectory(prefix="sparkopt-journal-") as directory:
        copy = Path(directory, "journal")
        if path.exists():
            shutil.copyfile(path, copy)
        shutil.copyfile(log_of(path), log_of(copy))
        with closing(sqlite3.connect(copy)) as database:
            database.execute("pragma locking_mode = exclusive")
            yield database
            taken = database.execute("pragma wal_checkpoint(passive)").fetchone()[1]
        if _last_commit(log_of(path)) > max(taken, 0):
            raise _DamagedError("its write-ahead log is damaged")


def _last_commit(log: Path) -> int:
    """Returns the number of frames up to the last that ends a transaction: SQLite must use all of them."""
    last, salts = 0, b""
    with log.open("rb") as file:
        header = file.read(pages.LOG_HEADER)
        if _is_log_header(header):
            salts = header[16:24]
        number = 0
        while len(frame := file.read(pages.FRAME_HEADER)) == pages.FRAME_HEADER:
            number += 1
            salts = salts or frame[8:16]
            if frame[8:16] == salts and any(frame[4:8]):
                last = number
            file.seek(pages.PAGE, 1)
    return last


def _is_log_header(header: bytes) -> bool:
    """Returns whether a log's header is whole: SQLite takes nothing of a log if it is not."""
    order = _LOG_ORDERS.get(header[:4])
    if order is None or len(header) < pages.LOG_HEADER:
        return False
    words, first, second = struct.unpack(f"{order}6I", header[:24]), 0, 0
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) % 2**32
        second = (second + other + first) % 2**32
    return header[24:32] == struct.pack(">2I", first, second)


def _has_log(path: Path) -> bool:
    """Returns whether a journal that was not closed has its log, which its opening writes to."""
    log = _first(log_of(path), pages.LOG_HEADER)
    return log == EMPTY_LOG or _is_log_header(log)


def _check_structure(database: sqlite3.Connection) -> None:
    (said,) = database.execute("pragma quick_check(1)").fetchone()
    if said != "ok":
        raise _DamagedError(str(said))


def _check_schema(database: sqlite3.Connection) -> None:
    """See that no table of ours has been changed, and that nothing is there which acts on what is written."""
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(SCHEMA)
        ours = {name: sql for _, name, sql in model.execute(_STATEMENTS)}
    for kind, name, sql in database.execute(_STATEMENTS):
        if kind != "table":
            raise _DamagedError(f"somebody has given it the {kind} {name}")
        if name in ours and _bare(sql) != _bare(ours[name]):
            raise _DamagedError(f"somebody has changed its table {name}")


def _bare(sql: str) -> str:
    return " ".join(_COMMENT.sub("", sql).split())


def _read(path: Path, log_size: int, head: bytes) -> Found:
    content = Content()
    if head and head[18:20] not in _VERSIONS:
        raise _DamagedError("its header says that SQLite may not write to it")
    with _opened(path, log_size) as database:
        _check_structure(database)
        _check_schema(database)
        (version,) = database.execute("pragma user_version").fetchone()
        (application,) = database.execute("pragma application_id").fetchone()
        (journal,) = database.execute("select value from meta where key = 'id'").fetchone() or ("",)
        if (application, version) != (APPLICATION_ID, FORMAT):
            raise _DamagedError(f"its header says format {version}")
        said = _ID.search(head)
        if said is not None and said[0] != str(journal).encode():
            raise _DamagedError("its write-ahead log is another journal's")
        sealer = Sealer(str(journal))
        takers = (sealer.take_meta, sealer.take_meta, sealer.take_trial, sealer.take_report)
        for (table, select), take in zip(_TABLES.items(), takers, strict=True):
            broken = [row[0] for row in database.execute(select) if not take(row, content)]
            if broken:
                raise _DamagedError(
                    f"the rows {_listed(broken)} of its table {table} are not what was written"
                )
    if lacking := content.lacking() or _missing_meta(content):
        raise _DamagedError(lacking)
    if not content.counts.closed and not _has_log(path):
        raise _DamagedError("its write-ahead log is missing, and with it what was written last")
    return Found(content, sealer)


def _missing_meta(content: Content) -> str:
    missing = {"id", "format", "counts"} - {*content.meta}
    return f"its table meta lacks {sorted(missing)}" if missing else ""


def _read_first(path: Path, log_size: int) -> Found:
    content, reader = Content(), first_format.Reader()
    takers = {"meta": reader.take_meta, "trials": reader.take_trial, "reports": reader.take_report}
    with _opened(path, log_size) as database:
        _check_structure(database)
        for table, select in first_format.TABLES.items():
            taken = [takers[table](row, content) for row in database.execute(select)]
            if not all(taken):
                raise _DamagedError(
                    f"{taken.count(False)} rows of its table {table} are not what was written"
                )
    reader.finish(content)
    return Found(content)


def _look_through(path: Path, first: bool) -> Found:
    """Find what can be read although something is damaged.

    Raises:
        JournalError: if that is nothing, or it cannot be told what search it is of.
    """
    with _content(path) as database, _content(log_of(path)) as log:
        if first:
            found = _gather_first(lambda: pages.rows(database, log))
        else:
            found = _gather(lambda: pages.rows(database, log), _ids(database, log))
    if found is None:
        raise JournalError(
            f"journal {path} is damaged, and no longer says which search it belongs to: move it away,"
            f" with {log_of(path).name} if that is there, to start anew, or put a copy in its place"
        )
    return found


_Rows = Callable[[], Iterator[tuple[Any, ...]]]


def _gather(rows: _Rows, ids: list[str]) -> Found | None:
    for journal in ids:
        sealer, content = Sealer(journal), Content()
        takers = {
            META_COLUMNS: sealer.take_meta,
            TRIAL_COLUMNS: sealer.take_trial,
            REPORT_COLUMNS: sealer.take_report,
        }
        for row in rows():
            if (take := takers.get(len(row))) is not None:
                _try(take, row, content)
        if content.meta.get("format") == str(FORMAT):
            return Found(content, sealer)
    return None


def _gather_first(rows: _Rows) -> Found | None:
    content, reader = Content(), first_format.Reader()
    takers = {
        first_format.META_COLUMNS: reader.take_meta,
        first_format.TRIAL_COLUMNS: reader.take_trial,
        first_format.REPORT_COLUMNS: reader.take_report,
    }
    for row in rows():
        if (take := takers.get(len(row))) is not None:
            _try(take, row, content)
    reader.finish(content)
    return Found(content) if {"space", "objective", "algorithm"} <= {*content.meta} else None


def _try(take: Callable[[tuple[Any, ...], Content], bool], row: tuple[Any, ...], content: Content) -> None:
    """Take what may be a row, or may be anything."""
    try:
        take(row, content)
    except (TypeError, ValueError, OverflowError):
        return


def _ids(*sources: bytes) -> list[str]:
    """Returns the candidates for the journal's id, in the order of the sources."""
    found: dict[str, None] = {}
    for source in sources:
        for match in _ID.finditer(source):
            found[match[0].decode()] = None
    return list(found)


@contextmanager
def _content(path: Path) -> Iterator[Any]:
    """A file's bytes, as they are needed."""
    if not _size(path):
        yield b""
        return
    file: IO[bytes]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _listed(keys: list[Any]) -> str:
    shown = ", ".join(map(str, keys[:20]))
    return f"{shown} and {len(keys) - 20} more" if len(keys) > 20 else shown
