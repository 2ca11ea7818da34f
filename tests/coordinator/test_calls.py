"""What the coordinator makes of the calls that reach it, right and wrong; the test plays the worker."""

from __future__ import annotations

import grpc
import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from sparkopt.wire import codec, limits
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import trial_pb2, worker_pb2, worker_pb2_grpc
from tests.coordinator import meetings
from tests.coordinator.rig import SECONDS, Peer

OK = trial_pb2.OUTCOME_KIND_OK
HELLO = worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="gang0.1/worker0", generation=1))
CANCELLED = trial_pb2.OUTCOME_KIND_CANCELLED


def payload(value):
    return trial_pb2.Payload(inline=codec.dumps(value))


def status_of(call):
    """The status that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    return caught.value.code()


@pytest.mark.parametrize(
    "metadata",
    [(), bearer("wrong"), (("authorization", "Bearer "),), (("x-token", "right"),)],
    ids=["none", "wrong", "empty", "elsewhere"],
)
def test_a_call_without_the_token_is_refused(rig, metadata):
    metadata = tuple((key, rig.endpoint.token if value == "right" else value) for key, value in metadata)
    blob = rig.coordinator.blobs.offer(b"secret")
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    with_token = {"metadata": metadata, "timeout": SECONDS}
    assert status_of(stub.Work(iter([HELLO]), **with_token)) is grpc.StatusCode.UNAUTHENTICATED
    fetched = stub.Fetch(worker_pb2.FetchRequest(blob=blob.id), **with_token)
    assert status_of(fetched) is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as caught:
        stub.Push(iter([worker_pb2.Chunk(data=b"x")]), **with_token)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert rig.fetched == []
    assert rig.coordinator.streams == {}


def test_blobs_are_fetched_in_chunks_and_unknown_ones_not_found(rig):
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    right = {"metadata": bearer(rig.endpoint.token), "timeout": SECONDS}
    data = b"0123456789" * 300_000
    blob = rig.coordinator.blobs.offer(data)
    pieces = [chunk.data for chunk in stub.Fetch(worker_pb2.FetchRequest(blob=blob.id), **right)]
    assert blob.size == len(data)
    assert b"".join(pieces) == data
    assert len(pieces) == 3
    unknown = stub.Fetch(worker_pb2.FetchRequest(blob="unknown"), **right)
    assert status_of(unknown) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat())],
        [worker_pb2.WorkerMessage(hello=worker_pb2.Hello())],
        [worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="w", holding=trial_pb2.Attempt()))],
        [worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="w", generation=1))] * 2,
        [
            worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="w", generation=1)),
            worker_pb2.WorkerMessage(),
        ],
    ],
    ids=["nothing", "heartbeat first", "no name", "holds nonsense", "hello twice", "empty"],
)
def test_a_stream_that_makes_no_sense_is_refused(rig, messages):
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    call = stub.Work(iter(messages), metadata=bearer(rig.endpoint.token), timeout=SECONDS)
    assert status_of(call) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_is_refused_while_it_is_welcomed(rig):
    # In some of so many the refusal meets the welcome, which is being sent.
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    for number in range(1000):
        hello = worker_pb2.Hello(worker=f"w{number}", generation=1)
        messages = [worker_pb2.WorkerMessage(hello=hello), worker_pb2.WorkerMessage()]
        call = stub.Work(iter(messages), metadata=bearer(rig.endpoint.token), timeout=SECONDS)
        assert status_of(call) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("kind", [trial_pb2.OUTCOME_KIND_LOST, trial_pb2.OUTCOME_KIND_UNSPECIFIED])
def test_an_outcome_that_no_worker_may_report_is_refused(rig, kind):
    rig.study(meetings.double).submit(1)
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    peer.outcome(peer.hear("assignment").assignment.attempt, 1, kind=kind)
    assert status_of(peer.call) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["", "m", "fast.m", "trial", "mlflow:m"])
def test_a_request_without_a_lane_is_refused(rig, method):
    rig.study(meetings.double).submit(1)
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    attempt = peer.hear("assignment").assignment.attempt
    peer.say(1, request=trial_pb2.Request(attempt=attempt, id=1, method=method))
    assert status_of(peer.call) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def assigned(rig):
    """A study, the one worker, and the first of its trials, which is assigned to the worker."""
    study = rig.study(meetings.double)
    study.submit(1)
    peer = rig.peer()
    peer.hello()
    welcome = peer.hear("welcome").welcome
    assert (welcome.heartbeat, welcome.grace) == (0.1, Policy().grace)
    return study, peer, peer.hear("assignment").assignment


def test_an_assignment_says_what_to_run_on_what(assigned):
    _, _, assignment = assigned
    assert (assignment.attempt.tid, assignment.attempt.attempt) == (0, 1)
    assert codec.loads(assignment.argument.inline) == 1
    assert assignment.objective.size > 0


def test_heartbeats_are_answered(assigned):
    _, peer, _ = assigned
    for _ in range(3):
        peer.say(heartbeat=worker_pb2.Heartbeat())
        assert next(peer.call).HasField("heartbeat")


def test_a_result_that_beats_its_cancellation_counts(assigned):
    study, peer, assignment = assigned
    study.channel.cancel(0, "too late")
    assert peer.hear("cancellation").cancellation.attempt == assignment.attempt
    peer.outcome(assignment.attempt, 1, kind=OK, result=payload(7), seconds=1.5)
    settled = study.settled()
    assert (settled.outcome, settled.result.load(), settled.seconds) == (Outcome.OK, 7, 1.5)


def test_a_cancellation_that_is_confirmed_counts_as_such(assigned):
    study, peer, assignment = assigned
    study.channel.cancel(0, "in time")
    assert peer.hear("cancellation").cancellation.reason == "in time"
    peer.outcome(assignment.attempt, 1, kind=CANCELLED)
    settled = study.settled()
    assert (settled.outcome, settled.reason, settled.result) == (Outcome.CANCELLED, "in time", None)


def test_an_outcome_that_comes_twice_counts_once_and_is_acknowledged_twice(rig, assigned):
    study, peer, assignment = assigned
    peer.outcome(assignment.attempt, 1, kind=OK, result=payload("first"))
    assert study.result() == "first"
    peer.end()
    again = rig.peer()
    again.hello(holding=assignment.attempt)
    assert again.hear("welcome").acknowledged in (0, 1)
    # What it holds is settled and so no longer its own; a worker that has the outcome already ignores this.
    assert again.hear("cancellation").cancellation.attempt == assignment.attempt
    again.outcome(assignment.attempt, 1, kind=OK, result=payload("second"))
    study.submit(2)
    message = again.hear("assignment")
    assert message.assignment.attempt.tid == 1
    again.outcome(message.assignment.attempt, 2, kind=OK, result=payload("next"))
    assert study.result() == "next"
    again.say(heartbeat=worker_pb2.Heartbeat())
    assert next(again.call).acknowledged == 2


def test_a_worker_that_lost_its_assignment_gets_it_again(rig, assigned):
    study, peer, assignment = assigned
    peer.end()
    rig.heard(events.StreamLost)
    again = rig.peer()
    again.hello()
    again.hear("welcome")
    assert again.hear("assignment").assignment == assignment
    again.outcome(assignment.attempt, 1, kind=OK, result=payload("here"))
    settled = study.settled()
    assert (settled.attempt, settled.result.load()) == (1, "here")


def test_a_new_stream_takes_the_place_of_the_old(rig, assigned):
    study, peer, assignment = assigned
    peer.outcome(assignment.attempt, 1, kind=OK, result=payload("first"))
    assert study.result() == "first"
    study.submit(2)
    attempt = peer.hear("assignment").assignment.attempt
    again = rig.peer()
    again.hello(holding=attempt)
    assert again.hear("welcome").acknowledged == 1
    assert list(peer.call) == []
    study.channel.cancel(1, "on the new stream")
    assert again.hear("cancellation").cancellation.attempt == attempt
    again.outcome(attempt, 2, kind=OK, result=payload("second"))
    assert study.result() == "second"


def test_a_worker_of_another_generation_is_expelled(rig, assigned):
    stale = rig.peer()
    stale.hello(slot=1, generation=9)
    stale.hear("welcome")
    assert "generation 9" in stale.hear("expulsion").expulsion.reason


def test_a_worker_that_was_given_up_is_expelled(make_rig):
    rig = make_rig(policy=Policy(grace=0.2))
    study = rig.study(meetings.double, max_attempts=1)
    study.submit(1)
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    attempt = peer.hear("assignment").assignment.attempt
    peer.end()
    assert study.settled().outcome is Outcome.LOST
    again = rig.peer()
    again.hello(holding=attempt)
    again.hear("welcome")
    assert "could not be reached" in again.hear("expulsion").expulsion.reason


def test_whoever_joins_a_pool_that_closes_is_expelled(rig):
    rig.coordinator.expel_all()
    peer = rig.peer()
    peer.hello()
    peer.hear("expulsion")


def test_what_is_pushed_for_an_outcome_goes_with_its_reader(rig, assigned, tmp_path):
    study, peer, assignment = assigned
    channel = rig.channel()
    data = codec.dumps(b"x" * 3_000_000)
    metadata = (*bearer(rig.endpoint.token), ("sparkopt-worker", "gang0.1/worker0"))
    chunks = [worker_pb2.Chunk(data=data[start : start + 10**6]) for start in range(0, len(data), 10**6)]
    stub = worker_pb2_grpc.WorkerServiceStub(channel)
    blob, _ = (stub.Push(iter(chunks), metadata=metadata, timeout=SECONDS) for _ in range(2))
    assert blob.size == len(data)
    peer.outcome(assignment.attempt, 1, kind=OK, result=trial_pb2.Payload(blob=blob))
    result = study.settled().result
    # Nobody refers to the other one: it goes with the outcome.
    peer.say(heartbeat=worker_pb2.Heartbeat())
    assert next(peer.call).HasField("heartbeat")
    assert [path.name for path in (tmp_path / "driver").glob("*/*")] == [blob.id]
    assert result.load() == b"x" * 3_000_000
    assert list((tmp_path / "driver").glob("*/*")) == []


def test_a_chunk_that_is_too_large_is_refused_and_leaves_nothing(rig, assigned, tmp_path):
    metadata = (*bearer(rig.endpoint.token), ("sparkopt-worker", "gang0.1/worker0"))
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    chunks = [worker_pb2.Chunk(data=bytes(size)) for size in (limits.CHUNK_BYTES, limits.PUSH_BYTES)]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Push(iter(chunks), metadata=metadata, timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"takes at most {limits.PUSH_BYTES:,}" in caught.value.details()
    assert list((tmp_path / "driver").glob("*/*")) == []


@pytest.mark.parametrize("ending", ["drained", "lost with its gang"])
def test_what_is_pushed_for_nothing_goes_with_the_worker(rig, assigned, ending, tmp_path):
    study, peer, assignment = assigned
    metadata = (*bearer(rig.endpoint.token), ("sparkopt-worker", "gang0.1/worker0"))
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    unwanted = stub.Push(iter([worker_pb2.Chunk(data=b"x")]), metadata=metadata, timeout=SECONDS)
    assert [path.name for path in (tmp_path / "driver").glob("*/*")] == [unwanted.id]
    if ending == "drained":
        rig.coordinator.post_event(events.DrainRequested("gang0.1/worker0", "enough"))
        rig.coordinator.post_event(events.CancelRequested(assignment.attempt.study, None, "enough"))
        peer.hear("cancellation")
        peer.outcome(assignment.attempt, 1, kind=CANCELLED)
        peer.hear("expulsion")
    else:
        rig.coordinator.post_event(events.GangEnded(0, 1, "enough"))
        study.channel.cancel(None, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    assert list((tmp_path / "driver").glob("*/*")) == []


def test_a_pushed_result_of_a_stale_outcome_is_dropped(rig, assigned, tmp_path):
    study, peer, assignment = assigned
    stub = worker_pb2_grpc.WorkerServiceStub(rig.channel())
    metadata = (*bearer(rig.endpoint.token), ("sparkopt-worker", "gang0.1/worker0"))
    blob = stub.Push(iter([worker_pb2.Chunk(data=b"x")]), metadata=metadata, timeout=SECONDS)
    stale = trial_pb2.Attempt(study=assignment.attempt.study, tid=99, attempt=1)
    peer.outcome(stale, 1, kind=OK, result=trial_pb2.Payload(blob=blob))
    peer.outcome(assignment.attempt, 2, kind=OK, result=payload("fine"))
    assert study.result() == "fine"
    assert list((tmp_path / "driver").glob("*/*")) == []


def test_peers_are_told_apart_by_their_names(rig):
    study = rig.study(meetings.double)
    study.submit(1, 2)
    peers: list[Peer] = []
    for slot in range(2):
        peers.append(rig.peer())
        peers[-1].hello(slot=slot)
        peers[-1].hear("welcome")
    attempts = [peer.hear("assignment").assignment.attempt for peer in peers]
    # Each may speak of its own attempt only.
    peers[0].outcome(attempts[1], 1, kind=OK, result=payload("not mine"))
    peers[1].outcome(attempts[1], 1, kind=OK, result=payload("mine"))
    settled = study.settled()
    assert (settled.tid, settled.worker) == (attempts[1].tid, "gang0.1/worker1")
    assert settled.result.load() == "mine"
