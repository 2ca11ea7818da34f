"""Cut streams, silence, grace and the deadlines that time brings."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome, WorkerState
from tests.core.core_pool import Pool, assign, earliest_deadline, kinds, lease, settle


def state(pool, worker):
    return pool.machine.workers[worker].state


# A cut stream.


def test_a_worker_that_returns_without_its_attempt_is_sent_the_same_one_again():
    pool = Pool("w1")
    pool.submit(0)
    assert pool.cut("w1") == []
    assert pool.join("w1") == [assign("w1", 0, attempt=1)]
    assert pool.end("w1", 0) == [settle(0, "w1")]


def test_a_worker_that_returns_with_its_attempt_goes_on():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.cut("w1")
    pool.now += 29
    assert pool.join("w1", lease(0)) == []
    assert pool.end("w1", 0) == [settle(0, "w1")]


@pytest.mark.parametrize("stale", [lease(0), lease(1, attempt=2), lease(1, study="red")])
def test_a_worker_that_returns_with_a_stale_attempt_is_told_to_end_it(stale):
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.end("w1", 0)
    pool.cut("w1")
    assert pool.join("w1", stale) == [
        c.CancelAttempt("w1", stale, "it is no longer this worker's"),
        assign("w1", 1),
    ]


def test_a_free_worker_that_returns_with_a_stale_attempt_is_told_to_end_it():
    pool = Pool("w1")
    pool.cut("w1")
    assert kinds(pool.join("w1", lease(5))) == [c.CancelAttempt]
    assert pool.submit(0) == [assign("w1", 0)]


def test_a_new_worker_that_holds_something_is_told_to_end_it():
    pool = Pool()
    assert kinds(pool.join("w1", lease(5))) == [c.CancelAttempt]


def test_a_second_hello_without_a_cut_is_a_return():
    # The worker saw the cut before we did.
    pool = Pool("w1")
    pool.submit(0)
    assert pool.join("w1", lease(0)) == []
    assert pool.join("w1") == [assign("w1", 0)]


def test_an_unreachable_worker_gets_nothing_new():
    pool = Pool("w1", "w2")
    pool.cut("w1")
    assert pool.submit(0, 1) == [assign("w2", 0)]
    assert pool.join("w1") == [assign("w1", 1)]


def test_a_cut_changes_nothing_for_a_worker_that_is_not_connected():
    pool = Pool("w1", "w2")
    pool.cut("w1")
    pool.lose("w2")
    before = pool.picture()
    pool.now += 5
    assert pool.cut("w1") == []
    assert pool.cut("w2") == []
    assert pool.cut("w9") == []
    assert pool.picture() == before


# Grace.


def test_a_worker_that_does_not_return_within_the_grace_is_expelled_and_its_trial_requeued():
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.cut("w1")
    assert pool.wait(29.9) == []
    (expelled,) = pool.wait(0.1)
    assert (type(expelled), expelled.worker, expelled.again) == (c.Expel, "w1", True)
    assert pool.join("w2") == [assign("w2", 0, attempt=2)]


def test_a_worker_that_returns_after_the_grace_is_expelled_again():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    pool.wait(30)
    for holding in (lease(0), None):
        (expelled,) = pool.join("w1", holding)
        assert (type(expelled), expelled.again) == (c.Expel, True)
    assert state(pool, "w1") is WorkerState.GONE


def test_a_worker_that_was_given_up_may_come_again_under_another_name():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    pool.wait(30)
    assert pool.join("w1.2", lease(0), formerly="w1") == [
        c.CancelAttempt("w1.2", lease(0), "it is no longer this worker's"),
        assign("w1.2", 0, attempt=2),
    ]
    # What it has to say of the attempt that it was given up with changes nothing.
    assert pool.end("w1.2", 0, attempt=1) == []
    assert pool.end("w1.2", 0, attempt=2) == [settle(0, "w1.2", attempt=2)]


def test_a_worker_that_gave_itself_up_leaves_its_attempt_at_once():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    assert pool.join("w1.2", formerly="w1") == [assign("w1.2", 0, attempt=2)]
    assert state(pool, "w1") is WorkerState.GONE
    assert pool.wait(29) == []


@pytest.mark.parametrize("lost", [False, True])
def test_a_worker_that_was_to_leave_does_not_come_again(lost):
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.drain("w1")
    pool.cut("w1")
    pool.now += 29
    pool.beat("w2")
    if lost:
        (expelled, assigned) = pool.wait(1)
        assert (type(expelled), expelled.again) == (c.Expel, False)
        assert assigned == assign("w2", 0, attempt=2)
        assert kinds(pool.join("w1")) == [c.Expel]
    assert c.Expel("w1.2", "maintenance") in pool.join("w1.2", formerly="w1")
    assert "w1.2" not in pool.machine.workers


def test_a_return_ends_the_grace():
    pool = Pool("w1")
    pool.cut("w1")
    pool.now += 29
    pool.join("w1")
    pool.cut("w1")
    assert pool.wait(29) == []
    assert state(pool, "w1") is WorkerState.UNREACHABLE
    assert kinds(pool.wait(1)) == [c.Expel]


@pytest.mark.parametrize("sign", ["heartbeat", "report", "outcome"])
def test_every_sign_of_life_ends_the_grace(sign):
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.wait(12)
    assert state(pool, "w1") is WorkerState.UNREACHABLE
    if sign == "heartbeat":
        assert pool.beat("w1") == []
    elif sign == "report":
        assert kinds(pool.report("w1", 0)) == [c.DeliverReport]
    else:
        assert pool.end("w1", 0) == [settle(0, "w1")]
    assert state(pool, "w1") is WorkerState.READY
    assert [(type(command), command.worker) for command in pool.wait(20)] == [(c.Expel, "w2")]
    assert [(type(command), command.worker) for command in pool.wait(10)] == [(c.Expel, "w1")]


def test_a_sign_of_life_does_not_bring_a_worker_back_that_is_gone():
    pool = Pool("w1")
    pool.lose("w1")
    assert pool.beat("w1", "w9") == []
    assert state(pool, "w1") is WorkerState.GONE
    assert "w9" not in pool.machine.workers


# Silence.


def test_a_silent_worker_is_unreachable_and_then_lost():
    pool = Pool("w1")
    pool.submit(0)
    pool.now += 5
    pool.beat("w1")
    assert pool.wait(9.9) == []
    assert state(pool, "w1") is WorkerState.READY
    assert pool.wait(0.1) == []
    assert state(pool, "w1") is WorkerState.UNREACHABLE
    assert pool.wait(19.9) == []
    assert kinds(pool.wait(0.1)) == [c.Expel]
    assert pool.machine.counts().pending == 1


def test_a_free_worker_that_was_silent_is_leased_to_when_it_is_heard_again():
    pool = Pool("w1")
    pool.wait(10)
    assert pool.submit(0) == []
    assert pool.beat("w1") == [assign("w1", 0)]


def test_a_worker_that_is_heard_of_is_never_silent():
    pool = Pool("w1")
    for _ in range(50):
        assert pool.beat("w1") == []
        pool.wait(9)
    assert state(pool, "w1") is WorkerState.READY


def test_the_policy_says_how_long_silence_and_grace_are():
    pool = Pool("w1", policy=Policy(silence=1, grace=4))
    pool.submit(0)
    pool.wait(1)
    assert state(pool, "w1") is WorkerState.UNREACHABLE
    assert kinds(pool.wait(3)) == [c.Expel]


def test_a_trial_that_outlives_max_attempts_silent_workers_is_lost():
    pool = Pool("w1", "w2")
    pool.submit(0, max_attempts=1)
    pool.now += 25
    pool.beat("w2")
    settled, expelled = pool.wait(5)
    assert (settled.outcome, settled.worker) == (Outcome.LOST, "w1")
    assert type(expelled) is c.Expel


# Deadlines.


def test_nothing_waits_for_time_at_first():
    assert Machine(1).next_deadline is None


def test_a_launch_waits_for_its_first_worker():
    pool = Pool()
    assert pool.machine.next_deadline == 60


def test_ticks_at_the_deadlines_are_enough():
    # What a shell does: it sleeps to the deadline and ticks. Nothing is missed, and nothing happens early.
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.now = 3.0
    pool.cut("w2")
    pool.now = 4.0
    pool.beat("w1")
    expulsions = {}
    while pool.machine.next_deadline is not None and len(expulsions) < 2:
        deadline = pool.machine.next_deadline
        assert pool.now < deadline <= earliest_deadline(pool.machine)
        for command in pool.wait_for_deadline():
            expulsions[command.worker] = pool.now
    assert expulsions == {"w2": 33.0, "w1": 34.0}


def test_a_deadline_that_has_moved_brings_a_tick_that_does_nothing_and_sets_the_next():
    pool = Pool("w1")
    pool.now = 8.0
    pool.beat("w1")
    pool.wait_for_deadline()
    assert pool.now == 10.0
    assert pool.machine.next_deadline == 18.0


def test_no_deadline_is_left_when_all_workers_are_gone():
    pool = Pool("w1")
    pool.lose("w1")
    pool.wait(100)
    assert pool.machine.next_deadline is None


def test_a_tick_without_a_deadline_does_nothing():
    pool = Pool("w1")
    before = pool.picture()
    assert pool.step(e.Tick()) == []
    assert pool.picture() == before
