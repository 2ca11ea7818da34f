"""Rows of a journal, each with seals: checksums of what it says and of where it stands.

A seal is keyed by the journal's own id and covers the row's key. So a row that was damaged, that stands in
another row's place, or that comes from another journal is told from one that is as it was written.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

APPLICATION_ID: Final = 0x73706B6A
"""Application id in SQLite's header, which marks the file as a journal."""

FORMAT: Final = 2

VALUES: Final = "values"
"""Kind of a report that is the series of all intermediate values of a trial that has settled."""

SAVED: Final = "saved"
"""Kind of a report that is the checkpoint of a trial that has not settled. Its place among reports is 0."""

MARK: Final = b"sparkopt journal "
"""Prefix of a journal's id, which is in one of the first pages."""

_META: Final = "(number integer primary key, key text not null, value text not null, seal blob not null)"

SCHEMA: Final = f"""
create table meta {_META};
create table meta_again {_META};   -- the same rows: a journal without them would be good for nothing
create table trials (
    tid integer primary key,
    number integer not null,        -- among all that were submitted, from 0
    asked integer not null,         -- 1 if somebody outside has asked for it, so that it is no proposal
    document blob not null,         -- the front end's own bytes, as it was proposed
    proposal_seal blob not null,    -- of all that
    rstate blob not null,           -- the front end's state after the proposal
    rstate_seal blob not null,
    started real,                   -- seconds since the epoch, of the last attempt
    started_seal blob,
    outcome text,                   -- of what settled it; null as long as nothing has
    settled real,                   -- seconds since the epoch
    place integer,                  -- among all that have settled
    kind text,                      -- of the exception
    reason text,                    -- a remote traceback, or why it was lost
    body blob,                      -- the pickled result
    file text,                      -- or the file that holds it
    digest blob,                    -- of that file
    opening integer,                -- during which opening of the journal it settled
    reports integer,                -- how many reports it had made by then, during that opening
    outcome_seal blob               -- of all that
);
create table reports (
    number integer primary key,
    tid integer not null,
    opening integer not null,       -- during which opening of the journal it came
    nth integer not null,           -- of its trial's during that opening, from 1
    kind text not null,
    name text not null,
    body blob,
    file text,
    digest blob,                    -- of that file
    seal blob not null
);
"""

META_COLUMNS: Final = 4
TRIAL_COLUMNS: Final = 20
REPORT_COLUMNS: Final = 10

