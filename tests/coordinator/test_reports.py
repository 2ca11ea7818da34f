"""What an objective says in the middle of a trial arrives once, in order, and before the outcome."""

from __future__ import annotations

import dataclasses

import grpc
import pytest

from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator import meetings
from tests.support.proxy import Proxy

MIB = 2**20
CHECKPOINT, ATTACHMENT = ReportKind.CHECKPOINT, ReportKind.ATTACHMENT


def told(study):
    """What the study has heard so far, each with its value."""
    return [(each.tid, each.kind, each.name, each.body.load()) for each in study.reported]


def test_they_come_in_order_and_before_the_outcome(rig):
    rig.work(0)
    study = rig.study(meetings.Report())
    study.submit([(CHECKPOINT, {"loss": 3}), (ATTACHMENT, b"weights", "model")], [(CHECKPOINT, None)])
    assert study.result() == "done"
    assert told(study) == [(0, CHECKPOINT, "", {"loss": 3}), (0, ATTACHMENT, "model", b"weights")]
    study.reported.clear()
    assert study.result() == "done"
    assert told(study) == [(1, CHECKPOINT, "", None)]


def test_they_come_while_the_trial_runs(rig):
    rig.work(0)
    study = rig.study(meetings.Report())
    study.submit([(CHECKPOINT, 1), rig.post.path])
    visit = rig.post.visit()
    rig.heard(events.ReportArrived)
    assert study.channel.next_settled(0) is None
    assert told(study) == [(0, CHECKPOINT, "", 1)]
    visit.answer()
    assert study.result() == "done"


def test_a_flood_of_them(rig):
    rig.work(0)
    study = rig.study(meetings.Report())
    study.submit([(CHECKPOINT, number) for number in range(300)])
    assert study.result() == "done"
    assert [value for *_, value in told(study)] == list(range(300))


def test_large_ones_are_on_disk_until_they_are_read(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.Report())
    data = b"ab" * 2 * MIB
    study.submit([(ATTACHMENT, data, "a"), (CHECKPOINT, data)])
    assert study.result() == "done"
    files = list((tmp_path / "driver").glob("*/*"))
    assert [path.stat().st_size > len(data) for path in files] == [True, True]
    assert [value for *_, value in told(study)] == [data, data]
    assert list((tmp_path / "driver").glob("*/*")) == []
    assert len(rig.files_of_workers()) == 1  # the objective


def test_what_nobody_reads_goes_with_the_pool(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.Report())
    study.submit([(ATTACHMENT, bytes(2 * MIB), "a")])
    study.settled()
    assert len(list((tmp_path / "driver").glob("*/*"))) == 1  # the fixture sees that it goes


def test_those_of_a_trial_that_dies_later_count(rig):
    rig.work(0)
    study = rig.study(meetings.Report())
    study.submit([(CHECKPOINT, 1), (CHECKPOINT, 2), rig.post.path])
    visit = rig.post.visit()
    study.channel.cancel(0, "enough")
    visit.wait_for_the_end()
    assert study.settled().outcome is Outcome.CANCELLED
    assert [value for *_, value in told(study)] == [1, 2]


def test_they_are_kept_through_a_cut(rig):
    line = Proxy(rig.endpoint.address)
    try:
        rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
        rig.heard(events.WorkerJoined)
        study = rig.study(meetings.Report())
        large = bytes(2 * MIB)
        study.submit([(CHECKPOINT, 1), rig.post.path, (CHECKPOINT, 2), (CHECKPOINT, large), (CHECKPOINT, 3)])
        visit = rig.post.visit()
        line.cut()
        rig.heard(events.StreamLost)
        visit.answer()
        line.mend()
        assert study.result() == "done"
        assert [value for *_, value in told(study)] == [1, 2, large, 3]
    finally:
        rig.close()
        line.close()


def test_a_stale_one_changes_nothing_and_leaves_no_file(rig, tmp_path):
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    study = rig.study(meetings.double)
    study.submit(1)
    attempt = peer.hear("assignment").assignment.attempt
    body = trial_pb2.Payload(inline=b"N.")
    for sequence, number in ((1, 2), (2, attempt.attempt), (2, attempt.attempt)):
        of = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=number)
        peer.say(sequence, report=trial_pb2.Report(attempt=of, kind="REPORT_KIND_CHECKPOINT", body=body))
    peer.outcome(attempt, 3, kind="OUTCOME_KIND_OK", result=body)
    assert study.settled().outcome is Outcome.OK
    assert told(study) == [(0, CHECKPOINT, "", None)]


def test_one_of_no_kind_is_refused(rig):
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    attempt = trial_pb2.Attempt(study="study-0", tid=0, attempt=1)
    peer.say(1, report=trial_pb2.Report(attempt=attempt))
    with pytest.raises(grpc.RpcError, match="no report of kind 0") as caught:
        list(peer.call)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
