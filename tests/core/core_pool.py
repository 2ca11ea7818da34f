"""A pool for examples: a machine, held to the rules after every step, and short words for its events."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from typing import Any

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Elastic, Policy
from sparkopt.core.states import GangState, Lease, Outcome, TrialKey, WorkerState
from sparkopt.core.surplus import RELEASED
from tests.core.core_rules import RuleChecker

STUDY = "blue"


def key(tid: int, study: str = STUDY) -> TrialKey:
    return TrialKey(study, tid)


def lease(tid: int, attempt: int = 1, study: str = STUDY) -> Lease:
    return Lease(key(tid, study), attempt)


def assign(worker: str, tid: int, attempt: int = 1, study: str = STUDY) -> c.Assign:
    return c.Assign(worker, lease(tid, attempt, study))


def settle(
    tid: int,
    worker: str | None,
    outcome: Outcome = Outcome.OK,
    *,
    attempt: int = 1,
    reason: str = "",
    study: str = STUDY,
) -> c.Settle:
    return c.Settle(key(tid, study), attempt, outcome, worker, reason)


def released(*workers: str) -> list[c.Command]:
    return [c.Expel(worker, RELEASED) for worker in workers]


def kinds(commands: list[c.Command]) -> list[type]:
    return [type(command) for command in commands]


def picture(machine: Machine) -> dict[str, Any]:
    """What decides on a machine's next answers, but for the time and sequence of what it heard last."""
    return {
        "trials": {name: repr(trial) for name, trial in machine.trials.items()},
        "queues": [(study, list(queue)) for study, queue in machine.queues.items()],
        "workers": {
            name: (worker.state, worker.gang, worker.lease, worker.draining, worker.unreachable_since)
            for name, worker in machine.workers.items()
        },
        "idle": list(machine.idle),
        "held": dict(machine.losses.held),
        "gangs": {number: repr(gang) for number, gang in machine.gangs.items()},
        "counts": machine.counts(),
        "settled": dict(machine.settled),
        "limits": (machine.limit, machine.paused, machine.draining, machine.shut_down),
        "all submitted": machine.all_submitted,
    }


class AnyPool:
    """A machine, held to the rules, and its events in short.

    Args:
        machine: it.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now = 0.0
        self._watch = RuleChecker(self.machine)
        self._sequences: Counter[str] = Counter()

    def step(self, event: e.Event) -> list[c.Command]:
        commands = self.machine.step(event, self.now)
        self._watch.after(commands, event, self.now)
        return commands

    def picture(self) -> dict[str, Any]:
        return picture(self.machine)

    # Time.

    def wait(self, seconds: float) -> list[c.Command]:
        """Let time pass, and the tick that its end brings."""
        self.now += seconds
        return self.step(e.Tick())

    def wait_for_deadline(self) -> list[c.Command]:
        deadline = self.machine.next_deadline
        assert deadline is not None
        return self.wait(deadline - self.now)

    # Gangs and workers.

    def launch(self, gang: int, size: int = 1) -> list[c.Command]:
        return self.step(e.GangLaunched(gang, size))

    def end_gang(
        self,
        gang: int = 1,
        generation: int = 1,
        reason: str = "stage failed",
        lost: Collection[str] = (),
        preempted: bool | None = False,
    ) -> list[c.Command]:
        return self.step(e.GangEnded(gang, generation, reason, tuple(sorted(lost)), preempted))

    def join(
        self,
        worker: str,
        holding: Lease | None = None,
        *,
        gang: int = 1,
        generation: int = 1,
        formerly: str | None = None,
        task_attempt: int = 0,
    ) -> list[c.Command]:
        return self.step(e.WorkerJoined(worker, gang, generation, holding, formerly, task_attempt))

    def cut(self, worker: str) -> list[c.Command]:
        return self.step(e.StreamLost(worker))

    def beat(self, *workers: str) -> list[c.Command]:
        return [command for worker in workers for command in self.step(e.Heartbeat(worker))]

    def lose(self, worker: str, reason: str = "its task ended") -> list[c.Command]:
        return self.step(e.WorkerGone(worker, reason))

    def explain(self, worker: str, *, preempted: bool, reason: str = "executor lost") -> list[c.Command]:
        return self.step(e.LossExplained(worker, preempted, reason))

    def drain(self, worker: str | None = None, reason: str = "maintenance") -> list[c.Command]:
        return self.step(e.DrainRequested(worker, reason))

    # Trials.

    def submit(self, *tids: int, study: str = STUDY, max_attempts: int = 3) -> list[c.Command]:
        return self.step(e.TrialsSubmitted(study, tids, max_attempts))

    def end_submissions(self) -> list[c.Command]:
        return self.step(e.SubmissionsEnded())

    def end(
        self,
        worker: str,
        tid: int,
        outcome: Outcome = Outcome.OK,
        *,
        attempt: int = 1,
        study: str = STUDY,
        sequence: int | None = None,
    ) -> list[c.Command]:
        """An outcome, with the worker's next sequence number unless another one is given."""
        number = self._next_sequence(worker) if sequence is None else sequence
        return self.step(e.OutcomeArrived(worker, lease(tid, attempt, study), outcome, number))

    def report(
        self, worker: str, tid: int, *, attempt: int = 1, sequence: int | None = None
    ) -> list[c.Command]:
        number = self._next_sequence(worker) if sequence is None else sequence
        return self.step(e.ReportArrived(worker, lease(tid, attempt), number))

    def request(
        self, worker: str, tid: int, *, attempt: int = 1, sequence: int | None = None
    ) -> list[c.Command]:
        number = self._next_sequence(worker) if sequence is None else sequence
        return self.step(e.RequestArrived(worker, lease(tid, attempt), number))

    def cancel(self, tid: int | None, study: str = STUDY, reason: str = "not wanted") -> list[c.Command]:
        return self.step(e.CancelRequested(study, tid, reason))

    def prune(self, tid: int, study: str = STUDY, reason: str = "worse than others") -> list[c.Command]:
        return self.step(e.PruneRequested(study, tid, reason))

    def _next_sequence(self, worker: str) -> int:
        self._sequences[worker] += 1
        return self._sequences[worker]


