"""A study that takes its reports late: its workers wait for it, and nobody else does."""

from __future__ import annotations

import dataclasses

import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator import meetings
from tests.coordinator.rig import process_a

MOST = 32
"""How many reports a worker may have on their way to a study."""

CHECKPOINT = ReportKind.CHECKPOINT
BODY = trial_pb2.Payload(inline=b"N.")


def flood(number):
    """What has :class:`meetings.Report` send so many reports."""
    return [(CHECKPOINT, value) for value in range(number)]


def values(study):
    return [each.body.load() for each in study.reported]


def fill(rig):
    """Wait until a worker has sent what it may."""
    rig.heard_up_to(events.ReportArrived, MOST)


def assert_slowed(rig):
    """Nothing more comes, though heartbeats come all the while; after a cut the same may come again."""
    heard = rig.heard_up_to(events.Heartbeat, 5)
    assert [each for each in heard if isinstance(each, events.ReportArrived) and each.sequence > MOST] == []


@pytest.fixture
def flooded(rig, line):
    """A study that has taken none of the reports of a trial, which waits because of that."""
    rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
    study = rig.study(meetings.Report())
    study.submit(flood(3000))
    fill(rig)
    return study


def test_a_flood_waits_for_the_study_and_arrives_whole(rig, flooded):
    assert_slowed(rig)
    assert flooded.result() == "done"
    assert values(flooded) == list(range(3000))


def test_what_a_study_took_during_a_cut_has_made_room(rig, line, flooded):
    assert_slowed(rig)  # and the worker has heard that all has arrived
    line.cut()
    rig.heard(events.StreamLost)
    assert flooded.nothing_settles()
    assert len(flooded.reported) == MOST
    line.mend()
    rig.heard(events.WorkerJoined)
    fill(rig)
    assert flooded.result() == "done"
    assert values(flooded) == list(range(3000))


def test_a_cut_makes_no_room(rig, line, flooded):
    assert_slowed(rig)
    line.cut()
    rig.heard(events.StreamLost)
    line.mend()
    rig.heard(events.WorkerJoined)
    assert_slowed(rig)
    assert flooded.result() == "done"
    assert values(flooded) == list(range(3000))


def test_a_cancelled_trial_settles_and_the_next_one_runs(rig, flooded):
    flooded.submit([], flood(MOST))
    flooded.channel.cancel(0, "enough")
    for _ in range(2):
        rig.heard(events.OutcomeArrived)  # while the study still has taken nothing
    settled = flooded.settled()
    assert (settled.tid, settled.outcome) == (0, Outcome.CANCELLED)
    assert [flooded.result(), flooded.result()] == ["done", "done"]
    assert values(flooded) == [*range(MOST), *range(MOST)]


def test_a_study_that_ends_keeps_nobody(rig, flooded):
    flooded.submit([rig.post.path])
    flooded.channel.close()
    rig.heard(events.OutcomeArrived)
    other = rig.study(meetings.Report())
    other.submit(flood(2 * MOST))
    assert other.result() == "done"
    assert values(other) == list(range(2 * MOST))


def test_another_study_of_the_same_worker_is_not_slowed(rig, flooded):
    flooded.channel.cancel(0, "make way")
    rig.heard(events.OutcomeArrived)
    other = rig.study(meetings.Report())
    other.submit(flood(2 * MOST))
    assert other.result() == "done"
    assert values(other) == list(range(2 * MOST))
    assert flooded.settled().outcome is Outcome.CANCELLED
    assert values(flooded) == list(range(MOST))


def test_the_next_worker_of_a_trial_has_its_own_room(make_rig):
    rig = make_rig(limit=1, policy=Policy(silence=10, grace=0.3))
    (first,) = rig.work(0)
    study = rig.study(meetings.Report())
    study.submit(flood(2 * MOST))
    fill(rig)
    rig.work(1)
    process_a(first).kill()
    fill(rig)
    assert_slowed(rig)
    assert study.result() == "done"
    assert values(study) == [*range(MOST), *range(2 * MOST)]


class TestTold:
    """What a worker is told of its reports."""

    @pytest.fixture
    def study(self, rig):
        study = rig.study(meetings.double)
        study.submit(1)
        return study

    @pytest.fixture
    def attempt(self, study, peer):
        return peer.hear("assignment").assignment.attempt

    @pytest.fixture
    def peer(self, rig):
        return self.join(rig)

    def join(self, rig, untaken=(), **holding):
        peer = rig.peer()
        peer.hello(**holding)
        assert peer.hear("welcome").welcome.untaken == list(untaken)
        return peer

    def report(self, peer, attempt, *sequences):
        for sequence in sequences:
            peer.say(
                sequence, report=trial_pb2.Report(attempt=attempt, kind="REPORT_KIND_CHECKPOINT", body=BODY)
            )

    def test_it_hears_of_each_once_the_study_has_taken_it(self, rig, study, peer, attempt):
        self.report(peer, attempt, 1, 2)
        rig.heard_up_to(events.ReportArrived, 2)
        assert study.nothing_settles()
        assert [list(peer.hear(None).taken) for _ in range(2)] == [[1], [2]]

    def test_what_is_sent_again_is_given_to_the_study_once(self, rig, study, peer, attempt):
        self.report(peer, attempt, 1)
        rig.heard(events.ReportArrived)
        peer.end()
        rig.heard(events.StreamLost)
        again = self.join(rig, untaken=[1], holding=attempt)
        self.report(again, attempt, 1, 2)
        rig.heard_up_to(events.ReportArrived, 2)
        assert study.nothing_settles()
        assert [list(again.hear(None).taken) for _ in range(2)] == [[1], [2]]
        assert len(study.reported) == 2

    def test_what_is_sent_again_although_it_was_taken_is_taken(self, rig, study, peer, attempt):
        self.report(peer, attempt, 1)
        rig.heard(events.ReportArrived)
        peer.end()
        rig.heard(events.StreamLost)
        assert study.nothing_settles()
        again = self.join(rig, holding=attempt)
        self.report(again, attempt, 1)
        assert list(again.hear(None).taken) == [1]
        assert study.nothing_settles()
        assert len(study.reported) == 1

    def test_what_a_study_leaves_behind_is_taken_and_so_is_what_comes_later(self, rig, study, peer, attempt):
        self.report(peer, attempt, 1, 2)
        rig.heard_up_to(events.ReportArrived, 2)
        study.channel.close()
        peer.hear("cancellation")
        assert list(peer.hear(None).taken) == [1, 2]
        self.report(peer, attempt, 3)
        assert list(peer.hear(None).taken) == [3]

    def test_what_is_stale_is_taken(self, rig, peer, attempt):
        stale = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=attempt.attempt + 1)
        self.report(peer, stale, 1)
        assert list(peer.hear(None).taken) == [1]
