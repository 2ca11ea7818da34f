"""A trial that is to stop early hears of it, stops or is ended, and says so once."""

from __future__ import annotations

import dataclasses
import time

import pytest

from sparkopt.core import events
from sparkopt.core.states import Lease, Outcome, TrialKey
from tests.coordinator.pruned_objectives import Follow
from tests.support.proxy import Proxy

STOPS = [
    "reports",
    "catches_exceptions",
    "raises_another",
    "raises_from_it",
    "raises_a_group",
    "swallows_the_first",
    "asks",
    "asks_in_a_child",
    "in_a_thread",
]


def test_an_objective_that_lets_it_pass_has_stopped_and_the_next_trial_runs_in_its_process(rig):
    rig.work(0)
    study = rig.study(Follow())
    for tid, name in enumerate(STOPS):
        study.submit((name, rig.post.path))
        visit = rig.post.visit()
        rig.prune(study, tid)
        visit.answer()
        settled = study.settled()
        assert (name, settled.outcome) == (name, Outcome.PRUNED)
        assert (settled.failure, settled.result) == (None, None)
        assert settled.seconds > 0
    study.submit(("next_one", None))
    assert study.result() == visit.pid


def test_an_objective_may_stop_by_itself(rig):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("stops_by_itself", None))
    assert study.settled().outcome is Outcome.PRUNED


def test_what_the_objective_says_by_itself_beats_the_verdict(rig):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("returns_all_the_same", rig.post.path))
    visit = rig.post.visit()
    rig.prune(study, 0)
    visit.answer()
    assert study.result() == "a result"
    study.submit(("fails_all_the_same", rig.post.path))
    visit = rig.post.visit()
    rig.prune(study, 1)
    visit.answer()
    settled = study.settled()
    assert (settled.outcome, settled.failure.message) == (Outcome.FAILED, "of its own")


def test_one_that_goes_on_is_ended_after_the_grace(rig):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("goes_on", rig.post.path))
    visit = rig.post.visit()
    rig.prune(study, 0, grace=0.3)
    began = time.monotonic()
    visit.answer()
    again = rig.post.visit()
    assert again.word == "goes on"
    again.wait_for_the_end()
    assert study.settled().outcome is Outcome.PRUNED
    assert time.monotonic() - began >= 0.3
    study.submit(("next_one", None))
    assert study.result() != visit.pid


@pytest.mark.parametrize("grace", [0.0, 0.2])
def test_one_that_lets_nothing_else_in_is_ended_too(rig, grace):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("goes_on_in_c", rig.post.path))
    visit = rig.post.visit()
    visit.answer()
    rig.prune(study, 0, grace=grace)
    visit.wait_for_the_end()
    assert study.settled().outcome is Outcome.PRUNED


def test_without_a_grace_it_goes_on_and_a_cancellation_ends_it(rig):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("goes_on", rig.post.path))
    visit = rig.post.visit()
    rig.prune(study, 0, grace=None)
    visit.answer()
    rig.post.visit().answer()
    rig.post.visit()
    study.channel.cancel(0, "enough")
    assert study.settled().outcome is Outcome.CANCELLED


def test_a_timeout_of_one_that_is_to_stop_is_its_end(rig):
    rig.work(0)
    study = rig.study(Follow(), trial_timeout=1.0)
    study.submit(("goes_on_in_c", rig.post.path))
    visit = rig.post.visit()
    rig.prune(study, 0)
    visit.answer()
    assert study.settled().outcome is Outcome.PRUNED


def test_a_verdict_of_another_attempt_changes_nothing(rig):
    rig.work(0)
    study = rig.study(Follow())
    study.submit(("returns_all_the_same", rig.post.path), ("next_one", None))
    visit = rig.post.visit()
    lease = Lease(TrialKey(study.name, 1), 1)
    rig.coordinator.post(lambda: [each.prune(lease, 0.0) for each in rig.coordinator.streams.values()])
    rig.prune(study, 0)
    visit.answer()
    assert study.result() == "a result"
    assert study.settled().outcome is Outcome.OK


@pytest.mark.parametrize("said", [False, True], ids=["it has not heard", "it is to answer"])
def test_a_pruned_outcome_survives_a_cut(rig, said):
    line = Proxy(rig.endpoint.address)
    try:
        rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
        rig.heard(events.WorkerJoined)
        study = rig.study(Follow())
        study.submit(("reports", rig.post.path))
        visit = rig.post.visit()
        if said:
            rig.prune(study, 0)
            rig.heard(events.Heartbeat)
            rig.heard(events.Heartbeat)
        line.cut()
        rig.heard(events.StreamLost)
        visit.answer()
        line.mend()
        rig.heard(events.WorkerJoined)
        if not said:
            rig.prune(study, 0)
        assert study.settled().outcome is Outcome.PRUNED
    finally:
        rig.close()
        line.close()
