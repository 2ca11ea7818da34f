"""State machine of a pool: which worker runs which trial, and what a failure costs.

:class:`Machine` takes one event at a time and answers with commands. It holds four kinds of record:

    trials    pending, in one of the ``queues``, or leased; forgotten (but counted) once settled
    workers   ready or unreachable, with at most one lease each; gone ones are remembered for as long as
              their generation lasts, so that none comes back under its name
    gangs     the barrier jobs that the workers belong to; :class:`~sparkopt.core.gangs.Gangs` decides over
              their lives, and the machine does what follows for workers and trials
    limits    parallelism, pause, drain

After every event the machine leases what it may: studies take turns, workers are taken longest idle first
(those of an elastic pool shortest idle first, so that it can do without the others), and a trial whose worker
was lost goes to the front of its queue. When nothing more is to come, workers that no trial can need leave.
Every event costs constant time except a tick, a lost gang and a cancelled study, which look at each worker or
trial that they concern once.
"""

from __future__ import annotations

import math
from typing import Final

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.records import Elastic, Policy, Trial, Worker
from sparkopt.core.states import Lease, Outcome, TrialInput, TrialKey, TrialState, WorkerInput, WorkerState
from sparkopt.core.surplus import IDLE, RELEASED, surplus
from sparkopt.core.transitions import TRIAL, WORKER, InvalidTransition, move
from sparkopt.core.trial_ends import TrialEnds

_OWN_ENDS: Final = (Outcome.OK, Outcome.FAILED, Outcome.PRUNED)
"""Ends of an attempt that are the objective's."""


