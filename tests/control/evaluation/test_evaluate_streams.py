"""Evaluate's streams: what a client may ask for, how much of it is taken in, and whose turn it is."""

from __future__ import annotations

import grpc
import pytest

from sparkopt.errors import RefusedError
from sparkopt.wire import codec
from sparkopt.wire.limits import POINT_BYTES
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2
from tests.control.control_clients import reason_of
from tests.control.evaluation.evaluated import double, meet
from tests.support.post import SECONDS

MIB = 2**20


def test_which_study_is_meant(rig):
    rig.work(0)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.NOT_FOUND, "NO_STUDY")

    search = rig.study(double)
    rig.on_loop(lambda: None)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_EVALUATED")

    evaluation = rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    error = stream.error()
    assert reason_of(error) == (grpc.StatusCode.FAILED_PRECONDITION, "STUDY_NOT_NAMED")
    assert evaluation.name in error.details()

    stream = rig.stream(study="nobody's")
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.NOT_FOUND, "NO_STUDY")

    stream = rig.stream(study=evaluation.name)
    stream.ask("p", x=1)
    stream.send(control_pb2.EvaluateRequest(id="q", point=control_pb2.Point(json='{"x": 2}')))
    assert stream.results(2) == {"p": 2, "q": 4}
    stream.send(control_pb2.EvaluateRequest(id="r", study="study-0"))
    assert reason_of(stream.error()) == (grpc.StatusCode.INVALID_ARGUMENT, "OTHER_STUDY")
    search.channel.close()


def test_two_evaluations_have_ids_of_their_own(rig):
    rig.work(0)
    one, other = rig.evaluation(double), rig.evaluation(lambda point: -point["x"])
    streams = [rig.stream(study=each.name) for each in (one, other)]
    for stream in streams:
        stream.ask("p", x=3)
    assert [stream.results(1) for stream in streams] == [{"p": 6}, {"p": -3}]


@pytest.mark.parametrize(
    ("name", "point", "reason"),
    [
        ("", control_pb2.Point(json="{}"), "BAD_ID"),
        ("x" * 201, control_pb2.Point(json="{}"), "BAD_ID"),
        ("p", control_pb2.Point(), "BAD_POINT"),
        ("p", control_pb2.Point(json="["), "BAD_POINT"),
        ("p", control_pb2.Point(json="[1]"), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": NaN}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "\\ud800"}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": ' + "[" * 40 + "]" * 40 + "}"), "BAD_POINT"),
        ("p", control_pb2.Point(json="[" * 100_000), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "' + "x" * POINT_BYTES + '"}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "refused"}'), "BAD_POINT"),
    ],
)
def test_what_is_no_point_is_rejected_and_the_stream_goes_on(rig, name, point, reason):
    rig.work(0)

    def argument(values):
        if values.get("x") == "refused":
            raise RefusedError("is not a point of the space")
        return codec.dumps(values)

    rig.evaluation(double, argument)
    stream = rig.stream()
    stream.ask(name, point)
    assert stream.rejection() == (name, reason)
    stream.ask(name or "p", x=1) if len(name) < 200 else stream.ask("p", x=1)
    assert stream.outcome().result == "2"


def test_what_is_no_request_ends_its_stream_alone(rig):
    rig.work(0)
    rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    stream.outcome()
    call = rig.new_client().channel.stream_stream("/sparkopt.v1.ControlService/Evaluate")
    garbage = call(iter([b"\xff\xff\xff"]), metadata=bearer(rig.server.token), timeout=SECONDS)
    with pytest.raises(grpc.RpcError) as raised:
        next(garbage)
    assert reason_of(raised.value) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_MESSAGE")
    stream.ask("q", x=2)
    assert stream.results(1) == {"q": 4}


