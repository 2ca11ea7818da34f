"""Gangs: who may join, relaunches with their backoff, giving up, sleeping, and a pool that is lost."""

from __future__ import annotations

import math

import pytest

from sparkopt.core import commands as c
from sparkopt.core.gangs import Gangs
from sparkopt.core.records import Policy
from sparkopt.core.states import GangState, Outcome
from tests.core.core_pool import Pool, assign, key, kinds, lease, released, settle


def gang_state(pool, gang=1):
    return pool.machine.gangs[gang].state


def relaunch(pool, worker, generation):
    """Wait for the backoff to end and have a worker of the new generation join."""
    launched = pool.wait_for_deadline()
    assert kinds(launched) == [c.LaunchGang]
    return pool.join(worker, generation=generation)


# Joining.


@pytest.mark.parametrize("generation", [0, 2])
def test_a_worker_of_another_generation_is_expelled(generation):
    pool = Pool("w1")
    pool.submit(0, 1)
    before = pool.picture()
    assert kinds(pool.join("w2", generation=generation)) == [c.Expel]
    assert pool.picture() == before


def test_a_worker_of_a_generation_that_has_ended_is_expelled():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_gang()
    assert kinds(pool.join("w1", lease(0))) == [c.Expel]
    pool.wait_for_deadline()
    assert kinds(pool.join("w1", lease(0))) == [c.Expel]
    assert pool.machine.workers == {}
    assert pool.join("v1", generation=2) == [assign("v1", 0, attempt=2)]


def test_a_worker_of_a_gang_that_nobody_launched_is_expelled():
    pool = Pool("w1")
    assert pool.join("w2", gang=7) == [c.Expel("w2", "the pool is closed")]


def test_a_worker_of_a_pool_that_has_shut_down_is_expelled():
    pool = Pool("w1")
    pool.drain()
    assert pool.join("w2") == [c.Expel("w2", "the pool is closed")]
    assert pool.join("w1") == [c.Expel("w1", "the pool is closed")]


def test_a_gang_is_up_with_its_first_worker():
    pool = Pool()
    assert gang_state(pool) is GangState.LAUNCHING
    pool.join("w1")
    assert gang_state(pool) is GangState.UP
    pool.join("w2")
    assert gang_state(pool) is GangState.UP


# The end of a gang.


def test_the_trials_of_a_gang_that_ended_are_requeued():
    pool = Pool("w1", "w2")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0, 1, 2, 3)
    assert pool.end_gang() == []
    assert pool.machine.counts().pending == 3
    leased = [pool.end("x1", 2)[-1], pool.end("x1", 1, attempt=2)[-1], pool.end("x1", 0, attempt=2)[-1]]
    assert leased == [assign("x1", 1, attempt=2), assign("x1", 0, attempt=2), assign("x1", 3)]


def test_the_trials_of_a_gang_that_ended_go_to_another_gang_at_once():
    pool = Pool("w1")
    pool.submit(0)
    pool.launch(2)
    pool.join("x1", gang=2)
    assert pool.end_gang() == [assign("x1", 0, attempt=2)]


def test_the_trial_of_the_worker_whose_loss_ended_the_gang_is_charged_and_no_other():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, max_attempts=1)
    assert pool.end_gang(reason="executor lost", lost={"w1"}) == [
        settle(0, "w1", Outcome.LOST, reason="its worker was lost while it ran it: executor lost")
    ]
    assert relaunch(pool, "v1", 2) == [assign("v1", 1, attempt=2)]


def test_if_nobody_says_which_worker_was_lost_it_is_one_that_could_not_be_reached():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, max_attempts=1)
    pool.cut("w2")
    (settled,) = pool.end_gang()
    assert (settled.trial.tid, settled.outcome) == (1, Outcome.LOST)


def test_a_worker_that_somebody_says_was_lost_counts_and_not_one_that_could_not_be_reached():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, max_attempts=1)
    pool.cut("w2")
    (settled,) = pool.end_gang(lost={"w1"})
    assert (settled.trial.tid, settled.outcome) == (0, Outcome.LOST)


