"""A search's journal in one file of SQLite's on a local disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sparkopt.coordinator import Payload, Started
from sparkopt.errors import JournalError, JournalWarning, warn
from sparkopt.study.file_arguments import writable_file
from sparkopt.study.journal import beside, described_dimensions
from sparkopt.study.journal.database import connect, make, write_counts
from sparkopt.study.journal.holding import Hold
from sparkopt.study.journal.identity import Identity
from sparkopt.study.journal.inspection import EMPTY_LOG, Found, inspect, log_of
from sparkopt.study.journal.kept import KeptFiles
from sparkopt.study.journal.rows import FORMAT, SAVED, Content, Counts, Ending, Report, Sealer, Stored, new_id
from sparkopt.study.journal.search_journal import SearchJournal, missing_reports
from sparkopt.wire import owner_only
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("study")


class Journal(SearchJournal):
    """A search's journal in a file.

    Args:
        path: of the file; made if there is none.

    Raises:
        RefusedError: if the file is not a journal, cannot be written, or another search writes it.
        JournalError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        target = writable_file(path, "journal", beside.LONGER)
        beside.check(target)
        super().__init__(Path(path))
        self._target = target
        self._kept = KeptFiles(self.path.with_name(f"{self.path.name}-files"))
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._hold = Hold(target)
        try:
            self._found = inspect(target)
            content = self._found.content or Content()
            self._gone, broken = self._forget_what_is_gone(content, self._kept.has)
        except OSError as error:
            self._hold.release()
            raise self._error(error) from error
        except BaseException:
            self._hold.release()
            raise
        self._sealer = self._found.sealer or Sealer(new_id())
        self._meta: dict[str, str] = {}
        self._found.damage = self._found.damage or missing_reports(broken)
        self._hold_content(content)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if os.getpid() != self._process:
            return
        with self._lock:
            database, self._database = self._database, None
            lost = database is not None and not self._is_in_place()
            if database is not None:
                self._close(database)
            self._hold.release()
        if lost:
            warn(
                f"journal {self.path} was removed, renamed or replaced while the search ran: the same fmin"
                " does not find there what this one has written. The trials of this search are whole.",
                JournalWarning,
            )

    def _is_in_place(self) -> bool:
        """Returns whether the file that is written to is the one at the journal's path."""
        try:
            return self._opened is not None and os.path.samestat(self._opened, self._target.stat())
        except OSError:
            return False

    def _close(self, database: sqlite3.Connection) -> None:
        try:
            counts = Counts(self._trials, self._count_settled(database), self._counts.openings, True)
            write_counts(database, self._sealer, self._meta, counts)
        except sqlite3.Error as error:
            # The disk is full, as the search has mostly heard by now. What it has written counts,
            # but a journal without a log would not be whole.
            _LOG.info("journal is left as by a driver that was killed", file=self.path, reason=error)
            database.close()
            if self._target.exists() and not log_of(self._target).exists():
                with contextlib.suppress(OSError), owner_only.create(log_of(self._target)) as log:
                    log.write(EMPTY_LOG)
        else:
            database.close()

    def _count_settled(self, database: sqlite3.Connection) -> int:
        (count,) = database.execute("select count(*) from trials where outcome is not null").fetchone()
        return int(count)

    def check(self, identity: Identity, dimensions: str = "") -> None:
        """Make the journal this search's, or see that it is; open it for writing."""
        mine = {"format": str(FORMAT), **dataclasses.asdict(identity)}
        self._refuse_another(mine)
        # Each has its row by its place: new ones come last.
        described = {described_dimensions.KEY: dimensions} if dimensions else {}
        self._meta = {**mine, "counts": "", **described}
        try:
            self._make_if_needed(self._found)
            self._database, self._opened = connect(self._target), self._target.stat()
            counts = dataclasses.replace(self._counts, openings=self._counts.openings + 1, closed=False)
            write_counts(self._database, self._sealer, self._meta, counts, more=described)
            self._counts = counts
            self._remove_outdated()
            self._kept.remove_all_but(f"{SAVED}-*", {each.value.file for each in self._saved.values()})
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def _make_if_needed(self, found: Found) -> None:
        """Make a new file, unless there is one that the search can go on with, and return what is lost."""
        if found.sealer is not None and not found.damage:
            self._say_what_is_gone(self._gone, self._kept.directory)
            return
        content = self._content
        ordered = sorted(content.trials.values(), key=lambda trial: trial.number)
        trials = [
            dataclasses.replace(trial, number=number, ending=self._ending_digested(trial.ending))
            for number, trial in enumerate(ordered)
        ]
        reports = [
            dataclasses.replace(report, value=self._kept.digested(report.value))
            for trial in trials
            for report in content.reports_of(trial) or ()
        ]
        reports += self._saved.values()
        settled = sum(trial.ending is not None for trial in trials)
        self._sealer, self._counts = Sealer(new_id()), Counts(len(trials), settled, content.counts.openings)
        self._trials = len(trials)
        self._content.trials = {trial.tid: trial for trial in trials}
        meta = {**self._meta, "counts": self._counts.to_text()}
        damaged = bool(found.damage) and found.content is not None
        aside = make(self._target, self._sealer, meta, trials, reports, keep=damaged)
        if damaged:
            self._say_what_was_damaged(found.damage, f"The damaged file is kept as {aside}.")
        elif found.damage:
            warn(
                f"journal {self.path} is {found.damage.removeprefix('it is ')}: if it has held trials, they"
                " are gone and run again",
                JournalWarning,
            )
        else:
            self._say_what_is_gone(self._gone, self._kept.directory)

    def _ending_digested(self, ending: Ending | None) -> Ending | None:
        if ending is None:
            return None
        return dataclasses.replace(ending, result=self._kept.digested(ending.result))

    # Writing.

    def _write_proposals(self, proposals: Sequence[tuple[int, bytes]], state: bytes, asked: bool) -> None:
        rows = [
            self._sealer.proposal(tid, number, asked, own, state)
            for number, (tid, own) in enumerate(proposals, self._trials)
        ]
        statement = (
            "insert into trials (tid, number, asked, document, proposal_seal, rstate, rstate_seal)"
            " values (?, ?, ?, ?, ?, ?, ?)"
        )
        if len(rows) == 1:
            self._write(statement, rows[0])
        else:
            with self._writing() as database:
                database.executemany(statement, rows)

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        said = self._sealer.start(started.tid, started.time)
        self._write("update trials set started = ?, started_seal = ? where tid = ?", (*said, started.tid))

    def _write_report(self, report: Report) -> None:
        self._write("insert into reports values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._sealer.report(report))

    def _write_ending(self, tid: int, ending: Ending) -> None:
        self._write(
            "update trials set outcome = ?, settled = ?, place = ?, kind = ?, reason = ?, body = ?, file = ?,"
            " digest = ?, opening = ?, reports = ?, outcome_seal = ? where tid = ?",
            (*self._sealer.ending(tid, ending), tid),
        )

    def _keep(self, payload: Payload | None, name: str) -> tuple[Payload | None, Stored]:
        """Have a payload that lies in a file of the coordinator's in one of ours."""
        if payload is None:
            return None, Stored()
        if isinstance(payload.body, bytes):
            return payload, Stored(payload.body)
        try:
            stored = self._kept.put(payload.body, name)
        except OSError as error:
            raise self._error(error) from error
        return self._payload(stored), stored

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        """A transaction of one statement. SQLite lets go of the GIL in each, and has to get it back."""
        with self._lock:
            assert self._database is not None
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                raise self._error(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            assert self._database is not None
            try:
                with self._database:
                    self._database.execute("begin immediate")
                    yield self._database
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _keep_saved(self, body: bytes | Path, name: str) -> tuple[Payload, Stored]:
        try:
            kept, stored = self._keep(Payload(body), name)
        except JournalError:
            self._kept.remove(Stored(file=name))  # what there is of it
            raise
        assert kept is not None
        return kept, stored

    def _write_saved(self, report: Report) -> None:
        self._write_report(report)

    def _fetch_saved(self, stored: Stored) -> Payload | None:
        try:
            return self._payload(stored) if self._kept.has(stored) else None
        except OSError as error:
            raise self._error(error) from error

    def _remove_saved(self, report: Report) -> None:
        self._write("delete from reports where number = ?", (report.number,))
        self._kept.remove(report.value)

    def _payload(self, stored: Stored) -> Payload | None:
        if stored.file is not None:
            return Payload(self._kept.directory / stored.file, kept=True)
        return None if stored.body is None else Payload(stored.body)
