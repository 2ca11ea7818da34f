"""Reading of journals of the first format, in which only documents and results have checksums."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sparkopt.core.states import Outcome
from sparkopt.study.journal.rows import Content, Ending, Report, Row, Stored, Trial
from sparkopt.wire.report_kinds import ReportKind

MARK: Final = b"body_checksum integer"
"""Part of the schema of such a journal, in its first page or in the first pages of its log."""

TABLES: Final = {
    "meta": "select key, value from meta",
    "trials": (
        "select tid, document, checksum, rstate, started, outcome, settled, place, kind, reason, body, file,"
        " body_checksum from trials"
    ),
    "reports": "select number, tid, kind, name, body, file from reports",
}

META_COLUMNS: Final = 2
TRIAL_COLUMNS: Final = 13
REPORT_COLUMNS: Final = 6

_KEYS: Final = frozenset({"space", "objective", "algorithm", "format"})
_ASKED: Final = "trials asked for"
_FILE: Final = re.compile(r"(result|report)-\d+")
_YEAR_9999: Final = 253370764800
_OUTCOMES: Final = {outcome.value for outcome in Outcome}
_REPORTS: Final = {kind.value for kind in ReportKind}


class Reader:
    """Takes rows of such a journal. They may hold anything."""

    def __init__(self) -> None:
        self._reports: dict[int, Row] = {}
        self._asked = 0

    def take_meta(self, row: Row, content: Content) -> bool:
        """Take a row of the table meta; false if it is damaged."""
        key, value = row
        if key == _ASKED and isinstance(value, int) and value >= 0:
            self._asked = max(self._asked, value)
            return True
        if key not in _KEYS or not isinstance(value, str):
            return False
        content.meta[key] = value
        return True

    def take_trial(self, row: Row, content: Content) -> bool:
        """Take a row of the table trials, as far as it is whole; false if it is not."""
        tid, document, checksum, rstate, started = row[:5]
        if not isinstance(document, bytes) or zlib.crc32(document) != checksum or tid < 0:
            return False
        began = float(started) if _is_time(started) else None
        ending, whole = _ending(row[5:])
        state = rstate if isinstance(rstate, bytes) else None
        content.add_trial(Trial(tid, tid, False, document, state, began, ending))
        return whole and state is not None and (began is not None or started is None)

    def take_report(self, row: Row, _content: Content) -> bool:
        """Take a row of the table reports; false if it is damaged."""
        number, tid, kind, name, body, file = row
        whole = (
            isinstance(tid, int)
            and kind in _REPORTS
            and isinstance(name, str)
            and isinstance(body, (bytes, type(None)))
            and _is_file(file)
        )
        if whole:
            self._reports[number] = row
        return whole

    def finish(self, content: Content) -> None:
        """Add the numbers that the first format lacks, once all rows are read."""
        said: dict[int, int] = {}
        for number, row in sorted(self._reports.items()):
            _, tid, kind, name, body, file = row
            said[tid] = said.get(tid, 0) + 1
            content.add_report(Report(number, tid, 0, said[tid], kind, name, Stored(body, file)))
        # Which of them somebody had asked for is not known, only how many.
        asked = sorted(content.trials)[: self._asked]
        for number, tid in enumerate(sorted(content.trials)):
            trial = content.trials[tid]
            ending = trial.ending
            if ending is not None:
                ending = replace(ending, reports=said.get(tid, 0))
            content.trials[tid] = replace(trial, number=number, asked=tid in asked, ending=ending)


def _ending(row: Iterable[Any]) -> tuple[Ending | None, bool]:
    outcome, settled, place, kind, reason, body, file, checksum = row
    if outcome is None:
        return None, all(value is None for value in (settled, place, body, file, checksum))
    whole = (
        outcome in _OUTCOMES
        and _is_time(settled)
        and isinstance(place, int)
        and isinstance(kind, str)
        and isinstance(reason, str)
        and (zlib.crc32(body) == checksum if isinstance(body, bytes) else body is None and checksum is None)
        and _is_file(file)
    )
    if not whole:
        return None, False
    return Ending(outcome, float(settled), place, kind, reason, Stored(body, file), 0, 0), True


def _is_time(value: object) -> bool:
    """Returns whether a value is a time: seconds since the epoch, up to the year 9999."""
    return isinstance(value, (int, float)) and 0 <= value < _YEAR_9999


def _is_file(name: object) -> bool:
    return name is None or (isinstance(name, str) and _FILE.fullmatch(name) is not None)
