"""View of a pool's workers, for people: which of them are there, and what they run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sparkopt.core.states import WorkerState

if TYPE_CHECKING:
    from sparkopt.coordinator import Coordinator

_SECONDS: Final = 2.0
"""Most seconds that a view waits for the coordinator's thread."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker, for people.

    Attributes:
        name: of the worker.
        host: where it runs; empty while it is not connected.
        state: idle, busy, unreachable or draining.
        runs: study and number of the trial that it runs; empty if it runs none.
    """

    name: str
    host: str
    state: str
    runs: str


def workers_of(coordinator: Coordinator) -> Sequence[WorkerView]:
    """Returns the workers that are there; none if the coordinator does not answer soon."""
    found: list[WorkerView] = []
    looked = threading.Event()

    def look() -> None:
        streams = coordinator.streams
        for name, worker in sorted(coordinator.machine.workers.items()):
            if worker.state is WorkerState.GONE:
                continue
            lease = worker.lease
            state = "idle" if lease is None else "busy"
            if worker.state is WorkerState.UNREACHABLE:
                state = "unreachable"
            elif worker.draining is not None:
                state = "draining"
            runs = "" if lease is None else f"{lease.trial.study}/{lease.trial.tid}"
            host = streams[name].host if name in streams else ""
            found.append(WorkerView(name, host, state, runs))
        looked.set()

    return found if coordinator.post(look) and looked.wait(_SECONDS) else []
