"""The watch itself: for every rule, a machine or an answer that breaks it is found out."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.states import Outcome, TrialState, WorkerState
from sparkopt.core.surplus import RELEASED
from tests.core.core_pool import Pool, assign, key, lease, settle
from tests.core.core_rules import RuleBroken


@pytest.fixture
def pool():
    """Trials 0 and 1 run on w1 and w2; 2 and 3 are pending; w3 is out of reach."""
    pool = Pool("w1", "w2", "w3")
    pool.cut("w3")
    pool.submit(0, 1, 2, 3)
    return pool


def breaks(pool, rule, *commands):
    """The watch finds this rule broken by a step with these commands."""
    with pytest.raises(RuleBroken, match=f"^rule {rule}:"):
        pool._watch.after(list(commands))


def hand_over(pool, tid, worker, attempt=1):
    """Lease a trial behind the machine's back, with its books kept."""
    machine = pool.machine
    trial = machine.trials[key(tid)]
    if trial.state is TrialState.PENDING:
        machine.queues["blue"].remove(key(tid))
        machine.leased += 1
    trial.state, trial.worker, trial.attempts = TrialState.LEASED, worker, attempt
    machine.workers[worker].lease = lease(tid, attempt)
    return assign(worker, tid, attempt)


def take_back(pool, worker):
    """Take a lease away and forget its trial, with the books kept."""
    machine = pool.machine
    key = machine.workers[worker].lease.trial
    machine.workers[worker].lease = None
    machine.leased -= 1
    del machine.trials[key]
    machine.settled[Outcome.OK] += 1
    return settle(key.tid, worker)


def test_the_helpers_alone_break_nothing(pool):
    pool._watch.after([take_back(pool, "w1")])
    pool._watch.after([hand_over(pool, 2, "w1")])


def test_the_story_comes_with_it(pool):
    pool.machine.leased += 1
    with pytest.raises(RuleBroken, match="TrialsSubmitted"):
        pool._watch.after([])


# 1. The limit.


def test_one_above_the_limit(pool):
    pool.step(e.Paused())
    pool.join("w4")
    pool.step(e.LimitChanged(2))
    pool.step(e.Resumed())
    breaks(pool, 1, hand_over(pool, 2, "w4"))


def test_one_for_another_above_the_limit(pool):
    pool.step(e.LimitChanged(1))
    breaks(pool, 1, take_back(pool, "w1"), hand_over(pool, 2, "w1"))


def test_a_lease_without_an_assignment(pool):
    pool.step(e.Paused())
    pool.join("w4")
    hand_over(pool, 2, "w4")
    breaks(pool, 1)


def test_a_lease_of_a_worker_that_cannot_be_reached(pool):
    breaks(pool, 1, hand_over(pool, 2, "w3"))


def test_a_lease_of_a_worker_that_is_gone(pool):
    pool.machine.workers["w1"].state = WorkerState.GONE
    breaks(pool, 1)


# 2. One lease.


def test_two_workers_with_one_trial(pool):
    pool.machine.workers["w3"].lease = lease(0)
    breaks(pool, 2)


def test_a_worker_that_holds_another_trial_than_it_was_assigned(pool):
    breaks(pool, 2, assign("w1", 2))


def test_a_trial_that_does_not_know_its_worker(pool):
    pool.machine.trials[key(0)].worker = "w2"
    breaks(pool, 2)


def test_an_attempt_that_is_left_out(pool):
    take_back(pool, "w1")
    breaks(pool, 2, settle(0, "w1"), hand_over(pool, 2, "w1", attempt=2))


def test_a_trial_that_went_to_another_worker_unsaid(pool):
    pool.machine.workers["w1"].lease, pool.machine.workers["w2"].lease = lease(1), lease(0)
    pool.machine.trials[key(0)].worker, pool.machine.trials[key(1)].worker = "w2", "w1"
    breaks(pool, 2)


# 3. Settled once, by the attempt that was live.


def test_a_trial_that_settles_twice(pool):
    pool.end("w1", 0)
    breaks(pool, 3, settle(0, "w1"))


@pytest.mark.parametrize(
    "command",
    [
        settle(0, "w1", attempt=2),
        settle(0, "w2"),
        settle(2, None, attempt=0),
        settle(2, "w1", Outcome.CANCELLED, attempt=0),
        settle(2, None, Outcome.LOST, attempt=0),
        settle(0, None, Outcome.CANCELLED, attempt=0),
    ],
)
def test_a_trial_that_settles_by_what_it_did_not_run_as(pool, command):
    breaks(pool, 3, command)


