"""Workers that no trial can need any more, once nothing more is to come.

A trial that runs keeps its worker, and one that is pending, or whose worker is out of reach, keeps another
one that can be reached: it may have to run there. What is beyond that may leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sparkopt.core.records import Worker
from sparkopt.core.states import WorkerState

RELEASED: Final = "no trial is left for it"
"""The reason that such a worker is told."""

IDLE: Final = "it had no trial for a while"
"""The reason that a worker of an elastic pool is told that was idle for too long."""


def surplus(workers: Mapping[str, Worker], idle: Iterable[str], trials: int) -> list[str]:
    """The idle workers that may leave, those first that have been idle longest.

    Args:
        workers: all of them, by name.
        idle: the names of those that wait for a lease, longest idle first.
        trials: how many trials have not settled.
    """
    return list(idle)[: max(0, reachable(workers) - trials)]


def reachable(workers: Mapping[str, Worker]) -> int:
    """Number of workers that can be counted on: connected, and not about to leave."""
    return sum(worker.state is WorkerState.READY and worker.draining is None for worker in workers.values())
