"""Trials, workers and pools end in time though an objective has stopped the processes above it."""

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

STOPPED = {
    "the nursery": lambda visit, worker: [psutil.Process(visit.parent)],
    "itself": lambda visit, worker: [psutil.Process(visit.pid)],
    "both": lambda visit, worker: [psutil.Process(visit.parent), psutil.Process(visit.pid)],
}
ALL = STOPPED | {
    "process A": lambda visit, worker: [process_a(worker)],
    "all three": lambda visit, worker: [
        psutil.Process(visit.pid),
        psutil.Process(visit.parent),
        process_a(worker),
    ],
}


@pytest.fixture
def run(make_rig):
    """Have a worker run an objective with a child and a daemon, and stop some of its processes."""

    def start(whom, trial_timeout=None, **settings):
        rig = make_rig(**settings)
        (worker,) = rig.work(0, grace=rig.coordinator.machine.policy.grace)
        rig.heard(events.WorkerJoined)
        study = rig.study(meetings.have_children, trial_timeout=trial_timeout)
        study.submit((rig.post.path, "objective"))
        visits = rig.post.visits(3)
        for process in whom(visits["objective"], worker):
            process.suspend()
        return rig, worker, study, visits

    return start


def assert_gone(visits):
    for visit in visits.values():
        visit.wait_for_the_end()


def assert_works(rig, worker):
    again = rig.study(meetings.double)
    again.submit(2)
    assert again.result() == 4
    assert worker.poll() is None


@pytest.mark.parametrize("whom", STOPPED.values(), ids=STOPPED)
def test_a_trial_is_cancelled(run, whom):
    rig, worker, study, visits = run(whom)
    study.channel.cancel(None, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    assert_gone(visits)
    assert_works(rig, worker)


def test_a_trial_fails_at_its_timeout_and_the_next_ones_run(run):
    rig, worker, study, visits = run(STOPPED["both"], trial_timeout=3)
    failed = study.settled()
    assert (failed.outcome, failed.failure.type) == (Outcome.FAILED, "sparkopt.errors.TrialTimeoutError")
    assert_gone(visits)
    assert_works(rig, worker)


def test_one_nursery_after_another(run):
    rig, worker, _, visits = run(STOPPED["the nursery"])
    rig.coordinator.post_event(events.CancelRequested("study-0", None, "enough"))
    assert_gone(visits)
    nurseries = {visits["objective"].parent}
    study = rig.study(meetings.wait)
    for _ in range(3):
        study.submit((rig.post.path, "again"))
        visit = rig.post.visit()
        assert visit.parent not in nurseries
        nurseries.add(visit.parent)
        psutil.Process(visit.parent).kill()
        assert study.settled().failure.type == "sparkopt.errors.EvaluatorDiedError"
    assert_works(rig, worker)


@pytest.mark.parametrize("whom", STOPPED.values(), ids=STOPPED)
def test_a_worker_leaves(run, whom):
    rig, worker, _, visits = run(whom)
    rig.coordinator.expel_all()
    assert_gone(visits)
    rig.wait_for_the_end_of_all(worker)
    assert worker.wait() == 0


@pytest.mark.parametrize("whom", ALL.values(), ids=ALL)
def test_nothing_is_left_of_a_worker_whose_task_is_killed(run, whom):
    rig, worker, _, visits = run(whom)
    worker.kill()
    assert_gone(visits)
    rig.wait_for_the_end_of_all(worker)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_nothing_is_left_if_process_a_is_killed_and_its_nurseries_cannot_clean_up(run, number):
    rig, worker, study, visits = run(lambda visit, worker: [])
    a = process_a(worker)
    for nursery in a.children():
        nursery.send_signal(number)
    a.kill()
    assert_gone(visits)
    study.channel.cancel(None, "enough")
    assert_works(rig, worker)


def test_a_process_a_that_gives_no_sign_of_life_is_replaced(run):
    rig, worker, study, visits = run(ALL["all three"], policy=Policy(silence=0.5, grace=1), limit=1)
    assert_gone(visits)
    second = rig.post.visits(3)
    second["objective"].answer("at last")
    settled = study.settled()
    assert (settled.outcome, settled.attempt) == (Outcome.OK, 2)
    joined = rig.heard(events.WorkerJoined)
    assert (joined.worker, joined.formerly) == ("gang0.1/worker0.2", "gang0.1/worker0")
    assert_works(rig, worker)


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_NOFILE"), reason="nobody can set another process's limits")
@pytest.mark.parametrize("need", ["an evaluator", "a file"])
def test_a_process_a_that_can_open_no_more_descriptors_is_replaced(run, need):
    rig, worker, study, visits = run(lambda visit, worker: [])
    process_a(worker).rlimit(psutil.RLIMIT_NOFILE, (0, 0))
    psutil.Process(visits["objective"].pid).kill()
    assert_gone(visits)
    assert study.settled().outcome is Outcome.FAILED
    if need == "an evaluator":
        study.submit((rig.post.path, "objective"))  # its file is there
        rig.post.visits(3)["objective"].answer("at last")
        assert study.result() == "at last"
    assert_works(rig, worker)
    assert rig.heard(events.WorkerJoined).worker == "gang0.1/worker0.2"


def test_a_worker_that_comes_again_is_the_same_worker(run):
    rig, worker, study, visits = run(lambda visit, worker: [])
    study.channel.cancel(None, "enough")
    assert_gone(visits)
    for life in (2, 3):
        process_a(worker).kill()
        joined = rig.heard(events.WorkerJoined)
        assert joined.worker == f"gang0.1/worker0.{life}"
        assert_works(rig, worker)


def test_a_process_a_that_never_reached_the_coordinator_is_not_replaced(make_rig):
    rig = make_rig()
    nowhere = dataclasses.replace(rig.endpoint, address="127.0.0.1:1")
    (worker,) = rig.work(0, endpoint=nowhere)
    while not psutil.Process(worker.pid).children():
        assert worker.poll() is None
    process_a(worker).kill()
    code, words = rig.how_it_ended(worker)
    assert code == 1
    assert "could not go on: its process ended: killed by SIGKILL" in words
