"""Elastic pools: launches and withdrawals as workers are wanted, and idle workers that leave."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.fleet import UNNEEDED
from sparkopt.core.records import Elastic, Policy
from sparkopt.core.states import SeatState
from sparkopt.core.surplus import IDLE
from tests.core.core_pool import ElasticPool, assign, kinds, released, settle


def launch(*gangs, generation=1):
    return [c.LaunchGang(gang, generation, 1) for gang in gangs]


def withdraw(*gangs, generation=1):
    return [c.WithdrawGang(gang, generation) for gang in gangs]


def state(pool, gang):
    return pool.machine.gangs[gang].state


# Launches.


def test_nothing_is_launched_before_there_are_trials():
    pool = ElasticPool()
    assert pool.wait(1000) == []
    assert pool.machine.next_deadline is None
    assert (pool.machine.wanted, pool.machine.waiting) == (0, 0)


def test_a_worker_is_launched_for_each_trial_up_to_the_limit():
    pool = ElasticPool(limit=3)
    assert pool.submit(0) == launch(0)
    assert pool.submit(1, 2, 3, 4) == launch(1, 2)
    assert (pool.machine.wanted, pool.machine.waiting) == (3, 3)
    assert pool.submit(5) == []


def test_no_more_are_launched_than_the_policy_allows():
    pool = ElasticPool(limit=1000, policy=Policy(cap=2))
    assert pool.submit(*range(5)) == launch(0, 1)


def test_each_worker_begins_when_it_comes_and_waits_for_no_other():
    pool = ElasticPool(limit=3)
    pool.submit(0, 1, 2, 3)
    assert pool.join("w1", gang=1) == [assign("w1", 0)]
    assert pool.end("w1", 0) == [settle(0, "w1"), assign("w1", 1)]
    assert pool.join("w0", gang=0) == [assign("w0", 2)]
    assert pool.machine.waiting == 1


def test_who_was_busy_last_is_busy_next_so_that_the_others_may_leave():
    pool = ElasticPool(limit=3)
    pool.submit(0, 1, 2)
    for number in range(3):
        pool.join(f"w{number}", gang=number)
    for number in range(3):
        pool.end(f"w{number}", number)
    assert pool.submit(3, 4) == [assign("w2", 3), assign("w1", 4)]


def test_a_larger_limit_launches_more():
    pool = ElasticPool(limit=1)
    pool.submit(0, 1, 2)
    assert pool.step(e.LimitChanged(2)) == launch(1)


def test_the_shell_launches_nothing_by_itself():
    pool = ElasticPool()
    with pytest.raises(ValueError, match="says by itself what to launch"):
        pool.launch(1)


def test_gangs_are_known_once_they_were_launched():
    pool = ElasticPool()
    pool.submit(0)
    assert list(pool.machine.gangs) == [0]
    with pytest.raises(ValueError, match="gang 1 was never launched"):
        pool.end_gang(1)


# Withdrawals.


def test_launches_that_no_trial_needs_are_withdrawn_after_a_while_the_last_first():
    pool = ElasticPool(elastic=Elastic(surplus=2))
    pool.submit(0, 1, 2, 3)
    assert [*kinds(pool.cancel(1)), *kinds(pool.cancel(2))] == [c.Settle, c.Settle]
    assert pool.wait(1.9) == []
    assert pool.wait(0.1) == withdraw(3)  # what was not needed all that time
    assert pool.wait(2) == withdraw(2)
    assert pool.join("w2", gang=2) == [c.Expel("w2", UNNEEDED)]
    assert pool.machine.waiting == 2


def test_a_study_that_proposes_as_its_trials_end_has_no_launch_withdrawn():
    pool = ElasticPool(limit=4, elastic=Elastic(surplus=2))
    pool.submit(0, 1, 2, 3)
    pool.join("w0", gang=0)
    done = []
    for tid in range(4, 24):
        running = pool.machine.workers["w0"].lease.trial.tid
        done += pool.end("w0", running)
        done += pool.wait(1.5)
        done += pool.submit(tid)
        pool.beat("w0")
    assert set(kinds(done)) == {c.Settle, c.Assign}


def test_what_was_needed_meanwhile_is_not_withdrawn():
    pool = ElasticPool(elastic=Elastic(surplus=2))
    pool.submit(0, 1, 2, 3)
    pool.cancel(2)
    pool.cancel(3)
    pool.wait(1)
    assert pool.submit(4) == []
    assert pool.wait(1) == withdraw(3)


def test_launches_are_withdrawn_at_once_when_nothing_more_is_to_come():
    pool = ElasticPool()
    pool.submit(0, 1, 2)
    assert pool.end_submissions() == []
    assert pool.cancel(1)[1:] == withdraw(2)
    pool.join("w0", gang=0)
    assert pool.end("w0", 0) == [settle(0, "w0"), assign("w0", 2), *withdraw(1)]
    assert pool.end("w0", 2) == [settle(2, "w0"), *released("w0")]


def test_a_smaller_limit_withdraws_launches():
    pool = ElasticPool(limit=3)
    pool.submit(0, 1, 2)
    assert pool.step(e.LimitChanged(1)) == []
    assert pool.wait(2) == withdraw(2, 1)


def test_the_seat_of_a_launch_that_was_withdrawn_is_launched_again_once_that_has_ended():
    pool = ElasticPool()
    pool.submit(0)
    pool.cancel(0)
    assert pool.wait(2) == withdraw(0)
    assert pool.submit(1) == launch(1)
    assert pool.end_gang(0, preempted=True) == []
    assert pool.submit(2) == launch(0, generation=2)


def test_a_launch_that_was_withdrawn_and_fails_is_no_failure():
    pool = ElasticPool()
    pool.submit(0, 1)
    pool.cancel(0)
    pool.wait(2)
    assert pool.end_gang(1, reason="cancelled") == []
    assert not pool.machine.shut_down


# Idle workers.


def test_a_worker_that_was_idle_for_long_enough_leaves_and_its_seat_is_launched_again_when_trials_come():
    pool = ElasticPool(elastic=Elastic(idle=20))
    pool.up(2)
    pool.now += 5
    assert pool.end("w0", 0) == [settle(0, "w0")]
    pool.now += 19.9
    pool.beat("w0", "w1")
    assert pool.step(e.Tick()) == []
    pool.now += 0.1
    assert pool.step(e.Tick()) == [c.Expel("w0", IDLE)]
    assert state(pool, 0) is SeatState.VACANT
    assert pool.end_gang(0) == []
    assert state(pool, 0) is SeatState.ASLEEP
    assert pool.submit(2) == launch(0, generation=2)
    assert pool.join("v0", gang=0, generation=2) == [assign("v0", 2)]


def test_a_worker_is_idle_since_its_last_trial():
    pool = ElasticPool(elastic=Elastic(idle=8))
    pool.up(1)
    for tid in range(1, 5):
        pool.end("w0", tid - 1)
        pool.wait(5)
        assert pool.submit(tid) == [assign("w0", tid)]
        pool.wait(5)
    pool.end("w0", 4)
    assert pool.wait(7.9) == []
    assert pool.wait(0.1) == [c.Expel("w0", IDLE)]


def test_a_worker_that_is_not_idle_does_not_leave():
    pool = ElasticPool(elastic=Elastic(idle=5))
    pool.up(1)
    for _ in range(10):
        pool.beat("w0")
        assert pool.wait(3) == []


def test_workers_beyond_a_smaller_limit_leave_when_they_were_idle():
    pool = ElasticPool(limit=2, elastic=Elastic(idle=5))
    pool.up(3)
    pool.step(e.LimitChanged(1))
    assert pool.end("w0", 0) == [settle(0, "w0")]
    assert pool.wait(5) == [c.Expel("w0", IDLE)]


def test_a_trial_that_comes_back_in_the_same_moment_is_run_by_the_worker_that_would_have_left():
    pool = ElasticPool(limit=2, elastic=Elastic(idle=30))
    pool.up(2)
    pool.end("w1", 1)
    pool.cut("w0")
    pool.now += 30
    pool.beat("w1")
    assert pool.step(e.Tick())[1:] == [assign("w1", 0, attempt=2)]


def test_at_the_end_of_a_search_all_leave_at_once():
    pool = ElasticPool(limit=4)
    pool.up(3)
    pool.submit(3)
    pool.end_submissions()
    leave = [pool.end(f"w{tid}", tid) for tid in range(3)]
    assert leave == [
        [settle(0, "w0"), assign("w0", 3), *withdraw(3)],
        [settle(1, "w1"), *released("w1")],
        [settle(2, "w2"), *released("w2")],
    ]


# Pause, drain, shutdown.


def test_a_pause_launches_nothing_and_idle_workers_leave():
    pool = ElasticPool(limit=2, elastic=Elastic(idle=5))
    pool.up(1)
    pool.step(e.Paused())
    assert pool.submit(1, 2) == []
    pool.end("w0", 0)
    assert pool.wait(5) == [c.Expel("w0", IDLE)]
    pool.end_gang(0)
    assert pool.wait(1000) == []
    assert pool.step(e.Resumed()) == launch(0, generation=2) + launch(1)


def test_a_pool_that_drains_withdraws_its_launches_at_once():
    pool = ElasticPool(limit=3)
    pool.up(1)
    pool.submit(1, 2)
    assert pool.drain() == withdraw(2, 1)
    assert pool.submit(3) == []
    assert pool.end("w0", 0) == [
        settle(0, "w0"),
        c.Expel("w0", "maintenance"),
        c.ShutDown("maintenance", failed=False),
    ]
    assert pool.end_gang(0) == pool.end_gang(1) == []
    assert state(pool, 0) is state(pool, 1) is SeatState.CLOSED
    assert pool.join("w1", gang=1) == [c.Expel("w1", "the pool is closed")]


def test_a_pool_that_ends_does_not_wait_for_the_task_of_a_worker_that_was_lost():
    pool = ElasticPool()
    pool.up(1)
    pool.lose("w0")
    assert pool.drain()[:-1] == withdraw(1, 0)


def test_a_pool_that_is_lost_lets_its_workers_leave_by_themselves():
    pool = ElasticPool(limit=2, policy=Policy(grace=30))
    pool.up(2)
    pool.drain()
    pool.end("w0", 0)
    assert kinds(pool.end("w1", 1))[-1] is c.ShutDown
    assert pool.wait(29) == []
    assert pool.wait(1) == withdraw(0, 1)


def test_a_worker_that_drains_is_replaced_before_it_leaves():
    pool = ElasticPool(limit=1)
    pool.up(1)
    assert pool.drain("w0") == launch(1)
    assert pool.join("w1", gang=1) == []
    assert pool.end("w0", 0) == [settle(0, "w0"), c.Expel("w0", "maintenance")]


def test_a_worker_that_drains_is_not_replaced_if_no_trial_needs_that():
    pool = ElasticPool()
    pool.up(1)
    pool.end("w0", 0)
    assert pool.drain("w0") == [c.Expel("w0", "maintenance")]


# Lost workers.


def test_a_worker_that_is_lost_is_replaced_at_once_by_another_seat():
    pool = ElasticPool()
    pool.up(2)
    assert pool.lose("w0") == launch(2)
    assert pool.come(*launch(2)) == [assign("w2", 0, attempt=2)]
    assert pool.wait(9.9) == []
    assert pool.wait(0.1) == withdraw(0)


def test_a_job_that_does_not_end_after_its_worker_was_sent_away_is_withdrawn_after_the_grace():
    pool = ElasticPool(policy=Policy(grace=30))
    pool.up(1)
    pool.end("w0", 0)
    pool.drain("w0")
    assert pool.wait(29.9) == []
    assert pool.wait(0.1) == withdraw(0)


def test_a_worker_that_is_out_of_reach_is_not_replaced_within_its_grace():
    pool = ElasticPool()
    pool.up(1)
    assert pool.cut("w0") == []
    assert pool.wait(29) == []
    assert kinds(pool.wait(1)) == [c.Expel, c.LaunchGang]


def test_a_worker_that_was_given_up_and_comes_again_is_taken_if_it_is_wanted():
    pool = ElasticPool()
    pool.up(1)
    pool.cut("w0")
    pool.wait(30)
    assert pool.join("w0+", gang=0, formerly="w0") == [assign("w0+", 0, attempt=2)]
    assert pool.wait(2) == withdraw(1)


def test_a_worker_that_was_given_up_and_comes_again_too_late_is_expelled():
    pool = ElasticPool()
    pool.up(1)
    pool.cut("w0")
    pool.wait(30)
    pool.come(*launch(1))
    assert pool.join("w0+", gang=0, formerly="w0") == [c.Expel("w0+", UNNEEDED)]
