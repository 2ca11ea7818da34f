"""Push of a file to the coordinator, chunk by chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

from sparkopt.errors import StorageError
from sparkopt.wire.limits import chunks_of_file
from sparkopt.wire.v1 import trial_pb2, worker_pb2, worker_pb2_grpc


async def push(
    stub: worker_pb2_grpc.WorkerServiceAsyncStub, path: Path, metadata: tuple[tuple[str, str], ...]
) -> trial_pb2.Blob:
    """Push a file, and return the blob that has its content.

    Raises:
        StorageError: if the file cannot be read.
        grpc.aio.AioRpcError: if the call fails.
    """
    unread: list[OSError] = []

    async def chunks() -> AsyncIterator[worker_pb2.Chunk]:
        try:
            for data in chunks_of_file(path):
                yield worker_pb2.Chunk(data=data)
        except OSError as error:
            unread.append(error)
            raise

    try:
        return await stub.Push(chunks(), metadata=metadata)
    except (asyncio.CancelledError, grpc.aio.AioRpcError):
        # gRPC cancels a call whose messages raise, and with it whoever waits for it, as if somebody had asked
        # for that.
        if not unread:
            raise
        raise StorageError(
            f"{path}, which holds what the objective has returned or said, cannot be read on the worker:"
            f" {unread[0].strerror or unread[0]}"
        ) from unread[0]
