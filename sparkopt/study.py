"""The proposing loop of one ``fmin`` call.

    ┌─▶ propose   algo(new ids, domain, trials, seed) ──▶ documents ──▶ arguments ──▶ channel.submit
    │             as long as fewer than parallelism + max_queue_len - 1 trials are outstanding
    └── take      channel.next_settled ──▶ the document's final state ──▶ stop?

Nothing here sleeps or polls: the loop waits for the next settled trial, or for the timeout. What it keeps
beside the documents (outstanding trials, counts, best loss) is kept as it goes; the history is never
walked except by the algorithm.

With parallelism 1 and max_queue_len 1 a proposal is made when the one before has settled, so that the
search is that of serial hyperopt, value for value.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from hyperopt import base
from hyperopt.utils import coarse_utcnow

from sparkopt.core.states import Outcome
from sparkopt.errors import RemoteTraceback, TrialCancelledError, TrialLostError
from sparkopt.space import Space
from sparkopt.wire import codec

if TYPE_CHECKING:
    from sparkopt.coordinator import Settled, StudyChannel
    from sparkopt.trials import SparkTrials

CANCELLED_BY_EARLY_STOP: Final = "early stopping condition"
CANCELLED_BY_TIMEOUT: Final = "fmin run timeout"
CANCELLED_BY_USER: Final = "fmin run cancelled by user"
"""hyperopt's words for ``fmin_cancelled_reason``."""

Document = dict[str, Any]
Algorithm = Callable[..., list[Document]]
EarlyStop = Callable[..., tuple[bool, list[Any]]]


class Progress(Protocol):
    """What a progress bar must do: hyperopt's protocol."""

    postfix: Any

    def update(self, n: int) -> Any:
        """Count finished trials."""