def test_when_the_client_has_closed_its_side_the_rest_is_answered(rig):
    rig.work(0)
    rig.evaluation(meet)
    stream = rig.stream()
    for word in "abcdef":
        stream.ask(word, post=rig.post.path, word=word)
    stream.finish()
    for _ in range(6):
        rig.post.visit().answer("done")
    assert stream.results(6) == dict.fromkeys("abcdef", "done")
    assert stream.ends_well()


def test_a_stream_that_says_nothing_and_closes_ends_well(rig):
    rig.evaluation(double)
    stream = rig.stream()
    stream.finish()
    assert stream.ends_well()


def test_a_stream_that_sends_nothing_is_ended_and_one_that_thinks_is_not(rig):
    rig.work(0)
    rig.evaluation(double)
    rig.on_loop(lambda: setattr(rig.server.evaluations, "silence", 0.3))
    thoughtful = rig.stream()
    thoughtful.ask("p", x=1)
    assert thoughtful.results(1) == {"p": 2}
    silent = rig.stream()
    assert reason_of(silent.error()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "NOTHING_SENT")
    thoughtful.ask("q", x=2)
    assert thoughtful.results(1) == {"q": 4}


def test_streams_take_turns(make_rig):
    rig = make_rig(limit=1)
    rig.work(0)
    evaluation = rig.evaluation(meet)
    many, one = rig.stream(), rig.stream()
    for number in range(20):
        many.ask(f"many-{number}", post=rig.post.path, word="many")
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 20)
    one.ask("one", post=rig.post.path, word="one")
    rig.until(lambda: len(study._points) >= 21)
    words = []
    while "one" not in words:
        visit = rig.post.visit()
        words.append(visit.word)
        visit.answer()
    assert len(words) <= 4
    assert one.results(1) == {"one": "done"}
    many.cut()
    for _ in range(21 - len(words)):
        rig.post.visit().answer()
    rig.until(lambda: rig.coordinator.machine.counts().settled == 21)


def test_a_client_that_does_not_read_is_not_read_from_and_holds_nobody_up(rig):
    rig.work(0, 1)
    evaluation = rig.evaluation(lambda point: "x" * point["size"])
    study = rig.studied(evaluation)
    mute = rig.stream()
    for number in range(1000):
        mute.ask(f"mute-{number}", size=100_000)
    other = rig.stream()
    for number in range(200):
        other.ask(f"other-{number}", size=1)
        other.outcome()
    window = int(dict(mute.call.initial_metadata())["sparkopt-window"])

    def held_up() -> bool:
        (asker, *_) = (each for each in study._askers if each._unsent)
        return not asker.owed and len(asker._unsent) == window

    rig.until(held_up)
    asked = rig.on_loop(lambda: len(study._points)) - 200
    assert window <= asked < 1000
    assert len(mute.results(1000)) == 1000
    mute.finish()
    assert mute.ends_well()


def test_a_client_that_sends_everything_at_once_is_held_up(rig):
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    stream = rig.stream()
    for number in range(100_000):
        stream.ask(f"p{number}", x=number)
    window = int(dict(stream.call.initial_metadata())["sparkopt-window"])
    rig.until(lambda: len(study._points) >= window)
    # Round trips enough for the server to read on, if it did.
    for _ in range(20):
        other = rig.stream()
        other.finish()
        assert other.ends_well()
    assert rig.on_loop(lambda: len(study._points)) == window
    assert stream.taken < 100_000
    stream.cut()


def test_points_that_are_large_together_are_held_up_as_well(make_rig):
    rig = make_rig(limit=100)
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    stream = rig.stream()
    letters = "x" * (POINT_BYTES - 100)
    for number in range(200):
        stream.ask(f"p{number}", letters=letters)
    rig.until(lambda: sum(point.size for point in study._points.values()) >= 16 * MIB)
    # Round trips enough for the server to read on, if it did.
    for _ in range(20):
        other = rig.stream()
        other.finish()
        assert other.ends_well()
    assert rig.on_loop(lambda: len(study._points)) == 65
    stream.cut()
