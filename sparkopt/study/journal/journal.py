"""The journal of a search: read once when it begins, written while it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparkopt.coordinator import Payload, Reported, Settled, Started
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, JournalWarning, RefusedError, warn
from sparkopt.study.file_arguments import writable_file
from sparkopt.study.journal import beside
from sparkopt.study.journal.database import connect, make, write_counts
from sparkopt.study.journal.holding import Hold
from sparkopt.study.journal.identity import Identity, difference
from sparkopt.study.journal.inspection import EMPTY_LOG, Found, inspect, log_of
from sparkopt.study.journal.kept import KeptFiles
from sparkopt.study.journal.rows import FORMAT, Content, Counts, Ending, Report, Sealer, Stored, Trial, new_id
from sparkopt.wire import owner_only
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.report_kinds import ReportKind

_LOG: Final = ActorLog("study")

_OF_THE_DISK: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial as the journal has it.

    Attributes:
        tid: its number.
        own: the front end's own bytes, as it was proposed.
        started: when its last attempt was sent to a worker, in seconds since the epoch; None if none was.
        outcome: how it settled; None if it did not.
        settled: when, in seconds since the epoch.
        place: among all trials that settled.
        result: the pickled result, if the outcome is OK.
        kind: the type of the exception, if the outcome is FAILED.
        reason: its remote traceback, or why the trial was lost.
        reports: what it said while it ran.
    """

    tid: int
    own: bytes
    started: float | None
    outcome: Outcome | None
    settled: float
    place: int
    result: Payload | None
    kind: str
    reason: str
    reports: tuple[Reported, ...]


@dataclass(frozen=True, slots=True)
class SavedState:
    """State of a search's front end, as it was after the proposal of some trial.

    Attributes:
        value: the front end's bytes.
        tid: the trial's number.
        behind: how many trials were submitted after that one.
    """

    value: bytes
    tid: int
    behind: int


