"""The one writer of a study's records: a thread, so that no trial waits for the store.

    put ──▶ backlog ──▶ what is logged to a run is held, and merged ──▶ Store
                                                                         │ the store cannot be reached:
                                                                         │ again, and again, up to a limit
                                                                         ▼
                                                                       a file, to be replayed

Records are written in their order. Only that a run begins and what is logged to it may wait for more of the
same run: until the run ends, there is nothing else to do, or a while has passed. A run that has ended by then
is written in three calls. A backlog that is full holds up whoever puts more.

The search goes first: both want the interpreter, and a search whose trials take next to no time would take
several times as long, and its writer too, if each took it away from the other all the time. So a writer that
has caught up begins anew when nothing more has come for a moment, when something has waited for a while, or
when somebody waits for its answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sparkopt.errors import TrackingWarning, warn
from sparkopt.tracking.file import RecordFile
from sparkopt.tracking.masking import is_secret, mask
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, Record, Run
from sparkopt.tracking.store import Store, is_passing
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("tracking")

BACKLOG = 20_000
"""How many records may wait; about five thousand trials."""

PATIENCE = 120.0
"""For how many seconds a store may be out of reach before its records go to a file."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries, doubled each time."""

_HOLDING_SECONDS: Final = 1.0
"""How long something is held back while other things are written."""

_LULL_SECONDS: Final = 0.005
"""After so long without another record, a search has something else to do."""

_WAITING_SECONDS: Final = 1.0
"""How often whoever waits for the end hears of what is left."""


@dataclass(slots=True)
class _Held:
    """What is to be written of a run.

    Attributes:
        since: on the monotonic clock.
        log: what was logged.
        create: its beginning, if that is not written.
    """

    since: float
    log: Log
    create: Create | None = None


Call = Callable[[], None]

T = TypeVar("T")


