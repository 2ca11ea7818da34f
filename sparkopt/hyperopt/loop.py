"""The proposing loop of one ``fmin`` call.

    ┌─▶ propose   algo(new ids, domain, trials, seed) ──▶ documents ──▶ arguments ──▶ channel.submit
    │             as long as there are fewer trials outstanding than may run, and wait, at once
    └── take      channel.next_settled ──▶ the document's final state ──▶ save? stop?
                                      └──▶ what somebody outside wants: more points, a stop

Nothing here sleeps or polls: the loop waits for the next settled trial, or for the timeout. The history is
never walked except by the algorithm.

While all workers are busy, max_queue_len proposals are made ahead, so that none of them has to wait for one.
A single worker gets one less: with parallelism 1 and max_queue_len 1 a proposal is made when the one before
has settled, so that the search is that of serial hyperopt, value for value.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from hyperopt import base
from hyperopt.exceptions import InvalidTrial

from sparkopt.coordinator import Stop
from sparkopt.core.states import Outcome
from sparkopt.errors import (
    ControlError,
    CrowdedHostWarning,
    FailedTrialsWarning,
    PoolCancelledError,
    RefusedError,
    RemoteTraceback,
    SparkoptError,
    TrialLostError,
    warn,
)
from sparkopt.hyperopt.bars import Progress, ProgressFactory, opened_bar
from sparkopt.hyperopt.documents import Document, Documents
from sparkopt.hyperopt.fmin_options import early_stop_answer
from sparkopt.hyperopt.proposals import checked_proposals, refuse_proposals
from sparkopt.study.timings import Timings
from sparkopt.wire import codec
from sparkopt.wire.actor_log import ActorLog

if TYPE_CHECKING:
    from sparkopt.coordinator import CpuOversubscription, ExternalRequest, Reported, Settled, StudyChannel
    from sparkopt.hyperopt.failures import Failures
    from sparkopt.hyperopt.results import Result
    from sparkopt.hyperopt.spark_trials import SparkTrials

_LOG: Final = ActorLog("study")

CANCELLED_BY_EARLY_STOP: Final = "early stopping condition"
CANCELLED_BY_TIMEOUT: Final = "fmin run timeout"
CANCELLED_BY_USER: Final = "fmin run cancelled by user"
"""hyperopt's words for ``fmin_cancelled_reason``."""

Algorithm = Callable[..., list[Document]]
EarlyStop = Callable[..., tuple[bool, list[Any]]]


class Tracking(Protocol):
    """What is told of trials as they come and go; may not raise."""

    def serve(self, channel: StudyChannel) -> None:
        """Answer what objectives ask through this channel, from now on."""

    def proposed(self, documents: Sequence[Document]) -> None:
        """These are about to be submitted."""

    def ended(self, document: Document, settled: Settled | None, result: Result | None) -> None:
        """One has its final state; without ``settled`` it never came to a worker."""


@dataclass(slots=True)
class Budget:
    """When a study ends.

    Attributes:
        trials: how many trials to propose, beside those that wait already.
        deadline: when to cancel what runs, on the monotonic clock; None for never.
        loss_threshold: a loss below this ends the search once what runs has finished; None for none.
        early_stop: hyperopt's ``early_stop_fn``; called once for each finished trial.
    """

    trials: int = 0
    deadline: float | None = None
    loss_threshold: float | None = None
    early_stop: EarlyStop | None = None