class Machine(TrialEnds):
    """State machine of a pool.

    Args:
        limit: how many trials may run at once; :attr:`Policy.cap` bounds it.
        policy: the other limits.
        elastic: what the workers are allowed of a pool that launches each by itself, as it needs them; None
            for a pool of barrier jobs.
    """

    def __init__(self, limit: int, policy: Policy | None = None, elastic: Elastic | None = None) -> None:
        super().__init__(limit, policy or Policy(), elastic)
        self._handlers = {
            e.GangLaunched: self._gang_launched,
            e.GangProgressed: self._gang_progressed,
            e.GangEnded: self._gang_ended,
            e.WorkerJoined: self._worker_joined,
            e.StreamLost: self._stream_lost,
            e.WorkerGone: self._worker_gone,
            e.LossExplained: self._loss_explained,
            e.Heartbeat: self._heartbeat,
            e.TrialsSubmitted: self._trials_submitted,
            e.SubmissionsEnded: self._submissions_ended,
            e.OutcomeArrived: self._outcome_arrived,
            e.ReportArrived: self._report_arrived,
            e.RequestArrived: self._request_arrived,
            e.PruneRequested: self._prune_requested,
            e.CancelRequested: self._cancel_requested,
            e.LimitChanged: self._limit_changed,
            e.Paused: self._pause,
            e.Resumed: self._resume,
            e.DrainRequested: self._drain_requested,
            e.Tick: self._tick,
        }

    # The one way in.

    def step(self, event: e.Event, now: float) -> list[c.Command]:
        """Take an event in, and return what is to be done.

        Args:
            event: what happened.
            now: when, in seconds on a clock that never goes back.

        Returns:
            Commands, to be carried out in this order.

        Raises:
            ValueError: if the event makes no sense: a limit below 1, a trial submitted twice.
            InvalidTransition: if the machine has a bug; the text tells the story.
        """
        out: list[c.Command] = []
        try:
            self._handlers[type(event)](event, now, out)  # type: ignore[operator]
            self._lease(out)
            if self.all_submitted and self.idle:
                self._release_surplus(now, out)
            if self.elastic is not None:
                self._staff(now, out)
            if self.draining is not None and not self.leased and not self.shut_down:
                self._shut_down(self.draining, now, failed=False, out=out)
        except InvalidTransition as error:
            self._story.add(now, event, out)
            story = "\n".join(self.story()[-40:])
            raise InvalidTransition(f"{error}. What came before:\n{story}") from None
        self._story.add(now, event, out)
        return out

    # Leasing.

    def _lease(self, out: list[c.Command]) -> None:
        if self.paused or self.draining is not None or self.shut_down:
            return
        limit = self.limit
        while self.idle and self.leased < limit and self.queues:
            key = self.queues.take()
            name = next(iter(self.idle) if self.elastic is None else reversed(self.idle))
            del self.idle[name]
            trial = self.trials[key]
            trial.state = move(TRIAL, trial.state, TrialInput.LEASE)
            trial.attempts += 1
            trial.worker = name
            lease = Lease(key, trial.attempts)
            self.workers[name].lease = lease
            self.leased += 1
            out.append(c.Assign(name, lease))

    def _release_surplus(self, now: float, out: list[c.Command]) -> None:
        for name in surplus(self.workers, self.idle, len(self.trials)):
            self._send_away(name, RELEASED, now, out)

    def _send_away(self, name: str, reason: str, now: float, out: list[c.Command]) -> None:
        """Expel a worker that is free, under whatever name it may come again."""
        worker = self.workers[name]
        worker.draining = reason
        self._expel(name, worker, reason, now, out)

    def _staff(self, now: float, out: list[c.Command]) -> None:
        """Have as many workers launched as can be used."""
        at_once = self.all_submitted or self._is_ending()
        self.gangs.staff(self.wanted, now, not self.paused, at_once, out)

    def _make_idle(self, name: str, worker: Worker, now: float, out: list[c.Command]) -> None:
        """The worker is free: it leaves if it is draining, else it waits for its next lease."""
        if worker.draining is not None:
            self._expel(name, worker, worker.draining, now, out)
        elif worker.state is WorkerState.READY:
            self.idle[name] = now
            if self.elastic is not None:
                self._wake_at(now + self.elastic.idle)

    # Trials.

    def _trials_submitted(self, event: e.TrialsSubmitted, now: float, out: list[c.Command]) -> None:
        if event.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {event.max_attempts}")
        keys = [TrialKey(event.study, tid) for tid in event.tids]
        new = dict.fromkeys(keys)
        if len(new) < len(keys) or not self.trials.keys().isdisjoint(new):
            twice = next(key for key in keys if key in self.trials or keys.count(key) > 1)
            raise ValueError(f"submitted twice: {twice}")
        for key in keys:
            self.trials[key] = Trial(TrialState.PENDING, event.max_attempts)
        self.submitted += len(keys)
        if keys:
            self.all_submitted = False
            if not self.shut_down and self.draining is None:
                self.gangs.wake(now, None, out)
            self.queues.add(event.study, keys)

    def _submissions_ended(self, event: e.SubmissionsEnded, now: float, out: list[c.Command]) -> None:
        self.all_submitted = True

    def _note_message(self, event: e.Message, now: float, out: list[c.Command]) -> Worker | None:
        """Note a message; its worker if the message is new, and of the attempt that the worker is to run."""
        worker = self._seen(event.worker, now, out)
        if worker is None or event.sequence <= worker.sequence:
            return None
        worker.sequence = event.sequence
        return worker if worker.lease == event.lease else None

    def _outcome_arrived(self, event: e.OutcomeArrived, now: float, out: list[c.Command]) -> None:
        worker = self._note_message(event, now, out)
        if worker is None:
            return
        key = self._release(event.worker, worker)
        trial = self.trials[key]
        if event.outcome in _OWN_ENDS:
            self.gangs.settled(worker.gang, lost=False)
            reason = trial.end_reason if event.outcome is trial.ends_as else ""
            self._settle(key, event.outcome, event.worker, reason, out)
        elif trial.ends_as is not None and event.outcome is Outcome.CANCELLED:
            self._settle(key, trial.ends_as, event.worker, trial.end_reason, out)
        else:
            self._attempt_lost(key, event.worker, f"{event.worker} gave it up", now, out)
            self._lease(out)  # while that worker is not idle yet: to another one, if there is one
        self._make_idle(event.worker, worker, now, out)

    def _report_arrived(self, event: e.ReportArrived, now: float, out: list[c.Command]) -> None:
        if self._note_message(event, now, out) is not None:
            out.append(c.DeliverReport(event.worker, event.lease, event.sequence))

    def _request_arrived(self, event: e.RequestArrived, now: float, out: list[c.Command]) -> None:
        if self._note_message(event, now, out) is not None:
            out.append(c.DeliverRequest(event.worker, event.lease, event.sequence))

    def _prune_requested(self, event: e.PruneRequested, now: float, out: list[c.Command]) -> None:
        key = TrialKey(event.study, event.tid)
        trial = self.trials.get(key)
        if trial is None or trial.state is not TrialState.LEASED:
            return
        assert trial.worker is not None
        trial.state = move(TRIAL, trial.state, TrialInput.PRUNE)
        trial.ends_as, trial.end_reason = Outcome.PRUNED, event.reason
        out.append(c.PruneAttempt(trial.worker, Lease(key, trial.attempts), event.reason))

    def _cancel_requested(self, event: e.CancelRequested, now: float, out: list[c.Command]) -> None:
        if event.tid is None:
            keys = [key for key in self.trials if key.study == event.study]
            self.queues.clear(event.study)
        else:
            key = TrialKey(event.study, event.tid)
            keys = [key] if key in self.trials else []
            if keys and self.trials[key].state is TrialState.PENDING:
                self.queues.remove(key)
        for key in keys:
            self._cancel(key, event.reason, now, out)

    def _cancel(self, key: TrialKey, reason: str, now: float, out: list[c.Command]) -> None:
        """End a trial that is out of its queue, or running."""
        trial = self.trials[key]
        if trial.state in (TrialState.PENDING, TrialState.HELD):
            self.losses.held.pop(key, None)
            self._settle(key, Outcome.CANCELLED, None, reason, out)
        elif trial.state is not TrialState.CANCELLING:
            assert trial.worker is not None
            name = trial.worker
            worker = self.workers[name]
            assert worker.lease is not None
            trial.state = move(TRIAL, trial.state, TrialInput.CANCEL)
            if trial.ends_as is None:
                trial.ends_as, trial.end_reason = Outcome.CANCELLED, reason
            # To an unreachable worker too: if it was only silent, its stream still stands, and it will be
            # heard of again without a hello that says what it holds.
            out.append(c.CancelAttempt(name, worker.lease, reason))
            if worker.state is not WorkerState.READY:
                # Nobody should have to wait for its grace to end. If its stream was cut, it is told again
                # when it comes back with an attempt that is no longer its own.
                self._release(name, worker)
                self._settle(key, trial.ends_as, name, trial.end_reason, out)
                self._make_idle(name, worker, now, out)

    # Workers.

    def _worker_joined(self, event: e.WorkerJoined, now: float, out: list[c.Command]) -> None:
        refusal = "the pool is closed" if self.shut_down else self.gangs.refusal(event.gang, event.generation)
        if refusal is not None:
            out.append(c.Expel(event.worker, refusal))
            return
        known = self.workers.get(event.worker)
        if known is not None and known.state is WorkerState.GONE:
            why = "it was given up after it could not be reached"
            out.append(c.Expel(event.worker, why, again=known.draining is None))
            return
        refusal = self._replace_former(event, now, out)
        if refusal is None:
            refusal = self.gangs.objection(event.gang, event.worker)
        if refusal is not None:
            out.append(c.Expel(event.worker, refusal))
            return
        self.gangs.joined(event.gang, event.worker, now)
        if known is None:
            known = Worker(WorkerState.READY, event.gang, now, task_attempt=event.task_attempt)
            self.workers[event.worker] = known
            self._wake_at(now + self.policy.silence)
        else:
            self._seen(event.worker, now, out)
        self._reconcile(event.worker, known, event.holding, now, out)

    def _replace_former(self, event: e.WorkerJoined, now: float, out: list[c.Command]) -> str | None:
        """Mark the worker as gone that another one was formerly; returns why that may not join, if so."""
        former = None if event.formerly is None else self.workers.get(event.formerly)
        if former is None or event.formerly is None or event.formerly == event.worker:
            return None
        restarted = event.task_attempt != former.task_attempt
        if restarted and former.state is WorkerState.READY:
            return f"its task runs as {event.formerly} already"
        if former.state is not WorkerState.GONE:
            again = "its task was started again as" if restarted else "it came again as"
            why = f"{again} {event.worker}, without what it ran"
            self._leave(event.formerly, former, why, now, out, known=not restarted)
        return None if restarted else former.draining

    def _reconcile(
        self, name: str, worker: Worker, holding: Lease | None, now: float, out: list[c.Command]
    ) -> None:
        """Bring what a worker holds and what it should hold together again."""
        if holding is not None and holding != worker.lease:
            out.append(c.CancelAttempt(name, holding, "it is no longer this worker's"))
        if worker.lease is None:
            self._make_idle(name, worker, now, out)
            return
        trial = self.trials[worker.lease.trial]
        if trial.ends_as is None:
            if holding != worker.lease:
                out.append(c.Assign(name, worker.lease))
        elif holding == worker.lease:
            again = c.CancelAttempt if trial.state is TrialState.CANCELLING else c.PruneAttempt
            out.append(again(name, worker.lease, trial.end_reason))
        else:
            key = self._release(name, worker)
            self._settle(key, trial.ends_as, name, trial.end_reason, out)
            self._make_idle(name, worker, now, out)

    def _seen(self, name: str, now: float, out: list[c.Command]) -> Worker | None:
        """The worker that was just heard of, reachable again; None if it is gone or was never here."""
        worker = self.workers.get(name)
        if worker is None or worker.state is WorkerState.GONE:
            return None
        worker.last_seen = now
        if worker.state is WorkerState.UNREACHABLE:
            worker.state = move(WORKER, worker.state, WorkerInput.RETURN)
            worker.unreachable_since = math.inf
            self._wake_at(now + self.policy.silence)
            if worker.lease is None:
                self._make_idle(name, worker, now, out)
        return worker

    def _heartbeat(self, event: e.Heartbeat, now: float, out: list[c.Command]) -> None:
        self._seen(event.worker, now, out)

    def _stream_lost(self, event: e.StreamLost, now: float, out: list[c.Command]) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None and worker.state is WorkerState.READY:
            self._cut(event.worker, worker, since=now)

    def _cut(self, name: str, worker: Worker, since: float) -> None:
        worker.state = move(WORKER, worker.state, WorkerInput.CUT)
        worker.unreachable_since = since
        self.idle.pop(name, None)
        self._wake_at(since + self.policy.grace)

    def _worker_gone(self, event: e.WorkerGone, now: float, out: list[c.Command]) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None and worker.state is not WorkerState.GONE:
            self._leave(event.worker, worker, event.reason, now, out, known=False)

    def _loss_explained(self, event: e.LossExplained, now: float, out: list[c.Command]) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            if worker.state is not WorkerState.GONE:
                self._leave(event.worker, worker, event.reason, now, out, lost=not event.preempted)
            worker.explained |= event.preempted
        self._explain(event.worker, event.preempted, out)

    def _leave(
        self,
        name: str,
        worker: Worker,
        reason: str,
        now: float,
        out: list[c.Command],
        *,
        lost: bool = True,
        known: bool = True,
    ) -> None:
        """Mark a worker as gone, and release its attempt; ``lost`` charges the attempt to its trial."""
        worker.state = move(WORKER, worker.state, WorkerInput.LEAVE)
        self.idle.pop(name, None)
        sent_away = worker.draining is not None or self.shut_down
        self.gangs.left(worker.gang, name, sent_away, now)
        if worker.lease is not None:
            worker.explained = lost
            key = self._release(name, worker)
            if lost and self.elastic is not None:
                self.losses.charged(name, key)
            self._attempt_lost(key, name, reason, now, out, charged=lost, known=known)

    def _expel(
        self,
        name: str,
        worker: Worker,
        reason: str,
        now: float,
        out: list[c.Command],
        *,
        again: bool = False,
        lost: bool = True,
    ) -> None:
        self._leave(name, worker, reason, now, out, lost=lost, known=False)
        out.append(c.Expel(name, reason, again))

    # Gangs.

    def _gang_launched(self, event: e.GangLaunched, now: float, out: list[c.Command]) -> None:
        self.gangs.launched(event.gang, event.size, now)

    def _gang_progressed(self, event: e.GangProgressed, now: float, out: list[c.Command]) -> None:
        self.gangs.progressed(event.gang, event.generation, now)

    def _gang_ended(self, event: e.GangEnded, now: float, out: list[c.Command]) -> None:
        if not self.gangs.is_current(event.gang, event.generation):
            return
        members = [(name, worker) for name, worker in self.workers.items() if worker.gang == event.gang]
        sent_away = bool(members) and all(worker.draining is not None for _, worker in members)
        if event.preempted and (last := self.gangs.explains(event.gang)) is not None:
            self._explain(last, True, out)
        # One that is lost takes the others along, and only its own trial may be to blame.
        lost = set(event.lost) or {
            name
            for name, worker in members
            if self.elastic is not None or worker.state is not WorkerState.READY
        }
        for name, worker in members:
            if worker.state is not WorkerState.GONE:
                charged = name in lost and not event.preempted
                self._leave(
                    name, worker, event.reason, now, out, lost=charged, known=event.preempted is not None
                )
        explained = bool(event.preempted) or any(worker.explained for name, worker in members if name in lost)
        # The names of those that are gone are refused by their generation from now on.
        self.workers = {name: worker for name, worker in self.workers.items() if worker.gang != event.gang}
        ending, left = self._is_ending(), self._left()
        why = self.gangs.ended(event.gang, event.reason, now, ending, left, sent_away, explained, out)
        if why is not None:
            self._shut_down(why, now, failed=True, out=out)

    # Limits.

    def _limit_changed(self, event: e.LimitChanged, now: float, out: list[c.Command]) -> None:
        if event.limit < 1:
            raise ValueError(f"limit must be at least 1, got {event.limit}")
        self._limit = event.limit

    def _pause(self, event: e.Paused, now: float, out: list[c.Command]) -> None:
        self.paused = True

    def _resume(self, event: e.Resumed, now: float, out: list[c.Command]) -> None:
        self.paused = False

    def _drain_requested(self, event: e.DrainRequested, now: float, out: list[c.Command]) -> None:
        if event.worker is None:
            self.draining = event.reason
            return
        worker = self.workers.get(event.worker)
        if worker is None or worker.state is WorkerState.GONE:
            return
        worker.draining = event.reason
        self.gangs.drains(worker.gang, event.worker)
        if worker.lease is None:
            self._expel(event.worker, worker, event.reason, now, out)

    def _shut_down(self, reason: str, now: float, *, failed: bool, out: list[c.Command]) -> None:
        self.shut_down = True
        for name, worker in self.workers.items():
            if worker.state is not WorkerState.GONE:
                self._expel(name, worker, reason, now, out, lost=False)
        out.append(c.ShutDown(reason, failed))

    # Time.

    def _tick(self, event: e.Tick, now: float, out: list[c.Command]) -> None:
        self._deadline = math.inf
        for name, worker in self.workers.items():
            if worker.state is WorkerState.READY:
                if now >= worker.last_seen + self.policy.silence:
                    self._cut(name, worker, since=worker.last_seen)
                else:
                    self._wake_at(worker.last_seen + self.policy.silence)
            if worker.state is WorkerState.UNREACHABLE:
                if now >= worker.unreachable_since + self.policy.grace:
                    silent = now - worker.unreachable_since
                    reason = f"{name} could not be reached for {silent:.0f} s"
                    self._expel(name, worker, reason, now, out, again=worker.draining is None)
                else:
                    self._wake_at(worker.unreachable_since + self.policy.grace)
        if self.elastic is not None:
            self._tick_elastic(self.elastic.idle, now, out)
        lost = self.gangs.tick(now, self._is_ending(), self._left(), out)
        if lost is not None:
            self._shut_down(lost, now, failed=True, out=out)

    def _tick_elastic(self, idle: float, now: float, out: list[c.Command]) -> None:
        """Send workers away that have been idle for long enough, and give trials up that are held."""
        while (due := self.losses.due(now)) is not None:
            self._give_up(*due, out)
        self._lease(out)  # Of what the losses before have brought back.
        for name, since in list(self.idle.items()):
            if now < since + idle:
                self._wake_at(since + idle)
                break
            self._send_away(name, IDLE, now, out)
        self._wake_at(self.losses.deadline)
