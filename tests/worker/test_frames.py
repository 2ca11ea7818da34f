"""Frames come out as they went in, however the bytes are cut on the way."""

from __future__ import annotations

import itertools
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkopt.worker.frames import Frame, FrameBuffer, Kind, receive

headers = st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.integers(), max_size=4)
frames = st.builds(Frame, st.sampled_from(Kind), headers, st.binary(max_size=200), st.integers(0, 2**64 - 1))


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


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_buffer_finds_the_frames_again(sent, cuts):
    buffer = FrameBuffer()
    data = b"".join(frame.encode() for frame in sent)
    received = [frame for piece in pieces_of(data, cuts) for frame in buffer.feed(piece)]
    assert received == sent


@given(frames)
def test_a_buffer_gives_a_frame_with_its_last_byte(frame):
    buffer = FrameBuffer()
    *most, last = [bytes([byte]) for byte in frame.encode()]
    assert [found for byte in most for found in buffer.feed(byte)] == []
    assert list(buffer.feed(last)) == [frame]


def test_a_socket_finds_the_frames_again(pair):
    ours, theirs = pair
    sent = [Frame(Kind.RUN, {"a": "ü"}, b"\0"), Frame(Kind.RESULT), Frame(Kind.FAILURE, {}, b"x" * 3_000_000)]
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(lambda: [theirs.sendall(frame.encode()) for frame in sent])
        assert [receive(ours.recv) for _ in sent] == sent
        sending.result(30)


def test_a_closed_socket_has_no_frame(pair):
    ours, theirs = pair
    theirs.close()
    assert receive(ours.recv) is None


@pytest.mark.parametrize("size", [1, 23, 24, 26, -1])
def test_half_a_frame_is_none(pair, size):
    ours, theirs = pair
    theirs.sendall(Frame(Kind.RESULT, {"seconds": 1.5}, b"payload").encode()[:size])
    theirs.close()
    assert receive(ours.recv) is None