def test_no_trial_is_charged_if_no_loss_is_known():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, max_attempts=1)
    assert pool.end_gang() == []
    assert pool.machine.counts().pending == 2


def test_no_trial_is_charged_if_the_gang_was_preempted():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, max_attempts=1)
    pool.cut("w2")
    assert pool.end_gang(lost={"w1"}, preempted=True) == []
    assert pool.machine.counts().pending == 2


@pytest.mark.parametrize("preempted", [True, False])
def test_a_worker_whose_loss_spark_explains_is_gone_and_its_trial_charged_unless_it_was_preempted(preempted):
    pool = Pool("w1", "w2")
    pool.submit(0, max_attempts=2)
    assert pool.explain("w1", preempted=preempted) == [assign("w2", 0, attempt=2)]
    assert pool.machine.trials[key(0)].charged == (not preempted)
    assert pool.explain("w1", preempted=preempted) == pool.explain("nobody", preempted=True) == []


def test_the_loss_of_a_worker_that_ran_nothing_charges_nobody():
    pool = Pool("w1", "w2")
    pool.submit(0, max_attempts=1)
    assert pool.end_gang(lost={"w2"}) == []
    assert pool.machine.counts().pending == 1


def test_a_long_trial_outlives_one_that_takes_the_gang_down_again_and_again():
    pool = Pool("w1", "w2", policy=Policy(max_relaunches=1))
    pool.submit(0, 1, 2, max_attempts=5)
    waits = []
    for generation in range(1, 6):
        killer = next(name for name, each in pool.machine.workers.items() if each.lease.trial.tid == 1)
        settled = pool.end_gang(generation=generation, lost={killer})
        assert len(settled) == (generation == 5)
        before = pool.now
        relaunch(pool, f"v{generation}", generation + 1)
        waits.append(pool.now - before)
        pool.join(f"u{generation}", generation=generation + 1)
    assert (settled[0].trial.tid, settled[0].outcome) == (1, Outcome.LOST)
    assert "5 workers were lost while they ran it" in settled[0].reason
    assert "interrupted" not in settled[0].reason
    assert waits == [1, 2, 4, 8, 1]
    assert pool.end("v5", 0, attempt=6) == [settle(0, "v5", attempt=6)]


def test_a_trial_that_is_lost_says_how_often_it_was_interrupted_for_no_fault_of_its_own():
    pool = Pool("w1", "w2")
    pool.submit(0, max_attempts=2)
    pool.end_gang(lost={"w2"})
    relaunch(pool, "v1", 2)
    pool.end_gang(generation=2, lost={"v1"})
    relaunch(pool, "u1", 3)
    (settled, *_) = pool.lose("u1", "it was killed")
    assert settled.reason == (
        "2 workers were lost while they ran it, the last one because it was killed"
        " (it was also interrupted once for no fault of its own, which does not count)"
    )


def test_a_loss_that_was_charged_before_its_gang_ended_explains_the_end():
    pool = Pool("w1", "w2", policy=Policy(max_relaunches=0))
    pool.submit(0, 1, max_attempts=3)
    pool.lose("w1")
    assert pool.end_gang(lost={"w1"}) == []
    relaunch(pool, "v1", 2)
    assert kinds(pool.end_gang(generation=2)) == [c.ShutDown]


def test_the_end_of_another_generation_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    before = pool.picture()
    assert pool.end_gang(generation=2) == []
    assert pool.end_gang(generation=0) == []
    assert pool.picture() == before


def test_a_gang_ends_once():
    pool = Pool("w1")
    pool.end_gang()
    before = pool.picture()
    assert pool.end_gang() == []
    assert pool.picture() == before


# A pool of several gangs.


def test_a_pool_outlives_a_gang_that_is_given_up():
    pool = Pool("w1")
    pool.launch(2)
    pool.submit(0, 1)
    assert pool.end_gang(2) == []
    assert gang_state(pool, 2) is GangState.CLOSED
    assert kinds(pool.join("x1", gang=2)) == [c.Expel]
    assert pool.end("w1", 0) == [settle(0, "w1"), assign("w1", 1)]


