"""Ends of attempts and trials: what a trial is charged with, when it runs again, and when it settles."""

from __future__ import annotations

from sparkopt.core import commands as c
from sparkopt.core.losses import Held
from sparkopt.core.pool_state import PoolState
from sparkopt.core.records import Worker
from sparkopt.core.states import Outcome, TrialInput, TrialKey
from sparkopt.core.transitions import TRIAL, move


class TrialEnds(PoolState):
    """Part of the machine by which attempts and trials end. It is one with :class:`Machine`."""

    def _release(self, name: str, worker: Worker) -> TrialKey:
        """Take the worker's lease away; the caller says what becomes of the trial."""
        assert worker.lease is not None
        key = worker.lease.trial
        worker.lease = None
        self.trials[key].worker = None
        self.leased -= 1
        return key

    def _settle(
        self, key: TrialKey, outcome: Outcome, worker: str | None, reason: str, out: list[c.Command]
    ) -> None:
        trial = self.trials.pop(key)
        move(TRIAL, trial.state, TrialInput.SETTLE)
        self.settled[outcome] += 1
        out.append(c.Settle(key, trial.attempts, outcome, worker, reason))

    def _attempt_lost(
        self,
        key: TrialKey,
        worker: str,
        reason: str,
        now: float,
        out: list[c.Command],
        *,
        charged: bool = True,
        known: bool = True,
    ) -> None:
        """An attempt ended without an outcome of its own: again elsewhere, unless it was to end anyway.

        Its trial is charged if its own worker was lost; what else ends an attempt costs the trial nothing.
        Unless it is ``known`` why the worker was lost, it may turn out that it was preempted.
        """
        trial = self.trials[key]
        self.lost_attempts += 1
        if trial.ends_as is not None:
            self._settle(key, trial.ends_as, worker, trial.end_reason, out)
            return
        trial.charged += charged
        if trial.charged < trial.max_attempts:
            trial.state = move(TRIAL, trial.state, TrialInput.REQUEUE)
            self.queues.put_back(key)
        elif self.elastic is not None and not known:
            trial.state = move(TRIAL, trial.state, TrialInput.HOLD)
            held = self.losses.held[key] = Held(worker, reason, now + self.elastic.cause_wait)
            self._wake_at(held.due)
        else:
            self.gangs.settled(self.workers[worker].gang, lost=True)
            self._settle(key, Outcome.LOST, worker, trial.loss(reason), out)

    def _explain(self, worker: str, preempted: bool, out: list[c.Command]) -> None:
        """Spark has spoken about a loss: a trial that was charged with it is refunded, or waits no longer."""
        key = self.losses.explained(worker)
        if key is None:
            return
        trial, held = self.trials[key], self.losses.held.get(key)
        if preempted:
            trial.charged -= 1
            if held is not None:
                del self.losses.held[key]
                trial.state = move(TRIAL, trial.state, TrialInput.REQUEUE)
                self.queues.put_back(key)
        elif held is not None and held.worker == worker:
            self._give_up(key, held, out)

    def _give_up(self, key: TrialKey, held: Held, out: list[c.Command]) -> None:
        """A trial that was held is lost."""
        del self.losses.held[key]
        self._settle(key, Outcome.LOST, held.worker, self.trials[key].loss(held.reason), out)
