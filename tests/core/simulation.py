"""A pool on a virtual clock: the machine, a shell, workers that keep to the protocol, and faults.

    heap of (time, action) ─▶ Simulation ──event──▶ Machine ──command──▶ Simulation
                                  ▲                                          │
    gangs, studies, faults ───────┤◀── hello, heartbeat, outcome ── Stream ◀─┤ assign, cancel, expel, ack
                                  │                                          ▼
                                  └────────────────────────────────────── Worker

Everything that is left to chance is drawn from one seed: streams that are cut, networks that swallow what is
on its way, workers that die, gangs that end, trials that somebody cancels, outcomes that arrive twice,
operators. What the machine decides is checked against what the workers really did.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Counts
from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.core.surplus import RELEASED
from tests.core.core_rules import RuleChecker
from tests.core.simulated_worker import Stream, Worker


@dataclass(frozen=True)
class Setup:
    """What is simulated, in seconds; ``..._every`` is the mean time between two faults of a kind."""

    trials: int
    gangs: int
    gang_size: int
    limit: int
    studies: int = 2
    trial: float = 3.0
    cancel: float = 0.02
    prune: float = 0.2
    repeat: float = 0.05
    cut_every: float = 2.0
    partition_every: float = 6.0
    death_every: float = 20.0
    gang_end_every: float = 45.0
    failed_launch: float = 0.15
    operator_every: float = 30.0
    thorough_every: int = 1


@dataclass
class Result:
    """What came out: the same for the same seed."""

    digest: str
    counts: Counts
    settled: Counter[Outcome]
    commands: Counter[str]
    seen: Counter[str]
    most_leased: int
    shutdowns: list[c.ShutDown] = field(default_factory=list)


class Study:
    """Proposes trials as its earlier ones settle."""

    def __init__(self, world: Simulation, name: str, trials: int, depth: int) -> None:
        self._world, self.name, self._trials, self._depth = world, name, trials, depth
        self._submitted = self._outstanding = 0

    def stops(self, batch: int) -> bool:
        """Tell if nothing is to be submitted now; then :meth:`settled` is called later."""
        return False

    def settled(self, number: int = 0) -> None:
        self._outstanding -= number
        batch = min(self._trials - self._submitted, self._depth - self._outstanding)
        if self.stops(batch):
            return
        if batch > 0 and batch >= min(5, self._trials - self._submitted):
            tids = tuple(range(self._submitted, self._submitted + batch))
            self._submitted += batch
            self._outstanding += batch
            self._world.submit(self.name, tids)
            if self._submitted == self._trials:
                self._world.all_submitted(self.name)
            for tid in tids:
                if self._world.random.random() < self._world.setup.cancel:
                    self._world.after(self._world.random.uniform(0, 20), self._world.cancel, self.name, tid)


class Simulation:
    """The world: the clock, the shell, and what goes wrong.

    Args:
        setup: how large it is and how bad.
        seed: of everything that is left to chance.
    """

    def __init__(self, setup: Setup, seed: int) -> None:
        self.setup = setup
        self.now = 0.0
        self.random = random.Random(seed)
        self.machine = self._new_machine()
        self.seen: Counter[str] = Counter()
        self.ended: set[tuple[str, Lease, Outcome]] = set()
        self._limit = setup.limit
        self._watch = RuleChecker(self.machine)
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = itertools.count()
        self._timer = float("inf")
        self._streams: dict[str, Stream] = {}
        self._gangs: dict[int, list[Worker]] = {}
        self._generations: dict[int, int] = {}
        self._settled: dict[TrialKey, c.Settle] = {}
        self._to_cancel: set[TrialKey | str] = set()
        self._verdicts_of: set[TrialKey] = set()
        self._attempts: Counter[TrialKey] = Counter()
        self._max_attempts: dict[TrialKey, int] = {}
        self._interrupted: Counter[TrialKey] = Counter()
        self._studies: dict[str, Study] = {}
        self._to_submit = {f"s{number}" for number in range(setup.studies)}
        self._steps = 0
        self._digest = hashlib.sha256()
        self._result = Result("", self.machine.counts(), Counter(), Counter(), self.seen, 0)

    def _new_machine(self) -> Machine:
        return Machine(self.setup.limit)

    def _new_study(self, name: str, trials: int) -> Study:
        return Study(self, name, trials, 2 * self.setup.limit)

    # The clock.

    def at(self, time: float, action: Callable[..., None], *args: object) -> None:
        heapq.heappush(self._heap, (time, next(self._order), action, args))

    def after(self, seconds: float, action: Callable[..., None], *args: object) -> None:
        self.at(self.now + seconds, action, *args)

    def delay(self) -> float:
        """How long a message takes: mostly not long."""
        return self.random.uniform(0.0005, 0.01) if self.random.random() < 0.97 else self.random.uniform(0, 2)

    def run(self) -> Result:
        """Let everything happen, to the last trial and the last worker."""
        setup, machine = self.setup, self.machine
        self._begin()
        for number in range(setup.studies):
            share = len(range(number, setup.trials, setup.studies))
            study = self._studies[f"s{number}"] = self._new_study(f"s{number}", share)
            study.settled()
        for fault, every in self._faults():
            self._again(fault, every)
        while self._heap:
            self.now, _, action, args = heapq.heappop(self._heap)
            action(*args)
            assert self.now < 1e5, "it does not come to an end"
        result = self._result
        result.digest = self._digest.hexdigest()
        result.counts, result.settled = machine.counts(), machine.settled
        return result

    def _begin(self) -> None:
        """Launch what is launched before there are trials."""
        for gang in range(1, self.setup.gangs + 1):
            self._generations[gang] = 1
            self.step(e.GangLaunched(gang, self.setup.gang_size))
            self._come_up(gang, 1, self.setup.gang_size)

    def _faults(self) -> list[tuple[Callable[[], None], float]]:
        """Return what goes wrong, and the mean time between two times that it does."""
        setup = self.setup
        return [
            (self._cut, setup.cut_every),
            (self._partition, setup.partition_every),
            (self._death, setup.death_every),
            (self._gang_fault, setup.gang_end_every),
            (self._operator, setup.operator_every),
        ]

    # The shell.

    def step(self, event: e.Event) -> list[c.Command]:
        machine = self.machine
        commands = machine.step(event, self.now)
        self._steps += 1
        thorough = self._steps % self.setup.thorough_every == 0
        self._watch.after(commands, event, self.now, thorough=thorough)
        if commands or not isinstance(event, (e.Heartbeat, e.Tick)):
            self._digest.update(repr((self.now, event, commands)).encode())
        for command in commands:
            self._result.commands[type(command).__name__] += 1
            self._carry_out(command)
        deadline = machine.next_deadline
        if deadline is not None and deadline < self._timer:
            self._timer = max(deadline, self.now)
            self.at(self._timer, self._tick, self._timer)
        return commands

    def _tick(self, time: float) -> None:
        if time == self._timer:
            self._timer = float("inf")
            self.step(e.Tick())

    def _carry_out(self, command: c.Command) -> None:
        match command:
            case c.Assign(worker, lease):
                if lease.attempt > self._attempts[lease.trial]:
                    self._check_limit()
                self._attempts[lease.trial] = lease.attempt
                self._send(worker, command)
                if self.random.random() < self.setup.prune:
                    self.after(self.random.uniform(0, self.setup.trial), self._judge, lease)
            case c.CancelAttempt(worker, _, _):
                self._send(worker, command)
            case c.PruneAttempt(worker, lease, _):
                self._verdicts_of.add(lease.trial)
                self._send(worker, command)
            case c.Expel(worker, reason):
                self.seen["released"] += reason == RELEASED
                self._send(worker, command)
            case c.Settle():
                self._check_settled(command)
                self.after(0, self._studies[command.trial.study].settled, 1)
                if len(self._settled) == self.setup.trials:
                    self.after(5, self.step, e.DrainRequested(None, "all is done"))
            case c.LaunchGang():
                self._launch(command)
            case c.WithdrawGang():
                self._withdraw(command)
            case c.ShutDown():
                self._result.shutdowns.append(command)

    def _check_limit(self) -> None:
        leased = sum(worker.lease is not None for worker in self.machine.workers.values())
        assert leased <= min(self._limit, 128)
        self._result.most_leased = max(self._result.most_leased, leased)

    def _check_settled(self, settle: c.Settle) -> None:
        """A trial settles once, and as what really happened to it."""
        trial = settle.trial
        assert trial not in self._settled, f"{trial} settled twice"
        self._settled[trial] = settle
        if settle.outcome in (Outcome.OK, Outcome.FAILED):
            assert (settle.worker, Lease(trial, settle.attempt), settle.outcome) in self.ended
            self.seen["results that beat a verdict"] += trial in self._verdicts_of
        elif settle.outcome is Outcome.PRUNED:
            assert trial in self._verdicts_of
            ended = (settle.worker, Lease(trial, settle.attempt), settle.outcome) in self.ended
            self.seen["lost after a verdict"] += not ended
        elif settle.outcome is Outcome.CANCELLED:
            assert self._to_cancel & {trial, trial.study}
        else:
            assert settle.attempt - self._interrupted[trial] == self._max_attempts[trial]
        self.seen["interrupted and not lost"] += settle.attempt > self._max_attempts.get(trial, 0)

    def _send(self, worker: str, command: c.Command) -> None:
        stream = self._streams.get(worker)
        if stream is not None:
            stream.to_worker(command)

    def hello(self, stream: Stream, holding: Lease | None) -> None:
        worker = stream.worker
        before = self._streams.get(stream.name)
        if before is not None:
            before.broken = True
            stream.acknowledged = before.acknowledged
        self._streams[stream.name] = stream
        stream.to_worker(None)
        joined = e.WorkerJoined(
            stream.name, worker.gang, worker.generation, holding, stream.formerly, worker.task_attempt
        )
        self.step(joined)

    def heartbeat(self, stream: Stream) -> None:
        self.step(e.Heartbeat(stream.name))
        stream.to_worker(None)

    def outcome(self, stream: Stream, lease: Lease, outcome: Outcome, sequence: int) -> None:
        stream.acknowledged = max(stream.acknowledged, sequence)
        worker = stream.name
        record = self.machine.workers.get(worker)
        self.seen["stale outcomes"] += record is None or record.lease != lease
        event = e.OutcomeArrived(worker, lease, outcome, sequence)
        self.step(event)
        if self.random.random() < self.setup.repeat:
            self.seen["repeated outcomes"] += 1
            self.after(self.random.uniform(0, 20), self.step, event)

    def stream_ended(self, stream: Stream) -> None:
        if self._streams.get(stream.name) is stream:
            del self._streams[stream.name]
            self.step(e.StreamLost(stream.name))

    def submit(self, study: str, tids: tuple[int, ...]) -> None:
        max_attempts = self.random.randint(1, 3)
        self._max_attempts |= {TrialKey(study, tid): max_attempts for tid in tids}
        self.step(e.TrialsSubmitted(study, tids, max_attempts))

    def all_submitted(self, study: str) -> None:
        """Has the pool release workers once every study has submitted all that it will."""
        self._to_submit.discard(study)
        if not self._to_submit:
            self.step(e.SubmissionsEnded())

    def cancel(self, study: str, tid: int | None) -> None:
        self._to_cancel.add(study if tid is None else TrialKey(study, tid))
        self.step(e.CancelRequested(study, tid, "not wanted"))

    def _judge(self, lease: Lease) -> None:
        """The reports of an attempt show that it will not win, if it still runs."""
        if self._attempts[lease.trial] == lease.attempt:
            self.step(e.PruneRequested(*lease.trial, "worse than others"))

    # Gangs.

    def _launch(self, command: c.LaunchGang) -> None:
        gang, generation, size = command.gang, command.generation, command.size
        self._generations[gang] = generation
        self.seen["small relaunches"] += size < self.setup.gang_size
        self.after(self.random.uniform(0.5, 3), self._come_up, gang, generation, size)

    def _withdraw(self, command: c.WithdrawGang) -> None:
        raise AssertionError(f"{command} in a pool of barrier jobs")

    def _come_up(self, gang: int, generation: int, size: int) -> None:
        if generation > 1 and self.random.random() < self.setup.failed_launch:
            self.seen["failed launches"] += 1
            self.step(e.GangEnded(gang, generation, "no executors"))
            return
        names = [f"{gang}.{generation}.{slot}" for slot in range(size)]
        self._gangs[gang] = [Worker(self, name, gang, generation) for name in names]
        for worker in self._gangs[gang]:
            start = self.random.uniform(0, 2)
            self.after(start, worker.connect)
            self.after(start + 1, worker.beat)

    def worker_left(self, worker: Worker) -> None:
        """A task ended; with the last one, the job."""
        current = self._generations[worker.gang] == worker.generation
        if current and not any(other.alive for other in self._gangs[worker.gang]):
            self.seen["gangs that ended"] += 1
            names = tuple(other.name for other in self._gangs[worker.gang])
            ended = e.GangEnded(worker.gang, worker.generation, "all workers left", names)
            self.after(self.delay(), self._gang_ended, ended)

    def _gang_ended(self, event: e.GangEnded) -> None:
        """A job ended. It interrupts the trials of the workers that it took along, for no fault of theirs."""
        if self.machine.gangs.is_current(event.gang, event.generation):
            for name, worker in self.machine.workers.items():
                if worker.gang == event.gang and worker.lease is not None and name not in event.lost:
                    self._interrupted[worker.lease.trial] += 1
        self.step(event)

    # What goes wrong, until all is done.

    def _again(self, fault: Callable[[], None], every: float) -> None:
        def strike() -> None:
            if len(self._settled) < self.setup.trials:
                fault()
                self._again(fault, every)

        self.after(self.random.expovariate(1 / every), strike)

    def _workers(self) -> list[Worker]:
        return [worker for gang in self._gangs.values() for worker in gang]

    def _victim(self) -> Worker | None:
        alive = [worker for worker in self._workers() if worker.alive]
        return self.random.choice(alive) if alive else None

    def _cut(self) -> None:
        worker = self._victim()
        if worker is not None and worker.stream is not None:
            self.seen["cuts"] += 1
            worker.lose_stream()

    def _partition(self) -> None:
        """The network swallows what a worker says and hears, at times for longer than the grace."""
        worker = self._victim()
        if worker is not None and worker.stream is not None:
            self.seen["partitions"] += 1
            worker.stream.swallow()
            worker.cut_off_until = self.now + self.random.uniform(1, 50)

    def _death(self) -> None:
        worker = self._victim()
        if worker is not None:
            self.seen["deaths"] += 1
            if self.random.random() < 0.5:
                gone = e.WorkerGone(worker.name, "its process was killed")
                self.after(self.random.uniform(0, 20), self.step, gone)
            worker.die(seen=self.random.random() < 0.5)

    def _gang_fault(self) -> None:
        """A job fails with one of its workers. Some of the others do not hear of that and live on a while."""
        worker = self._victim()
        if worker is None:
            return
        gang, generation = worker.gang, worker.generation
        members, self._gangs[gang] = self._gangs[gang], []
        self.seen["gangs that ended"] += 1
        self._generations[gang] = -1
        ended = e.GangEnded(gang, generation, "stage failed", (worker.name,))
        self.after(self.delay(), self._gang_ended, ended)
        for member in members:
            if member.alive and self.random.random() < 0.8:
                member.die(seen=True)
            elif member.alive:
                self.seen["left over"] += 1
                self.after(self.random.uniform(3, 10), member.lose_stream)

    def _operator(self) -> None:
        match self.random.choice(["pause", "pause", "limit", "limit", "drain", "drain", "study"]):
            case "pause":
                self.step(e.Paused())
                self.after(self.random.uniform(0, 5), self.step, e.Resumed())
            case "limit":
                self._limit = self.random.randint(max(1, self.setup.limit // 2), self.setup.limit)
                self.step(e.LimitChanged(self._limit))
            case "drain":
                if (worker := self._victim()) is not None:
                    self.step(e.DrainRequested(worker.name, "maintenance"))
            case "study":
                self.cancel(self.random.choice(sorted(self._studies)), None)
        self.seen["operator"] += 1


def simulate(setup: Setup, seed: int) -> Result:
    return Simulation(setup, seed).run()


def assert_all_settled(result: Result, trials: int) -> None:
    """All trials have settled, each once, and the pool has ended in good order."""
    lost = result.counts.lost_attempts
    assert result.counts == Counts(submitted=trials, pending=0, leased=0, settled=trials, lost_attempts=lost)
    assert sum(result.settled.values()) == result.commands["Settle"] == trials
    assert result.shutdowns == [c.ShutDown("all is done", failed=False)]
