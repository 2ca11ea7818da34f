"""Details of the status that a call of gRPC ends with, as google.rpc has them.

    details ──▶ metadata_with ──▶ grpc-status-details-bin ──▶ details_of ──▶ unpacked

Elsewhere grpcio-status and googleapis-common-protos do this. Their releases are tied to those of grpcio and
protobuf, so that installing them would replace the ones that a cluster has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from sparkopt.wire.v1.status_pb2 import BadRequest, ErrorInfo, RetryInfo, Status

M = TypeVar("M", bound=Message)

KEY: Final = "grpc-status-details-bin"
"""Of the trailing metadata."""

_NAMES: Final = {
    ErrorInfo: "type.googleapis.com/google.rpc.ErrorInfo",
    BadRequest: "type.googleapis.com/google.rpc.BadRequest",
    RetryInfo: "type.googleapis.com/google.rpc.RetryInfo",
}
"""Names that the details go by."""


def metadata_with(code: int, message: str, details: Iterable[Message]) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata of a call that ends with a status and details."""
    packed = [Any(type_url=_NAMES[type(detail)], value=detail.SerializeToString()) for detail in details]
    return ((KEY, Status(code=code, message=message, details=packed).SerializeToString()),)


def details_of(call: grpc.Call) -> Sequence[Any]:
    """The details of the status that a call ended with; empty if none can be read."""
    for key, value in call.trailing_metadata() or ():
        if key != KEY:
            continue
        try:
            whole = Status.FromString(cast("bytes", value))
        except DecodeError:
            return ()
        # A proxy may have put another status in the place of the one that the details are of.
        number: int = call.code().value[0]
        return whole.details if (whole.code, whole.message) == (number, call.details()) else ()
    return ()


def unpacked(detail: Any, kind: type[M]) -> M | None:
    """A detail as a message of a kind; None if it is another, or cannot be read."""
    if detail.type_url.rpartition("/")[2] != _NAMES[kind].rpartition("/")[2]:
        return None
    try:
        return kind.FromString(detail.value)
    except DecodeError:
        return None
