"""Files with a worker's large payloads, which it fetches from the driver or pushes to it.

    objective, argument, reply    driver ──Fetch──▶ a file of process A's, which its evaluator reads
    result, report, request       evaluator ──▶ a file ──Push──▶ driver

They come and go beside the worker's stream, chunk by chunk, and again after a cut.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import grpc

from sparkopt.errors import StorageError
from sparkopt.wire import owner_only
from sparkopt.wire.codes import FINAL_CODES
from sparkopt.wire.v1 import trial_pb2, worker_pb2
from sparkopt.worker.checkpoints import UNPACKED
from sparkopt.worker.coordinator_connection import CoordinatorConnection
from sparkopt.worker.frames import Frame
from sparkopt.worker.greeting import Greeting
from sparkopt.worker.nursery_handle import NurseryEndedError
from sparkopt.worker.pushing import push

_RETRY_SECONDS: Final = 0.5

T = TypeVar("T")


class BlobFiles:
    """The files of a worker's large payloads.

    Args:
        connection: to the coordinator.
        directory: where the files are; somebody else removes it.
        greeting: under whose name and key the worker pushes.
    """

    def __init__(self, connection: CoordinatorConnection, directory: Path, greeting: Greeting) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._directory = directory
        self._greeting = greeting
        self._files: dict[str, Path] = {}
        self._count = 0

    def forget_what_is_gone(self) -> None:
        """Forget files that an objective has removed, so that they are fetched again.

        Some objectives clean up their temporary directory.

        Raises:
            StorageError: if there can be no directory.
        """
        try:
            if not self._directory.is_dir():
                self._directory.mkdir(mode=0o700)
        except OSError as error:
            raise StorageError.of(error, "an objective", self._directory) from error
        self._files = {name: path for name, path in self._files.items() if path.exists()}

    async def fetched(self, blob: trial_pb2.Blob) -> Path:
        """The file that holds a blob, fetched at the first call.

        Raises:
            StorageError: if the disk does not take it.
        """
        path = self._files.get(blob.id)
        if path is None:
            path = self._directory / f"blob-{self._count}"
            self._count += 1
            await self._retrying(lambda: self._fetch(blob, path))
            self._files[blob.id] = path
        return path

    def remove(self, blob: trial_pb2.Blob) -> None:
        """Remove the file of a blob that was fetched."""
        self._files.pop(blob.id).unlink(missing_ok=True)

    def remove_unpacked(self) -> None:
        """Remove the directories into which an attempt that has ended has unpacked checkpoints."""
        for path in self._directory.glob(f"{UNPACKED}*"):
            self._loop.run_in_executor(None, partial(shutil.rmtree, path, ignore_errors=True))

    async def fetch_reply(self, blob: trial_pb2.Blob) -> Path:
        """Fetch the body of a reply into a file.

        Raises:
            StorageError: if the disk does not take it, or the body was withdrawn.
        """
        path = self._directory / f"reply-{blob.id}"
        try:
            await self._retrying(lambda: self._fetch(blob, path))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            raise StorageError("the answer was withdrawn, as the trial had ended for the driver") from None
        except asyncio.CancelledError:
            path.unlink(missing_ok=True)
            raise
        return path

    async def _fetch(self, blob: trial_pb2.Blob, path: Path) -> None:
        request = worker_pb2.FetchRequest(blob=blob.id)
        try:
            with owner_only.create(path) as file:
                async for chunk in self._connection.stub.Fetch(request, metadata=self._connection.metadata):
                    file.write(chunk.data)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno == errno.EMFILE:  # the next trial would fail as well
                raise NurseryEndedError("it can open no more files") from error
            raise StorageError.of(error, "an objective, argument or reply", self._directory) from error

    async def payload(self, answer: Frame) -> trial_pb2.Payload:
        """Returns a frame's payload, pushed to the coordinator if it is in a file.

        Raises:
            StorageError: if it cannot be read, or the coordinator's disk does not take it.
        """
        file = answer.header.get("file")
        if file is None:
            return trial_pb2.Payload(inline=answer.payload)
        path = Path(file)
        if not path.is_file():
            raise StorageError(f"{path}, which held what the objective has returned or said, is gone")
        try:
            blob = await self._retrying(lambda: self._push(path))
        finally:
            path.unlink(missing_ok=True)
        return trial_pb2.Payload(blob=blob)

    async def _push(self, path: Path) -> trial_pb2.Blob:
        # The name may have changed since the last try.
        metadata = (
            *self._connection.metadata,
            ("sparkopt-worker", self._greeting.name),
            ("sparkopt-key", self._greeting.key),
        )
        return await push(self._connection.stub, path, metadata)

    async def _retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until it gets through: a cut must not cost what was computed."""
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() in FINAL_CODES or error.code() is grpc.StatusCode.NOT_FOUND:
                    raise
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise StorageError(error.details()) from None
            await self._connection.pause(_RETRY_SECONDS)
