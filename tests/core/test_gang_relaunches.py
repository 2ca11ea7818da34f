"""Gangs that are launched again, given up, or not needed any more."""

from __future__ import annotations

from sparkopt.core import commands as c
from sparkopt.core.records import Policy
from sparkopt.core.states import GangState, Outcome
from tests.core.core_pool import Pool, assign, kinds, released, settle


def gang_state(pool, gang=1):
    return pool.machine.gangs[gang].state


def relaunch(pool, worker, generation):
    """Wait for the backoff to end and have a worker of the new generation join."""
    launched = pool.wait_for_deadline()
    assert kinds(launched) == [c.LaunchGang]
    return pool.join(worker, generation=generation)


# Relaunches.


def test_a_gang_that_ended_is_relaunched_after_a_backoff():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.end_gang()
    assert gang_state(pool) is GangState.DOWN
    assert pool.wait(0.9) == []
    assert pool.wait(0.1) == [c.LaunchGang(gang=1, generation=2, size=2)]
    assert pool.wait(0) == []
    assert gang_state(pool) is GangState.LAUNCHING
    assert pool.join("v1", generation=2) == [assign("v1", 0, attempt=2)]


def test_the_backoff_doubles_up_to_its_limit():
    pool = Pool("w1", policy=Policy(relaunch_backoff=2, relaunch_backoff_limit=7, max_relaunches=4))
    waits = []
    for generation in range(1, 5):
        pool.end_gang(generation=generation)
        before = pool.now
        relaunch(pool, f"g{generation}", generation + 1)
        waits.append(pool.now - before)
    assert waits == [2, 4, 7, 7]


def test_a_gang_that_is_relaunched_too_often_in_a_row_is_given_up_and_the_pool_with_it():
    pool = Pool("w1")
    pool.submit(0, max_attempts=10)
    for generation in (1, 2, 3):
        assert pool.end_gang(generation=generation) == []
        relaunch(pool, f"g{generation}", generation + 1)
    shut = pool.end_gang(generation=4, reason="out of memory")[-1]
    assert isinstance(shut, c.ShutDown)
    assert shut.failed
    assert "out of memory" in shut.reason
    assert "it ended 4 times in a row, for no fault of a trial" in shut.reason
    assert gang_state(pool) is GangState.CLOSED
    assert pool.wait(1000) == []


def test_a_gang_that_is_preempted_is_launched_again_however_often():
    pool = Pool("w1", policy=Policy(max_relaunches=1))
    for generation in range(1, 6):
        assert pool.end_gang(generation=generation, preempted=True) == []
        assert kinds(pool.wait(60)) == [c.LaunchGang]
        pool.join(f"g{generation}", generation=generation + 1)
    assert pool.end_gang(generation=6) == []
    assert kinds(pool.wait(60)) == [c.LaunchGang]
    assert kinds(pool.end_gang(generation=7)) == [c.ShutDown]


def test_a_gang_that_is_preempted_before_its_first_worker_is_launched_again():
    pool = Pool()
    assert pool.end_gang(preempted=True) == []
    assert pool.wait_for_deadline() == [c.LaunchGang(1, generation=2, size=1)]


def test_a_trial_that_settles_starts_the_count_of_relaunches_anew():
    pool = Pool("w1", policy=Policy(max_relaunches=1))
    pool.submit(0, 1, max_attempts=10)
    pool.end_gang(generation=1)
    relaunch(pool, "v1", 2)
    pool.end("v1", 0, attempt=2)
    pool.end_gang(generation=2)
    before = pool.now
    assert relaunch(pool, "u1", 3) == [assign("u1", 1, attempt=2)]
    assert pool.now - before == 1
    assert kinds(pool.end_gang(generation=3)) == [c.ShutDown]


def test_a_worker_that_gives_up_is_no_progress():
    pool = Pool("w1", policy=Policy(max_relaunches=1))
    pool.submit(0, max_attempts=10)
    pool.end_gang(generation=1)
    relaunch(pool, "v1", 2)
    pool.end("v1", 0, Outcome.CANCELLED, attempt=2)
    assert kinds(pool.end_gang(generation=2)) == [c.ShutDown]


def test_a_gang_that_ended_before_any_worker_ever_joined_is_given_up_at_once():
    pool = Pool()
    pool.submit(0)
    assert pool.end_gang(reason="no such resource profile") == [
        c.ShutDown("no such resource profile", failed=True)
    ]


def test_a_relaunched_gang_that_ended_before_any_worker_joined_is_launched_again():
    pool = Pool("w1")
    pool.end_gang()
    pool.wait_for_deadline()
    assert pool.end_gang(generation=2) == []
    assert pool.wait(2) == [c.LaunchGang(gang=1, generation=3, size=1)]


