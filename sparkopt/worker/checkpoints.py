"""Checkpoints of the trial that this process runs, saved and loaded by the objective.

    save ──▶ pickled, or packed ──▶ bytes, or a file ──▶ request checkpoint.Save ──▶ process A ──▶ driver
    load ◀── unpickled, or unpacked into a directory ◀── its reply ◀── request checkpoint.Load ──▶ driver

A large one goes through files, in chunks beside the worker's stream. It is nowhere in memory as bytes.
The lane of checkpoints is one of its own, so that neither values nor other requests wait for it.
"""

from __future__ import annotations

import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from sparkopt.errors import RequestFailedError, StorageError
from sparkopt.wire import codec, lanes
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import CHECKPOINT_BYTES, INLINE_BYTES
from sparkopt.worker import directory_archives, trial_info
from sparkopt.worker.asking import TrialAsking

__wraps_objectives__ = True

UNPACKED: Final = "unpacked-"
"""Prefix of the directories that checkpoints are unpacked into, which process A removes after the trial."""

_SAVE: Final = lanes.method(Lane.CHECKPOINT, lanes.SAVE)
_LOAD: Final = lanes.method(Lane.CHECKPOINT, lanes.LOAD)

_WHAT: Final = "a checkpoint"
_OBJECT: Final = b"O"
_DIRECTORY: Final = b"D"
"""First byte of a checkpoint: the rest is a pickle, or a tar archive of a directory."""


class _Output:
    """Takes the bytes of a checkpoint: in memory as long as a message holds them, then in a file.

    Attributes:
        path: of the file; None if there is none.

    Args:
        directory: where the file is to be; None if the bytes are only counted.
    """

    def __init__(self, directory: Path | None) -> None:
        self.path: Path | None = None
        self._directory = directory
        self._stream: IO[bytes] = io.BytesIO()
        self._size = 0

    def write(self, data: Any) -> int:
        """Take some bytes.

        Raises:
            StorageError: if they are too many, or the disk does not take them.
        """
        size = memoryview(data).nbytes
        self.expect(size)
        self._size += size
        if self._directory is None:
            return size
        try:
            if self.path is None and self._size > INLINE_BYTES:
                self._to_file(self._directory)
            self._stream.write(data)
        except OSError as error:
            raise StorageError.of(error, _WHAT, self._directory) from error
        return size

    def expect(self, size: int) -> None:
        """Say how many bytes are to come.

        Raises:
            StorageError: if they are too many.
        """
        if self._size + size > CHECKPOINT_BYTES:
            raise StorageError(
                f"a checkpoint has {CHECKPOINT_BYTES:,} bytes at most, and this one has more. Leave out what"
                " can be computed again, or store it elsewhere and save where."
            )

    def _to_file(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)  # the objective may have removed it
        handle, name = tempfile.mkstemp(dir=directory, prefix="checkpoint-")
        self.path = Path(name)
        so_far, self._stream = self._stream, os.fdopen(handle, "wb")
        assert isinstance(so_far, io.BytesIO)
        self._stream.write(so_far.getbuffer())

    def body(self) -> bytes | Path:
        """Returns the bytes, or their file.

        Raises:
            StorageError: if the disk does not take them.
        """
        if isinstance(self._stream, io.BytesIO):
            return self._stream.getvalue()
        assert self.path is not None
        try:
            self._stream.close()
        except OSError as error:
            raise StorageError.of(error, _WHAT, self.path.parent) from error
        return self.path

    def remove(self) -> None:
        """Remove the file, if there is one."""
        if self.path is not None:
            with suppress(OSError):  # what it still was to write does not matter
                self._stream.close()
            self.path.unlink(missing_ok=True)


