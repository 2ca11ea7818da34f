"""A cut that is shorter than the grace period costs nothing."""

from __future__ import annotations

import dataclasses

import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Lease, Outcome
from tests.coordinator import meetings
from tests.support.proxy import Proxy, Way


@pytest.fixture
def running(rig, line):
    """A trial that runs on a worker at the other end of the line."""
    rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
    assert rig.heard(events.WorkerJoined).holding is None
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "once"))
    return study, rig.post.visit()


def assert_settled_once(rig, study, result):
    settled = study.settled()
    assert (settled.outcome, settled.attempt, settled.result.load()) == (Outcome.OK, 1, result)
    study.submit((rig.post.path, "next"))
    visit = rig.post.visit()
    assert visit.word == "next"
    visit.answer("after")
    settled = study.settled()
    assert (settled.tid, settled.attempt, settled.result.load()) == (1, 1, "after")


def test_a_trial_runs_on_through_a_cut(rig, line, running):
    study, visit = running
    line.cut()
    rig.heard(events.StreamLost)
    line.mend()
    holding = rig.heard(events.WorkerJoined).holding
    assert isinstance(holding, Lease)
    assert (holding.trial.tid, holding.attempt) == (0, 1)
    visit.answer("whole")
    assert_settled_once(rig, study, "whole")


def test_a_result_is_kept_through_a_cut(rig, line, running):
    study, visit = running
    line.cut()
    rig.heard(events.StreamLost)
    visit.answer("kept")
    line.mend()
    assert rig.heard(events.WorkerJoined).holding is not None
    assert_settled_once(rig, study, "kept")


def test_a_trial_cancelled_during_a_cut_ends_when_the_worker_is_back(rig, line, running):
    study, visit = running
    line.cut()
    rig.heard(events.StreamLost)
    study.channel.cancel(0, "meanwhile")
    settled = study.settled()
    assert (settled.outcome, settled.reason) == (Outcome.CANCELLED, "meanwhile")
    line.mend()
    visit.wait_for_the_end()
    study.submit((rig.post.path, "next"))
    rig.post.visit().answer("fine")
    assert study.result() == "fine"


def test_a_large_result_is_kept_through_a_cut(rig, line):
    rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
    study = rig.study(meetings.wait_for_bytes)
    study.submit((rig.post.path, 3 * 2**20))
    visit = rig.post.visit()
    line.cut()
    rig.heard(events.StreamLost)
    visit.answer()
    line.mend()
    assert study.result() == bytes(3 * 2**20)


@pytest.mark.parametrize("ways", [(Way.THERE,), (Way.BACK,), tuple(Way)])
def test_a_connection_that_is_dead_without_a_word_is_replaced(make_rig, ways):
    rig = make_rig(policy=Policy(silence=10, grace=30))
    line = Proxy(rig.endpoint.address)
    try:
        # Far less patient than the coordinator, so that only the worker can be what finds out.
        rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address), grace=3)
        study = rig.study(meetings.wait)
        study.submit((rig.post.path, "once"))
        visit = rig.post.visit()
        line.swallow(*ways)
        visit.answer("whole")
        assert_settled_once(rig, study, "whole")
    finally:
        rig.close()
        line.close()
