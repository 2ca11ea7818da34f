"""Nothing outlives an evaluator, nor a worker, whichever of its processes ends and however."""

from __future__ import annotations

import psutil
import pytest

from sparkopt.core.states import Outcome
from tests.coordinator import meetings
from tests.coordinator.rig import process_a

EVERYBODY = {"objective", "child", "daemon"}


@pytest.fixture
def family(rig):
    """An objective that runs, with a child and a daemon that it started; and its worker."""
    (worker,) = rig.work(0)
    study = rig.study(meetings.have_children)
    study.submit((rig.post.path, "objective"))
    visits = rig.post.visits(3)
    assert set(visits) == EVERYBODY
    return rig, worker, study, visits


def assert_gone(visits):
    for visit in visits.values():
        visit.wait_for_the_end()


def assert_goes_on(rig, worker):
    """The worker runs trials, however often it loses a nursery."""
    again = rig.study(meetings.double)
    again.submit(2)
    assert again.result() == 4
    assert worker.poll() is None


def test_descendants_go_with_an_evaluator_that_is_cancelled(family):
    _, worker, study, visits = family
    study.channel.cancel(None, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    assert_gone(visits)
    assert worker.poll() is None


def test_descendants_go_with_an_evaluator_that_is_killed(family):
    rig, worker, study, visits = family
    psutil.Process(visits["objective"].pid).kill()
    failed = study.settled()
    assert (failed.outcome, failed.attempt) == (Outcome.FAILED, 1)
    assert failed.failure.type == "sparkopt.errors.EvaluatorDiedError"
    assert "killed by SIGKILL" in failed.failure.message
    assert_gone(visits)
    assert_goes_on(rig, worker)


def test_everything_goes_with_process_a(family):
    rig, worker, study, visits = family
    process_a(worker).kill()
    assert_gone(visits)
    assert_goes_on(rig, worker)
    # The trial runs again on the worker that has taken the place of the one that was lost.
    again = rig.post.visits(3)
    again["objective"].answer("at last")
    assert study.result() == "at last"


def test_everything_goes_with_the_task(family):
    rig, worker, _, visits = family
    worker.kill()
    assert_gone(visits)
    rig.wait_for_the_end_of_all(worker)


def test_everything_goes_with_the_nursery(family):
    rig, worker, study, visits = family
    psutil.Process(visits["objective"].parent).kill()
    failed = study.settled()
    assert (failed.outcome, failed.attempt) == (Outcome.FAILED, 1)
    assert failed.failure.type == "sparkopt.errors.EvaluatorDiedError"
    assert "together with its parent" in failed.failure.message
    assert_gone(visits)
    assert_goes_on(rig, worker)


def test_an_evaluator_goes_with_the_nursery_even_if_process_a_can_do_nothing(family):
    _, worker, _, visits = family
    a = process_a(worker)
    a.suspend()
    psutil.Process(visits["objective"].parent).kill()
    visits["objective"].wait_for_the_end()
    a.resume()
    assert_gone(visits)


def test_descendants_of_an_objective_that_returned_may_stay_until_its_process_goes(family):
    rig, _, study, visits = family
    visits["objective"].answer("result")
    assert study.result() == "result"
    rig.coordinator.expel_all()
    assert_gone(visits)
