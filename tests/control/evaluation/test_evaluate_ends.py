"""How an evaluation ends, and what its streams hear of it: stopped, closed with its pool, or lost."""

from __future__ import annotations

import grpc
import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.errors import PoolClosedError, PoolLostError
from sparkopt.wire.v1 import control_pb2
from tests.control.control_clients import reason_of
from tests.control.evaluation.evaluated import meet
from tests.support.post import SECONDS


def test_stopping_cancels_what_runs_and_takes_no_more(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    idle, stream = rig.stream(), rig.stream()
    idle.ask("bad id" * 100)
    idle.rejection()
    for number in range(10):
        stream.ask(f"p{number}", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 10)
    assert not evaluation.wait(0)
    evaluation.stop()
    stopped = (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert reason_of(idle.error()) == stopped
    for _ in range(4):
        assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    assert reason_of(stream.error()) == stopped
    visit.wait_for_the_end()
    assert evaluation.wait(SECONDS)
    late = rig.stream(study=evaluation.name)
    late.ask("q", x=1)
    assert reason_of(late.error()) == stopped
    evaluation.close()


def test_stopping_may_let_what_runs_finish(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    for number in range(3):
        stream.ask(f"p{number}", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 3)
    stream.finish()
    evaluation.stop(finish_running=True)
    assert [stream.outcome().trial.state for _ in range(2)] == [control_pb2.TRIAL_STATE_CANCELLED] * 2
    late = rig.stream()
    late.ask("q", x=1)
    assert reason_of(late.error()) == (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert not evaluation.wait(0)
    visit.answer("finished")
    assert stream.results(1) == {"p0": "finished"}
    assert stream.ends_well(), "everything that it has asked for is answered"
    assert evaluation.wait(SECONDS)


@pytest.mark.parametrize("how", ["grace", "again", "close"])
def test_what_may_finish_is_cancelled_when_patience_ends(rig, how):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    visit = rig.post.visit()
    evaluation.stop(finish_running=True, grace=0.1 if how == "grace" else None)
    if how == "again":
        evaluation.stop()
    elif how == "close":
        evaluation.close()
    assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    visit.wait_for_the_end()
    assert evaluation.wait(SECONDS)


def test_who_looks_sees_the_clients_ids_and_may_stop_the_study(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    for name in ("runs", "waits"):
        stream.ask(name, post=rig.post.path, word=name)
    visit = rig.post.visit()
    rig.until(lambda: rig.coordinator.machine.submitted == 2)
    listed = rig.call("ListTrials")
    assert [(trial.study, trial.tid, trial.request_id) for trial in listed.trials] == [
        (evaluation.name, 0, "runs"),
        (evaluation.name, 1, "waits"),
    ]
    study = rig.call("StopStudy", finish_running=True)
    assert study.kind == control_pb2.STUDY_KIND_EVALUATION
    assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    visit.answer("finished")
    assert stream.results(1) == {"runs": "finished"}
    assert reason_of(stream.error()) == (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert evaluation.wait(SECONDS)
    rig.call("StopStudy", study=study.name)


def test_when_the_pool_closes_streams_are_told(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.expel_all()
    closed = (grpc.StatusCode.UNAVAILABLE, "POOL_CLOSED")
    assert reason_of(stream.error()) == closed
    with pytest.raises(PoolClosedError):
        evaluation.wait(SECONDS)
    late = rig.stream()
    late.ask("q", x=1)
    assert reason_of(late.error()) == closed
    late = rig.evaluation(meet)
    with pytest.raises(PoolClosedError):
        late.wait(SECONDS)
    rig.close()
    after = rig.evaluation
    with pytest.raises(PoolClosedError):
        after(meet)


def test_when_the_pool_has_lost_its_workers_streams_are_told_why(make_rig):
    rig = make_rig(policy=Policy(max_relaunches=0))
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.post_event(events.GangEnded(0, 1, "the executor burnt down"))
    error = stream.error()
    assert reason_of(error) == (grpc.StatusCode.UNAVAILABLE, "POOL_CLOSED")
    assert "burnt down" in error.details()
    with pytest.raises(PoolLostError, match="burnt down"):
        evaluation.wait(SECONDS)
