"""Status codes of gRPC that workers must know; what the details of a status need, they may not have."""

from __future__ import annotations

from typing import Final

import grpc

FINAL_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Codes that mean that trying again is of no use."""
