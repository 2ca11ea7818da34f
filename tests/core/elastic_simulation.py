"""An elastic pool on a virtual clock: Spark's executors come and go under the machine, by a seeded schedule.

    machine ── LaunchGang ──▶ queue ──▶ executors, each with cores ──▶ a worker for each task
            ◀── WorkerGone, LossExplained, GangEnded ── killed, decommissioned, vanished, withdrawn

Spark, as far as it matters here: a task that waits makes it ask for an executor, an executor that has been
idle for a while goes, and a task that was lost is started again, up to its fourth failure, preemptions apart.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Elastic
from sparkopt.core.states import Lease, Outcome, SeatState, TrialKey
from sparkopt.core.surplus import IDLE
from tests.core.simulated_worker import Stream, Worker
from tests.core.simulation import Result, Setup, Simulation, Study


@dataclass(frozen=True)
class ElasticSetup(Setup):
    """What is simulated, in seconds.

    ``vacation`` is how long studies propose nothing once half of their trials have settled.
    """

    gangs: int = 0
    gang_size: int = 1
    limit: int = 112
    executors: int = 32
    cores: int = 4
    arrive_every: float = 0.5
    idle_executor: float = 5.0
    kill_every: float = 6.0
    vanish_every: float = 60.0
    decommission_every: float = 15.0
    twin_every: float = 20.0
    vacation: float = 60.0
    idle: float = 10.0
    death_every: float = 20.0
    failed_launch: float = 0.05


class VacationingStudy(Study):
    """A study that proposes nothing for a while once half of its trials have settled."""

    _rested = False

    def stops(self, batch: int) -> bool:
        if self._rested or 2 * self._submitted < self._trials:
            return False
        if self._outstanding == 0:
            self._rested = True
            self._world.after(self._world.setup.vacation, self.settled)
        return True


@dataclass(eq=False)
class Executor:
    """An executor and the jobs whose tasks it runs. One that is ``going`` gets no other."""

    free: int
    jobs: list[Job] = dataclasses.field(default_factory=list)
    going: bool = False


@dataclass(eq=False)
class Job:
    """A launch of a seat: a job of one task."""

    gang: int
    generation: int
    attempt: int = 0
    failures: int = 0
    executor: Executor | None = None
    worker: Worker | None = None
    ended: bool = False


class ElasticSimulation(Simulation):
    """The world of an elastic pool."""

    setup: ElasticSetup

    def __init__(self, setup: ElasticSetup, seed: int) -> None:
        super().__init__(setup, seed)
        self._executors: list[Executor] = []
        self._jobs: dict[int, Job] = {}
        self._queue: deque[Job] = deque()
        self._runs: dict[Lease, str] = {}
        self._verdicts: dict[str, bool] = {}
        self._dead: set[Worker] = set()
        self._joined = False

    def _new_machine(self) -> Machine:
        return Machine(self.setup.limit, elastic=Elastic(idle=self.setup.idle))

    def _new_study(self, name: str, trials: int) -> Study:
        return VacationingStudy(self, name, trials, self.setup.limit)

    def _begin(self) -> None:
        pass

    def _faults(self) -> list[tuple[Callable[[], None], float]]:
        setup = self.setup
        return [
            (self._arrive, setup.arrive_every),
            (self._kill, setup.kill_every),
            (self._vanish, setup.vanish_every),
            (self._decommission, setup.decommission_every),
            (self._speculate, setup.twin_every),
            (self._cut, setup.cut_every),
            (self._partition, setup.partition_every),
            (self._death, setup.death_every),
            (self._operator, setup.operator_every),
        ]

    # The truth about charges.

    def step(self, event: e.Event) -> list[c.Command]:
        self._note_verdict(event)
        return super().step(event)

    def _note_verdict(self, event: e.Event) -> None:
        """The first word about a loss counts. The end of a job that was withdrawn is none."""
        if isinstance(event, e.LossExplained):
            self._verdicts.setdefault(event.worker, event.preempted)
        elif isinstance(event, e.GangEnded) and event.preempted:
            seat = self.machine.gangs[event.gang]
            if seat.worker is not None and seat.state is not SeatState.WITHDRAWN:
                self._verdicts.setdefault(seat.worker, True)

    def hello(self, stream: Stream, holding: Lease | None) -> None:
        super().hello(stream, holding)
        self._joined = True

    def _carry_out(self, command: c.Command) -> None:
        if isinstance(command, c.Assign):
            self._runs[command.lease] = command.worker
        elif isinstance(command, c.Expel):
            self.seen["idle"] += command.reason == IDLE
        super()._carry_out(command)

    def _charged(self, trial: TrialKey, attempts: int) -> int:
        """Number of these attempts of a trial whose workers were not preempted, by what Spark has said."""
        workers = [self._runs[Lease(trial, attempt)] for attempt in range(1, attempts + 1)]
        return sum(not self._verdicts.get(worker, False) for worker in workers)

    def _check_settled(self, settle: c.Settle) -> None:
        trial, most = settle.trial, self._max_attempts[settle.trial]
        if settle.outcome is Outcome.LOST:
            charged = self._charged(trial, settle.attempt)
            assert charged == most, f"{trial} lost with {charged} charges of {most}"
            self._interrupted[trial] = settle.attempt - charged
        elif settle.outcome is not Outcome.CANCELLED:
            charged = self._charged(trial, settle.attempt - 1)
            assert charged < most, f"{trial} went on with {charged} charges of {most}"
        super()._check_settled(settle)

    # Jobs.

    def _launch(self, command: c.LaunchGang) -> None:
        job = self._jobs[command.gang] = Job(command.gang, command.generation)
        self.after(self.random.uniform(0.02, 0.1), self._submit, job)

    def _submit(self, job: Job) -> None:
        if self._joined and self.random.random() < self.setup.failed_launch:
            self.seen["failed launches"] += 1
            self._end(job, "no such thing")
        elif not job.ended:
            self._queue.append(job)
            self._schedule()

    def _schedule(self) -> None:
        for executor in self._executors:
            while executor.free and self._queue and not executor.going:
                self._start(self._queue.popleft(), executor)

    def _start(self, job: Job, executor: Executor) -> None:
        executor.free -= 1
        executor.jobs.append(job)
        job.executor = executor
        before = job.worker
        name = f"{job.gang}.{job.generation}" + (f"~{job.attempt}" if job.attempt else "")
        formerly = None if before is None else before.name
        self.seen["tasks started again"] += job.attempt > 0
        job.worker = Worker(self, name, job.gang, job.generation, formerly, job.attempt)
        start = self.random.uniform(0.1, 2)
        self.after(start, job.worker.connect)
        self.after(start + 1, job.worker.beat)

    def _withdraw(self, command: c.WithdrawGang) -> None:
        job = self._jobs[command.gang]
        assert job.generation == command.generation
        assert not job.ended
        self.seen["withdrawn"] += 1
        self.after(self.random.uniform(0.05, 0.5), self._cancel, job)

    def _cancel(self, job: Job) -> None:
        if job in self._queue:
            self._queue.remove(job)
        worker = job.worker
        self._end(job, "it was withdrawn", preempted=True)
        if worker is not None and worker.alive:
            worker.die(seen=True)

    def _end(self, job: Job, reason: str, preempted: bool | None = False) -> None:
        if job.ended:
            return
        job.ended = True
        self._vacate(job)
        self.step(e.GangEnded(job.gang, job.generation, reason, preempted=preempted))

    def _vacate(self, job: Job) -> None:
        executor, job.executor = job.executor, None
        if executor is not None and job in executor.jobs:
            executor.jobs.remove(job)
            executor.free += 1
            self._schedule()
            if not executor.jobs:
                self.after(self.setup.idle_executor, self._leave_if_idle, executor)

    def _leave_if_idle(self, executor: Executor) -> None:
        if not executor.jobs and executor in self._executors:
            self.seen["idle executors"] += 1
            self._executors.remove(executor)

    def worker_left(self, worker: Worker) -> None:
        """A task ended in good order, or its process died, which Spark sees."""
        job = self._jobs[worker.gang]
        if job.worker is worker and not job.ended and job.executor is not None:
            self.after(self.delay(), self._end, job, "its job ended")

    # What goes wrong.

    def _workers(self) -> list[Worker]:
        return [job.worker for job in self._jobs.values() if job.worker is not None and not job.ended]

    def _arrive(self) -> None:
        if self._queue and len(self._executors) < self.setup.executors:
            self.seen["executors"] += 1
            self._executors.append(Executor(self.setup.cores))
            self._schedule()

    def _take(self) -> Executor | None:
        executors = [executor for executor in self._executors if not executor.going]
        return self.random.choice(executors) if executors else None

    def _kill(self) -> None:
        """An executor is killed. Spark takes a moment to see that, and may blame the tasks for it."""
        if (executor := self._take()) is not None:
            self.seen["kills"] += 1
            self._lose(executor, self.random.random() < 0.5, self.random.uniform(0.5, 5), seen=True)

    def _vanish(self) -> None:
        """A host goes without a word. Spark sees that much later than the grace.

        It is none where a pool that has no worker waits for one: Spark has started that task, so that the
        pool would be lost after its time to start.
        """
        if (executor := self._take()) is not None and self.machine.present():
            self.seen["vanished"] += 1
            self._lose(executor, True, self.random.uniform(40, 120), seen=False)

    def _decommission(self) -> None:
        """An executor is known to go, and goes a moment later."""
        if (executor := self._take()) is None:
            return
        self.seen["decommissioned"] += 1
        executor.going = True
        for job in list(executor.jobs):
            if job.worker is not None:
                self.step(e.DrainRequested(job.worker.name, "its executor is decommissioned"))
        gone = self.random.uniform(1, 6)
        self.after(gone, lambda: self._lose(executor, True, self.random.uniform(0.5, 5), seen=True))

    def _lose(self, executor: Executor, preempted: bool, seconds: float, *, seen: bool) -> None:
        if executor in self._executors:
            self._executors.remove(executor)
        jobs, executor.jobs = executor.jobs, []
        for job in jobs:
            job.executor, worker = None, job.worker
            if worker is not None and worker.alive:
                worker.die(seen=seen)
            self.after(seconds, self._task_lost, job, worker, preempted)

    def _death(self) -> None:
        """A Python worker is killed, with which Spark has its task fail."""
        worker = self._victim()
        if worker is not None:
            self.seen["deaths"] += 1
            job = self._jobs[worker.gang]
            executor, job.executor = job.executor, None
            worker.die(seen=self.random.random() < 0.5)
            job.executor = executor
            self.after(self.random.uniform(0.5, 3), self._task_lost, job, worker, False)

    def _task_lost(self, job: Job, worker: Worker, preempted: bool) -> None:
        if job.ended or worker in self._dead:
            return
        self._dead.add(worker)
        self.step(e.WorkerGone(worker.name, "its executor was lost"))
        if self.random.random() < 0.9:
            explained = e.LossExplained(worker.name, preempted, "its executor was lost")
            self.after(self.random.uniform(0, 12), self.step, explained)
        self._vacate(job)
        job.failures += not preempted
        if job.failures >= 4 or self.random.random() < 0.1:
            self.seen["jobs that failed"] += 1
            self._end(job, "its task failed", self.random.choice([preempted, None]))
        else:
            job.attempt += 1
            self._queue.appendleft(job)
            self._schedule()

    def _speculate(self) -> None:
        """Spark starts a task twice, and the second one says hello while the first lives."""
        worker = self._victim()
        if worker is not None and worker.stream is not None and worker.name in self.machine.workers:
            self.seen["twins"] += 1
            attempt = self._jobs[worker.gang].attempt + 1
            name = f"{worker.name}~twin{self.seen['twins']}"
            joined = e.WorkerJoined(name, worker.gang, worker.generation, None, worker.name, attempt)
            record = self.machine.workers[worker.name]
            commands = self.step(joined)
            if record.state.value == "ready":
                assert [type(command) for command in commands] == [c.Expel]


def simulate_elastic(setup: ElasticSetup, seed: int) -> Result:
    return ElasticSimulation(setup, seed).run()
