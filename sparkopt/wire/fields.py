"""Fields of a serialised message, split without parsing their contents.

A message becomes objects all at once, in one stretch, and twenty to fifty times as large as its bytes if they
are chosen for that. One that may be large is cut into its fields instead, and each is read by itself. See
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

_VARINT_BYTES: Final = 10
"""The longest varint."""


def fields_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbers and bytes of those fields that have any: text, bytes, messages. Others are left out.

    Raises:
        DecodeError: if it is not a message.
    """
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        match tag & 7:
            case 0:  # a number
                _, place = _varint(data, place)
            case 1:  # eight bytes
                place += 8
            case 2:  # as many as it says
                size, place = _varint(data, place)
                if place + size > len(data):
                    raise DecodeError("a field is cut off")
                yield tag >> 3, data[place : place + size]
                place += size
            case 5:  # four bytes
                place += 4
            case kind:
                raise DecodeError(f"there is no field of kind {kind}")
        if place > len(data):
            raise DecodeError("a field is cut off")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    number = 0
    for count in range(_VARINT_BYTES):
        if place + count >= len(data):
            break
        byte = data[place + count]
        number |= (byte & 127) << 7 * count
        if byte < 128:
            return number, place + count + 1
    raise DecodeError("a number is cut off, or too long")