def test_a_gang_without_a_worker_is_given_up_after_the_start_time():
    pool = Pool()
    assert pool.wait(59.9) == []
    (shut,) = pool.wait(0.1)
    assert shut.failed
    assert kinds(pool.join("w1")) == [c.Expel]


def test_a_relaunched_gang_without_a_worker_is_given_up_after_the_start_time_too():
    pool = Pool("w1")
    pool.end_gang()
    pool.wait_for_deadline()
    assert pool.wait(59.9) == []
    assert kinds(pool.wait(0.1)) == [c.ShutDown]


def test_gangs_without_a_worker_are_given_up_in_one_tick_and_the_pool_with_them():
    pool = Pool()
    pool.launch(2)
    assert kinds(pool.wait(60)) == [c.ShutDown]


def test_a_gang_that_is_up_is_not_given_up():
    pool = Pool("w1")
    for _ in range(20):
        pool.beat("w1")
        assert pool.wait(9) == []
    assert gang_state(pool) is GangState.UP


# When nothing more is to come.


def test_a_gang_is_launched_again_with_as_many_workers_as_there_are_trials():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0, 1)
    pool.end_submissions()
    pool.end_gang()
    assert pool.wait_for_deadline() == [c.LaunchGang(1, generation=2, size=2)]
    assert pool.join("v1", generation=2) == [assign("v1", 1, attempt=2)]
    assert pool.join("v2", generation=2) == [assign("v2", 0, attempt=2)]


def test_a_gang_that_was_lost_is_launched_again_though_there_is_another():
    pool = Pool("w1")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0, 1)
    pool.end_submissions()
    assert pool.end_gang() == []
    assert pool.wait_for_deadline() == [c.LaunchGang(1, generation=2, size=1)]


def test_a_gang_whose_work_is_done_is_not_launched_again():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_submissions()
    assert pool.end("w1", 0) == [settle(0, "w1"), *released("w1")]
    assert pool.end_gang(reason="its barrier job ended") == []
    assert pool.wait(1000) == []
    assert not pool.machine.shut_down


def test_a_gang_that_was_launched_again_is_not_either():
    pool = Pool("w1")
    pool.end_gang()
    relaunch(pool, "v1", 2)
    pool.end_submissions()
    assert pool.end_gang(generation=2) == []
    assert pool.wait(1000) == []


def test_a_gang_whose_workers_were_all_released_is_not_launched_again():
    pool = Pool("w1")
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0)
    assert pool.end_submissions() == released("x1")
    assert pool.end_gang(2) == []
    assert pool.wait(9) == []
    assert gang_state(pool, 2) is GangState.DOWN
    pool.end_gang(1)
    assert pool.wait_for_deadline() == [c.LaunchGang(1, generation=2, size=1)]


def test_it_is_when_the_other_gang_is_given_up():
    pool = Pool("w1", policy=Policy(max_relaunches=0))
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.submit(0)
    pool.end_submissions()
    pool.end_gang(2)
    assert pool.end_gang(1) == [c.LaunchGang(2, generation=2, size=1)]
    assert pool.join("x2", gang=2, generation=2) == [assign("x2", 0, attempt=2)]


def test_it_is_not_as_long_as_a_third_one_goes_on():
    pool = Pool("w1", policy=Policy(max_relaunches=0))
    pool.launch(2)
    pool.join("x1", gang=2)
    pool.launch(3, size=5)
    pool.join("y1", gang=3)
    pool.submit(0, 1)
    assert pool.end_submissions() == released("y1")
    assert pool.end_gang(3) == []
    assert pool.end_gang(2) == []
    assert pool.end_gang(1) == [c.LaunchGang(3, generation=2, size=2)]


def test_a_gang_whose_workers_were_sent_away_is_launched_again_if_there_is_no_other():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_submissions()
    pool.drain("w1")
    assert pool.end_gang() == []
    assert pool.wait_for_deadline() == [c.LaunchGang(1, generation=2, size=1)]


def test_a_submission_launches_a_gang_again_that_was_not_needed_any_more():
    pool = Pool("w1", "w2")
    pool.end_submissions()
    pool.end_gang()
    assert pool.submit(0, 1) == [c.LaunchGang(1, generation=2, size=2)]
    assert pool.join("v1", generation=2) == [assign("v1", 0)]


def test_a_submission_does_not_hurry_a_gang_that_waits_for_its_relaunch():
    pool = Pool("w1")
    pool.end_gang()
    assert pool.submit(0) == []
    assert kinds(pool.wait(1)) == [c.LaunchGang]


def test_nothing_is_launched_by_a_pool_that_has_shut_down():
    pool = Pool("w1")
    pool.end_submissions()
    pool.end_gang()
    assert isinstance(pool.drain()[-1], c.ShutDown)
    assert pool.submit(0) == []
