"""Objectives that misbehave, and what they need. Imported by evaluators, so by nothing but their path."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
from pathlib import Path


class UnpicklableError(Exception):
    """Holds what no pickler takes."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class UnbuildableError(Exception):
    """Pickles, and cannot be built again from what was pickled."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")


class UntellableError(Exception):
    """Has no text."""

    def __str__(self):
        raise RuntimeError("no text")


class Nameless(type):
    """Has no name, nor anything else."""

    def __getattribute__(cls, name):
        raise SystemExit(name)


def no_core_file():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def recurse(depth=0):
    return recurse(depth + 1) + 1


DEEDS = {
    "pid": os.getpid,
    "exit": lambda: os._exit(3),
    "segfault": lambda: (no_core_file(), ctypes.string_at(0)),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": lambda: (no_core_file(), os.abort()),
    "system exit": lambda: raise_(SystemExit(4)),
    "interrupt": lambda: raise_(KeyboardInterrupt()),
    "sigint": lambda: os.kill(os.getpid(), signal.SIGINT),
    "value": lambda: raise_(ValueError("bad\nvalue")),
    "unpicklable": lambda: raise_(UnpicklableError("held")),
    "unbuildable": lambda: raise_(UnbuildableError(7, "seven")),
    "untellable": lambda: raise_(UntellableError()),
    "nameless": lambda: raise_(Exception.__new__(Nameless("Unknown", (Exception,), {}))),
    "recursion": recurse,
    "generator": lambda: (each for each in ()),
    "surrogate": lambda: raise_(ValueError("no file \udcff")),
    "long text": lambda: raise_(ValueError("x" * 30_000_000)),
}


def raise_(error):
    raise error


def do(argument):
    """The objective: a deed by its name, or as many bytes as were asked for."""
    return bytes(argument) if isinstance(argument, int) else DEEDS[argument]()


class Counted:
    """An objective that notes in a file, with a byte each, how often it was unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return unpickle, (self.file,)

    def __call__(self, argument):
        return do(argument)


def unpickle(file):
    with file.open("ab") as stream:
        stream.write(b"x")
    return Counted(file)