ProgressFactory = Callable[..., AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class Budget:
    """When a study ends.

    Attributes:
        trials: how many trials to propose.
        deadline: when to cancel what runs, on the monotonic clock; None for never.
        loss_threshold: a loss below this ends the search once what runs has finished; None for none.
        early_stop: hyperopt's ``early_stop_fn``; called once for each finished trial.
    """

    trials: int
    deadline: float | None = None
    loss_threshold: float | None = None
    early_stop: EarlyStop | None = None


@dataclass(slots=True)
class Timings:
    """Where the time of a study went, in seconds.

    Attributes:
        pool_start: from the launch of the workers until the first trial was sent to one.
        suggesting: inside the algorithm.
        busy: inside objectives, summed over workers.
        total: from the launch of the workers to the last settled trial.
        workers: how many workers there were.
    """

    pool_start: float = 0.0
    suggesting: float = 0.0
    busy: float = 0.0
    total: float = 0.0
    workers: int = 0

    @property
    def busy_share(self) -> float:
        """The share of the workers' time, once they were up, that was spent inside objectives."""
        available = (self.total - self.pool_start) * self.workers
        return self.busy / available if available > 0 else 0.0


class Study:
    """One search.

    Args:
        domain: the objective and the space.
        algo: hyperopt's ``algo``.
        trials: where the documents go.
        rstate: where each call of the algorithm gets its seed from.
        budget: when to stop.
        max_queue_len: how many proposals are asked of the algorithm at once, and how many of them may wait
            for a worker less one.
    """

    def __init__(
        self,
        domain: base.Domain,
        algo: Algorithm,
        trials: SparkTrials,
        rstate: np.random.Generator,
        budget: Budget,
        max_queue_len: int = 1,
    ) -> None:
        self._domain = domain
        self._algo = algo
        self._trials = trials
        self._rstate = rstate
        self._budget = budget
        self._max_queue_len = max_queue_len
        self._space = Space(domain)
        self._outstanding: dict[int, Document] = {}
        self._proposed = 0
        self._stopped = False
        self._best_loss = math.inf
        self._early_stop_args: list[Any] = []
        self.cancelled_reason: str | None = None
        self.first_failure: RemoteTraceback | None = None
        self.timings = Timings()

    def check(self) -> None:
        """Refuse what can be refused before anything is launched.

        Raises:
            NotPicklableError: if the space proposes what cannot be sent to a worker.
        """
        self._space.check_picklable()

    def run(self, channel: StudyChannel, workers: int, started: float, progress: ProgressFactory) -> None:
        """Search until the budget is used up. Afterwards, error or not, every document is in its final state.

        Args:
            channel: the pool to use.
            workers: how many trials may run at once.
            started: when the pool was launched, on the monotonic clock.
            progress: makes a context manager of ``initial`` and ``total``.

        Raises:
            PoolError: if the pool is lost.
            Exception: whatever the algorithm or ``early_stop_fn`` raises.
        """
        self.timings.workers = workers
        self._launched = started
        room = workers + self._max_queue_len - 1
        done = self._trials.count_successful_trials()
        try:
            with progress(initial=done, total=done + self._budget.trials) as bar:
                self._search(channel, room, bar)
        except KeyboardInterrupt:
            self.cancelled_reason = CANCELLED_BY_USER
            raise
        finally:
            self._wind_up(channel)
            self.timings.total = time.monotonic() - started

    def _search(self, channel: StudyChannel, room: int, bar: Progress) -> None:
        while True:
            while self._wants_more and len(self._outstanding) < room and not self._overdue:
                self._propose(channel, room - len(self._outstanding))
            if self._overdue and (self._wants_more or self._outstanding):
                # Not left to the wait below: with short trials there would always be one that has settled.
                self._cancel(channel, CANCELLED_BY_TIMEOUT)
            if not self._outstanding:
                return
            settled = channel.next_settled(None if self._stopped_for_good else self._budget.deadline)
            if settled is None:
                self._cancel(channel, CANCELLED_BY_TIMEOUT)
            elif self._take(channel, settled):
                bar.update(1)
                if self._best_loss < math.inf:
                    bar.postfix = f"best loss: {self._best_loss}"
                self._stop_if_due(channel)

    @property
    def _wants_more(self) -> bool:
        return not self._stopped and self._proposed < self._budget.trials

    @property
    def _overdue(self) -> bool:
        deadline = None if self._stopped_for_good else self._budget.deadline
        return deadline is not None and time.monotonic() >= deadline

    @property
    def _stopped_for_good(self) -> bool:
        return self.cancelled_reason is not None

    # Proposing.

    def _propose(self, channel: StudyChannel, room: int) -> None:
        trials = self._trials
        self._note_started(channel)
        count = min(self._max_queue_len, room, self._budget.trials - self._proposed)
        ids = trials.new_trial_ids(count)
        seed = self._rstate.integers(2**31 - 1)
        began = time.monotonic()
        documents = self._algo(ids, self._domain, trials, seed)
        self.timings.suggesting += time.monotonic() - began
        if not documents:
            self._stopped = True
            return
        documents = trials.record(documents)
        self._proposed += len(documents)
        proposals = []
        for document in documents:
            tid = document["tid"]
            self._outstanding[tid] = document
            try:
                proposals.append((tid, codec.dumps(self._space.argument(document["misc"]["vals"]))))
            except Exception as error:  # noqa: BLE001 - the space is the user's code: its errors cost a trial
                del self._outstanding[tid]
                self._fail(document, str(type(error)), RemoteTraceback.of(error))
        if proposals:
            channel.submit(proposals)

    def _note_started(self, channel: StudyChannel) -> None:
        for started in channel.started():
            if not self.timings.pool_start:
                self.timings.pool_start = started.monotonic - self._launched
            document = self._outstanding.get(started.tid)
            if document is not None:
                document["state"] = base.JOB_STATE_RUNNING
                document["book_time"] = document["refresh_time"] = _coarse(started.time)

    # Taking outcomes.

    def _take(self, channel: StudyChannel, settled: Settled) -> bool:
        """Give a document its final state and say whether the trial has finished with a result."""
        self._note_started(channel)
        document = self._outstanding.pop(settled.tid)
        self.timings.busy += settled.seconds
        if settled.outcome is Outcome.OK:
            return self._finish(document, settled)
        if settled.outcome is Outcome.CANCELLED:
            self._end(document, base.JOB_STATE_CANCEL, str(TrialCancelledError), settled.reason)
        elif settled.outcome is Outcome.LOST:
            self._fail(document, str(TrialLostError), RemoteTraceback(settled.reason))
        else:
            self._fail(document, *_failure_of(settled))
        return False

    def _finish(self, document: Document, settled: Settled) -> bool:
        ctrl = base.Ctrl(self._trials, current_trial=document)
        try:
            raw = settled.result.load() if settled.result is not None else None
            result = self._domain.evaluate_async2(raw, ctrl)
        except Exception as error:  # noqa: BLE001 - a result that is none is the trial's failure
            self._fail(document, str(type(error)), RemoteTraceback.of(error))
            return False
        document["state"] = base.JOB_STATE_DONE
        document["result"] = result
        document["refresh_time"] = coarse_utcnow()
        loss = result.get("loss")
        if loss is not None and loss < self._best_loss:
            self._best_loss = loss
        return True

    def _fail(self, document: Document, kind: str, traceback: RemoteTraceback) -> None:
        if self.first_failure is None:
            self.first_failure = traceback
        self._end(document, base.JOB_STATE_ERROR, kind, traceback.text)

    def _end(self, document: Document, state: int, kind: str, text: str) -> None:
        document["state"] = state
        document["misc"]["error"] = (kind, text)
        document["refresh_time"] = coarse_utcnow()
        self._trials.hide(document)

    # Stopping.

    def _stop_if_due(self, channel: StudyChannel) -> None:
        threshold = self._budget.loss_threshold
        if threshold is not None and self._best_loss < threshold:
            self._stopped = True
        if self._budget.early_stop is not None and not self._stopped_for_good:
            stop, self._early_stop_args = self._budget.early_stop(self._trials, *self._early_stop_args)
            if stop:
                self._cancel(channel, CANCELLED_BY_EARLY_STOP)

    def _cancel(self, channel: StudyChannel, reason: str) -> None:
        self._stopped = True
        self.cancelled_reason = reason
        channel.cancel(None, reason)

    def _wind_up(self, channel: StudyChannel) -> None:
        """Whatever ended the search: results that have arrived are kept, the rest is cancelled."""
        reason = self.cancelled_reason or "fmin ended with an error"
        while self._outstanding:
            try:
                settled = channel.next_settled(time.monotonic())
            except Exception:  # noqa: BLE001 - the pool is lost: that has been raised already
                break
            if settled is None:
                break
            self._take(channel, settled)
        for document in self._outstanding.values():
            self._end(document, base.JOB_STATE_CANCEL, str(TrialCancelledError), reason)
        self._outstanding.clear()
        channel.close()


def _failure_of(settled: Settled) -> tuple[str, RemoteTraceback]:
    """The type of what a worker's objective raised, as hyperopt writes it, and the remote traceback."""
    failure = settled.failure
    assert failure is not None
    text = failure.traceback or failure.message
    kind = f"<class '{failure.type}'>"
    return kind, RemoteTraceback(text)


def _coarse(seconds: float) -> datetime.datetime:
    """A time since the epoch as hyperopt writes it: UTC without saying so, to the millisecond below."""
    exact = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)
