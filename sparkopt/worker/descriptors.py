"""File descriptors that a forked process keeps, and those that it lets go of."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from collections.abc import Collection
from pathlib import Path
from typing import Final

STANDARD: Final = frozenset({0, 1, 2})

_HIGH: Final = 1000
_ROOM: Final = 24
_DESCRIPTORS: Final = Path("/proc/self/fd")


def let_go_of_all_but(kept: Collection[int]) -> None:
    """Have every open descriptor lead to ``/dev/null``, but some.

    So what they led to is closed here, as Spark's socket to the JVM, and their numbers are not given away
    again: an object that still has one, and closes it when it is collected, closes nothing of anybody else's.

    Args:
        kept: descriptors that stay as they are.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for number in _numbers():
            if number != nothing and number not in kept and _is_open(number):
                os.dup2(nothing, number, inheritable=False)
    finally:
        os.close(nothing)


def _numbers() -> list[int]:
    try:
        return [int(path.name) for path in _DESCRIPTORS.iterdir()]
    except OSError:  # not Linux, or no /proc
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return list(range(_HIGH if soft == resource.RLIM_INFINITY else min(soft, _HIGH)))


def _is_open(number: int) -> bool:
    with contextlib.suppress(OSError):
        fcntl.fcntl(number, fcntl.F_GETFD)
        return True
    return False


def out_of_the_way(descriptor: int) -> int:
    """A duplicate with a high number, which an objective that closes the first hundred does not meet.

    Args:
        descriptor: closed, as its duplicate takes its place.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = _HIGH if soft == resource.RLIM_INFINITY else max(3, min(_HIGH, soft - _ROOM))
    duplicate = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
    os.close(descriptor)
    return duplicate
