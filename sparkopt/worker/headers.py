"""Headers of frames as bytes. Those that each trial has are packed; the others are JSON.

    RUN       timed 1 B │ tid 8 B │ attempt 4 B │ worker, objective, objective_file, argument_file,
                                                  with a NUL between each two
    RESULT    seconds 8 B │ threads 4 B │ loss 8 B │ length of fault 4 B │ number of values 2 B
              │ values, 8 B each │ fault │ file
    VALUE     step 8 B │ value 8 B

A loss that is NaN, and an empty name of a file, stand for none. With cold caches, JSON takes some 8 µs to
write one of them, and the same to read it.

The functions that this needs are bound here, so that an objective that replaces them changes nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from math import isnan, nan
from typing import Any, Final, TypeAlias

Header: TypeAlias = "dict[str, Any]"

_RUN: Final = struct.Struct("!?qI")
_RESULT: Final = struct.Struct("!dIdIH")
MOST_RESULT_VALUES: Final = 100
"""Most numbers that the header of a RESULT may have."""
VALUE: Final = struct.Struct("!qd")
_RUN_BYTES: Final = _RUN.size
_RESULT_BYTES: Final = _RESULT.size
_pack_run: Final = _RUN.pack
_unpack_run: Final = _RUN.unpack_from
_pack_result: Final = _RESULT.pack
_unpack_result: Final = _RESULT.unpack_from
_pack: Final = struct.pack
_unpack: Final = struct.unpack_from
_pack_value: Final = VALUE.pack
_unpack_value: Final = VALUE.unpack
_VALUE_BYTES: Final = VALUE.size
_encode: Final = json.JSONEncoder().encode
_decode: Final = json.JSONDecoder().raw_decode
_PATHS: Final = "surrogateescape"


def json_bytes(header: Header) -> bytes:
    """Returns a header of values that JSON can carry as bytes."""
    return _encode(header).encode()


def json_header(data: bytes) -> Header:
    """Returns the header that :func:`json_bytes` made bytes of.

    Raises:
        ValueError: if the bytes are no such header.
    """
    try:
        text = data.decode()
        header, end = _decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is not JSON: {error}") from None
    if not isinstance(header, dict) or end != len(text):
        raise ValueError(f"the header is not one object of JSON: {text[:60]!r}")
    return header


def run_bytes(header: Header) -> bytes:
    """Returns the header of a RUN as bytes."""
    tid, attempt, worker = header["trial"]
    names = (worker, header["objective"], header["objective_file"], header.get("argument_file", ""))
    return _pack_run(header["timed"], tid, attempt) + "\0".join(names).encode("utf-8", _PATHS)


def run_header(data: bytes) -> Header:
    """Returns the header that :func:`run_bytes` made bytes of. For bytes from process A only."""
    timed, tid, attempt = _unpack_run(data)
    worker, objective, objective_file, argument_file = data[_RUN_BYTES:].decode("utf-8", _PATHS).split("\0")
    header = {
        "timed": timed,
        "trial": (tid, attempt, worker),
        "objective": objective,
        "objective_file": objective_file,
    }
    if argument_file:
        header["argument_file"] = argument_file
    return header


def result_bytes(header: Header) -> bytes:
    """Returns the header of a RESULT as bytes."""
    loss = header["loss"]
    fault: bytes = header["fault"].encode("utf-8", "backslashreplace")
    file: bytes = header.get("file", "").encode("utf-8", _PATHS)
    values: Sequence[float] = header.get("values", ())
    numbers = _pack_result(
        header["seconds"], header["threads"], nan if loss is None else loss, len(fault), len(values)
    )
    if values:
        numbers += _pack(f"!{len(values)}d", *values)
    return numbers + fault + file


def result_header(data: bytes) -> Header:
    """Returns the header that :func:`result_bytes` made bytes of.

    Raises:
        ValueError: if the bytes are no such header.
    """
    if len(data) < _RESULT_BYTES:
        raise ValueError(f"a RESULT's header has {_RESULT_BYTES} bytes at least, not {len(data)}")
    seconds, threads, loss, length, count = _unpack_result(data)
    begin = _RESULT_BYTES + 8 * count
    end = begin + length
    if len(data) < end:
        raise ValueError(
            f"a RESULT's header ends within its {count:,} values, or its fault of {length:,} bytes"
        )
    header = {
        "seconds": seconds,
        "threads": threads,
        "loss": None if isnan(loss) else loss,
        "fault": data[begin:end].decode(),
    }
    if count:
        header["values"] = _unpack(f"!{count}d", data, _RESULT_BYTES)
    if len(data) > end:
        header["file"] = data[end:].decode("utf-8", _PATHS)
    return header


def value_bytes(header: Header) -> bytes:
    """Returns the header of a VALUE as bytes."""
    return _pack_value(header["step"], header["value"])


def value_header(data: bytes) -> Header:
    """Returns the header that :func:`value_bytes` made bytes of.

    Raises:
        ValueError: if the bytes are no such header.
    """
    if len(data) != _VALUE_BYTES:
        raise ValueError(f"a VALUE's header has {_VALUE_BYTES} bytes, not {len(data)}")
    step, value = _unpack_value(data)
    return {"step": step, "value": value}
