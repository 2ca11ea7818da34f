"""Studies that a pool runs: the bytes of their trials, and the subscribers that hear of them.

Used from the coordinator's thread only. The machine decides which trial goes to which worker; the bytes that
go with it are here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sparkopt.coordinator.arrivals import ArrivedOutcome
from sparkopt.coordinator.blobs import BlobStore
from sparkopt.coordinator.channels.objective_spec import ObjectiveSpec
from sparkopt.coordinator.channels.payload import Payload
from sparkopt.coordinator.channels.study_events import (
    Reported,
    ReportedValues,
    Request,
    Settled,
    Started,
)
from sparkopt.core import commands, events
from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.errors import PoolError, PoolLostError, SparkoptError
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.wire.v1 import trial_pb2

_LOG: Final = ActorLog("coordinator")

Values = Mapping[str, Any] | bytes
"""Values that a trial was proposed with, for clients: by label, or the bytes of a Struct."""


class StudySubscriber(Protocol):
    """Subscriber to a study's trials. Called in the coordinator's thread, where it must not wait."""

    def put_started(self, started: Started) -> None:
        """An attempt was sent to a worker."""

    def put_workers(self, present: int) -> None:
        """A worker has joined; ``present`` workers are there now."""

    def put_begun(self, tid: int, time: float) -> None:
        """A trial's objective runs, since ``time`` seconds after the epoch. Not for one that ends at once."""

    def put_report(self, reported: Reported, taken: Any) -> None:
        """A trial that runs says something; ``taken`` is to be called, from any thread."""

    def put_values(self, reported: ReportedValues) -> None:
        """A trial that runs reports intermediate values."""

    def put_settled(self, settled: Settled) -> None:
        """A trial has its final state."""

    def put_failure(self, error: SparkoptError) -> None:
        """Nothing will settle any more."""

    def take_request(self, lane: Lane, request: Request) -> bool:
        """A trial that runs asks for something; False if nobody answers requests of that lane."""


@dataclass(frozen=True, slots=True)
class _Study:
    subscriber: StudySubscriber
    objective: trial_pb2.Blob
    max_attempts: int
    trial_timeout: float | None
    prune_grace: float | None
    opened: float


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A trial's argument, and when it came, on the monotonic clock."""

    argument: trial_pb2.Payload
    submitted: float


