"""An elastic pool under any sequence of events, sensible or not, its machine held to the rules after each."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Elastic
from sparkopt.core.states import Lease, Outcome, TrialState, WorkerState
from tests.core.core_pool import picture
from tests.core.stateful_pool import POLICY, SETTINGS, STUDIES, PoolEvents, Shadow

ELASTIC = Elastic(idle=20.0, cause_wait=10.0, surplus=2.0)


class Events(PoolEvents):
    """Events of an elastic pool: jobs that start, fail and are preempted, tasks that Spark starts again.

    Attributes:
        jobs: generations of the launches whose jobs have not ended, by gang.
        withdrawn: those of them that the machine has withdrawn.
        newest: the last worker of each of them that said hello.
        verdicts: workers that Spark has spoken about.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, int] = {}
        self.withdrawn: set[int] = set()
        self.newest: dict[int, Shadow] = {}
        self.verdicts: set[str] = set()
        super().__init__(Machine(4, POLICY, ELASTIC))

    def carry_out(self, command: c.Command) -> None:
        super().carry_out(command)
        if isinstance(command, c.LaunchGang):
            self.jobs[command.gang] = command.generation
            self.newest.pop(command.gang, None)
        elif isinstance(command, c.WithdrawGang):
            self.withdrawn.add(command.gang)

    @initialize(workers=st.integers(0, 6), trials=st.integers(0, 8))
    def begin(self, workers: int, trials: int) -> None:
        self.submit("blue", trials, 2)
        for gang in list(self.jobs)[:workers]:
            self.come(gang)

    # Workers.

    def come(self, gang: int) -> Shadow:
        """The first worker of a launch says hello."""
        generation = self.jobs[gang]
        shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
        self.newest[gang] = shadow
        self.hello(shadow, None)
        return shadow

    def hello(self, shadow: Shadow, holding: Lease | None) -> list[c.Command]:
        current = self.jobs.get(shadow.gang) == shadow.generation
        withdrawn = current and shadow.gang in self.withdrawn
        answer = super().hello(shadow, holding)
        if withdrawn:
            assert [type(command) for command in answer] == [c.Expel]
        return answer

    @rule(data=st.data())
    def first_worker(self, data) -> None:
        if waiting := self.jobs.keys() - self.newest.keys():
            self.come(self.draw(data, waiting))

    @rule(data=st.data())
    def task_started_again(self, data) -> None:
        """Spark starts a task again, or a second time while its first worker lives."""
        if not self.newest:
            return
        former = self.newest[self.draw(data, self.newest)]
        attempt = former.task_attempt + 1
        name = f"{former.name}~{attempt}.{len(self.shadows)}"
        shadow = Shadow(name, former.gang, former.generation, formerly=former.name, task_attempt=attempt)
        before = picture(self.machine)
        record = self.machine.workers.get(former.name)
        lives = record is not None and record.state is WorkerState.READY
        answer = self.hello(shadow, None)
        if lives:
            assert [type(command) for command in answer] == [c.Expel]
            assert picture(self.machine) == before
        if name in self.machine.workers:
            former.connected, former.left = False, True
            self.newest[former.gang] = shadow
        else:
            del self.shadows[name]  # It may ask again, and be taken then.

    @rule(gang=st.integers(0, 3), generation=st.integers(0, 5))
    def join_of_another_generation(self, gang: int, generation: int) -> None:
        if self.jobs.get(gang) != generation:
            shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
            assert [type(command) for command in self.hello(shadow, None)] == [c.Expel]
            del self.shadows[shadow.name]

    @rule(data=st.data(), preempted=st.booleans())
    def loss_explained(self, data, preempted: bool) -> None:
        name = self.some_worker(data)
        if name in self.shadows:
            self.shadows[name].connected, self.shadows[name].left = False, True
        charged = {key: trial.charged for key, trial in self.machine.trials.items()}
        self.step(e.LossExplained(name, preempted, "executor lost"))
        changes = [trial.charged - charged[key] for key, trial in self.machine.trials.items()]
        assert sum(map(abs, changes)) <= 1
        if preempted or name in self.verdicts:
            assert all(change <= 0 for change in changes)
        if name in self.verdicts:
            assert not any(changes)
        self.verdicts.add(name)

    # Jobs.

    @rule(data=st.data(), preempted=st.sampled_from([False, True, None]))
    def job_ends(self, data, preempted: bool | None) -> None:
        if self.jobs:
            self.end_job(self.draw(data, self.jobs), preempted)

    @rule(data=st.data())
    def withdrawn_job_ends(self, data) -> None:
        if self.withdrawn:
            self.end_job(self.draw(data, self.withdrawn), True)

    def end_job(self, gang: int, preempted: bool | None) -> None:
        generation = self.jobs.pop(gang)
        self.withdrawn.discard(gang)
        self.newest.pop(gang, None)
        for shadow in self.shadows.values():
            if (shadow.gang, shadow.generation) == (gang, generation):
                shadow.connected, shadow.left = False, True
        before = {key: trial.charged for key, trial in self.machine.trials.items()}
        self.step(e.GangEnded(gang, generation, "its job ended", (), preempted))
        if preempted:
            for key, trial in self.machine.trials.items():
                assert trial.charged <= before[key]

    @rule(gang=st.integers(0, 8), generation=st.integers(0, 4))
    def end_of_another_generation(self, gang: int, generation: int) -> None:
        if gang in self.machine.gangs and self.jobs.get(gang) != generation:
            before = picture(self.machine)
            assert self.step(e.GangEnded(gang, generation, "its job ended")) == []
            assert picture(self.machine) == before

    @rule(data=st.data())
    def progress(self, data) -> None:
        if self.jobs:
            gang = self.draw(data, self.jobs)
            self.step_that_asks_for_nothing(e.GangProgressed(gang, self.jobs[gang]))

    # What holds at all times, and how it ends.

    def somebody_is_there_for_the_trials(self) -> None:
        """Some worker is here or asked for, or will be after a wait."""
        machine = self.machine
        if machine.wanted and not machine.paused:
            there = machine.present() or machine.waiting
            overdue = machine.next_deadline is not None and machine.next_deadline <= self.now
            assert there or self.now < machine.gangs.resumes or overdue

    def teardown(self) -> None:
        """Whatever happened, honest workers and time bring every trial to its end."""
        if not self.sound:
            return  # It has failed, and that is what is to be told.
        machine = self.machine
        self.step(e.Resumed())
        if machine.draining is None:
            for _ in range(20):
                self.go_on()
        else:
            self.now += 1000
            self.tick()
            assert machine.shut_down
        if machine.shut_down:
            for study in STUDIES:
                self.step(e.CancelRequested(study, None, "the pool is lost"))
        assert set(self.settled) == self.submitted
        assert not machine.waiting
        assert all(trial.state is not TrialState.HELD for trial in machine.trials.values())

    def go_on(self) -> None:
        """All launches come up, all trials end that can, and silent workers are lost."""
        for gang in self.jobs.keys() - self.newest.keys() - self.withdrawn:
            self.come(gang)
        while busy := [each for each in self.shadows.values() if each.connected and each.running]:
            for shadow in busy:
                if shadow.running is not None:
                    self.end_of(shadow, Outcome.OK)
        self.now += 31
        for shadow in list(self.shadows.values()):
            if shadow.connected:
                self.step(e.Heartbeat(shadow.name))
        self.tick()


TestEvents = Events.TestCase
TestEvents.settings = settings(SETTINGS, max_examples=200)
