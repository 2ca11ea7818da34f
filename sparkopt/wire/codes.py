"""Status codes of gRPC that workers need. They may lack the packages that a status's details need."""

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