class Study:
    """One search.

    Attributes:
        budget: when it ends; may be changed until it runs.
        tracking: is told of every trial; may be given until it runs.
        cancelled_reason: why it has ended early; None if it has not.
        timings: where its time went.

    Args:
        domain: the objective and the space.
        algo: hyperopt's ``algo``.
        trials: what the algorithm sees.
        documents: the same, and what becomes of them.
        argument: what the objective takes for a document's trial.
        rstate: where each call of the algorithm gets its seed from.
        budget: when to stop.
        max_queue_len: how many proposals are asked of the algorithm at once, and how many of them may wait
            for a worker; one less if there is only one.
        save: called after each trial that has ended.
        record: called with new documents before they are submitted.
        record_points: makes documents of points from outside, and records them; None refuses all.
    """

    def __init__(
        self,
        domain: base.Domain,
        algo: Algorithm,
        trials: SparkTrials,
        documents: Documents,
        argument: Callable[[Document], Any],
        rstate: np.random.Generator,
        budget: Budget,
        max_queue_len: int = 1,
        save: Callable[[], None] | None = None,
        record: Callable[[list[Document]], None] | None = None,
        record_points: Callable[[Sequence[Mapping[str, Any]]], list[Document]] | None = None,
    ) -> None:
        self._domain = domain
        self._algo = algo
        self._trials = trials
        self._argument = argument
        self._rstate = rstate
        self.budget = budget
        self._max_queue_len = max_queue_len
        self._save = save
        self._record = record
        self._record_points = record_points
        self.tracking: Tracking | None = None
        self._documents = documents
        self._waiting: deque[Document] = deque()
        self._outstanding: dict[int, Document] = {}
        self._proposed = 0
        self._stopped = False
        self._starting = False
        self._submissions_ended = False
        self._cancelling = False
        self._view = trials.view_of(documents.finished)
        self._early_stop_args: list[Any] = []
        self._warned_of_oversubscription = self._warned_of_failure = False
        self._failures_before = self._raised = 0
        self.cancelled_reason: str | None = None
        self.timings = Timings()

    @property
    def failures(self) -> Failures:
        """Failed trials, with those from the journal."""
        return self._documents.failures

    @property
    def first_failure(self) -> RemoteTraceback | None:
        """The remote traceback of the first trial that failed."""
        return self._documents.first_failure

    def hear_of_recovered(self) -> None:
        """One more document has its result from the journal: whatever stops a search may hear of it again."""
        self._stop_if_due(None)

    def run(
        self,
        channel: StudyChannel,
        waiting: Sequence[Document],
        workers: int,
        started: float,
        progress: ProgressFactory,
    ) -> None:
        """Search until the budget is used up. Afterwards, error or not, every document is in its final state.

        Args:
            channel: the pool to use.
            waiting: documents that are to be evaluated before anything is proposed.
            workers: how many trials may run at once.
            started: when the pool was launched, on the monotonic clock.
            progress: makes a context manager of ``initial`` and ``total``.

        Raises:
            PoolError: if the pool is lost or cancelled.
            RefusedError: if the algorithm, ``early_stop_fn`` or the bar returns what makes no sense.
            hyperopt.exceptions.InvalidTrial: if a document that the algorithm made lacks something.
            Exception: whatever the algorithm or ``early_stop_fn`` raises.
        """
        self.timings.workers = workers
        self._waiting.extend(waiting)
        self._launched = started
        channel.on_report = partial(self._take_report, channel)
        if self.tracking is not None:
            self.tracking.serve(channel)
        room = workers + self._max_queue_len - (1 if workers == 1 else 0)
        done = len(self._documents.finished)
        # Those that the journal had are told of at the end only.
        self._failures_before, self._raised = self.failures.count, self.failures.errors
        _LOG.info("search begins", workers=workers, waiting=len(waiting), most=self.budget.trials, done=done)
        try:
            with opened_bar(
                progress, initial=done, total=done + len(self._waiting) + self.budget.trials
            ) as bar:
                self._search(channel, room, bar)
        except (KeyboardInterrupt, SystemExit, PoolCancelledError):
            self.cancelled_reason = CANCELLED_BY_USER
            raise
        finally:
            try:
                self._wind_up(channel)
            except (
                BaseException
            ):  # somebody has no patience: every document gets its final state all the same
                self._wind_up(channel)
                raise
            self.timings.total = time.monotonic() - started
            _LOG.info(
                "search ended",
                seconds=self.timings.total,
                proposed=self._proposed,
                failed=self.failures.count,
                cancelled=self.cancelled_reason,
            )

    def _search(self, channel: StudyChannel, room: int, bar: Progress) -> None:
        channel.on_external_request = partial(self._take_external_request, channel, bar)
        refresh = getattr(bar, "refresh", None)
        if refresh is not None:
            self._starting = True
            channel.on_workers = partial(self._show_workers, bar, refresh)
            self._show_workers(bar, refresh, 0)
        while True:
            if channel.stop is not None:
                self._stop(channel, channel.stop)
            while self._wants_more and len(self._outstanding) < room and not self._overdue:
                if self._waiting:
                    self._submit(channel, [self._waiting.popleft()])
                else:
                    self._propose(channel, room - len(self._outstanding))
            if self.failures.errors > self._raised:
                self._show(bar)  # the space has raised
            self._end_submissions_if_due(channel)
            if self._overdue and (self._wants_more or self._outstanding):
                # Not left to the wait below: with short trials there would always be one that has settled.
                self._cancel(channel, CANCELLED_BY_TIMEOUT)
            if not self._outstanding:
                return
            settled = channel.next_settled(None if self._cancelling else self.budget.deadline)
            if settled is None:
                continue  # overdue, or a client of the control service asks for something
            finished = self._take(channel, settled)
            if self._save is not None:
                self._save()
            self._show(bar, finished)
            if finished:
                self._stop_if_due(channel)

    def _show(self, bar: Progress, finished: bool = False) -> None:
        """Show finished trials in the bar, and warn of the first failure."""
        failures = self._documents.failures
        raised, self._raised = failures.errors - self._raised, failures.errors
        if finished or raised:
            if self._starting or self._documents.best_loss is not None or failures.count:
                self._starting = False
                self._show_best(bar)
            bar.update(raised + finished)
        if failures.count > self._failures_before and not self._warned_of_failure:
            self._warned_of_failure = True
            warn(f"{failures.latest}. The search goes on.", FailedTrialsWarning)

    def _show_best(self, bar: Progress) -> None:
        best, failed = self._documents.best_loss, self._documents.failures.count
        bar.postfix = f"best loss: {'?' if best is None else best}{f', {failed} failed' if failed else ''}"

    def _show_workers(self, bar: Progress, refresh: Callable[[], object], present: int) -> None:
        """Show the number of workers that have started, until all have or there is a result to show."""
        if not self._starting:
            return
        if present < self.timings.workers:
            bar.postfix = f"starting workers: {present} of {self.timings.workers}"
        else:
            self._starting = False
            self._show_best(bar)
        refresh()

    @property
    def _wants_more(self) -> bool:
        return not self._stopped and (bool(self._waiting) or self._proposed < self.budget.trials)

    def _end_submissions_if_due(self, channel: StudyChannel) -> None:
        if not self._wants_more and not self._submissions_ended:
            self._submissions_ended = True
            channel.end_submissions()

    @property
    def _overdue(self) -> bool:
        deadline = None if self._cancelling else self.budget.deadline
        return deadline is not None and time.monotonic() >= deadline

    # Proposing.

    def _propose(self, channel: StudyChannel, room: int) -> None:
        trials = self._trials
        self._note_started(channel)
        count = min(self._max_queue_len, room, self.budget.trials - self._proposed)
        ids = trials.new_trial_ids(count)
        seed = self._rstate.integers(2**31 - 1)
        began = time.monotonic()
        documents = checked_proposals(self._algo(ids, self._domain, trials, seed), ids, trials)
        self.timings.suggesting += time.monotonic() - began
        self.timings.suggested += len(documents)
        if channel.stop is not None:
            # Meanwhile, and what is proposed from now on would have to run.
            self._stop(channel, channel.stop)
            return
        if not documents:
            self._stopped = True
            return
        try:
            documents = self._documents.add(documents)
        except InvalidTrial:
            raise  # as with hyperopt
        except Exception as error:  # noqa: BLE001 - hyperopt reads whatever the algorithm has put into them
            refuse_proposals(error)
        self._proposed += len(documents)
        self._outstanding.update((document["tid"], document) for document in documents)
        if self._record is not None:
            self._record(documents)
        self._submit(channel, documents)

    def _submit(self, channel: StudyChannel, documents: list[Document]) -> None:
        if self.tracking is not None:
            self.tracking.proposed(documents)
        proposals, values = [], []
        for document in documents:
            tid = document["tid"]
            self._outstanding[tid] = document
            try:
                proposals.append((tid, codec.dumps(self._argument(document))))
                values.append(document["misc"]["vals"])
            except Exception as error:  # noqa: BLE001 - the space is the user's code: its errors cost a trial
                del self._outstanding[tid]
                self._documents.fail(document, str(type(error)), RemoteTraceback.of(error))
                self._track_end(document)
        if proposals:
            channel.submit(proposals, values)

    def _note_started(self, channel: StudyChannel) -> None:
        for started in channel.started():
            if not self.timings.pool_start:
                self.timings.pool_start = started.monotonic - self._launched
            self.timings.waiting += started.waited
            document = self._outstanding.get(started.tid)
            if document is not None:
                self._documents.start(document, started.time)

    # Taking reports and outcomes.

    def _take_report(self, channel: StudyChannel, reported: Reported) -> None:
        self._note_started(channel)
        document = self._outstanding.get(reported.tid)
        if document is None:
            return
        self._documents.report(document, reported)

    def _take(self, channel: StudyChannel, settled: Settled) -> bool:
        """Give a document its final state and say whether the trial has finished with a result."""
        self._note_started(channel)
        document = self._outstanding[settled.tid]
        self.timings.busy += settled.seconds
        if settled.oversubscription is not None:
            self._warn_of(settled.oversubscription)
        result = None
        if settled.outcome is Outcome.OK:
            result = self._documents.finish(document, settled.result)
        elif settled.outcome is Outcome.CANCELLED:
            self._documents.cancel(document, settled.reason)
        elif settled.outcome is Outcome.LOST:
            self._documents.fail(document, str(TrialLostError), RemoteTraceback(settled.reason))
        else:
            self._documents.fail(document, *_failure_of(settled))
            if settled.exception is not None:
                settled.exception.drop()  # its text is what is told: an exception runs code when it is loaded
        del self._outstanding[settled.tid]  # not before: an interrupt may come while a result is read
        self._track_end(document, settled, result)
        return result is not None

    def _track_end(
        self, document: Document, settled: Settled | None = None, result: Result | None = None
    ) -> None:
        if self.tracking is not None:
            self.tracking.ended(document, settled, result)

    def _warn_of(self, found: CpuOversubscription) -> None:
        if self._warned_of_oversubscription:
            return
        self._warned_of_oversubscription = True
        warn(
            f"{found.workers} workers on {found.host} run objectives with {found.threads} BLAS or"
            f" OpenMP threads each, and there are {found.cores} cores: they wait for one another. Limit"
            " the threads (threadpoolctl.threadpool_limits in the objective, or OMP_NUM_THREADS for the"
            " executors), or give each task as many cores (spark.task.cpus, or a resource_profile).",
            CrowdedHostWarning,
        )

    # Stopping.

    def _stop_if_due(self, channel: StudyChannel | None) -> None:
        threshold, best = self.budget.loss_threshold, self._documents.best_loss
        if threshold is not None and best is not None and best < threshold:
            self._stopped = True
        if self.budget.early_stop is not None and not self._cancelling:
            said = self.budget.early_stop(self._view, *self._early_stop_args)
            stop, self._early_stop_args = early_stop_answer(said)
            if stop:
                self._cancel(channel, CANCELLED_BY_EARLY_STOP)

    def _cancel(self, channel: StudyChannel | None, reason: str) -> None:
        self._stopped = self._cancelling = True
        if self.cancelled_reason is None:
            self.cancelled_reason = reason
        if channel is not None:
            channel.cancel(None, reason)

    def _stop(self, channel: StudyChannel, stop: Stop) -> None:
        """Somebody outside wants the search to end. May be said again, with less patience."""
        if self._cancelling:
            return
        if not stop.finish_running:
            self._cancel(channel, CANCELLED_BY_USER)
        elif not self._stopped or self.cancelled_reason is None:
            self._stopped = True
            self.cancelled_reason = CANCELLED_BY_USER
            channel.cancel_waiting(CANCELLED_BY_USER)

    # What is wanted from outside.

    def _take_external_request(self, channel: StudyChannel, bar: Progress, request: ExternalRequest) -> bool:
        if isinstance(request, Stop):
            self._stop(channel, request)
            return True
        if self._stopped or self._overdue or self._record_points is None:
            request.refuse()
            return False
        try:
            documents = self._record_points(request.points)
        except ControlError as error:
            request.answer(error)
            return False
        except SparkoptError as error:
            request.answer(error)
            raise
        self._waiting.extend(documents)
        self._submissions_ended = False
        total = getattr(bar, "total", None)
        if total is not None:
            bar.total = total + len(documents)  # type: ignore[attr-defined]  # those bars that have one
        request.answer([document["tid"] for document in documents])
        return True

    def _refuse_external_request(self, request: ExternalRequest) -> bool:
        if not isinstance(request, Stop):
            request.refuse()
        return False

    def _wind_up(self, channel: StudyChannel) -> None:
        """Whatever ended the search: results that have arrived are kept, the rest is cancelled."""
        raised = sys.exc_info()[1]
        channel.on_external_request = self._refuse_external_request
        reason = self.cancelled_reason or "fmin ended with an error"
        while self._outstanding:
            try:
                settled = channel.next_settled(time.monotonic())
            except RefusedError:
                break  # nothing comes in a process that was forked meanwhile
            except SparkoptError as error:
                # Mostly the like of it is what has ended the search.
                if type(error) is not type(raised):
                    _LOG.warning("error at the end of a search", error)
                continue
            if settled is None:
                break
            self._take(channel, settled)
        for document in (*self._outstanding.values(), *self._waiting):
            if document["state"] in (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING):
                self._documents.cancel(document, reason)
            if document["tid"] in self._outstanding:
                self._track_end(document)
        self._outstanding.clear()
        self._waiting.clear()
        channel.close()


def _failure_of(settled: Settled) -> tuple[str, RemoteTraceback]:
    """The type of what a worker's objective raised, as hyperopt writes it, and the remote traceback."""
    failure = settled.failure
    assert failure is not None
    text = failure.traceback or failure.message
    kind = f"<class '{failure.type}'>"
    return kind, RemoteTraceback(text)
