"""Replay of a file of records to its store, as often as need be, and while other searches run.

Each record is written once, whatever was written of the file before: runs are found by their tags, and
values that a run has already are left out. Runs are written side by side, each in its order, as in a
search.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkopt.errors import TrackingError
from sparkopt.tracking.file import RecordFile, artifacts_of, read
from sparkopt.tracking.masking import mask, shown_cause
from sparkopt.tracking.pace import Pace, pace_for
from sparkopt.tracking.run_lanes import Kind, Lanes
from sparkopt.tracking.run_records import LogArtifact, Record, Run
from sparkopt.tracking.store import Store, is_denied, is_passing

_PARALLELISM: Final = 8
_TRANSFERS: Final = 4


@dataclass(slots=True)
class Replayed:
    """Account of what a replay has done.

    Attributes:
        records: how many records are written.
        runs: how many runs it has created.
        found: how many runs it has found, which had been created without the search being told.
        known: how many values of metrics were there already.
        refused: how many records the store has refused; the file keeps them.
        reason: why it has refused the first of them.
    """

    records: int = 0
    runs: int = 0
    found: int = 0
    known: int = 0
    refused: int = 0
    reason: str = ""


def replay(
    path: Path, uri: str | None = None, progress: Callable[[int], None] = lambda done: None
) -> Replayed:
    """Write the records of a file to their store, and remove the file.

    If the store fails again, or refuses some, the file keeps those that are not written, and can be replayed
    once more.

    Args:
        path: of the file.
        uri: where the store is now; by default where it was, with the password that MLflow's own setting has.
        progress: called with the number of records that are written, one call at a time.

    Raises:
        TrackingError: if the file is not a file of records, another process replays it, or the store fails or
            refuses something.
    """
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrackingError(f"{path} is being replayed by another process") from error
        if not path.exists() or os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            raise TrackingError(f"{path} has been replayed by another process meanwhile")
        store, records = read(path, file, uri)
        work = _Replay(store, records, progress)
        failed = work.run()
        if work.left:
            _keep(path, store, list(work.left.values()))
        else:
            path.unlink()
            shutil.rmtree(artifacts_of(path), ignore_errors=True)
    done = work.done
    if failed is not None:
        raise TrackingError(
            f"the tracking store {mask(store.uri)} took {done.records} of {len(records)} records"
            f" ({type(failed).__name__}: {mask(str(failed), store.uri)}); the rest is still in {path}"
        ) from shown_cause(failed, store.uri)
    done.runs, done.found = len(store.created), store.found
    if done.refused:
        raise TrackingError(
            f"{done.records} records written, {done.runs} runs created; the tracking store {mask(store.uri)}"
            f" has refused {done.refused} records, which are still in {path}: {done.reason}"
        )
    return done


class _Replay:
    """Writes records in lanes, until the store fails or all are written.

    Attributes:
        left: the records that are not written, by their numbers.
        done: what is done.
    """

    def __init__(self, store: Store, records: list[Record], progress: Callable[[int], None]) -> None:
        self._store = store
        self._progress = progress
        self._lock = threading.Lock()
        self._records = records
        self._failed: Exception | None = None
        self._pace: Pace = pace_for(store.uri, _PARALLELISM)
        self._over = False
        self.left = dict(enumerate(records))
        self.done = Replayed()

    def run(self) -> Exception | None:
        """Write them, and return what the store has raised."""
        lanes: Lanes[Run, int] = Lanes(self._turn, self._limit, "sparkopt-replay")
        try:
            for number, record in enumerate(self._records):
                kind = Kind.TRANSFER if isinstance(record, LogArtifact) else Kind.CALL
                lanes.put(record.run, number, kind)
            lanes.drain()
        finally:
            self._over = True  # after an interrupt the file stays as it is
            lanes.close()
        return self._failed

    def _limit(self, kind: Kind) -> int:
        return self._pace.limit if kind is Kind.CALL else _TRANSFERS

    def _turn(self, run: Run, numbers: list[int], last: bool) -> None:
        for number in numbers:
            if self._over:
                return
            known, error = 0, None
            try:
                known = self._store.write_once(self._records[number])
            except Exception as raised:  # noqa: BLE001 - what stores raise is theirs to choose
                error = raised
            with self._lock:
                self._note(number, known, error)

    def _note(self, number: int, known: int, error: Exception | None) -> None:
        if error is None:
            del self.left[number]
            self.done.records += 1
            self.done.known += known
            self._progress(self.done.records)
        elif is_passing(error) or is_denied(error):
            self._failed, self._over = self._failed or error, True
        else:
            self.done.refused += 1
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.done.reason = self.done.reason or mask(text, self._store.uri)[:300]


def _keep(path: Path, store: Store, records: list[Record]) -> None:
    """Have the file hold these records only."""
    beside = path.with_name(f"{path.name}.new")
    rest = RecordFile.create(beside, store, artifacts_of(path))
    for record in records:
        rest.add(record)
    rest.close()
    beside.replace(path)
