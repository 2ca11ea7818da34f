"""Each exception has its status code."""

from __future__ import annotations

import grpc
import pytest

from sparkopt.errors import BlobNotFoundError, PoolClosedError, ProtocolError, StorageError
from sparkopt.wire.statuses import FINAL_CODES, status_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProtocolError("what"), grpc.StatusCode.INVALID_ARGUMENT),
        (BlobNotFoundError("what"), grpc.StatusCode.NOT_FOUND),
        (PoolClosedError("what"), grpc.StatusCode.UNAVAILABLE),
        (StorageError("what"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_ours_have_their_own_codes(error, code):
    assert status_of(error) == (code, "what")


def test_any_other_is_internal_and_named():
    assert status_of(KeyError("what")) == (grpc.StatusCode.INTERNAL, "KeyError: 'what'")


def test_only_refusals_are_final():
    assert grpc.StatusCode.UNAUTHENTICATED in FINAL_CODES
    assert grpc.StatusCode.INVALID_ARGUMENT in FINAL_CODES
    again = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
    assert not again & FINAL_CODES
