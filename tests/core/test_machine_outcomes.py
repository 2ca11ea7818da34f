"""What an outcome or a report does: settle, be a repetition, be stale, or give an attempt up."""

from __future__ import annotations

import pytest

from sparkopt.core import commands as c
from sparkopt.core.records import Counts
from sparkopt.core.states import Outcome
from tests.core.core_pool import Pool, assign, kinds, lease, settle


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.FAILED])
def test_an_outcome_settles_its_trial_and_frees_the_worker(outcome):
    pool = Pool("w1")
    pool.submit(0, 1)
    assert pool.end("w1", 0, outcome) == [settle(0, "w1", outcome), assign("w1", 1)]
    assert pool.machine.settled == {outcome: 1}
    assert pool.machine.counts() == Counts(submitted=2, pending=0, leased=1, settled=1, lost_attempts=0)


def test_a_failure_of_the_objective_is_not_tried_again():
    pool = Pool("w1")
    pool.submit(0, max_attempts=3)
    assert pool.end("w1", 0, Outcome.FAILED) == [settle(0, "w1", Outcome.FAILED)]
    assert pool.machine.trials == {}


# Twice is once.


def test_an_outcome_that_arrives_again_changes_nothing():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2)
    pool.end("w1", 0, sequence=1)
    before = pool.picture()
    assert pool.end("w1", 0, sequence=1) == []
    assert pool.picture() == before


def test_an_outcome_that_arrives_again_under_a_new_sequence_number_changes_nothing():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2)
    pool.end("w1", 0, sequence=1)
    before = pool.picture()
    assert pool.end("w1", 0, Outcome.FAILED, sequence=2) == []
    assert pool.picture() == before


def test_a_sequence_number_counts_once_whatever_it_is_about():
    # Not what an honest worker sends: the number alone decides what is a repetition.
    pool = Pool("w1")
    pool.submit(0, 1)
    pool.end("w1", 0, sequence=5)
    assert pool.end("w1", 1, sequence=5) == []
    assert pool.end("w1", 1, sequence=4) == []
    assert pool.end("w1", 1, sequence=6) == [settle(1, "w1")]


def test_each_worker_has_its_own_sequence():
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.end("w1", 0, sequence=9)
    assert pool.end("w2", 1, sequence=1) == [settle(1, "w2")]


# Stale.


def test_an_outcome_of_an_earlier_attempt_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    pool.end("w1", 0, Outcome.CANCELLED)
    assert pool.machine.workers["w1"].lease == lease(0, attempt=2)
    before = pool.picture()
    assert pool.end("w1", 0, Outcome.OK, attempt=1) == []
    assert pool.end("w1", 0, Outcome.OK, attempt=3) == []
    assert pool.picture() == before
    assert pool.end("w1", 0, attempt=2) == [settle(0, "w1", attempt=2)]


def test_an_outcome_of_a_trial_that_another_worker_has_changes_nothing():
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    before = pool.picture()
    assert pool.end("w2", 0) == []
    assert pool.picture() == before


def test_an_outcome_of_the_same_tid_of_another_study_changes_nothing():
    pool = Pool("w1")
    pool.submit(0, study="blue")
    assert pool.end("w1", 0, study="red") == []
    assert pool.machine.counts().leased == 1


def test_an_outcome_of_a_worker_that_is_gone_changes_nothing():
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.lose("w1")
    pool.end("w2", 1)
    assert pool.machine.workers["w2"].lease == lease(0, attempt=2)
    before = pool.picture()
    assert pool.end("w1", 0, attempt=1) == []
    assert pool.end("w1", 0, attempt=2) == []
    assert pool.picture() == before


def test_an_outcome_of_an_earlier_generation_changes_nothing():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.end_gang()
    pool.wait_for_deadline()
    assert pool.join("v1", generation=2) == [assign("v1", 0, attempt=2)]
    before = pool.picture()
    assert pool.end("w1", 0, attempt=1) == []
    assert pool.end("w1", 0, attempt=2) == []
    assert pool.picture() == before


def test_an_outcome_of_a_worker_that_never_joined_changes_nothing():
    pool = Pool("w1")
    pool.submit(0)
    before = pool.picture()
    assert pool.end("w9", 0) == []
    assert pool.picture() == before


# Giving up, and being lost.


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.LOST])
def test_a_worker_may_give_an_attempt_up(outcome):
    pool = Pool("w1", "w2")
    pool.submit(0)
    assert pool.end("w1", 0, outcome) == [assign("w2", 0, attempt=2)]
    assert pool.machine.counts().lost_attempts == 1
    assert pool.submit(1) == [assign("w1", 1)]


