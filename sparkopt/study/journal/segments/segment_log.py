"""Log of a journal in a store of objects: which segments count, and which driver may write.

    open      list ─▶ put epoch ─▶ list, get ─▶ put segment ─▶ list: no higher epoch?
    commit    put segment ─▶ list: no higher epoch? ─▶ the segment counts
    snapshot  put snapshot ─▶ list ─▶ delete what it covers
    sweep     list large objects ─▶ delete those of former drivers that nothing names

Nothing here does I/O: each operation is a generator that yields requests and is sent their answers. The store
has whole objects only; a put may be torn, may come late, and may have happened although it failed.

A segment's number is one more than that of the segment before it. If several segments have the same number,
the one that counts is the one that the next segment follows or, without a next one, the one of the highest
epoch. The others are from drivers that had lost the log by then. The first segment of an epoch is put as soon
as the log was read, so what a former driver puts after that has a number that is taken. A driver puts one
segment at a time, and the next one only if no higher epoch was listed after the last one. So a driver whose
log was taken over puts at most one segment that does not count.

A snapshot is made of segments that count, by whichever driver, so it is always true.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from sparkopt.study.journal.segments.object_format import (
    DAMAGED,
    LARGE,
    RECORDS,
    DamagedObjectError,
    Epoch,
    Kind,
    Listing,
    Part,
    Sealed,
    seal,
    unseal,
)

T = TypeVar("T")

AT_ONCE: Final = 32
"""How many objects are got or deleted by one request."""

_READINGS: Final = 20
"""How often a log is read anew because a snapshot has replaced what was to be read."""


@dataclass(frozen=True, slots=True)
class Put:
    """Put an object, in place of one of the same name if there is one.

    Attributes:
        name: of the object.
        data: its bytes; or something of the caller's that its store can put.
    """

    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class Get:
    """Get objects. The answer is a list of their bytes, with None for one that is not there."""

    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListNames:
    """List all objects, except large ones. The answer is their names."""


@dataclass(frozen=True, slots=True)
class ListLarge:
    """List the large objects. The answer is their names, without their prefix."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete objects, if they are there."""

    names: Sequence[str]


Request: TypeAlias = Put | Get | ListNames | ListLarge | Delete
Steps: TypeAlias = Generator[Request, Any, T]


class TakenOverError(Exception):
    """Another driver has begun to write the log.

    Attributes:
        epoch: that driver's.
    """

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(str(epoch))
        self.epoch = epoch


@dataclass(slots=True)
class Reading:
    """A log as it was read.

    Attributes:
        listing: names of what is there.
        journal: its id; empty if nothing is there.
        number: of the last segment.
        chain: checksum of that.
        bodies: records of the snapshot, if there is one, and of the segments after it.
        segments: how many segments were read, besides the snapshot.
        damage: what is wrong; empty if nothing is.
        damaged: bytes of the objects that are not what was written, by their names.
        strange: the same of those that are another journal's.
    """

    listing: Listing
    journal: str = ""
    number: int = 0
    chain: bytes = b""
    bodies: list[bytes] = field(default_factory=list)
    segments: int = 0
    damage: list[str] = field(default_factory=list)
    damaged: dict[str, bytes] = field(default_factory=dict)
    strange: dict[str, bytes] = field(default_factory=dict)


class _GoneError(Exception):
    """An object that was listed is gone."""


Salvage: TypeAlias = Callable[[bytes], bytes]
"""Returns what is whole of the body of a damaged object."""


def read(known: dict[str, bytes] | None = None, salvage: Salvage = lambda data: b"") -> Steps[Reading]:
    """Read a log.

    Args:
        known: objects that need not be got again; those that were got are added.
        salvage: says what there is of a damaged object.

    Raises:
        NewerFormatError: if a newer version wrote it.
    """
    known = {} if known is None else known
    for attempt in range(_READINGS):
        listing = Listing.of((yield ListNames()))
        try:
            return (yield from _read(listing, known, salvage, attempt == _READINGS - 1))
        except _GoneError:
            continue  # a snapshot covers it by now
    raise AssertionError