class Writer:
    """Writes records to a store, one after another.

    Args:
        store: where they go.
        file: where they go if the store is out of reach for too long.
    """

    def __init__(self, store: Store, file: Path) -> None:
        self._store = store
        self._path = file
        self._queue: queue.SimpleQueue[Record | tuple[int, Call] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(BACKLOG)
        self._held: dict[Run, _Held] = {}
        self._file: RecordFile | None = None
        self._given_up = threading.Event()
        self._awaited = 0
        self._hurry = threading.Condition()
        self._dropped = 0
        self._first_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sparkopt-tracking", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Have a record written. Waits while the backlog is full."""
        self._room.acquire()
        self._queue.put(record)

    def call(self, run: int, function: Call, awaited: bool = False) -> None:
        """Have a function called in the writer's thread, once what is logged to a run by now is written.

        Does not wait: who has something to be called has only a few of them.

        Args:
            run: the trial's id.
            function: may not raise.
            awaited: whether somebody waits for what it does.
        """
        if not awaited:
            self._queue.put((run, function))
            return

        def answer() -> None:
            try:
                function()
            finally:
                with self._hurry:
                    self._awaited -= 1

        self._queue.put((run, answer))
        self._make_haste()

    def _make_haste(self) -> None:
        with self._hurry:
            self._awaited += 1
            self._hurry.notify()

    def write(self, record: Create | Log | LogArtifact) -> None:
        """Write a record out of turn, from within what :meth:`call` has called."""
        match record:
            case Create():
                self._held_of(record.run).create = record
            case Log():
                self._held_of(record.run).log.add(record)
            case LogArtifact():
                self._write(record)

    @property
    def has_given_up(self) -> bool:
        """Whether the store is out of reach for good, and what comes goes to a file."""
        return self._file is not None

    def close(self, waiting: Callable[[int], None]) -> None:
        """Wait until everything is written, and say what was not.

        Args:
            waiting: called about once a second with how many records are left.
        """
        self._queue.put(None)
        self._make_haste()
        try:
            while self._thread.is_alive():
                self._thread.join(_WAITING_SECONDS)
                if self._thread.is_alive():
                    waiting(self._queue.qsize())
        except BaseException:
            # The user does not wait for the store; what is left must not be lost for it.
            self._given_up.set()
            self._thread.join()
            raise
        finally:
            self._say_what_was_not_written()

    def _say_what_was_not_written(self) -> None:
        if self._file is not None:
            warn(
                f"the tracking store {mask(self._store.uri)} could not be reached ({self._why()}):"
                f" {self._file.count} records are not in it but in {self._path}. When it is back,"
                f" `sparkopt replay {self._path}` writes them{_given_again(self._store.uri)}.",
                TrackingWarning,
            )
        if self._dropped:
            warn(
                f"{self._dropped} records are not in the tracking store {mask(self._store.uri)}, because of"
                f" {self._why()}",
                TrackingWarning,
            )

    def _why(self) -> str:
        return self._masked(self._first_error)

    def _masked(self, error: BaseException | None) -> str:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {mask(text, self._store.uri)[:300]}"

    # The writer's thread.

    def _run(self) -> None:
        while (item := self._next()) is not None:
            if not isinstance(item, tuple):
                self._room.release()
            try:
                self._take(item)
            except Exception as error:  # noqa: BLE001 - the other records, and those who wait, need this thread
                self._drop(error)
        for run in list(self._held):
            self._flush(run)
        if self._file is not None:
            self._file.close()

    def _take(self, item: Record | tuple[int, Call]) -> None:
        match item:
            case tuple():
                self._flush(item[0])
                item[1]()
                return
            case Create():
                self._held_of(item.run).create = item
            case Log():
                self._held_of(item.run).log.add(item)
            case LogArtifact() | End():
                self._flush(item.run)
                self._write(item)
        self._flush_overdue()

    def _drop(self, error: Exception) -> None:
        """Something is not written, and its like may have been before."""
        if self._first_error is None:
            self._first_error = error
        self._dropped += 1
        # Of all of them close() tells the first only.
        _LOG.info("record dropped", reason=self._masked(error))

    def _next(self) -> Record | tuple[int, Call] | None:
        with contextlib.suppress(queue.Empty):
            return self._queue.get_nowait()
        for run in [run for run in self._held if run is not None]:
            self._flush(run)
        if None in self._held:
            # Each trial has something to say of the study's own run: that is gathered also if there is time.
            with contextlib.suppress(queue.Empty):
                return self._after_a_lull(self._queue.get(timeout=max(0.0, self._due(None))))
            self._flush(None)
        return self._after_a_lull(self._queue.get())

    def _after_a_lull(self, item: T) -> T:
        """Wait while more records come, but not for long, nor while somebody waits."""
        until, before = time.monotonic() + _HOLDING_SECONDS, -1
        with self._hurry:
            while not self._awaited and self._queue.qsize() != before and time.monotonic() < until:
                before = self._queue.qsize()
                self._hurry.wait(_LULL_SECONDS)
        return item

    def _held_of(self, run: Run) -> _Held:
        if run not in self._held:
            self._held[run] = _Held(time.monotonic(), Log(run))
        return self._held[run]

    def _due(self, run: Run) -> float:
        """In how many seconds what is held of a run has been held for long enough."""
        return self._held[run].since + _HOLDING_SECONDS - time.monotonic()

    def _flush_overdue(self) -> None:
        """Write what has been held for too long: it comes first."""
        while self._held and self._due(run := next(iter(self._held))) <= 0:
            self._flush(run)

    def _flush(self, run: Run) -> None:
        held = self._held.pop(run, None)
        if held is None:
            return
        if held.create is not None:
            self._write(dataclasses.replace(held.create, tags={**held.create.tags, **held.log.tags}))
            held.log.tags.clear()
        if held.log:
            self._write(held.log)

    def _write(self, record: Record) -> None:
        if self._file is not None:
            self._keep(self._file, record)
            return
        began, pause, again = time.monotonic(), _FIRST_PAUSE, False
        while True:
            try:
                self._store.write(record, again)
                if again:
                    _LOG.info("store is back", seconds=time.monotonic() - began)
                return
            except Exception as error:  # noqa: BLE001 - what stores raise is theirs to choose
                if not is_passing(error):
                    self._drop(error)
                    return
                if self._first_error is None:
                    self._first_error = error
                if not again:
                    _LOG.info("store is away", reason=self._masked(error))
            if time.monotonic() - began >= PATIENCE or self._given_up.is_set():
                break
            self._given_up.wait(pause)
            pause, again = min(2 * pause, _LONGEST_PAUSE), True
        try:
            self._file = RecordFile.create(self._path, self._store)
        except OSError as error:
            self._first_error = error
            self._dropped += 1
            _LOG.info("record dropped", reason=self._masked(error))
            return
        _LOG.info("store is given up", file=self._path)
        self._keep(self._file, record)

    def _keep(self, file: RecordFile, record: Record) -> None:
        try:
            file.add(record)
        except (OSError, TypeError, ValueError) as error:  # a full disk, or what JSON has no words for
            self._drop(error)


def _given_again(uri: str) -> str:
    return ", with MLFLOW_TRACKING_URI as it is now: the file has no password" if is_secret(uri) else ""
