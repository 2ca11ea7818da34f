"""Checker of the rules of a pool, run against a machine after every event of a test.

1. Leased trials ≤ min(parallelism, cap, workers that are connected or within their grace).
2. A trial has at most one live lease, a worker at most one.
3. A trial settles once; an outcome of a stale attempt or generation changes nothing.
4. Pending + leased + settled = submitted: no trial disappears.
5. Paused or draining: no new lease.
6. A trial settles as lost when ``max_attempts`` workers were lost while they ran it, never otherwise, and
   does not come back. Preempted workers do not count; as long as the last one may be one, the trial is held.
7. Once nothing more is to come, an idle worker stays only if a trial may need it; as many stay as there are
   trials.

11. A trial that was told to stop by a verdict is not leased again, and settles as pruned unless the objective
    ended by itself.

Those of elastic pools alone, 8 to 10, are in elastic_rules.py.

Rules 3, 5, 6, 7 and 11 speak of what a step did, so :class:`RuleChecker` looks at the commands too, and
keeps its own record of what was assigned, so as not to take the machine's word for it.
"""

from __future__ import annotations

import math
from typing import Final

from sparkopt.core.commands import (
    Assign,
    Command,
    DeliverReport,
    DeliverRequest,
    Expel,
    LaunchGang,
    PruneAttempt,
    Settle,
    ShutDown,
)
from sparkopt.core.events import Event, Tick
from sparkopt.core.machine import Machine
from sparkopt.core.states import Outcome, TrialKey, TrialState, WorkerState
from sparkopt.core.surplus import RELEASED, reachable, surplus
from tests.core.elastic_rules import StaffingChecker

TICK: Final = Tick()


class RuleBroken(AssertionError):
    """A rule does not hold: a bug in the machine. The text names the rule and tells the story."""


