"""The machine under any sequence of events, sensible or not, held to the seven rules after each.

Beside the machine runs a model of what the shell and the workers would see: which stream stands, what each
worker runs and whether it was told to end it. The rules speak of the machine's records; the model says that
they fit the world.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Policy
from sparkopt.core.states import Lease, Outcome, TrialKey, WorkerState
from sparkopt.core.surplus import RELEASED
from tests.core.core_pool import earliest_deadline, picture
from tests.core.core_rules import RuleChecker

STUDIES = ("blue", "red")
POLICY = Policy(cap=6, silence=10.0, grace=30.0, start=60.0, max_relaunches=1)
ENDS = st.sampled_from([Outcome.OK, Outcome.FAILED])


@dataclasses.dataclass
class Shadow:
    """A worker as it sees itself, and its stream as the shell sees it.

    Attributes:
        running: the attempt that it runs, or whose outcome was lost on the way.
        told: whether it was told to end that.
    """

    name: str
    gang: int
    generation: int
    connected: bool = True
    left: bool = False
    running: Lease | None = None
    told: bool = False
    sequence: int = 0


class Events(RuleBasedStateMachine):
    """Every event there is, from studies, workers, gangs and operators."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machine = Machine(4, POLICY)
        self.watch = RuleChecker(self.machine)
        self.shadows: dict[str, Shadow] = {}
        self.generations: dict[int, int] = {}
        self.submitted: set[TrialKey] = set()
        self.settled: dict[TrialKey, Outcome] = {}
        self.leases: list[Lease] = []
        self.outcomes: list[e.OutcomeArrived] = []
        self.sound = True

    # The shell.

    def step(self, event: e.Event) -> list[c.Command]:
        self.sound = False
        commands = self.machine.step(event, self.now)
        self.watch.after(commands)
        for command in commands:
            self.carry_out(command)
        return commands

    def carry_out(self, command: c.Command) -> None:
        if isinstance(command, c.Settle):
            self.settled[command.trial] = command.outcome
        elif isinstance(command, c.LaunchGang):
            self.generations[command.gang] += 1
            assert command.generation == self.generations[command.gang]
        elif isinstance(command, c.Assign):
            assert command.worker in self.shadows, "a lease of a worker that was turned away"
            self.leases.append(command.lease)
        shadow = self.shadows.get(getattr(command, "worker", None) or "")
        if shadow is not None and shadow.connected:
            self.deliver(command, shadow)

    def deliver(self, command: c.Command, shadow: Shadow) -> None:
        """What arrives at a worker whose stream stands."""
        if isinstance(command, c.Assign):
            assert not shadow.left, f"{shadow.name} was expelled"
            busy = shadow.running not in (None, command.lease) and not shadow.told
            assert not busy, f"{shadow.name} still runs {shadow.running}, and was not told to end it"
            if shadow.running != command.lease:
                shadow.running, shadow.told = command.lease, False
        elif isinstance(command, c.CancelAttempt):
            shadow.told |= shadow.running == command.lease
        elif isinstance(command, c.Expel):
            shadow.connected, shadow.left, shadow.running = False, True, None

    def refused(self, event: e.Event) -> None:
        before = picture(self.machine), self.machine.story()
        with pytest.raises(ValueError, match=r"limit|max_attempts|twice|launched"):
            self.machine.step(event, self.now)
        assert (picture(self.machine), self.machine.story()) == before

    def no_more_than_a_heartbeat(self, event: e.OutcomeArrived | e.ReportArrived | e.RequestArrived) -> None:
        """The event shows that its worker is alive, and means nothing else."""
        twin = copy.deepcopy(self.machine)
        expected = twin.step(e.Heartbeat(event.worker), self.now)
        assert self.step(event) == expected
        assert picture(self.machine) == picture(twin)

    # What there is to choose from.

    def draw(self, data, choices):
        return data.draw(st.sampled_from(sorted(choices, key=repr)))

    def some_worker(self, data) -> str:
        """Mostly one that was heard of."""
        return self.draw(data, {*self.shadows, "nobody"})

    def some_shadow(self, data, *, connected: bool) -> Shadow | None:
        names = [name for name, shadow in self.shadows.items() if shadow.connected is connected]
        return self.shadows[self.draw(data, names)] if names else None

    # Studies.

    @initialize(size=st.integers(0, 6), trials=st.integers(0, 8))
    def begin(self, size: int, trials: int) -> None:
        self.generations[1] = 1
        self.step(e.GangLaunched(1, size + 1))
        for _ in range(size):
            self.new_worker(1)
        self.submit("blue", trials, 2)

    @rule(study=st.sampled_from(STUDIES), number=st.integers(0, 4), max_attempts=st.integers(1, 3))
    def submit(self, study: str, number: int, max_attempts: int) -> None:
        first = sum(trial.study == study for trial in self.submitted)
        tids = tuple(range(first, first + number))
        self.submitted |= {TrialKey(study, tid) for tid in tids}
        self.step(e.TrialsSubmitted(study, tids, max_attempts))

    @rule()
    def end_submissions(self) -> None:
        self.step(e.SubmissionsEnded())

    @rule(study=st.sampled_from(STUDIES), tid=st.integers(0, 12))
    def cancel(self, study: str, tid: int) -> None:
        self.step(e.CancelRequested(study, tid, "not wanted"))

    @rule(data=st.data())
    def cancel_what_runs(self, data) -> None:
        if running := [shadow.running for shadow in self.shadows.values() if shadow.running is not None]:
            trial = self.draw(data, running).trial
            self.step(e.CancelRequested(trial.study, trial.tid, "not wanted"))

    @rule(study=st.sampled_from(STUDIES))
    def cancel_study(self, study: str) -> None:
        self.step(e.CancelRequested(study, None, "not wanted"))

    @rule(data=st.data())
    def nonsense(self, data) -> None:
        unsettled = sorted(self.machine.trials)
        events = [
            e.LimitChanged(0),
            e.TrialsSubmitted("blue", (1000,), max_attempts=0),
            e.TrialsSubmitted("blue", (1000, 1001, 1000)),
            e.GangLaunched(1, 2),
            e.GangEnded(99, 1, "never there"),
            *(e.TrialsSubmitted(study, (1000, tid)) for study, tid in unsettled[:1]),
        ]
        self.refused(data.draw(st.sampled_from(events)))

    # Workers.

    @rule(gang=st.integers(1, 2))
    def new_worker(self, gang: int) -> None:
        generation = self.generations.get(gang, 0)
        shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
        self.hello(shadow, None)

    @rule(data=st.data(), lost=st.booleans())
    def return_after_a_cut(self, data, lost: bool) -> None:
        if (shadow := self.some_shadow(data, connected=False)) and not shadow.left:
            self.hello(shadow, None if lost else shadow.running)

    @rule(data=st.data())
    def return_in_the_middle(self, data) -> None:
        if shadow := self.some_shadow(data, connected=True):
            self.hello(shadow, shadow.running)

    @rule(data=st.data())
    def return_with_whatever(self, data) -> None:
        """Stale attempts, workers that left, generations that are over."""
        if self.shadows and self.leases:
            self.hello(self.shadows[self.draw(data, self.shadows)], self.draw(data, self.leases))

    @rule(gang=st.integers(0, 3), generation=st.integers(0, 5))
    def join_of_another_generation(self, gang: int, generation: int) -> None:
        if self.generations.get(gang) != generation:
            shadow = Shadow(f"{gang}.{generation}.{len(self.shadows)}", gang, generation)
            assert [type(command) for command in self.hello(shadow, None)] == [c.Expel]
            if generation > self.generations.get(gang, 0):
                del self.shadows[shadow.name]  # there is none yet, and when there is, its name is free

    def hello(self, shadow: Shadow, holding: Lease | None) -> list[c.Command]:
        """A worker comes up on a new stream and tells the truth, which is ``holding``."""
        self.shadows[shadow.name] = shadow
        shadow.connected = True
        if holding != shadow.running:
            shadow.running, shadow.told = holding, False
        return self.step(e.WorkerJoined(shadow.name, shadow.gang, shadow.generation, holding))

    @rule(data=st.data())
    def cut(self, data) -> None:
        if shadow := self.some_shadow(data, connected=True):
            shadow.connected = False
            assert self.step(e.StreamLost(shadow.name)) == []

    @rule(data=st.data())
    def cut_of_whatever(self, data) -> None:
        name = self.some_worker(data)
        if name in self.shadows:
            self.shadows[name].connected = False
        assert self.step(e.StreamLost(name)) == []

    @rule(data=st.data())
    def worker_gone(self, data) -> None:
        name = self.some_worker(data)
        if name in self.shadows:
            self.shadows[name].connected, self.shadows[name].left = False, True
        self.step(e.WorkerGone(name, "its task ended"))

    @rule(data=st.data())
    def heartbeat(self, data) -> None:
        self.step(e.Heartbeat(self.some_worker(data)))

    # Attempts.

    @rule(data=st.data(), outcome=ENDS)
    def finish(self, data, outcome: Outcome) -> None:
        self.end(data, outcome)

    @rule(data=st.data())
    def end_what_was_cancelled_or_give_up(self, data) -> None:
        self.end(data, Outcome.CANCELLED)

    def end(self, data, outcome: Outcome) -> None:
        busy = [name for name, shadow in self.shadows.items() if shadow.connected and shadow.running]
        if busy:
            self.end_of(self.shadows[self.draw(data, busy)], outcome)

    def end_of(self, shadow: Shadow, outcome: Outcome) -> None:
        lease, shadow.running = shadow.running, None
        assert lease is not None
        worker = self.machine.workers.get(shadow.name)
        live = worker is not None and worker.lease == lease
        shadow.sequence += 1
        event = e.OutcomeArrived(shadow.name, lease, outcome, shadow.sequence)
        self.outcomes.append(event)
        if not live:
            self.no_more_than_a_heartbeat(event)
        elif outcome in (Outcome.OK, Outcome.FAILED):
            assert self.step(event)[0] == c.Settle(lease.trial, lease.attempt, outcome, shadow.name, "")
        else:
            self.step(event)

    @precondition(lambda self: self.outcomes)
    @rule(data=st.data())
    def outcome_again(self, data) -> None:
        self.no_more_than_a_heartbeat(data.draw(st.sampled_from(self.outcomes)))

    @precondition(lambda self: self.outcomes)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def outcome_again_under_a_new_number(self, data, outcome: Outcome) -> None:
        before = data.draw(st.sampled_from(self.outcomes))
        shadow = self.shadows[before.worker]
        worker = self.machine.workers.get(shadow.name)
        # The same attempt may be live again only if the worker had not reported it in truth.
        if worker is None or worker.lease != before.lease:
            shadow.sequence += 1
            self.no_more_than_a_heartbeat(
                dataclasses.replace(before, outcome=outcome, sequence=shadow.sequence)
            )

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def outcome_of_whatever(self, data, outcome: Outcome) -> None:
        """A stale attempt, or one of another worker."""
        name, lease = self.some_worker(data), data.draw(st.sampled_from(self.leases))
        worker = self.machine.workers.get(name)
        if worker is None or worker.lease != lease:
            sequence = 1 if name not in self.shadows else self.shadows[name].sequence + 1
            if name in self.shadows:
                self.shadows[name].sequence = sequence
            self.no_more_than_a_heartbeat(e.OutcomeArrived(name, lease, outcome, sequence))

    @rule(
        data=st.data(),
        sent=st.sampled_from([(e.ReportArrived, c.DeliverReport), (e.RequestArrived, c.DeliverRequest)]),
    )
    def report_or_request(self, data, sent) -> None:
        arrival, delivery = sent
        busy = [name for name, shadow in self.shadows.items() if shadow.connected and shadow.running]
        if not busy:
            return
        shadow = self.shadows[self.draw(data, busy)]
        assert shadow.running is not None
        shadow.sequence += 1
        event = arrival(shadow.name, shadow.running, shadow.sequence)
        worker = self.machine.workers.get(shadow.name)
        if worker is not None and worker.lease == shadow.running:
            delivered, *others = self.step(event)
            assert delivered == delivery(shadow.name, shadow.running, shadow.sequence)
            # If it was out of reach, another worker may have stayed for its trial.
            assert all(isinstance(other, c.Expel) and other.reason == RELEASED for other in others)
        self.no_more_than_a_heartbeat(event)

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

    # Operators.

    @rule(limit=st.integers(1, 10))
    def change_limit(self, limit: int) -> None:
        self.step(e.LimitChanged(limit))

    @rule()
    def pause(self) -> None:
        assert self.step(e.Paused()) == []

    @rule()
    def resume(self) -> None:
        self.step(e.Resumed())

    @rule(data=st.data())
    def drain_worker(self, data) -> None:
        self.step(e.DrainRequested(self.some_worker(data), "maintenance"))

    @precondition(lambda self: len(self.leases) > 4)
    @rule()
    def drain_pool(self) -> None:
        self.step(e.DrainRequested(None, "maintenance"))

    # Time.

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.5, 15.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tick()

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.5]))
    def wait_while_all_send_heartbeats(self, seconds: float) -> None:
        self.now += seconds
        for name, shadow in self.shadows.items():
            if shadow.connected:
                self.step(e.Heartbeat(name))

    @precondition(lambda self: self.machine.next_deadline is not None)
    @rule()
    def wait_for_the_deadline(self) -> None:
        self.now = max(self.now, self.machine.next_deadline or 0.0)
        self.tick()

    def tick(self) -> None:
        due = earliest_deadline(self.machine) <= self.now
        before = picture(self.machine)
        commands = self.step(e.Tick())
        if not due:
            assert commands == []
            assert picture(self.machine) == before
        if (self.machine.next_deadline or math.inf) <= self.now:
            # A worker that fell silent and was lost in one tick leaves a deadline behind that has passed.
            assert self.step(e.Tick()) == []
        assert (self.machine.next_deadline or math.inf) > self.now

    # What holds at all times, beside the rules.

    @invariant()
    def all_fits(self) -> None:
        self.every_trial_is_somewhere()
        self.no_deadline_is_missed()
        self.the_idle_are_those_who_wait_for_a_lease()
        self.nothing_waits_that_could_run()
        self.who_left_holds_nothing()
        self.a_worker_that_can_be_told_knows_its_lease()
        self.some_gang_is_there_for_the_trials()
        self.sound = True

    def every_trial_is_somewhere(self) -> None:
        assert set(self.machine.trials) == self.submitted - set(self.settled)

    def no_deadline_is_missed(self) -> None:
        assert (self.machine.next_deadline or math.inf) <= earliest_deadline(self.machine)

    def the_idle_are_those_who_wait_for_a_lease(self) -> None:
        free = {
            name
            for name, worker in self.machine.workers.items()
            if worker.state is WorkerState.READY and worker.lease is None
        }
        assert set(self.machine.idle) == free
        assert all(self.machine.workers[name].draining is None for name in free)

    def nothing_waits_that_could_run(self) -> None:
        machine = self.machine
        open_for_leases = not (machine.paused or machine.draining or machine.shut_down)
        if open_for_leases and machine.idle and machine.queues:
            assert machine.leased >= machine.limit

    def who_left_holds_nothing(self) -> None:
        for name, shadow in self.shadows.items():
            if shadow.left and name in self.machine.workers:
                assert self.machine.workers[name].state is WorkerState.GONE

    def a_worker_that_can_be_told_knows_its_lease(self) -> None:
        for name, worker in self.machine.workers.items():
            shadow = self.shadows[name]
            if shadow.connected and worker.lease is not None:
                assert shadow.running == worker.lease
            elif shadow.connected and worker.state is WorkerState.READY:
                assert shadow.running is None or shadow.told

    def some_gang_is_there_for_the_trials(self) -> None:
        machine = self.machine
        if machine.trials and machine.draining is None and not machine.shut_down:
            assert any(gang.goes_on for gang in machine.gangs.values())

    # How it ends.

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
TestEvents.settings = settings(
    max_examples=300,
    stateful_step_count=50,
    deadline=timedelta(seconds=20),
    database=None,
    # A counterexample has to be found, and made small, well within pytest's timeout.
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
