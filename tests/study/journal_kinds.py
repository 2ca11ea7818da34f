"""Kinds of journals for tests: places of each, what is below them, and stores that fail."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from tests.study import journals

_restricted: list[str] = []


def _refuse(event, arguments):
    """Raise for what a directory of whole files cannot do. An audit hook, as these stay for good."""
    if not _restricted or event not in ("open", "os.rename", "os.link", "os.truncate"):
        return
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
    if not path.startswith(_restricted[0]):
        return
    if event != "open":
        raise OSError(95, "this file system has whole files only", path)
    flags = arguments[2]
    if flags & os.O_APPEND or (flags & (os.O_WRONLY | os.O_RDWR) and not flags & os.O_TRUNC):
        raise OSError(95, "this file system has whole files only", path)


sys.addaudithook(_refuse)


@contextmanager
def whole_files_only(directory, monkeypatch):
    """A directory whose files can be neither appended to, renamed, linked, changed nor locked."""

    def lock(descriptor, *_):
        path = os.path.realpath(f"/proc/self/fd/{descriptor}")
        raise OSError(38, "this file system has no locks", path)

    _restricted.append(os.fspath(directory))
    monkeypatch.setattr(fcntl, "lockf", lock)
    monkeypatch.setattr(fcntl, "flock", lock)
    try:
        yield directory
    finally:
        _restricted.clear()


class KilledError(BaseException):
    """The driver is no more."""


class MortalStore:
    """A store whose driver is killed after so many puts; the last of them may be torn.

    Args:
        store: where the objects are.
        puts: how many puts there are to be.
        torn: how many bytes of the next one there are; None if that one is whole.
    """

    def __init__(self, store, puts, torn=None):
        self.store, self.left, self.torn = store, puts, torn
        self.names = []

    def put(self, name, pieces):
        if self.left < 0:
            raise KilledError
        self.left -= 1
        data = b"".join(pieces)
        if self.left < 0:
            if self.torn is not None:
                self.store.put(name, [data[: self.torn]])
            raise KilledError
        self.store.put(name, [data])
        self.names.append(name)

    def __getattr__(self, name):
        if self.left < 0:
            raise KilledError
        return getattr(self.store, name)


class FailingStore:
    """A store that can be reached or not, as it is told.

    Args:
        store: where the objects are.
    """

    def __init__(self, store):
        self.store = store
        self.reachable = threading.Event()
        self.reachable.set()
        self.failed = threading.Event()

    def __getattr__(self, name):
        found = getattr(self.store, name)

        def call(*arguments):
            if not self.reachable.is_set():
                self.failed.set()
                raise OSError(110, "the store cannot be reached")
            return found(*arguments)

        return call


def copied(source, target):
    """A copy of a journal, of either kind."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    if source.is_dir():
        shutil.copytree(source, target / "journal")
        return target / "journal"
    return journals.copied(source, target)


def damage(path, chance):
    """Damage one object of a log; say how."""
    parts = [each for each in sorted(path.rglob("*")) if each.is_file() and each.stat().st_size]
    part = chance.choice(parts)
    return journals.damage_part(part, chance)


def objects(path):
    """The names of a log's objects, by what they are."""
    counts = {}
    for each in Path(path).iterdir():
        counts[each.name.split("-")[0]] = counts.get(each.name.split("-")[0], 0) + 1
    return counts
