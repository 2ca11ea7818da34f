"""Rows out of the pages of an SQLite file and its log, without SQLite.

SQLite reads nothing of a database whose header or schema is damaged, and little of one whose inner pages are.
But each page of rows says by itself where they are. So here every page is looked through, also those that
were written over or given up since: what is found may be damaged, outdated, or there several times.

The format: https://www.sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

PAGE: Final = 4096
"""Bytes of a page."""

LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24
"""Bytes before the log's first frame, and before each frame's page."""

_HEADER: Final = b"SQLite format 3\0"
_FIRST_CELL: Final = 100
"""Offset of the first page's content, after the header."""

_TABLE_LEAF: Final = 0x0D
_INDEX_LEAF: Final = 0x0A
_LARGEST: Final = 2**31
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer, by its type."""


def rows(database: bytes, log: bytes) -> Iterator[tuple[Any, ...]]:
    """Yields all candidates for rows: the key, unless the table has none, then the columns after the first.

    Args:
        database: the file.
        log: its write-ahead log.
    """
    newest = {number: at for at, number in _frames(log)}

    def in_database(number: int) -> bytes:
        return database[(number - 1) * PAGE : number * PAGE]

    def in_log(number: int) -> bytes:
        at = newest.get(number)
        return in_database(number) if at is None else log[at : at + PAGE]

    # Behind bytes that were inserted or cut out, pages begin where they do counted from the end.
    for begin in {0, len(database) % PAGE}:
        for at in range(begin, len(database), PAGE):
            yield from _rows_of(database[at : at + PAGE], in_database, in_log)
    for at, _ in _frames(log):
        yield from _rows_of(log[at : at + PAGE], in_log, in_database)


def _frames(log: bytes) -> Iterator[tuple[int, int]]:
    """Yields the offset and the number of each page in a log."""
    for begin in {LOG_HEADER, max(len(log), LOG_HEADER) % (FRAME_HEADER + PAGE)}:
        for at in range(begin, len(log) - FRAME_HEADER, FRAME_HEADER + PAGE):
            yield at + FRAME_HEADER, int.from_bytes(log[at : at + 4], "big")


def _rows_of(page: bytes, *sources: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a page.

    Args:
        page: its bytes.
        sources: give the pages that a long row goes on in, by their numbers; each is tried.
    """
    begin = _FIRST_CELL if page.startswith(_HEADER) else 0
    if len(page) < PAGE or page[begin] not in (_TABLE_LEAF, _INDEX_LEAF):
        return
    (count,) = struct.unpack_from(">H", page, begin + 3)
    first = begin + 8
    for place in range(first, min(first + 2 * count, PAGE - 1), 2):
        (at,) = struct.unpack_from(">H", page, place)
        before: tuple[Any, ...] | None = None
        for source in sources:
            try:
                row = _row(page, at, page[begin] == _TABLE_LEAF, source)
            except (IndexError, ValueError, struct.error):
                continue
            if row != before:
                yield row
            before = row


def _row(page: bytes, at: int, keyed: bool, source: Any) -> tuple[Any, ...]:
    size, at = _varint(page, at)
    key: tuple[Any, ...] = ()
    most = PAGE - 35
    if keyed:
        number, at = _varint(page, at)
        key = (_signed(number),)
    else:
        most = (PAGE - 12) * 64 // 255 - 23
    if size > _LARGEST:
        raise ValueError(size)
    if size <= most:
        payload = page[at : at + size]
    else:
        least = (PAGE - 12) * 32 // 255 - 23
        here = least + (size - least) % (PAGE - 4)
        here = here if here <= most else least
        payload = page[at : at + here] + _overflow(page, at + here, size - here, source)
    if len(payload) != size:
        raise ValueError(size)
    columns = _columns(payload)
    return (*key, *columns[1:]) if keyed else tuple(columns)


def _overflow(page: bytes, at: int, left: int, source: Any) -> bytes:
    parts = []
    following = page[at : at + 4]
    while left > 0:
        more = source(int.from_bytes(following, "big"))
        if len(more) < PAGE:
            raise ValueError(left)
        parts.append(more[4 : 4 + left])
        left -= PAGE - 4
        following = more[:4]
    return b"".join(parts)


def _columns(payload: bytes) -> list[Any]:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    columns: list[Any] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        columns.append(value)
    if at != len(payload):
        raise ValueError(at)
    return columns


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == 0:
        return None, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise ValueError(kind)
    end = at + (kind - 12) // 2
    data = bytes(payload[at:end])
    return (data.decode() if kind % 2 else data), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where the next one begins."""
    number = 0
    for place in range(at, at + 8):
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    return number << 8 | data[at + 8], at + 9


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
