"""A search's journal as a log of whole objects, in any store: see :mod:`.segment_log`."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sparkopt.coordinator import Payload, Started
from sparkopt.errors import JournalError, JournalWarning, RefusedError, SparkoptError, warn
from sparkopt.study.journal import described_dimensions
from sparkopt.study.journal.identity import Identity
from sparkopt.study.journal.rows import Content, Counts, Ending, Report, Stored, new_id
from sparkopt.study.journal.search_journal import SearchJournal, missing_reports
from sparkopt.study.journal.segments import log_records
from sparkopt.study.journal.segments.log_thread import LargeObject, LogThread, Pace
from sparkopt.study.journal.segments.object_format import (
    FORMAT,
    LARGE,
    Epoch,
    NewerFormatError,
    body_of_damaged,
)
from sparkopt.study.journal.segments.object_stores import ObjectStore
from sparkopt.study.journal.segments.segment_log import Delete, Put, Reading, SegmentLog, TakenOverError, read
from sparkopt.study.journal.segments.snapshot_parts import Parts, read_parts
from sparkopt.study.journal.segments.store_calls import StoreCalls

_PIECE: Final = 2**20


def _salvage(data: bytes) -> bytes:
    """Returns what is whole of the body of a damaged object."""
    return log_records.whole(data, body_of_damaged(data))


class SegmentJournal(SearchJournal):
    """A search's journal in a store of objects.

    Args:
        store: where the objects are.
        path: its path or address, as messages have it.
        pace: times and sizes.
        hide: takes the address's secrets out of a message.

    Raises:
        RefusedError: if there is something else.
        JournalError: if it cannot be read.
    """

    def __init__(
        self,
        store: ObjectStore,
        path: object,
        pace: Pace | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        super().__init__(path)
        self._pace, self._hide = pace or Pace(), hide
        self._calls = StoreCalls(store, 0.0, self._pace.answer, hide)
        self._known: dict[str, bytes] = {}
        self._parts = Parts()
        self._log = SegmentLog()
        self._thread: LogThread | None = None
        self._files: Path | None = None
        self._making = threading.Lock()
        self._large: dict[str, tuple[bytes | Path, int]] = {}
        try:
            reading = self._calls.run(read(self._known, _salvage))
            self._check_reading(reading)
            self._hold_content(self._content_of(reading))
        except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
            raise self._error_of(error) from self._shown(error)

    def _check_reading(self, reading: Reading) -> None:
        strangers = reading.listing.strangers
        if reading.listing.is_empty and strangers:
            shown = ", ".join(sorted(strangers)[:3])
            raise RefusedError(
                f"journal {self.path} is not a journal, but holds other files ({shown}): name a place of its"
                " own"
            )

    def _content_of(self, reading: Reading) -> Content:
        self._parts = read_parts(reading, self._get)
        content = Content()
        for body in reading.bodies:
            log_records.take(body, content)
        if reading.damage and not content.meta:
            raise JournalError(
                f"journal {self.path} is damaged, and no longer says which search it belongs to"
                f" ({'; '.join(reading.damage)}): name another place to start anew, or put a copy there"
            )
        return content

    def _get(self, names: Sequence[str]) -> list[bytes | None]:
        """Get objects that do not change, each once."""
        missing = [name for name in names if name not in self._known]
        for name, data in zip(missing, self._calls.each(self._calls.store.get, missing), strict=True):
            if data is not None:
                self._known[name] = data
        return [self._known.get(name) for name in names]

    def _error_of(self, error: BaseException) -> SparkoptError:
        """The error to raise for one that a store, or the log, has raised."""
        if isinstance(error, SparkoptError):
            return error
        if isinstance(error, TakenOverError):
            return JournalError(
                f"another search has taken over the journal {self.path} ({self._claim_of(error.epoch)}): this"
                " one ends. Its trials are intact, but what happened to them since is not in the journal."
                " Run only one search with a journal at a time."
            )
        if isinstance(error, NewerFormatError):
            return JournalError(
                f"the journal {self.path} was written by a newer version of sparkopt ({error}): use that"
                " version, or name another place"
            )
        return self._error(error, self._hide(str(error)))

    def _shown(self, error: BaseException) -> BaseException | None:
        """The error that is a message's cause; None if it holds a secret."""
        return error if self._hide(said := str(error)) == said else None

    def _claim_of(self, epoch: Epoch) -> str:
        try:
            claim = self._calls.once(lambda _: self._calls.store.get(epoch.name))
            return (claim or b"it has just ended").decode("utf-8", "replace")
        except Exception as error:  # noqa: BLE001 - only for a message
            return f"epoch {epoch.number}: {self._hide(str(error))}"

    def check(self, identity: Identity, dimensions: str = "") -> None:
        """Take the journal over for this search, or begin it."""
        mine = {"format": str(FORMAT), **dataclasses.asdict(identity)}
        self._refuse_another(mine)
        described = {described_dimensions.KEY: dimensions} if dimensions else {}
        about = log_records.search({**mine, **described})

        def first(reading: Reading, epoch: Epoch) -> bytes:
            # It is read once more, as another search may have written meanwhile.
            self._content = self._content_of(reading)
            self._refuse_another(mine)
            return about

        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        claim = f"process {os.getpid()} on {socket.gethostname()}, since {now}".encode()
        try:
            self._calls.once(lambda _: self._calls.store.prepare())
            reading = self._calls.run(self._log.open(self._known, claim, new_id(), first, _salvage))
            self._calls.have_patience(self._pace.outage)
            gone, broken = self._forget_what_is_gone(self._content, self._fetch_all())
        except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
            raise self._error_of(error) from self._shown(error)
        self._hold_content(self._content)
        self._counts = Counts(openings=self._log.epoch.number)
        self._known.clear()
        damage = [*reading.damage, *([missing_reports(broken)] if broken else [])]
        # What is damaged may name objects that nothing else does.
        clean = [] if damage else [self._log.sweep(log_records.large_objects(reading.bodies))]
        parts, self._parts = self._parts, Parts()
        bodies = [*parts.after, about]
        self._thread = LogThread(
            *(self._log, self._calls, self._pace, bodies, self._error_of, bool(damage), clean, parts.stored)
        )
        self._remove_outdated()
        if broken:
            self._append(log_records.unsettled(broken))
        if damage:
            kept = "What is damaged is kept there, as damaged-..."
            self._say_what_was_damaged("; ".join(damage), kept)
        self._say_what_is_gone(gone, self.path)

    def _fetch_all(self) -> Callable[[Stored], bool]:
        """Fetch results and reports that are objects of their own; the answer says which are whole."""
        trials = [trial for trial in self._content.trials.values() if trial.ending is not None]
        stored = [trial.ending.result for trial in trials if trial.ending is not None]
        stored += [each.value for trial in trials for each in self._content.reports_of(trial) or ()]
        digests = {each.file: each.digest for each in stored if each.file is not None}
        if digests:
            self._make_files()
        names = [*digests]
        whole = dict(zip(names, self._calls.each(self._fetch, names), strict=True))
        return lambda each: each.file is None or whole[each.file] == each.digest

    def _make_files(self) -> None:
        with self._making:
            if self._files is None:
                self._files = Path(tempfile.mkdtemp(prefix="sparkopt-journal-"))

    def _fetch(self, name: str) -> bytes | None:
        """Fetch an object into a file, and return its checksum; None if it is not there."""
        assert self._files is not None
        digest = hashlib.blake2b(digest_size=16)
        with (self._files / name).open("w+b") as file:
            if not self._calls.store.fetch(f"{LARGE}{name}", file):
                return None
            file.seek(0)
            while piece := file.read(_PIECE):
                digest.update(piece)
        return digest.digest()

    def watch(self, room: Callable[[], None], failed: Callable[[SparkoptError], None]) -> None:
        """Have a search hear when there is room again, or nothing more can be written."""
        assert self._thread is not None

        self._thread.watch(room, failed)

    @property
    def is_full(self) -> bool:
        """True if so much waits to be written that no more trials may be begun."""
        return self._thread is not None and self._thread.is_full

    def until_kept(self) -> None:
        """Wait until everything that was recorded by now is in the store."""
        if self._thread is not None:
            self._thread.until_kept()

    def close(self) -> None:
        """Write what is left to be written, and let go of the journal."""
        if os.getpid() != self._process:
            return
        thread, self._thread = self._thread, None
        try:
            if thread is not None and not thread.close():
                warn(
                    f"the journal {self.path} lacks what happened last, as it could not be written any more",
                    JournalWarning,
                )
        finally:
            if self._files is not None:
                shutil.rmtree(self._files, ignore_errors=True)

    # Writing.

    def _append(self, record: bytes | LargeObject) -> None:
        assert self._thread is not None
        self._thread.append(record)

    def _write_proposals(self, proposals: Sequence[tuple[int, bytes]], state: bytes, asked: bool) -> None:
        self._append(log_records.submitted(proposals, self._trials, state, asked))

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        self._append(log_records.started(started.tid, started.time))

    def _write_report(self, report: Report) -> None:
        self._append_with(
            report.value, lambda stored: log_records.reported(dataclasses.replace(report, value=stored))
        )

    def _write_ending(self, tid: int, ending: Ending) -> None:
        self._append_with(
            ending.result, lambda stored: log_records.settled(tid, dataclasses.replace(ending, result=stored))
        )

    def _append_with(self, stored: Stored, record: Callable[[Stored], bytes]) -> None:
        if stored.file is None:
            self._append(record(stored))
            return
        body, size = self._large.pop(stored.file)
        source = body if isinstance(body, bytes) else body.open("rb")
        self._append(LargeObject(stored.file, source, size, record))

    def _keep(self, payload: Payload | None, name: str) -> tuple[Payload | None, Stored]:
        if payload is None:
            return None, Stored()
        body = payload.body
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        if isinstance(body, bytes) and size <= self._pace.large:
            return payload, Stored(body)
        # The study removes the file once it has read it; it is open by then.
        name = f"{self._log.epoch}-{name}"
        self._large[name] = body, size
        return payload, Stored(file=name)

    def _keep_saved(self, body: bytes | Path, name: str) -> tuple[Payload, Stored]:
        """Put a checkpoint beside the log, whose segments do not wait for it."""
        if isinstance(body, bytes) and len(body) <= self._pace.checkpoint:
            return Payload(body), Stored(body)
        name = f"{self._log.epoch}-{name}"
        try:
            source = body if isinstance(body, bytes) else body.open("rb")
            with closing(LargeObject(name, source, 0, lambda stored: b"")) as large:
                stored = Stored(file=name, digest=large.digest())
                self._calls.make(Put(f"{LARGE}{name}", large.pieces))
        except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
            raise self._error_of(error) from self._shown(error)
        return Payload(body), stored

    def _write_saved(self, report: Report) -> None:
        self._append(log_records.reported(report))
        self.until_kept()

    def _fetch_saved(self, stored: Stored) -> Payload | None:
        if stored.file is None:
            return self._payload(stored)
        self._make_files()
        name = stored.file
        try:
            whole = self._calls.each(self._fetch, [name]) == [stored.digest]
        except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
            raise self._error_of(error) from self._shown(error)
        return self._payload(stored) if whole else None

    def _remove_saved(self, report: Report) -> None:
        if report.value.file is not None:
            with contextlib.suppress(Exception):  # it takes up room, no more
                # Its trial's end may wait to be written. A driver that goes on before it needs the object.
                self.until_kept()
                self._calls.make(Delete([f"{LARGE}{report.value.file}"]))

    def _payload(self, stored: Stored) -> Payload | None:
        if stored.file is not None:
            assert self._files is not None
            return Payload(self._files / stored.file)
        return None if stored.body is None else Payload(stored.body)
