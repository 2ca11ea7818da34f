"""A trial that takes longer than it may is killed by its worker, and has failed."""

from __future__ import annotations

from sparkopt.core.states import Outcome
from sparkopt.errors import TrialTimeoutError
from tests.coordinator import meetings


def test_an_overdue_trial_is_killed_and_has_failed(rig):
    rig.work(0)
    study = rig.study(meetings.wait, trial_timeout=0.25)
    study.submit((rig.post.path, "slow"), (rig.post.path, "quick"))
    rig.post.visit().wait_for_the_end()
    settled = study.settled()
    assert (settled.tid, settled.outcome, settled.attempt) == (0, Outcome.FAILED, 1)
    assert settled.failure.type == f"{TrialTimeoutError.__module__}.{TrialTimeoutError.__qualname__}"
    assert "longer than trial_timeout=0.25 s" in settled.failure.message
    assert settled.seconds == 0.25
    # The worker goes on with another process.
    rig.post.visit().wait_for_the_end()
    assert study.settled().tid == 1


def test_an_objective_whose_loading_does_not_end_fails_its_trials(rig):
    rig.work(0, loading=0.5)
    study = rig.study(meetings.Awaited(rig.post.path), trial_timeout=0.25)
    study.submit(0, 1)
    for tid in range(2):
        rig.post.visit().wait_for_the_end()
        settled = study.settled()
        assert (settled.tid, settled.outcome, settled.attempt) == (tid, Outcome.FAILED, 1)
        assert settled.failure.type == f"{TrialTimeoutError.__module__}.{TrialTimeoutError.__qualname__}"
        assert "not loaded within 0.5 s" in settled.failure.message


def test_loading_may_take_as_long_as_a_trial(rig):
    rig.work(0, loading=0.01)
    study = rig.study(meetings.Awaited(rig.post.path), trial_timeout=3600)
    study.submit(0)
    rig.post.visit().answer("loaded")
    assert study.settled().failure.type == "TypeError"  # text cannot be called


def test_a_trial_in_time_is_left_alone(rig):
    rig.work(0)
    study = rig.study(meetings.double, trial_timeout=3600)
    study.submit(1, 2, 3)
    assert [study.result() for _ in range(3)] == [2, 4, 6]


def test_an_overdue_trial_that_is_cancelled_first_is_cancelled(rig):
    rig.work(0)
    study = rig.study(meetings.wait, trial_timeout=3600)
    study.submit((rig.post.path, "slow"))
    visit = rig.post.visit()
    study.channel.cancel(0, "enough")
    visit.wait_for_the_end()
    assert study.settled().outcome is Outcome.CANCELLED


def test_other_studies_have_no_limit(rig):
    rig.work(0)
    limited, free = rig.study(meetings.wait, trial_timeout=0.25), rig.study(meetings.wait)
    limited.submit((rig.post.path, "limited"))
    rig.post.visit().wait_for_the_end()
    assert limited.settled().outcome is Outcome.FAILED
    free.submit((rig.post.path, "free"))
    visit = rig.post.visit()
    limited.submit((rig.post.path, "limited"))
    visit.answer("free at last")
    assert free.result() == "free at last"
    rig.post.visit().wait_for_the_end()
    assert limited.settled().outcome is Outcome.FAILED
