"""Book of a pool's studies, trials and workers, as the control service shows them.

    coordinator ── what happens ──▶ Book ──▶ records      a trial, constant time each
                                     └─────▶ Feed         the same as events

A record has what the machine forgets or never knew: when, where, with what. The state of a trial or worker
comes from the machine, as long as the machine knows it. Values are kept as they came; messages are made from
records when a client asks (:mod:`sparkopt.control.messages`).
"""

from __future__ import annotations

import secrets
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from sparkopt.control import messages
from sparkopt.control.book_records import (
    Attempt,
    StudyDescription,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
)
from sparkopt.control.feed import Feed, FeedEntry
from sparkopt.control.kept_values import KeptValues
from sparkopt.control.newest_values import NewestValue, NewestValues
from sparkopt.coordinator.channels.studies import Values
from sparkopt.core.states import Lease, Outcome, TrialKey, TrialState, WorkerState
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import control_pb2, worker_pb2
from sparkopt.wire.value_series import ValueSeries

if TYPE_CHECKING:
    from sparkopt.coordinator import Settled
    from sparkopt.core.machine import Machine
    from sparkopt.core.records import Worker

RATE_SECONDS: Final = 10.0
"""Seconds over which trials per second are counted."""

_NAME_CHARACTERS: Final = 1000
"""Most characters of an attachment's name in an event. Events are kept, and a trial may choose any name."""

_SLICES: Final = 10
"""Number of slices of a second in which settled trials are counted, for trials per second."""


