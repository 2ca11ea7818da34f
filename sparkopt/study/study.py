"""Study: one search from its first proposal to its last trial, whatever front end proposes.

    ┌─▶ propose   proposer ──▶ proposals ──▶ journal ──▶ arguments ──▶ channel.submit
    │             as long as there are fewer trials outstanding than may run, and wait, at once
    └── settle    channel.next_settled ──▶ proposer.finish ──▶ listeners ──▶ proposer.settled: stop?
                                      └──▶ what somebody outside wants: more points, a stop

Nothing here sleeps or polls. The history is never walked except by the proposer.

While all workers are busy, ``ahead`` proposals are made ahead, so that none of them has to wait for one. A
single worker gets one less: with one worker and one ahead a proposal is made when the one before has settled.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sparkopt.coordinator import Stop
from sparkopt.core.states import Outcome
from sparkopt.errors import (
    ControlError,
    PoolCancelledError,
    RefusedError,
    RemoteTraceback,
    SparkoptError,
)
from sparkopt.study.failures import Failures
from sparkopt.study.listener import Listeners
from sparkopt.study.oversubscription import warn_of
from sparkopt.study.proposer import WAIT, NoProposal, Proposer, StopSearch
from sparkopt.study.room import Room
from sparkopt.study.timings import Timings
from sparkopt.study.trial_record import TrialError, TrialNumbers, TrialRecord
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.lanes import Lane

if TYPE_CHECKING:
    from sparkopt.coordinator import AttemptValues, ExternalRequest, Reported, Request, Settled, StudyChannel
    from sparkopt.study.journal import Entry, SearchJournal
    from sparkopt.study.listener import Listener
    from sparkopt.study.study_spec import StudySpec
    from sparkopt.study.trial_record import Proposal

_LOG: Final = ActorLog("study")


class Study:
    """One search. Everything is called in one thread, the study's.

    Attributes:
        spec: what was known of it before it began.
        failures: trials that failed, with those from the journal.
        first_failure: the remote traceback of the first trial that has no result.
        stop_reason: why it has ended early; None if it has not.
        timings: where its time went.

    Args:
        spec: what is known of it.
        proposer: proposes its trials, and learns from their outcomes.
        journal: hears of every trial before anybody else; None for none.
    """

    def __init__(self, spec: StudySpec, proposer: Proposer, journal: SearchJournal | None = None) -> None:
        self.spec = spec
        self.failures = Failures()
        self.first_failure: RemoteTraceback | None = None
        self.stop_reason: str | None = None
        self.timings = Timings()
        self._proposer = proposer
        self._journal = journal
        self._told = Listeners(())
        self._heard: Sequence[Entry] = ()
        self._channel: StudyChannel | None = None
        self._queue: deque[Proposal] = deque()
        self._outstanding: dict[int, TrialRecord] = {}
        self._numbers = TrialNumbers()
        self._launched, self._proposed, self._room = 0.0, 0, Room(spec, 0, 0)
        self._stopped = self._cancelling = self._waits = False
        self._submissions_ended = False
        self._warned_of_oversubscription = False

    # Before it runs.

    def resume(self, entries: Sequence[Entry]) -> None:
        """Go on from the journal: settle again what had settled, and queue what had not.

        Args:
            entries: every trial that the journal has.

        Raises:
            JournalError: if something of it cannot be read in this process.
            Exception: whatever the proposer raises.
        """
        proposals, self._heard = self._proposer.recover(entries), entries
        pairs = [
            (entry, TrialRecord(proposal))
            for entry, proposal in zip(entries, proposals, strict=True)
            if proposal is not None
        ]
        settled = [(entry, record) for entry, record in pairs if entry.outcome is not None]
        self._numbers.take(record.proposal for _, record in settled)
        for entry, record in sorted(settled, key=lambda pair: pair[0].place):
            if entry.started is not None:
                record.started = entry.started
                self._proposer.started(record)
            for report in entry.reports:
                self._proposer.reported(record, report)
            record.settle_again(entry)
            self._finish(record, entry.result)
            self._heed(self._proposer.settled(record, True))
        self.failures.fatal = None  # the workers that come now may have the module
        if self._journal is not None and (saved := self._journal.state()) is not None:
            self._proposer.resume(saved)
        self.enqueue((record.proposal for entry, record in pairs if entry.outcome is None), known=True)

    def enqueue(self, proposals: Iterable[Proposal], known: bool = False) -> None:
        """Have trials run before anything is proposed.

        Args:
            proposals: of the trials.
            known: whether the journal has them already.

        Raises:
            JournalError: if the journal cannot be written.
        """
        queued = list(proposals)
        self._numbers.take(queued)
        if not known:
            self._record(queued)
        self._queue.extend(queued)

    @property
    def queued(self) -> int:
        """Number of trials that run before anything is proposed."""
        return len(self._queue)

    def _record(self, proposals: Sequence[Proposal], asked: bool = False) -> None:
        if self._journal is not None and proposals:
            own_bytes = self._proposer.own_bytes
            owned = [(proposal.tid, own_bytes(proposal)) for proposal in proposals]
            self._journal.submitted(owned, self._proposer.state(), asked)

    # While it runs.

    def run(
        self,
        channel: StudyChannel,
        workers: int,
        launched: float,
        listeners: Sequence[Listener] = (),
        shown: AbstractContextManager[Sequence[Listener]] | None = None,
        most_workers: int = 0,
    ) -> None:
        """Search until nothing more is proposed. Afterwards, error or not, every trial has its final state.

        To be called once: it closes the channel.

        Args:
            channel: the pool to use.
            workers: how many trials may run at once, as far as it is known before they do.
            launched: when the pool was launched, on the monotonic clock; for a pool that is up already, now.
            listeners: hear of every trial.
            shown: a context manager of more listeners, such as a progress bar. It is entered when
                the search begins and left when it ends, before what still runs is cancelled.
            most_workers: the limit to which ``workers`` may grow as more workers come.

        Raises:
            PoolError: if the pool is lost or cancelled.
            MissingModuleError: if a worker lacks a module that the objective needs.
            SparkoptError: if the proposer waits, and nothing runs that it could wait for.
            RefusedError: if the proposer gives two trials one number, or returns too many.
            Exception: whatever the proposer or a listener raises.
        """
        self._channel = channel
        self._launched = launched
        self._told = Listeners(listeners)
        channel.on_report, channel.on_values = self._take_report, self._take_values
        channel.register(Lane.TRIAL, self._serve)
        self._room = Room(self.spec, workers, most_workers, self._journal)
        if self._journal is not None:
            self._journal.watch(channel.wake, channel.put_failure)
        _LOG.info("search begins", workers=workers, waiting=self.queued, most=self.spec.trials)
        try:
            channel.judge_by(self.spec.make_pruner(self._heard))
            self._heard = ()
            self._told.opened(channel)
            with shown or nullcontext(()) as more:
                self._told = Listeners([*listeners, *more])
                for listener in more:
                    listener.opened(channel)
                self._search(channel)
        except (KeyboardInterrupt, SystemExit, PoolCancelledError):
            self.stop_reason = self.spec.reasons.user
            raise
        finally:
            self._told = Listeners(listeners)
            try:
                self._wind_up(channel)
            except BaseException:
                # Somebody has no patience: every trial gets its final state all the same.
                self._wind_up(channel)
                raise
            seconds = self.timings.total = time.monotonic() - launched
            self.timings.workers = self._room.workers
            counts = {"proposed": self._proposed, "failed": self.failures.count}
            _LOG.info("search ended", seconds=seconds, **counts, cancelled=self.stop_reason)

    def _search(self, channel: StudyChannel) -> None:
        channel.on_external_request = self._take_external_request
        channel.on_workers = partial(self._take_workers, channel)
        outstanding, room = self._outstanding, self._room
        while True:
            if channel.stop is not None:
                self._stop(channel.stop)
            most = room.trials
            while len(outstanding) < most and self._wants_more and not (self._waits or self._overdue):
                if self._queue:
                    self._submit(channel, [self._queue.popleft()])
                else:
                    self._propose(channel, most - len(outstanding))
            if not self._submissions_ended and not self._wants_more:
                self._submissions_ended = True
                channel.end_submissions()
            if (outstanding or self._wants_more) and self._overdue:
                # Not left to the wait below: with short trials there would always be one that has settled.
                self._cancel(self.spec.reasons.timeout)
            if not outstanding and (most or self._stopped) and not self._idles:
                return
            settled = channel.next_settled(None if self._cancelling else self.spec.deadline)
            self._waits = False
            if settled is None:
                continue  # overdue, woken, more workers than before, or a client of the control service asks
            self._heed(self._proposer.settled(self._take(settled), False))
            if self.failures.fatal is not None:
                raise self.failures.fatal

    def _take_workers(self, channel: StudyChannel, present: int) -> bool:
        """Workers have come: with more than before, more trials may be outstanding."""
        self._note_started(channel)
        self._told.workers(present)
        return self._room.widen(present)

    @property
    def _wants_more(self) -> bool:
        trials = self.spec.trials
        return not self._stopped and (bool(self._queue) or trials is None or self._proposed < trials)

    @property
    def _idles(self) -> bool:
        """True if to wait although nothing runs.

        Raises:
            SparkoptError: if the proposer waits, and there is nothing to wait for.
        """
        if not self._waits or self._stopped:
            return False
        if not self.spec.may_idle:
            raise SparkoptError(
                "the proposer waits (WAIT) although no trial runs, and nothing else can wake the study: have"
                " it propose, or say that it is done (DONE)"
            )
        return True

    @property
    def _overdue(self) -> bool:
        deadline = self.spec.deadline
        return deadline is not None and not self._cancelling and time.monotonic() >= deadline

    # Proposing.

    def _propose(self, channel: StudyChannel, room: int) -> None:
        self._note_started(channel)
        count = min(self.spec.ahead, room)
        if self.spec.trials is not None:
            count = min(count, self.spec.trials - self._proposed)
        began = time.monotonic()
        proposals = self._proposer.propose(count)
        self.timings.suggesting += time.monotonic() - began
        if proposals is WAIT:
            self._waits = True
            return
        if isinstance(proposals, NoProposal) or not proposals:
            self._stopped = True
            return
        self.timings.suggested += len(proposals)
        if channel.stop is not None:
            # Meanwhile, and what is proposed from now on would have to run.
            self._proposer.withdraw(proposals)
            self._stop(channel.stop)
            return
        try:
            if len(proposals) > count:
                raise RefusedError(f"the proposer was asked for {count} trials and returned {len(proposals)}")
            self._numbers.take(proposals)
        except RefusedError:
            self._proposer.withdraw(proposals)
            raise
        # Each gets its final state, whatever comes of what follows.
        self._queue.extend(proposals)
        self._proposed += len(proposals)
        self._record(proposals)
        self._queue.clear()
        self._submit(channel, proposals)

    def _submit(self, channel: StudyChannel, proposals: Sequence[Proposal]) -> None:
        records = [TrialRecord(proposal) for proposal in proposals]
        for record in records:
            self._outstanding[record.proposal.tid] = record
        self._told.proposed(records)
        argument = self._proposer.argument
        submitted, values = [], []
        for record in records:
            proposal = record.proposal
            try:
                submitted.append((proposal.tid, argument(proposal)))
                values.append(proposal.values)
            except Exception as error:  # noqa: BLE001 - code of the user's: its errors cost a trial
                record.outcome = Outcome.FAILED
                record.error = TrialError(str(type(error)), RemoteTraceback.of(error).text)
                self._settle(record)
                self._heed(self._proposer.settled(record, False))
        if submitted:
            channel.submit(submitted, values)

    def _note_started(self, channel: StudyChannel) -> None:
        for started in channel.started():
            if not self.timings.pool_start:
                self.timings.pool_start = started.monotonic - self._launched
            self.timings.waiting += started.waited
            record = self._outstanding.get(started.tid)
            if record is not None:
                record.attempt, record.started = started.attempt, started.time
                self._proposer.started(record)
                self._told.started(record)

    def _serve(self, request: Request) -> None:
        """Have the proposer answer what a running trial asks; called in the coordinator's thread."""
        assert self._channel is not None
        self._proposer.serve(request, partial(self._channel.reply, request))

    # Taking reports and outcomes.

    def _take_report(self, reported: Reported) -> None:
        assert self._channel is not None
        self._note_started(self._channel)
        record = self._outstanding.get(reported.tid)
        if record is not None:
            self._proposer.reported(record, reported)

    def _take_values(self, values: AttemptValues) -> None:
        assert self._channel is not None
        self._note_started(self._channel)
        record = self._outstanding.get(values.tid)
        if record is not None and values.attempt >= record.attempt:
            record.take_values(values)
            self._told.reported(record, values.series)

    def _take(self, settled: Settled) -> TrialRecord:
        """Give a trial its final state."""
        assert self._channel is not None
        self._note_started(self._channel)
        record = self._outstanding[settled.tid]
        self.timings.busy += settled.seconds
        if settled.oversubscription is not None and not self._warned_of_oversubscription:
            self._warned_of_oversubscription = True
            warn_of(settled.oversubscription)
        record.settle(settled)
        if settled.exception is not None:
            self._proposer.raised(record, settled.exception)
        self._settle(record, settled.result)
        return record

    def _settle(self, record: TrialRecord, result: Any = None) -> None:
        """Have the proposer take a trial's end in, and every listener hear of it."""
        if not record.is_final:
            self._finish(record, result)
        # Not before: an interrupt may come while a result is read.
        del self._outstanding[record.proposal.tid]
        self._told.settled(record)

    def _finish(self, record: TrialRecord, result: Any) -> None:
        self._proposer.finish(record, result)
        record.is_final = True
        error = record.error
        if error is not None and record.outcome is not Outcome.CANCELLED:
            if self.first_failure is None:
                self.first_failure = RemoteTraceback(error.text)
            self.failures.raised(record.proposal.tid, error.kind, error.text)
        elif record.fault:
            self.failures.returned(record.proposal.tid, record.fault)
        else:
            self.failures.has_results = True

    # Stopping.

    def _heed(self, stop: StopSearch | None) -> None:
        """Do as the proposer says."""
        if stop is None or self._cancelling:
            return
        if stop.finish_running:
            self._stopped = True
            self.stop_reason = self.stop_reason or stop.reason
        else:
            self._cancel(stop.reason)

    def _cancel(self, reason: str | None) -> None:
        self._stopped = self._cancelling = True
        self.stop_reason = self.stop_reason or reason
        self._proposer.cancelling()
        if self._channel is not None:
            self._channel.cancel(None, reason or self.spec.reasons.user)

    def _stop(self, stop: Stop) -> None:
        """A client of the control service wants the study to end. May be said again, with less patience."""
        assert self._channel is not None
        reason = self.spec.reasons.user
        if self._cancelling:
            return
        if not stop.finish_running:
            self._cancel(reason)
        elif not self._stopped or self.stop_reason is None:
            self._stopped = True
            self.stop_reason = reason
            self._channel.cancel_waiting(reason)

    # What is wanted from outside.

    def _take_external_request(self, request: ExternalRequest) -> bool:
        if isinstance(request, Stop):
            self._stop(request)
            return True
        if self._stopped or self._overdue:
            request.refuse()
            return False
        try:
            proposals = self._proposer.points(request.points)
            self._queue.extend(proposals)
            self._numbers.take(proposals)
            self._record(proposals, asked=True)
        except ControlError as error:
            request.answer(error)
            return False
        except SparkoptError as error:
            request.answer(error)
            raise
        self._submissions_ended = self._waits = False
        self._told.asked(len(proposals))
        request.answer([proposal.tid for proposal in proposals])
        return True

    def _wind_up(self, channel: StudyChannel) -> None:
        """Whatever ended the search: results that have arrived are kept, the rest is cancelled.

        What a trial's end raises is raised once every other trial has its final state.
        """
        raised = sys.exc_info()[1]
        channel.refuse_external_requests()
        reason = self.stop_reason or self.spec.reasons.error
        first: BaseException | None = None
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
            try:
                self._take(settled)
            except BaseException as error:  # noqa: BLE001 - raised below
                first = first or error
        for record in [*self._outstanding.values()]:
            try:
                if not record.is_final:
                    record.cancel(reason)
                self._settle(record)
            except BaseException as error:  # noqa: BLE001 - raised below
                first = first or error
        for proposal in [*self._queue]:
            record = TrialRecord(proposal)
            record.cancel(reason)
            self._finish(record, None)
            self._queue.popleft()
        channel.close()
        if first is not None:
            raise first