def test_a_trial_that_is_given_up_too_often_is_lost():
    pool = Pool("w1")
    pool.submit(0, max_attempts=2)
    assert pool.end("w1", 0, Outcome.CANCELLED) == [assign("w1", 0, attempt=2)]
    (command,) = pool.end("w1", 0, Outcome.CANCELLED, attempt=2)
    assert (command.outcome, command.attempt, command.worker) == (Outcome.LOST, 2, "w1")


def test_a_trial_whose_worker_is_lost_goes_to_the_front_of_its_queue():
    pool = Pool("w1", "w2")
    pool.submit(0, 1, 2, 3)
    assert pool.lose("w1") == []
    assert pool.end("w2", 1) == [settle(1, "w2"), assign("w2", 0, attempt=2)]
    assert pool.end("w2", 0, attempt=2) == [settle(0, "w2", attempt=2), assign("w2", 2)]


def test_a_trial_that_is_back_in_its_queue_waits_for_its_studys_turn():
    pool = Pool("w1")
    pool.submit(0, study="blue")
    pool.submit(0, 1, study="red")
    pool.lose("w1")
    assert pool.join("w2") == [assign("w2", 0, study="red")]
    assert pool.join("w3") == [assign("w3", 0, attempt=2, study="blue")]
    assert pool.join("w4") == [assign("w4", 1, study="red")]


def test_a_trial_that_took_max_attempts_workers_down_is_lost():
    pool = Pool("w1", "w2", "w3")
    pool.submit(0, max_attempts=2)
    assert pool.lose("w1", "its memory ran out") == [assign("w2", 0, attempt=2)]
    (command,) = pool.lose("w2", "its disk was full")
    assert (command.trial.tid, command.attempt, command.outcome) == (0, 2, Outcome.LOST)
    assert command.worker == "w2"
    assert "2 workers" in command.reason
    assert "its disk was full" in command.reason
    assert pool.join("w4") == []
    assert pool.machine.counts() == Counts(submitted=1, pending=0, leased=0, settled=1, lost_attempts=2)


def test_a_trial_with_one_attempt_is_lost_with_its_worker():
    pool = Pool("w1", "w2")
    pool.submit(0, max_attempts=1)
    assert kinds(pool.lose("w1")) == [c.Settle]


def test_a_worker_is_gone_once():
    pool = Pool("w1", "w2")
    pool.submit(0)
    pool.lose("w1")
    before = pool.picture()
    assert pool.lose("w1") == []
    assert pool.lose("w9") == []
    assert pool.picture() == before


def test_a_free_worker_that_is_lost_gets_nothing_any_more():
    pool = Pool("w1", "w2")
    assert pool.lose("w1") == []
    assert pool.submit(0, 1) == [assign("w2", 0)]


# Reports and requests.

SENT = pytest.mark.parametrize(
    ("sent", "delivery"), [(Pool.report, c.DeliverReport), (Pool.request, c.DeliverRequest)]
)


@SENT
def test_a_report_or_request_is_delivered_once(sent, delivery):
    pool = Pool("w1")
    pool.submit(0)
    assert sent(pool, "w1", 0, sequence=1) == [delivery("w1", lease(0), 1)]
    assert sent(pool, "w1", 0, sequence=1) == []
    assert sent(pool, "w1", 0, sequence=2) == [delivery("w1", lease(0), 2)]
    assert sent(pool, "w1", 0, sequence=1) == []


def test_reports_requests_and_outcomes_share_a_sequence():
    pool = Pool("w1")
    pool.submit(0)
    pool.report("w1", 0, sequence=3)
    assert pool.request("w1", 0, sequence=3) == []
    pool.request("w1", 0, sequence=4)
    assert pool.end("w1", 0, sequence=4) == []
    assert pool.end("w1", 0, sequence=5) == [settle(0, "w1")]


@SENT
def test_a_report_or_request_of_an_attempt_that_is_over_is_not_delivered(sent, delivery):
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.end("w1", 0)
    assert sent(pool, "w1", 0) == []
    assert sent(pool, "w1", 1) == []
    assert sent(pool, "w2", 1, attempt=2) == []
    pool.lose("w2")
    assert sent(pool, "w2", 1) == []
    assert sent(pool, "w9", 1) == []


@SENT
def test_a_report_or_request_of_a_trial_that_is_to_end_is_still_delivered(sent, delivery):
    pool = Pool("w1")
    pool.submit(0)
    pool.cancel(0)
    assert sent(pool, "w1", 0, sequence=1) == [delivery("w1", lease(0), 1)]
