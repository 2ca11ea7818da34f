"""What it takes to end a trial early: pending, leased, out of reach, and all of a study."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.states import Outcome, TrialState
from tests.core.core_pool import Pool, assign, key, lease, settle


def cancelled(tid, worker, attempt=1, reason="not wanted"):
    return settle(tid, worker, Outcome.CANCELLED, attempt=attempt, reason=reason)


def cancel_attempt(worker, tid, attempt=1, reason="not wanted"):
    return c.CancelAttempt(worker, lease(tid, attempt), reason)


# Pending.


def test_a_pending_trial_settles_at_once():
    pool = Pool()
    pool.submit(0, 1, 2)
    assert pool.cancel(1) == [cancelled(1, None, attempt=0)]
    assert pool.join("w1") == [assign("w1", 0)]
    assert pool.join("w2") == [assign("w2", 2)]


def test_the_last_pending_trial_of_a_study_gives_up_the_studys_turn():
    pool = Pool()
    pool.submit(0, study="blue")
    pool.submit(0, study="red")
    pool.cancel(0, study="blue")
    assert pool.join("w1") == [assign("w1", 0, study="red")]
    assert pool.submit(1, study="blue") == []
    assert pool.join("w2") == [assign("w2", 1, study="blue")]


def test_a_trial_that_waits_for_its_next_attempt_settles_with_the_number_of_the_last():
    pool = Pool("w1")
    pool.submit(0)
    pool.lose("w1")
    assert pool.cancel(0) == [cancelled(0, None, attempt=1)]


# Leased.


def test_a_running_trial_settles_when_its_worker_has_ended_it():
    pool = Pool("w1")
    pool.submit(0, 1)
    assert pool.cancel(0) == [cancel_attempt("w1", 0)]
    assert pool.machine.trials[key(0)].state is TrialState.CANCELLING
    assert pool.end("w1", 0, Outcome.CANCELLED) == [cancelled(0, "w1"), assign("w1", 1)]


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.FAILED])
def test_a_result_that_beats_the_cancel_counts(outcome):
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0)
    assert pool.end("w1", 0, outcome) == [settle(0, "w1", outcome)]


def test_a_cancelled_trial_whose_worker_is_lost_is_not_tried_again():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.cancel(0)
    assert pool.lose("w1") == [cancelled(0, "w1")]
    assert pool.submit(1) == [assign("w2", 1)]


def test_to_cancel_again_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0, reason="first")
    before = pool.picture()
    assert pool.cancel(0, reason="second") == []
    assert pool.picture() == before
    assert pool.end("w1", 0, Outcome.CANCELLED) == [cancelled(0, "w1", reason="first")]


def test_to_cancel_what_is_not_there_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    pool.end("w1", 0)
    before = pool.picture()
    assert pool.cancel(0) == []
    assert pool.cancel(7) == []
    assert pool.cancel(0, study="red") == []
    assert pool.cancel(None, study="red") == []
    assert pool.picture() == before


# Out of reach.


def test_a_trial_whose_worker_cannot_be_reached_settles_at_once():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    assert pool.cancel(0)[-1] == cancelled(0, "w1")
    assert pool.machine.counts().leased == 0


def test_a_worker_that_comes_back_with_a_trial_cancelled_meanwhile_is_told_to_end_it():
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.cut("w1")
    pool.cancel(0)
    assert pool.join("w1", lease(0)) == [
        c.CancelAttempt("w1", lease(0), "it is no longer this worker's"),
        assign("w1", 1),
    ]
    assert pool.end("w1", 0, Outcome.CANCELLED) == []
    assert pool.end("w1", 1) == [settle(1, "w1")]


def test_a_silent_worker_whose_stream_still_stands_is_told_to_end_its_trial_before_it_gets_another():
    # It is heard of again by a heartbeat, not by a hello, so nobody will ask it what it holds.
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.wait(15)
    assert pool.cancel(0) == [cancel_attempt("w1", 0), cancelled(0, "w1")]
    assert pool.beat("w1") == [assign("w1", 1)]


def test_a_trial_that_was_to_end_when_the_stream_was_cut_is_ended_on_return():
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0)
    pool.cut("w1")
    assert pool.join("w1", lease(0)) == [cancel_attempt("w1", 0)]
    assert pool.end("w1", 0, Outcome.CANCELLED) == [cancelled(0, "w1")]


@pytest.mark.parametrize("holding", [None, lease(9)])
def test_a_trial_that_was_to_end_settles_if_its_worker_returns_without_it(holding):
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.cancel(0)
    pool.cut("w1")
    assert pool.join("w1", holding)[-2:] == [cancelled(0, "w1"), assign("w1", 1)]


def test_a_trial_that_was_to_end_settles_as_cancelled_when_the_grace_is_over():
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0)
    pool.cut("w1")
    commands = pool.wait(30)
    assert commands[0] == cancelled(0, "w1")
    assert [type(command) for command in commands] == [c.Settle, c.Expel]


# A whole study.


def test_a_study_is_cancelled_wherever_its_trials_are():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2, 3)
    pool.submit(0, study="red")
    pool.cut("w2")
    commands = pool.cancel(None)
    assert commands[0] == cancel_attempt("w1", 0)
    assert cancelled(1, "w2") in commands
    assert commands[-2:] == [cancelled(2, None, attempt=0), cancelled(3, None, attempt=0)]
    assert pool.end("w1", 0, Outcome.CANCELLED) == [cancelled(0, "w1"), assign("w1", 0, study="red")]


def test_a_study_whose_trials_all_run_is_cancelled():
    pool = Pool("w1")
    pool.submit(0)
    assert pool.cancel(None) == [cancel_attempt("w1", 0)]


def test_a_cancelled_study_may_submit_again():
    pool = Pool()
    pool.submit(0, 1)
    pool.cancel(None)
    pool.submit(2)
    assert pool.join("w1") == [assign("w1", 2)]


def test_a_paused_pool_cancels():
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.step(e.Paused())
    assert pool.cancel(None) == [cancel_attempt("w1", 0), cancelled(1, None, attempt=0)]
