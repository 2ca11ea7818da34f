"""Delivery of records to a tracking store, tried again while it is away, and to a file once it is gone.

write ──▶ Store ──▶ written                           others may be written meanwhile, of other runs
            ├─────▶ refused: dropped, and told at the end
            ├─────▶ denied: a file, to be replayed
            └─────▶ busy or out of reach: again after a pause, fewer at once
                      └─ for too long ──▶ a file, to be replayed
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sparkopt.errors import TrackingWarning, warn
from sparkopt.tracking.file import RecordFile
from sparkopt.tracking.masking import is_secret, mask
from sparkopt.tracking.pace import Pace
from sparkopt.tracking.run_lanes import Lanes
from sparkopt.tracking.run_records import Create, Log, LogArtifact, Record, Run
from sparkopt.tracking.store import Store, is_denied, is_passing, is_rate_limit
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("tracking")

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries, doubled each time."""

_LIMITED_PAUSE: Final = 1.0
"""Seconds before the next try, at least, if the store wants fewer calls. MLflow has heeded ``Retry-After``
by then."""

_FEW_METRICS: Final = 100
"""With more, a call takes as long as its metrics do, and says little of the store."""


class SupersededError(BaseException):
    """Another thread writes what this one was to write, as its call of the store did not end."""


class Delivery:
    """Writes records to a store. May be used from several threads, for different runs.

    Args:
        store: where they go.
        file: where they go if the store is out of reach for too long.
        patience: seconds for which the store may be out of reach.
        pace: hears how fast the store answers.
        lanes: the lanes that have the turns.
    """

    def __init__(self, store: Store, file: Path, patience: float, pace: Pace, lanes: Lanes[Any, Any]) -> None:
        self._store = store
        self._path = file
        self._patience = patience
        self._pace = pace
        self._lanes = lanes
        self._lock = threading.Lock()
        self._file: RecordFile | None = None
        self._no_more_waiting = threading.Event()
        self._is_gone = False
        self._away_since: float | None = None
        self._astray: set[Run] = set()
        self._under_way: dict[int, Record] = {}
        self._heir: int | None = None
        self._dropped = 0
        self._first_error: Exception | None = None

    @property
    def is_gone(self) -> bool:
        """True if the store is out of reach for good, and what comes goes to a file."""
        return self._is_gone

    def write(self, record: Record) -> None:
        """Write a record, to the store or to the file.

        Raises:
            SupersededError: if somebody else writes what this thread was to write; see :meth:`give_up`.
        """
        self._check_heir()
        began, pause, again = time.monotonic(), _FIRST_PAUSE, False
        while not (self._is_gone or record.run in self._astray):
            error = self._try(record, again)
            if error is None:
                return
            limited, now = is_rate_limit(error), time.monotonic()
            with self._lock:
                if self._away_since is None:
                    self._away_since = now
                away = now - self._away_since
            if away >= self._patience or self._no_more_waiting.is_set():
                self._is_gone = True
                self._no_more_waiting.set()
                _LOG.info("store is given up", file=self._path)
            elif now - began >= self._patience and not limited:
                # Others are written meanwhile.
                self._astray.add(record.run)
                _LOG.info("run is given up", run=record.run, file=self._path)
            else:
                with self._lanes.aside():
                    self._no_more_waiting.wait(max(pause, _LIMITED_PAUSE) if limited else pause)
                pause, again = min(2 * pause, _LONGEST_PAUSE), True
        self._keep(record)

    def _try(self, record: Record, again: bool) -> Exception | None:
        """Write a record once, and return why that is to be tried again."""
        began, busy = time.monotonic(), time.thread_time()
        self._under_way[threading.get_ident()] = record
        try:
            try:
                self._store.write(record, again)
            finally:
                with self._lock:
                    self._check_heir()
                    del self._under_way[threading.get_ident()]
        except Exception as error:  # noqa: BLE001 - what stores raise is theirs to choose
            if not is_passing(error):
                if is_denied(error):
                    # Some say that of a token that has expired. With another one the record can be written.
                    self._keep_alone(record, error)
                else:
                    self.drop(error)
            else:
                self._note(error)
                self._pace.pushed_back()
                if not again:
                    _LOG.info("store is away", reason=self._masked(error))
                return error
        self._answered()
        if not isinstance(record, LogArtifact) and not (
            isinstance(record, Log) and len(record.metrics) > _FEW_METRICS
        ):
            seconds, busy = time.monotonic() - began, time.thread_time() - busy
            self._pace.answered(type(record).__name__, seconds, busy, self._lanes.has_more())
        return None

    def _answered(self) -> None:
        if self._away_since is None:
            return
        with self._lock:
            since, self._away_since = self._away_since, None
        if since is not None:
            _LOG.info("store is back", seconds=time.monotonic() - since)

    def insist(self, function: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
        """Call a function again and again while the store has no time for it.

        Args:
            function: calls the store.
            passes: tells of what it raises whether it may be called again.

        Raises:
            Exception: what it has raised, at once or once the store has been away for too long.
        """
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return function()
            except Exception as error:
                is_over = self._no_more_waiting.is_set() or time.monotonic() - began >= self._patience
                if is_over or not passes(error):
                    raise
                limited = is_rate_limit(error)
            self._pace.pushed_back()
            with self._lanes.aside():
                self._no_more_waiting.wait(max(pause, _LIMITED_PAUSE) if limited else pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def give_up(self) -> list[Record]:
        """Give the store up, and let only this thread write from now on.

        Returns:
            The records that have no answer yet, which now go to the file. Their calls may still arrive.
        """
        with self._lock:
            self._is_gone = True
            self._no_more_waiting.set()
            self._heir = threading.get_ident()
            under_way = list(self._under_way.values())
            self._note(TimeoutError("it does not answer"))
        for record in under_way:
            self._keep(record)
        _LOG.info("store is given up", file=self._path, under_way=len(under_way))
        return under_way

    def _check_heir(self) -> None:
        if self._heir not in (None, threading.get_ident()):
            raise SupersededError

    def stop_waiting(self) -> None:
        """From now on what cannot be written at once goes to the file."""
        self._no_more_waiting.set()

    def drop(self, error: Exception) -> None:
        """Note that something is not written; similar records may have been left out before."""
        self._note(error)
        with self._lock:
            self._dropped += 1
        # Of all of them tell() tells the first only.
        _LOG.info("record dropped", reason=self._masked(error))

    def _note(self, error: Exception) -> None:
        if self._first_error is None:
            self._first_error = error

    def _keep_alone(self, record: Record, error: Exception) -> None:
        """Have a record go to the file, and with it all of a run that it was to begin."""
        self._note(error)
        if isinstance(record, Create):
            self._astray.add(record.run)
        self._keep(record)

    def _keep(self, record: Record) -> None:
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._new_file()
                self._file.add(record)
        except (OSError, TypeError, ValueError) as error:  # a full disk, or what JSON has no words for
            self.drop(error)

    def _new_file(self) -> RecordFile:
        try:
            return RecordFile.create(self._path, self._store)
        except OSError as error:
            self._first_error = error  # more is lost for that than for the store
            raise

    def close(self) -> None:
        """Close the file, and warn of what is not in the store."""
        uri = self._store.uri
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:  # a full disk
                self.drop(error)
            warn(
                f"the tracking store {mask(uri)} could not be reached ({self._why()}):"
                f" {self._file.count} records are not in it but in {self._path}. When it is back,"
                f" `sparkopt replay {self._path}` writes them{_given_again(uri)}.",
                TrackingWarning,
            )
        if self._dropped:
            warn(
                f"{self._dropped} records are not in the tracking store {mask(uri)}, because of"
                f" {self._why()}",
                TrackingWarning,
            )

    def _why(self) -> str:
        return self._masked(self._first_error)

    def _masked(self, error: BaseException | None) -> str:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {mask(text, self._store.uri)[:300]}"


def _given_again(uri: str) -> str:
    return ", with MLFLOW_TRACKING_URI as it is now: the file has no password" if is_secret(uri) else ""
