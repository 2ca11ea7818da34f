"""Records of a log: what happened to a search and its trials, as bytes and back.

A record is a head, a list in JSON that begins with the record's kind, and a tail of bytes that are the front
end's or pickled. Nothing here unpickles. Fields that a newer version adds at the end of a head are ignored.
Each record has a checksum of its own, so that those of an object that is damaged are not all lost.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sparkopt.study.journal.rows import Content, Ending, Report, Stored, Trial
from sparkopt.study.journal.segments.object_format import NewerFormatError

_SIZES: Final = struct.Struct("<IQI")
"""Bytes of a record's head and tail, and the checksum of both."""

_PART: Final = "part"
_PART_HEAD: Final = b'["part",'
"""Beginning of the head of a record that names a part."""

_LARGE_NAME: Final = re.compile(rb'"(\d{8}-[0-9a-f]{8}-[^"\\]+)"')
"""Name of a large object, in the JSON of a head."""


def _record(tail: bytes, *head: Any) -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode()
    return _SIZES.pack(len(text), len(tail), zlib.crc32(tail, zlib.crc32(text))) + text + tail


def search(meta: Mapping[str, str]) -> bytes:
    """Identity of the search that the log is of. The first record of each driver."""
    return _record(b"", "search", dict(meta))


def submitted(proposals: Sequence[tuple[int, bytes]], first: int, state: bytes, asked: bool) -> bytes:
    """Trials were submitted.

    Args:
        proposals: the trials' numbers, each with the front end's own bytes.
        first: place of the first of them among all that were submitted, from 0.
        state: the front end's state after their proposal.
        asked: whether somebody outside has asked for them.
    """
    tail = b"".join([*(own for _, own in proposals), state])
    sizes = [(tid, len(own)) for tid, own in proposals]
    return _record(tail, "submitted", first, asked, sizes)


def started(tid: int, time: float) -> bytes:
    """An attempt was sent to a worker, at ``time`` in seconds since the epoch."""
    return _record(b"", "started", tid, time)


def reported(report: Report) -> bytes:
    """A trial has said something."""
    tail, stored = _stored(report.value)
    return _record(
        tail,
        *("reported", report.number, report.tid, report.opening, report.nth, report.kind, report.name),
        stored,
    )


def settled(tid: int, ending: Ending) -> bytes:
    """A trial has settled."""
    tail, stored = _stored(ending.result)
    return _record(
        tail,
        *("settled", tid, ending.outcome, ending.settled, ending.place, ending.kind, ending.reason),
        *(ending.opening, ending.reports, stored),
    )


def unsettled(tids: Sequence[int]) -> bytes:
    """Trials run again, as what they have reported is lost."""
    return _record(b"", "unsettled", list(tids))


def part(stored: Stored) -> bytes:
    """The records of many segments are an object of its own. Snapshots consist of these."""
    return _record(b"", _PART, _stored(stored)[1])


def _stored(value: Stored) -> tuple[bytes, Any]:
    if value.file is not None:
        assert value.digest is not None
        return b"", [value.file, value.digest.hex()]
    return value.body or b"", value.body is not None


def _read_stored(said: Any, tail: bytes) -> Stored:
    if isinstance(said, list):
        return Stored(None, said[0], bytes.fromhex(said[1]))
    return Stored(tail) if said else Stored()


def of_content(content: Content) -> Iterator[bytes]:
    """The records of a whole journal, in an order in which :func:`take` makes the same of them."""
    yield search(content.meta)
    for trial in sorted(content.trials.values(), key=lambda each: each.number):
        yield submitted([(trial.tid, trial.own)], trial.number, trial.state or b"", trial.asked)
        if trial.started is not None:
            yield started(trial.tid, trial.started)
        for report in content.reports_of(trial) or ():
            yield reported(report)
        if trial.ending is not None:
            yield settled(trial.tid, trial.ending)
        elif trial.tid in content.saved:
            yield reported(content.saved[trial.tid])


