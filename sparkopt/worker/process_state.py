"""Properties of the process, kept by the kernel, that a trial may change.

    put back if the kernel lets us    resource limits, effective user and groups, niceness, CPUs, scheduling
    cannot be put back                a lowered hard limit, a user that was given up, a raised niceness

What cannot be put back ends the evaluator after its answer: the next trial gets a fresh one.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

_Property: TypeAlias = "tuple[str, Callable[[], Any], Callable[[Any], Any]]"

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_LINUX: Final = sys.platform == "linux"

_LIMITS: Final = [
    number
    for name in ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")
    if (number := getattr(resource, f"RLIMIT_{name}", None)) is not None
]
"""Resource limits that can make a trial fail. Checking one takes half a microsecond a trial."""


def _limits() -> list[tuple[int, int]]:
    return list(map(resource.getrlimit, _LIMITS))


def _set_limits(limits: list[tuple[int, int]]) -> None:
    for number, limit in zip(_LIMITS, limits, strict=True):
        if resource.getrlimit(number) != limit:
            resource.setrlimit(number, limit)


def _properties() -> list[_Property]:
    found: list[_Property] = []
    if _LINUX:
        found += [  # the first: nothing else can be put back without the user's privileges
            ("user", os.getresuid, lambda ids: os.setresuid(*ids)),
            ("group", os.getresgid, lambda ids: os.setresgid(*ids)),
            ("supplementary groups", os.getgroups, os.setgroups),
        ]
    found += [
        ("resource limits", _limits, _set_limits),
        ("niceness", lambda: os.getpriority(0, 0), lambda value: os.setpriority(0, 0, value)),
        ("process group", os.getpgrp, lambda group: os.setpgid(0, group)),
    ]
    if _LINUX:
        found += [
            ("CPUs", lambda: os.sched_getaffinity(0), lambda value: os.sched_setaffinity(0, value)),
            ("scheduling", lambda: os.sched_getscheduler(0), _set_scheduler),
        ]
    return found


def _set_scheduler(policy: int) -> None:
    os.sched_setscheduler(0, policy, os.sched_param(0))


class ProcessState:
    """Properties of this process at the time of construction."""

    def __init__(self) -> None:
        self._properties = _properties()
        self._looks = [look for _, look, _ in self._properties]
        self._found = [look() for look in self._looks]
        self._set_death_signal = _death_signal_setter() if _LINUX else lambda: 0

    def put_back(self) -> list[str]:
        """Undo what was changed since, and return what could not be undone."""
        self._set_death_signal()
        if [look() for look in self._looks] == self._found:
            return []
        kept = []
        for (name, look, put), found in zip(self._properties, self._found, strict=True):
            if look() != found:
                with suppress(OSError, ValueError):
                    put(found)
                if look() != found:
                    kept.append(f"its {name}")
        return kept


def _death_signal_setter() -> Callable[[], int]:
    """Returns a function that restores the signal that this process now gets when its parent ends.

    The kernel drops that signal if the process changes its user.
    """
    prctl = ctypes.CDLL(None).prctl
    number = ctypes.c_int(0)
    prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return functools.partial(prctl, _PR_SET_PDEATHSIG, number.value, 0, 0, 0)
