"""Messages are cut into their fields as protobuf reads them."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError

from sparkopt.wire.fields import fields_of
from sparkopt.wire.v1 import control_pb2, trial_pb2


def test_fields_with_content_come_in_their_order_and_others_are_left_out():
    request = control_pb2.SubmitTrialsRequest(
        study="a study",
        points=[control_pb2.Point(json="{}"), control_pb2.Point(), control_pb2.Point(json="x" * 300)],
    )
    found = list(fields_of(request.SerializeToString()))
    assert found == [(1, b"a study"), *((2, point.SerializeToString()) for point in request.points)]
    outcome = trial_pb2.Outcome(
        kind=2, seconds=1.5, threads=300, loss=0.5, result=trial_pb2.Payload(inline=b"r")
    )
    assert list(fields_of(outcome.SerializeToString())) == [(3, outcome.result.SerializeToString())]
    assert list(fields_of(b"\x7d\x01\x02\x03\x04" + b"\x0a\x01x")) == [
        (1, b"x")
    ]  # four bytes that nobody knows


@pytest.mark.parametrize(
    "data",
    [b"\x0a", b"\x0a\x02x", b"\x0a\xff", b"\x08", b"\x09\x00", b"\x0d\x00", b"\x0b", b"\x0e", b"\xff" * 11],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(DecodeError):
        list(fields_of(data))
    with pytest.raises(DecodeError):
        control_pb2.SubmitTrialsRequest.FromString(data)


def test_whatever_protobuf_reads_has_the_same_points():
    at_random = random.Random(0)
    seen = 0
    for _ in range(20_000):
        data = at_random.choice([b"\x0a", b"\x12", b""]) + at_random.randbytes(at_random.randrange(6))
        try:
            request = control_pb2.SubmitTrialsRequest.FromString(data)
        except DecodeError:
            continue
        points = [control_pb2.Point.FromString(content) for number, content in fields_of(data) if number == 2]
        assert points == list(request.points)
        seen += len(points)
    assert seen
