"""Blobs, which travel in chunks: objectives and large arguments to workers, large results from them.

What the driver offers stays where it was made, in memory or in a file. What workers push goes to disk as it
comes, and whoever claims it removes it. A blob that nobody claims is removed when its worker leaves, or has
ended the attempt. A worker's messages may name only blobs that it has pushed itself.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkopt.errors import BlobNotFoundError, StorageError, UnknownWorkerError
from sparkopt.wire import owner_only
from sparkopt.wire.limits import UNCLAIMED_BLOBS, UNCLAIMED_BYTES, chunks, chunks_of_file
from sparkopt.wire.v1 import trial_pb2, worker_pb2


@dataclass(slots=True)
class _Pushed:
    worker: str
    path: Path
    size: int = 0
    whole: bool = False


class BlobStore:
    """Blobs by their ids. Used from the coordinator's loop; :meth:`close` from anywhere, after it.

    Args:
        unclaimed_bytes: how much a worker may have here that nobody has claimed.
    """

    def __init__(self, unclaimed_bytes: int = UNCLAIMED_BYTES) -> None:
        self._most = unclaimed_bytes
        self._offered: dict[str, bytes | Path] = {}
        self._pushed: dict[str, _Pushed] = {}
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
            StorageError: if the disk does not take them, or the worker has too much here already.
            UnknownWorkerError: if the worker has gone meanwhile.
        """
        if sum(each.worker == worker for each in self._pushed.values()) >= UNCLAIMED_BLOBS:
            raise StorageError(
                f"{worker} has pushed {UNCLAIMED_BLOBS} results and reports that none of its messages has"
                " named: no more are taken"
            )
        if self._directory is None:
            try:
                self._directory = Path(tempfile.mkdtemp(prefix="sparkopt-results-"))
            except OSError as error:
                raise StorageError.of(error, "a result or report", Path(tempfile.gettempdir())) from error
        name = uuid.uuid4().hex
        path = self._directory / name
        pushed = self._pushed[name] = _Pushed(worker, path)
        try:
            with owner_only.create(path) as file:
                async for chunk in incoming:
                    pushed.size += len(chunk.data)
                    self._check_room(worker)
                    file.write(chunk.data)
            if name not in self._pushed:
                raise UnknownWorkerError(f"{worker} has left, and its results and reports were removed")
        except BaseException as error:
            self.drop(name, worker)
            if isinstance(error, OSError):
                raise StorageError.of(error, "a result or report", self._directory) from error
            raise
        pushed.whole = True
        return trial_pb2.Blob(id=name, size=pushed.size)

    def _check_room(self, worker: str) -> None:
        size = sum(each.size for each in self._pushed.values() if each.worker == worker)
        if size > self._most:
            raise StorageError(
                f"a result or report is too large: the driver takes {self._most:,} bytes from a worker at a"
                " time. Have the objective store it elsewhere, and return where."
            )

    def is_of(self, name: str, worker: str) -> bool:
        """Returns whether this worker has pushed a blob of that id that nobody has claimed."""
        pushed = self._pushed.get(name)
        return pushed is not None and pushed.whole and pushed.worker == worker

    def claim(self, name: str) -> Path:
        """The file of a pushed blob, from now on the caller's to remove.

        Raises:
            BlobNotFoundError: if there is none of that id.
        """
        try:
            return self._pushed.pop(name).path
        except KeyError:
            raise BlobNotFoundError(f"no result {name} was pushed here") from None

    def drop(self, name: str, worker: str) -> None:
        """Remove a blob that a worker pushed and nobody wants."""
        pushed = self._pushed.get(name)
        if pushed is not None and pushed.worker == worker:
            del self._pushed[name]
            pushed.path.unlink(missing_ok=True)

    def drop_rest_of(self, worker: str) -> None:
        """The worker's attempt has ended: remove what it pushed for it and nobody claimed."""
        for name, pushed in list(self._pushed.items()):
            if pushed.worker == worker and pushed.whole:
                self.drop(name, worker)

    def drop_all_but(self, workers: Collection[str]) -> None:
        """Remove what all other workers have pushed, and what they are pushing."""
        for name, pushed in list(self._pushed.items()):
            if pushed.worker not in workers:
                self.drop(name, pushed.worker)

    def close(self) -> None:
        """Remove everything."""
        for name in list(self._offered):
            self.withdraw(name)
        self._pushed.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
