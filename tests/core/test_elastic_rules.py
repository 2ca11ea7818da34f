"""The watch over elastic pools itself: for every rule, a machine or an answer that breaks it is found out."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.states import TrialState
from tests.core.core_pool import ElasticPool, key
from tests.core.core_rules import TICK, RuleBroken


@pytest.fixture
def pool():
    """Trials 0 and 1 run on w0 and w1; launch 2 waits, for trial 2."""
    pool = ElasticPool(limit=3)
    pool.up(2)
    pool.submit(2, 3)
    return pool


def breaks(pool, rule, *commands, event=TICK):
    """The watch finds this rule broken by a step with these commands."""
    with pytest.raises(RuleBroken, match=f"^rule {rule}:"):
        pool._watch.after(list(commands), event, pool.now)


# 6. A trial is held as long as its last loss may be a preemption.


def test_a_trial_that_is_held_though_it_may_lose_more_workers(pool):
    pool.lose("w0")
    pool.step(e.Paused())
    pool.machine.queues["blue"].remove(key(0))
    pool.machine.trials[key(0)].state = TrialState.HELD
    breaks(pool, 6)


def test_a_trial_that_is_held_and_that_nobody_waits_for(pool):
    pool.step(e.Paused())
    pool.submit(4, max_attempts=1)
    pool.machine.queues["blue"].remove(key(4))
    pool.machine.trials[key(4)].state, pool.machine.trials[key(4)].charged = TrialState.HELD, 1
    breaks(pool, 6)


# 8. As many as are wanted.


def test_a_worker_that_is_wanted_and_not_launched(pool):
    pool.machine.step(e.LimitChanged(4), 0.0)  # and what follows is not told
    breaks(pool, 8)


def test_a_launch_beyond_what_is_wanted(pool):
    breaks(pool, 8, c.LaunchGang(3, 1, 1))


def test_one_that_the_fleet_has_forgotten(pool):
    del pool.machine.gangs._waiting[2]
    breaks(pool, 8)


# 9. One job for a seat at a time.


@pytest.mark.parametrize(
    "command",
    [
        c.LaunchGang(2, 2, 1),  # its job has not ended
        c.LaunchGang(3, 2, 1),  # it has had no first one
        c.LaunchGang(3, 1, 2),  # of two workers
        c.WithdrawGang(0, 1),  # its worker is here
        c.WithdrawGang(2, 2),  # there is no such job
        c.WithdrawGang(7, 1),
    ],
)
def test_a_launch_or_a_withdrawal_out_of_turn(pool, command):
    breaks(pool, 9, command)


def test_a_withdrawal_that_comes_twice(pool):
    breaks(pool, 9, c.WithdrawGang(2, 1), c.WithdrawGang(2, 1))


# 10. No launch is left behind.


@pytest.mark.parametrize("ending", ["all_submitted", "draining"])
def test_a_launch_that_is_kept_though_none_is_needed(pool, ending):
    pool.step(e.LimitChanged(2))
    setattr(pool.machine, ending, "enough")
    breaks(pool, 10)