def take(body: bytes, content: Content) -> None:
    """Take the records of a segment or snapshot into a content, in their order.

    Raises:
        NewerFormatError: if there is one that no version up to this one writes.
    """
    at = 0
    while at < len(body):
        head, tail, _ = _SIZES.unpack_from(body, at)
        at += _SIZES.size
        kind, *said = json.loads(body[at : at + head])
        at += head + tail
        _take(kind, said, body[at - tail : at], content)


def parts(body: bytes) -> list[Stored]:
    """Returns the parts that the records of a snapshot name."""
    return [stored for _, stored in _pieces(body) if stored is not None]


def with_parts(body: bytes, records: Mapping[str, bytes]) -> bytes:
    """Returns the records of a snapshot, those of its parts in the place of their names.

    Args:
        body: of the snapshot, or of a segment.
        records: of the parts, by their names.
    """
    return b"".join(
        piece if stored is None else records[stored.file or ""] for piece, stored in _pieces(body)
    )


def without_parts(body: bytes) -> bytes:
    """Returns the records of a snapshot that are in none of its parts."""
    return b"".join(piece for piece, stored in _pieces(body) if stored is None)


def _pieces(body: bytes) -> Iterator[tuple[bytes, Stored | None]]:
    """Splits records at those that name a part."""
    if _PART_HEAD not in body:
        yield body, None
        return
    at = begin = 0
    while at < len(body):
        head, tail, _ = _SIZES.unpack_from(body, at)
        first, end = at + _SIZES.size, at + _SIZES.size + head + tail
        text = body[first : first + head]
        if text.startswith(_PART_HEAD):
            yield body[begin:at], None
            yield b"", _read_stored(json.loads(text)[1], b"")
            begin = end
        at = end
    yield body[begin:], None


def large_objects(bodies: Iterable[bytes]) -> set[str]:
    """Returns the names of all large objects that are named by any record, of whatever kind.

    It is what looks like such a name, so that records of newer versions have theirs too.
    """
    names: set[str] = set()
    for body in bodies:
        at = 0
        while at < len(body):
            head, tail, _ = _SIZES.unpack_from(body, at)
            at += _SIZES.size
            names.update(name.decode() for name in _LARGE_NAME.findall(body, at, at + head))
            at += head + tail
    return names


def whole(data: bytes, at: int) -> bytes:
    """Returns those records of a damaged object that are as they were written.

    Args:
        data: of the object.
        at: where its first record begins.
    """
    found = []
    while at + _SIZES.size <= len(data):
        head, tail, checksum = _SIZES.unpack_from(data, at)
        end = at + _SIZES.size + head + tail
        if end > len(data):
            break
        if zlib.crc32(data[at + _SIZES.size : end]) == checksum:
            found.append(data[at:end])
        at = end
    return b"".join(found)


def _take(kind: str, said: list[Any], tail: bytes, content: Content) -> None:
    trials = content.trials
    match kind:
        case "search":
            content.meta.update(said[0])
        case "submitted":
            first, asked, sizes = said[:3]
            at = 0
            state = tail[sum(size for _, size in sizes) :] or None
            for number, (tid, size) in enumerate(sizes, first):
                trials[tid] = Trial(tid, number, asked, tail[at : at + size], state)
                at += size
        case "started":
            tid, time = said[:2]
            if tid in trials:
                trials[tid] = replace(trials[tid], started=time)
        case "reported":
            number, tid, opening, nth, report_kind, name, stored = said[:7]
            value = _read_stored(stored, tail)
            content.add_report(Report(number, tid, opening, nth, report_kind, name, value))
        case "settled":
            tid, outcome, time, place, error, reason, opening, reports, stored = said[:9]
            if tid in trials:
                result = _read_stored(stored, tail)
                ending = Ending(outcome, time, place, error, reason, result, opening, reports)
                trials[tid] = replace(trials[tid], ending=ending)
        case "unsettled":
            content.forget_endings(tid for tid in said[0] if tid in trials)
        case _:
            raise NewerFormatError(f"a record {kind!r}")
