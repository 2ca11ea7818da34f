"""Parts of a snapshot: objects that snapshots name, each with the records of many segments.

    segments ──▶ a part, put once ──▶ named by this snapshot and by all later ones
    names of many parts ──▶ a part

So a record is put twice, in its segment and in a part, however many snapshots a long search makes. Nothing
deletes a part: a driver that was taken over may still put a snapshot that names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sparkopt.study.journal.rows import Stored
from sparkopt.study.journal.segments import log_records
from sparkopt.study.journal.segments.object_format import LARGE
from sparkopt.study.journal.segments.segment_log import Reading


@dataclass(slots=True)
class Parts:
    """Parts of a log's last snapshot.

    Attributes:
        stored: their names and checksums, in the order of their records.
        after: records that are in none of them.
    """

    stored: list[Stored] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)


def read_parts(reading: Reading, get: Callable[[Sequence[str]], Sequence[bytes | None]]) -> Parts:
    """Read the parts that a log's snapshot names, and put their records in the place of their names.

    What is wrong with them is added to the damage of the reading.

    Args:
        reading: of the log.
        get: returns the bytes of objects, None for one that is not there.
    """
    named = first = _names(reading)
    after = [log_records.without_parts(body) for body in reading.bodies]
    while named:
        whole = _whole(reading, named, get([f"{LARGE}{stored.file}" for stored in named]))
        reading.bodies = [log_records.with_parts(body, whole) for body in reading.bodies]
        named = _names(reading)  # of parts that have the names of others
    return Parts(after=reading.bodies) if reading.damage else Parts(first, after)


def _names(reading: Reading) -> list[Stored]:
    return [stored for body in reading.bodies for stored in log_records.parts(body)]


def _whole(reading: Reading, names: list[Stored], found: Sequence[bytes | None]) -> dict[str, bytes]:
    """Returns the whole records of parts, by their names."""
    whole: dict[str, bytes] = {}
    for stored, data in zip(names, found, strict=True):
        assert stored.file is not None
        name, digest = stored.file, hashlib.blake2b(data or b"", digest_size=16).digest()
        if data is None:
            reading.damage.append(f"{LARGE}{name} is missing")
        elif digest != stored.digest:
            reading.damage.append(f"{LARGE}{name} is not what was written")
            reading.damaged[name] = data
            data = log_records.whole(data, 0)
        whole[name] = data or b""
    return whole
