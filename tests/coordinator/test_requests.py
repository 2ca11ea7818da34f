"""What an objective asks in the middle of a trial arrives once and is answered, whatever the stream does."""

from __future__ import annotations

import dataclasses

import pytest

from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator import meetings
from tests.coordinator.rig import Desk
from tests.support.proxy import Proxy

MIB = 2**20
PIECES = bytes(range(256)) * 4096 * 2


def files_of_the_driver(tmp_path):
    return list((tmp_path / "driver").glob("*/*"))


def test_each_is_answered_while_the_trial_runs(rig):
    (task,) = rig.work(0)
    study = rig.study(meetings.Ask())
    desk = Desk(study)
    study.submit([("trial.first", b"1"), ("trial.second",)])
    first = desk.echo()
    assert (first.tid, first.attempt, first.worker, first.id) == (0, 1, "gang0.1/worker0", 1)
    assert (first.method, first.body) == ("first", b"1")
    second = desk.next()
    assert (second.id, second.method, second.body) == (2, "second", b"")
    assert study.channel.next_settled(0) is None
    desk.reply(second, failure="not today")
    assert study.result() == [b"1", "RequestFailedError: not today"]
    assert task.poll() is None


def test_each_thread_gets_its_own_answer(rig):
    rig.work(0)
    study = rig.study(meetings.AskFromThreads())
    desk = Desk(study)
    questions = [str(number).encode() for number in range(20)]
    study.submit(questions)
    for number in range(1, 21):
        assert desk.echo().id == number
    assert study.result() == questions


def test_without_anybody_to_answer_they_fail(rig):
    rig.work(0)
    study = rig.study(meetings.Ask())
    study.submit([("trial.echo", b"")])
    (answer,) = study.result()
    assert answer == "RequestFailedError: nobody on the driver answers the trial requests of this study"


def test_large_ones_go_through_files_that_do_not_stay(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.Ask())
    desk = Desk(study)
    study.submit([("trial.echo", PIECES), rig.post.path, ("trial.echo", b""), ("trial.echo", b"")])
    first = desk.next()
    assert first.body.read_bytes() == PIECES
    desk.reply(first, first.body)
    visit = rig.post.visit()
    assert files_of_the_driver(tmp_path) == [first.body]  # until it is sure that it need not be sent again
    assert [path.name for path in rig.files_of_workers()] == ["blob-0", "blob-1"]  # objective, argument
    visit.answer()
    second = desk.next()
    assert files_of_the_driver(tmp_path) == []
    desk.reply(second, PIECES)
    third = desk.next()
    small = tmp_path / "small"
    small.write_bytes(b"small")
    desk.reply(third, small)
    assert not small.exists()
    assert study.result() == [PIECES, PIECES, b"small"]


@pytest.mark.parametrize("answer", [b"small", PIECES], ids=["small", "large"])
def test_requests_and_replies_survive_a_cut(rig, answer):
    line = Proxy(rig.endpoint.address)
    try:
        rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
        rig.heard(events.WorkerJoined)
        study = rig.study(meetings.Ask())
        desk = Desk(study)
        study.submit([rig.post.path, ("trial.asked while cut", answer), ("trial.answered while cut", answer)])
        visit = rig.post.visit()
        line.cut()
        rig.heard(events.StreamLost)
        visit.answer()
        line.mend()
        desk.echo()
        request = desk.next()
        line.cut()
        rig.heard(events.StreamLost)
        desk.reply(request, request.body)
        line.mend()
        assert study.result() == [answer, answer]
        assert desk.is_empty()
    finally:
        rig.close()
        line.close()


def asking_peer(rig, study):
    """A worker, played by the test, that has been assigned a trial; and the trial's attempt."""
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    study.submit(1)
    return peer, peer.hear("assignment").assignment.attempt


def request_of(attempt, number=1, method="trial.m", **more):
    return trial_pb2.Request(attempt=attempt, id=number, method=method, **more)


def test_twice_is_once_and_a_reply_is_sent_again_on_a_new_stream(rig):
    study = rig.study(meetings.double)
    desk = Desk(study)
    peer, attempt = asking_peer(rig, study)
    peer.say(1, request=request_of(attempt))
    peer.say(1, request=request_of(attempt))
    desk.reply(desk.next(), b"answer")
    reply = peer.hear("reply").reply
    assert (reply.attempt, reply.id, reply.body.inline) == (attempt, 1, b"answer")
    peer.end()
    rig.heard(events.StreamLost)
    again = rig.peer()
    again.hello(holding=attempt)
    again.hear("welcome")
    assert again.hear("reply").reply == reply
    again.say(1, request=request_of(attempt))
    again.say(2, request=request_of(attempt, 2))
    assert desk.next().id == 2
    assert desk.is_empty()
    again.outcome(attempt, 3, kind="OUTCOME_KIND_OK")
    assert study.settled().outcome is Outcome.OK


def test_a_stale_one_is_refused_and_never_delivered(rig, tmp_path):
    study = rig.study(meetings.double)
    desk = Desk(study)
    peer, attempt = asking_peer(rig, study)
    stale = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=attempt.attempt + 1)
    strange = trial_pb2.Attempt(study="another", tid=attempt.tid, attempt=attempt.attempt)
    for sequence, other in enumerate((stale, strange), 1):
        peer.say(sequence, request=request_of(other))
        reply = peer.hear("reply").reply
        assert reply.attempt == other
        assert "no longer this worker's" in reply.failure.message
    peer.outcome(attempt, 3, kind="OUTCOME_KIND_OK")
    study.settled()
    peer.say(4, request=request_of(attempt))
    assert "no longer this worker's" in peer.hear("reply").reply.failure.message
    assert desk.is_empty()


def test_an_answer_that_comes_too_late_leaves_no_file(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.Ask())
    desk = Desk(study)
    study.submit([("trial.echo", PIECES)])
    request = desk.next()
    study.channel.cancel(0, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    desk.reply(request, request.body)
    study.submit([("trial.echo", b"next")])
    desk.echo()
    assert study.result() == [b"next"]
    assert files_of_the_driver(tmp_path) == []


def test_an_answer_after_the_end_of_the_pool_leaves_no_file(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.Ask())
    desk = Desk(study)
    study.submit([("trial.echo", b"")])
    request = desk.next()
    rig.close()
    late = tmp_path / "late"
    late.write_bytes(PIECES)
    desk.reply(request, late)
    assert not late.exists()


def test_a_wait_that_is_interrupted_confuses_nobody(rig):
    rig.work(0)
    study = rig.study(meetings.AskImpatiently())
    desk = Desk(study)
    study.submit(rig.post.path, rig.post.path)
    for _ in range(2):
        slow = desk.next()
        rig.post.visit().answer()
        rig.post.visit().answer()
        desk.reply(slow, b"too late")
        quick = desk.next()
        assert (slow.method, quick.method) == ("slow", "quick")
        desk.reply(quick, b"in time")
        assert study.result() == b"in time"


def test_a_child_process_cannot_ask(rig):
    rig.work(0)
    study = rig.study(meetings.AskFromAChild())
    Desk(study)
    study.submit(None)
    said = study.result()
    assert said.startswith("TrialError: the request trial.echo came from process ")
    assert "Only the trial's own process can report and ask" in said


def test_nobody_can_ask_for_a_trial_that_has_ended(rig):
    rig.work(0)
    study = rig.study(meetings.AskTooLate())
    desk = Desk(study)
    study.submit(b"in time", b"late")
    desk.echo()
    assert study.result() == b"in time"
    assert study.result() == "TrialError: the request trial.echo came after its trial had ended"
