"""Objects of a log, as bytes: names that say what each object is, and seals that tell whether it is whole.

    epoch-00000003-9f2c41aa                      a driver's claim to be the writer
    segment-000000000012-00000003-9f2c41aa       the twelfth part of the log, by the writer of that epoch
    snapshot-000000000012-00000003-9f2c41aa      everything up to the twelfth part
    closed-000000000012-00000003-9f2c41aa        the journal was closed after the twelfth part
    large/00000003-9f2c41aa-result-7             a result or report, named by a segment
    large/00000003-9f2c41aa-records-4            a part of everything, named by snapshots

A seal at an object's end names the journal and the object, and has a checksum of everything before it. So an
object that was damaged, cut short, or put in the place of another one is told from one that is whole. Each
segment's seal names the checksum of the segment before it.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FORMAT: Final = 1

LARGE: Final = "large/"
"""Prefix of the names of results and reports that are objects of their own."""

RECORDS: Final = "records"
"""Large objects that have this behind their epoch are parts of snapshots."""

DAMAGED: Final = "damaged-"
"""Prefix of the names under which objects are kept that are not what was written."""

_MAGIC: Final = re.compile(rb"sparkopt journal log (\d{1,9})\n")
_HEADER: Final = b"sparkopt journal log %d\n" % FORMAT
_LENGTH: Final = struct.Struct("<I")
_DIGEST_BYTES: Final = 16

_EPOCH: Final = r"(?P<epoch>\d{8})-(?P<token>[0-9a-f]{8})"
_CLAIM: Final = re.compile(rf"epoch-{_EPOCH}")
_LARGE: Final = re.compile(rf"{_EPOCH}-.+")
_PART: Final = re.compile(rf"(?P<kind>segment|snapshot|closed)-(?P<number>\d{{12}})-{_EPOCH}")


class DamagedObjectError(Exception):
    """An object is not what was written."""


class NewerFormatError(Exception):
    """An object is of a format that this version does not know."""


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """Claim of a driver to be the log's writer. The highest one counts.

    Attributes:
        number: one more than the highest that there was.
        token: drawn at random; decides between two drivers that began in the same moment.
    """

    number: int
    token: str

    @property
    def name(self) -> str:
        """Name of its object."""
        return f"epoch-{self}"

    def __str__(self) -> str:
        return f"{self.number:08d}-{self.token}"

    @classmethod
    def of_large(cls, name: str) -> Epoch | None:
        """Returns the epoch of the driver that has put a large object; None if that has another name."""
        match = _LARGE.fullmatch(name)
        return None if match is None else cls(int(match["epoch"]), match["token"])


class Kind(enum.Enum):
    """Kind of a part of a log."""

    SEGMENT = "segment"
    """Records, in the order in which things happened."""
    SNAPSHOT = "snapshot"
    """The names of parts, which have the records of all segments up to one."""
    CLOSED = "closed"
    """A mark: the journal was closed after a segment."""


@dataclass(frozen=True, slots=True)
class Part:
    """Place of a part in a log.

    Attributes:
        number: of the segment, from 1; of the last segment that a snapshot or mark covers.
        epoch: of its writer.
        kind: of the part.
    """

    number: int
    epoch: Epoch
    kind: Kind = Kind.SEGMENT

    @property
    def name(self) -> str:
        """Name of its object."""
        return f"{self.kind.value}-{self.number:012d}-{self.epoch}"

    @property
    def age(self) -> tuple[int, Epoch]:
        """Orders parts of one kind."""
        return self.number, self.epoch


@dataclass(slots=True)
class Listing:
    """Contents of a log's store by their names.

    Attributes:
        epochs: of those who have begun to write.
        parts: by kind, in no order.
        strangers: names that are none of a log's.
    """

    epochs: list[Epoch] = field(default_factory=list)
    parts: dict[Kind, list[Part]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    strangers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, names: Iterable[str]) -> Listing:
        """Sorts the names of a store's objects."""
        listing = cls()
        for name in names:
            if (match := _CLAIM.fullmatch(name)) is not None:
                listing.epochs.append(Epoch(int(match["epoch"]), match["token"]))
            elif (match := _PART.fullmatch(name)) is not None:
                kind = Kind(match["kind"])
                epoch = Epoch(int(match["epoch"]), match["token"])
                listing.parts[kind].append(Part(int(match["number"]), epoch, kind))
            elif not name.startswith(DAMAGED):
                listing.strangers.append(name)
        return listing

    @property
    def is_empty(self) -> bool:
        """True if nothing of a log is there."""
        return not (self.epochs or any(self.parts.values()))

    @property
    def highest(self) -> Epoch:
        """The highest epoch of anything that is there."""
        written = (part.epoch for parts in self.parts.values() for part in parts)
        return max((*self.epochs, *written), default=Epoch(0, ""))


@dataclass(frozen=True, slots=True)
class Sealed:
    """Contents of a segment or snapshot that is whole.

    Attributes:
        journal: the journal's id.
        body: its records.
        chain: checksum of the segment before it; of a snapshot, that of the last segment that it covers.
        digest: its own checksum.
    """

    journal: str
    body: bytes
    chain: bytes
    digest: bytes


class Sealing:
    """Makes an object piece by piece: its header, its body, and the seal.

    Args:
        part: which it is.
        journal: the journal's id.
        chain: checksum of the segment before it; for a snapshot, that of the last segment that it covers.
    """

    def __init__(self, part: Part, journal: str, chain: bytes) -> None:
        self._seal = [journal, part.name, chain.hex()]
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def head(self) -> bytes:
        """Returns the bytes before the body."""
        self._digest.update(_HEADER)
        return _HEADER

    def add(self, piece: bytes) -> bytes:
        """Takes a piece of the body, and returns it."""
        self._digest.update(piece)
        return piece

    def tail(self) -> tuple[bytes, bytes]:
        """Returns the bytes after the body, and the object's checksum."""
        seal = json.dumps(self._seal).encode()
        tail = seal + _LENGTH.pack(len(seal))
        self._digest.update(tail)
        digest = self._digest.digest()
        return tail + digest, digest


def seal(part: Part, journal: str, chain: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Returns the bytes of an object, and its checksum."""
    sealing = Sealing(part, journal, chain)
    head, body = sealing.head(), sealing.add(body)
    tail, digest = sealing.tail()
    return head + body + tail, digest


def body_of_damaged(data: bytes) -> int:
    """Returns the place at which the body of an object begins, whatever is wrong with it."""
    magic = _MAGIC.match(data)
    return len(_HEADER) if magic is None else magic.end()


def unseal(part: Part, data: bytes) -> Sealed:
    """Reads an object.

    Raises:
        DamagedObjectError: if it is not what was written there.
        NewerFormatError: if a newer version wrote it.
    """
    magic = _MAGIC.match(data)
    end = len(data) - _DIGEST_BYTES
    digest = data[end:]
    whole = end > 0 and hashlib.blake2b(data[:end], digest_size=_DIGEST_BYTES).digest() == digest
    if magic is None or not whole:
        raise DamagedObjectError(f"{part.name} is not what was written")
    if int(magic[1]) > FORMAT:
        raise NewerFormatError(f"format {magic[1].decode()}")
    (length,) = _LENGTH.unpack_from(data, end - _LENGTH.size)
    at = end - _LENGTH.size - length
    journal, name, chain = json.loads(data[at : end - _LENGTH.size])
    if name != part.name:
        raise DamagedObjectError(f"{part.name} is {name} under another name")
    return Sealed(journal, data[magic.end() : at], bytes.fromhex(chain), digest)