class _Checkpoints:
    """Checkpoints of one trial after another.

    Args:
        asking: asks the driver.
        directory: where files go; A owns and removes it.
    """

    def __init__(self, asking: TrialAsking, directory: Path) -> None:
        self._asking = asking
        self._directory = directory

    def save(self, checkpoint: object) -> None:
        """Have a checkpoint kept, and wait until it is."""
        asking = self._asking.get(_WHAT)
        output = _Output(self._directory)
        try:
            _write(checkpoint, output)
            asking.ask(_SAVE, output.body())
        except RequestFailedError as error:
            raise StorageError(f"the checkpoint was not kept: {error}") from None
        finally:
            output.remove()

    def load(self) -> Any:
        """Return the last one, or None."""
        try:
            found = self._asking.get("the request for a checkpoint").ask(_LOAD, b"")
        except RequestFailedError as error:
            raise StorageError(f"the checkpoint cannot be loaded: {error}") from None
        if isinstance(found, bytes):
            return self._read(io.BytesIO(found)) if found else None
        try:
            with found.open("rb") as file:
                return self._read(file)
        finally:
            found.unlink(missing_ok=True)

    def _read(self, file: Any) -> Any:
        if file.read(1) == _OBJECT:
            return codec.load(file)
        try:
            path = Path(tempfile.mkdtemp(dir=self._directory, prefix=UNPACKED))
            directory_archives.unpack(file, path)
        except OSError as error:
            raise StorageError.of(error, _WHAT, self._directory) from error
        return path


_checkpoints: _Checkpoints | None = None


def save_checkpoint(checkpoint: object) -> None:
    """Save what the trial that runs needs to go on from here if its worker is lost.

    Returns once the driver has it, in its journal if the search has one. It takes the place of the trial's
    last one then, and is deleted when the trial has ended. Outside of a trial the argument is checked, and
    nothing kept, so that an objective can be called as it is.

    Args:
        checkpoint: an object that pickles, such as a dictionary of a model's weights; or the path of a
            directory, as a ``pathlib.Path``, whose files are saved, with what links lead to outside of it.
            2 GiB at most.

    Raises:
        StorageError: if it is too large, or a disk on its way does not take it. The last one stays.
        TypeError: if it is None, which stands for no checkpoint, or text that names a directory.
        ValueError: if it is a path, and not that of a directory.
        TrialError: in a process that the objective has forked; or if the worker is being ended.
        Exception: whatever the pickling of the object raises.

    Example:
        >>> def objective(x):
        ...     done, weights = sparkopt.load_checkpoint() or (0, [0.0])
        ...     for epoch in range(done + 1, 4):
        ...         weights = [weight + x for weight in weights]  # train one more epoch
        ...         sparkopt.save_checkpoint((epoch, weights))
        ...     return weights[0]
        >>> objective(0.5)
        1.5
    """
    if _checkpoints is None or not trial_info.runs():
        _write(checkpoint, _Output(None))
    else:
        _checkpoints.save(checkpoint)


def load_checkpoint() -> Any:
    """Returns the checkpoint that the trial that runs has saved last, in this attempt or an earlier one.

    Returns:
        The object; of a directory, the ``pathlib.Path`` of another one with the same files, which is removed
        when the trial ends. None if there is no checkpoint, and outside of a trial.

    Raises:
        StorageError: if a disk on its way does not take it.
        TrialError: in a process that the objective has forked; or if the worker is being ended.
        Exception: whatever the unpickling of the object raises.

    Example:
        >>> epoch, weights = sparkopt.load_checkpoint() or (0, [0.0])  # nothing, outside of a trial
        >>> epoch
        0
    """
    if _checkpoints is None or not trial_info.runs():
        return None
    return _checkpoints.load()


def keep_through(asking: TrialAsking, directory: Path) -> None:
    """Have the checkpoints of this process's trials go to the driver, and come from there."""
    global _checkpoints
    _checkpoints = _Checkpoints(asking, directory)


def _write(checkpoint: object, output: _Output) -> None:
    directory = _directory_of(checkpoint)
    if directory is None:
        output.write(_OBJECT)
        codec.dump(checkpoint, output)
        return
    output.expect(directory_archives.size_of(directory))
    output.write(_DIRECTORY)
    directory_archives.pack(directory, output)


def _directory_of(checkpoint: object) -> Path | None:
    """The directory that a checkpoint is; None if it is an object."""
    if checkpoint is None:
        raise TypeError("None cannot be saved, as it stands for no checkpoint: save something else")
    if isinstance(checkpoint, str) and os.path.isdir(checkpoint):  # noqa: PTH112 - is_dir raises for long text
        raise TypeError(
            f"a checkpoint that is a directory is given as a pathlib.Path, not as text: Path({checkpoint!r})"
        )
    if not isinstance(checkpoint, os.PathLike):
        return None
    path = Path(os.fsdecode(checkpoint))
    if not path.is_dir():
        raise ValueError(
            f"{path} is not a directory: a checkpoint is an object that pickles, or the path of a directory"
        )
    return path
