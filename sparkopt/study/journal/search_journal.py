"""Journal of a search, whatever keeps it: what is read when the search begins, and what is written down.

SearchJournal     numbers what comes, and tells what was there
├── Journal           one file of SQLite's on a local disk
└── SegmentJournal    a log of whole objects in any store
"""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sparkopt.coordinator import Payload, Reported, ReportedValues, Settled, Started
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, JournalWarning, RefusedError, SparkoptError, warn
from sparkopt.study.journal.identity import Identity, difference
from sparkopt.study.journal.rows import SAVED, VALUES, Content, Ending, Report, Stored, Trial
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.value_series import ValueSeries

WordT = TypeVar("WordT", Outcome, ReportKind)

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
        values: intermediate values that it reported; None if it reported none.
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
    values: ValueSeries | None = None


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


class SearchJournal(ABC):
    """A search's journal. Thread-safe.

    It is looked at when it is opened, and written to once :meth:`check` has found that it is this search's.

    Attributes:
        path: its path or address, as messages have it.

    Args:
        path: the same.
    """

    def __init__(self, path: Any) -> None:
        self.path = path
        self._process = os.getpid()
        self._said: dict[int, int] = {}
        self._numbering = threading.Lock()
        self._values: dict[int, tuple[int, ValueSeries]] = {}
        self._hold_content(Content())

    def _hold_content(self, content: Content) -> None:
        """Go on from what was read."""
        trials = content.trials.values()
        self._content, self._counts = content, content.counts
        endings = [trial.ending for trial in trials if trial.ending is not None]
        self._settled = max((ending.place for ending in endings), default=0)
        self._trials = max((trial.number for trial in trials), default=-1) + 1
        self._saved = content.checkpoints()
        self._outdated = [each for tid, each in content.saved.items() if tid not in self._saved]
        reports = [report for each in (*content.reports.values(), content.saved) for report in each.values()]
        self._reports = max((report.number for report in reports), default=0)
        self._asked = sum(trial.asked for trial in trials)
        self._state = _newest_state(content)

    @abstractmethod
    def check(self, identity: Identity, dimensions: str = "") -> None:
        """Make the journal this search's, or see that it is; open it for writing.

        A journal that is damaged is made anew of what is whole in it, and what is damaged is kept.

        Args:
            identity: of the search.
            dimensions: of its space, as :mod:`.described_dimensions` writes them, for those who look at the
                journal; empty if they are not known.

        Raises:
            RefusedError: if it is another search's; the message has the difference.
            JournalError: if it cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what is left to be written, and let go of the journal. Idempotent.

        In a process that was forked meanwhile it does nothing: the journal is its parent's.
        """

    @property
    def is_full(self) -> bool:
        """True if so much waits to be written that no more trials may be begun."""
        return False

    def watch(self, room: Callable[[], None], failed: Callable[[SparkoptError], None]) -> None:  # noqa: B027
        """Have a search hear of what happens in other threads than its own.

        Args:
            room: called when :attr:`is_full` is false again.
            failed: called with an error if nothing more can be written.
        """

    def until_kept(self) -> None:  # noqa: B027
        """Wait until everything that was recorded by now survives the end of this process.

        Raises:
            JournalError: if it cannot be written.
        """

    def _refuse_another(self, mine: dict[str, str]) -> None:
        theirs = self._content.meta
        for key, value in mine.items():
            if theirs and key != "format" and theirs.get(key) != value:
                raise RefusedError(
                    f"journal {self.path} is of a search with another {key}:\n"
                    + difference(theirs.get(key, ""), value)
                    + "\nName another file to start anew, or give the search what the journal was made with."
                )

    def _say_what_was_damaged(self, damage: str, kept: str) -> None:
        trials = self._content.trials
        settled = sum(trial.ending is not None for trial in trials.values())
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
            + f" Trials after the last of these, if there were any, could not be recovered either. {kept}",
            JournalWarning,
        )

    def _forget_what_is_gone(
        self, content: Content, has: Callable[[Stored], bool]
    ) -> tuple[list[int], list[int]]:
        """Have those trials not settled whose results or reports are not what was written.

        Args:
            content: of the journal.
            has: says whether a result or report is there as it was written; it may raise.

        Returns:
            Those whose results or reports are gone, and those of whose reports nothing is known.
        """
        broken, gone = [], []
        for tid, trial in content.trials.items():
            if trial.ending is None:
                continue
            reports = content.reports_of(trial)
            if reports is None:
                broken.append(tid)
            elif not all(map(has, (trial.ending.result, *(each.value for each in reports)))):
                gone.append(tid)
        content.forget_endings([*broken, *gone])
        return sorted(gone), sorted(broken)

    def _say_what_is_gone(self, gone: Sequence[int], place: object) -> None:
        if gone:
            warn(
                f"the results of trials {listed(gone)} are gone from {place}, or damaged: these trials run"
                " again",
                JournalWarning,
            )

    # Writing. What the coordinator calls returns what is to be handed on to the study.

    def submitted(self, proposals: Sequence[tuple[int, bytes]], state: bytes, asked: bool = False) -> None:
        """Trials are about to be submitted, and this is the front end's state after their proposal.

        Args:
            proposals: the trials' numbers, each with the front end's own bytes.
            state: what the front end goes on from.
            asked: whether somebody outside has asked for them, so that they do not count as proposals.
        """
        self._write_proposals(proposals, state, asked)
        self._trials += len(proposals)

    @abstractmethod
    def _write_proposals(self, proposals: Sequence[tuple[int, bytes]], state: bytes, asked: bool) -> None:
        """Write down trials, whose numbers begin with that of the trials so far."""

    @abstractmethod
    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""

    def reported(self, reported: Reported) -> Reported:
        """A trial has said something."""
        kept, stored = self._keep(reported.body, f"report-{self._reports + 1}")
        self._add_report(reported.tid, reported.kind.value, reported.name, stored)
        return dataclasses.replace(reported, body=kept)

    def _add_report(self, tid: int, kind: str, name: str, stored: Stored) -> None:
        number = self._next_report()
        nth = self._said[tid] = self._said.get(tid, 0) + 1
        self._write_report(Report(number, tid, self._counts.openings, nth, kind, name, stored))

    def _next_report(self) -> int:
        with self._numbering:
            self._reports += 1
            return self._reports

    def reported_values(self, reported: ReportedValues) -> None:
        """A trial has reported intermediate values. They are written when it settles."""
        attempt, series = self._values.get(reported.tid) or (reported.attempt, ValueSeries())
        if attempt != reported.attempt:
            series = series.before(reported.steps[0])
        series.extend(reported.steps, reported.values)
        self._values[reported.tid] = reported.attempt, series

    def settled(self, settled: Settled) -> Settled:
        """A trial has settled. One that was cancelled may run again in the next search."""
        _, values = self._values.pop(settled.tid, (0, None))
        if settled.outcome is Outcome.CANCELLED:
            return settled
        if values is not None:
            self._add_report(settled.tid, VALUES, "", Stored(values.to_bytes()))
        kept, stored = self._keep(settled.result, f"result-{settled.tid}")
        kind, reason = "", settled.reason
        if settled.failure is not None:
            kind, reason = settled.failure.type, settled.failure.traceback or settled.failure.message
        self._settled += 1
        ending = Ending(
            *(settled.outcome.value, time.time(), self._settled, kind, reason),
            *(stored, self._counts.openings, self._said.pop(settled.tid, 0)),
        )
        self._write_ending(settled.tid, ending)
        return dataclasses.replace(settled, result=kept)

    @abstractmethod
    def _write_report(self, report: Report) -> None:
        """Write down a report."""

    @abstractmethod
    def _write_ending(self, tid: int, ending: Ending) -> None:
        """Write down that a trial has settled."""

    @abstractmethod
    def _keep(self, payload: Payload | None, name: str) -> tuple[Payload | None, Stored]:
        """Have a payload kept, by a name of its own; return it as the study gets it, and as it is stored."""

    @abstractmethod
    def _payload(self, stored: Stored) -> Payload | None:
        """Return what is stored as the study gets it."""

    def _error(self, error: BaseException, said: str = "") -> JournalError:
        mend = "make room or repair the disk"
        if isinstance(error, OSError) and error.errno not in _OF_THE_DISK:
            mend = "see to that"
        return JournalError(
            f"the journal {self.path} cannot be read or written: {said or error}. What it holds is intact,"
            f" and so are the trials of this search; {mend}, then run the same fmin again."
        )

    # Checkpoints, from any thread; calls for one trial come one after another.

    def checkpointed(self) -> Collection[int]:
        """The trials that have a checkpoint, by their numbers."""
        return [*self._saved]

    def keep_checkpoint(self, tid: int, body: bytes | Path) -> Payload:
        """Keep a trial's checkpoint, in place of the one before.

        Raises:
            JournalError: if it cannot be written.
        """
        number = self._next_report()
        kept, stored = self._keep_saved(body, f"{SAVED}-{number}")
        report = Report(number, tid, self._counts.openings, 0, SAVED, "", stored)
        self._write_saved(report)
        before, self._saved[tid] = self._saved.get(tid), report
        if before is not None:
            self._remove_saved(before)
        return kept

    def checkpoint(self, tid: int) -> Payload | None:
        """Fetch a trial's checkpoint; None if there is none, or it is not what was written.

        Raises:
            JournalError: if it cannot be read.
        """
        report = self._saved.get(tid)
        if report is None:
            return None
        found = self._fetch_saved(report.value)
        if found is None:
            _LOG.warning("checkpoint is gone from the journal, or damaged", trial=tid, journal=self.path)
        return found

    def drop_checkpoint(self, tid: int) -> None:
        """Forget a trial's checkpoint.

        Raises:
            JournalError: if that cannot be written.
        """
        report = self._saved.pop(tid, None)
        if report is not None:
            self._remove_saved(report)

    def _remove_outdated(self) -> None:
        """Remove checkpoints of trials that have settled since: their driver was killed before it could."""
        for report in self._outdated:
            self._remove_saved(report)
        self._outdated = []

    @abstractmethod
    def _keep_saved(self, body: bytes | Path, name: str) -> tuple[Payload, Stored]:
        """Have a checkpoint kept, by a name of its own; return it as it can be read, and as it is stored."""

    @abstractmethod
    def _write_saved(self, report: Report) -> None:
        """Write down a checkpoint that is kept, so that it counts."""

    @abstractmethod
    def _fetch_saved(self, stored: Stored) -> Payload | None:
        """Fetch a checkpoint that an earlier driver has kept; None if it is not what was written."""

    @abstractmethod
    def _remove_saved(self, report: Report) -> None:
        """Remove a checkpoint that does not count any more."""

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
            outcome=None if ending is None else self._word(Outcome, ending.outcome, trial.tid),
            settled=0.0 if ending is None else ending.settled,
            place=0 if ending is None else ending.place,
            result=None if ending is None else self._payload(ending.result),
            kind="" if ending is None else ending.kind,
            reason="" if ending is None else ending.reason,
            reports=tuple(
                Reported(
                    *(each.tid, self._word(ReportKind, each.kind, trial.tid), each.name),
                    self._payload(each.value),
                )
                for each in reports
                if each.kind != VALUES
            ),
            values=_values_in(reports),
        )

    def _word(self, words: type[WordT], word: str, tid: int) -> WordT:
        try:
            return words(word)
        except ValueError:
            raise JournalError(
                f"the journal {self.path} says {word!r} of trial {tid}, a word that this version of"
                " sparkopt does not know: a newer one has written it. Go on with that one, or give fmin"
                " another journal."
            ) from None


def _values_in(reports: Collection[Report]) -> ValueSeries | None:
    """The intermediate values among a trial's reports."""
    found = next((each.value.body for each in reports if each.kind == VALUES), None)
    return None if found is None else ValueSeries.from_bytes(found)


def missing_reports(broken: Sequence[int]) -> str:
    """Says which trials lack reports; empty if none does."""
    return f"reports of trials {listed(broken)} are missing" if broken else ""


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
