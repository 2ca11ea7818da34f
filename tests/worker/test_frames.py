"""Frames come out as they went in, however the bytes are cut on the way."""

from __future__ import annotations

import itertools
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.answers import check
from sparkopt.worker.frames import (
    HEADER_BYTES,
    Frame,
    FrameBuffer,
    FrameError,
    FrameReader,
    Kind,
    value_frame,
)

texts = st.text("a/é\u2028😀\n ")
paths = st.text("a/é😀\udcff", min_size=1)
sizes = st.integers(0, 2**32 - 1)
values = st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.integers(), max_size=4)
HEADERS = {
    Kind.RUN: st.fixed_dictionaries(
        {
            "timed": st.booleans(),
            "trial": st.tuples(st.integers(-(2**63), 2**63 - 1), sizes, texts),
            "objective": texts,
            "objective_file": paths,
        },
        optional={"argument_file": paths},
    ),
    Kind.RESULT: st.fixed_dictionaries(
        {
            "seconds": st.floats(allow_nan=False),
            "threads": sizes,
            "loss": st.none() | st.floats(allow_nan=False),
            "fault": texts | st.text("\0a"),
        },
        optional={"file": paths, "values": st.lists(st.floats(allow_nan=False), min_size=1).map(tuple)},
    ),
    Kind.VALUE: st.fixed_dictionaries(
        {"step": st.integers(-(2**63), 2**63 - 1), "value": st.floats(allow_nan=False)}
    ),
}


@st.composite
def frames(draw):
    kind = draw(st.sampled_from(Kind))
    header = draw(HEADERS.get(kind, values))
    return Frame(kind, header, draw(st.binary(max_size=200)), draw(st.integers(0, 2**64 - 1)))


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    for each in (one, other):
        each.settimeout(30)
    with one, other:
        yield one, other


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(frames(), max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_buffer_finds_the_frames_again(sent, cuts):
    buffer = FrameBuffer()
    data = b"".join(frame.encode() for frame in sent)
    received = [frame for piece in pieces_of(data, cuts) for frame in buffer.feed(piece)]
    assert received == sent


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.floats(allow_nan=False))
def test_a_value_has_the_frame_of_its_kind(run, step, value):
    assert (
        value_frame(run, step, value) == Frame(Kind.VALUE, {"step": step, "value": value}, run=run).encode()
    )


@given(frames())
def test_a_buffer_gives_a_frame_with_its_last_byte(frame):
    buffer = FrameBuffer()
    *most, last = [bytes([byte]) for byte in frame.encode()]
    assert [found for byte in most for found in buffer.feed(byte)] == []
    assert list(buffer.feed(last)) == [frame]


def test_a_socket_finds_the_frames_again(pair):
    ours, theirs = pair
    sent = [
        Frame(Kind.REPORT, {"a": "ü"}, b"\0"),
        Frame(Kind.STARTED, {}),
        Frame(Kind.FAILURE, {}, b"x" * INLINE_BYTES),
    ]
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(lambda: [theirs.sendall(frame.encode()) for frame in sent])
        reader = FrameReader(ours.recv)
        assert [reader.next_frame() for _ in sent] == sent
        sending.result(30)


def test_a_closed_socket_has_no_frame(pair):
    ours, theirs = pair
    theirs.close()
    assert FrameReader(ours.recv).next_frame() is None


@pytest.mark.parametrize("size", [1, 23, 24, 26, -1])
def test_half_a_frame_is_none(pair, size):
    ours, theirs = pair
    theirs.sendall(Frame(Kind.FAILURE, {"seconds": 1.5}, b"payload").encode()[:size])
    theirs.close()
    assert FrameReader(ours.recv).next_frame() is None


def prefix(kind=Kind.FAILURE, header=2, payload=0, magic=b"\xffB\xfe"):
    return struct.pack("!3sBQIQ", magic, kind, 7, header, payload)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x", "not the beginning of a frame"),
        (b"\xffX", "not the beginning of a frame"),
        (prefix(magic=b"\xffBB"), "not the beginning of a frame"),
        (prefix(kind=0) + b"{}", "no frame of the kind 0"),
        (prefix() + b"[]", "not one object of JSON"),
        (prefix(header=4) + b"{}{}", "not one object of JSON"),
        (prefix() + b"{,", "not JSON"),
        (prefix() + b"\xff\xff", "not JSON"),
        (prefix(header=100_000) + b"[" * 100_000, "not JSON"),
        (prefix(Kind.RESULT, header=25) + bytes(25), "has 26 bytes at least, not 25"),
        (
            prefix(Kind.RESULT, header=27) + bytes(23) + b"\x02\0\0!",
            "its 0 values, or its fault of 2",
        ),
        (prefix(Kind.RESULT, header=26) + bytes(25) + b"\x01", "ends within its 1 values, or its fault of 0"),
        (prefix(Kind.RESULT, header=27) + bytes(23) + b"\x01\0\0\xff", "can't decode byte 0xff"),
        (prefix(header=HEADER_BYTES + 1), "they have 4,194,304 and 1,048,576 at most"),
        (prefix(payload=INLINE_BYTES + 1), "they have 4,194,304 and 1,048,576 at most"),
    ],
)
def test_what_is_no_frame_is_refused_as_soon_as_that_is_seen(data, said):
    with pytest.raises(FrameError, match=said):
        list(FrameBuffer().feed(data))


def test_frames_before_what_is_none_are_given():
    buffer = FrameBuffer().feed(Frame(Kind.FAILURE, {"a": 1}).encode() + b"garbage")
    assert next(buffer) == Frame(Kind.FAILURE, {"a": 1})
    with pytest.raises(FrameError):
        next(buffer)


@pytest.mark.parametrize("data", [b"x" * 24, prefix(kind=77) + b"{}", prefix() + b"[]"])
def test_a_socket_that_brings_no_frame_is_refused(pair, data):
    ours, theirs = pair
    theirs.sendall(data)
    with pytest.raises(FrameError):
        FrameReader(ours.recv).next_frame()


def test_a_fault_with_what_is_no_text_arrives_as_text():
    header = {"seconds": 0.1, "threads": 0, "loss": None, "fault": "half \ud800"}
    (arrived,) = FrameBuffer().feed(Frame(Kind.RESULT, header).encode())
    assert arrived.header == {**header, "fault": r"half \ud800"}


@given(st.binary(max_size=100))
def test_no_bytes_do_anything_else(data):
    with suppress(FrameError):
        list(FrameBuffer().feed(data))


@given(
    st.sampled_from(Kind),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists),
    st.data(),
)
def test_no_header_does_anything_else_than_pass_or_be_refused(kind, value, data):
    names = (
        "seconds",
        "threads",
        "loss",
        "fault",
        "type",
        "message",
        "traceback",
        "id",
        "report",
        "name",
        "method",
        "file",
    )
    header = data.draw(st.dictionaries(st.sampled_from(names), st.just(value) | st.integers() | st.text()))
    with suppress(FrameError):
        check(Frame(kind, header), Path("/tmp/somewhere"))
