"""A trial whose worker is lost runs again on another, as often as it may."""

from __future__ import annotations

import dataclasses
import signal

import psutil
import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from tests.coordinator import meetings
from tests.coordinator.rig import process_a

SOON = Policy(silence=10, grace=0.3)


def worker_of(visit, workers):
    """The worker whose nursery is the parent of a visitor."""
    alive = [worker for worker in workers if worker.poll() is None]
    # From the nursery up: process A, then the task. Another worker may only just be starting its process A.
    task = psutil.Process(visit.parent).parents()[1].pid
    return next(worker for worker in alive if worker.pid == task)


def test_a_trial_runs_again_when_its_worker_was_killed(make_rig):
    rig = make_rig(limit=1, policy=SOON)
    workers = rig.work(0, 1)
    for _ in workers:
        rig.heard(events.WorkerJoined)
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "again"))
    first = rig.post.visit()
    process_a(worker_of(first, workers)).kill()
    second = rig.post.visit()
    assert second.pid != first.pid
    first.wait_for_the_end()
    second.answer("from the second")
    settled = study.settled()
    assert (settled.outcome, settled.attempt) == (Outcome.OK, 2)
    assert settled.result.load() == "from the second"
    assert [started.attempt for started in study.channel.started()] == [1, 2]


def test_a_trial_that_took_every_worker_down_is_lost(make_rig):
    rig = make_rig(limit=1, policy=SOON)
    workers = rig.work(0, 1)
    study = rig.study(meetings.wait, max_attempts=2)
    study.submit((rig.post.path, "never"))
    for _ in workers:
        visit = rig.post.visit()
        process_a(worker_of(visit, workers)).kill()
        visit.wait_for_the_end()
    lost = study.settled()
    assert (lost.outcome, lost.attempt, lost.result, lost.failure) == (Outcome.LOST, 2, None, None)
    assert "2 workers were lost" in lost.reason


def test_a_silent_worker_is_given_up_and_starts_over_when_it_wakes(make_rig):
    rig = make_rig(limit=1, policy=Policy(silence=1, grace=2))
    (sleeper,) = rig.work(0)
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "once"))
    first = rig.post.visit()
    (other,) = rig.work(1)
    for _ in (sleeper, other):
        rig.heard(events.WorkerJoined)
    process = process_a(sleeper)
    process.send_signal(signal.SIGSTOP)
    try:
        second = rig.post.visit()
        # The first still computes, which nobody can know; what it says counts no more.
        first.answer("late")
    finally:
        process.send_signal(signal.SIGCONT)
    first.wait_for_the_end()
    # Whether it saw the clock first, or that it was expelled: it is here again, and its gang is whole.
    again = rig.heard(events.WorkerJoined)
    assert (again.worker, again.formerly) == ("gang0.1/worker0.2", "gang0.1/worker0")
    second.answer("in time")
    assert study.result() == "in time"
    study.submit((rig.post.path, "a"))
    third = rig.post.visit()
    assert worker_of(third, [sleeper, other]) is sleeper
    third.answer("awake")
    assert study.result() == "awake"
    assert (sleeper.poll(), other.poll()) == (None, None)


@pytest.mark.parametrize("code", ["silent", "refused"])
def test_a_worker_that_cannot_reach_the_coordinator_gives_up(rig, code):
    if code == "silent":
        endpoint = dataclasses.replace(rig.endpoint, address="127.0.0.1:1")
    else:
        endpoint = dataclasses.replace(rig.endpoint, token="wrong")
    (worker,) = rig.work(0, endpoint=endpoint, grace=0.3)
    status, words = rig.how_it_ended(worker)
    assert status == 1
    assert "CoordinatorUnreachableError" in words
