"""Exceptions to gRPC status codes, for every service of ours."""

from __future__ import annotations

from typing import Final

import grpc

from sparkopt.errors import BlobNotFoundError, PoolClosedError, ProtocolError, StorageError

_CODES: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (ProtocolError, grpc.StatusCode.INVALID_ARGUMENT),
    (BlobNotFoundError, grpc.StatusCode.NOT_FOUND),
    (PoolClosedError, grpc.StatusCode.UNAVAILABLE),
    (StorageError, grpc.StatusCode.RESOURCE_EXHAUSTED),
)

FINAL_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Codes that mean that trying again is of no use."""


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The code and the details that a caller gets for an exception."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code, str(error)
    return grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
