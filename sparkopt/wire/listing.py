"""List of a user's pools that are open to control, as files, so that `sparkopt` finds them by itself.

    WorkerPool ──▶ Listing   ADDRESS.json    locked for as long as the pool's process lives
                             ADDRESS.token   what calls must carry
                             ADDRESS.pem     what a client has to trust, where the service speaks TLS
    sparkopt   ◀── listed()

The files are in ``~/.sparkopt``; where that cannot be had, in ``sparkopt-UID`` of the directory for temporary
files. Both are for their owner only, and nothing in them is followed that is a link. A session's runtime
directory (``$XDG_RUNTIME_DIR``) would not do: it goes when its user logs out, and a search may go on.

The kernel takes the lock away when the process ends, however it ends. So a pool whose file nobody has locked
is gone, and whoever finds such files removes them, one process at a time (``.lock``). The ``.json`` is there
before the others and goes last, so that no token lies about without it, and nobody else takes its name.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import secrets
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparkopt.wire import addresses

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAKE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
"""For writing, although nothing is written: some network file systems lock nothing else."""

_MOST_BYTES: Final = 65_536
_NAMES: Final = 100
"""The number of pools that may have one address: in containers with one home, for example."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A pool of this user's that is open to control.

    Attributes:
        address: ``host:port`` where it listens.
        host: the machine's name on which it does.
        pid: of its process there.
        opened: when.
        program: of which it is part; the name alone.
        directory: where that was started.
        token_file: holds what calls must carry.
        ca_cert: holds what a client has to trust; None where it speaks no TLS.
    """

    address: str
    host: str
    pid: int
    opened: datetime.datetime
    program: str
    directory: str
    token_file: Path
    ca_cert: Path | None

    @property
    def is_reachable(self) -> bool:
        """True if this machine may reach it: it is on this one, or listens for others too."""
        listens_at, _ = addresses.split(self.address)
        return self.host == socket.gethostname() or not addresses.is_loopback(listens_at)


class Listing:
    """A pool's place in the list, from its making to :meth:`remove`.

    Args:
        address: ``host:port`` where it listens.
        token: what calls must carry.
        certificate: what a client has to trust, PEM; None where it speaks no TLS.

    Raises:
        OSError: if there is no directory where it could be listed.
    """

    def __init__(self, address: str, token: str, certificate: bytes | None) -> None:
        self._pid = os.getpid()
        self._removing = threading.Lock()
        troubles = []
        for path in _directories():
            try:
                with _opened(path, make=True) as directory:
                    self._lock, self._name = _claim(directory, address, _about(address, certificate))
                    try:
                        if certificate is not None:
                            _put(directory, f"{self._name}.pem", certificate)
                        _put(directory, f"{self._name}.token", f"{token}\n".encode())
                    except BaseException:
                        self._release(directory)
                        raise
            except OSError as error:
                troubles.append(f"{path}: {error.strerror or error}")
            else:
                self._path = path
                return
        raise OSError("; ".join(troubles) or "this user has no home directory")

    def remove(self) -> None:
        """Take it from the list. Idempotent; in a process that was forked off it does nothing."""
        if os.getpid() != self._pid:
            return
        with self._removing:
            if self._lock < 0:
                return
            try:
                with _opened(self._path, make=False) as directory:
                    self._release(directory)
            except OSError:  # the directory is gone, and what was in it
                self._unlock()

    def _release(self, directory: int) -> None:
        try:
            _remove(directory, self._name, self._lock)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def listed() -> list[Listed]:
    """The pools that this user has open to control, in the order in which they were opened.

    What is left of those whose processes are gone is removed. Directories and files that another user could
    have put there are passed over.
    """
    found = []
    for path in _directories():
        try:
            with _opened(path, make=False) as directory:
                names = [file.stem for file in path.iterdir() if file.suffix == ".json"]
                entries = [_entry(directory, path, name) for name in names]
        except OSError:
            continue
        found += [entry for entry in entries if entry is not None]
    return sorted(found, key=lambda entry: (entry.opened, entry.address))


def _directories() -> Iterator[Path]:
    """The directories where the list may be, best first."""
    with contextlib.suppress(RuntimeError, OSError):
        home = Path.home()
        # Another user's home, as sudo may leave it, is no place for what is ours.
        if home.is_absolute() and home.stat().st_uid == os.geteuid():
            yield home / ".sparkopt"
    yield Path(tempfile.gettempdir()) / f"sparkopt-{os.geteuid()}"


@contextlib.contextmanager
def _opened(path: Path, *, make: bool) -> Iterator[int]:
    """A descriptor of a directory that nobody else can read or write.

    Raises:
        OSError: if it is not there, is a link, or is another user's.
    """
    if make:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    directory = os.open(path, _READ | os.O_DIRECTORY)
    try:
        status = os.fstat(directory)
        if status.st_uid != os.geteuid():
            raise PermissionError(f"it belongs to user {status.st_uid}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(directory, 0o700)
        yield directory
    finally:
        os.close(directory)


def _about(address: str, certificate: bytes | None) -> bytes:
    about = {
        "address": address,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "opened": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "program": Path(sys.argv[0]).name if sys.argv else "",
        "directory": _directory(),
        "tls": certificate is not None,
    }
    return json.dumps(about).encode()


def _directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def _claim(directory: int, address: str, about: bytes) -> tuple[int, str]:
    """Make the file of a list entry. It is locked before it gets its name.

    Returns:
        Its descriptor, which holds the lock, and the name that it and the other files begin with.
    """
    temporary = f".{secrets.token_hex(8)}"
    lock = os.open(temporary, _MAKE, 0o600, dir_fd=directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, about)
        for number in range(1, _NAMES + 1):
            name = address if number == 1 else f"{address}.{number}"
            _entry(directory, Path(), name)  # removes what a dead process has left there
            with contextlib.suppress(FileExistsError):
                os.link(temporary, f"{name}.json", src_dir_fd=directory, dst_dir_fd=directory)
                return lock, name
        raise FileExistsError(f"{_NAMES} pools at {address} are listed there already")
    except BaseException:
        os.close(lock)
        raise
    finally:
        os.unlink(temporary, dir_fd=directory)


def _put(directory: int, name: str, data: bytes) -> None:
    """Make a file, readable by its owner only. The name is its maker's alone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    with os.fdopen(os.open(name, _MAKE, 0o600, dir_fd=directory), "wb") as file:
        file.write(data)


