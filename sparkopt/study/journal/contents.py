"""Contents of a journal of either kind, read-only, and copies of journals. Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sparkopt.errors import JournalError, RefusedError
from sparkopt.study.file_arguments import writable_file
from sparkopt.study.journal import beside, described_dimensions
from sparkopt.study.journal.database import make
from sparkopt.study.journal.inspection import inspect
from sparkopt.study.journal.kept import KeptFiles
from sparkopt.study.journal.places import hiding, shown, store_of
from sparkopt.study.journal.rows import FORMAT, SAVED, Content, Counts, Report, Sealer, Stored, Trial, new_id
from sparkopt.study.journal.segments import log_records, object_format
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_format import LARGE, Epoch, body_of_damaged
from sparkopt.study.journal.segments.object_stores import ObjectStore
from sparkopt.study.journal.segments.segment_log import ListNames, Put, Reading, SegmentLog, read
from sparkopt.study.journal.segments.snapshot_parts import read_parts
from sparkopt.study.journal.segments.store_calls import StoreCalls
from sparkopt.study.trial_description import Dimension

Place = str | os.PathLike[str]


@dataclasses.dataclass(slots=True)
class JournalContents:
    """Contents of a journal.

    Attributes:
        place: its path or address, as messages have it.
        content: what can be read.
        damage: what is wrong; empty if nothing is.
        read: returns the bytes of a result or report; None if they are not there.
    """

    place: str
    content: Content
    damage: list[str]
    read: Callable[[Stored], bytes | None]

    def trials(self) -> list[Trial]:
        """The trials in the order in which they were submitted."""
        return sorted(self.content.trials.values(), key=lambda trial: trial.number)

    def reports(self, trial: Trial) -> list[Report]:
        """The reports of a trial, as far as they are there; of one that has not settled none."""
        return self.content.reports_of(trial) or []

    def dimensions(self) -> list[Dimension]:
        """The dimensions of the search's space; none if the journal does not say, or they cannot be read."""
        return described_dimensions.dimensions_of_text(self.content.meta.get(described_dimensions.KEY))

    def verify(self) -> list[str]:
        """Check everything that a trial has settled with; return what is wrong, in sentences."""
        wrong = list(self.damage)
        for trial in self.trials():
            if trial.ending is None:
                continue
            if self.content.reports_of(trial) is None:
                wrong.append(f"reports of trial {trial.tid} are missing")
            for stored in (trial.ending.result, *(each.value for each in self.reports(trial))):
                if stored.file is not None and not _is_whole(stored, self.read(stored)):
                    wrong.append(f"{stored.file} of trial {trial.tid} is missing, or not what was written")
        return wrong


def _is_whole(stored: Stored, data: bytes | None) -> bool:
    if data is None or stored.digest is None:
        return data is not None
    return hashlib.blake2b(data, digest_size=len(stored.digest)).digest() == stored.digest


