"""The six rules of a pool, checked against a machine. Tests do so after every event.

1. Leased trials ≤ min(parallelism, cap, workers that are connected or within their grace).
2. A trial has at most one live lease, a worker at most one.
3. A trial settles once; an outcome of a stale attempt or generation changes nothing.
4. Pending + leased + settled = submitted: no trial disappears.
5. Paused or draining: no new lease.
6. A trial that took ``max_attempts`` workers down settles as lost, and does not come back.

Rules 3, 5 and 6 speak of what a step did, so :class:`Watch` looks at the commands too.
"""

from __future__ import annotations

from sparkopt.core.commands import Assign, Command, Settle
from sparkopt.core.machine import Machine
from sparkopt.core.states import Lease, Outcome, TrialKey, TrialState, WorkerState


class RuleBroken(AssertionError):
    """A rule does not hold: a bug in the machine. The text names the rule and tells the story."""


class Watch:
    """Holds one machine to the rules; to be told of every step.

    Args:
        machine: the machine to watch, before its first event.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._settled: set[TrialKey] = set()
        self._leases: set[Lease] = set()
        self._overhang = 0

    def after(self, commands: list[Command]) -> None:
        """Check every rule after a step that answered with these commands.

        Raises:
            RuleBroken: if one does not hold.
        """
        self._check_commands(commands)
        self._check_records()

    def _check_commands(self, commands: list[Command]) -> None:
        machine = self._machine
        for command in commands:
            if isinstance(command, Settle):
                self._hold(command.trial not in self._settled, 3, f"{command.trial} settled twice")
                self._settled.add(command.trial)
                lost_for_good = command.outcome is Outcome.LOST
                self._hold(not lost_for_good or command.attempt >= 1, 6, f"{command.trial} never ran")
            elif isinstance(command, Assign):
                again = command.lease in self._leases
                self._leases.add(command.lease)
                self._hold(command.lease.trial not in self._settled, 6, f"{command.lease} after it settled")
                stopped = machine.paused or machine.draining is not None
                self._hold(again or not stopped, 5, f"{command.lease} leased while paused or draining")
                trial = machine.trials.get(command.lease.trial)
                allowed = trial is None or command.lease.attempt <= trial.max_attempts
                self._hold(allowed, 6, f"{command.lease} is one too many")

    def _check_records(self) -> None:
        machine = self._machine
        held = {name: worker.lease for name, worker in machine.workers.items() if worker.lease is not None}
        leased = {
            key: trial.worker
            for key, trial in machine.trials.items()
            if trial.state in (TrialState.LEASED, TrialState.CANCELLING)
        }
        reachable = sum(worker.state is not WorkerState.GONE for worker in machine.workers.values())
        # A shrink lets running trials finish: what was above the limit may stay, but not grow.
        self._overhang = min(self._overhang, len(held))
        allowed = max(machine.limit, self._overhang)
        self._hold(len(held) <= min(allowed, reachable), 1, f"{len(held)} leased, {allowed} allowed")
        self._overhang = len(held)
        by_trial = {lease.trial: name for name, lease in held.items()}
        self._hold(len(by_trial) == len(held), 2, "two workers hold the same trial")
        self._hold(by_trial == leased, 2, "workers and trials disagree on who holds what")
        self._hold(machine.leased == len(held), 4, "the count of leases is off")
        queued = [key for queue in machine.queues.values() for key in queue]
        pending = {key for key, trial in machine.trials.items() if trial.state is TrialState.PENDING}
        self._hold(
            len(queued) == len(set(queued)) and set(queued) == pending, 4, "queues and trials disagree"
        )
        counts = machine.counts()
        total = len(pending) + len(leased) + len(self._settled)
        self._hold(total == machine.submitted, 4, f"{machine.submitted} submitted, {total} to be found")
        self._hold(counts.pending == len(pending), 4, "the count of pending trials is off")

    def _hold(self, holds: bool, rule: int, what: str) -> None:
        if not holds:
            story = "\n".join(self._machine.story()[-40:])
            raise RuleBroken(f"rule {rule}: {what}\n{story}")