class Pool(AnyPool):
    """A barrier pool with one gang, whose workers have joined.

    Args:
        workers: their names.
        limit: the parallelism.
        policy: the machine's.
    """

    def __init__(self, *workers: str, limit: int = 100, policy: Policy | None = None) -> None:
        super().__init__(Machine(limit, policy))
        self.launch(1, size=max(1, len(workers)))
        for worker in workers:
            self.join(worker)


class ElasticPool(AnyPool):
    """An elastic pool. Worker ``w2`` is that of the first launch of seat 2.

    Args:
        limit: the parallelism.
        policy: the machine's.
        elastic: what it allows its workers.
    """

    def __init__(
        self, limit: int = 100, policy: Policy | None = None, elastic: Elastic | None = None
    ) -> None:
        super().__init__(Machine(limit, policy, elastic or Elastic()))

    def up(self, trials: int, **arguments: Any) -> None:
        """Submit so many trials, and have a worker come for each of them."""
        first = self.machine.submitted
        launches = self.submit(*range(first, first + trials), **arguments)
        for command in launches:
            if isinstance(command, c.LaunchGang):
                self.come(command)

    def come(self, launch: c.LaunchGang, worker: str | None = None) -> list[c.Command]:
        """The worker of a launch joins."""
        name = worker or f"w{launch.gang}" + ("" if launch.generation == 1 else f".{launch.generation}")
        return self.join(name, gang=launch.gang, generation=launch.generation)


def earliest_deadline(machine: Machine) -> float:
    """When time next changes something, found by looking at every record; infinite if it never does."""
    policy = machine.policy
    deadlines = [math.inf]
    for worker in machine.workers.values():
        if worker.state is WorkerState.READY:
            deadlines.append(worker.last_seen + policy.silence)
        elif worker.state is WorkerState.UNREACHABLE:
            deadlines.append(worker.unreachable_since + policy.grace)
    if machine.elastic is not None:
        deadlines += [since + machine.elastic.idle for since in machine.idle.values()]
        deadlines += [held.due for held in machine.losses.held.values()]
        deadlines.append(machine.gangs.deadline)
    elif machine.draining is None and not machine.shut_down:
        for gang in machine.gangs.values():
            if gang.state is GangState.DOWN:
                deadlines.append(gang.due)
            elif gang.state is GangState.LAUNCHING:
                deadlines.append(min(gang.progressed + policy.start, gang.launched + 5 * policy.start))
    return min(deadlines)
