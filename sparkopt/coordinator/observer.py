"""Who looks at a pool from outside: told of everything that happens in it, and served on the same loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import worker_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator.channel import Settled
    from sparkopt.coordinator.coordinator import Coordinator


class Observer(Protocol):
    """Hears of what happens, in the coordinator's thread, where it must neither wait nor raise."""

    async def start(self, coordinator: Coordinator) -> None:
        """The coordinator's loop runs; whatever is to be served on it may begin.

        Raises:
            RefusedError: if it cannot be.
        """

    def closing(self) -> None:
        """The pool is about to close: its workers are being sent away. May be said again."""

    async def stop(self) -> None:
        """The pool is closing, and its workers have left: end what is served."""

    def study_opened(self, study: str) -> None:
        """Trials of this study may come."""

    def study_closed(self, study: str) -> None:
        """No more of them will; those that have not settled are about to."""

    def trials_submitted(self, study: str, tids: Sequence[int], values: Sequence[Mapping[str, Any]]) -> None:
        """These wait for a worker. ``values`` are what they were proposed with, in the same order."""

    def attempt_started(self, lease: Lease, worker: str) -> None:
        """This attempt was sent to this worker. Said again if a cut may have swallowed it."""

    def reported(self, trial: TrialKey, kind: ReportKind, name: str) -> None:
        """A trial that runs has said something."""

    def trial_settled(self, study: str, settled: Settled) -> None:
        """A trial has its final state."""

    def worker_joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello, for the first time or again."""

    def workers_changed(self, worker: str | None = None, reason: str = "") -> None:
        """This worker, or any, may have left, have come out of reach or be back; and why, if it is known."""

    def limits_changed(self) -> None:
        """Something may have changed in how many trials may run."""
