"""Where the processors' time goes while a pool works: to which process, and which of the driver's threads."""

from __future__ import annotations

import threading
from typing import Final

import psutil

STUDY: Final = "driver: the study's thread"
COORDINATOR: Final = "driver: the coordinator's thread"
OTHERS: Final = "driver: other threads, mostly gRPC's"
JVM: Final = "driver: Spark's JVM"
AGENTS: Final = "workers: process A, and Spark's Python workers"
EVALUATORS: Final = "workers: process B"

ROLES: Final = (STUDY, COORDINATOR, OTHERS, JVM, AGENTS, EVALUATORS)

_BELOW_DAEMON: Final = (
    "Spark's daemon of Python workers",
    "a Python worker",
    "process A",
    "nursery",
    "process B",
)
"""Each is a fork of the one before it, and known by that alone."""


def processor_seconds() -> dict[str, float]:
    """How many seconds each role has had of the processors. To be called in the study's thread."""
    own = psutil.Process()
    seconds = dict.fromkeys(ROLES, 0.0)
    known = {threading.get_native_id(): STUDY}
    known.update(
        (thread.native_id, COORDINATOR)
        for thread in threading.enumerate()
        if thread.name == "sparkopt-coordinator" and thread.native_id is not None
    )
    for thread in own.threads():
        seconds[known.get(thread.id, OTHERS)] += thread.user_time + thread.system_time
    for process in own.children(recursive=True):
        spent = process.cpu_times()
        if process.name() == "java":
            role = JVM
        elif _depth(process) == _BELOW_DAEMON.index("process B"):
            role = EVALUATORS
        else:
            role = AGENTS
        seconds[role] += spent.user + spent.system
    return seconds


def _depth(process: psutil.Process) -> int:
    """How many forks a process is below Spark's daemon."""
    return sum("pyspark.daemon" in parent.cmdline() for parent in process.parents())