def test_a_pool_is_lost_with_its_last_gang():
    pool = Pool("w1", policy=Policy(max_relaunches=0))
    pool.launch(2)
    pool.join("x1", gang=2)
    assert pool.end_gang(1) == []
    assert kinds(pool.end_gang(2)) == [c.ShutDown]
    assert pool.end_gang(2) == []


def test_a_pool_that_waits_for_a_relaunch_is_not_lost():
    pool = Pool("w1")
    pool.launch(2)
    pool.end_gang(1)
    assert pool.end_gang(2) == []
    assert kinds(pool.wait(1)) == [c.LaunchGang]


# Gangs that are added later.


def test_a_gang_that_is_added_while_trials_run_takes_some_of_them():
    pool = Pool("w1", limit=2)
    pool.submit(0, 1, 2)
    pool.now = 500
    assert pool.launch(2) == []
    assert pool.join("x1", gang=2) == [assign("x1", 1)]
    assert pool.launch(3) == []
    assert pool.join("y1", gang=3) == []  # The limit holds all the same.


def test_a_gang_that_is_added_and_does_not_come_up_ends_nothing():
    pool = Pool("w1")
    pool.submit(0)
    pool.now = 500
    pool.launch(2)
    pool.beat("w1")
    assert pool.end_gang(2, reason="no slots") == []
    pool.launch(3)
    commands = []
    for _ in range(7):
        pool.beat("w1")
        commands += pool.wait(9)
    assert commands == [c.WithdrawGang(3, 1)]
    assert gang_state(pool, 3) is GangState.CLOSED
    assert pool.end_gang(3, reason="its launch was withdrawn", preempted=True) == []
    assert pool.end("w1", 0) == [settle(0, "w1")]


def test_a_gang_that_is_added_outlives_the_first_one():
    pool = Pool("w1", policy=Policy(max_relaunches=0))
    pool.submit(0)
    pool.launch(2)
    pool.join("x1", gang=2)
    assert pool.end_gang(1) == [assign("x1", 0, attempt=2)]


def test_a_gang_that_is_added_when_nothing_more_is_to_come_has_workers_that_leave():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_submissions()
    pool.launch(2)
    assert pool.join("x1", gang=2) == released("x1")


def test_a_gang_that_is_added_to_a_pool_that_ends_has_its_workers_sent_away():
    pool = Pool("w1")
    pool.submit(0)
    pool.drain()
    pool.launch(2)
    assert pool.join("x1", gang=2) == []
    assert kinds(pool.end("w1", 0)) == [c.Settle, c.Expel, c.Expel, c.ShutDown]
    assert pool.launch(3) == []
    assert kinds(pool.join("y1", gang=3)) == [c.Expel]
    assert pool.end_gang(3) == []


# Drain and shutdown.


def test_a_gang_that_ends_while_the_pool_drains_is_not_relaunched():
    pool = Pool("w1")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0, 1)
    pool.drain()
    assert pool.end_gang(1) == []
    assert pool.wait(5) == []
    assert gang_state(pool) is GangState.CLOSED


def test_a_gang_that_waits_for_its_relaunch_is_not_launched_by_a_pool_that_drains():
    pool = Pool("w1")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0, 1)
    pool.end_gang(1)
    assert pool.drain() == []
    assert pool.wait(5) == []


def test_a_gang_that_waits_for_its_relaunch_is_not_launched_by_a_pool_that_has_shut_down():
    pool = Pool("w1")
    pool.end_gang()
    assert kinds(pool.drain()) == [c.ShutDown]
    assert pool.wait(5) == []
    assert pool.machine.next_deadline is None


def test_a_gang_that_is_still_launching_when_the_pool_shuts_down_does_not_shut_it_down_again():
    pool = Pool()
    assert kinds(pool.drain()) == [c.ShutDown]
    assert pool.wait(100) == []
    assert pool.end_gang() == []


# Gangs alone, where the deadlines and trials of a machine would be in the way.


