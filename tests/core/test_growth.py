"""Pools of barrier jobs that grow: when a gang may be added for slots that Spark has now, and how large."""

from __future__ import annotations

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.records import Policy
from tests.core.core_pool import ElasticPool, Pool

START = Policy().start


def growth(pool, room=3):
    return pool.machine.growth(room, pool.now)


def test_a_pool_may_grow_as_long_as_trials_may_come():
    pool = Pool("w1")
    assert growth(pool) == 3
    pool.submit(0, 1)
    assert growth(pool) == 3


def test_when_nothing_more_is_to_come_it_grows_by_the_trials_that_wait():
    pool = Pool("w1")
    pool.submit(0, 1, 2)
    pool.end_submissions()
    assert (growth(pool), growth(pool, room=1)) == (2, 1)
    pool.cancel(1)
    pool.cancel(2)
    assert growth(pool) == 0
    pool.submit(3)
    assert growth(pool) == 3  # More may come after all.


def test_a_pool_that_is_paused_or_ends_does_not_grow():
    pool = Pool("w1")
    pool.submit(0)
    pool.step(e.Paused())
    assert growth(pool) == 0
    pool.step(e.Resumed())
    assert growth(pool) == 3
    pool.drain()
    assert growth(pool) == 0


def test_one_gang_is_added_at_a_time():
    pool = Pool("w1")
    pool.launch(2)
    assert growth(pool) == 0
    pool.join("x1", gang=2)
    assert growth(pool) == 3


def test_a_gang_that_is_to_be_launched_again_gets_the_slots():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_gang()
    assert growth(pool) == 0
    pool.wait_for_deadline()
    assert growth(pool) == 0
    pool.join("v1", generation=2)
    assert growth(pool) == 3


def test_so_does_one_that_sleeps():
    pool = Pool("w1", "w2")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0)
    pool.end_submissions()
    pool.end_gang(2)  # its worker has left
    assert growth(pool) == 0


def test_after_a_gang_was_given_up_the_next_one_waits_ever_longer():
    pool = Pool("w1")
    gang, waited = 1, []
    for _ in range(8):
        gang += 1
        pool.launch(gang)
        pool.end_gang(gang, reason="its executor's Python is broken")
        began = pool.now
        while not growth(pool):
            pool.beat("w1")
            pool.wait(5)
        waited.append(pool.now - began)
    assert waited == [START * factor for factor in (1, 2, 4, 8, 16, 32, 64, 64)]


def test_the_wait_begins_anew_once_a_gang_has_come_up():
    pool = Pool("w1")
    for gang in (2, 3):
        pool.launch(gang)
        pool.end_gang(gang, reason="no such executor")
    pool.launch(4)
    pool.join("x1", gang=4)
    pool.launch(5)
    pool.end_gang(5, reason="no such executor")
    pool.now += START
    assert growth(pool) == 3


def test_the_slots_of_a_gang_that_was_given_up_are_for_another():
    pool = Pool("w1", policy=Policy(max_relaunches=0))
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.end_gang(2)
    assert growth(pool) == 0
    pool.now += START
    assert growth(pool) == 3


def test_the_launch_of_one_that_did_not_come_up_is_withdrawn():
    pool = Pool("w1")
    pool.submit(0)
    pool.launch(2)
    pool.now += START
    pool.beat("w1")
    assert pool.wait(0) == [c.WithdrawGang(2, 1)]
    assert growth(pool) == 0
    pool.now += START
    assert growth(pool) == 3


def test_an_elastic_pool_launches_by_itself():
    pool = ElasticPool()
    pool.submit(0)
    assert growth(pool) == 0
