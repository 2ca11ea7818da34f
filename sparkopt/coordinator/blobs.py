"""What travels in chunks: objectives and large arguments to the workers, large results from them.

What the driver offers stays where it was made, in memory or in a file. What workers push goes to disk as it
comes, and is the reader's to remove; what nobody came to claim goes when its worker does.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from sparkopt.errors import BlobNotFoundError, StorageError
from sparkopt.wire.limits import chunks, chunks_of_file
from sparkopt.wire.v1 import trial_pb2, worker_pb2


class BlobStore:
    """Blobs by their ids. Used from the coordinator's loop; :meth:`close` from anywhere, after it."""

    def __init__(self) -> None:
        self._offered: dict[str, bytes | Path] = {}
        self._pushed: dict[str, tuple[str, Path]] = {}
        self._directory: Path | None = None

    def offer(self, data: bytes | Path) -> trial_pb2.Blob:
        """Hold bytes, or a file, for workers to fetch, until they are withdrawn."""
        name = uuid.uuid4().hex
        self._offered[name] = data
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        return trial_pb2.Blob(id=name, size=size)

    def withdraw(self, name: str) -> None:
        """Hold these bytes no longer; if they are a file, remove it."""
        data = self._offered.pop(name, None)
        if isinstance(data, Path):
            data.unlink(missing_ok=True)

    def read(self, name: str) -> Iterator[bytes]:
        """The chunks of an offered blob.

        Raises:
            BlobNotFoundError: if there is none of that id.
        """
        try:
            data = self._offered[name]
        except KeyError:
            raise BlobNotFoundError(f"there is no blob {name} here") from None
        return chunks(data) if isinstance(data, bytes) else chunks_of_file(data)

    async def receive(self, worker: str, incoming: AsyncIterator[worker_pb2.Chunk]) -> trial_pb2.Blob:
        """Write a worker's chunks to disk.

        Raises:
            StorageError: if the disk does not take them.
        """
        if self._directory is None:
            try:
                self._directory = Path(tempfile.mkdtemp(prefix="sparkopt-results-"))
            except OSError as error:
                raise StorageError.of(error, "a result or report", Path(tempfile.gettempdir())) from error
        name = uuid.uuid4().hex
        path = self._directory / name
        self._pushed[name] = (worker, path)
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in incoming:
                    size += file.write(chunk.data)
        except BaseException as error:
            self.drop(name)
            if isinstance(error, OSError):
                raise StorageError.of(error, "a result or report", self._directory) from error
            raise
        return trial_pb2.Blob(id=name, size=size)

    def claim(self, name: str) -> Path:
        """The file of a pushed blob, from now on the caller's to remove.

        Raises:
            BlobNotFoundError: if there is none of that id.
        """
        try:
            return self._pushed.pop(name)[1]
        except KeyError:
            raise BlobNotFoundError(f"no result {name} was pushed here") from None

    def drop(self, name: str) -> None:
        """Remove a pushed blob that nobody wants."""
        _, path = self._pushed.pop(name, (None, None))
        if path is not None:
            path.unlink(missing_ok=True)

    def drop_all_of(self, worker: str) -> None:
        """Remove what a worker pushed and nobody claimed."""
        for name in [name for name, (owner, _) in self._pushed.items() if owner == worker]:
            self.drop(name)

    def close(self) -> None:
        """Remove everything."""
        for name in list(self._offered):
            self.withdraw(name)
        self._pushed.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
