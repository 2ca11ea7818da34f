"""The thread that writes a log: gathers records into segments, puts them, and makes snapshots.

    append ──▶ waiting records ── 250 ms, or 8 MiB ──▶ large objects ─▶ segment ─▶ counts
                                                         │ the store cannot be reached:
                                                         ▼ again and again, up to a limit

One put is under way at a time. Whoever needs to know waits with :meth:`LogThread.until_kept`.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from sparkopt.errors import SparkoptError
from sparkopt.study.journal.rows import Stored
from sparkopt.study.journal.segments import log_records
from sparkopt.study.journal.segments.object_format import LARGE, RECORDS, Part, seal
from sparkopt.study.journal.segments.segment_log import Put, SegmentLog, Steps
from sparkopt.study.journal.segments.store_calls import StoreCalls
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("study")
_PIECE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Pace:
    """Times and sizes of a log.

    Attributes:
        flush: seconds for which a record may wait for others before its segment is put.
        segment: bytes of records at which a segment is put at once.
        unwritten: bytes of records and large objects that may wait before no more trials are begun.
        large: bytes beyond which a result or report is an object of its own.
        checkpoint: the same for a checkpoint, which is deleted once there is a newer one.
        snapshot: how many segments are put before a snapshot takes their place.
        parts: how many parts a snapshot names before one part takes the place of their names.
        outage: seconds for which the store may be out of reach.
        answer: seconds to wait for an answer of the store.
        closing: the same for both once a search has ended.
    """

    flush: float = 0.25
    segment: int = 8 * 2**20
    unwritten: int = 64 * 2**20
    large: int = 64 * 2**10
    checkpoint: int = 4 * 2**10
    snapshot: int = 256
    parts: int = 64
    outage: float = 300.0
    answer: float = 300.0
    closing: float = 60.0


@dataclass(frozen=True, slots=True)
class LargeObject:
    """A result or report that is put before the segment that names it.

    Attributes:
        name: of its object.
        source: its bytes, or a file that is open for reading and closed once it is put.
        size: in bytes.
        record: makes the record that names it.
    """

    name: str
    source: bytes | IO[bytes]
    size: int
    record: Callable[[Stored], bytes]

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, from the first on."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        self.source.seek(0)
        while piece := self.source.read(_PIECE):
            yield piece

    def digest(self) -> bytes:
        """Returns its checksum."""
        digest = hashlib.blake2b(digest_size=16)
        for piece in self.pieces():
            digest.update(piece)
        return digest.digest()

    def close(self) -> None:
        """Close its file."""
        if not isinstance(self.source, bytes):
            self.source.close()


def _nobody(_error: SparkoptError) -> None:
    """Does nothing, as no search is running that could be told."""


def _size(record: bytes | LargeObject) -> int:
    return len(record) if isinstance(record, bytes) else record.size


def _close(records: Iterable[bytes | LargeObject]) -> None:
    for each in records:
        if isinstance(each, LargeObject):
            each.close()


class LogThread:
    """Writes a log that was opened. Thread-safe.

    Args:
        log: that was opened.
        calls: to its store.
        pace: times and sizes.
        bodies: records of the log so far that are in no part, for the next snapshot.
        error_of: makes the error to raise from what went wrong.
        compact: whether to make a snapshot at once.
        clean: deletes what is not needed any more, while the search runs.
        parts: of the last snapshot.
    """

    def __init__(
        self,
        log: SegmentLog,
        calls: StoreCalls,
        pace: Pace,
        bodies: Iterable[bytes],
        error_of: Callable[[BaseException], SparkoptError],
        compact: bool = False,
        clean: Iterable[Steps[None]] = (),
        parts: Iterable[Stored] = (),
    ) -> None:
        self._log, self._calls, self._pace, self._error_of = log, calls, pace, error_of
        # An interrupt in the study's thread cannot come between the lock's taking and the block that frees
        # it, as with a condition. And one in the middle of an append leaves no count wrong for long.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[bytes | LargeObject] = []
        self._since = 0.0
        self._size = self._writing = 0
        self._taken = self._kept = 0
        self._awaited = self._closing = False
        self._compact = compact
        self._error: SparkoptError | None = None
        self._was_full = self._was_told = False
        self._room: Callable[[], None] = lambda: None
        self._failed: Callable[[SparkoptError], None] = _nobody
        self._cleaning = deque(clean)
        self._cleaned: Any = None
        self._parts, self._put_parts = [*parts], 0
        self._spool: IO[bytes] = tempfile.TemporaryFile(prefix="sparkopt-journal-")  # noqa: SIM115
        for body in bodies:
            self._spool.write(body)
        self._thread = threading.Thread(target=self._run, name="sparkopt-journal", daemon=True)
        self._thread.start()

    def watch(self, room: Callable[[], None], failed: Callable[[SparkoptError], None]) -> None:
        """See :meth:`SearchJournal.watch`."""
        with self._lock:
            self._room, self._failed = room, failed

    def append(self, record: bytes | LargeObject) -> None:
        """Have a record written. Waits for nothing.

        Raises:
            JournalError: if nothing more can be written.
        """
        size = _size(record)
        with self._lock:
            if self._error is not None:
                self._was_told = True
                raise self._error
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(record)
            self._size += size
            if len(self._waiting) == 1 or self._size >= self._pace.segment:
                self._changed.notify_all()
            self._was_full = self._was_full or self.is_full

    @property
    def is_full(self) -> bool:
        """True if too much waits to be written."""
        return self._size + self._writing > self._pace.unwritten

    def until_kept(self) -> None:
        """Wait until everything that was appended counts.

        Raises:
            JournalError: if nothing more can be written.
        """
        with self._lock:
            wanted = self._taken + len(self._waiting)
            while self._kept < wanted and self._error is None:
                self._awaited = True
                self._changed.notify_all()
                self._changed.wait()
            if self._error is not None and self._kept < wanted:
                self._was_told = True
                raise self._error

    def close(self) -> bool:
        """Write what waits, and end the thread. Idempotent.

        Returns:
            Whether everything counts that was appended, or somebody was told that it does not.
        """
        with self._lock:
            self._closing = True
            self._changed.notify_all()
        self._calls.shorten(self._pace.closing)
        self._thread.join()
        self._spool.close()
        return self._kept == self._taken + len(self._waiting) or self._was_told

    def _run(self) -> None:
        try:
            if self._compact:
                self._shorten()
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - whoever waits for the log hears of it
            said = self._error_of(error)
            with self._lock:
                self._error = said
                waiting, self._waiting = self._waiting, []
                self._taken += len(waiting)
                failed = self._failed
                self._was_told = failed is not _nobody
                self._changed.notify_all()
            _close(waiting)
            failed(said)

    def _turn(self) -> bool:
        """Wait for something to do, and do it; false at the end."""
        with self._lock:
            while not (due := self._is_due()) and not self._closing and not self._cleaning:
                self._changed.wait(self._until_due())
            waiting: list[bytes | LargeObject] = []
            if due or self._closing:
                waiting, self._waiting = self._waiting, []
                self._taken += len(waiting)
                self._size, self._awaited = 0, False
                self._writing = sum(map(_size, waiting))
        if waiting:
            self._write(waiting)
        elif self._cleaning:
            self._clean()
        elif self._closing:
            self._calls.run(self._log.close())
            return False
        if self._log.since >= self._pace.snapshot:
            self._shorten()
        return True

    def _shorten(self) -> None:
        """Put a snapshot, and begin to delete what it covers."""
        self._put_part()
        self._calls.run(self._log.snapshot(self._snapshot))
        self._cleaning.append(self._log.clean())

    def _is_due(self) -> bool:
        full = self._size >= self._pace.segment
        return bool(self._waiting) and (full or self._awaited or self._until_due() == 0.0)

    def _until_due(self) -> float | None:
        return max(0.0, self._since + self._pace.flush - time.monotonic()) if self._waiting else None

    def _write(self, waiting: Sequence[bytes | LargeObject]) -> None:
        try:
            body = b"".join([each if isinstance(each, bytes) else self._put(each) for each in waiting])
        finally:
            _close(waiting)
        self._calls.run(self._log.commit(body))
        self._spool.write(body)
        with self._lock:
            self._kept += len(waiting)
            self._writing = 0
            tell = self._was_full and not self.is_full
            if tell:
                self._was_full = False
            room = self._room
            self._changed.notify_all()
        if tell:
            room()

    def _put(self, large: LargeObject) -> bytes:
        """Put a large object, and return the record that names it."""
        return large.record(self._put_object(large))

    def _put_object(self, large: LargeObject) -> Stored:
        stored = Stored(file=large.name, digest=large.digest())
        self._calls.make(Put(f"{LARGE}{large.name}", large.pieces))
        return stored

    def _put_part(self) -> None:
        """Put what has come since the last snapshot as one object, and many such objects' names as one."""
        if self._spool.tell():
            self._parts.append(self._put_records(self._spool))
            self._spool.seek(0)
            self._spool.truncate()
        if len(self._parts) > self._pace.parts:
            self._parts = [self._put_records(self._names_of_parts())]

    def _put_records(self, records: bytes | IO[bytes]) -> Stored:
        self._put_parts += 1
        name = f"{self._log.epoch}-{RECORDS}-{self._put_parts}"
        return self._put_object(LargeObject(name, records, 0, log_records.part))

    def _names_of_parts(self) -> bytes:
        return b"".join(map(log_records.part, self._parts))

    def _snapshot(self, part: Part, journal: str, chain: bytes) -> bytes:
        return seal(part, journal, chain, self._names_of_parts())[0]

    def _clean(self) -> None:
        """Make one request of those that delete what is not needed any more.

        Where that cannot be done, as nobody may delete there, it is left until the next snapshot.
        """
        try:
            self._cleaned = self._calls.make(self._cleaning[0].send(self._cleaned))
        except StopIteration:
            self._end_cleaning()
        except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
            _LOG.info("journal's store keeps what is not needed", error=self._calls.said(error))
            self._end_cleaning()

    def _end_cleaning(self) -> None:
        self._cleaning.popleft().close()
        self._cleaned = None