def _read(listing: Listing, known: dict[str, bytes], salvage: Salvage, last: bool) -> Steps[Reading]:
    reading = Reading(listing)
    torn: list[Part] = []
    for part in sorted(listing.parts[Kind.SNAPSHOT], key=lambda each: each.age, reverse=True):
        ((_, sealed),) = yield from _got([part], known, reading, last)
        if sealed is not None:
            reading.journal, reading.number, reading.chain = sealed.journal, part.number, sealed.chain
            reading.bodies.append(sealed.body)
            break
        torn.append(part)
    parts = [part for part in listing.parts[Kind.SEGMENT] if part.number > reading.number]
    found: list[tuple[Part, Sealed | None]] = []
    for first in range(0, len(parts), AT_ONCE):
        found += yield from _got(parts[first : first + AT_ONCE], known, reading, last)
    closed = max((part.number for part in listing.parts[Kind.CLOSED]), default=0)
    for part, sealed in _chosen(reading, found, closed):
        _take(reading, part, sealed, salvage)
    for part in torn:
        if part.number <= reading.number and not reading.damage:
            # The same: all that it was to cover is there. Or it has come late, and was covered.
            del reading.damaged[part.name]
        else:
            reading.damage.append(f"{part.name} is not what was written")
            reading.bodies.insert(0, salvage(reading.damaged[part.name]))
    most = max(closed, *(part.number for part in torn), 0)
    if reading.number < most:
        reading.damage.append(f"segments {reading.number + 1} to {most} are missing")
        reading.number, reading.chain = most, b""
    return reading


def _got(
    parts: Sequence[Part], known: dict[str, bytes], reading: Reading, last: bool
) -> Steps[list[tuple[Part, Sealed | None]]]:
    """Get objects, and see which of them are whole."""
    missing = [part.name for part in parts if part.name not in known]
    if missing:
        for name, data in zip(missing, (yield Get(missing)), strict=True):
            if data is not None:
                known[name] = data
            elif not last:
                raise _GoneError
    found: list[tuple[Part, Sealed | None]] = []
    for part in parts:
        data = known.get(part.name, b"")
        try:
            sealed = unseal(part, data)
        except DamagedObjectError:
            reading.damaged[part.name] = data
            known.pop(part.name, None)  # it may just be being written
            sealed = None
        if sealed is not None and reading.journal and sealed.journal != reading.journal:
            reading.strange[part.name] = data
            sealed = None
        found.append((part, sealed))
    return found


def _chosen(
    reading: Reading, found: list[tuple[Part, Sealed | None]], closed: int
) -> list[tuple[Part, Sealed | None]]:
    """Choose one segment of each number: the one that the next segment follows, or of the highest epoch."""
    chosen: list[tuple[Part, Sealed | None]] = []
    by_number: dict[int, list[tuple[Part, Sealed | None]]] = {}
    for part, sealed in found:
        by_number.setdefault(part.number, []).append((part, sealed))
    before, chain = 0, b""
    for number in sorted(by_number, reverse=True):
        several = sorted(by_number[number], key=lambda each: each[0].age, reverse=True)
        wanted = chain if number == before - 1 else b""
        part, sealed = several[0]
        if wanted:
            match = [each for each in several if each[1] is not None and each[1].digest == wanted]
            part, sealed = match[0] if match else (part, None)
        for other, _ in several:
            if other is not part:
                reading.damaged.pop(other.name, None)
        if sealed is None and not chosen and number > closed:
            # Its driver was killed while it put it, and nobody has acted on it.
            reading.damaged.pop(part.name, None)
            continue
        chosen.append((part, sealed))
        before, chain = number, b"" if sealed is None else sealed.chain
    return chosen[::-1]


def _take(reading: Reading, part: Part, sealed: Sealed | None, salvage: Salvage) -> None:
    expected = reading.number + 1
    if part.number > expected:
        reading.damage.append(f"segments {expected} to {part.number - 1} are missing")
        reading.chain = b""
    if sealed is None:
        reading.damage.append(f"{part.name} is not what was written")
        reading.number, reading.chain = part.number, b""
        reading.bodies.append(salvage(reading.damaged.get(part.name, b"")))
        return
    if reading.chain and sealed.chain != reading.chain:
        reading.damage.append(f"{part.name} does not follow the segment before it")
    reading.journal = reading.journal or sealed.journal
    reading.number, reading.chain = part.number, sealed.digest
    reading.bodies.append(sealed.body)
    reading.segments += 1


