"""Lock of a search on its journal: a locked file beside the journal, which names the holder."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import socket
import threading
from pathlib import Path
from typing import Final

from sparkopt.errors import RefusedError

_held: Final[dict[Path, str]] = {}
"""The journals of this process: its own locks do not stop it, and are lost if it opens their files again."""

_lock: Final = threading.Lock()


class Hold:
    """The sole use of a journal, until it is released or this process ends.

    Args:
        path: of the journal, links followed.

    Raises:
        RefusedError: if another search has it, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._journal = path
        self._path = path.with_name(f"{path.name}-lock")
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        said = f"process {os.getpid()} on {socket.gethostname()}, since {now}"
        with _lock:
            for held, by in _held.items():
                if held == path or _same(held, path):
                    raise _in_use(path, f"of this process ({by})")
            try:
                self._descriptor = self._take(said)
            except OSError as error:
                room = error.errno in (errno.ENOSPC, errno.EDQUOT)
                mend = "Make room" if room else "Name a file in a directory that you may write to"
                raise RefusedError(
                    f"journal {path} cannot be written: {self._path}: {error.strerror or error}. {mend}."
                ) from error
            _held[path] = said

    def _take(self, said: str) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError):
                    holder = os.read(descriptor, 1000).decode("utf-8", "replace").strip()
                    raise _in_use(self._journal, f"({holder or 'which is just beginning'})") from None
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), self._path.lstat()):
                        self._say(descriptor, said)
                        return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # removed by its holder, between our opening and our locking it

    def _say(self, descriptor: int, said: str) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, said.encode())
        except OSError:  # the disk is full
            self._path.unlink(missing_ok=True)
            raise

    def release(self) -> None:
        """Let others have the journal. Idempotent."""
        with _lock:
            if _held.pop(self._journal, None) is None:
                return
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)


def _same(one: Path, other: Path) -> bool:
    """Returns whether two paths are names of one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _in_use(path: Path, by: str) -> RefusedError:
    return RefusedError(
        f"journal {path} is in use by another search {by}: wait for its end, or name another file"
    )
