"""Losses of workers of elastic pools: what is charged, what is refunded, and what waits for Spark's word."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core.losses import Losses
from sparkopt.core.records import Elastic, Policy, Trial
from sparkopt.core.states import Outcome, TrialState
from tests.core.core_pool import ElasticPool, Pool, assign, key, kinds, lease, settle

ONCE = "its worker was lost while it ran it: its task ended"


def charged(pool, tid=0):
    return pool.machine.trials[key(tid)].charged


def state(pool, tid=0):
    return pool.machine.trials[key(tid)].state


def settles(commands):
    return [command for command in commands if isinstance(command, c.Settle)]


@pytest.fixture
def pool():
    """Trial 0 runs on w0 and may lose two workers; w1 has run trial 1 and is idle."""
    pool = ElasticPool(limit=2, policy=Policy(silence=1e6, grace=1e7), elastic=Elastic(idle=1e6))
    pool.up(2, max_attempts=2)
    pool.end("w1", 1)
    return pool


@pytest.fixture
def last():
    """Trial 0 runs on w0, and may lose no other worker."""
    pool = ElasticPool(policy=Policy(silence=1e6, grace=1e7))
    pool.up(1, max_attempts=1)
    return pool


# Charges and refunds.


def test_a_loss_is_charged_and_the_trial_runs_again_at_once(pool):
    assert pool.lose("w0") == [assign("w1", 0, attempt=2)]
    assert charged(pool) == 1


def test_the_charge_is_refunded_if_spark_calls_the_loss_a_preemption(pool):
    pool.lose("w0")
    assert pool.explain("w0", preempted=True) == []
    assert charged(pool) == 0
    assert pool.explain("w0", preempted=True) == []
    assert charged(pool) == 0


def test_it_is_not_if_spark_does_not(pool):
    pool.lose("w0")
    assert pool.explain("w0", preempted=False) == []
    assert pool.explain("w0", preempted=True) == []
    assert charged(pool) == 1


def test_it_is_refunded_after_the_job_of_the_worker_has_ended_too(pool):
    pool.lose("w0")
    pool.end_gang(0)
    pool.explain("w0", preempted=True)
    assert charged(pool) == 0


def test_the_end_of_its_job_explains_a_loss_if_it_was_preempted(pool):
    pool.lose("w0")
    pool.end_gang(0, preempted=True)
    assert charged(pool) == 0


def test_it_explains_the_last_loss_alone(pool):
    pool.cut("w0")
    pool.submit(2, max_attempts=9)
    pool.join("w0~1", gang=0, formerly="w0", task_attempt=1)
    pool.cut("w0~1")
    pool.end("w1", 2)
    pool.end_gang(0, preempted=True)
    assert charged(pool) == 1


def test_the_end_of_a_job_that_was_withdrawn_does_not(pool):
    pool.lose("w0")
    assert pool.wait(10) == [c.WithdrawGang(0, 1)]
    pool.end_gang(0, preempted=True)
    assert charged(pool) == 1


def test_a_loss_that_is_explained_at_once_is_charged_or_not(pool):
    assert pool.explain("w0", preempted=True) == [assign("w1", 0, attempt=2)]
    assert charged(pool) == 0


@pytest.mark.parametrize("preempted", [True, False])
def test_a_job_that_ends_charges_the_trial_of_its_worker_unless_it_was_preempted(pool, preempted):
    assert pool.end_gang(0, preempted=preempted) == [assign("w1", 0, attempt=2)]
    assert charged(pool) == (not preempted)


def test_a_trial_that_has_settled_is_not_refunded(pool):
    pool.lose("w0")
    pool.end("w1", 0, attempt=2)
    assert pool.explain("w0", preempted=True) == []


def test_what_a_worker_gave_up_is_not_refunded_with_the_loss_of_it(pool):
    assert pool.end("w0", 0, Outcome.CANCELLED) == [assign("w1", 0, attempt=2)]
    pool.explain("w0", preempted=True)
    assert charged(pool) == 1


# A loss that would end the trial.


def test_a_trial_that_its_last_loss_would_end_is_held_until_spark_has_spoken(last):
    assert last.lose("w0") == [c.LaunchGang(1, 1, 1)]
    assert state(last) is TrialState.HELD
    assert last.machine.counts().pending == 1
    assert last.join("w1", gang=1) == []
    assert last.explain("w0", preempted=True) == [assign("w1", 0, attempt=2)]
    assert last.end("w1", 0, attempt=2) == [settle(0, "w1", attempt=2)]


def test_it_is_lost_if_spark_says_that_it_was_no_preemption(last):
    last.lose("w0")
    assert last.explain("w0", preempted=False) == [settle(0, "w0", Outcome.LOST, reason=ONCE)]


def test_it_is_lost_if_spark_says_nothing_for_so_long(last):
    last.lose("w0")
    assert settles(last.wait(9.9)) == []
    assert settles(last.wait(0.1)) == [settle(0, "w0", Outcome.LOST, reason=ONCE)]
    assert last.explain("w0", preempted=True) == []


def test_a_refund_of_an_earlier_loss_brings_it_back_too(pool):
    pool.lose("w0")
    pool.lose("w1")
    assert state(pool) is TrialState.HELD
    pool.explain("w0", preempted=False)
    assert state(pool) is TrialState.HELD
    pool.join("w2", gang=2)
    assert pool.explain("w1", preempted=True) == [assign("w2", 0, attempt=3)]
    assert charged(pool) == 1


def test_the_earlier_refund_alone_is_enough(pool):
    pool.lose("w0")
    pool.lose("w1")
    pool.join("w2", gang=2)
    assert pool.explain("w0", preempted=True) == [assign("w2", 0, attempt=3)]
    pool.explain("w1", preempted=True)
    assert charged(pool) == 0


def test_a_trial_that_is_held_can_be_cancelled(last):
    last.lose("w0")
    assert settles(last.cancel(0)) == [settle(0, None, Outcome.CANCELLED, reason="not wanted")]
    assert settles(last.explain("w0", preempted=True)) == settles(last.wait(100)) == []


def test_so_can_its_study(last):
    last.lose("w0")
    assert settles(last.cancel(None)) == [settle(0, None, Outcome.CANCELLED, reason="not wanted")]


def test_a_trial_that_was_to_be_cancelled_is_not_held(last):
    last.cancel(0)
    assert settles(last.lose("w0")) == [settle(0, "w0", Outcome.CANCELLED, reason="not wanted")]


def test_a_pool_that_drains_does_not_wait_for_a_trial_that_is_held(last):
    last.lose("w0")
    assert kinds(last.drain())[-1] is c.ShutDown
    assert settles(last.wait(10)) == [settle(0, "w0", Outcome.LOST, reason=ONCE)]


def test_workers_stay_for_a_trial_that_is_held(pool):
    pool.lose("w0")
    pool.lose("w1")
    pool.end_submissions()
    assert pool.join("w2", gang=2) == []


def test_a_worker_that_cannot_be_reached_any_more_may_have_been_preempted():
    pool = ElasticPool()
    pool.up(1, max_attempts=1)
    pool.cut("w0")
    assert kinds(pool.wait(30)) == [c.Expel, c.LaunchGang]
    assert state(pool) is TrialState.HELD
    pool.explain("w0", preempted=True)
    assert state(pool) is TrialState.PENDING


@pytest.mark.parametrize("preempted", [False, None])
def test_a_job_that_ends_says_whether_its_worker_was_preempted_or_that_this_is_to_come(last, preempted):
    ended = settles(last.end_gang(0, reason="its task ended", preempted=preempted))
    lost = [settle(0, "w0", Outcome.LOST, reason=ONCE)]
    assert ended == ([] if preempted is None else lost)
    if preempted is None:
        assert settles(last.wait(10)) == lost


def test_a_barrier_pool_waits_for_nothing():
    pool = Pool("w0")
    pool.submit(0, max_attempts=1)
    assert settles(pool.lose("w0")) == [settle(0, "w0", Outcome.LOST, reason=ONCE)]


def test_a_trial_that_is_lost_says_how_often_it_was_preempted(pool):
    pool.lose("w0")
    pool.explain("w0", preempted=True)
    pool.lose("w1")
    pool.join("w2", gang=2)
    pool.lose("w2")
    (lost,) = settles(pool.explain("w2", preempted=False))
    assert lost.reason == (
        "2 workers were lost while they ran it, the last one because its task ended"
        " (it was also interrupted once for no fault of its own, which does not count)"
    )


# Tasks that Spark starts again.


def test_a_task_that_spark_starts_again_takes_the_place_of_its_worker(last):
    last.cut("w0")
    assert last.join("w0~1", gang=0, formerly="w0", task_attempt=1) == []
    assert state(last) is TrialState.HELD
    assert last.explain("w0", preempted=True) == [assign("w0~1", 0, attempt=2)]


def test_it_is_taken_though_its_worker_was_to_leave(pool):
    pool.cut("w0")
    pool.drain("w0")
    pool.lose("w1")
    assert pool.join("w0~1", gang=0, formerly="w0", task_attempt=1)[0] == assign("w0~1", 0, attempt=2)


def test_it_is_expelled_if_no_worker_is_wanted(pool):
    pool.lose("w0")
    assert pool.join("w0~1", gang=0, formerly="w0", task_attempt=1) == [
        c.Expel("w0~1", "no trial needs it any more")
    ]


def test_a_speculative_twin_is_expelled_while_the_first_lives(pool):
    before = pool.picture()
    for formerly in ("w0", None):
        (expelled,) = pool.join("w0~1", gang=0, formerly=formerly, task_attempt=1)
        assert isinstance(expelled, c.Expel)
    assert pool.picture() == before
    assert pool.end("w0", 0) == [settle(0, "w0")]


def test_a_worker_that_comes_again_without_its_process_is_no_other_start_of_its_task(last):
    assert settles(last.join("w0.2", gang=0, formerly="w0")) == [
        settle(
            0,
            "w0",
            Outcome.LOST,
            reason="its worker was lost while it ran it: it came again as w0.2, without what it ran",
        )
    ]


@pytest.mark.parametrize("pool", [Pool("w0"), ElasticPool()], ids=["barrier", "elastic"])
def test_a_worker_that_says_that_it_was_itself_before_is_itself(pool):
    pool.submit(0)
    gang = next(iter(pool.machine.gangs))
    pool.join("w0", gang=gang)
    assert pool.join("w0", lease(0), gang=gang, formerly="w0") == []
    assert pool.end("w0", 0) == [settle(0, "w0")]


# What is remembered.


def test_charges_of_trials_that_have_settled_are_forgotten():
    trials = {}
    losses = Losses(trials)
    trials[key(-1)] = Trial(TrialState.PENDING, 3)
    losses.charged("first", key(-1))
    for number in range(10_000):
        losses.charged(f"w{number}", key(number))
    assert len(losses._charged) <= 256
    assert losses.explained("first") == key(-1)
    assert losses.explained("w9999") is None