class SegmentLog:
    """A driver's hold of a log. Its operations are made one after another.

    Args:
        token: drawn at random if there is none.

    Attributes:
        epoch: its own.
        journal: the journal's id.
        number: of the last segment that counts.
        since: how many segments there are after the last snapshot.
    """

    def __init__(self, token: str | None = None) -> None:
        self.epoch = Epoch(0, token or secrets.token_hex(4))
        self.journal = ""
        self.number = 0
        self.since = 0
        self._chain = b""
        self._covered = 0

    def open(
        self,
        known: dict[str, bytes],
        claim: bytes,
        journal: str,
        first: Callable[[Reading, Epoch], bytes],
        salvage: Salvage = lambda data: b"",
    ) -> Steps[Reading]:
        """Take the log over, or begin it.

        Args:
            known: objects that need not be got again.
            claim: bytes of the epoch's object, for people to read.
            journal: the journal's id, if there is none yet.
            first: makes the records of the first segment; it may raise if the log is not what was expected.
            salvage: says what there is of a damaged object.

        Returns:
            The log as it was before the first segment.

        Raises:
            TakenOverError: if another driver takes it over at this moment.
            NewerFormatError: if a newer version wrote it.
        """
        highest = Listing.of((yield ListNames())).highest
        self.epoch = Epoch(highest.number + 1, self.epoch.token)
        yield Put(self.epoch.name, claim)
        reading = yield from read(known, salvage)
        self._check(reading.listing)
        self.journal = reading.journal or journal
        self.number, self._chain, self.since = reading.number, reading.chain, reading.segments
        body = first(reading, self.epoch)
        for name, data in {**reading.damaged, **reading.strange}.items():
            if data:
                yield Put(f"{DAMAGED}{name}", data)
        yield from self.commit(body)
        return reading

    def commit(self, body: bytes) -> Steps[None]:
        """Put the next segment. It counts once this returns.

        Raises:
            TakenOverError: if another driver has taken the log over: it may or may not count.
        """
        part = Part(self.number + 1, self.epoch)
        data, digest = seal(part, self.journal, self._chain, body)
        yield Put(part.name, data)
        self._check(Listing.of((yield ListNames())))
        self.number, self._chain = part.number, digest
        self.since += 1

    def snapshot(self, whole: Callable[[Part, str, bytes], Any]) -> Steps[None]:
        """Put everything that counts as one object. Nothing is deleted: see :meth:`clean`.

        Args:
            whole: makes the object, of its name, the journal's id and the checksum of the last segment.
        """
        part = Part(self.number, self.epoch, Kind.SNAPSHOT)
        yield Put(part.name, whole(part, self.journal, self._chain))
        self.since, self._covered = 0, part.number

    def clean(self) -> Steps[None]:
        """Delete what the last snapshot covers, and the claims of former drivers. To be made after that."""
        listing, covered = Listing.of((yield ListNames())), self._covered
        own = covered, self.epoch
        names = [part.name for part in listing.parts[Kind.SEGMENT] if part.number <= covered]
        names += [part.name for part in listing.parts[Kind.SNAPSHOT] if part.age < own]
        names += [part.name for part in listing.parts[Kind.CLOSED] if part.number <= covered]
        names += [epoch.name for epoch in listing.epochs if epoch < self.epoch]
        for first in range(0, len(names), AT_ONCE):
            yield Delete(names[first : first + AT_ONCE])

    def sweep(self, named: Collection[str]) -> Steps[None]:
        """Delete large objects of former drivers that no record names. To be made once the log is open.

        The first segment counts by then, so no segment that a former driver still puts ever does, and what it
        was to name is not needed. But a snapshot of a former driver's does, so parts stay.

        Args:
            named: by the records that were read.
        """
        names = yield ListLarge()
        orphans = [name for name in names if name not in named and self._is_of_former_driver(name)]
        for first in range(0, len(orphans), AT_ONCE):
            yield Delete([f"{LARGE}{name}" for name in orphans[first : first + AT_ONCE]])

    def _is_of_former_driver(self, large: str) -> bool:
        epoch = Epoch.of_large(large)
        return epoch is not None and epoch < self.epoch and not large.startswith(f"{epoch}-{RECORDS}-")

    def close(self) -> Steps[None]:
        """Mark that all that there is was read or written by a driver that has ended in peace."""
        part = Part(self.number, self.epoch, Kind.CLOSED)
        yield Put(part.name, seal(part, self.journal, self._chain, b"")[0])

    def _check(self, listing: Listing) -> None:
        if listing.highest > self.epoch:
            raise TakenOverError(listing.highest)