class Alone:
    """The gangs of a pool that does not end, and what they ask for."""

    def __init__(self) -> None:
        self.gangs = Gangs(Policy(start=60, relaunch_backoff=5))
        self.out: list[c.Command] = []

    def end(self, number, now, left=None):
        assert self.gangs.ended(number, "lost", now, False, left, False, False, self.out) is None

    def tick(self, now, left=None):
        """The relaunches of a tick, and when the next one is due."""
        self.out.clear()
        assert self.gangs.tick(now, False, left, self.out) is None
        return self.out, self.gangs.deadline


def test_the_deadline_is_that_of_the_gang_that_is_the_next_to_wait_for_time():
    alone = Alone()
    alone.gangs.launched(1, 1, now=0)
    alone.gangs.launched(2, 1, now=10)
    assert alone.gangs.deadline == 60
    alone.gangs.joined(1, "w", now=10)
    assert alone.tick(20) == ([], 70)
    alone.end(1, now=30)
    assert alone.gangs.deadline == 35
    assert alone.tick(34) == ([], 35)
    alone.gangs.joined(2, "w", now=35)
    assert alone.tick(35) == ([c.LaunchGang(1, 2, 1)], 95)
    alone.gangs.joined(1, "w", now=36)
    assert alone.tick(36) == ([], math.inf)


def test_a_gang_that_sleeps_does_not_wait_for_time_until_it_is_launched_again():
    alone = Alone()
    alone.gangs.launched(1, 1, now=0)
    alone.gangs.joined(1, "w", now=5)
    alone.end(1, now=10, left=0)
    assert alone.tick(20) == ([], math.inf)
    alone.gangs.wake(30, None, alone.out)
    assert (alone.out, alone.gangs.deadline) == ([c.LaunchGang(1, 2, 1)], 90)


@pytest.mark.parametrize(("left", "size"), [(None, 4), (9, 4), (3, 3), (0, 1)])
def test_a_gang_is_launched_again_with_a_worker_for_each_trial_that_is_left_and_one_at_least(left, size):
    alone = Alone()
    alone.gangs.launched(1, 4, now=0)
    alone.gangs.joined(1, "w", now=5)
    alone.end(1, now=10)
    assert alone.tick(15, left) == ([c.LaunchGang(1, 2, size)], 75)


def test_a_gang_that_progresses_has_more_time_to_start_but_not_for_ever():
    alone = Alone()
    alone.gangs.launched(1, 1, now=0)
    for now in range(50, 300, 50):
        alone.gangs.progressed(1, 1, now)
        assert alone.tick(now) == ([], min(now + 60, 300))
    alone.gangs.progressed(1, 1, now=299)
    assert alone.gangs.tick(299.5, False, None, []) is None
    assert alone.gangs.tick(300, False, None, []) == "no worker came up within 300 s"


def test_the_progress_of_another_generation_gives_no_time():
    alone = Alone()
    alone.gangs.launched(1, 1, now=0)
    alone.gangs.progressed(1, 2, now=50)
    assert alone.gangs.tick(60, False, None, []) == "no worker came up within 60 s"
    with pytest.raises(ValueError, match="gang 7 was never launched"):
        alone.gangs.progressed(7, 1, now=60)


def test_the_first_worker_of_a_gang_gives_the_others_more_time():
    alone = Alone()
    for gang in (1, 2):
        alone.gangs.launched(gang, 2, now=0)
    alone.gangs.joined(1, "w", now=50)
    assert alone.tick(60) == ([], 110)
    alone.gangs.joined(1, "w", now=70)  # its second, or its first once more
    assert alone.tick(100) == ([], 110)
    assert alone.tick(110) == ([c.WithdrawGang(2, 1)], math.inf)
    assert alone.gangs[2].state is GangState.CLOSED


def test_a_gang_that_is_launched_again_has_all_its_time_again():
    alone = Alone()
    alone.gangs.launched(1, 1, now=0)
    alone.gangs.progressed(1, 1, now=40)
    alone.gangs.joined(1, "w", now=90)
    alone.end(1, now=1000)
    assert alone.tick(1005) == ([c.LaunchGang(1, 2, 1)], 1065)
    alone.gangs.progressed(1, 2, now=1060)
    assert alone.tick(1065) == ([], 1120)
