"""``trials_save_file``: the trials on disk, now and then during a search and at its end.

Writing all trials after each would take quadratic time. So they are written again only once ten times as long
has passed as the last time took: saving costs at most a tenth of the search, however many trials there are.

Behind the pickle is its checksum, where those that do not know of it never look.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import cloudpickle
from hyperopt import base

from sparkopt.errors import RefusedError, SaveFileError, SaveFileWarning, warn
from sparkopt.study import quarantine
from sparkopt.study.file_arguments import writable_file
from sparkopt.study.journal.beside import belongs
from sparkopt.study.listener import Listener
from sparkopt.study.quarantine import ForeignError

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.study.trial_record import TrialRecord

_SHARE: Final = 10
"""Least time between two saves, as a multiple of the time that the last save took."""


_HEAD: Final = 2**20
_PICKLES: Final = (b"\x80", b"ccopy_reg\n")
"""First bytes of pickles: of current ones, and of those of the two oldest protocols."""

_MARKS: Final = (b"SparkTrials", b"hyperopt", b"_dynamic_trials")
"""Texts of which one is near the start of pickled trials, whichever class of hyperopt's they have."""

_EARLIER_MODULES: Final = {"sparkopt.trials": "sparkopt", "sparkopt.timings": "sparkopt.study.timings"}
"""Modules of version 0.1 that pickled trials refer to."""

_TRAILER: Final = b"\nsparkopt checksum "
_DIGEST_BYTES: Final = 16


class SavingListener(Listener):
    """Saves the trials now and then, after one of them has settled.

    Args:
        file: where they are saved.
    """

    def __init__(self, file: SaveFile) -> None:
        self._file = file

    def settled(self, record: TrialRecord) -> None:
        """Save the trials, if it is time."""
        if record.settled is not None:
            self._file.save_if_due()


class SaveFile:
    """File in which a search keeps its trials.

    Args:
        path: of the file; replaced as a whole each time, so that it can be read at any time.
        trials: what to keep there.
        journal: the path of their journal, if they have one.

    Raises:
        RefusedError: if nothing can be written there, or something else than saved trials would be lost.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        trials: SparkTrials,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        self._path = writable_file(path, "trials_save_file")
        self._trials = trials
        if journal is not None and any(belongs(self._path, name) for name in _names_of(Path(journal))):
            raise RefusedError(
                f"trials_save_file {path} is the journal, or a file that the journal uses: name another file"
            )
        if not _may_be_replaced(self._path):
            raise RefusedError(
                f"trials_save_file {path} holds something else than saved trials, which would be lost: name"
                " another file, or move that one away"
            )
        self._next = 0.0
        try:
            self._write(lambda _: None, replace=False)
        except OSError as error:
            raise RefusedError(
                f"trials_save_file cannot be written: {error}. Name a file in a directory that exists and"
                " that you may write to."
            ) from error

    def save_if_due(self) -> None:
        """Write the trials, if it was not done too recently. A failure is warned of."""
        started = time.monotonic()
        if started < self._next:
            return
        self.try_to_save()
        ended = time.monotonic()
        self._next = ended + _SHARE * (ended - started)

    def try_to_save(self) -> None:
        """Write the trials; a failure is warned of."""
        try:
            self.save()
        except Exception as error:  # noqa: BLE001 - a full disk, or a result that does not pickle
            warn(
                f"the trials could not be saved to {self._path} ({type(error).__name__}: {error}). What was"
                " saved before is still there, and a search that goes on will try again.",
                SaveFileWarning,
            )

    def save(self) -> None:
        """Write the trials.

        Raises:
            SaveFileError: if the disk does not take them; what was saved before is still there.
            Exception: what the pickling of a result or an attachment raises.
        """
        try:
            self._write(self._fill, replace=True)
        except OSError as error:
            raise SaveFileError(
                f"the trials could not be saved to {self._path}: {error.strerror or error}. The trials of"
                " this search are whole: make room or repair the disk, then pickle them to that file yourself"
                " or run the same fmin with them again."
            ) from error

    def _fill(self, file: IO[bytes]) -> None:
        digesting = _Digesting(file)
        # What results do when they are pickled is the user's code.
        _apart(lambda: cloudpickle.dump(self._trials, digesting))
        file.write(_TRAILER + digesting.digest.digest())

    def _write(self, fill: Callable[[IO[bytes]], None], *, replace: bool) -> None:
        # In the same directory, for only then is replacing the file one step.
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                Path(name).replace(self._path)
        finally:
            Path(name).unlink(missing_ok=True)


def _names_of(journal: Path) -> tuple[Path, Path]:
    """A journal's path as it was given, and with links followed."""
    return journal.parent.resolve() / journal.name, journal.resolve()


def _may_be_replaced(path: Path) -> bool:
    """Returns whether a path has no file, an empty one, or saved trials. Nothing is unpickled to find out."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _DIGEST_BYTES - len(_TRAILER)))
        tail = file.read()
    return (
        not head
        or tail.startswith(_TRAILER)
        or (head.startswith(_PICKLES) and any(mark in head for mark in _MARKS))
    )


class _Digesting(io.RawIOBase):
    """Writes to a file what it is given, and keeps its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(self, data: Any) -> int:
        """Write bytes."""
        self.digest.update(data)
        return self._file.write(data)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Find a class, also by the name that its module had in version 0.1."""
        return super().find_class(_EARLIER_MODULES.get(module, module), name)


def load(path: Path) -> base.Trials:
    """The trials of a file that hyperopt or sparkopt saved.

    Raises:
        RefusedError: if the file does not hold trials, or is damaged.
    """
    try:
        _check(path)
        with path.open("rb") as file:
            trials = _apart(_Unpickler(file).load)
    except Exception as error:
        raise RefusedError(
            f"trials_save_file {path} cannot be loaded ({type(error).__name__}: {error}). Move it away to"
            " start anew, or name another file."
        ) from error
    if not isinstance(trials, base.Trials):
        raise RefusedError(
            f"trials_save_file {path} holds a {type(trials).__name__}, not trials. Name another file."
        )
    return trials


def _apart(function: Callable[[], Any]) -> Any:
    """Call a function that may run code of the user's.

    Raises:
        Exception: what it raises; a ForeignError, if that is none of the ordinary exceptions.
    """
    try:
        return quarantine.run(function)
    except ForeignError as error:
        if isinstance(error.error, Exception):
            raise error.error from None
        raise


def _check(path: Path) -> None:
    """Compare a file with its checksum, if it has one: those of hyperopt have none.

    Raises:
        ValueError: if it is not what was written.
    """
    data = path.read_bytes()
    end = len(data) - _DIGEST_BYTES - len(_TRAILER)
    if end < 0 or not data.startswith(_TRAILER, end):
        return
    digest = hashlib.blake2b(memoryview(data)[:end], digest_size=_DIGEST_BYTES).digest()
    if not data.endswith(digest):
        raise ValueError("it is damaged: its checksum is another one")
