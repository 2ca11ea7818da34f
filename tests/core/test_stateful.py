"""A barrier pool under any sequence of events, sensible or not, its machine held to the rules after each."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.states import Outcome, WorkerState
from tests.core.core_pool import picture
from tests.core.stateful_pool import POLICY, SETTINGS, STUDIES, PoolEvents, Shadow


class Events(PoolEvents):
    """Events of a pool of barrier jobs, those of its gangs among them."""

    def __init__(self) -> None:
        super().__init__(Machine(4, POLICY))

    @initialize(size=st.integers(0, 6), trials=st.integers(0, 8))
    def begin(self, size: int, trials: int) -> None:
        self.generations[1] = 1
        self.step(e.GangLaunched(1, size + 1))
        for _ in range(size):
            self.new_worker(1)
        self.submit("blue", trials, 2)

    # Workers.

    @rule(gang=st.integers(1, 2))
    def new_worker(self, gang: int) -> None:
        generation = self.generations.get(gang, 0)
        shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
        self.hello(shadow, None)

    @rule(gang=st.integers(0, 3), generation=st.integers(0, 5))
    def join_of_another_generation(self, gang: int, generation: int) -> None:
        if self.generations.get(gang) != generation:
            shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
            assert [type(command) for command in self.hello(shadow, None)] == [c.Expel]
            if generation > self.generations.get(gang, 0):
                del self.shadows[shadow.name]  # there is none yet, and when there is, its name is free

    # Gangs.

    @precondition(lambda self: 2 not in self.generations)
    @rule(size=st.integers(1, 3))
    def launch_gang(self, size: int) -> None:
        self.generations[2] = 1
        self.step(e.GangLaunched(2, size))

    @rule(gang=st.integers(1, 2), generation=st.integers(1, 3))
    def gang_progressed(self, gang: int, generation: int) -> None:
        if gang in self.generations:
            assert self.step(e.GangProgressed(gang, generation)) == []

    @rule(gang=st.integers(1, 2), named=st.integers(0, 2), data=st.data())
    def gang_ended(self, gang: int, named: int, data) -> None:
        if generation := self.generations.get(gang):
            members = []
            for shadow in self.shadows.values():
                if (shadow.gang, shadow.generation) == (gang, generation):
                    shadow.connected, shadow.left = False, True
                    members.append(shadow.name)
            lost = tuple(self.draw(data, members) for _ in range(named if members else 0))
            before = {key: (trial.charged, trial.worker) for key, trial in self.machine.trials.items()}
            unreachable = {
                name
                for name, worker in self.machine.workers.items()
                if worker.gang == gang and worker.state is WorkerState.UNREACHABLE
            }
            self.step(e.GangEnded(gang, generation, "stage failed", lost))
            for key, trial in self.machine.trials.items():
                charged, worker = before[key]
                assert trial.charged == charged + (worker in (lost or unreachable))

    @rule(gang=st.integers(1, 2), generation=st.integers(0, 4))
    def end_of_another_generation(self, gang: int, generation: int) -> None:
        if self.generations.get(gang, generation) != generation:
            before = picture(self.machine)
            assert self.step(e.GangEnded(gang, generation, "stage failed")) == []
            assert picture(self.machine) == before

    # What holds at all times, and how it ends.

    def somebody_is_there_for_the_trials(self) -> None:
        machine = self.machine
        if machine.trials and machine.draining is None and not machine.shut_down:
            assert any(gang.goes_on for gang in machine.gangs.values())

    def teardown(self) -> None:
        """Whatever happened, honest workers and time bring every trial to its end."""
        if not self.sound:
            return  # It has failed, and that is what is to be told.
        machine = self.machine
        self.step(e.Resumed())
        if machine.draining is None and not machine.shut_down:
            self.generations[9] = 1
            self.step(e.GangLaunched(9, 1))
            last = Shadow("9.1.0", 9, 1)
            self.hello(last, None)
            self.now += 1000
            self.step(e.Heartbeat(last.name))
            self.tick()
            if last.left and machine.trials:
                # There were others for the trials, and these have been silent for too long by now.
                last = Shadow("9.1.1", 9, 1)
                self.hello(last, None)
            while machine.trials:
                assert last.running is not None, machine.story()
                self.end_of(last, Outcome.OK)
        else:
            self.now += 1000
            self.tick()
            for study in STUDIES:
                self.step(e.CancelRequested(study, None, "the pool is lost"))
            assert machine.shut_down
        assert set(self.settled) == self.submitted


TestEvents = Events.TestCase
TestEvents.settings = settings(SETTINGS, max_examples=300)
