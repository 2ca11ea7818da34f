"""What a verdict does: the worker is told, and the trial settles as pruned unless it ends by itself."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core.records import Counts, Policy
from sparkopt.core.states import Outcome, TrialState
from tests.core.core_pool import ElasticPool, Pool, assign, key, lease, settle

WHY = "worse than others"


def pruned(tid, worker, attempt=1, reason=WHY):
    return settle(tid, worker, Outcome.PRUNED, attempt=attempt, reason=reason)


def prune_attempt(worker, tid, attempt=1):
    return c.PruneAttempt(worker, lease(tid, attempt), WHY)


@pytest.fixture
def pool():
    """Trial 0 runs on w1 and was told to stop; trial 1 waits."""
    pool = Pool("w1")
    pool.submit(0, 1)
    assert pool.prune(0) == [prune_attempt("w1", 0)]
    return pool


def test_a_running_trial_settles_when_its_objective_has_stopped(pool):
    assert pool.machine.trials[key(0)].state is TrialState.PRUNING
    assert pool.machine.leased == 1
    assert pool.end("w1", 0, Outcome.PRUNED) == [pruned(0, "w1"), assign("w1", 1)]
    assert pool.machine.settled == {Outcome.PRUNED: 1}
    assert pool.machine.counts() == Counts(submitted=2, pending=0, leased=1, settled=1, lost_attempts=0)


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.FAILED])
def test_what_the_objective_says_by_itself_beats_the_verdict(pool, outcome):
    assert pool.end("w1", 0, outcome) == [settle(0, "w1", outcome), assign("w1", 1)]


def test_an_objective_may_end_as_pruned_without_a_verdict():
    pool = Pool("w1")
    pool.submit(0)
    assert pool.end("w1", 0, Outcome.PRUNED) == [pruned(0, "w1", reason="")]


def test_a_second_verdict_changes_nothing(pool):
    before = pool.picture()
    assert pool.prune(0, reason="worse still") == []
    assert pool.picture() == before


def test_a_verdict_of_a_trial_that_does_not_run_changes_nothing(pool):
    before = pool.picture()
    assert pool.prune(1) == []
    assert pool.prune(9) == []
    assert pool.prune(0, study="red") == []
    assert pool.picture() == before
    pool.end("w1", 0)
    assert pool.prune(0) == []


def test_a_trial_that_is_lost_after_its_verdict_settles_as_pruned_and_runs_no_more(pool):
    assert pool.lose("w1") == [pruned(0, "w1")]
    assert pool.machine.settled == {Outcome.PRUNED: 1}
    assert pool.machine.lost_attempts == 1


def test_a_worker_that_gives_up_after_the_verdict_leaves_a_pruned_trial(pool):
    assert pool.end("w1", 0, Outcome.CANCELLED)[0] == pruned(0, "w1")


def test_the_last_worker_that_a_trial_may_lose_is_none_after_the_verdict():
    pool = ElasticPool(policy=Policy(silence=1e6, grace=1e7))
    pool.up(1, max_attempts=1)
    pool.prune(0)
    assert pool.lose("w0")[0] == pruned(0, "w0")
    assert pool.machine.losses.held == {}


def test_a_gang_that_ends_takes_a_trial_along_that_was_pruned():
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.prune(0)
    commands = pool.end_gang(lost=["w2"])
    assert [command for command in commands if isinstance(command, c.Settle)] == [pruned(0, "w1")]


# With a cancellation.


def test_who_cancels_a_trial_after_its_verdict_has_it_ended_at_once_and_it_is_pruned(pool):
    assert pool.cancel(0, reason="not wanted") == [c.CancelAttempt("w1", lease(0), "not wanted")]
    assert pool.machine.trials[key(0)].state is TrialState.CANCELLING
    assert pool.end("w1", 0, Outcome.CANCELLED) == [pruned(0, "w1"), assign("w1", 1)]


def test_a_verdict_after_the_cancellation_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0)
    before = pool.picture()
    assert pool.prune(0) == []
    assert pool.picture() == before


def test_an_objective_that_stops_before_its_cancellation_arrives_is_pruned(pool):
    pool.cancel(0)
    assert pool.end("w1", 0, Outcome.PRUNED)[0] == pruned(0, "w1")


def test_the_end_of_a_study_ends_what_was_told_to_stop(pool):
    assert pool.cancel(None) == [
        c.CancelAttempt("w1", lease(0), "not wanted"),
        settle(1, None, Outcome.CANCELLED, attempt=0, reason="not wanted"),
    ]


def test_one_that_cannot_be_reached_settles_at_once_when_it_is_cancelled(pool):
    pool.cut("w1")
    assert pruned(0, "w1") in pool.cancel(0)


# With cuts.


def test_a_worker_that_comes_back_with_the_attempt_is_told_again(pool):
    pool.cut("w1")
    assert pool.join("w1", holding=lease(0)) == [prune_attempt("w1", 0)]
    assert pool.end("w1", 0, Outcome.PRUNED)[0] == pruned(0, "w1")


def test_a_worker_that_comes_back_and_was_told_to_cancel_is_told_that(pool):
    pool.cancel(0)
    pool.cut("w1")
    assert pool.join("w1", holding=lease(0)) == [c.CancelAttempt("w1", lease(0), WHY)]


def test_a_worker_that_comes_back_without_the_attempt_leaves_a_pruned_trial(pool):
    pool.cut("w1")
    assert pool.join("w1") == [pruned(0, "w1"), assign("w1", 1)]


def test_a_worker_that_is_out_of_reach_is_told_when_it_comes_back():
    pool = Pool("w1")
    pool.submit(0)
    pool.cut("w1")
    assert pool.prune(0) == [prune_attempt("w1", 0)]
    assert pool.join("w1", holding=lease(0)) == [prune_attempt("w1", 0)]


def test_the_grace_of_one_that_never_comes_back_ends_with_a_pruned_trial(pool):
    pool.cut("w1")
    assert pruned(0, "w1") in pool.wait(30)


def test_the_story_of_a_trial_has_its_verdict(pool):
    assert any("PruneRequested" in line for line in pool.machine.story(key(0)))
    assert not any("PruneRequested" in line for line in pool.machine.story(key(1)))
