"""A trial is cancelled in whatever state it is. What real workers make of it: test_trials, test_cuts."""

from __future__ import annotations

import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome, WorkerState
from sparkopt.wire import codec
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator import meetings

WORKER = "gang0.1/worker0"


def ok(value):
    return {"kind": trial_pb2.OUTCOME_KIND_OK, "result": trial_pb2.Payload(inline=codec.dumps(value))}


def cancelled():
    return {"kind": trial_pb2.OUTCOME_KIND_CANCELLED}


@pytest.fixture
def peer(rig):
    """The one worker."""
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    return peer


def next_attempt(peer):
    """The next thing that the worker hears is an assignment: of this attempt."""
    return peer.hear("assignment").assignment.attempt


def test_a_waiting_trial_settles_and_the_next_one_takes_its_turn(rig, peer):
    study = rig.study(meetings.double)
    study.submit("runs", "waits", "waits as well")
    running = next_attempt(peer)
    study.channel.cancel(1, "never mind")
    settled = study.settled()
    assert (settled.tid, settled.outcome, settled.attempt, settled.worker) == (1, Outcome.CANCELLED, 0, None)
    assert settled.reason == "never mind"
    peer.outcome(running, 1, **ok("one"))
    assert study.result() == "one"
    assert next_attempt(peer).tid == 2


def test_a_trial_that_waits_for_another_worker_settles_with_the_attempt_that_was_lost(rig, peer):
    study = rig.study(meetings.double)
    study.submit("unlucky")
    next_attempt(peer)
    rig.coordinator.post_event(events.WorkerGone(WORKER, "its task ended"))
    study.channel.cancel(0, "enough")
    settled = study.settled()
    assert (settled.outcome, settled.attempt, settled.reason) == (Outcome.CANCELLED, 1, "enough")
    other = rig.peer()
    other.hello(slot=1)
    other.hear("welcome")
    study.submit("next")
    assert next_attempt(other).tid == 1


@pytest.mark.parametrize("result", [True, False], ids=["with a result", "without"])
def test_a_running_trial_settles_once_however_often_it_is_cancelled(rig, peer, result):
    study = rig.study(meetings.double)
    study.submit("runs", "next")
    running = next_attempt(peer)
    study.channel.cancel(0, "first")
    study.channel.cancel(0, "second")
    study.channel.cancel(0, "third")
    assert peer.hear("cancellation").cancellation.reason == "first"
    peer.outcome(running, 1, **(ok("quicker") if result else cancelled()))
    settled = study.settled()
    if result:
        assert (settled.tid, settled.outcome, settled.result.load()) == (0, Outcome.OK, "quicker")
    else:
        assert (settled.tid, settled.outcome, settled.reason) == (0, Outcome.CANCELLED, "first")
    # The worker is told but once, and free for the next.
    peer.outcome(next_attempt(peer), 2, **ok("after"))
    settled = study.settled()
    assert (settled.tid, settled.result.load()) == (1, "after")


def test_a_settled_trial_and_one_that_nobody_knows_stay_as_they_are(rig, peer):
    study, other = rig.study(meetings.double), rig.study(meetings.double)
    study.submit("done")
    peer.outcome(next_attempt(peer), 1, **ok("one"))
    assert study.result() == "one"
    for channel in (study.channel, other.channel):
        channel.cancel(0, "too late")
        channel.cancel(99, "who?")
    study.submit("next")
    peer.outcome(next_attempt(peer), 2, **ok("two"))
    settled = study.settled()
    assert (settled.tid, settled.outcome, settled.result.load()) == (1, Outcome.OK, "two")


def test_a_trial_of_a_worker_that_is_silent_settles_at_once_and_the_worker_is_told(make_rig):
    rig = make_rig(policy=Policy(silence=0.1))
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    study = rig.study(meetings.double)
    study.submit("runs")
    running = next_attempt(peer)
    while rig.coordinator.machine.workers[WORKER].state is WorkerState.READY:
        rig.heard(events.Tick)
    study.channel.cancel(0, "meanwhile")
    settled = study.settled()
    assert (settled.outcome, settled.attempt, settled.reason) == (Outcome.CANCELLED, 1, "meanwhile")
    assert peer.hear("cancellation").cancellation.attempt == running
    # What it says of that trial now is stale, but it is heard of again, and gets the next.
    peer.outcome(running, 1, **ok("too late"))
    study.submit("next")
    peer.outcome(next_attempt(peer), 2, **ok("in time"))
    settled = study.settled()
    assert (settled.tid, settled.result.load()) == (1, "in time")


def test_a_result_that_is_kept_through_a_cut_is_stale_once_its_trial_was_cancelled(rig, peer):
    study = rig.study(meetings.double)
    study.submit("runs")
    running = next_attempt(peer)
    peer.end()
    rig.heard(events.StreamLost)
    study.channel.cancel(0, "meanwhile")
    assert study.settled().outcome is Outcome.CANCELLED
    again = rig.peer()
    again.hello(holding=running)
    again.hear("welcome")
    assert again.hear("cancellation").cancellation.attempt == running
    again.outcome(running, 1, **ok("too late"))
    study.submit("next")
    again.outcome(next_attempt(again), 2, **ok("in time"))
    settled = study.settled()
    assert (settled.tid, settled.result.load()) == (1, "in time")


def test_a_study_is_cancelled_wherever_its_trials_are_and_another_goes_on(rig, peer):
    study, other = rig.study(meetings.double), rig.study(meetings.double)
    study.submit("runs", "waits", "waits as well")
    running = next_attempt(peer)
    other.submit("of another")
    study.channel.cancel(None, "the study is over")
    assert peer.hear("cancellation").cancellation.attempt == running
    waiting = [study.settled() for _ in range(2)]
    assert [(each.tid, each.outcome, each.attempt) for each in waiting] == [
        (1, Outcome.CANCELLED, 0),
        (2, Outcome.CANCELLED, 0),
    ]
    peer.outcome(running, 1, **ok("quicker"))
    assert study.result() == "quicker"
    attempt = next_attempt(peer)
    assert attempt.study != running.study
    peer.outcome(attempt, 2, **ok("undisturbed"))
    assert other.result() == "undisturbed"
    # A cancelled study is not a closed one.
    study.submit("after all")
    assert (next_attempt(peer).study, study.channel.started()[-1].tid) == (running.study, 3)


def test_a_large_argument_goes_with_its_cancelled_trial(rig):
    study = rig.study(meetings.double)
    study.submit(bytes(2**21))
    study.channel.cancel(0, "never mind")
    assert study.settled().outcome is Outcome.CANCELLED
    assert len(rig.coordinator.blobs._offered) == 1  # the objective
