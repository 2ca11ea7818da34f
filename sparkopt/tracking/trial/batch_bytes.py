"""MLflow's message LogBatch, in protobuf's wire format, made without MLflow or protobuf.

An entry is a metric, a parameter or a tag as bytes. Its fields have had their numbers since MLflow's REST API
exists, and keep them, as protobuf's messages do.

    LogBatch: run_id = 1, metrics = 2, params = 3, tags = 4
    Metric: key = 1, value = 2 (a double), timestamp = 3, step = 4 (integers)
    Param, RunTag: key = 1, value = 2
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

_DOUBLE: Final = struct.Struct("<d")
_INTEGER, _EIGHT_BYTES, _DELIMITED = 0, 1, 2


def metric(key: str, value: float, timestamp: int, step: int) -> bytes:
    """A metric; the timestamp in milliseconds."""
    number = _tag(2, _EIGHT_BYTES) + _DOUBLE.pack(value)
    return _text(1, key) + number + _integer(3, timestamp) + _integer(4, step)


def text_entry(key: str, value: str) -> bytes:
    """A parameter or a tag."""
    return _text(1, key) + _text(2, value)


def log_batch(run_id: str, metrics: Iterable[bytes], params: Iterable[bytes], tags: Iterable[bytes]) -> bytes:
    """The message of some entries of a run."""
    fields = [_text(1, run_id)]
    for number, entries in ((2, metrics), (3, params), (4, tags)):
        fields += [_delimited(number, entry) for entry in entries]
    return b"".join(fields)


def _text(field: int, value: str) -> bytes:
    return _delimited(field, value.encode())


def _integer(field: int, value: int) -> bytes:
    return _tag(field, _INTEGER) + _varint(value % 2**64)  # a negative one as its complement


def _delimited(field: int, data: bytes) -> bytes:
    return _tag(field, _DELIMITED) + _varint(len(data)) + data


def _tag(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