@pytest.mark.parametrize("delivery", [c.DeliverReport, c.DeliverRequest])
@pytest.mark.parametrize("stale", [lease(1), lease(0, attempt=2)])
def test_a_report_or_request_that_is_not_of_a_live_attempt(pool, stale, delivery):
    breaks(pool, 3, delivery("w1", stale, 1))


# 4. No trial disappears.


def test_a_trial_that_is_forgotten(pool):
    pool.machine.trials.pop(key(3))
    pool.machine.queues["blue"].remove(key(3))
    breaks(pool, 4)


def test_a_trial_that_is_in_no_queue(pool):
    pool.machine.queues["blue"].remove(key(3))
    breaks(pool, 4)


def test_a_trial_that_is_queued_twice(pool):
    pool.machine.queues["blue"].append(key(3))
    breaks(pool, 4)


def test_a_count_that_is_off(pool):
    pool.machine.settled[Outcome.OK] += 1
    breaks(pool, 4)


def test_a_trial_that_settles_unsaid(pool):
    pool.machine.step(e.OutcomeArrived("w1", lease(0), Outcome.OK, 1), 0.0)
    breaks(pool, 4, assign("w1", 2))


# 5. Paused, draining, shut down.


def test_a_lease_while_the_pool_is_paused(pool):
    take_back(pool, "w1")
    pool.machine.paused = True
    breaks(pool, 5, settle(0, "w1"), hand_over(pool, 2, "w1"))


def test_a_lease_while_the_pool_drains(pool):
    take_back(pool, "w1")
    pool.machine.draining = "maintenance"
    breaks(pool, 5, settle(0, "w1"), hand_over(pool, 2, "w1"))


def test_a_lease_of_a_worker_that_drains(pool):
    take_back(pool, "w1")
    pool.machine.workers["w1"].draining = "maintenance"
    breaks(pool, 5, settle(0, "w1"), hand_over(pool, 2, "w1"))


def test_a_lease_after_the_pool_has_shut_down(pool):
    take_back(pool, "w1")
    shut = c.ShutDown("lost", failed=True)
    breaks(pool, 5, shut, settle(0, "w1"), hand_over(pool, 2, "w1"))


@pytest.mark.parametrize("command", [c.ShutDown("again", failed=True), c.LaunchGang(1, 2, 1)])
def test_nothing_comes_after_the_shutdown(pool, command):
    pool._watch.after([c.ShutDown("lost", failed=True)])
    breaks(pool, 5, command)


# 6. Max attempts.


def test_an_attempt_too_many(pool):
    pool.machine.trials[key(2)].max_attempts = 0
    take_back(pool, "w1")
    breaks(pool, 6, settle(0, "w1"), hand_over(pool, 2, "w1"))


def test_a_trial_that_is_lost_too_early(pool):
    breaks(pool, 6, settle(0, "w1", Outcome.LOST))


def test_a_trial_that_comes_back(pool):
    pool.end("w1", 0)
    breaks(pool, 6, assign("w1", 0, attempt=2))


# 7. Who stays when nothing more is to come.


def test_an_idle_worker_that_no_trial_can_need(pool):
    pool.end("w1", 0)
    pool.end("w1", 2)
    pool.end("w2", 1)
    pool.machine.all_submitted = True
    breaks(pool, 7)


def test_a_worker_that_is_released_while_there_may_be_more_to_come(pool):
    breaks(pool, 7, c.Expel("w3", RELEASED))


def test_a_worker_that_is_released_though_there_are_more_trials(pool):
    pool.machine.all_submitted = True
    breaks(pool, 7, c.Expel("w3", RELEASED))


# What a watch that is not thorough still sees.


def test_commands_and_the_limit_are_always_looked_at(pool):
    pool.machine.queues["blue"].remove(key(3))
    pool._watch.after([], thorough=False)
    with pytest.raises(RuleBroken, match="rule 3"):
        pool._watch.after([settle(0, "w2")], thorough=False)
    pool.machine.leased += 1
    with pytest.raises(RuleBroken, match="rule 1"):
        pool._watch.after([], thorough=False)


# 11. Verdicts.


def test_a_verdict_of_an_attempt_that_its_worker_does_not_run(pool):
    breaks(pool, 11, c.PruneAttempt("w1", lease(1), "worse than others"))


def test_a_lease_after_a_verdict(pool):
    pool.prune(0)
    breaks(pool, 11, hand_over(pool, 0, "w1", attempt=2))


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.LOST])
def test_a_trial_that_is_anything_but_pruned_after_its_verdict(pool, outcome):
    pool.prune(0)
    take_back(pool, "w1")
    breaks(pool, 11, settle(0, "w1", outcome))
