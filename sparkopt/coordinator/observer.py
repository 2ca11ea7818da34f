"""Observer of a pool: hears of everything that happens in it, and is served on the same loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sparkopt.core import events
from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import worker_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator.channels.studies import Values
    from sparkopt.coordinator.channels.study_events import Settled
    from sparkopt.coordinator.coordinator import Coordinator


_WORKER_CHANGES: Final = (
    events.StreamLost,
    events.Heartbeat,
    events.OutcomeArrived,
    events.ReportArrived,
    events.RequestArrived,
)
"""Events that may change whether one worker can be reached."""

_WORKERS_CHANGE: Final = (
    events.GangEnded,
    events.WorkerGone,
    events.LossExplained,
    events.WorkerJoined,
    events.DrainRequested,
    events.Tick,
)
"""Events that may change which workers there are."""

_LIMITS_CHANGE: Final = (events.LimitChanged, events.Paused, events.Resumed)
"""Events that may change how many trials may run."""


class Observer:
    """Hears of what happens, in the coordinator's thread, where it must neither wait nor raise.

    This one ignores it all.
    """

    async def start(self, coordinator: Coordinator) -> None:
        """The coordinator's loop runs; whatever is to be served on it may begin.

        Raises:
            RefusedError: if it cannot be.
        """

    def closing(self) -> None:
        """The pool is about to close: its workers are being sent away. May be called again."""

    async def stop(self) -> None:
        """The pool is closing, and its workers have left: end what is served."""

    def study_opened(self, study: str) -> None:
        """Trials of this study may come."""

    def study_closed(self, study: str) -> None:
        """No more trials of this study will come; those that have not settled are about to."""

    def trials_submitted(self, study: str, tids: Sequence[int], values: Sequence[Values]) -> None:
        """These trials wait for a worker. ``values`` are what they were proposed with, in the same order."""

    def attempt_started(self, lease: Lease, worker: str) -> None:
        """This attempt was sent to this worker. Called again if a cut may have swallowed it."""

    def reported(self, trial: TrialKey, kind: ReportKind, name: str) -> None:
        """A running trial has sent a report."""

    def values_reported(self, lease: Lease, steps: Sequence[int], values: Sequence[float]) -> None:
        """An attempt that runs has reported intermediate values."""

    def trial_settled(self, study: str, settled: Settled) -> None:
        """A trial has its final state."""

    def worker_joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello, for the first time or again."""

    def workers_changed(self, worker: str | None = None, reason: str = "") -> None:
        """This worker, or any if None, may have left, become unreachable or come back; why, if known."""

    def limits_changed(self) -> None:
        """Something may have changed in how many trials may run."""


def look_at_limits(observer: Observer, event: events.Event) -> None:
    """Tell of what may have come of an event that is about limits."""
    if isinstance(event, _LIMITS_CHANGE):
        observer.limits_changed()


def look_at_workers(observer: Observer, event: events.Event) -> None:
    """Tell of what may have become of workers with an event."""
    if isinstance(event, _WORKER_CHANGES):
        observer.workers_changed(event.worker)
    elif isinstance(event, _WORKERS_CHANGE):
        observer.workers_changed(reason=getattr(event, "reason", ""))
