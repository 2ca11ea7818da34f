"""Points as messages, and as the values that they mean. JSON and protobuf only: nothing here is unpickled."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from sparkopt.errors import BadRequestError
from sparkopt.wire.limits import POINT_BYTES
from sparkopt.wire.v1 import control_pb2

_WHOLE: Final = 2**53
"""Up to here a double holds every whole number."""

_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

_DEPTH: Final = 32
"""Deepest nesting of a point's values: protobuf reads a hundred nested messages, two a level."""


@dataclass(frozen=True, slots=True)
class PointRead:
    """A point that was read.

    Attributes:
        values: what it says.
        digest: the same for all points that say the same.
        struct: the values as a Struct's bytes: the least room, and the least time to become a message again.
    """

    values: dict[str, Any]
    digest: bytes
    struct: bytes


def read_point(point: control_pb2.Point) -> PointRead:
    """Read a point, in whatever thread.

    Raises:
        BadRequestError: if it says nothing that can be understood, or too much.
    """
    values = values_of(point)
    digest = hashlib.blake2b(_canonical(values).encode(), digest_size=16).digest()
    return PointRead(values, digest, struct_of(values).SerializeToString())


def values_of(point: control_pb2.Point | bytes) -> dict[str, Any]:
    """The values that a point says.

    Args:
        point: the message, or its bytes.

    Raises:
        BadRequestError: if it says nothing that can be understood, or too much.
    """
    size = len(point) if isinstance(point, bytes) else point.ByteSize()
    if size > POINT_BYTES:
        raise _bad(f"the point takes {size:,} bytes; {POINT_BYTES:,} are the most")
    if isinstance(point, bytes):
        try:
            point = control_pb2.Point.FromString(point)
        except DecodeError as error:
            raise BadRequestError(f"the point cannot be read: {error}", "BAD_MESSAGE") from None
    match point.WhichOneof("values"):
        case "struct":
            return {name: _value(value) for name, value in point.struct.fields.items()}
        case "json":
            return _parsed(point.json)
        case _:
            raise _bad("the point has no values: set `struct` or `json`")


def struct_of(values: Mapping[str, Any]) -> Struct:
    """Values as a message; numbers that JSON, or a double, cannot hold are text.

    Raises:
        BadRequestError: if they are nested too deeply.
    """
    return _struct(values, 1)


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = _decode(text)
        if "\\u" in text:
            # Half of a surrogate pair is JSON, and no text that anything could be sent as.
            json.dumps(values, ensure_ascii=False).encode()
    except RecursionError:
        raise _bad("the point's `json` is nested too deeply") from None
    except ValueError as error:
        raise _bad(f"the point's `json` is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise _bad(f"the point's `json` must be an object, got {text[:100]}")
    return values


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode: Final = json.JSONDecoder(parse_constant=_refuse).decode


def _value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= _WHOLE else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {name: _value(item) for name, item in value.struct_value.fields.items()}
        case "list_value":
            return [_value(item) for item in value.list_value.values]
        case _:
            return None


def _struct(values: Mapping[str, Any], depth: int) -> Struct:
    if depth > _DEPTH:
        raise _bad(f"the point's values are nested more than {_DEPTH} deep")
    struct = Struct()
    fields = struct.fields
    for name, value in values.items():
        _fill(fields[str(name)], value, depth)
    return struct


def _list(values: Sequence[Any], depth: int) -> ListValue:
    if depth > _DEPTH:
        raise _bad(f"the point's values are nested more than {_DEPTH} deep")
    items = ListValue()
    for item in values:
        _fill(items.values.add(), item, depth)
    return items


def _fill(message: Value, value: Any, depth: int) -> None:
    if value is None:
        message.null_value = NULL_VALUE
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, Mapping):
        message.struct_value.CopyFrom(_struct(value, depth + 1))
    elif isinstance(value, (list, tuple)):
        message.list_value.CopyFrom(_list(value, depth + 1))
    else:
        _fill_number(message, value)


def _fill_number(message: Value, value: Any) -> None:
    try:
        number = float(value)
    except OverflowError:
        message.string_value = str(value)
        return
    if math.isfinite(number):
        message.number_value = number
    else:
        message.string_value = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _bad(what: str) -> BadRequestError:
    return BadRequestError(what, "BAD_POINT")
