"""Attendance of workers: those that have said hello since a launch, and those that have to wait.

Spark starts a task again by itself when its executor is lost. The new worker takes the place of the former
one, which Spark knows to be gone. Speculation starts a task a second time while the first one runs, and when
one of them ends Spark kills the other. So that worker waits, as it would take the first one along if it was
sent away; it joins in when the first one cannot be reached.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable

from sparkopt.coordinator.worker_service import WorkerStream
from sparkopt.core import events
from sparkopt.core.machine import Machine
from sparkopt.core.states import WorkerState
from sparkopt.worker.spec import slot_of, task_attempt_of


class Attendance:
    """Workers that have said hello. Used from the coordinator's loop.

    Args:
        machine: knows the workers.
        join: called with a worker that need not wait, and its hello as the machine is to hear of it.
    """

    def __init__(self, machine: Machine, join: Callable[[WorkerStream, events.WorkerJoined], None]) -> None:
        self._machine = machine
        self._join = join
        self._greeted: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        self._waiting: dict[str, tuple[WorkerStream, events.WorkerJoined]] = {}

    def greeted(self, gang: int, generation: int) -> int:
        """Number of workers that have said hello since this launch of a gang."""
        return len(self._greeted[gang, generation])

    def note(self, joined: events.WorkerJoined) -> None:
        """Note that a worker has said hello."""
        if joined.gang in self._machine.gangs and not joined.formerly:
            self._greeted[joined.gang, joined.generation].add(joined.worker)

    def admit(self, stream: WorkerStream, joined: events.WorkerJoined) -> None:
        """Have a worker join in, unless it has to wait."""
        if not joined.task_attempt:
            self._join(stream, joined)
            return
        workers = self._machine.workers
        others = [name for name in workers if self._is_other_attempt(name, joined)]
        if any(workers[name].state is WorkerState.READY for name in others):
            self._waiting[joined.worker] = stream, joined
            return
        self._waiting.pop(joined.worker, None)
        formerly = joined.formerly or (others[-1] if others else None)
        self._join(stream, dataclasses.replace(joined, formerly=formerly))

    def admit_waiting(self) -> None:
        """Have those join in that need not wait any more."""
        for stream, joined in list(self._waiting.values()):
            self.admit(stream, joined)

    def forget(self, worker: str) -> None:
        """A worker's stream has ended."""
        self._waiting.pop(worker, None)

    def _is_other_attempt(self, name: str, joined: events.WorkerJoined) -> bool:
        return (
            self._machine.workers[name].gang == joined.gang
            and slot_of(name) == slot_of(joined.worker)
            and task_attempt_of(name) != joined.task_attempt
        )
