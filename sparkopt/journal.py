"""What survives a crash of the driver: every trial that was submitted, started, reported on and settled.

    study ───────▶ submitted ──▶ ┐
    coordinator ─▶ started      │  one SQLite file, write-ahead log, one connection, one lock
                   reported     ├─▶ written before anybody acts on it
                   settled ────▶ ┘
    the same fmin again ◀── entries, random state

Each call is a transaction. It survives the end of the process, whatever ended it; a crash of the machine may
cost the last moments (SQLite's ``synchronous=NORMAL``). What is too large for a message lies in files beside
the journal. A trial that was cancelled has not settled for the journal: the next search runs it.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import pickle
import re
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hyperopt import base

from sparkopt import storage
from sparkopt.coordinator import Payload, Reported, Settled, Started
from sparkopt.core.states import Outcome
from sparkopt.documents import Document
from sparkopt.errors import JournalError, JournalWarning, RefusedError, warn
from sparkopt.wire import codec
from sparkopt.wire.report_kinds import ReportKind

_FORMAT: Final = "1"
_ASKED: Final = "trials asked for"
_SCHEMA: Final = """
create table meta (key text primary key, value not null) without rowid;
create table trials (
    tid integer primary key,
    document blob not null,         -- pickled, as it was proposed
    checksum integer not null,      -- of that
    rstate blob,                    -- pickled, as it was after the proposal
    started real,                   -- seconds since the epoch, of the last attempt
    outcome text,                   -- of what settled it; null as long as nothing has
    settled real,                   -- seconds since the epoch
    place integer,                  -- among all that have settled
    kind text,                      -- of the exception, as hyperopt writes it
    reason text,                    -- a remote traceback, or why it was lost
    body blob,                      -- the pickled result
    file text,                      -- or the file that holds it
    body_checksum integer           -- of the pickled result
);
create table reports (
    number integer primary key,
    tid integer not null,
    kind text not null,
    name text not null,
    body blob,
    file text
);
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a search is about: a journal of another one is refused.

    Attributes:
        space: as hyperopt writes it.
        objective: its qualified name.
        algorithm: its qualified name, and what partials give it.
    """

    space: str
    objective: str
    algorithm: str

    @classmethod
    def of(cls, domain: base.Domain, fn: Callable[..., Any], algo: Callable[..., Any]) -> Identity:
        """The identity of a search."""
        return cls(_text(domain.expr), name_of(fn), name_of(algo))


def _text(value: object) -> str:
    """A value's text without what differs from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def name_of(function: Any) -> str:
    """A function's qualified name, and what partials give it."""
    if isinstance(function, functools.partial):
        given = [_text(repr(item)) for item in function.args]
        given += [f"{name}={_text(repr(item))}" for name, item in sorted(function.keywords.items())]
        return f"partial({', '.join([name_of(function.func), *given])})"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial as the journal has it.

    Attributes:
        document: as it was proposed.
        started: when its last attempt was sent to a worker, in seconds since the epoch; None if none was.
        outcome: how it settled; None if it did not.
        settled: when, in seconds since the epoch.
        place: among all trials that settled.
        result: the pickled result, if the outcome is OK.
        kind: the type of the exception, as hyperopt writes it, if the outcome is FAILED.
        reason: its remote traceback, or why the trial was lost.
        reports: what it said while it ran.
    """

    document: Document
    started: float | None
    outcome: Outcome | None
    settled: float
    place: int
    result: Payload | None
    kind: str
    reason: str
    reports: tuple[Reported, ...]


class Journal:
    """A search's journal. Thread-safe.

    Args:
        path: of its file; made if there is none.

    Raises:
        RefusedError: if the file is no journal, or another process writes it.
        JournalError: if it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._files = self._path.with_name(f"{self._path.name}-files")
        self._lock = threading.Lock()
        try:
            self._database = storage.open_database(self._path, _SCHEMA)
            (self._settled,) = self._database.execute("select coalesce(max(place), 0) from trials").fetchone()
            (self._reports,) = self._database.execute(
                "select coalesce(max(number), 0) from reports"
            ).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._database.close()

    def check(self, identity: Identity) -> None:
        """Make the journal this search's, or see that it is.

        Raises:
            RefusedError: if it is another search's; the message has the difference.
        """
        mine = {**dataclasses.asdict(identity), "format": _FORMAT}
        with self._writing() as database:
            theirs = dict(database.execute("select key, value from meta"))
            if not theirs:
                database.executemany("insert into meta values (?, ?)", mine.items())
                return
        for key, value in mine.items():
            if theirs.get(key) != value:
                raise RefusedError(
                    f"journal {self._path} is of a search with another {key}:\n"
                    + _difference(theirs.get(key, ""), value)
                    + "\nName another file to start anew, or give the search what the journal was made with."
                )

    # Writing. What the coordinator calls returns what is to be handed on to the study.

    def submitted(
        self, documents: Sequence[Document], rstate: Mapping[str, Any], asked: bool = False
    ) -> None:
        """Trials are about to be submitted, and this is the random state after their proposal.

        Args:
            documents: of the trials.
            rstate: of the search's generator.
            asked: whether somebody outside has asked for them, so that they do not count as proposals.
        """
        state, rows = pickle.dumps(rstate), []
        for document in documents:
            data = codec.dumps(document)
            rows.append((document["tid"], data, zlib.crc32(data), state))
        statement = "insert into trials (tid, document, checksum, rstate) values (?, ?, ?, ?)"
        if len(rows) == 1 and not asked:
            self._write(statement, rows[0])
            return
        with self._writing() as database:
            database.executemany(statement, rows)
            if asked:
                database.execute(
                    "insert into meta values (?, ?) on conflict (key) do update set value = value + ?",
                    (_ASKED, len(rows), len(rows)),
                )

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        self._write("update trials set started = ? where tid = ?", (started.time, started.tid))

    def reported(self, reported: Reported) -> Reported:
        """A trial has said something."""
        self._reports += 1
        kept = self._keep(reported.body, f"report-{self._reports}")
        self._write(
            "insert into reports values (?, ?, ?, ?, ?, ?)",
            (self._reports, reported.tid, reported.kind.value, reported.name, *_columns(kept)),
        )
        return dataclasses.replace(reported, body=kept)

    def settled(self, settled: Settled) -> Settled:
        """A trial has settled. One that was cancelled may run again in the next search."""
        if settled.outcome is Outcome.CANCELLED:
            return settled
        kept = self._keep(settled.result, f"result-{settled.tid}")
        kind, reason = "", settled.reason
        if settled.failure is not None:
            kind, reason = settled.failure.type, settled.failure.traceback or settled.failure.message
        self._settled += 1
        self._write(
            "update trials set outcome = ?, settled = ?, place = ?, kind = ?, reason = ?, body = ?,"
            " file = ?, body_checksum = ? where tid = ?",
            (
                settled.outcome.value,
                time.time(),
                self._settled,
                kind,
                reason,
                *_columns(kept),
                None if kept is None or not isinstance(kept.body, bytes) else zlib.crc32(kept.body),
                settled.tid,
            ),
        )
        return dataclasses.replace(settled, result=kept)

    def _keep(self, payload: Payload | None, name: str) -> Payload | None:
        """Have a payload that lies in a file of the coordinator's in one of ours."""
        if payload is None or isinstance(payload.body, bytes):
            return payload
        try:
            self._files.mkdir(exist_ok=True)
            path = Path(shutil.move(payload.body, self._files / name))
        except OSError as error:
            raise self._error(error) from error
        return Payload(path, kept=True)

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        """A transaction of one statement. SQLite lets go of the GIL in each, and has to get it back."""
        with self._lock:
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                raise self._error(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._database:
                    self._database.execute("begin immediate")
                    yield self._database
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _error(self, error: Exception) -> JournalError:
        return JournalError(
            f"the journal {self._path} cannot be read or written: {error}. What it holds is intact, and so"
            " are the trials of this search; make room or mend the disk, then run the same fmin again."
        )

    # Reading.

    def rstate(self) -> Mapping[str, Any] | None:
        """The random state after the last proposal; None if there was none."""
        with self._writing() as database:
            row = database.execute("select rstate from trials order by tid desc limit 1").fetchone()
        return None if row is None else pickle.loads(row[0])

    def asked(self) -> int:
        """How many of the trials somebody outside has asked for."""
        with self._writing() as database:
            row = database.execute("select value from meta where key = ?", (_ASKED,)).fetchone()
        return 0 if row is None else int(row[0])

    def entries(self) -> list[Entry]:
        """Every trial, in the order in which they were submitted."""
        with self._writing() as database:
            reports: dict[int, list[Reported]] = {}
            for tid, kind, name, body, file in database.execute(
                "select tid, kind, name, body, file from reports order by number"
            ):
                payload = self._payload(body, file)
                reports.setdefault(tid, []).append(Reported(tid, ReportKind(kind), name, payload))
            rows = database.execute(
                "select tid, document, started, outcome, settled, place, kind, reason, body, file from trials"
                " order by rowid"
            ).fetchall()
        lost = [tid for tid, *_, file in rows if file is not None and not (self._files / file).exists()]
        if lost:
            warn(
                f"the results of trials {lost} are gone from {self._files}: these trials run again",
                JournalWarning,
            )
        return [
            Entry(
                document=pickle.loads(document),
                started=started,
                outcome=None if outcome is None or tid in lost else Outcome(outcome),
                settled=settled or 0.0,
                place=place or 0,
                result=self._payload(body, file),
                kind=kind or "",
                reason=reason or "",
                reports=tuple(reports.get(tid, ())),
            )
            for tid, document, started, outcome, settled, place, kind, reason, body, file in rows
        ]

    def _payload(self, body: bytes | None, file: str | None) -> Payload | None:
        if file is not None:
            return Payload(self._files / file, kept=True)
        return None if body is None else Payload(body)


def _columns(payload: Payload | None) -> tuple[bytes | None, str | None]:
    """What stands for a payload in the database: its bytes, or the name of its file."""
    if payload is None:
        return None, None
    return (payload.body, None) if isinstance(payload.body, bytes) else (None, payload.body.name)


def _difference(theirs: str, mine: str) -> str:
    """Two texts, line by line, where they differ."""
    lines = difflib.unified_diff(
        theirs.splitlines(), mine.splitlines(), "journal", "this search", lineterm="", n=1
    )
    return "\n".join(f"    {line}" for line in lines)