class RuleChecker:
    """Holds one machine to the rules; to be told of every step.

    Args:
        machine: the machine to watch, before its first event.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._settled: set[TrialKey] = set()
        self._assigned: dict[TrialKey, Assign] = {}
        self._left_to_lose: dict[TrialKey, int] = {}
        self._pruned: set[TrialKey] = set()
        self._released: set[str] = set()
        self._leased = 0
        self._shut_down = False
        self._staffing = None if machine.elastic is None else StaffingChecker(machine, self._hold)

    def after(
        self, commands: list[Command], event: Event = TICK, now: float = math.inf, *, thorough: bool = True
    ) -> None:
        """Check every rule after a step that answered with these commands.

        Args:
            commands: the answer.
            event: the step's; only an elastic machine is judged by it,
            now: and by its time.
            thorough: look at every record too, which takes time in proportion to trials and workers.

        Raises:
            RuleBroken: if one does not hold.
        """
        fresh = False
        for command in commands:
            match command:
                case Settle():
                    self._check_settle(command)
                case Assign():
                    fresh |= self._check_assign(command)
                case DeliverReport(worker, lease, _) | DeliverRequest(worker, lease, _):
                    live = self._machine.workers[worker].lease == lease
                    self._hold(live, 3, f"a message of {lease}, which is not live on {worker}")
                case PruneAttempt(worker, lease, _):
                    live = self._machine.workers[worker].lease == lease
                    self._hold(live, 11, f"{worker} was told to stop {lease}, which it does not run")
                    self._pruned.add(lease.trial)
                case Expel(worker, reason, _) if reason == RELEASED:
                    self._check_released(worker)
                case LaunchGang(gang, generation, _):
                    what = f"generation {generation} of gang {gang} launched by a pool that has shut down"
                    self._hold(not self._shut_down, 5, what)
                case ShutDown():
                    self._hold(not self._shut_down, 5, "shut down twice")
                    self._shut_down = True
        self._check_limit(fresh)
        self._check_surplus()
        if self._staffing is not None:
            self._staffing.after(event, commands, now)
        if thorough:
            self._check_records()

    def _check_settle(self, command: Settle) -> None:
        key = command.trial
        self._hold(key not in self._settled, 3, f"{key} settled twice")
        self._settled.add(key)
        last = self._assigned.pop(key, None)
        attempts = 0 if last is None else last.lease.attempt
        self._hold(
            command.attempt == attempts, 3, f"{key} settled by attempt {command.attempt} of {attempts}"
        )
        if command.outcome is not Outcome.CANCELLED:
            self._hold(last is not None, 3, f"{key} settled as {command.outcome} though it never ran")
        if key in self._pruned and command.outcome not in (Outcome.OK, Outcome.FAILED):
            as_pruned = command.outcome is Outcome.PRUNED
            self._hold(as_pruned, 11, f"{key} settled as {command.outcome} after its verdict")
        if command.worker is not None:
            its_own = last is not None and last.worker == command.worker
            self._hold(its_own, 3, f"{key} settled by {command.worker}, which did not run it")
        if command.outcome is Outcome.LOST:
            left = self._left_to_lose[key]
            self._hold(left == 1, 6, f"{key} settled as lost, and might have lost {left} more workers")

    def _check_assign(self, command: Assign) -> bool:
        """Check a lease; says whether it is a fresh one, not one that is sent again."""
        machine = self._machine
        lease, key = command.lease, command.lease.trial
        self._hold(key not in self._settled, 6, f"{lease} after it settled")
        self._hold(key not in self._pruned, 11, f"{lease} after its verdict")
        worker = machine.workers[command.worker]
        self._hold(
            worker.lease == lease, 2, f"{command.worker} was assigned {lease} but holds {worker.lease}"
        )
        self._hold(worker.state is WorkerState.READY, 1, f"{lease} leased to a worker that is {worker.state}")
        last = self._assigned.get(key)
        if last == command:
            return False
        self._assigned[key] = command
        trial = machine.trials[key]
        left = self._left_to_lose[key] = trial.max_attempts - trial.charged
        before = 0 if last is None else last.lease.attempt
        self._hold(lease.attempt == before + 1, 2, f"{lease} follows attempt {before}")
        self._hold(left > 0, 6, f"{lease} is one too many")
        stopped = machine.paused or machine.draining is not None or self._shut_down
        self._hold(not stopped, 5, f"{lease} leased while paused, draining or shut down")
        self._hold(worker.draining is None, 5, f"{lease} leased to {command.worker}, which is draining")
        return True

    def _check_limit(self, fresh: bool) -> None:
        # A shrink lets running trials finish: they may stay above the limit, but nothing comes in for them.
        leased, limit = self._machine.leased, self._machine.limit
        if fresh:
            self._hold(leased <= limit, 1, f"{leased} leased, {limit} allowed")
        else:
            self._hold(leased <= self._leased, 1, f"{leased} leased after {self._leased}, and none assigned")
        self._leased = leased

    def _check_released(self, worker: str) -> None:
        machine = self._machine
        # One that was sent away before may be told again, in the step of its hello.
        if worker not in self._released:
            self._released.add(worker)
            left, trials = reachable(machine.workers), len(machine.trials)
            self._hold(machine.all_submitted, 7, f"{worker} released, and there may be more to come")
            # The same step may have ended the pool, and no trial is run by anybody then.
            enough = left >= trials or machine.shut_down
            self._hold(enough, 7, f"{worker} released, and {left} workers left for {trials} trials")

    def _check_surplus(self) -> None:
        machine = self._machine
        if machine.all_submitted and machine.draining is None and not machine.shut_down:
            kept = surplus(machine.workers, machine.idle, len(machine.trials))
            self._hold(not kept, 7, f"{kept} kept though no trial can need them")

    def _check_records(self) -> None:
        machine = self._machine
        leased: dict[TrialKey, str | None] = {}
        by_state: dict[TrialState, list[TrialKey]] = {TrialState.PENDING: [], TrialState.HELD: []}
        for key, trial in machine.trials.items():  # Once for all: there are many, and this is done often.
            if trial.state in by_state:
                by_state[trial.state].append(key)
            else:
                leased[key] = trial.worker
        pending, held = by_state.values()
        holding = {name: worker.lease for name, worker in machine.workers.items() if worker.lease is not None}
        for name in holding:
            self._hold(machine.workers[name].state is not WorkerState.GONE, 1, f"{name} is gone with a lease")
        by_trial = {lease.trial: name for name, lease in holding.items()}
        self._hold(len(by_trial) == len(holding), 2, "two workers hold the same trial")
        self._hold(by_trial == leased, 2, "workers and trials disagree on who holds what")
        assigned = {key: self._assigned[key].worker for key in leased if key in self._assigned}
        self._hold(assigned == leased, 2, "a trial is leased to a worker that was not told")
        self._hold(machine.leased == len(holding), 4, "the count of leases is off")
        queued = [key for queue in machine.queues.values() for key in queue]
        self._hold(
            len(queued) == len(pending) and set(queued) == set(pending), 4, "queues and trials disagree"
        )
        self._hold(set(held) == set(machine.losses.held), 6, "those that are held are others")
        for key in held:
            left = machine.trials[key].max_attempts - machine.trials[key].charged
            self._hold(left == 0, 6, f"{key} is held, and might lose {left} more workers")
        counts = machine.counts()
        waiting = len(pending) + len(held)
        total = waiting + len(leased) + len(self._settled)
        self._hold(total == machine.submitted, 4, f"{machine.submitted} submitted, {total} to be found")
        self._hold(counts.pending == waiting, 4, "the count of pending trials is off")
        self._hold(counts.settled == len(self._settled), 4, "the count of settled trials is off")

    def _hold(self, holds: bool, rule: int, what: str) -> None:
        if not holds:
            story = "\n".join(self._machine.story()[-40:])
            raise RuleBroken(f"rule {rule}: {what}\n{story}")
