"""Which worker gets which trial, and when none does: order, fairness, limits, pause, drain, nonsense."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from tests.core.core_pool import Pool, assign, kinds, settle

# Order and fairness.


def test_trials_are_leased_in_the_order_of_their_submission():
    pool = Pool("w1", "w2")
    assert pool.submit(7, 3, 5) == [assign("w1", 7), assign("w2", 3)]
    assert pool.end("w2", 3) == [settle(3, "w2"), assign("w2", 5)]


def test_a_trial_waits_for_a_worker():
    pool = Pool()
    assert pool.submit(0) == []
    assert pool.join("w1") == [assign("w1", 0)]


def test_the_worker_that_is_idle_the_longest_is_taken_first():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0, 1, 2)
    pool.end("w2", 1)
    pool.end("w3", 2)
    pool.end("w1", 0)
    assert pool.submit(3, 4, 5) == [assign("w2", 3), assign("w3", 4), assign("w1", 5)]


def test_a_worker_holds_one_lease_at_a_time():
    pool = Pool("w1")
    assert pool.submit(0, 1) == [assign("w1", 0)]
    assert pool.beat("w1") == []
    assert pool.join("w1", assign("w1", 0).lease) == []


def test_studies_take_turns():
    pool = Pool()
    pool.submit(0, 1, 2, study="blue")
    pool.submit(0, 1, study="red")
    pool.submit(0, study="green")
    leased = [pool.join(f"w{number}")[0] for number in range(6)]
    assert [(command.lease.trial.study, command.lease.trial.tid) for command in leased] == [
        ("blue", 0),
        ("red", 0),
        ("green", 0),
        ("blue", 1),
        ("red", 1),
        ("blue", 2),
    ]


def test_a_study_that_had_nothing_pending_takes_its_turn_after_those_that_had():
    pool = Pool()
    pool.submit(0, study="blue")
    pool.join("w1")
    pool.submit(0, 1, study="red")
    pool.submit(1, study="blue")
    assert [pool.join(f"v{number}") for number in range(3)] == [
        [assign("v0", 0, study="red")],
        [assign("v1", 1, study="blue")],
        [assign("v2", 1, study="red")],
    ]


# Limits.


def test_no_more_trials_run_than_the_limit_allows():
    pool = Pool("w1", "w2", "w3", limit=2)
    assert pool.submit(0, 1, 2) == [assign("w1", 0), assign("w2", 1)]
    assert pool.end("w1", 0) == [settle(0, "w1"), assign("w3", 2)]


def test_no_more_than_128_trials_run_whatever_the_limit():
    pool = Pool(*(f"w{number}" for number in range(130)), limit=1000)
    assert pool.machine.limit == 128
    assert len(pool.submit(*range(130))) == 128
    assert pool.step(e.LimitChanged(2000)) == []
    assert pool.machine.counts().leased == 128


def test_the_cap_is_the_policys():
    pool = Pool("w1", "w2", policy=Policy(cap=1))
    assert pool.submit(0, 1) == [assign("w1", 0)]


def test_a_larger_limit_leases_at_once():
    pool = Pool("w1", "w2", "w3", limit=1)
    pool.submit(0, 1, 2)
    assert pool.step(e.LimitChanged(3)) == [assign("w2", 1), assign("w3", 2)]


def test_a_smaller_limit_lets_running_trials_finish():
    pool = Pool("w1", "w2", "w3", limit=3)
    pool.submit(0, 1, 2, 3, 4)
    assert pool.step(e.LimitChanged(1)) == []
    assert pool.end("w1", 0) == [settle(0, "w1")]
    assert pool.end("w2", 1) == [settle(1, "w2")]
    assert pool.end("w3", 2) == [settle(2, "w3"), assign("w1", 3)]


# Pause.


def test_a_paused_pool_leases_nothing_and_a_resumed_one_makes_up_for_it():
    pool = Pool("w1", "w2")
    pool.submit(0)
    assert pool.step(e.Paused()) == []
    assert pool.submit(1, 2) == []
    assert pool.end("w1", 0) == [settle(0, "w1")]
    assert pool.join("w3") == []
    assert pool.step(e.LimitChanged(50)) == []
    assert pool.step(e.Resumed()) == [assign("w2", 1), assign("w1", 2)]


def test_a_pause_does_not_take_a_lease_back():
    pool = Pool("w1")
    pool.submit(0)
    pool.step(e.Paused())
    pool.cut("w1")
    assert pool.join("w1") == [assign("w1", 0)]


# Drain.


def test_a_free_worker_that_is_drained_leaves_at_once():
    pool = Pool("w1", "w2")
    assert pool.drain("w1") == [c.Expel("w1", "maintenance")]
    assert pool.submit(0, 1) == [assign("w2", 0)]


def test_a_busy_worker_that_is_drained_leaves_when_its_trial_has_ended():
    pool = Pool("w1")
    pool.submit(0, 1)
    assert pool.drain("w1") == []
    assert pool.end("w1", 0) == [settle(0, "w1"), c.Expel("w1", "maintenance")]
    assert pool.join("w2") == [assign("w2", 1)]


def test_an_unreachable_worker_that_is_drained_leaves_at_once_if_it_is_free():
    pool = Pool("w1")
    pool.cut("w1")
    assert pool.drain("w1") == [c.Expel("w1", "maintenance")]
    assert kinds(pool.join("w1")) == [c.Expel]


def test_an_unreachable_worker_that_is_drained_may_come_back_to_finish_its_trial():
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.cut("w1")
    assert pool.drain("w1") == []
    assert pool.join("w1", assign("w1", 0).lease) == []
    assert pool.end("w1", 0) == [settle(0, "w1"), c.Expel("w1", "maintenance")]


def test_an_unreachable_worker_that_is_drained_leaves_when_its_trial_is_cancelled():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    pool.drain("w1")
    commands = pool.cancel(0)
    assert settle(0, "w1", Outcome.CANCELLED, reason="not wanted") in commands
    assert commands[-1] == c.Expel("w1", "maintenance")


def test_to_drain_a_worker_that_is_not_there_changes_nothing():
    pool = Pool("w1")
    pool.lose("w1")
    before = pool.picture()
    assert pool.drain("w1") == []
    assert pool.drain("w9") == []
    assert pool.picture() == before


def test_a_free_pool_that_is_drained_expels_its_workers_and_shuts_down_once():
    pool = Pool("w1", "w2")
    assert pool.drain() == [
        c.Expel("w1", "maintenance"),
        c.Expel("w2", "maintenance"),
        c.ShutDown("maintenance", failed=False),
    ]
    assert pool.drain() == []
    assert pool.end_gang() == []
    assert pool.wait(1000) == []
    assert pool.submit(0) == []


def test_a_busy_pool_that_is_drained_shuts_down_with_its_last_running_trial():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2)
    assert pool.drain() == []
    assert pool.end("w1", 0) == [settle(0, "w1")]
    assert pool.join("w3") == []
    assert pool.end("w2", 1) == [
        settle(1, "w2"),
        c.Expel("w1", "maintenance"),
        c.Expel("w2", "maintenance"),
        c.Expel("w3", "maintenance"),
        c.ShutDown("maintenance", failed=False),
    ]
    assert pool.machine.counts().pending == 1


def test_a_pool_that_is_drained_shuts_down_when_its_last_running_trial_is_lost():
    pool = Pool("w1")
    pool.submit(0)
    pool.drain()
    assert pool.lose("w1") == [c.ShutDown("maintenance", failed=False)]
    assert pool.machine.counts().pending == 1


def test_what_a_pool_that_has_shut_down_left_pending_can_be_cancelled():
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.drain()
    pool.end("w1", 0)
    assert pool.cancel(None) == [settle(1, None, Outcome.CANCELLED, attempt=0, reason="not wanted")]


# What makes no sense.


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit):
    with pytest.raises(ValueError, match="limit must be at least 1"):
        Machine(limit)
    pool = Pool("w1", limit=4)
    with pytest.raises(ValueError, match="limit must be at least 1"):
        pool.step(e.LimitChanged(limit))
    assert pool.machine.limit == 4


def test_a_trial_is_submitted_once():
    pool = Pool("w1")
    pool.submit(0, 1)
    before = pool.picture()
    for tids in [(0,), (1,), (2, 1)]:
        with pytest.raises(ValueError, match=r"submitted twice: trial [01] of blue"):
            pool.submit(*tids)
    assert pool.picture() == before
    assert pool.submit(0, study="red") == []


def test_a_trial_is_submitted_once_in_one_submission_too():
    pool = Pool()
    with pytest.raises(ValueError, match="submitted twice: trial 4 of blue"):
        pool.submit(4, 5, 4)
    assert pool.machine.counts().submitted == 0


def test_a_trial_has_at_least_one_attempt():
    pool = Pool()
    with pytest.raises(ValueError, match="max_attempts must be at least 1"):
        pool.submit(0, max_attempts=0)
    assert pool.machine.counts().submitted == 0


def test_a_gang_is_launched_for_the_first_time_once():
    pool = Pool("w1")
    with pytest.raises(ValueError, match="gang 1 was launched before"):
        pool.launch(1)


def test_a_gang_that_was_never_launched_cannot_end():
    pool = Pool("w1")
    with pytest.raises(ValueError, match="gang 2"):
        pool.end_gang(2)


def test_a_study_may_submit_nothing():
    pool = Pool("w1")
    assert pool.submit() == []
    assert pool.submit(0) == [assign("w1", 0)]