def _entry(directory: int, path: Path, name: str) -> Listed | None:
    """Read an entry of the list; None if its pool is gone, or if it is not the user's own."""
    try:
        file = os.open(f"{name}.json", _LOCK, dir_fd=directory)
    except OSError:
        return None
    try:
        try:
            # Shared, so that those who look at the same time do not take one another for the pool.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(directory, path, name, file)
        _clean(directory, name, file)
        return None
    except (OSError, ValueError, KeyError, TypeError):  # removed by its pool just now, or no entry of ours
        return None
    finally:
        os.close(file)


def _clean(directory: int, name: str, file: int) -> None:
    """Remove the files of a dead process, unless another process is removing them.

    This does not take the lock of the pool's file: other processes would take this one for the pool.
    """
    lock = os.open(".lock", _LOCK | os.O_CREAT, 0o600, dir_fd=directory)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(directory, name, file)
    finally:
        os.close(lock)


def _remove(directory: int, name: str, lock: int) -> None:
    """Remove a pool's files, if the name is still that of this file."""
    try:
        there = os.stat(f"{name}.json", dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not os.path.samestat(there, os.fstat(lock)):
        return
    for end in ("token", "pem", "json"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{name}.{end}", dir_fd=directory)


def _read(directory: int, path: Path, name: str, file: int) -> Listed | None:
    about: dict[str, Any] = json.loads(os.pread(file, _MOST_BYTES, 0))
    token, certificate = f"{name}.token", f"{name}.pem"
    files = [f"{name}.json", token, *([certificate] if about["tls"] else [])]
    if not all(_is_ours(directory, each) for each in files):
        return None
    addresses.split(about["address"])
    return Listed(
        address=str(about["address"]),
        host=str(about["host"]),
        pid=int(about["pid"]),
        opened=datetime.datetime.fromisoformat(about["opened"]),
        program=str(about["program"]),
        directory=str(about["directory"]),
        token_file=path / token,
        ca_cert=path / certificate if about["tls"] else None,
    )


def _is_ours(directory: int, name: str) -> bool:
    """True if a file is there, and nobody else can have put it there or read it."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
