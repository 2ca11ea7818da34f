"""Who has the workers' token is a worker: it may answer for trials that it was given, and for no others."""

from __future__ import annotations

import struct
import threading
import time

import grpc
import pytest

from sparkopt.coordinator import worker_service
from sparkopt.coordinator.worker_service import WorkerStream
from sparkopt.core import events
from sparkopt.wire import codec, limits
from sparkopt.wire.v1 import trial_pb2, worker_pb2
from tests.control.frames import DATA, INITIAL_WINDOW, PREFACE, SETTINGS, frame, headers
from tests.control.hostile import FETCH, PUSH, WORK, WORKER, error_of, refusal
from tests.coordinator import meetings
from tests.coordinator.rig import SECONDS

INVALID = grpc.StatusCode.INVALID_ARGUMENT
OK = trial_pb2.OUTCOME_KIND_OK
FORGED = trial_pb2.Payload(inline=codec.dumps("forged"))
ATTACKER = "gang0.1/worker1"


class Attacker:
    """A stream with the workers' token."""

    def __init__(self, attacked, name: str = ATTACKER, generation: int = 1, **hello) -> None:
        attacked.attackers.add(name)
        self._stream = attacked.open(WORK, token=attacked.workers.token)
        self._deserialize = worker_pb2.CoordinatorMessage.FromString
        self.call = self._stream.call
        self.say(hello=worker_pb2.Hello(worker=name, generation=generation, **hello))

    def say(self, sequence: int = 0, **body) -> None:
        message = worker_pb2.WorkerMessage(sequence=sequence, **body)
        self._stream.say(message.SerializeToString())

    def outcome(self, attempt, sequence: int = 1, result=FORGED, **more) -> None:
        self.say(sequence, outcome=trial_pb2.Outcome(attempt=attempt, kind=OK, result=result, **more))

    def hear(self, kind: str):
        """The next message of this kind."""
        for data in self.call:
            message = self._deserialize(data)
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)
        raise AssertionError(f"the stream ended before {kind} came")

    def answered(self) -> bool:
        """Whether everything that was said has been looked at, and the stream goes on."""
        self.say(heartbeat=worker_pb2.Heartbeat())
        self.hear("heartbeat")
        return True

    def end(self) -> None:
        self._stream.end()


def joined_attacker(attacked) -> Attacker:
    """One that has been taken in."""
    attacker = Attacker(attacked)
    attacker.hear("welcome")
    return attacker


def attacker_with_a_trial(attacked):
    """One that has been given a trial, and that trial's attempt."""
    attacker = Attacker(attacked)
    return attacker, attacker.hear("assignment").attempt


class Held:
    """A trial that the search's worker runs until the test lets it go."""

    def __init__(self, attacked) -> None:
        self._study = attacked.rig.study(meetings.wait)
        (tid,) = self._study.submit((attacked.rig.post.path, "here"))
        self._visit = attacked.rig.post.visit()
        self.attempt = trial_pb2.Attempt(study=self._study.name, tid=tid, attempt=1)

    def goes_on(self) -> None:
        """Let it go; nothing but its own result has come."""
        assert self._study.nothing_settles()
        self._visit.answer("own")
        settled = self._study.settled()
        assert (settled.worker, settled.attempt, settled.result.load()) == (WORKER, 1, "own")
        assert self._study.reported == []


def push(attacked, *chunks: bytes, worker: str = ATTACKER, key: str = "") -> trial_pb2.Blob:
    (answer,) = pushing(attacked, *chunks, worker=worker, key=key)
    return trial_pb2.Blob.FromString(answer)


def pushing(attacked, *chunks: bytes, worker: str = ATTACKER, key: str = ""):
    messages = [worker_pb2.Chunk(data=data).SerializeToString() for data in chunks]
    names = {"sparkopt_worker": worker, "sparkopt_key": key}
    return attacked.call(PUSH, *messages, token=attacked.workers.token, **names)


def files(attacked):
    return [path for path in (attacked.rig.directory / "driver").glob("*/*") if path.is_file()]


# Names.


@pytest.mark.parametrize("key", ["", "guess", "é"])
def test_nobody_says_hello_in_another_workers_name(attacked, key):
    for hello in ({"name": WORKER}, {"name": ATTACKER, "formerly": WORKER}):
        refused = Attacker(attacked, key=key, **hello)
        assert refusal(refused.call)[0] is grpc.StatusCode.PERMISSION_DENIED
    attacked.goes_on()


def test_a_worker_comes_back_with_its_own_key_only(attacked):
    first = Attacker(attacked, key="mine")
    first.hear("welcome")
    first.end()
    assert refusal(Attacker(attacked, key="other").call)[0] is grpc.StatusCode.PERMISSION_DENIED
    again = Attacker(attacked, key="mine")
    again.hear("welcome")
    assert again.answered()


def test_names_have_an_end(attacked):
    for hello in ({"name": "w" * 201}, {"formerly": "w" * 201}, {"key": "k" * 201}, {"host": "h" * 1001}):
        assert refusal(Attacker(attacked, **hello).call)[0] is INVALID


