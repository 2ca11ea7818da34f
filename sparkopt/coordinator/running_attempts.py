"""Messages of running attempts that change nothing for the machine: intermediate values, and when one began.

Both count only for the attempt that is leased to the worker that sends them. They go to the attempt's study
and to the observer at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sparkopt.coordinator.channels.received_values import ReceivedValues
from sparkopt.coordinator.channels.study_events import ReportedValues

if TYPE_CHECKING:
    from sparkopt.coordinator.channels.studies import Studies
    from sparkopt.coordinator.observer import Observer
    from sparkopt.coordinator.worker_service import WorkerStream
    from sparkopt.core.machine import Machine
    from sparkopt.core.states import Lease, TrialKey
    from sparkopt.wire.v1 import trial_pb2

_LATE_SECONDS: Final = 10.0
"""Most seconds by which a worker's message that an attempt has begun may be late."""


class RunningAttempts:
    """Takes these messages in. Used from the coordinator's thread only.

    Args:
        machine: knows which attempts run.
        studies: the studies that the trials belong to.
        observer: hears of intermediate values.
    """

    def __init__(self, machine: Machine, studies: Studies, observer: Observer) -> None:
        self._machine = machine
        self._studies = studies
        self._observer = observer
        self._received = ReceivedValues()

    def begun_arrived(self, stream: WorkerStream, lease: Lease, seconds: float) -> None:
        """A worker says for how long an attempt has run."""
        subscriber = self._studies.subscriber_of(lease.trial.study)
        if self._runs(stream, lease) and subscriber is not None:
            # It is the worker's word; it says so at once.
            subscriber.put_begun(lease.trial.tid, time.time() - min(max(0.0, seconds), _LATE_SECONDS))

    def values_arrived(
        self, stream: WorkerStream, lease: Lease, message: trial_pb2.IntermediateValues
    ) -> None:
        """A worker sends intermediate values of an attempt.

        Raises:
            ProtocolError: if no worker of ours would send them.
        """
        if not self._runs(stream, lease):
            return
        steps, values, count = self._received.take(lease, message)
        subscriber = self._studies.subscriber_of(lease.trial.study)
        if steps and subscriber is not None:
            subscriber.put_values(ReportedValues(lease.trial.tid, lease.attempt, steps, values))
            self._observer.values_reported(lease, steps, values)
        if count is not None:
            stream.confirm_values(lease, count)

    def forget(self, trial: TrialKey) -> None:
        """A trial has settled."""
        self._received.forget(trial)

    def _runs(self, stream: WorkerStream, lease: Lease) -> bool:
        worker = self._machine.workers.get(stream.worker)
        return worker is not None and worker.lease == lease
