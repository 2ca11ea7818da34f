"""Any sequence of events, sensible or not, for a machine that is held to the rules after each.

Beside the machine runs a model of what the shell and the workers would see: which stream stands, what each
worker runs and whether it was told to end it. The rules speak of the machine's records; the model says that
they fit the world. Here is what both kinds of pool have in common.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
ENDS = st.sampled_from([Outcome.OK, Outcome.FAILED, Outcome.PRUNED])
SETTINGS = settings(
    stateful_step_count=50,
    deadline=timedelta(seconds=20),
    database=None,
    # A counterexample has to be found, and made small, well within pytest's timeout.
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


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
    formerly: str | None = None
    task_attempt: int = 0


class PoolEvents(RuleBasedStateMachine):
    """Events from studies, workers and operators, for a machine of either kind."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.now = 0.0
        self.machine = machine
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
        self.watch.after(commands, event, self.now)
        for command in commands:
            self.carry_out(command)
        return commands

    def carry_out(self, command: c.Command) -> None:
        if isinstance(command, c.Settle):
            self.settled[command.trial] = command.outcome
        elif isinstance(command, c.LaunchGang):
            self.generations[command.gang] = self.generations.get(command.gang, 0) + 1
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

    @rule(data=st.data())
    def prune_what_runs(self, data) -> None:
        if running := [shadow.running for shadow in self.shadows.values() if shadow.running is not None]:
            trial = self.draw(data, running).trial
            self.step(e.PruneRequested(trial.study, trial.tid, "worse than others"))

    @rule(study=st.sampled_from(STUDIES), tid=st.integers(0, 12))
    def prune(self, study: str, tid: int) -> None:
        self.step(e.PruneRequested(study, tid, "worse than others"))

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

    def hello(self, shadow: Shadow, holding: Lease | None) -> list[c.Command]:
        """A worker comes up on a new stream and tells the truth, which is ``holding``."""
        self.shadows[shadow.name] = shadow
        shadow.connected = True
        if holding != shadow.running:
            shadow.running, shadow.told = holding, False
        return self.step(
            e.WorkerJoined(
                shadow.name, shadow.gang, shadow.generation, holding, shadow.formerly, shadow.task_attempt
            )
        )

    def step_that_asks_for_nothing(self, event: e.Event) -> None:
        """Assert that no command follows, unless the time for something has come before the event."""
        due = earliest_deadline(self.machine) <= self.now
        commands = self.step(event)
        assert due or commands == []

    @rule(data=st.data())
    def cut(self, data) -> None:
        if shadow := self.some_shadow(data, connected=True):
            shadow.connected = False
            self.step_that_asks_for_nothing(e.StreamLost(shadow.name))

    @rule(data=st.data())
    def cut_of_whatever(self, data) -> None:
        name = self.some_worker(data)
        if name in self.shadows:
            self.shadows[name].connected = False
        self.step_that_asks_for_nothing(e.StreamLost(name))

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
        elif outcome is not Outcome.CANCELLED:
            verdict = "worse than others" if self.machine.trials[lease.trial].ends_as is outcome else ""
            settled = c.Settle(lease.trial, lease.attempt, outcome, shadow.name, verdict)
            assert self.step(event)[0] == settled
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

    def somebody_is_there_for_the_trials(self) -> None:
        """Assert that some worker or launch will take the trials; each kind of pool says how."""
        raise NotImplementedError

    @invariant()
    def all_fits(self) -> None:
        self.every_trial_is_somewhere()
        self.no_deadline_is_missed()
        self.the_idle_are_those_who_wait_for_a_lease()
        self.nothing_waits_that_could_run()
        self.who_left_holds_nothing()
        self.a_worker_that_can_be_told_knows_its_lease()
        self.somebody_is_there_for_the_trials()
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