class Book:
    """The records of a pool. On the coordinator's loop only.

    Attributes:
        pool: a name that no other pool has.
        opened: when, in seconds since the epoch.
        max_parallelism: how many trials may ever run at once.
        studies: by name, in the order in which they were opened.
        trials: of all studies, in the order in which they were submitted.
        workers: those that are in the pool now, by name.

    Args:
        machine: knows what state everything is in.
        feed: hears of everything.
    """

    def __init__(self, machine: Machine, feed: Feed) -> None:
        self.pool = secrets.token_hex(8)
        self.opened = time.time()
        self.max_parallelism = machine.limit
        self.studies: dict[str, StudyRecord] = {}
        self.trials: list[TrialRecord] = []
        self.workers: dict[str, WorkerRecord] = {}
        self._machine = machine
        self._feed = feed
        self._limit, self._paused = machine.limit, machine.paused
        self._hellos: dict[str, worker_pb2.Hello] = {}
        self._gone_seconds = self._gone_busy = 0.0
        self._began = time.monotonic()
        self._rates: deque[list[int]] = deque()
        self._values: NewestValues[TrialKey] = NewestValues(self._tell_value)
        self._kept: KeptValues[TrialKey] = KeptValues()

    # What others may ask.

    def state_of(self, trial: TrialRecord) -> TrialState | Outcome:
        """State of a trial, or the outcome that it settled with."""
        if trial.outcome is not None:
            return trial.outcome
        known = self._machine.trials.get(trial.key)
        return TrialState.PENDING if known is None else known.state

    def unsettled(self) -> Iterator[TrialRecord]:
        """The trials that have not settled by now, in the order in which they were submitted."""
        for key in list(self._machine.trials):
            yield self.studies[key.study].by_tid[key.tid]

    def leased_of(self, study: str) -> int:
        """Number of a study's trials that are leased."""
        return sum(
            worker.lease is not None and worker.lease.trial.study == study
            for worker in self._machine.workers.values()
        )

    def known_worker(self, worker: WorkerRecord) -> Worker | None:
        """Record that the machine keeps of a worker; None if it has left."""
        return None if worker.left is not None else self._machine.workers.get(worker.hello.worker)

    def behind(self, trials: Sequence[TrialRecord], place: int) -> int:
        """Number of these trials that are at or before a place; they are in the order of submission."""
        return bisect_right(trials, place, key=lambda trial: trial.place)

    def reachable_workers(self) -> int:
        """Number of workers that can be given a trial or run one."""
        return sum(worker.state is WorkerState.READY for worker in self._machine.workers.values())

    def idle_share(self) -> float:
        """The share of the workers' time since each joined that no trial was leased to them."""
        now = time.monotonic()
        there = self._gone_seconds + sum(now - worker.since for worker in self.workers.values())
        busy = self._gone_busy + sum(worker.busy_by(now) for worker in self.workers.values())
        return max(0.0, 1.0 - busy / there) if there > 0 else 0.0

    def intermediate_values(self, trial: TrialRecord) -> ValueSeries | None:
        """Values that a trial has reported; None if it has reported none, or they are forgotten."""
        return self._kept.of(trial.key)

    def outcomes(self) -> Counter[Outcome]:
        """Returns the number of settled trials of all studies, by outcome."""
        return sum((study.outcomes for study in self.studies.values()), Counter[Outcome]())

    def trials_per_second(self) -> float:
        """Trials settled per second, in the last ten seconds or since a younger pool was opened."""
        now = time.monotonic()
        self._forget_rates(now)
        return sum(count for _, count in self._rates) / max(1.0, min(RATE_SECONDS, now - self._began))

    # What the coordinator tells.

    def study_opened(self, name: str, is_search: bool, about: StudyDescription) -> None:
        """Trials of this study may come."""
        study = self.studies[name] = StudyRecord(name, is_search, time.time(), about=about)
        message = messages.study_of(self, study)
        self._note(study.opened, name, lambda event: event.study_opened.CopyFrom(message))

    def study_closed(self, name: str) -> None:
        """No more trials of this study will come."""
        study = self.studies[name]
        study.ended = time.time()
        message = messages.study_of(self, study)
        self._note(study.ended, name, lambda event: event.study_ended.CopyFrom(message))

    def trials_submitted(
        self,
        name: str,
        tids: Sequence[int],
        values: Sequence[Values],
        request_id: Callable[[int], str],
    ) -> None:
        """These trials wait for a worker."""
        study, now = self.studies[name], time.time()
        for number, tid in enumerate(tids):
            proposed = values[number] if number < len(values) else {}
            trial = TrialRecord(study, tid, len(self.trials), proposed, now, request_id(tid))
            self.trials.append(trial)
            study.trials.append(trial)
            study.by_tid[tid] = trial
            self._note(now, name, partial(messages.fill_submitted, trial))

    def attempt_started(self, lease: Lease, name: str) -> None:
        """This attempt was sent to this worker, perhaps again."""
        self.look_at(name)
        worker = self.workers[name]
        if worker.lease == lease:
            return
        trial = self.studies[lease.trial.study].by_tid[lease.trial.tid]
        if trial.attempt is not None:
            self.look_at(trial.attempt.worker.hello.worker)
            self._requeue(trial)
        now = time.time()
        trial.attempt = attempt = Attempt(lease.attempt, worker, now)
        worker.lease, worker.leased = lease, time.monotonic()
        self._note(now, lease.trial.study, partial(messages.fill_started, trial, attempt))

    def reported(self, key: TrialKey, kind: ReportKind, name: str) -> None:
        """A running trial has sent a report."""
        told = name[:_NAME_CHARACTERS]
        self._note(time.time(), key.study, partial(messages.fill_reported, key, kind, told))

    def values_reported(self, lease: Lease, steps: Sequence[int], values: Sequence[float]) -> None:
        """An attempt that runs has reported intermediate values."""
        self._kept.add(lease.trial, lease.attempt, steps, values)
        if self._feed.wants_values:
            self._values.put(lease.trial, lease.attempt, steps[-1], values[-1])

    def _tell_value(self, key: TrialKey, newest: NewestValue) -> None:
        fill = partial(messages.fill_value, key, newest)
        self._feed.add_value(key, FeedEntry(newest.time, key.study, fill))

    def trial_settled(self, name: str, settled: Settled) -> None:
        """A trial has its final state."""
        study = self.studies[name]
        trial = study.by_tid[settled.tid]
        attempt, now = trial.attempt, time.monotonic()
        self._values.end(trial.key)
        self._kept.settle(trial.key)
        if attempt is not None:
            if attempt.worker.lease == Lease(trial.key, attempt.number):
                attempt.worker.free(now)
            attempt.worker.trials += 1
        # To a search, an unusable result is a failure; to a client that evaluates points it is an answer.
        failed = study.is_search and settled.fault != ""
        trial.outcome = Outcome.FAILED if failed else settled.outcome
        trial.settled = time.time()
        trial.seconds = settled.seconds
        trial.loss = settled.loss
        if settled.objective_values and len(settled.objective_values) == len(study.about.directions):
            trial.objective_values = settled.objective_values
        trial.reason = settled.fault if failed else _reason(settled)
        study.outcomes[trial.outcome] += 1
        if trial.loss is not None and (
            study.best is None or study.best.loss is None or trial.loss < study.best.loss
        ):
            study.best = trial
        self._count(now)
        self._note(trial.settled, name, partial(messages.fill_settled, trial))

    def worker_joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello; whether it is taken in is for the machine to say."""
        self._hellos[hello.worker] = hello

    def workers_changed(self, name: str | None, reason: str) -> None:
        """This worker, or any if ``name`` is None, may have left, become unreachable or come back."""
        if name is not None:
            self.look_at(name, reason)
            return
        for each in [*self._hellos, *self.workers]:
            self.look_at(each, reason)

    def look_at(self, name: str, reason: str = "") -> None:
        """See what has become of a worker."""
        known = self._machine.workers.get(name)
        there = known is not None and known.state is not WorkerState.GONE
        hello = self._hellos.pop(name, None) if self._hellos else None
        worker = self.workers.get(name)
        if worker is None:
            if there and hello is not None:
                self._join(hello)
        elif known is None or not there:
            self._leave(name, worker, reason)
        else:
            if worker.lease is not None and worker.lease != known.lease:
                lost = self.studies[worker.lease.trial.study].by_tid[worker.lease.trial.tid]
                self._requeue(lost)
            reachable = known.state is WorkerState.READY
            if reachable != worker.reachable:
                worker.reachable = reachable
                message = messages.worker_of(self, worker)
                if reachable:
                    self._note(time.time(), "", lambda event: event.worker_returned.CopyFrom(message))
                else:
                    self._note(time.time(), "", lambda event: event.worker_unreachable.CopyFrom(message))

    def limits_changed(self) -> None:
        """Something may have changed in how many trials may run."""
        machine, now = self._machine, time.time()
        if machine.limit != self._limit:
            self._limit = limit = machine.limit
            self._note(now, "", lambda event: setattr(event.limit_changed, "parallelism", limit))
        if machine.paused != self._paused:
            self._paused = machine.paused
            if machine.paused:
                self._note(now, "", lambda event: event.paused.SetInParent())
            else:
                self._note(now, "", lambda event: event.resumed.SetInParent())

    def close(self) -> None:
        """Send no more of the newest values to the feed."""
        self._values.clear()

    # Its own.

    def _note(self, when: float, study: str, fill: Callable[[control_pb2.Event], None]) -> None:
        self._feed.add(FeedEntry(when, study, fill))

    def _join(self, hello: worker_pb2.Hello) -> None:
        worker = self.workers[hello.worker] = WorkerRecord(hello, time.time(), time.monotonic())
        if hello.formerly in self.workers:
            self.look_at(hello.formerly, f"it could not be reached, and came again as {hello.worker}")
        message = messages.worker_of(self, worker)
        self._note(worker.joined, "", lambda event: event.worker_joined.CopyFrom(message))

    def _leave(self, name: str, worker: WorkerRecord, reason: str) -> None:
        del self.workers[name]
        lease, worker.left = worker.lease, time.monotonic()
        worker.free(worker.left)
        self._gone_seconds += worker.left - worker.since
        self._gone_busy += worker.busy
        message = messages.worker_of(self, worker)

        def fill(event: control_pb2.Event) -> None:
            event.worker_left.worker.CopyFrom(message)
            event.worker_left.reason = reason or "it is gone"

        self._note(time.time(), "", fill)
        if lease is not None:
            self._requeue(self.studies[lease.trial.study].by_tid[lease.trial.tid])

    def _requeue(self, trial: TrialRecord) -> None:
        """An attempt was lost, and its trial has not settled with it."""
        attempt = trial.attempt
        if attempt is None:
            return  # it was noted before
        if attempt.worker.lease == Lease(trial.key, attempt.number):
            attempt.worker.free(time.monotonic())
        trial.attempt = None
        self._values.end(trial.key)
        self._note(time.time(), trial.study.name, partial(messages.fill_requeued, trial, attempt))

    def _count(self, now: float) -> None:
        current = int(now * _SLICES)
        if not self._rates or self._rates[-1][0] != current:
            self._forget_rates(now)
            self._rates.append([current, 0])
        self._rates[-1][1] += 1

    def _forget_rates(self, now: float) -> None:
        oldest = int((now - RATE_SECONDS) * _SLICES)
        while self._rates and self._rates[0][0] <= oldest:
            self._rates.popleft()


def _reason(settled: Settled) -> str:
    """Reason for which a trial has no result, in a line."""
    if settled.failure is not None:
        return messages.line_of(f"{settled.failure.type}: {settled.failure.message}")
    return messages.line_of(settled.reason)