@pytest.mark.parametrize("generation", [0, 2, 2**32 - 1])
def test_a_forged_generation_is_sent_away_and_not_heard(attacked, generation):
    held = Held(attacked)
    attacker = Attacker(attacked, generation=generation)
    assert "has ended" in attacker.hear("expulsion").reason
    attacker.outcome(held.attempt)
    assert attacker.answered()
    held.goes_on()


def test_an_unknown_gang_is_sent_away(attacked):
    assert Attacker(attacked, gang=7).hear("expulsion").reason


# Outcomes.


def test_forgeries_about_another_workers_trial_change_nothing(attacked):
    held = Held(attacked)
    attacker, attempt = joined_attacker(attacked), held.attempt
    report = trial_pb2.Report(attempt=attempt, kind=trial_pb2.REPORT_KIND_CHECKPOINT, body=FORGED)
    attacker.say(1, report=report)
    attacker.say(2, request=trial_pb2.Request(attempt=attempt, id=1, method="trial.forged"))
    assert attacker.hear("reply").failure.message == "the trial is no longer this worker's"
    attacker.outcome(attempt, 3)
    attacker.say(4, outcome=trial_pb2.Outcome(attempt=attempt, kind=trial_pb2.OUTCOME_KIND_CANCELLED))
    assert attacker.answered()
    held.goes_on()


def test_who_says_that_it_holds_another_workers_trial_is_told_to_end_it(attacked):
    held = Held(attacked)
    attacker = Attacker(attacked, holding=held.attempt)
    assert attacker.hear("cancellation").attempt == held.attempt
    attacker.outcome(held.attempt)
    assert attacker.answered()
    held.goes_on()


def test_a_stale_attempt_changes_nothing(attacked):
    attacker, attempt = attacker_with_a_trial(attacked)
    stale = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=attempt.attempt + 1)
    attacker.outcome(stale, 1)
    # The trial is given to the other worker; what comes after that is stale.
    attacked.rig.coordinator.post_event(events.WorkerGone(ATTACKER, "the test says so"))
    attacker.outcome(attempt, 2)
    assert attacker.answered()


@pytest.mark.parametrize("sequences", [(0,), (1, 3), (1, 2**64 - 1)], ids=["none", "one", "all"])
def test_a_sequence_number_that_jumps_is_refused_and_the_trial_runs_again(attacked, sequences):
    attacker, attempt = attacker_with_a_trial(attacked)
    stale = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=9)
    for sequence in sequences[:-1]:
        attacker.outcome(stale, sequence)
    attacker.outcome(attempt, sequences[-1])
    assert refusal(attacker.call)[0] is INVALID


@pytest.mark.parametrize("kind", ["lost", "unspecified", "none", "unknown"])
def test_an_outcome_that_no_worker_sends_is_refused_and_the_trial_runs_again(attacked, kind):
    attacker, attempt = attacker_with_a_trial(attacked)
    number = {"lost": trial_pb2.OUTCOME_KIND_LOST, "unspecified": 0, "none": 0, "unknown": 99}[kind]
    whose = trial_pb2.Attempt() if kind == "none" else attempt
    attacker.say(1, outcome=trial_pb2.Outcome(attempt=whose, kind=number))
    assert refusal(attacker.call)[0] is INVALID


# What is pushed.


@pytest.mark.parametrize("where", ["result", "exception", "report", "request"])
@pytest.mark.parametrize("whose", ["nobody's", "another's", "claimed", "the driver's"])
def test_a_blob_that_its_worker_has_not_pushed_is_refused_and_the_trial_runs_again(attacked, where, whose):
    attacker, attempt = attacker_with_a_trial(attacked)
    other = Attacker(attacked, name="gang0.1/worker2")
    other.hear("welcome")
    blob = trial_pb2.Blob(id="nobody's", size=1)
    if whose == "another's":
        blob = push(attacked, b"x", worker="gang0.1/worker2")
    elif whose == "claimed":
        blob = push(attacked, b"x")
        attacker.outcome(trial_pb2.Attempt(study="x", attempt=1), result=trial_pb2.Payload(blob=blob))
    elif whose == "the driver's":
        blob = attacked.rig.coordinator.blobs.offer(b"x")
    body = trial_pb2.Payload(blob=blob)
    if where == "result":
        attacker.outcome(attempt, 2, result=body)
    elif where == "exception":
        failed = trial_pb2.Failure(type="E", exception=body)
        kind = trial_pb2.OUTCOME_KIND_FAILED
        attacker.say(2, outcome=trial_pb2.Outcome(attempt=attempt, kind=kind, failure=failed))
    elif where == "report":
        kind = trial_pb2.REPORT_KIND_CHECKPOINT
        attacker.say(2, report=trial_pb2.Report(attempt=attempt, kind=kind, body=body))
    else:
        attacker.say(2, request=trial_pb2.Request(attempt=attempt, id=1, method="trial.m", body=body))
    assert refusal(attacker.call)[0] is INVALID
    assert len(files(attacked)) == (whose == "another's")


