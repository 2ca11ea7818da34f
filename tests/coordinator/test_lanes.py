"""Requests of several lanes, and reports beside them: none waits for another, whatever the stream does."""

from __future__ import annotations

import dataclasses

import pytest

from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.wire.lanes import Lane
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator import meetings
from tests.coordinator.rig import Desk

PIECES = bytes(range(256)) * 4096 * 2
REPORT = (ReportKind.CHECKPOINT, "beside it")


@pytest.fixture
def study(rig):
    return rig.study(meetings.AskBeside())


@pytest.fixture
def mlflow(study):
    return Desk(study, Lane.MLFLOW)


@pytest.fixture
def trial(study):
    return Desk(study, Lane.TRIAL)


@pytest.mark.parametrize("count", [1, 100], ids=["one", "more than a study leaves untaken"])
def test_reports_arrive_before_the_reply_to_a_request_that_is_held_open(rig, study, mlflow, count):
    rig.work(0)
    study.submit(([("mlflow.LogBatch", b"held")], [rig.post.path, *[REPORT] * count]))
    held = mlflow.next()
    reported = []

    def on_report(report):
        reported.append(report.body.load())
        if len(reported) == count:
            mlflow.reply(held, b"written")

    study.channel.on_report = on_report
    rig.post.visit().answer()
    assert study.result() == [b"written"]
    assert reported == ["beside it"] * count


@pytest.mark.parametrize("first", [b"small", PIECES], ids=["small", "large"])
def test_each_lane_is_answered_by_its_own_party_and_in_any_order(rig, study, mlflow, trial, first):
    rig.work(0)
    study.submit(([("mlflow.LogBatch", first), ("trial.should_stop", b"")], []))
    early, late = mlflow.next(), trial.next()
    assert (early.method, late.method) == ("LogBatch", "should_stop")
    trial.reply(late, b"no")
    assert study.nothing_settles()
    mlflow.reply(early, early.body)
    assert study.result() == [first, b"no"]


def test_threads_take_turns_in_a_lane_while_another_is_held_open(rig, study, mlflow, trial):
    rig.work(0)
    questions = [(f"trial.{number}", str(number).encode()) for number in range(20)]
    study.submit(([("mlflow.LogBatch", b"held"), *questions], []))
    held = mlflow.next()
    ids = []
    for _ in questions:
        request = trial.next()
        assert trial.is_empty()
        assert request.method == request.body.decode()
        ids.append(request.id)
        trial.reply(request, request.body)
    assert ids == sorted(ids)
    mlflow.reply(held, b"written")
    assert study.result() == [b"written", *(body for _, body in questions)]


def test_a_lane_without_a_party_is_refused_and_the_others_are_not(rig, study, trial):
    rig.work(0)
    study.submit(([("mlflow.LogBatch", b""), ("trial.ask", b"x")], []))
    trial.echo()
    refused = "RequestFailedError: nobody on the driver answers the mlflow requests of this study"
    assert study.result() == [refused, b"x"]


def test_a_lane_has_one_party(study, trial):
    with pytest.raises(ValueError, match="answers this study's trial requests already"):
        Desk(study, Lane.TRIAL)


@pytest.mark.parametrize("answer", [b"small", PIECES], ids=["small", "large"])
def test_requests_of_both_lanes_survive_a_cut(rig, line, study, mlflow, trial, answer):
    rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
    study.submit(([("mlflow.LogBatch", answer), ("trial.ask", answer)], [rig.post.path]))
    visit = rig.post.visit()
    early, late = mlflow.next(), trial.next()
    line.cut()
    rig.heard(events.StreamLost)
    mlflow.reply(early, early.body)
    line.mend()
    rig.heard(events.WorkerJoined)
    trial.reply(late, late.body)
    visit.answer()
    assert study.result() == [answer, answer]
    assert mlflow.is_empty()
    assert trial.is_empty()


def test_what_both_lanes_ask_during_a_cut_is_asked_once(rig, line, study, mlflow, trial):
    rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
    questions = [(f"{lane}.{number}", b"x") for number in range(3) for lane in ("mlflow", "trial")]
    study.submit((rig.post.path, questions, [rig.post.path]))
    before = rig.post.visit()
    line.cut()
    rig.heard(events.StreamLost)
    before.answer()
    visit = rig.post.visit()
    line.mend()
    asked = []
    for desk in (mlflow, trial):
        asked += [desk.echo().id for _ in range(3)]
        assert desk.is_empty()
    assert len(set(asked)) == 6
    visit.answer()
    assert study.result() == [b"x"] * 6


def test_replies_of_all_lanes_are_sent_again_until_the_lane_asks_anew(rig):
    study = rig.study(meetings.double)
    # The channel itself answers the lane of checkpoints.
    desks = {lane: Desk(study, lane) for lane in Lane if lane is not Lane.CHECKPOINT}
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    study.submit(1)
    attempt = peer.hear("assignment").assignment.attempt
    for number, lane in enumerate(Lane, 1):
        method = "checkpoint.Load" if lane is Lane.CHECKPOINT else f"{lane.value}.m"
        peer.say(number, request=trial_pb2.Request(attempt=attempt, id=number, method=method))
        if lane in desks:
            desks[lane].reply(desks[lane].next(), lane.value.encode())
        expected = lane.value.encode() if lane in desks else b""
        assert peer.hear("reply").reply.body.inline == expected
    peer.end()
    rig.heard(events.StreamLost)
    peer = rig.peer()
    peer.hello(holding=attempt)
    peer.hear("welcome")
    assert {peer.hear("reply").reply.id for _ in Lane} == {1, 2, 3}
    peer.say(4, request=trial_pb2.Request(attempt=attempt, id=4, method="trial.m"))
    held = desks[Lane.TRIAL].next()
    peer.end()
    rig.heard(events.StreamLost)
    peer = rig.peer()
    peer.hello(holding=attempt)
    peer.hear("welcome")
    assert {peer.hear("reply").reply.id for _ in range(2)} == {1, 3}
    desks[Lane.TRIAL].reply(held, b"new")
    assert peer.hear("reply").reply.body.inline == b"new"
    assert all(desk.is_empty() for desk in desks.values())
    peer.outcome(attempt, 5, kind="OUTCOME_KIND_OK")
    assert study.settled().outcome is Outcome.OK


def test_nothing_of_any_lane_stays_when_the_attempt_ends(rig, tmp_path, study, mlflow, trial):
    rig.work(0)
    study.submit(([("mlflow.LogBatch", PIECES), ("trial.ask", PIECES)], [rig.post.path]))
    rig.post.visit()
    answered, late = mlflow.next(), trial.next()
    mlflow.reply(answered, answered.body)
    study.channel.cancel(0, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    trial.reply(late, late.body)
    study.submit(([("trial.next", b"")], []))
    trial.echo()
    assert study.result() == [b""]
    assert list((tmp_path / "driver").glob("*/*")) == []


def test_a_child_that_is_forked_beside_an_open_request_cannot_ask(rig, study, mlflow, trial):
    rig.work(0)
    study.submit(([("mlflow.LogBatch", b"held")], [rig.post.path, "fork", REPORT, rig.post.path]))
    held = mlflow.next()
    rig.post.visit().answer()
    visit = rig.post.visit()
    mlflow.reply(held, b"written")
    visit.answer()
    written, told = study.result()
    assert written == b"written"
    assert told.startswith("TrialError: the request trial.late came from process ")
    assert [each.body.load() for each in study.reported] == ["beside it"]
    assert trial.is_empty()
