"""Steps that cost the same however many workers there are, by the bytecodes that the core executes for them.

That is counted rather than timed: a clock tells nothing of a machine that others use as well.
"""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Elastic
from sparkopt.core.states import Outcome

FEW, MANY = 4, 128


def cost(machine: Machine, event: e.Event, now: float) -> tuple[int, list[c.Command]]:
    """The number of bytecodes that a step executes, and its answer."""
    executed = 0

    def trace(frame: FrameType, what: str, _: object):
        nonlocal executed
        frame.f_trace_opcodes = True
        executed += what == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        commands = machine.step(event, now)
    finally:
        sys.settrace(before)
    return executed, commands


def elastic_pool(workers: int) -> Machine:
    """An elastic pool whose workers each run a trial."""
    machine = Machine(MANY, elastic=Elastic(idle=20))
    for launch in machine.step(e.TrialsSubmitted("blue", tuple(range(workers))), 0):
        machine.step(e.WorkerJoined(f"w{launch.gang}", launch.gang, 1), 0)
    return machine


def asleep(workers: int) -> Machine:
    """An elastic pool whose workers have all left, being idle, and whose jobs have ended."""
    machine = elastic_pool(workers)
    for worker in range(workers):
        lease = machine.workers[f"w{worker}"].lease
        machine.step(e.OutcomeArrived(f"w{worker}", lease, Outcome.OK, 1), 1)
    machine.step(e.Tick(), 21)
    for worker in range(workers):
        machine.step(e.GangEnded(worker, 1, "its job ended"), 22)
    assert machine.present() == set()
    assert len(machine.gangs) == workers
    return machine


def barrier_pool(workers: int) -> Machine:
    """A pool of as many gangs of one worker, which each run a trial."""
    machine = Machine(MANY)
    for gang in range(workers):
        machine.step(e.GangLaunched(gang, 1), 0)
        machine.step(e.WorkerJoined(f"w{gang}", gang, 1), 0)
    machine.step(e.TrialsSubmitted("blue", tuple(range(workers))), 0)
    return machine


def submission(machine: Machine) -> e.Event:
    return e.TrialsSubmitted("blue", (1000,))


def outcome(machine: Machine) -> e.Event:
    return e.OutcomeArrived("w1", machine.workers["w1"].lease, Outcome.OK, 1)


@pytest.mark.parametrize(
    ("pool", "event", "answer"),
    [
        (asleep, submission, [c.LaunchGang]),
        (elastic_pool, outcome, [c.Settle]),
        (barrier_pool, submission, []),
        (barrier_pool, outcome, [c.Settle]),
    ],
)
def test_a_step_costs_the_same_for_few_workers_and_for_many(pool, event, answer):
    costs = set()
    for workers in (FEW, MANY):
        machine = pool(workers)
        executed, commands = cost(machine, event(machine), 30)
        assert [type(command) for command in commands] == answer
        costs.add(executed)
    assert len(costs) == 1, costs


def test_a_submission_to_a_pool_of_128_that_sleep_launches_one_and_looks_at_no_other():
    machine = asleep(MANY)
    first, _ = cost(machine, e.TrialsSubmitted("blue", (1000,)), 30)
    second, commands = cost(machine, e.TrialsSubmitted("blue", (1001,)), 30)
    assert [type(command) for command in commands] == [c.LaunchGang]
    assert second <= first


def test_launching_costs_in_proportion_to_what_is_launched():
    one, _ = cost(asleep(MANY), e.TrialsSubmitted("blue", (1000,)), 30)
    many, commands = cost(asleep(MANY), e.TrialsSubmitted("blue", tuple(range(1000, 1100))), 30)
    assert len(commands) == 100
    assert many < 100 * one


def test_withdrawing_does_too():
    costs = {}
    for trials in (FEW, MANY):
        machine = Machine(MANY, elastic=Elastic())
        machine.step(e.TrialsSubmitted("blue", tuple(range(trials))), 0)
        machine.step(e.CancelRequested("blue", 0, "not wanted"), 1)
        costs[trials], commands = cost(machine, e.Tick(), 3)
        assert commands == [c.WithdrawGang(trials - 1, 1)]
    assert len(set(costs.values())) == 1, costs