Row = tuple[Any, ...]
"""A row as SQLite has it, its key first."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Pickled bytes, as they are stored: themselves, or a file beside the journal; or nothing.

    Attributes:
        body: the bytes.
        file: the name of the file that holds them.
        digest: of that file's content; None if nobody has taken one.
    """

    body: bytes | None = None
    file: str | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Outcome of a settled trial.

    Attributes:
        outcome: in the words of :class:`~sparkopt.core.states.Outcome`.
        settled: when, in seconds since the epoch.
        place: among all that have settled.
        kind: of the exception.
        reason: a remote traceback, or why it was lost.
        result: the pickled result.
        opening: during which opening of the journal.
        reports: how many reports it had made by then, during that opening.
    """

    outcome: str
    settled: float
    place: int
    kind: str
    reason: str
    result: Stored
    opening: int
    reports: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial.

    Attributes:
        tid: its id.
        number: among all that were submitted, from 0.
        asked: whether somebody outside has asked for it.
        own: the front end's own bytes, as it was proposed.
        state: the front end's state after the proposal; None if that is damaged.
        started: when its last attempt was sent to a worker, in seconds since the epoch.
        ending: how it settled; None if it has not, or what is stored of it is damaged.
    """

    tid: int
    number: int
    asked: bool
    own: bytes
    state: bytes | None
    started: float | None = None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Message that a trial sent while it ran.

    Attributes:
        number: among all reports.
        tid: the trial's id.
        opening: during which opening of the journal it came.
        nth: of its trial's during that opening, from 1.
        kind: in the words of :class:`~sparkopt.wire.report_kinds.ReportKind`, or :data:`VALUES`, or
            :data:`SAVED`.
        name: of the attachment.
        value: the pickled value.
    """

    number: int
    tid: int
    opening: int
    nth: int
    kind: str
    name: str
    value: Stored


@dataclass(frozen=True, slots=True)
class Counts:
    """Least contents of a journal, counted when it was last opened or closed.

    Attributes:
        trials: number of trials that were submitted.
        settled: number of trials that have settled.
        openings: number of times that the journal was opened for writing.
        closed: whether it was closed since.
    """

    trials: int = 0
    settled: int = 0
    openings: int = 0
    closed: bool = True

    def to_text(self) -> str:
        """As a value of the table meta."""
        return json.dumps([self.trials, self.settled, self.openings, self.closed])

    @classmethod
    def from_text(cls, text: str) -> Counts:
        """Reads the text that :meth:`to_text` returned."""
        return cls(*json.loads(text))


@dataclass(slots=True)
class Content:
    """Readable contents of a journal.

    Attributes:
        meta: about its search.
        counts: what it must hold at least.
        trials: by their ids.
        reports: by trial and opening, and by their place in that.
        saved: the newest checkpoint of each trial that has saved any.
    """

    meta: dict[str, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    trials: dict[int, Trial] = field(default_factory=dict)
    reports: dict[tuple[int, int], dict[int, Report]] = field(default_factory=dict)
    saved: dict[int, Report] = field(default_factory=dict)

    def add_trial(self, trial: Trial) -> None:
        """Take in a trial, unless what is there of it already is newer."""
        there = self.trials.get(trial.tid)
        if there is None or _newness(trial) >= _newness(there):
            self.trials[trial.tid] = trial

    def add_report(self, report: Report) -> None:
        """Take in a report, or a checkpoint."""
        if report.kind == SAVED:
            before = self.saved.get(report.tid)
            if before is None or before.number < report.number:
                self.saved[report.tid] = report
            return
        self.reports.setdefault((report.tid, report.opening), {})[report.nth] = report

    def reports_of(self, trial: Trial) -> list[Report] | None:
        """The reports of a trial that has settled; None if one of them is missing."""
        if trial.ending is None:
            return []
        found = self.reports.get((trial.tid, trial.ending.opening), {})
        try:
            return [found[nth] for nth in range(1, trial.ending.reports + 1)]
        except KeyError:
            return None

    def checkpoints(self) -> dict[int, Report]:
        """Returns the checkpoints of the trials that have not settled, by their ids."""
        return {
            tid: report
            for tid, report in self.saved.items()
            if (trial := self.trials.get(tid)) is not None and trial.ending is None
        }

    def forget_endings(self, tids: Iterable[int]) -> None:
        """Have these trials not settled."""
        for tid in tids:
            self.trials[tid] = replace(self.trials[tid], ending=None)

    def lacking(self) -> str:
        """Says what is missing that must have been there; empty if nothing is."""
        numbers = {trial.number for trial in self.trials.values()}
        whole = max(self.counts.trials, max(numbers, default=-1) + 1)
        settled = sum(trial.ending is not None for trial in self.trials.values())
        if len(numbers) < whole:
            return f"{whole - len(numbers)} of {whole} trials are missing"
        if settled < self.counts.settled:
            return f"{self.counts.settled - settled} of {self.counts.settled} outcomes are missing"
        return ""


def _newness(trial: Trial) -> tuple[int, float, bool]:
    place = 0 if trial.ending is None else trial.ending.place
    return place, trial.started or 0.0, trial.state is not None


def new_id() -> str:
    """The id of a new journal."""
    return MARK.decode() + secrets.token_hex(16)


class Sealer:
    """Makes rows with their seals, and tells which rows have the right ones.

    Args:
        journal: the journal's id.
    """

    def __init__(self, journal: str) -> None:
        self.journal = journal
        self._keyed = hashlib.blake2b(key=journal.encode()[-32:], digest_size=8)

    def _seal(self, *fields: Any) -> bytes:
        digest = self._keyed.copy()
        # Version 2 of that format has no references: equal values have equal bytes, in every Python.
        digest.update(marshal.dumps(fields, 2))
        return digest.digest()

    def meta(self, values: Mapping[str, str]) -> list[Row]:
        """Rows of the table meta, the id among them."""
        items = [("id", self.journal), *values.items()]
        return [(number, *item, self._seal("meta", number, *item)) for number, item in enumerate(items, 1)]

    def proposal(self, tid: int, number: int, asked: bool, own: bytes, state: bytes) -> Row:
        """The first seven columns of a trial."""
        proposal = self._seal("proposal", tid, number, int(asked), own)
        return tid, number, int(asked), own, proposal, state, self._seal("rstate", tid, number, state)

    def start(self, tid: int, started: float) -> Row:
        """The two columns that follow."""
        return started, self._seal("start", tid, started)

    def ending(self, tid: int, ending: Ending) -> Row:
        """The columns after these."""
        result = ending.result
        said = (
            *(ending.outcome, ending.settled, ending.place, ending.kind, ending.reason),
            *(result.body, result.file, result.digest, ending.opening, ending.reports),
        )
        return (*said, self._seal("ending", tid, *said))

    def trial(self, trial: Trial) -> Row:
        """A whole row of the table trials."""
        tid = trial.tid
        proposal = self.proposal(tid, trial.number, trial.asked, trial.own, trial.state or b"")
        start = (None, None) if trial.started is None else self.start(tid, trial.started)
        ending = (None,) * 11 if trial.ending is None else self.ending(tid, trial.ending)
        return (*proposal, *start, *ending)

    def report(self, report: Report) -> Row:
        """A row of the table reports."""
        value = report.value
        said = (
            *(report.number, report.tid, report.opening, report.nth, report.kind, report.name),
            *(value.body, value.file, value.digest),
        )
        return (*said, self._seal("report", *said))

    # Reading. Rows may hold anything.

    def take_meta(self, row: Row, content: Content) -> bool:
        """Take a row of the table meta into a content; false if it is damaged."""
        number, key, value, seal = row
        if self._seal("meta", number, key, value) != seal:
            return False
        if key == "counts":
            content.counts = max(
                content.counts, Counts.from_text(value), key=lambda each: (each.openings, each.closed)
            )
        content.meta[key] = value
        return True

    def take_trial(self, row: Row, content: Content) -> bool:
        """Take a row of the table trials into a content, as far as it is whole; false if it is not."""
        tid, number, asked, own, proposal_seal, state, state_seal, started, started_seal = row[:9]
        started = float(started) if isinstance(started, int) else started
        if self._seal("proposal", tid, number, asked, own) != proposal_seal:
            return False
        whole_state = self._seal("rstate", tid, number, state) == state_seal
        has_started = started is not None or started_seal is not None
        whole_start = not has_started or self._seal("start", tid, started) == started_seal
        ending, whole_ending = self._ending(tid, row[9:])
        content.add_trial(
            Trial(
                tid,
                number,
                bool(asked),
                own,
                state if whole_state and state else None,
                started if whole_start else None,
                ending,
            )
        )
        return whole_state and whole_start and whole_ending

    def _ending(self, tid: int, row: Sequence[Any]) -> tuple[Ending | None, bool]:
        *said, seal = row
        if all(value is None for value in row):
            return None, True
        said[1] = float(said[1]) if isinstance(said[1], int) else said[1]
        if self._seal("ending", tid, *said) != seal:
            return None, False
        outcome, settled, place, kind, reason, body, file, digest, opening, reports = said
        result = Stored(body, file, digest)
        return Ending(outcome, settled, place, kind, reason, result, opening, reports), True

    def take_report(self, row: Row, content: Content) -> bool:
        """Take a row of the table reports into a content; false if it is damaged."""
        *said, seal = row
        if self._seal("report", *said) != seal:
            return False
        number, tid, opening, nth, kind, name, body, file, digest = said
        content.add_report(Report(number, tid, opening, nth, kind, name, Stored(body, file, digest)))
        return True