class Studies:
    """The studies that are open, by name, and the arguments of their trials that have not settled.

    Args:
        blobs: holds what is too large for a message.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._studies: dict[str, _Study] = {}
        self._proposals: dict[TrialKey, _Proposal] = {}
        self._failure: PoolError | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._studies))

    def open(self, name: str, subscriber: StudySubscriber, objective: ObjectiveSpec) -> None:
        """Take a study in."""
        blob, now = self._blobs.offer(objective.pickled), time.monotonic()
        limits = objective.max_attempts, objective.trial_timeout, objective.prune_grace
        self._studies[name] = _Study(subscriber, blob, *limits, now)
        if self._failure is not None:
            subscriber.put_failure(self._failure)

    def close(self, name: str) -> bool:
        """Forget a study, and return whether it was there. Its trials still have to settle."""
        study = self._studies.pop(name, None)
        if study is not None:
            self._blobs.withdraw(study.objective.id)
        return study is not None

    def subscriber_of(self, name: str) -> StudySubscriber | None:
        """Subscriber of a study; None if the study has ended."""
        study = self._studies.get(name)
        return None if study is None else study.subscriber

    def submitted(self, name: str, proposals: Sequence[tuple[int, bytes]]) -> events.TrialsSubmitted:
        """Keep the arguments of new trials, and return the event for the machine."""
        study, now = self._studies[name], time.monotonic()
        for tid, argument in proposals:
            small = len(argument) <= INLINE_BYTES
            payload = (
                trial_pb2.Payload(inline=argument)
                if small
                else trial_pb2.Payload(blob=self._blobs.offer(argument))
            )
            self._proposals[TrialKey(name, tid)] = _Proposal(payload, now)
        return events.TrialsSubmitted(name, tuple(tid for tid, _ in proposals), study.max_attempts)

    def assignment(self, lease: Lease) -> tuple[trial_pb2.Blob, trial_pb2.Payload, float]:
        """Parts of an assignment: objective, argument, and timeout in seconds (0 for no limit)."""
        study = self._studies[lease.trial.study]
        return study.objective, self._proposals[lease.trial].argument, study.trial_timeout or 0.0

    def prune_grace(self, name: str) -> float | None:
        """Seconds that trials may go on for after a verdict; None for no limit, or if the study has ended."""
        study = self._studies.get(name)
        return None if study is None else study.prune_grace

    def waited(self, trial: TrialKey, idle_since: float) -> float:
        """Seconds in which a worker had nothing to do before a trial was proposed.

        Args:
            trial: which the worker is to run now.
            idle_since: when it had run the one before, on the monotonic clock.
        """
        opened = self._studies[trial.study].opened
        return max(0.0, self._proposals[trial].submitted - max(idle_since, opened))

    def put_workers(self, present: int) -> None:
        """Tell every study how many workers there are."""
        for study in self._studies.values():
            study.subscriber.put_workers(present)

    def settle(self, command: commands.Settle, arrived: ArrivedOutcome | None) -> Settled:
        """Tell a study what has become of a trial, and forget its argument.

        Args:
            command: the machine's.
            arrived: the outcome of the attempt that has settled the trial; None if it settles without one.
        """
        argument = self._proposals.pop(command.trial).argument
        if argument.HasField("blob"):
            self._blobs.withdraw(argument.blob.id)
        outcome = trial_pb2.Outcome() if arrived is None else arrived.message
        subscriber = self.subscriber_of(command.trial.study)
        ok, failed = command.outcome is Outcome.OK, command.outcome is Outcome.FAILED
        failure = outcome.failure if failed else None
        settled = Settled(
            tid=command.trial.tid,
            attempt=command.attempt,
            outcome=command.outcome,
            worker=command.worker,
            host=arrived.host if arrived is not None else "",
            gpus=arrived.gpus if arrived is not None else (),
            reason=command.reason,
            result=self.claimed(outcome.result) if ok and subscriber is not None else None,
            failure=failure,
            exception=self.claimed(failure.exception)
            if failure is not None and subscriber is not None
            else None,
            time=time.time(),
            seconds=outcome.seconds,
            loss=outcome.loss if ok and outcome.HasField("loss") else None,
            fault=outcome.fault if ok else "",
            objective_values=tuple(outcome.objective_values) if ok else (),
            oversubscription=arrived.oversubscription if arrived is not None else None,
        )
        if subscriber is not None:
            subscriber.put_settled(settled)
        return settled

    def claimed(self, payload: trial_pb2.Payload) -> Payload | None:
        """Payload that a message has brought, now its taker's to remove."""
        if payload.HasField("blob"):
            return Payload(self._blobs.claim(payload.blob.id))
        return Payload(payload.inline) if payload.inline else None

    @property
    def failure(self) -> PoolError | None:
        """First error that :meth:`fail` was given; None if there was none."""
        return self._failure

    def fail_by_bug(self, error: Exception, after: str) -> None:
        """Tell every study of an error that should not be, as nobody may wait for what will not come.

        Args:
            error: that was raised. If the studies have failed already, it follows from that.
            after: what was under way.
        """
        if self._failure is None:
            _LOG.error("bug met", error, after=after)
            why = f"the coordinator met a bug ({type(error).__name__}: {error}). Please report it."
            self.fail(PoolLostError(f"{why} Finished trials are kept."))

    def fail(self, error: PoolError) -> None:
        """Tell every study, and those to come, that nothing will settle any more. The first error counts."""
        if self._failure is None:
            self._failure = error
            for study in self._studies.values():
                study.subscriber.put_failure(error)