def look(place: Place) -> JournalContents:
    """Read a journal. Nothing there changes, and a search may be writing to it.

    Args:
        place: its path or address.

    Raises:
        RefusedError: if there is none.
        JournalError: if it cannot be read.
    """
    store = store_of(place)
    try:
        return _of_file(Path(place)) if store is None else _of_log(_calls_to(store), shown(place))
    except (RefusedError, JournalError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
        said = hiding(place)(str(error))
        raise JournalError(f"the journal {shown(place)} cannot be read: {said}") from None


def _calls_to(store: ObjectStore) -> StoreCalls:
    return StoreCalls(store, 0.0, Pace().answer)


def _of_file(path: Path) -> JournalContents:
    if not path.exists():
        raise RefusedError(f"there is no journal {path}")
    target = path.resolve()
    found, kept = inspect(target), KeptFiles(path.with_name(f"{path.name}-files"))

    def read_stored(stored: Stored) -> bytes | None:
        if stored.file is None:
            return stored.body
        file = kept.directory / stored.file
        return file.read_bytes() if file.is_file() else None

    damage = [found.damage] if found.damage else []
    return JournalContents(str(path), found.content or Content(), damage, read_stored)


def _of_log(calls: StoreCalls, place: str) -> JournalContents:
    reading = calls.run(read(salvage=lambda data: log_records.whole(data, body_of_damaged(data))))
    if reading.listing.is_empty:
        raise RefusedError(f"there is no journal {place}")
    read_parts(reading, lambda names: calls.each(calls.store.get, names))
    content = Content()
    for body in reading.bodies:
        log_records.take(body, content)

    def read_stored(stored: Stored) -> bytes | None:
        if stored.file is None:
            return stored.body
        return calls.each(calls.store.get, [f"{LARGE}{stored.file}"])[0]

    return JournalContents(place, content, reading.damage, read_stored)


def copy(source: Place, target: Place) -> JournalContents:
    """Copy what is whole of a journal to another place, of either kind.

    Args:
        source: path or address of the journal.
        target: where nothing is yet.

    Returns:
        The contents of the source.

    Raises:
        RefusedError: if there is no journal, or something is where it is to be copied to.
        JournalError: if the source cannot be read, or the target not written.
    """
    contents, store = look(source), store_of(target)
    content = contents.content
    content.forget_endings(
        trial.tid
        for trial in contents.trials()
        if trial.ending is not None and not _has_all(contents, trial, trial.ending.result)
    )
    try:
        if store is None:
            _copy_to_file(contents, writable_file(target, "journal", beside.LONGER))
        else:
            _copy_to_log(contents, _calls_to(store), shown(target))
    except (RefusedError, JournalError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries of stores raise what they like
        said = hiding(target)(hiding(source)(str(error)))
        raise JournalError(f"the journal {shown(target)} cannot be written: {said}") from None
    return contents


def _has_all(contents: JournalContents, trial: Trial, result: Stored) -> bool:
    reports = contents.content.reports_of(trial)
    return reports is not None and all(
        stored.file is None or _is_whole(stored, contents.read(stored))
        for stored in (result, *(each.value for each in reports))
    )


Keep = Callable[[Stored, str], Stored]
"""Has the bytes of a result or report under a name at the target, if they are not in the record itself."""


def _with_kept(contents: JournalContents, keep: Keep) -> Iterator[tuple[Trial, list[Report]]]:
    checkpoints = contents.content.checkpoints()
    for number, trial in enumerate(contents.trials()):
        reports = [
            dataclasses.replace(each, value=keep(each.value, f"report-{each.number}"))
            for each in contents.reports(trial)
        ]
        saved = checkpoints.get(trial.tid)
        if saved is not None and _is_whole(saved.value, contents.read(saved.value)):
            kept = keep(saved.value, f"{SAVED}-{saved.number}")
            reports.append(dataclasses.replace(saved, value=kept))
        ending = trial.ending
        if ending is not None:
            ending = dataclasses.replace(ending, result=keep(ending.result, f"result-{trial.tid}"))
        yield dataclasses.replace(trial, number=number, ending=ending), reports


def _copy_to_file(contents: JournalContents, path: Path) -> None:
    kept = KeptFiles(path.with_name(f"{path.name}-files"))
    if os.path.lexists(path) or kept.directory.exists():
        raise RefusedError(f"journal {path} is there already: name another file")

    def keep(stored: Stored, name: str) -> Stored:
        data = contents.read(stored)
        if stored.file is None or data is None:
            return stored
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            file.write(data)
        return kept.put(Path(file.name), name)

    pairs = list(_with_kept(contents, keep))
    trials = [trial for trial, _ in pairs]
    settled = sum(trial.ending is not None for trial in trials)
    counts = Counts(len(trials), settled, contents.content.counts.openings)
    meta = {**contents.content.meta, "format": str(FORMAT), "counts": counts.to_text()}
    meta.pop("id", None)
    if (described := meta.pop(described_dimensions.KEY, None)) is not None:
        meta[described_dimensions.KEY] = described  # after the counts, as a journal has it
    try:
        make(path, Sealer(new_id()), meta, trials, [each for _, reports in pairs for each in reports])
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} cannot be written: {error}") from error


def _copy_to_log(contents: JournalContents, calls: StoreCalls, place: str) -> None:
    there = RefusedError(f"journal {place} is there already, or other files are: name another place")
    if calls.make(ListNames()):
        raise there
    log, source = SegmentLog(), contents.content
    calls.once(lambda _: calls.store.prepare())

    def keep(stored: Stored, name: str) -> Stored:
        data = contents.read(stored)
        if stored.file is None or data is None:
            return stored
        name = f"{log.epoch}-{name}"
        calls.make(Put(f"{LARGE}{name}", data))
        return Stored(file=name, digest=hashlib.blake2b(data, digest_size=16).digest())

    meta = {key: value for key, value in source.meta.items() if key not in ("id", "counts", "format")}
    content = Content({**meta, "format": str(object_format.FORMAT)})
    for trial, reports in _with_kept(contents, keep):
        content.add_trial(trial)
        for report in reports:
            content.add_report(report)
    body = b"".join(log_records.of_content(content))

    def first(reading: Reading, _epoch: Epoch) -> bytes:
        if reading.journal:
            raise there  # somebody has begun a search there meanwhile
        return body

    calls.run(log.open({}, b"a copy", new_id(), first))
    calls.run(log.close())