class Journal:
    """A search's journal. Thread-safe.

    It is looked at when it is opened, and written to once :meth:`check` has found that it is this search's.

    Args:
        path: of its file; made if there is none.

    Attributes:
        path: the same.

    Raises:
        RefusedError: if the file is no journal, cannot be written, or another search writes it.
        JournalError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        target = writable_file(path, "journal", beside.LONGER)
        beside.check(target)
        self.path = Path(path)
        self._target = target
        self._kept = KeptFiles(self.path.with_name(f"{self.path.name}-files"))
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._hold = Hold(target)
        try:
            self._found = inspect(target)
            self._content = self._found.content or Content()
            self._gone = self._forget_what_is_gone(self._content)
        except OSError as error:
            self._hold.release()
            raise self._error(error) from error
        except BaseException:
            self._hold.release()
            raise
        self._sealer = self._found.sealer or Sealer(new_id())
        self._meta: dict[str, str] = {}
        self._counts = self._content.counts
        endings = [trial.ending for trial in self._content.trials.values() if trial.ending is not None]
        self._settled = max((ending.place for ending in endings), default=0)
        self._trials = max((trial.number for trial in self._content.trials.values()), default=-1) + 1
        reports = [report for each in self._content.reports.values() for report in each.values()]
        self._reports = max((report.number for report in reports), default=0)
        self._said: dict[int, int] = {}
        self._asked = sum(trial.asked for trial in self._content.trials.values())
        self._state = _newest_state(self._content)

    def close(self) -> None:
        """Close the file. Idempotent."""
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
        """Whether the file that is written to is the one at the journal's path."""
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

    def check(self, identity: Identity) -> None:
        """Make the journal this search's, or see that it is; open it for writing.

        A journal that is damaged is made anew of what is whole in it, and the damaged file is kept.

        Raises:
            RefusedError: if it is another search's; the message has the difference.
            JournalError: if it cannot be written.
        """
        mine = {"format": str(FORMAT), **dataclasses.asdict(identity)}
        theirs = self._content.meta
        for key, value in mine.items():
            if theirs and key != "format" and theirs.get(key) != value:
                raise RefusedError(
                    f"journal {self.path} is of a search with another {key}:\n"
                    + difference(theirs.get(key, ""), value)
                    + "\nName another file to start anew, or give the search what the journal was made with."
                )
        self._meta = {**mine, "counts": ""}
        try:
            self._make_if_needed(self._found)
            self._database, self._opened = connect(self._target), self._target.stat()
            counts = dataclasses.replace(self._counts, openings=self._counts.openings + 1, closed=False)
            write_counts(self._database, self._sealer, self._meta, counts)
            self._counts = counts
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def _make_if_needed(self, found: Found) -> None:
        """Make a new file, if there is none that can be gone on with, and say what is lost."""
        if found.sealer is not None and not found.damage:
            self._say_what_is_gone()
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
        settled = sum(trial.ending is not None for trial in trials)
        self._sealer, self._counts = Sealer(new_id()), Counts(len(trials), settled, content.counts.openings)
        self._trials = len(trials)
        self._content.trials = {trial.tid: trial for trial in trials}
        meta = {**self._meta, "counts": self._counts.to_text()}
        damaged = bool(found.damage) and found.content is not None
        aside = make(self._target, self._sealer, meta, trials, reports, keep=damaged)
        if damaged:
            self._say_what_was_damaged(found.damage, settled, aside)
        elif found.damage:
            warn(
                f"journal {self.path} is {found.damage.removeprefix('it is ')}: if it has held trials, they"
                " are gone and run again",
                JournalWarning,
            )
        else:
            self._say_what_is_gone()

    def _say_what_was_damaged(self, damage: str, settled: int, aside: Path | None) -> None:
        trials = self._content.trials
        again = sorted(tid for tid, trial in trials.items() if trial.ending is None)
        missing = gaps(trials, self._content.counts.trials)
        warn(
            f"journal {self.path} was damaged ({damage}). {len(trials)} trials could be recovered, {settled}"
            " of them with their outcomes."
            + (f" Trials {listed(again)} have none any more, or had none: they run again." if again else "")
            + (
                f" Of trials {listed(missing)} nothing could be read: they are proposed anew."
                if missing
                else ""
            )
            + " Trials after the last of these, if there were any, could not be recovered either. The damaged"
            f" file is kept as {aside}.",
            JournalWarning,
        )

    def _say_what_is_gone(self) -> None:
        if self._gone:
            warn(
                f"the results of trials {listed(self._gone)} are gone from {self._kept.directory}, or"
                " damaged: these trials run again",
                JournalWarning,
            )

    def _forget_what_is_gone(self, content: Content) -> list[int]:
        """Have those trials not settled whose results or reports are not what was written; say which.

        Raises:
            OSError: if the disk does not give what it has.
        """
        broken, gone = [], []
        for tid, trial in content.trials.items():
            if trial.ending is None:
                continue
            reports = content.reports_of(trial)
            if reports is None:
                broken.append(tid)
            elif not all(map(self._kept.has, (trial.ending.result, *(each.value for each in reports)))):
                gone.append(tid)
        content.forget_endings([*broken, *gone])
        if broken and not self._found.damage:
            self._found.damage = f"reports of trials {listed(broken)} are missing"
        return sorted(gone)

    def _ending_digested(self, ending: Ending | None) -> Ending | None:
        if ending is None:
            return None
        return dataclasses.replace(ending, result=self._kept.digested(ending.result))

    # Writing. What the coordinator calls returns what is to be handed on to the study.

    def submitted(self, proposals: Sequence[tuple[int, bytes]], state: bytes, asked: bool = False) -> None:
        """Trials are about to be submitted, and this is the front end's state after their proposal.

        Args:
            proposals: the trials' numbers, each with the front end's own bytes.
            state: what the front end goes on from.
            asked: whether somebody outside has asked for them, so that they do not count as proposals.
        """
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
        self._trials += len(rows)

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        said = self._sealer.start(started.tid, started.time)
        self._write("update trials set started = ?, started_seal = ? where tid = ?", (*said, started.tid))

    def reported(self, reported: Reported) -> Reported:
        """A trial has said something."""
        self._reports += 1
        nth = self._said[reported.tid] = self._said.get(reported.tid, 0) + 1
        kept, stored = self._keep(reported.body, f"report-{self._reports}")
        report = Report(
            *(self._reports, reported.tid, self._counts.openings, nth),
            *(reported.kind.value, reported.name, stored),
        )
        self._write("insert into reports values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._sealer.report(report))
        return dataclasses.replace(reported, body=kept)

    def settled(self, settled: Settled) -> Settled:
        """A trial has settled. One that was cancelled may run again in the next search."""
        if settled.outcome is Outcome.CANCELLED:
            return settled
        kept, stored = self._keep(settled.result, f"result-{settled.tid}")
        kind, reason = "", settled.reason
        if settled.failure is not None:
            kind, reason = settled.failure.type, settled.failure.traceback or settled.failure.message
        self._settled += 1
        ending = Ending(
            *(settled.outcome.value, time.time(), self._settled, kind, reason),
            *(stored, self._counts.openings, self._said.pop(settled.tid, 0)),
        )
        self._write(
            "update trials set outcome = ?, settled = ?, place = ?, kind = ?, reason = ?, body = ?, file = ?,"
            " digest = ?, opening = ?, reports = ?, outcome_seal = ? where tid = ?",
            (*self._sealer.ending(settled.tid, ending), settled.tid),
        )
        return dataclasses.replace(settled, result=kept)

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

    def _error(self, error: Exception) -> JournalError:
        mend = "make room or mend the disk"
        if isinstance(error, OSError) and error.errno not in _OF_THE_DISK:
            mend = "see to that"
        return JournalError(
            f"the journal {self.path} cannot be read or written: {error}. What it holds is intact, and so"
            f" are the trials of this search; {mend}, then run the same fmin again."
        )

    # Reading.

    def state(self) -> SavedState | None:
        """The front end's newest state that can be read; None if there is none."""
        return self._state

    def asked(self) -> int:
        """Returns the number of trials that were requested from outside the search."""
        return self._asked

    def take_entries(self) -> list[Entry]:
        """Every trial, in the order in which they were submitted; they are in memory no longer after that."""
        content, self._content = self._content, Content()
        ordered = sorted(content.trials.values(), key=lambda trial: trial.number)
        return [self._entry(trial, content.reports_of(trial) or ()) for trial in ordered]

    def _entry(self, trial: Trial, reports: Collection[Report]) -> Entry:
        ending = trial.ending
        return Entry(
            tid=trial.tid,
            own=trial.own,
            started=trial.started,
            outcome=None if ending is None else Outcome(ending.outcome),
            settled=0.0 if ending is None else ending.settled,
            place=0 if ending is None else ending.place,
            result=None if ending is None else self._payload(ending.result),
            kind="" if ending is None else ending.kind,
            reason="" if ending is None else ending.reason,
            reports=tuple(
                Reported(each.tid, ReportKind(each.kind), each.name, self._payload(each.value))
                for each in reports
            ),
        )

    def _payload(self, stored: Stored) -> Payload | None:
        if stored.file is not None:
            return Payload(self._kept.directory / stored.file, kept=True)
        return None if stored.body is None else Payload(stored.body)


def _newest_state(content: Content) -> SavedState | None:
    """The newest state that is whole."""
    newest_first = sorted(content.trials.values(), key=lambda trial: -trial.number)
    for behind, trial in enumerate(newest_first):
        if trial.state is not None:
            return SavedState(trial.state, trial.tid, behind)
    return None


def gaps(tids: Collection[int], count: int = 0) -> list[int]:
    """Ids that no trial has although there were others later.

    Args:
        tids: the ids of the trials that there are.
        count: how many there were at least.
    """
    known = max(max(tids, default=-1) + 1, count)
    # An algorithm may number its trials as it likes: then nothing is known of those that are not there.
    return sorted({*range(known)} - {*tids}) if known <= 2 * max(len(tids), count) + 1000 else []


def listed(ids: Sequence[int]) -> str:
    """Ids as a list, cut short if it is long."""
    return f"{[*ids]}" if len(ids) <= 20 else f"[{', '.join(map(str, ids[:20]))} and {len(ids) - 20} more]"