@pytest.mark.parametrize(
    ("field", "long"),
    [
        ("formerly", "w" * 201),
        ("key", "k" * 201),
        ("host", "h" * 1001),
        ("gpus", ["0"] * 65),
        ("gpus", ["g" * 201]),
    ],
    ids=["former name", "key", "host", "65 GPUs", "a GPU"],
)
def test_a_hello_says_only_so_much(attacked, field, long):
    attacker = Attacker(attacked, **{field: long})
    assert refusal(attacker.call)[0] is INVALID


def test_a_worker_has_up_to_64_gpus(attacked):
    assert Attacker(attacked, gpus=["g" * 200] * 64).hear("welcome")


def test_nobody_pushes_for_a_stranger_or_for_another_worker(attacked):
    for worker in ("", "gang0.1/worker7", "w" * 5000):
        refused = refusal(pushing(attacked, b"x", worker=worker))
        assert refused[0] is grpc.StatusCode.FAILED_PRECONDITION
    for key in ("", "guess"):
        refused = refusal(pushing(attacked, b"x", worker=WORKER, key=key))
        assert refused[0] is grpc.StatusCode.PERMISSION_DENIED
    assert files(attacked) == []


def test_a_worker_that_is_gone_pushes_no_more_and_leaves_nothing(attacked, monkeypatch):
    joined_attacker(attacked)
    push(attacked, b"x")
    blobs, begun = attacked.rig.coordinator.blobs, threading.Event()
    monkeypatch.setattr(blobs, "_check_room", lambda worker: begun.set())
    names = {"sparkopt_worker": ATTACKER, "sparkopt_key": ""}
    under_way = attacked.open(PUSH, token=attacked.workers.token, **names)
    under_way.say(worker_pb2.Chunk(data=b"y").SerializeToString())
    assert begun.wait(SECONDS)
    assert len(files(attacked)) == 2
    attacked.rig.coordinator.post_event(events.WorkerGone(ATTACKER, "the test says so"))
    under_way.say(None)
    assert refusal(under_way.call)[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal(pushing(attacked, b"x"))[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert files(attacked) == []


def test_a_worker_pushes_only_so_much_that_nothing_refers_to(attacked, monkeypatch):
    joined_attacker(attacked)
    for _ in range(limits.UNCLAIMED_BLOBS):
        push(attacked, b"x")
    error = error_of(pushing(attacked, b"x"))
    assert "no more are taken" in str(error)
    assert len(files(attacked)) == limits.UNCLAIMED_BLOBS


def test_a_worker_pushes_only_so_many_bytes_that_nothing_refers_to(attacked, monkeypatch):
    monkeypatch.setattr(attacked.rig.coordinator.blobs, "_most", 3_000_000)
    joined_attacker(attacked)
    kept = push(attacked, bytes(1_000_000))
    refused = pushing(attacked, *[bytes(1_000_000)] * 3)
    assert refusal(refused)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [path.name for path in files(attacked)] == [kept.id]
    push(attacked, *[bytes(1_000_000)] * 2)


def test_only_so_many_streams_of_a_peer_are_open_at_once(make_attacked, monkeypatch):
    monkeypatch.setattr("sparkopt.coordinator.serving.WORKER_STREAMS", 3)
    attacked = make_attacked()
    attacked.search()  # it has one
    first, second = (Attacker(attacked, name=f"gang0.1/worker{slot}") for slot in (1, 2))
    assert first.answered()
    assert second.answered()
    for call in (WORK, PUSH, FETCH):
        refused = refusal(attacked.call(call, b"", token=attacked.workers.token))
        assert refused == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    first.end()
    attacked.rig.heard(events.StreamLost)
    deadline = time.monotonic() + SECONDS
    while refusal(attacked.call(FETCH, b"", token=attacked.workers.token))[1] == "TOO_MANY_STREAMS":
        assert time.monotonic() < deadline


def test_a_worker_that_does_not_read_is_not_heard(attacked, monkeypatch):
    most, unsent, stalled = 100, [], threading.Event()
    send = WorkerStream._send

    def noted(stream, message):
        send(stream, message)
        if stream.worker == ATTACKER:
            unsent.append(len(stream._outgoing))
            if unsent[-1] > most:
                stalled.set()

    monkeypatch.setattr(worker_service, "_UNSENT", most)
    monkeypatch.setattr(WorkerStream, "_send", noted)
    attacked.attackers.add(ATTACKER)
    hello = worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker=ATTACKER, generation=1))
    heartbeat = worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat())
    with attacked.connection(WORK) as connection:
        # There is room for so many bytes of answers, and never for more.
        room = frame(SETTINGS, struct.pack(">HI", INITIAL_WINDOW, 1000))
        connection.sendall(PREFACE + room + headers(WORK, attacked.workers.token, 1))
        connection.sendall(message_frame(hello) + 5000 * message_frame(heartbeat))
        assert stalled.wait(SECONDS)
        attacked.goes_on()
        assert max(unsent) <= most + 10


def message_frame(message) -> bytes:
    """A message of a stream, as HTTP/2 has it."""
    data = message.SerializeToString()
    return frame(DATA, struct.pack(">BI", 0, len(data)) + data, stream=1)
