"""Memory and processor time of the Python processes that Spark runs on this machine, by their roles.

Linux only. Memory is the kernel's proportional set size: a page that n processes share counts as an nth in
each, so the sum over processes counts each page once.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

DAEMON: Final = "Spark's daemon"
TASK: Final = "Spark's Python process"
AGENT: Final = "process A"
NURSERY: Final = "nursery"
SPARE: Final = "spare nursery"
EVALUATOR: Final = "process B"

ROLES: Final = (DAEMON, TASK, AGENT, NURSERY, SPARE, EVALUATOR)

_FORKS: Final = (DAEMON, TASK, AGENT, NURSERY, EVALUATOR)
"""Each is a fork of the one before it, and known by that alone. A spare nursery has no child."""

_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources that the processes of one role hold or have had.

    Attributes:
        processes: how many there are.
        mib: proportional set size in MiB, summed over them.
        seconds: of the processors' time, summed over them.
    """

    processes: int
    mib: float
    seconds: float


def java() -> psutil.Process:
    """Spark's JVM, which this process has started."""
    return next(each for each in psutil.Process().children() if each.name() == "java")


def usage_by_role() -> dict[str, Usage]:
    """What the Python processes below this process's JVM use now."""
    children: dict[int, list[psutil.Process]] = defaultdict(list)
    for process in java().children(recursive=True):
        children[process.ppid()].append(process)
    found: dict[str, list[psutil.Process]] = {role: [] for role in ROLES}
    generation = [java()]
    for role in _FORKS:
        generation = [child for process in generation for child in children[process.pid]]
        if role == NURSERY:
            found[SPARE] = [process for process in generation if not children[process.pid]]
        found[role] = [process for process in generation if process not in found[SPARE]]
    return {role: _usage(processes) for role, processes in found.items()}


def _usage(processes: Iterable[psutil.Process]) -> Usage:
    mib = seconds = 0.0
    number = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, ProcessLookupError, FileNotFoundError):  # it has just ended
            size, times = _proportional(process), process.cpu_times()
            number, mib, seconds = number + 1, mib + size, seconds + times.user + times.system
    return Usage(number, mib, seconds)


def _proportional(process: psutil.Process) -> float:
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / _MIB
