"""Elastic pools whose launches fail or do not come up: what is sat out, and what ends the pool."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.records import Policy
from tests.core.core_pool import ElasticPool, assign, kinds, settle

PATIENT = Policy(silence=1e6, grace=1e7)
"""Nobody is lost by silence."""


def launches(*gangs, generation=1):
    return [c.LaunchGang(gang, generation, 1) for gang in gangs]


@pytest.fixture
def pool():
    """Trial 0 runs on w0; launch 1 waits, for trial 1."""
    pool = ElasticPool(policy=PATIENT)
    pool.up(1)
    pool.submit(1)
    return pool


# Failures.


def test_a_launch_that_fails_before_any_worker_ever_joined_ends_the_pool_at_once():
    pool = ElasticPool()
    pool.submit(0, 1)
    assert pool.end_gang(1, reason="no such resource profile") == [
        c.ShutDown("no such resource profile", failed=True),
        c.WithdrawGang(0, 1),
    ]


def test_a_launch_that_fails_is_made_again_after_a_wait(pool):
    assert pool.end_gang(1, reason="no Python") == []
    assert pool.wait(0.9) == []
    assert pool.wait(0.1) == launches(1, generation=2)


def test_the_wait_doubles_with_each_failure_in_a_row(pool):
    waits = []
    for generation in range(1, 9):
        assert pool.end_gang(1, generation) == []
        before = pool.now
        while not pool.wait_for_deadline():
            pass
        waits.append(pool.now - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_launches_that_fail_together_are_one_failure(pool):
    pool.submit(2, 3, 4)
    pool.now = 1
    for gang in (1, 2, 3):
        assert pool.end_gang(gang) == []
        pool.now += 0.25
    assert pool.wait(0.25) == launches(3, 2, 1, generation=2)
    assert pool.end_gang(4) == launches(4, generation=2)
    pool.now = 3
    assert pool.end_gang(3, generation=2) == []
    assert pool.wait(1.75) == []
    assert kinds(pool.wait(0.25)) == [c.LaunchGang]


def test_too_many_failures_in_a_row_end_a_pool_that_has_no_worker(pool):
    pool.lose("w0")
    for generation in (1, 2, 3):
        assert pool.end_gang(1, generation) == []
        pool.wait(8)
    assert pool.end_gang(1, 4, reason="no Python")[0] == c.ShutDown(
        "no Python (workers failed 4 times in a row, with no trial settled)", failed=True
    )


def test_as_long_as_there_is_a_worker_they_do_not(pool):
    for generation in range(1, 20):
        assert pool.end_gang(1, generation) == []
        assert pool.wait(60) == launches(1, generation=generation + 1)
    assert pool.end("w0", 0) == [settle(0, "w0"), assign("w0", 1)]


def test_a_trial_that_settles_starts_the_count_anew(pool):
    for generation in (1, 2, 3):
        pool.end_gang(1, generation)
        pool.wait(60)
    pool.end("w0", 0)
    pool.submit(2)
    pool.end_gang(1, 4)
    assert pool.wait(1) == launches(1, generation=5)


@pytest.mark.parametrize("kills", [20])
def test_twenty_executors_that_are_killed_one_after_the_other_end_nothing(kills):
    pool = ElasticPool(policy=PATIENT)
    launch = pool.submit(0, max_attempts=100)[0]
    for _ in range(kills):
        pool.come(launch, f"w{launch.gang}.{launch.generation}")
        assert pool.end_gang(launch.gang, launch.generation, "executor lost") == launches(
            launch.gang, generation=launch.generation + 1
        )
        launch = c.LaunchGang(launch.gang, launch.generation + 1, 1)
    assert pool.machine.trials[("blue", 0)].charged == kills


def test_launches_that_are_preempted_end_nothing_and_wait_for_nothing():
    pool = ElasticPool()
    pool.submit(0)
    for generation in range(1, 40):
        assert pool.end_gang(0, generation, preempted=True) == launches(0, generation=generation + 1)


def test_a_worker_that_is_lost_while_it_is_idle_is_a_failure_unless_it_was_preempted():
    pool = ElasticPool(limit=2, policy=PATIENT)
    pool.up(2)
    pool.end("w1", 1)
    pool.step(e.Paused())
    pool.submit(2)
    assert pool.explain("w1", preempted=True) == []
    assert pool.end_gang(1, reason="executor lost") == []
    assert pool.step(e.Resumed()) == launches(1, generation=2)
    pool.step(e.Paused())
    pool.join("v1", gang=1, generation=2)
    assert pool.end_gang(1, 2, "out of memory") == []
    assert pool.step(e.Resumed()) == []
    assert pool.wait(1) == launches(1, generation=3)


def test_failures_of_launches_that_nobody_needs_any_more_do_not_count():
    pool = ElasticPool()
    pool.submit(0)
    pool.cancel(0)
    assert pool.end_gang(0, reason="no Python") == []
    assert pool.submit(1) == launches(0, generation=2)


# Patience.


def test_a_pool_without_a_worker_is_given_up_after_the_start_time():
    pool = ElasticPool(policy=Policy(start=60))
    pool.submit(0, 1)
    assert pool.wait(59.9) == []
    assert pool.wait(0.1)[0] == c.ShutDown("no worker came up within 60 s", failed=True)
    assert kinds(pool.join("w0", gang=0)) == [c.Expel]


def test_progress_gives_it_more_time_but_not_for_ever():
    pool = ElasticPool(policy=Policy(start=60, start_limit=5))
    pool.submit(0)
    for _ in range(5):
        assert pool.wait(55) == []
        pool.step(e.GangProgressed(0, 1))
    assert pool.wait(24.9) == []
    assert pool.wait(0.1)[0] == c.ShutDown("no worker came up within 300 s", failed=True)


def test_the_time_begins_when_there_is_something_to_wait_for():
    pool = ElasticPool()
    assert pool.wait(1000) == []
    pool.submit(0)
    assert pool.wait(59) == []
    pool.cancel(0)
    assert kinds(pool.wait(2)) == [c.WithdrawGang]
    assert pool.wait(1000) == []
    pool.submit(1)
    assert pool.wait(59) == []


def test_a_launch_may_wait_for_ever_while_the_pool_has_a_worker(pool):
    for _ in range(50):
        assert pool.wait(60) == []
    assert pool.join("w1", gang=1) == [assign("w1", 1)]


def test_the_time_begins_anew_when_the_last_worker_is_lost(pool):
    pool.wait(1000)
    pool.lose("w0")
    assert c.ShutDown not in kinds(pool.wait(59))
    assert c.ShutDown in kinds(pool.wait(1))


def test_a_pause_takes_no_time_from_it():
    pool = ElasticPool()
    pool.submit(0)
    pool.wait(50)
    pool.step(e.Paused())
    assert pool.wait(1000) == []
    pool.step(e.Resumed())
    assert pool.wait(59) == []
    assert c.ShutDown in kinds(pool.wait(1))


def test_the_wait_after_a_failure_takes_no_time_from_it(pool):
    pool = ElasticPool(policy=Policy(start=5, relaunch_backoff=20, grace=1e7, silence=1e6))
    pool.up(1)
    pool.submit(1)
    pool.end_gang(1)
    pool.end_gang(0, reason="executor lost")
    assert pool.wait(19) == []
    assert kinds(pool.wait(1)) == [c.LaunchGang, c.LaunchGang]
    assert pool.wait(4.9) == []
    assert c.ShutDown in kinds(pool.wait(0.1))
