"""The end of a study: workers that no trial can need leave, and those that one may need stay."""

from __future__ import annotations

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.states import Outcome
from tests.core.core_pool import Pool, assign, lease, released, settle

# Who leaves.


def test_nobody_leaves_while_there_may_be_more():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0, 1)
    assert pool.end("w1", 0) == [settle(0, "w1")]


def test_the_idle_leave_at_once_when_nothing_more_is_to_come():
    pool = Pool("w1", "w2", "w3", "w4")
    pool.submit(0, 1)
    assert pool.end_submissions() == released("w3", "w4")


def test_each_worker_leaves_as_its_last_trial_ends():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2)
    assert pool.end_submissions() == []
    assert pool.end("w2", 1) == [settle(1, "w2"), assign("w2", 2)]
    assert pool.end("w1", 0, Outcome.FAILED) == [settle(0, "w1", Outcome.FAILED), *released("w1")]
    assert pool.end("w2", 2) == [settle(2, "w2"), *released("w2")]


def test_said_twice_is_said_once():
    pool = Pool("w1", "w2")
    pool.submit(0)
    assert pool.end_submissions() == released("w2")
    assert pool.end_submissions() == []


def test_a_worker_that_comes_late_is_not_kept():
    pool = Pool("w1")
    pool.submit(0)
    pool.end_submissions()
    assert pool.join("w2") == released("w2")


def test_those_leave_whose_trials_are_cancelled():
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.end_submissions()
    pool.cancel(0)
    assert pool.end("w1", 0, Outcome.CANCELLED) == [
        settle(0, "w1", Outcome.CANCELLED, reason="not wanted"),
        *released("w1"),
    ]


# Who stays.


def test_workers_stay_for_trials_that_are_pending():
    pool = Pool("w1", "w2", "w3", limit=1)
    pool.submit(0, 1)
    assert pool.end_submissions() == released("w2")
    assert pool.end("w1", 0) == [settle(0, "w1"), assign("w3", 1), *released("w1")]


def test_the_last_outcome_of_a_draining_pool_sends_all_away_whatever_is_pending():
    pool = Pool("w1", "w2", "w3", limit=1)
    pool.submit(0, 1)
    pool.end_submissions()
    assert pool.step(e.DrainRequested(None, "enough")) == []
    assert pool.end("w1", 0) == [
        settle(0, "w1"),
        *released("w3"),
        c.Expel("w1", "enough"),
        c.ShutDown("enough", failed=False),
    ]


def test_workers_stay_for_a_paused_pool():
    pool = Pool("w1", "w2")
    pool.step(e.Paused())
    pool.submit(0)
    assert pool.end_submissions() == released("w1")
    assert pool.step(e.Resumed()) == [assign("w2", 0)]


def test_a_worker_stays_for_a_trial_whose_worker_is_out_of_reach():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0)
    pool.cut("w1")
    assert pool.end_submissions() == released("w2")
    assert pool.lose("w1") == [assign("w3", 0, attempt=2)]


def test_the_one_that_stayed_leaves_when_the_other_is_back():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.cut("w1")
    assert pool.end_submissions() == []
    assert pool.join("w1", lease(0)) == released("w2")


def test_a_worker_that_drains_does_not_count():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.drain("w1")
    assert pool.end_submissions() == []
    assert pool.lose("w1") == [assign("w2", 0, attempt=2)]


def test_a_released_worker_stays_away_under_any_name():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.end_submissions()
    (again,) = pool.join("w2")
    assert (again.worker, again.again) == ("w2", False)
    assert pool.join("w2.2", formerly="w2") == released("w2.2")


# What comes after all.


def test_a_submission_undoes_it():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0)
    assert pool.end_submissions() == released("w2", "w3")
    assert pool.submit(1) == []
    assert pool.end("w1", 0) == [settle(0, "w1"), assign("w1", 1)]
    assert pool.end("w1", 1) == [settle(1, "w1")]
